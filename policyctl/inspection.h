/*
 * What the DNS says about one domain's lockdown record now, what is wrong with it, and what the
 * daemon's cache holds of it: what `policyctl lockdown` prints.
 */
#ifndef POLICYCTL_INSPECTION_H
#define POLICYCTL_INSPECTION_H

#include "policyctl/arena.h"
#include "policyctl/dns_now.h"
#include "policyctl/domain.h"
#include "policyctl/kept.h"
#include "policyctl/record.h"

struct inspection_field {
	size_t record; /* index into the answer's TXT records */
	struct field_look look;
};

enum inspection_word {
	INSPECTION_PASSES,
	INSPECTION_REFUSES,
	INSPECTION_NO_RECORD, /* no restriction */
	INSPECTION_UNKNOWN,
};

struct inspection {
	const struct ctl *ctl;
	const struct domain *domain;
	const struct login *login; /* NULL: none was asked for */
	struct dns_now_question question;
	struct record_look records[DNS_RECORDS_MAX];
	struct inspection_field *fields;
	size_t field_count, field_cap;
	struct text *faults; /* sentences */
	size_t fault_count, fault_cap;
	enum inspection_word word;
	struct text passed_by; /* with a login: the field that let it pass, "auth=x" */
	enum lookup kept;      /* FAILED: kept_error says why */
	struct cache_entry entry;
	bool is_kept_same; /* as what the DNS says now */
	char kept_error[KEPT_ERROR_MAX];
	struct arena arena;
	bool failed; /* out of memory */
};

/* Asks and looks; the inspection is zeroed but for ctl, domain and login. False: complained. */
POLICY_CHECKED bool inspection_run(struct inspection *inspection);
void inspection_free(struct inspection *inspection);

#endif

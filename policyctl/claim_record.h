/*
 * The record that proves a claim, as it is published: by name and value, as a line of a zone file,
 * as the form of a DNS host wants it.
 */
#ifndef POLICYCTL_CLAIM_RECORD_H
#define POLICYCTL_CLAIM_RECORD_H

#include "policyctl/claimable.h"
#include "policyctl/output.h"

struct claim_record {
	struct text name; /* LABEL.DOMAIN, borrowed */
	struct text zone; /* most likely: what the registrar knows; borrowed */
	struct text host; /* of name, in front of the zone */
	char value[CHALLENGE_VALUE_MAX + 1];
};

/* token: of this claim. Borrows from domain. */
void claim_record_make(const struct ctl *ctl, const struct claimable *domain, struct text token,
	struct claim_record *out);
/* Lines with name, type, value; the zone line; the name as a form wants it. */
void claim_record_print(const struct claim_record *record);
/* "record": {...}. */
void claim_record_write(const struct claim_record *record, struct json *json);

#endif

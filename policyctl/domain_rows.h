/*
 * How many rows of the table are about the senders of one domain.
 */
#ifndef POLICYCTL_DOMAIN_ROWS_H
#define POLICYCTL_DOMAIN_ROWS_H

#include "policyctl/command.h"
#include "policyctl/output.h"

/* Rows are patterns, however many owners they have. */
struct domain_rows {
	enum lookup status; /* ABSENT: no table was ever loaded; FAILED: complained */
	uint64_t addresses, globs, whole;
	uint64_t above; /* `@.parent` rows whose sub-domain it is */
};

/* A few look-ups, whatever the table's size. */
struct domain_rows domain_rows_count(const struct ctl *ctl, struct text domain);
uint64_t domain_rows_sum(const struct domain_rows *rows);
/* "12 rows (10 addresses, 1 glob, 1 for the whole domain)" into out. */
#define DOMAIN_ROWS_TEXT 160
const char *domain_rows_text(const struct domain_rows *rows, char out[DOMAIN_ROWS_TEXT]);
/* "rows": {...} or null. */
void domain_rows_write(const struct domain_rows *rows, struct json *json);

#endif

/*
 * The table's size and what a load changed, as load, diff, rollback and status print them.
 */
#ifndef POLICYCTL_TOTALS_H
#define POLICYCTL_TOTALS_H

#include "policy/data/authz_load.h"
#include "policyctl/output.h"

struct totals {
	uint64_t rows, patterns, domains;
};

/* Rows are pairs of sender and owner. */
struct totals totals_of(const struct generation *generation);
/* Of the table in force now; false: it cannot be read, complained. */
POLICY_CHECKED bool totals_read(struct authz *authz, struct totals *out);

/* "the table holds 3 rows: 2 senders in 1 domain" */
void totals_print(const struct totals *totals);
/* "" or "s", behind a noun that so many are counted of. */
const char *plural(uint64_t n);
/* "3 rows added, 1 removed, 0 updated, 12 kept" */
void totals_print_delta(const struct authz_delta *delta);
void totals_write_delta(struct json *json, const struct authz_delta *delta);
void totals_write(struct json *json, const struct totals *totals);

#endif

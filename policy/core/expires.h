/*
 * The `expires` column: `2026-12-31` (in force through that day, UTC) or `2026-12-31T23:59:59Z`
 * (in force until that second; RFC 3339, UTC only).
 *
 * Pure. Fails on every other form.
 */
#ifndef POLICY_CORE_EXPIRES_H
#define POLICY_CORE_EXPIRES_H

#include "policy/core/base.h"

#define EXPIRES_TEXT_MAX 21 /* with NUL */

struct expires {
	int64_t until; /* Unix seconds; the row is in force while now < until; 0: for ever */
	bool is_date;  /* typed as a bare date: until is the first second of the day after */
};

/* Empty text is for ever. False: neither form, or no such day (1970 to 9999). */
POLICY_CHECKED bool expires_parse(struct text typed, struct expires *out);

/* The text that expires_parse reads back, "" for ever. */
void expires_format(const struct expires *expires, char out[EXPIRES_TEXT_MAX]);

#endif

/*
 * The lists that who and senders print: one line a row of the table, or an entry of the register,
 * with what it comes to.
 */
#ifndef POLICYCTL_LISTING_H
#define POLICYCTL_LISTING_H

#include "policyctl/output.h"

#include "policy/core/expires.h"

struct listing {
	struct grid *grid; /* NULL with --json, where lines go out at once */
	bool failed;
	uint64_t allowed; /* lines that allow */
};

struct listing_line {
	const char *word; /* "may", "may not", "expired", "overruled", ... */
	bool allows;
	struct text subject; /* who: the owner; senders: the pattern */
	struct text row;     /* who: the pattern; senders: the owner */
	bool is_register;    /* an entry of `domain allow` */
	struct expires expires;
	struct text note;
};

/* False: out of memory, complained. */
POLICY_CHECKED bool listing_init(struct listing *listing, bool is_json);
/* names: of subject and row in JSON, "login"/"sender". */
void listing_add(
	struct listing *listing, const struct listing_line *line, const char *const names[2]);
/* Prints what was collected; false where memory gave out, complained. */
POLICY_CHECKED bool listing_finish(struct listing *listing);

#endif

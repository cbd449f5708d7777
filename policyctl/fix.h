/*
 * What an administrator can do about a verdict, in plain words.
 */
#ifndef POLICYCTL_FIX_H
#define POLICYCTL_FIX_H

#include "policyctl/ask.h"
#include "policyctl/rows.h"

struct fix {
	const char *advice; /* NULL: nothing is wrong */
	char *command; /* what to give `row` to, or to run where there is no row; may be NULL */
	char *row;     /* lines to write to a file for it; NULL: none */
};

/* registry NULL: there is none. */
struct fix fix_of(const struct ctl *ctl, const struct session_answer *answer,
	const struct rows *rows, struct registry *registry);
void fix_free(struct fix *fix);

#endif

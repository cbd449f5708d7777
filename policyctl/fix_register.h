/*
 * What an administrator can do where the ownership register stands in the way.
 */
#ifndef POLICYCTL_FIX_REGISTER_H
#define POLICYCTL_FIX_REGISTER_H

#include "policyctl/ask.h"

struct fix_register {
	const char *advice; /* NULL: the register is not what stands in the way */
	char *command;      /* policyctl's words; may be NULL */
	char *row;          /* lines to write to a file for it; NULL: none */
};

/* Also of a sender that the table does not give to the login, where the register would have its say
 * next. registry NULL: there is none. command and row are the caller's. */
struct fix_register fix_register_of(
	const struct ctl *ctl, const struct session_answer *answer, struct registry *registry);

#endif

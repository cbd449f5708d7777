/*
 * Asking before something is done that cannot be taken back.
 */
#ifndef POLICYCTL_CONFIRM_H
#define POLICYCTL_CONFIRM_H

#include "policyctl/command.h"

struct confirm {
	struct text domain;
	const char *verb;               /* "Remove" */
	const char *past;               /* "removed" */
	void (*print)(const void *ctx); /* on stderr: what it is about */
	const void *ctx;
};

/* Asks "Remove it? [y/N]" on the terminal; --yes: does not ask. CTL_YES: go on. CTL_NO: no;
 * CTL_USAGE: there is no terminal to ask on; both complained. */
enum ctl_exit confirm_ask(const struct ctl *ctl, const struct confirm *confirm);

#endif

/*
 * A domain as people type it, and the name of its lockdown record.
 */
#ifndef POLICYCTL_DOMAIN_H
#define POLICYCTL_DOMAIN_H

#include "policyctl/command.h"

struct domain {
	struct text text; /* canonical */
	struct text name; /* LABEL.DOMAIN */
	char bytes[DOMAIN_MAX];
	char name_bytes[DNS_NAME_MAX + 1];
};

/* Upper case, a trailing dot and letters of any language are fine. False: complained, with the
 * domain that was probably meant; the command line is wrong. Do not copy the struct. */
POLICY_CHECKED bool domain_of(const struct ctl *ctl, const char *typed, struct domain *out);

#endif

/*
 * A domain as people type it, for claims: what can be claimed, and what was probably meant.
 */
#ifndef POLICYCTL_CLAIMABLE_H
#define POLICYCTL_CLAIMABLE_H

#include "policyctl/command.h"

struct claimable {
	struct text text;  /* canonical */
	struct text name;  /* LABEL.DOMAIN, where the proof stands */
	bool is_rewritten; /* typed otherwise */
	char bytes[DOMAIN_MAX];
	char name_bytes[DNS_NAME_MAX + 1];
};

/* is_new: for a claim that is not there yet, public suffixes are refused too. CTL_USAGE:
 * complained, with the domain that was probably meant. CTL_UNKNOWN: there is no list of public
 * suffixes, complained. Do not copy the struct. */
enum ctl_exit claimable_of(
	const struct ctl *ctl, const char *typed, bool is_new, struct claimable *out);

#endif

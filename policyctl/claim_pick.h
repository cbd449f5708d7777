/*
 * Which tenant's claim a command means, and changing it.
 */
#ifndef POLICYCTL_CLAIM_PICK_H
#define POLICYCTL_CLAIM_PICK_H

#include "policyctl/command.h"

enum pick_kind {
	PICK_LIVING, /* tombstones do not count */
	PICK_ANY,
};

/* A claim, with texts of its own. */
struct picked {
	char tenant[TENANT_MAX + 1];
	char token[CLAIM_TOKEN_LEN + 1];
	struct claim_life life;
	uint32_t senders, senders_pending;
	char holder[TENANT_MAX + 1]; /* another tenant, whose claim is in force; "" nobody */
	enum claim_state holder_state;
};

/* Between registry_begin and registry_end: that of --tenant, else the only one. CTL_NO: there is
 * none; CTL_USAGE: there are several; CTL_UNKNOWN: the register cannot be read. Complained. */
enum ctl_exit claim_pick_in(struct registry *registry, const struct ctl *ctl, struct text domain,
	enum pick_kind kind, struct picked *out);
/* The same on a register that is opened and closed for it. */
enum ctl_exit claim_pick(
	const struct ctl *ctl, struct text domain, enum pick_kind kind, struct picked *out);

/* Nobody has claimed it: complains, CTL_NO. */
enum ctl_exit claim_refuse_unclaimed(const struct ctl *ctl, struct text domain);

/* Does one change, told to the daemon; actor, now and rules are set here. CTL_NO: the tenant has no
 * such claim (any more); CTL_UNKNOWN; complained. */
enum ctl_exit claim_change(
	const struct ctl *ctl, struct registry_change change, struct registry_outcome *outcome);
/* Likewise for `domain forget`. */
enum ctl_exit claim_forget(
	const struct ctl *ctl, struct registry_change change, struct registry_outcome *outcome);

#endif

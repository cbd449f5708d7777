/*
 * The stable names of reasons and actions, and which action a reason has.
 *
 * One row a reason; knows nothing of how a reason comes about. Cannot fail.
 */
#include "policy/core/decision.h"

static const struct {
	const char *name;
	enum action action;
} reasons[REASON_COUNT_] = {
	[REASON_NOT_POLICY] = {"not-policy", ACTION_DUNNO},
	[REASON_STATE] = {"state", ACTION_DUNNO},
	[REASON_NULL_SENDER] = {"null-sender", ACTION_DUNNO},
	[REASON_NULL_REFUSED] = {"null-refused", ACTION_REJECT},
	[REASON_NO_LOGIN] = {"no-login", ACTION_DUNNO},
	[REASON_NOT_LOGGED_IN] = {"not-logged-in", ACTION_REJECT},
	[REASON_BAD_SENDER] = {"bad-sender", ACTION_REJECT},
	[REASON_BAD_LOGIN] = {"bad-login", ACTION_REJECT},
	[REASON_ROUTING_OPERATOR] = {"routing-operator", ACTION_REJECT},
	[REASON_ROW] = {"row", ACTION_DUNNO},
	[REASON_SELF] = {"self", ACTION_DUNNO},
	[REASON_UNLISTED] = {"unlisted", ACTION_DUNNO},
	[REASON_NOT_OWNED] = {"not-owned", ACTION_REJECT},
	[REASON_DENIED_BY_ROW] = {"denied-by-row", ACTION_REJECT},
	[REASON_EXPIRED] = {"expired", ACTION_REJECT},
	[REASON_GRANTED] = {"granted", ACTION_DUNNO},
	[REASON_ALLOWED] = {"allowed", ACTION_DUNNO},
	[REASON_SENDER_UNAPPROVED] = {"sender-unapproved", ACTION_REJECT},
	[REASON_DOMAIN_UNVERIFIED] = {"domain-unverified", ACTION_REJECT},
	[REASON_DOMAIN_REVOKED] = {"domain-revoked", ACTION_REJECT},
	[REASON_DOMAIN_REMOVED] = {"domain-removed", ACTION_REJECT},
	[REASON_OTHER_TENANT] = {"other-tenant", ACTION_REJECT},
	[REASON_REGISTER_DAMAGED] = {"register-damaged", ACTION_DEFER},
	[REASON_LOCKED_DOWN] = {"locked-down", ACTION_REJECT},
	[REASON_LOCKDOWN_UNKNOWN] = {"lockdown-unknown", ACTION_DEFER},
	[REASON_LOCKDOWN_UNKNOWN_REJECT] = {"lockdown-unknown-reject", ACTION_REJECT},
	[REASON_DNS_LIMITED] = {"dns-limited", ACTION_DEFER},
	[REASON_NO_TABLE] = {"no-table", ACTION_DEFER},
	[REASON_TABLE_DAMAGED] = {"table-damaged", ACTION_DEFER},
};

const char *reason_name(enum reason reason)
{
	return reasons[reason].name;
}

enum action reason_action(enum reason reason)
{
	return reasons[reason].action;
}

const char *action_name(enum action action)
{
	static const char *const names[] = {
		[ACTION_DUNNO] = "DUNNO", [ACTION_REJECT] = "REJECT", [ACTION_DEFER] = "DEFER"};

	return names[action];
}

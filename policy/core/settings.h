/*
 * The `[match]` section as the decision uses it. Made by engine/config, borrowed by everybody else.
 * Texts are canonical already (domains as A-labels). See policyd.ini(5) for what each means.
 */
#ifndef POLICY_CORE_SETTINGS_H
#define POLICY_CORE_SETTINGS_H

#include "policy/core/address.h"
#include "policy/core/ownership.h"

/* In the order of the names in request.h's Postfix states; bit 1 << n in settings.states. */
enum protocol_state {
	STATE_CONNECT,
	STATE_EHLO,
	STATE_HELO,
	STATE_MAIL,
	STATE_RCPT,
	STATE_DATA,
	STATE_END_OF_MESSAGE,
	STATE_VRFY,
	STATE_ETRN,
	STATE_COUNT_
};

/* "MAIL" -> STATE_MAIL; STATE_COUNT_ for an unknown name. Postfix writes them in capitals. */
enum protocol_state protocol_state_of(struct text name);
const char *protocol_state_name(enum protocol_state state);

enum semantics { SEMANTICS_UNION, SEMANTICS_FIRST_HIT };
enum monitor_action { MONITOR_DUNNO, MONITOR_WARN };

struct lockdown_settings;

struct settings {
	const struct unicode_ops *unicode;
	enum semantics semantics;
	unsigned states;
	struct text recipient_delimiter; /* a set of bytes; empty: no extensions */
	bool local_keep;
	const struct text *local_domains; /* canonical */
	size_t local_domain_count;
	bool routing_literal;
	bool allow_self;
	bool unlisted_permit;
	bool null_reject;
	bool reject_owned; /* unauthenticated = reject_owned */
	struct text login_realm;
	struct text append_domain;
	enum ownership_required ownership;
	const struct lockdown_settings *lockdown; /* lockdown.h; NULL: off */
	bool monitor;                             /* the global mode */
	enum monitor_action monitor_action;
};

#endif

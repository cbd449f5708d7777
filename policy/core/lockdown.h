/*
 * The lockdown record: what the owner of a domain publishes about who may send for it.
 *
 *   LABEL.DOMAIN TXT "v=VERSION auth=ID senderid=ACCOUNT|TYPE|IDENTITY
 *                     sidw=ACCOUNT|TYPE|PATTERN ..."
 *
 * Records that do not begin with the token v=VERSION are ignored; several that do are one set of
 * fields. Fields stand between blanks; no case in names and values (ASCII). Any field that matches
 * passes; a record without a match refuses, so bare `v=mc1` refuses everybody. auth= one of our
 * accounts; senderid= one of our accounts and types with the login as identity; sidw= the same with
 * `*` in the identity for any run of characters but `@` and `|`. The login counts in its canonical
 * form and, where the realm was appended to it, without the realm, too. Unknown fields are ignored.
 * A login that holds `|`, blanks or control bytes matches no field.
 *
 * Pure. Knows nothing of DNS messages; a missing record is the caller's business.
 */
#ifndef POLICY_CORE_LOCKDOWN_H
#define POLICY_CORE_LOCKDOWN_H

#include "policy/core/address.h"
#include "policy/core/dns.h"

/* Of all records together; what stands behind is a fault, never a match. */
#define LOCKDOWN_FIELDS_MAX 1024

enum lockdown_failure { LOCKDOWN_DEFER, LOCKDOWN_PERMIT, LOCKDOWN_REJECT };

/* The [lockdown] section as the decision uses it. Texts borrowed from the configuration. */
struct lockdown_settings {
	bool is_enabled;
	struct text label;   /* canonical, "_mailchannels" */
	struct text version; /* "mc1" */
	const struct text *accounts;
	size_t account_count;
	const struct text *types; /* sender_id_type */
	size_t type_count;
	enum lockdown_failure on_failure;
	bool grant_senderid;
};

enum lockdown_field_kind {
	FIELD_AUTH,
	FIELD_SENDERID,
	FIELD_SIDW,
	FIELD_UNKNOWN,  /* name=value that we do not know */
	FIELD_NO_VALUE, /* a word without `=`, or nothing behind it */
};

struct lockdown_field {
	enum lockdown_field_kind kind;
	struct text name, value; /* as published */
	struct text account, type,
		identity; /* of senderid and sidw; NULL where parts are missing */
	const char
		*fault; /* NULL, or what is wrong with it, for people; of a verdict always NULL */
};

/* Walks the fields of one record text. *rest starts as the text; v=VERSION is passed over, wherever
 * it stands. A fault is for people to read: what matches, matches all the same. False: no field is
 * left. */
bool lockdown_next_field(struct text *rest, struct lockdown_field *field);

/* Whether a TXT record is one of ours: begins with the token v=VERSION, any case, blanks before it
 * allowed. */
bool lockdown_is_record(struct text txt, struct text version);

enum lockdown_word {
	LOCKDOWN_NO_RECORD, /* no TXT of ours in the answer: no restriction */
	LOCKDOWN_PASSES,
	LOCKDOWN_REFUSES,
};

struct lockdown_verdict {
	enum lockdown_word word;
	struct lockdown_field field; /* the one that passed; texts borrowed from the answer */
	bool is_grant; /* senderid or sidw matched, never auth: authorizes with grant = senderid */
};

/* What a FOUND or ABSENT answer says to this login (never a FAILED one). Looks past an auth match
 * for a senderid one, so that is_grant is sure. */
void lockdown_judge(const struct lockdown_settings *settings, const struct dns_answer *answer,
	const struct login *login, struct lockdown_verdict *verdict);

/* `*` is any run of characters but `@` and `|`; no case (ASCII). Empty texts match nothing. */
bool lockdown_pattern_matches(struct text pattern, struct text identity);

#endif

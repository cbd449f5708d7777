/*
 * The life of a claim: a tenant's wish to send for a domain, and what became of it.
 *
 * Everything that can happen to a claim is one event; claim_step is the whole of the rules. It
 * reads no clock, asks no DNS and knows no database: times come in as Unix seconds, what the DNS
 * said comes in as an event. A DNS failure (CLAIM_UNKNOWN) never takes force away.
 *
 *   pending   claimed, no proof seen; ends as expired after pending_expires_s. Or proved while
 *             another tenant's claim is in force: then it waits, until its proof is gone too
 *   verified  the TXT proof was there at the last look that got an answer
 *   grace     the proof is gone; still in force. After grace_s the next fresh absence revokes
 *   revoked   the proof stayed away; watched on, a proof verifies it again
 *   expired   was pending for too long; not watched, a look on demand can still verify it
 *   hosted    the provider's own, by hand; gives its logins their tenant
 *   pinned    in force by hand, whatever the DNS says
 *   removed   a tombstone: refuses until a claim on the domain is in force, or it is forgotten.
 *             Claimed again it goes on refusing all other tenants (is_tombstone)
 */
#ifndef POLICY_CORE_CLAIM_H
#define POLICY_CORE_CLAIM_H

#include "policy/core/base.h"

#define TENANT_MAX        64  /* bytes of a tenant's name */
#define CLAIM_TOKEN_LEN   32  /* characters: 160 bits in base32 */
#define CLAIM_REASON_MAX  200 /* bytes of a sentence, without NUL */
#define CLAIM_SEEN_MAX    400 /* bytes of what the DNS showed last */
#define CLAIMS_PER_DOMAIN 64  /* tenants that may claim one domain at the same time */

enum claim_state {
	CLAIM_NONE, /* there is no claim */
	CLAIM_PENDING,
	CLAIM_VERIFIED,
	CLAIM_GRACE,
	CLAIM_REVOKED,
	CLAIM_EXPIRED,
	CLAIM_HOSTED,
	CLAIM_PINNED,
	CLAIM_REMOVED,
	CLAIM_STATES_
};

enum claim_event {
	CLAIM_PROVED,   /* a fresh answer holds the proof */
	CLAIM_UNPROVED, /* a fresh answer, and the proof is not in it */
	CLAIM_UNKNOWN,  /* the DNS failed: nobody knows */
	CLAIM_ADD,      /* `domain add` */
	CLAIM_HOST,     /* `domain add --hosted` */
	CLAIM_PIN,
	CLAIM_UNPIN,
	CLAIM_REMOVE,
	CLAIM_GIVE_AWAY, /* the holder's side of `domain transfer` */
	CLAIM_TAKE_OVER, /* the new holder's side; the domain has no other in force any more */
	CLAIM_EVENTS_
};

struct claim_rules {
	uint32_t pending_expires_s, recheck_s, grace_s;
};

/* What claim_step knows of a claim, and changes. Times are Unix seconds, 0: never. */
struct claim_life {
	enum claim_state state;
	int64_t created_at; /* of this claim; a new `add` after its end begins anew */
	int64_t since;      /* when it came into the state */
	int64_t proved_at;  /* the last fresh proof */
	int64_t checked_at; /* the last look, whatever came of it */
	int64_t next_check; /* when to look again; 0: it is not watched */
	uint32_t looks;     /* in a row that changed nothing (pending) or got no answer: back-off */
	bool is_tombstone;  /* pending, expired: it was removed, and has not been in force since */
};

enum claim_word {
	CLAIM_CHANGED, /* the state is another one */
	CLAIM_KEPT,    /* the same state; times may have moved */
	CLAIM_HELD,    /* proved, hosted, pinned or taken over, but another tenant's claim is in
			    force: nothing changes but times */
	CLAIM_IMPOSSIBLE /* the event means nothing in this state (pin a removed one): nothing changes */
};

/* "verified"; stable: --json, the hook and policyctl use it. */
const char *claim_state_name(enum claim_state state);
/* CLAIM_STATES_ for a name that is none. */
enum claim_state claim_state_of(struct text name);
/* hosted, verified, grace, pinned. */
bool claim_is_in_force(enum claim_state state);
/* States in which is_tombstone may be set. */
bool claim_may_be_tombstone(enum claim_state state);

/* One event. is_held: a claim of another tenant on the domain is in force. spread: a hash of the
 * domain; the next check is moved by up to a tenth with it (its half, 1 << 31, moves nothing), so
 * that domains claimed together are not checked together.
 *
 * The next check: pending after 60 s, doubled to 1 h, and when it expires. Grace every hour or
 * grace_s / 4, at least 60 s, and at its end. Verified and revoked after recheck_s. After UNKNOWN
 * in 300 s, doubled to recheck_s, pending and grace to 1 h. Unpinned and taken over: at once. */
enum claim_word claim_step(struct claim_life *life, enum claim_event event, bool is_held,
	int64_t now, const struct claim_rules *rules, uint32_t spread);

/* Whether it can be a tenant's name: 1 to TENANT_MAX of letters, digits, `-`, `_`, `.`,
 * `@`, `+`. */
POLICY_CHECKED bool tenant_is_valid(struct text tenant);

#endif

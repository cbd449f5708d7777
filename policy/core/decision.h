/*
 * May this login use this sender? The rules of policyd(8), "The decision", and nothing else.
 *
 * Pure: (request, settings, facts, now) -> verdict, or the fact it needs next. It fetches nothing:
 * the session calls decision_start, looks up what decision->need names, gives it back, until
 * NEED_NOTHING. A fact is FOUND, ABSENT or FAILED; every FAILED ends in a deferral that names its
 * reason.
 */
#ifndef POLICY_CORE_DECISION_H
#define POLICY_CORE_DECISION_H

#include "policy/core/authz_codec.h"
#include "policy/core/lockdown.h"
#include "policy/core/ownership.h"
#include "policy/core/request.h"
#include "policy/core/settings.h"

enum action { ACTION_DUNNO, ACTION_REJECT, ACTION_DEFER };

enum reason {
	REASON_NOT_POLICY,       /* request= is not smtpd_access_policy */
	REASON_STATE,            /* protocol_state outside `states` */
	REASON_NULL_SENDER,      /* <> passes */
	REASON_NULL_REFUSED,     /* <> and null_sender = reject */
	REASON_NO_LOGIN,         /* nobody is logged in, nothing to judge */
	REASON_NOT_LOGGED_IN,    /* nobody is logged in, the sender is owned, unauthenticated =
				    reject_owned */
	REASON_BAD_SENDER,       /* the sender has no canonical form */
	REASON_BAD_LOGIN,        /* the login has none */
	REASON_ROUTING_OPERATOR, /* a reading of `%`, `!`, quoted `@` is not allowed */
	REASON_ROW,              /* a row allows */
	REASON_SELF,             /* the login's own address */
	REASON_UNLISTED,         /* no row names the sender and unlisted_sender = permit */
	REASON_NOT_OWNED,
	REASON_DENIED_BY_ROW,
	REASON_EXPIRED, /* the only rows that would allow have ended */
	REASON_GRANTED, /* no row names the sender, its lockdown record names this login */
	REASON_ALLOWED, /* a `domain allow` entry of the claim in force */
	REASON_SENDER_UNAPPROVED, /* the only entry for this login waits for approval */
	REASON_DOMAIN_UNVERIFIED, /* its own tenant's claim is pending or expired; or nobody's is in
				     force and required = all */
	REASON_DOMAIN_REVOKED,    /* the proof of the claim is gone */
	REASON_DOMAIN_REMOVED,    /* the claim was taken away by hand */
	REASON_OTHER_TENANT,      /* the claim in force is not of the login's tenant */
	REASON_REGISTER_DAMAGED,  /* the ownership register cannot be read */
	REASON_LOCKED_DOWN,       /* the domain's record has no field that matches */
	REASON_LOCKDOWN_UNKNOWN,  /* the record could not be learned: deferred */
	REASON_LOCKDOWN_UNKNOWN_REJECT, /* the same with on_failure = reject */
	REASON_DNS_LIMITED,             /* the DNS was not asked: a limit of our own */
	REASON_NO_TABLE,                /* none was ever loaded */
	REASON_TABLE_DAMAGED,           /* a row, or the whole table, is not what was written */
	REASON_COUNT_
};

/* "not-owned"; stable: logs, --json and [replies] (with `_`) use it. */
const char *reason_name(enum reason reason);
enum action reason_action(enum reason reason);
/* "DUNNO", "REJECT", "DEFER". */
const char *action_name(enum action action);

/* One key worth looking up. Texts point into the decision. */
struct candidate {
	enum pattern_kind kind;
	struct text domain;
	struct text local; /* PATTERN_EXACT: the key; PATTERN_GLOB: the sender's local part, see
			      `literal` */
	struct text want;  /* for struct row_question */
	/* PATTERN_GLOB: of local and want, the bytes before the extension; all of them: there is none */
	size_t base_len, want_base_len;
	bool literal; /* PATTERN_GLOB: the row of exactly this text, instead of the globs that match
			 it */
};

#define CANDIDATES_MAX (DOMAIN_MAX / 2 + 8)
#define FACTS_MAX      (CANDIDATES_MAX + DOMAIN_GLOBS_MAX)

/* One row that was looked up and found, or failed. */
struct table_fact {
	enum lookup status; /* FOUND or FAILED; a candidate without a row has no fact */
	size_t candidate;   /* index into the candidates */
	struct text glob;   /* canonical local part of the glob row, from table_facts.arena */
	struct row_fact row;
};

/* What the table says to one set of candidates. In the order of the candidates. */
struct table_facts {
	enum lookup table; /* ABSENT: no table was ever loaded; FAILED: it is damaged */
	size_t count;
	struct table_fact facts[FACTS_MAX];
	size_t arena_used;
	char arena[16384]; /* texts for explanations; cut short when full */
};

enum need { NEED_NOTHING, NEED_TABLE, NEED_OWNERSHIP, NEED_LOCKDOWN };

/* What the DNS said to decision->lockdown_name. */
struct lockdown_fact {
	const struct dns_answer *answer; /* of the TXT records; FAILED: nobody knows */
	bool is_stale;                   /* kept from an earlier time, because the DNS fails now */
};

/* The row behind a verdict, in canonical form. Texts point into the decision and its last facts. */
struct deciding_row {
	bool is_set;
	enum pattern_kind kind;
	struct text local, domain;
	enum owner_kind owner;
	bool deny;
	bool has_owner; /* false: the row only names the sender */
};

struct verdict {
	enum action action; /* before monitor mode */
	enum reason reason;
	bool monitored; /* mode monitor: action is what it would have been, monitor_action is
			   answered */
	struct deciding_row row;
};

/* Where every step is told, for `policyctl explain`; the daemon passes no trace. */
struct trace {
	void (*note)(void *ctx, const char *step, const char *text);
	void *ctx;
};

#define LITERAL_CANDIDATES_MAX 5 /* first-hit: with extension, without, both bare, @domain */

/* One question under way. The caller's storage (large: one a worker, not on the stack); texts
 * inside borrow the request and the settings until the verdict was used. */
struct decision {
	const struct settings *settings;
	const struct trace *trace;
	struct request request;
	int64_t now; /* Unix seconds, for `expires` */

	/* for the session, while need is NEED_TABLE */
	enum need need;
	size_t candidate_count;
	struct candidate candidates[CANDIDATES_MAX];
	struct row_question question;        /* `want` and `is_glob` are the candidate's */
	struct ownership_question ownership; /* while need is NEED_OWNERSHIP */
	struct text lockdown_name;           /* while need is NEED_LOCKDOWN */

	struct verdict verdict; /* once need is NEED_NOTHING */

	/* what the request was taken for; for logs and replies, too */
	bool has_login;
	struct login login;
	bool has_sender; /* sender is set: the reading judged last */
	struct address sender;

	/* private to decision*.c */
	struct text reading; /* raw text of the reading under judgement */
	unsigned readings;   /* how many were begun */
	bool has_routing;    /* there is, or was, more than one */
	enum reason so_far;  /* while need is NEED_OWNERSHIP or NEED_LOCKDOWN: what the steps before
				said to the reading */
	bool may_grant;      /* nothing names the sender, step 8 passes: a grant may count */
	char domain_bytes[DOMAIN_MAX]; /* of ownership, where the sender has no canonical form */
	char lockdown_bytes[DNS_NAME_MAX + 1];
	char reading_bytes[2][SENDER_MAX];
	struct pattern literal[LITERAL_CANDIDATES_MAX];
	char want_bytes[LITERAL_CANDIDATES_MAX][SENDER_MAX + 1];
};

/* Begins; the verdict is there at once when nothing must be looked up. */
enum need decision_start(struct decision *decision, const struct settings *settings,
	const struct request *request, int64_t now, const struct trace *trace);

/* Goes on with what the table said to decision->candidates. */
enum need decision_give_table(struct decision *decision, const struct table_facts *facts);

/* Goes on with what the register said to decision->ownership. */
enum need decision_give_ownership(struct decision *decision, const struct ownership_fact *fact);

/* Step 8 alone: what the claims say to every sender of a domain. False: *why. What *why is
 * otherwise means nothing. */
bool ownership_passes(
	enum ownership_required required, const struct ownership_fact *fact, enum reason *why);

/* Goes on with what the DNS said to decision->lockdown_name. */
enum need decision_give_lockdown(struct decision *decision, const struct lockdown_fact *fact);

/* "ceo@dom !@tenant": the deciding row and owner for logs, "" where none is set. NUL-terminated,
 * cut to cap. Returns its length. */
size_t deciding_row_format(
	const struct deciding_row *row, const struct login *login, char *out, size_t cap);

#endif

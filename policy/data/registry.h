/*
 * The ownership register: LMDB env `state_dir/register`, durable, beside the table.
 *
 * Databases: meta, claims, senders, due, tenants, accounts, audit (registry_codec.h). Every change
 * is one transaction that reads what it changes, checks the rules (claim_step), writes the claim,
 * its place among those due, and an audit line: so the daemon and policyctl can write at the same
 * time, and what was acknowledged is on the disk. Knows no DNS and decides nothing.
 *
 * One handle a process, opened after fork. Reading: inside one event callback, between
 * registry_begin and registry_end. A value that fails its checksum is FAILED.
 */
#ifndef POLICY_DATA_REGISTRY_H
#define POLICY_DATA_REGISTRY_H

#include "policy/core/challenge.h"
#include "policy/core/ownership.h"
#include "policy/core/registry_codec.h"

#define REGISTRY_ERROR_MAX 512
#define REGISTRY_CURE      "stop policyd, move this folder away and restore a backup of it"

#define REGISTRY_PREFIX_MAX 100

struct registry;

/* map_mb is register_max_mb. Writable: makes state_dir/register (0700, files 0600) where there never
 * was one, and state_dir/register.made beside it. Read only: ERR_ABSENT where there never was one.
 * One that is missing beside register.made is ERR_DAMAGED for everybody. ERR_DAMAGED, ERR_VERSION,
 * ERR_IO, ERR_FULL, ERR_NOMEM with a sentence in error[REGISTRY_ERROR_MAX]. */
POLICY_CHECKED enum err registry_open(struct registry **out, const char *state_dir, unsigned map_mb,
	bool is_read_only, char *error);
void registry_close(struct registry *registry); /* NULL is fine */
/* Whether state_dir/register.made is there, or cannot be looked for. */
bool registry_was_made(const char *state_dir);
/* Of the call that failed last: what, the file, the cure. */
const char *registry_error(const struct registry *registry);

/* One consistent look. False: registry_error. */
POLICY_CHECKED bool registry_begin(struct registry *registry);
void registry_end(struct registry *registry);

/* ---- reading; between begin and end ---- */

/* What step 8 (and 7) needs. Never fails but in fact->status. registry NULL: there is none, ABSENT.
 */
void registry_find(struct registry *registry, const struct ownership_question *question,
	struct ownership_fact *fact);

/* A login's tenant: of the tenants table, by login, then by @login-domain; else the tenant of a
 * hosted claim on the login's domain. FOUND, ABSENT (out is ""), FAILED. */
enum lookup registry_tenant_of(
	struct registry *registry, const struct login *login, char out[TENANT_MAX + 1]);

/* The claims on one domain. FOUND: *count of them in out, texts valid until registry_end. */
enum lookup registry_claims(struct registry *registry, struct text domain,
	struct claim out[CLAIMS_PER_DOMAIN], size_t *count);

/* Every claim, in order of domains, beginning at `from` (empty: all). visit returns false to stop.
 * FOUND: all visited or stopped; FAILED. */
enum lookup registry_scan(struct registry *registry, struct text from,
	bool (*visit)(void *ctx, struct text domain, const struct claim *claim), void *ctx);

/* The senders of a domain: of one tenant, or of all (tenant.len 0; domain.len 0: of everything). */
enum lookup registry_scan_senders(struct registry *registry, struct text domain, struct text tenant,
	bool (*visit)(void *ctx, struct text domain, struct text tenant,
		const struct sender_entry *entry),
	void *ctx);

/* Claims whose time has come, oldest first, copied. After them those whose time is behind the
 * horizon, which is further ahead than a check is ever planned: the clock was wrong when it was. */
struct due_claim {
	int64_t at;
	char domain[DOMAIN_MAX + 1];
	char tenant[TENANT_MAX + 1];
};
struct due_list {
	int64_t now, horizon; /* now < horizon; INT64_MAX: there is none */
	struct due_claim *claims;
	size_t cap;
	size_t count;   /* filled; cap: there may be more */
	size_t damaged; /* filled: entries left out because they cannot be read; registry_error */
};
/* FOUND, FAILED. */
enum lookup registry_due(struct registry *registry, struct due_list *list);

/* Audit lines with number >= from, in order (or newest first where backwards, from is ignored). */
enum lookup registry_scan_audit(struct registry *registry, uint64_t from, bool backwards,
	bool (*visit)(void *ctx, const struct audit_entry *entry), void *ctx);

struct registry_stat {
	uint64_t domains, claims[CLAIM_STATES_], senders, senders_pending, tenants, accounts, audit;
	uint64_t last_audit;            /* number of the newest line, 0: none */
	uint64_t used_bytes, map_bytes; /* used: pages ever taken, free ones included */
	uint64_t live_bytes;            /* pages that hold something now */
	bool has_accounts;              /* a list of accounts was loaded */
};
enum lookup registry_stat(struct registry *registry, struct registry_stat *out);
/* The number of the newest audit line, by one seek: changes whenever anything changed. */
enum lookup registry_last_audit(struct registry *registry, uint64_t *out);

/* Both only grow, in one file. FAILED. Not between begin and end. */
struct registry_numbers {
	uint64_t txn, audit; /* of the last transaction, of the newest audit line */
};
enum lookup registry_numbers(struct registry *registry, struct registry_numbers *out);

/* ---- changing; each is a transaction of its own, durable when it returns ---- */

/* Who is changing something, for the audit line. */
struct registry_actor {
	uint32_t uid;
	struct text name; /* login name of uid */
};

/* One change of one claim. */
struct registry_change {
	enum claim_event event;
	struct text domain, tenant;
	struct text to_tenant; /* CLAIM_GIVE_AWAY: who takes over, in the same transaction */
	struct registry_actor actor;
	const char *action; /* of the audit line: "domain pin", "re-check" */
	int64_t now;
	const struct claim_rules *rules;
	struct text reason; /* of the new state; may be empty: one is made */
	struct text seen;   /* PROVED, UNPROVED, UNKNOWN: what the DNS showed */
	struct text token;  /* PROVED, UNPROVED: the token that was looked for. Where the claim has
			       another one by now: CLAIM_IMPOSSIBLE */
};

/* What came of it. Buffers of its own. */
struct registry_outcome {
	enum claim_word word;
	enum claim_state before, after;
	char holder[TENANT_MAX + 1]; /* CLAIM_HELD: whose claim is in force */
	bool is_full; /* ADD: CLAIMS_PER_DOMAIN tenants claim it already, none of them expired;
			 nothing changed */
	bool is_new_token;
	/* of the claim afterwards; of GIVE_AWAY with to_tenant these three are the new holder's */
	char token[CLAIM_TOKEN_LEN + 1]; /* "" none */
	struct claim_life life;          /* afterwards */
	uint64_t senders_gone;           /* REMOVE, GIVE_AWAY: entries deleted with it */
};

/* ERR_OK: *outcome says whether anything changed. ERR_ABSENT: the tenant has no such claim (of
 * events other than ADD, HOST, PIN, TAKE_OVER, which make one; on a domain with CLAIMS_PER_DOMAIN
 * claims in the place of the one that expired longest ago). An audit line is written when the state
 * changed, and for each event of a person that did not leave all as it was. A token (20 bytes of
 * getrandom) is made by ADD, of a claim that is new or was removed, and where PIN, HOST or TAKE_OVER
 * leave one without. */
POLICY_CHECKED enum err registry_change(struct registry *registry,
	const struct registry_change *change, struct registry_outcome *outcome);
/* Several in one transaction: all, or none on an error. For the keeper's re-checks: one that is
 * ABSENT by now is CLAIM_IMPOSSIBLE, no error. */
POLICY_CHECKED enum err registry_change_all(struct registry *registry,
	const struct registry_change *changes, size_t count, struct registry_outcome *outcomes);

/* Takes a claim, its senders and tombstone out as if they had never been. *outcome->before.
 * ERR_ABSENT. */
POLICY_CHECKED enum err registry_forget(struct registry *registry,
	const struct registry_change *change, struct registry_outcome *outcome);

/* Adds, takes out or approves entries of `domain allow`. */
enum sender_edit { SENDER_ADD, SENDER_TAKE_OUT, SENDER_APPROVE };
struct registry_sender_change {
	enum sender_edit edit;
	struct text domain, tenant;
	const struct sender_entry *entries; /* APPROVE and TAKE_OUT: login and local count */
	size_t count;                       /* APPROVE: 0 is all of the claim's */
	struct registry_actor actor;
	int64_t now;
};
struct registry_sender_outcome {
	uint64_t changed, unchanged; /* there already; already approved */
	uint64_t missing;            /* TAKE_OUT, APPROVE: no such entry */
};
/* ERR_ABSENT: no such claim, or one that is removed. An ADD that is not pending approves one that
 * is; one that is pending leaves an approved one alone. All or nothing only on errors; what is
 * missing is counted. */
POLICY_CHECKED enum err registry_change_senders(struct registry *registry,
	const struct registry_sender_change *change, struct registry_sender_outcome *outcome);

/* The tenants table and the list of accounts. Each line of the input is one; keys are canonical
 * logins or @login-domain, values tenants (accounts: empty). Sorted and unique by key. */
struct registry_line {
	struct text key, value;
	size_t line; /* of the input, for messages */
};
enum registry_list { REGISTRY_TENANTS, REGISTRY_ACCOUNTS };
enum registry_load { REGISTRY_REPLACE, REGISTRY_MERGE, REGISTRY_DELETE };
struct registry_lines {
	enum registry_list list;
	enum registry_load how;
	const struct registry_line *lines;
	size_t count;
	bool is_dry_run; /* counts what would change */
	struct registry_actor actor;
	int64_t now;
};
struct registry_delta {
	uint64_t before, added, removed, changed, kept, missing;
};
POLICY_CHECKED enum err registry_load_lines(struct registry *registry,
	const struct registry_lines *lines, struct registry_delta *delta);
/* Every line in order of keys; between begin and end. */
enum lookup registry_scan_lines(struct registry *registry, enum registry_list list,
	bool (*visit)(void *ctx, struct text key, struct text value), void *ctx);
/* Whether a login is on the list of accounts; ABSENT also where no list was loaded: see stat. */
enum lookup registry_has_account(struct registry *registry, struct text login);

/* One audit line of something that is not in the register: load, rollback, cache flush. */
POLICY_CHECKED enum err registry_note(struct registry *registry, const struct audit_entry *entry);

/* How far the keeper has followed the audit lines (log and hook); kept over restarts. */
POLICY_CHECKED enum err registry_follow_get(struct registry *registry, uint64_t *number);
POLICY_CHECKED enum err registry_follow_set(struct registry *registry, uint64_t number);

/* Label and prefix that the claims are proved with, as whoever checks them wrote them down; kept so
 * that a change of the configuration is noticed. get: LOOKUP_ABSENT: never written; texts in out
 * are cut to what fits. Not between begin and end. */
struct registry_naming {
	char label[DOMAIN_MAX + 1];
	char prefix[REGISTRY_PREFIX_MAX + 1];
};
enum lookup registry_naming_get(struct registry *registry, struct registry_naming *out);
POLICY_CHECKED enum err registry_naming_set(
	struct registry *registry, struct text label, struct text prefix);

/* Walks everything: checksums, order, that claims and due agree, counts of senders. Opens an env
 * of its own; best in a child that may die of SIGBUS. ERR_DAMAGED with a sentence; ERR_ABSENT:
 * there is none. */
POLICY_CHECKED enum err registry_verify(const char *state_dir, unsigned map_mb, char *error);
/* The same in a forked child, waited for: a child that crashes is ERR_DAMAGED. */
POLICY_CHECKED enum err registry_verify_in_child(
	const char *state_dir, unsigned map_mb, char *error);

#endif

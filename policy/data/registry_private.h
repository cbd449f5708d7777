/*
 * What the files of the ownership register share: the handle, values read and written, the claims
 * of one domain in memory, the audit line. Only policy/data/registry*.c include it.
 */
#ifndef POLICY_DATA_REGISTRY_PRIVATE_H
#define POLICY_DATA_REGISTRY_PRIVATE_H

#include "policy/core/seal.h"
#include "policy/core/siphash.h"
#include "policy/data/registry.h"
#include "policy/data/store.h"

enum registry_db {
	DB_META,
	DB_CLAIMS,
	DB_SENDERS,
	DB_DUE,
	DB_TENANTS,
	DB_ACCOUNTS,
	DB_AUDIT,
	DBS_
};

/* The claims of one domain are the largest value. */
#define REGISTRY_VALUE_MAX (SEAL_SIZE + CLAIMS_PER_DOMAIN * REGISTRY_CLAIM_MAX)

/* A line of the tenants table, or that there is none, as a decision found it. */
struct tenant_seen {
	uint64_t mark;               /* of its key and the state of the register; 0: free */
	char tenant[TENANT_MAX + 1]; /* "" none */
};

/* The only claim on a domain, in force and without entries of `domain allow`, as a decision found it.
 * While it is in one of these states, a look that finds it unchanged changes nothing of this. */
#define SEEN_REASON_MAX 100
struct claim_seen {
	uint64_t mark; /* as above */
	int64_t since;
	enum claim_state state; /* verified, hosted, pinned */
	char tenant[TENANT_MAX + 1];
	char reason[SEEN_REASON_MAX + 1];
};

/* Lines of the audit that are kept. Of older ones a few go with each new one. */
#define AUDIT_KEEP 200000
#define AUDIT_TRIM 4

struct registry {
	struct store *store;
	char *state_dir;
	unsigned map_mb;
	bool is_read_only, is_walk;
	bool was_made; /* before it was opened: a missing one is damage */
	bool is_reading;
	char error[REGISTRY_ERROR_MAX];
	/* of one that reads: marks of domains that nobody claimed at some moment (registry_find.c);
	   NULL: none are kept */
	uint64_t *absent;
	struct tenant_seen *tenants; /* likewise of lines of the tenants table ... */
	struct claim_seen *claims;   /* ... and of claims */
	struct siphash_key absent_key;
	/* what the register says, by the number of its newest audit line (registry_find.c), and
	   which kinds of lines the tenants table has then */
	struct {
		bool is_known;
		uint64_t read_id, number;
		bool has_kinds, has_logins, has_domains;
	} state;
	/* of a handle that writes */
	uint8_t *value;   /* REGISTRY_VALUE_MAX: the value being made */
	uint8_t *payload; /* REGISTRY_VALUE_MAX: the claims as they were read */
};

static inline struct text registry_key_text(const struct registry_key *key)
{
	return (struct text){(const char *)key->bytes, key->len};
}

#define ABSENT_SLOTS 65536
#define TENANT_SLOTS 16384
#define CLAIM_SLOTS  16384

/* At most max bytes of text, cut between characters. */
struct text registry_clip(struct text text, size_t max);

/* registry_open for a walk of everything: read only, each get from the root. */
POLICY_CHECKED enum err registry_open_walk(
	struct registry **out, const char *state_dir, unsigned map_mb, char *error);

/* ---- failures: the sentence into registry->error ---- */

/* Takes over what the store says of err. Returns err. */
enum err registry_fail_store(struct registry *registry, enum err err);
/* The value behind key is damaged: what and the cure. Always LOOKUP_FAILED. */
enum lookup registry_fail_value(struct registry *registry, struct text key, const char *what);
enum err registry_fail(struct registry *registry, enum err err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* There is none: ERR_ABSENT, or ERR_DAMAGED where there once was one. */
enum err registry_fail_absent(struct registry *registry);

/* ---- values, in the transaction that is open ---- */

enum lookup registry_get(
	struct registry *registry, enum registry_db db, struct text key, struct text *payload);
/* Seals the payload that stands behind SEAL_SIZE bytes of registry->value, and writes it. */
POLICY_CHECKED enum err registry_put(
	struct registry *registry, enum registry_db db, struct text key, size_t payload_len);
/* What must be there: one that is not is damage. */
POLICY_CHECKED enum err registry_delete(
	struct registry *registry, enum registry_db db, struct text key);

/* One value after the other, from the key that was set; whatever is asked or written in between.
 * `payload` is valid until then. A key that is not behind the one before is FAILED. */
struct registry_walk {
	struct registry *registry;
	enum registry_db db;
	struct registry_key key;
	struct text payload;
	bool has_begun;
};
enum lookup registry_walk_next(struct registry_walk *walk);
/* ... while the key begins with prefix; ABSENT behind it. */
enum lookup registry_walk_under(struct registry_walk *walk, const struct registry_key *prefix);

/* ---- meta: what a register has from its first moment on ---- */

/* The audit lines that are there: first > last means none. */
struct audit_range {
	uint64_t first, last;
};
enum lookup registry_audit_range(struct registry *registry, struct audit_range *out);
POLICY_CHECKED enum err registry_audit_range_put(
	struct registry *registry, const struct audit_range *range);
/* Makes the meta records of an empty register; ERR_DAMAGED: they are missing in one that is not. */
POLICY_CHECKED enum err registry_meta_init(struct registry *registry);
/* ABSENT: nothing was ever written. FAILED: *is_other_format, or damaged. */
enum lookup registry_meta_check(struct registry *registry, bool *is_other_format);

/* ---- claims of one domain, in memory ---- */

struct claims {
	struct text domain;
	size_t count;
	struct claim items[CLAIMS_PER_DOMAIN];
};
/* What is kept of them, not decoded. */
enum lookup registry_claims_get(
	struct registry *registry, struct text domain, struct text *payload);
/* In a write transaction: texts are copied into registry->payload. ABSENT: count 0. */
enum lookup registry_claims_read(
	struct registry *registry, struct text domain, struct claims *claims);
/* NULL: the tenant has none. */
struct claim *registry_claims_find(struct claims *claims, struct text tenant);
/* The claim in force of another tenant; NULL: none. */
const struct claim *registry_claims_in_force(const struct claims *claims, struct text other_than);
/* Writes the record, or takes it out when there is no claim any more. */
POLICY_CHECKED enum err registry_claims_write(
	struct registry *registry, const struct claims *claims);
/* Moves a claim's place among those due; 0: none. */
POLICY_CHECKED enum err registry_due_move(struct registry *registry, struct text domain,
	struct text tenant, int64_t from, int64_t to);

/* Splits the key of a sender; false: it is none. */
POLICY_CHECKED bool registry_key_read_sender(
	struct text key, struct text *domain, struct text *tenant);
/* Takes all senders of one claim out. */
POLICY_CHECKED enum err registry_senders_delete(
	struct registry *registry, struct text domain, struct text tenant, uint64_t *gone);

/* registry_begin with what went wrong: not each failure is damage. */
POLICY_CHECKED enum err registry_look(struct registry *registry);

/* ---- writing ---- */

POLICY_CHECKED enum err registry_write_begin(struct registry *registry);
/* Commits when err is ERR_OK, else takes everything back. Returns what came of it. */
POLICY_CHECKED enum err registry_write_end(struct registry *registry, enum err err);
/* The line with the next number; entry->number is ignored, texts are cut to what fits. */
POLICY_CHECKED enum err registry_audit_put(
	struct registry *registry, const struct audit_entry *entry);

#endif

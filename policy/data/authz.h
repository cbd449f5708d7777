/*
 * The authorization table as the decision reads it: LMDB env `state_dir/table`, read side.
 *
 * Databases: meta (the pointer record and the state of both generations), gen0, gen1 (rows, see
 * authz_codec.h), undo (the changes that take the last merge back). The pointer names the
 * generation in force; a load fills the other one and flips.
 *
 * Knows keys and rows, not what they decide. A row that fails its checksum is FAILED, a table never
 * loaded is ABSENT.
 */
#ifndef POLICY_DATA_AUTHZ_H
#define POLICY_DATA_AUTHZ_H

#include "policy/core/decision.h"
#include "policy/data/pairs.h"

struct authz;

enum generation_state { GENERATION_EMPTY, GENERATION_FILLING, GENERATION_COMPLETE };
enum undo_kind { UNDO_NONE, UNDO_GENERATION, UNDO_LIST };

struct generation {
	enum generation_state state;
	uint64_t pairs;
	uint64_t digest;           /* sum of row_entry_digest */
	struct domain_counts rows; /* rows (patterns) of each kind */
	uint64_t domains;
	int64_t loaded_at; /* Unix seconds */
};

struct authz_meta {
	bool is_loaded;    /* false: no table was ever loaded */
	unsigned current;  /* 0 or 1 */
	uint64_t sequence; /* grows with every load, merge and rollback */
	enum undo_kind undo;
	uint64_t undo_entries; /* of the list, with UNDO_LIST */
	struct generation generation[2];
};

/* map_mb is table_max_mb. Read only handles never create anything: ERR_ABSENT where there is no env
 * yet. */
POLICY_CHECKED enum err authz_open(struct authz **out, const char *state_dir, unsigned map_mb,
	bool is_read_only, char *error, size_t error_cap);
void authz_close(struct authz *authz);
const char *authz_error(const struct authz *authz);

/* One consistent look at the table, inside one event callback. FOUND: begun, *meta is set. ABSENT:
 * begun, never loaded. FAILED: not begun. FOUND and ABSENT want authz_end. */
POLICY_CHECKED enum lookup authz_begin(struct authz *authz, struct authz_meta *meta);
void authz_end(struct authz *authz);

/* Looks up all candidates of a decision that needs NEED_TABLE; between authz_begin and authz_end.
 * facts->table is the caller's; the rest is filled here. */
void authz_find(struct authz *authz, const struct decision *decision, struct table_facts *facts);

/* How many rows (patterns) a canonical domain has of each kind, by one get. Between authz_begin and
 * authz_end. ABSENT: none, *out is zeroed. */
POLICY_CHECKED enum lookup authz_count_domain(
	struct authz *authz, struct text domain, struct domain_counts *out);

/* Every pair of the generation in force in key order. visit returns false to stop. Between
 * authz_begin and authz_end. FOUND: all visited (or stopped); FAILED: a damaged row (authz_error
 * names its key). */
POLICY_CHECKED enum lookup authz_scan(
	struct authz *authz, bool (*visit)(void *ctx, const struct pair *pair), void *ctx);

/* Walks a whole generation: each checksum, order, counts and digest. Opens an env of its
 * own: never in a process that has the table open (LMDB forbids two), and best in a child that may
 * die of SIGBUS. ERR_DAMAGED with a sentence in error. generation < 0: the one in force;
 * ERR_ABSENT: no table. */
POLICY_CHECKED enum err authz_verify(
	const char *state_dir, unsigned map_mb, int generation, uint64_t *sequence, char *error);
#define AUTHZ_ERROR_MAX 512

/* The same in a forked child, waited for: a child that crashes is ERR_DAMAGED. Fork-safe only in
 * single-threaded processes. */
POLICY_CHECKED enum err authz_verify_in_child(
	const char *state_dir, unsigned map_mb, int generation, char error[AUTHZ_ERROR_MAX]);

POLICY_CHECKED enum err authz_stat(
	struct authz *authz, uint64_t *used_bytes, uint64_t *map_bytes, unsigned *readers);
int authz_reader_check(struct authz *authz);

#endif

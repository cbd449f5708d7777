/*
 * The authorization table, write side: replace, merge, delete, roll back. Only policyctl calls it
 * (the daemon never writes the table).
 *
 * A crash at any moment leaves the table before or the table after, whole: a replacement is filled
 * beside it in slices, walked in a child, and the pointer flips last; a merge is one transaction.
 * One writer at a time holds the lock file.
 */
#ifndef POLICY_DATA_AUTHZ_LOAD_H
#define POLICY_DATA_AUTHZ_LOAD_H

#include "policy/data/authz.h"

struct authz_lock;

/* Takes state_dir/table.lock (flock), or ERR_BUSY with "held by policyctl load, pid 123, since ..."
 * in error. `what` names the command for the next one who asks. The lock goes with the process. */
POLICY_CHECKED enum err authz_lock_take(struct authz_lock **out, const char *state_dir,
	const char *what, char error[AUTHZ_ERROR_MAX]);
void authz_lock_release(struct authz_lock *lock);

struct authz_delta {
	uint64_t added, removed, updated,
		kept; /* pairs; updated: expires or comment changed (counted in neither other) */
};

struct authz_progress {
	void (*tick)(void *ctx, uint64_t done, uint64_t of);
	void *ctx;
};

/* What replacing the table in force with `pairs` (sorted, unique) would change; each difference
 * goes to visit (sign '+', '-' or '~'; may be NULL). Works without a table: everything is added. */
POLICY_CHECKED enum err authz_diff(struct authz *authz, const struct pairs *pairs,
	struct authz_delta *delta, void (*visit)(void *ctx, char sign, const struct pair *pair),
	void *ctx);

/* Replaces the table. pairs: sorted, unique. The lock is held by the caller. error gets the
 * sentence. ERR_FULL: the map or disk is full; the old table is in force as before. */
POLICY_CHECKED enum err authz_replace(struct authz *authz, const struct pairs *pairs, int64_t now,
	const struct authz_progress *progress, char error[AUTHZ_ERROR_MAX]);

#define AUTHZ_MERGE_MAX                                                                            \
	100000 /* pairs of a merge in one transaction; more go through authz_replace */

/* Adds the pairs, or updates expires and comment of those that are there (is_delete: takes them
 * out). One transaction with an undo list; over AUTHZ_MERGE_MAX pairs the whole table is rewritten
 * through authz_replace instead. Pairs to delete that are not in the table are passed to missing
 * (may be NULL) and counted nowhere. */
struct authz_merge {
	const struct pairs *pairs;
	bool is_delete;
	bool is_dry_run; /* count only */
	int64_t now;
	void (*missing)(void *ctx, const struct pair *pair);
	void *ctx;
};
POLICY_CHECKED enum err authz_merge(struct authz *authz, const struct authz_merge *merge,
	struct authz_delta *delta, char error[AUTHZ_ERROR_MAX]);

/* Back to the table before the last load or merge; once more goes forward again. ERR_ABSENT:
 * nothing to go back to. */
POLICY_CHECKED enum err authz_rollback(
	struct authz *authz, int64_t now, struct authz_delta *delta, char error[AUTHZ_ERROR_MAX]);

#endif

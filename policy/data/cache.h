/*
 * The DNS cache: LMDB env `cache_dir`, MDB_NOSYNC, shared by all workers, disposable.
 *
 * Damaged, of another boot or version, unwritable: emptied or done without; a cache that fails is
 * treated as empty, never as an answer. Bounded: near cache_max_mb the entries that ended longest
 * ago go first. Opened after fork.
 */
#ifndef POLICY_DATA_CACHE_H
#define POLICY_DATA_CACHE_H

#include "policy/core/cache_codec.h"

struct cache;

/* Makes the folder (0700) when missing. An env that was made before this boot or cannot be opened
 * is removed and made anew once (only data.mdb and lock.mdb in it are removed, and only when no
 * other process holds it). May wait for another process that is opening it, at most six seconds.
 * ERR_IO, ERR_NOMEM with a sentence in error. */
POLICY_CHECKED enum err cache_open(
	struct cache **out, const char *dir, unsigned max_mb, char *error, size_t error_cap);
void cache_close(struct cache *cache); /* NULL is fine */

/* FOUND: *entry is set. ABSENT: none (or damaged, or of another boot). NULL cache: ABSENT. */
POLICY_CHECKED enum lookup cache_get(
	struct cache *cache, struct text name, struct cache_entry *entry);
/* Best effort. NULL cache: nothing. */
void cache_put(struct cache *cache, struct text name, const struct cache_entry *entry);

/* While batching is on, what was put stays in this process, whose gets see it, until the caller
 * settles, at least before it waits for anything: then, or when CACHE_BATCH_MAX puts have come
 * together, it becomes one transaction, and the others see it. Off (as it is at first) each put is
 * settled at once. Flush, stat and close settle. NULL cache: nothing. */
#define CACHE_BATCH_MAX 64
void cache_batch(struct cache *cache, bool is_on);
void cache_settle(struct cache *cache);

/* One domain's name, or everything (name.len 0); *removed counts, 0 is no error. At once for every
 * worker. NULL cache: ERR_ABSENT. */
POLICY_CHECKED enum err cache_flush(struct cache *cache, struct text name, uint64_t *removed);

/* `stale` are those of found and absent whose time is over, within stale_s. */
struct cache_stat {
	uint64_t entries, found, absent, failed, stale;
	uint64_t used_bytes, max_bytes;
	uint64_t evicted; /* by this process */
};
/* Reads every entry. NULL cache: ERR_ABSENT. */
POLICY_CHECKED enum err cache_stat(
	struct cache *cache, const struct cache_rules *rules, struct cache_stat *out);

/* CLOCK_BOOTTIME in milliseconds. */
int64_t cache_now_ms(void);

#endif

/*
 * What cache.c and cache_write.c share. Nobody else includes it.
 *
 *   entries   name -> end(8), then what cache_codec.h draws
 *   ends      end(8) name -> nothing: which entry ended longest ago
 *
 * `end` is the moment in milliseconds, big-endian, at which an answer stops being fresh.
 */
#ifndef POLICY_DATA_CACHE_PRIVATE_H
#define POLICY_DATA_CACHE_PRIVATE_H

#include "policy/data/cache.h"
#include "policy/data/cache_folder.h"
#include "policy/data/cache_recent.h"
#include "policy/data/store.h"

#define DB_ENTRIES     0
#define DB_ENDS        1
#define END_LEN        8
#define VALUE_HEAD_LEN (END_LEN + CACHE_CHECKED_FROM)

#define PENDING_BYTES 65536
#define PUT_MAX       (DNS_NAME_MAX + END_LEN + CACHE_ENTRY_MAX)

struct pending_put {
	struct text name, value; /* in pending.bytes */
};

/* What was put and is not written yet, oldest first; of one name the last counts. */
struct cache_pending {
	size_t count;
	struct pending_put puts[CACHE_BATCH_MAX];
	size_t used;
	uint8_t bytes[PENDING_BYTES];
};

struct cache {
	struct store *store;
	struct cache_folder folder;
	char *dir;
	uint64_t live_max;   /* bytes of pages with rows; the rest is for copies on write */
	uint64_t unmeasured; /* bytes that may still be put before they are counted again */
	uint64_t evicted;
	bool is_broken;
	bool is_batching;
	struct cache_recent *recent; /* NULL: none */
	struct cache_pending pending;
};

static inline bool cache_is_name(struct text name)
{
	return name.len > 0 && name.len <= DNS_NAME_MAX;
}

/* The file is damaged: this handle stays empty from now on. */
void cache_break_off(struct cache *cache);

bool cache_find_pending(const struct cache *cache, struct text name, struct text *value);

#endif

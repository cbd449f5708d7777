/*
 * Entries of the DNS cache that this process read lately, whole and checked: who asks again and
 * nothing in the cache has changed meanwhile needs no look into LMDB.
 *
 * Each row carries the number of the change it was read at (store_read_id). Holds copies only,
 * bounded; forgets at will. Must not know what a value means, nor when it ends.
 */
#ifndef POLICY_DATA_CACHE_RECENT_H
#define POLICY_DATA_CACHE_RECENT_H

#include "policy/core/base.h"

#define RECENT_BYTES 4096 /* of name and value together; what is longer is not kept */

struct recent_row {
	uint64_t change;
	uint16_t name_len, value_len;
	char bytes[];
};

struct cache_recent;

/* NULL: no memory, which the others below take for one that is always empty. */
struct cache_recent *cache_recent_new(void);
void cache_recent_free(struct cache_recent *recent);

/* The row of that name, of whatever change; NULL: none. Valid until the next keep. */
struct recent_row *cache_recent_find(struct cache_recent *recent, struct text name);
void cache_recent_keep(
	struct cache_recent *recent, struct text name, struct text value, uint64_t change);

static inline struct text recent_row_value(const struct recent_row *row)
{
	return (struct text){row->bytes + row->name_len, row->value_len};
}

#endif

/*
 * See cache_recent.h: rows stand one behind another in a ring, the oldest is written over, so that
 * they are as near to each other as they can be. A place for each, by a hash of the name, in sets
 * of WAYS that fill one line of memory.
 *
 * Must not know LMDB or the form of a value. Cannot fail; who chooses names that fall into one set
 * makes rows forgotten, nothing else, so the hash has no secret.
 */
#include "policy/data/cache_recent.h"

#include <stdlib.h>

#define SETS       1024
#define WAYS       4
#define RING_WORDS ((uint64_t)65536)
#define ROW_WORDS  ((offsetof(struct recent_row, bytes) + RECENT_BYTES + 7) / 8)

/* A row's number is how many words were written before it, so it never comes again. */
struct place {
	uint64_t row;
	uint32_t tag; /* 0: free */
};

struct cache_recent {
	_Alignas(64) struct place places[SETS][WAYS];
	uint8_t next[SETS]; /* the way that goes first when all are taken */
	uint64_t written;
	uint64_t ring[RING_WORDS];
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static uint64_t word_at(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* The last word may begin inside the one before. */
static uint64_t hash_of(struct text name)
{
	uint64_t hash = name.len, last = 0;
	size_t i = 0;

	for (; name.len - i > 8; i += 8)
		hash = mix(hash, word_at(name.ptr + i));
	if (name.len >= 8)
		last = word_at(name.ptr + name.len - 8);
	else
		memcpy(&last, name.ptr, name.len);
	return mix(hash, last);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

static struct recent_row *row_at(struct cache_recent *recent, uint64_t row)
{
	return (struct recent_row *)&recent->ring[row % RING_WORDS];
}

/* Not if it was written over, or may be by the next one. */
static bool is_there(const struct cache_recent *recent, uint64_t row)
{
	return recent->written - row <= RING_WORDS - ROW_WORDS;
}

static bool is_named(const struct recent_row *row, struct text name)
{
	return row->name_len == name.len && memcmp(row->bytes, name.ptr, name.len) == 0;
}

static struct place *find(struct cache_recent *recent, uint64_t hash, struct text name)
{
	struct place *set = recent->places[hash % SETS];

	for (unsigned way = 0; way < WAYS; way++)
		if (set[way].tag == tag_of(hash) && is_there(recent, set[way].row) &&
			is_named(row_at(recent, set[way].row), name))
			return &set[way];
	return NULL;
}

static struct place *take_place(struct cache_recent *recent, uint64_t hash)
{
	size_t set = hash % SETS;
	unsigned way = recent->next[set];

	recent->next[set] = (uint8_t)((way + 1) % WAYS);
	return &recent->places[set][way];
}

/* Room behind the last row, or at the ring's beginning when its end is too near. */
static uint64_t take_room(struct cache_recent *recent, size_t bytes)
{
	size_t words = (offsetof(struct recent_row, bytes) + bytes + 7) / 8;
	uint64_t row = recent->written;

	if (row % RING_WORDS + words > RING_WORDS)
		row += RING_WORDS - row % RING_WORDS;
	recent->written = row + words;
	return row;
}

/* Aligned, so that a set is one line. */
struct cache_recent *cache_recent_new(void)
{
	struct cache_recent *recent = aligned_alloc(64, sizeof(*recent));

	if (!recent)
		return NULL;
	memset(recent->places, 0, sizeof(recent->places));
	memset(recent->next, 0, sizeof(recent->next));
	recent->written = 0;
	return recent;
}

void cache_recent_free(struct cache_recent *recent)
{
	free(recent);
}

struct recent_row *cache_recent_find(struct cache_recent *recent, struct text name)
{
	struct place *place = recent ? find(recent, hash_of(name), name) : NULL;

	return place ? row_at(recent, place->row) : NULL;
}

void cache_recent_keep(
	struct cache_recent *recent, struct text name, struct text value, uint64_t change)
{
	struct recent_row *row;
	struct place *place;
	uint64_t hash;

	if (!recent || name.len > RECENT_BYTES || value.len > RECENT_BYTES - name.len)
		return;
	hash = hash_of(name);
	place = find(recent, hash, name);
	if (!place)
		place = take_place(recent, hash);
	*place =
		(struct place){.row = take_room(recent, name.len + value.len), .tag = tag_of(hash)};
	row = row_at(recent, place->row);
	row->change = change;
	row->name_len = (uint16_t)name.len;
	row->value_len = (uint16_t)value.len;
	memcpy(row->bytes, name.ptr, name.len);
	memcpy(row->bytes + name.len, value.ptr, value.len);
}

/*
 * A set of table pairs in memory, in the table's own key order: what the importers fill and the
 * table is made of, compared with and printed from.
 *
 * Knows patterns and owners, no file format and no LMDB. Fails with ERR_NOMEM only.
 */
#ifndef POLICY_DATA_PAIRS_H
#define POLICY_DATA_PAIRS_H

#include "policy/core/authz_codec.h"

struct pairs;

/* One pair; texts borrowed from the set, valid until it is freed. */
struct pair {
	struct text row_key;    /* authz_codec's row key */
	struct text member_key; /* row_key with the owner's part behind it */
	enum pattern_kind kind;
	struct row_entry entry;
	uint32_t line; /* of the input; 0: from the table */
};

POLICY_CHECKED enum err pairs_new(struct pairs **out);
void pairs_free(struct pairs *pairs);

/* Copies entry. pattern and owner are entry's texts, parsed. */
POLICY_CHECKED enum err pairs_add(struct pairs *pairs, const struct pattern *pattern,
	const struct owner *owner, const struct row_entry *entry, uint32_t line);

/* Sorts by (member key, pattern, owner, line): key order of the table. Needed before pairs_at after
 * adding. */
POLICY_CHECKED enum err pairs_sort(struct pairs *pairs);

size_t pairs_count(const struct pairs *pairs);
void pairs_at(const struct pairs *pairs, size_t index, struct pair *out);

/* <0, 0, >0 by (member key, pattern, owner): 0 means the same pair. */
int pair_compare(const struct pair *a, const struct pair *b);

/* After sorting: keeps the first (by line) of equal pairs. Where equal pairs differ in expires or
 * comment, calls on_conflict(ctx, first, other) for each before dropping. Returns how many were
 * dropped. */
size_t pairs_unique(struct pairs *pairs,
	void (*on_conflict)(void *ctx, const struct pair *first, const struct pair *other),
	void *ctx);

#endif

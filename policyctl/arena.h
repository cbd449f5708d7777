/*
 * Copies of texts that live until all are dropped at once. Fails with a text whose ptr is NULL (out
 * of memory).
 */
#ifndef POLICYCTL_ARENA_H
#define POLICYCTL_ARENA_H

#include "policy/core/base.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the newest first */
};

/* NUL-terminated behind its length. */
struct text arena_copy(struct arena *arena, struct text text);
void arena_drop(struct arena *arena);

/* Room for one more element in a growing array; false: out of memory, *items is as before. */
POLICY_CHECKED bool array_reserve(void **items, size_t count, size_t *cap, size_t item_size);

#endif

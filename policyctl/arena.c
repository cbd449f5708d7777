/*
 * Growing storage, see arena.h.
 */
#include "policyctl/arena.h"

#include <stdlib.h>

enum { BLOCK_SIZE = 65536 };

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	char bytes[];
};

struct text arena_copy(struct arena *arena, struct text text)
{
	struct arena_block *block = arena->blocks;
	char *at;

	if (!block || block->size - block->used <= text.len) {
		size_t size = text.len < BLOCK_SIZE ? BLOCK_SIZE : text.len + 1;

		block = malloc(sizeof(*block) + size);
		if (!block)
			return (struct text){NULL, 0};
		*block = (struct arena_block){.next = arena->blocks, .size = size};
		arena->blocks = block;
	}
	at = block->bytes + block->used;
	if (text.len > 0)
		memcpy(at, text.ptr, text.len);
	at[text.len] = '\0';
	block->used += text.len + 1;
	return (struct text){at, text.len};
}

void arena_drop(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
}

bool array_reserve(void **items, size_t count, size_t *cap, size_t item_size)
{
	size_t larger = *cap ? 2 * *cap : 16;
	void *moved;

	if (count < *cap)
		return true;
	moved = realloc(*items, larger * item_size);
	if (!moved)
		return false;
	*items = moved;
	*cap = larger;
	return true;
}

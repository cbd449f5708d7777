/*
 * Bytes that must wait: a request that is not whole yet, an answer that was not taken yet.
 *
 * Holds no memory while empty. Knows nothing of what the bytes mean, and no bound: its user has
 * one. Fails with ERR_NOMEM, the content as before.
 */
#ifndef POLICYD_BUFFER_H
#define POLICYD_BUFFER_H

#include "policy/core/base.h"

/* Zeroed: empty. */
struct buffer {
	char *bytes; /* NULL: empty */
	size_t len, cap;
};

void buffer_free(struct buffer *buffer);

/* Room for one more byte at least behind bytes[len]. */
POLICY_CHECKED enum err buffer_grow(struct buffer *buffer);

/* Puts more behind what is there. */
POLICY_CHECKED enum err buffer_add(struct buffer *buffer, struct text more);

/* Makes `rest` the whole content; it may lie inside the buffer. An empty rest frees it. */
POLICY_CHECKED enum err buffer_keep(struct buffer *buffer, struct text rest);

#endif

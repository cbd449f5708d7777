/*
 * Bytes that must wait. See buffer.h.
 */
#include "policyd/buffer.h"

#include <stdlib.h>

#define FIRST_SIZE 4096

void buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){0};
}

enum err buffer_grow(struct buffer *buffer)
{
	if (buffer->len < buffer->cap)
		return ERR_OK;
	size_t cap = buffer->cap ? buffer->cap * 2 : FIRST_SIZE;
	char *bytes = realloc(buffer->bytes, cap);
	if (!bytes)
		return ERR_NOMEM;
	buffer->bytes = bytes;
	buffer->cap = cap;
	return ERR_OK;
}

enum err buffer_keep(struct buffer *buffer, struct text rest)
{
	if (rest.len == 0) {
		buffer_free(buffer);
		return ERR_OK;
	}
	if (rest.len > buffer->cap) {
		/* Longer than the buffer, so not inside it. */
		char *bytes = realloc(buffer->bytes, rest.len);
		if (!bytes)
			return ERR_NOMEM;
		buffer->bytes = bytes;
		buffer->cap = rest.len;
	}
	memmove(buffer->bytes, rest.ptr, rest.len);
	buffer->len = rest.len;
	return ERR_OK;
}

enum err buffer_add(struct buffer *buffer, struct text more)
{
	if (buffer->cap - buffer->len < more.len) {
		size_t cap = buffer->len + more.len;
		char *bytes = realloc(buffer->bytes, cap);
		if (!bytes)
			return ERR_NOMEM;
		buffer->bytes = bytes;
		buffer->cap = cap;
	}
	memcpy(buffer->bytes + buffer->len, more.ptr, more.len);
	buffer->len += more.len;
	return ERR_OK;
}

/*
 * The words every layer shares: results, look-ups and borrowed text.
 *
 * Knows nothing of mail, tables or files. Nothing here fails.
 */
#ifndef POLICY_CORE_BASE_H
#define POLICY_CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define POLICY_CHECKED __attribute__((warn_unused_result))

/* The one error domain of fallible functions. A foreign code (errno, LMDB, ...) is translated once,
 * in the file that includes the foreign header. */
enum err {
	ERR_OK = 0,
	ERR_NOMEM,   /* out of memory */
	ERR_IO,      /* the operating system said no: errno tells */
	ERR_FULL,    /* the map, the disk or a bounded buffer is full */
	ERR_BUSY,    /* somebody else holds the lock */
	ERR_DAMAGED, /* bytes on disk are not what was written */
	ERR_VERSION, /* written by another format version */
	ERR_INVALID, /* input that cannot be accepted */
	ERR_ABSENT,  /* what was named does not exist */
};

/* A look-up is one of three things, and FAILED is never folded into ABSENT. */
enum lookup { LOOKUP_FOUND, LOOKUP_ABSENT, LOOKUP_FAILED };

/* Borrowed bytes, not NUL-terminated. Valid as long as whoever lent them says. */
struct text {
	const char *ptr;
	size_t len;
};

/* For string literals and printf's "%.*s". */
#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})
#define TEXT_ARG(t)   (int)(t).len, (t).ptr

static inline struct text text_of(const char *string)
{
	return (struct text){string, strlen(string)};
}

static inline bool text_equal(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline struct text text_head(struct text t, size_t len)
{
	return (struct text){t.ptr, len};
}

static inline struct text text_tail(struct text t, size_t from)
{
	return (struct text){from ? t.ptr + from : t.ptr, t.len - from};
}

/* Position of the first (last) byte c, or t.len where there is none. */
static inline size_t text_find(struct text t, char c)
{
	const char *hit = t.len ? memchr(t.ptr, c, t.len) : NULL;
	return hit ? (size_t)(hit - t.ptr) : t.len;
}

static inline size_t text_rfind(struct text t, char c)
{
	for (size_t i = t.len; i > 0; i--)
		if (t.ptr[i - 1] == c)
			return i - 1;
	return t.len;
}

#endif

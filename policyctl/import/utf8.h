/*
 * Well-formed UTF-8 (Unicode 15, table 3-7) a character at a time. Pure, cannot fail.
 */
#ifndef POLICYCTL_UTF8_H
#define POLICYCTL_UTF8_H

#include "policy/core/base.h"

/* Bytes of the well-formed character at the start of t; 0 where there is none. */
static inline size_t utf8_length(struct text t)
{
	const unsigned char *p = (const unsigned char *)t.ptr;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (t.len == 0 || p[0] < 0x80)
		return t.len ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	/* No overlong forms, no surrogates, nothing over U+10FFFF. */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (t.len < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

static inline bool utf8_is_valid(struct text t)
{
	for (size_t at = 0; at < t.len;) {
		size_t len = utf8_length(text_tail(t, at));

		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

#endif

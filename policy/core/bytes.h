/*
 * Fixed-width and variable-length integers as stored bytes.
 *
 * Pure. Every read is bounded by the text it takes from and says false where bytes are missing or
 * were not written by the put of the same name.
 */
#ifndef POLICY_CORE_BYTES_H
#define POLICY_CORE_BYTES_H

#include "policy/core/base.h"

#define VARINT_MAX 10

static inline void put_le64(uint8_t *out, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t get_le64(const void *bytes)
{
	uint64_t value = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(&value, bytes, sizeof(value));
#else
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)((const uint8_t *)bytes)[i] << (8 * i);
#endif
	return value;
}

/* Takes 8 bytes off *in. */
static inline bool take_le64(struct text *in, uint64_t *out)
{
	if (in->len < 8)
		return false;
	*out = get_le64(in->ptr);
	*in = text_tail(*in, 8);
	return true;
}

static inline bool take_byte(struct text *in, uint8_t *out)
{
	if (in->len == 0)
		return false;
	*out = (uint8_t)in->ptr[0];
	*in = text_tail(*in, 1);
	return true;
}

/* LEB128, low groups first; returns the bytes written. */
static inline size_t put_varint(uint8_t *out, uint64_t value)
{
	size_t len = 0;

	for (; value > 0x7f; value >>= 7)
		out[len++] = (uint8_t)(value | 0x80);
	out[len++] = (uint8_t)value;
	return len;
}

/* Takes the shortest form only, so that equal values have equal bytes. */
static inline bool take_varint(struct text *in, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < in->len && i < VARINT_MAX; i++) {
		uint8_t byte = (uint8_t)in->ptr[i];

		if (i == VARINT_MAX - 1 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if (byte == 0 && i > 0)
			return false;
		*in = text_tail(*in, i + 1);
		*out = value;
		return true;
	}
	return false;
}

/* Takes a varint length and so many bytes. */
static inline bool take_text(struct text *in, size_t max, struct text *out)
{
	uint64_t len;

	if (!take_varint(in, &len) || len > max || len > in->len)
		return false;
	*out = text_head(*in, (size_t)len);
	*in = text_tail(*in, (size_t)len);
	return true;
}

static inline size_t put_text(uint8_t *out, struct text text)
{
	size_t len = put_varint(out, text.len);

	if (text.len > 0)
		memcpy(out + len, text.ptr, text.len);
	return len + text.len;
}

#endif

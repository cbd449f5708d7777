/*
 * The header of stored values: what was sealed opens, and nothing else does. The bytes are fixed:
 * the tables of installed versions hold them.
 */
#include "policy/core/authz_codec.h"
#include "policy/core/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct text key = {"example.com", 11};

static struct text make(uint8_t version, uint8_t flags, uint8_t value[64])
{
	memcpy(value + SEAL_SIZE, "payload", 7);
	seal_close(version, flags, key, value, 7);
	return (struct text){(const char *)value, SEAL_SIZE + 7};
}

static void what_was_sealed_opens(void **state)
{
	uint8_t value[64], flags = 0;
	struct text payload, sealed = make(3, 0xa5, value);

	(void)state;
	assert_true(seal_open(3, key, sealed, &payload, &flags));
	assert_int_equal(flags, 0xa5);
	assert_true(text_equal(payload, TEXT("payload")));
	seal_close(3, 0, TEXT(""), value, 0);
	assert_true(
		seal_open(3, TEXT(""), (struct text){(char *)value, SEAL_SIZE}, &payload, &flags));
	assert_true(payload.len == 0 && flags == 0);
}

static void no_flipped_bit_opens(void **state)
{
	uint8_t value[64], flags;
	struct text payload, sealed = make(1, 2, value);

	(void)state;
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		value[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(seal_open(1, key, sealed, &payload, &flags));
		value[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(seal_open(1, key, sealed, &payload, &flags));
}

static void nothing_else_opens(void **state)
{
	uint8_t value[64], flags;
	struct text payload, sealed = make(1, 0, value);

	(void)state;
	assert_false(seal_open(2, key, sealed, &payload, &flags));
	assert_false(seal_open(1, TEXT("example.co"), sealed, &payload, &flags));
	assert_false(seal_open(1, TEXT(""), sealed, &payload, &flags));
	for (size_t len = 0; len < sealed.len; len++)
		assert_false(seal_open(1, key, text_head(sealed, len), &payload, &flags));
	/* The version is under the checksum, too. */
	value[0] = 2;
	assert_false(seal_open(2, key, sealed, &payload, &flags));
}

/* A value as it stood in tables before seal.c was a file of its own. */
static void rows_keep_their_bytes(void **state)
{
	static const uint8_t stored[] = {0x01, 0x01, 0x6d, 0x9e, 0x08, 0x34, 0x50, 0xca, 0x50, 0x11,
		0x70, 0x61, 0x79, 0x6c, 0x6f, 0x61, 0x64};
	uint8_t value[64], flags;
	struct text payload;

	(void)state;
	memcpy(value + ROW_HEADER_SIZE, "payload", 7);
	row_value_seal(key, ROW_FLAG_SPILLED, value, 7);
	assert_memory_equal(value, stored, sizeof(stored));
	assert_true(row_value_open(
		key, (struct text){(const char *)stored, sizeof(stored)}, &payload, &flags));
	assert_int_equal(flags, ROW_FLAG_SPILLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens),
		cmocka_unit_test(no_flipped_bit_opens),
		cmocka_unit_test(nothing_else_opens),
		cmocka_unit_test(rows_keep_their_bytes),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}

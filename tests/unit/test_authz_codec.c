/* The bytes of the table: keys, checksums, entries, what a row says. Every decoder against every
 * cut and flip. */
#include "policy/core/bytes.h"
#include "tests/unit/table_fixture.h"

static struct text key_text(const struct row_key *key)
{
	return (struct text){(const char *)key->bytes, key->len};
}

static void test_keys_and_classes(void **state)
{
	static const char expected[] = "b.example\0\5joe\0\1alice";
	struct row_key key;
	enum pattern_kind kind;

	(void)state;
	row_key_of(PATTERN_EXACT, TEXT("b.example"), TEXT("joe"), &key);
	assert_int_equal(row_key_class(key.bytes, key.len, &kind), ROW_CLASS_ROW);
	assert_int_equal(kind, PATTERN_EXACT);
	row_key_add_member(&key, TEXT("alice"));
	assert_true(text_equal(key_text(&key), TEXT(expected)));
	assert_int_equal(row_key_class(key.bytes, key.len, &kind), ROW_CLASS_MEMBER);
	row_key_of_domain(TEXT("b.example"), &key);
	assert_int_equal(row_key_class(key.bytes, key.len, &kind), ROW_CLASS_DOMAIN);
	assert_int_equal(row_key_domain_len(key_text(&key)), 9);
	row_key_of_domain(TEXT(""), &key);
	assert_int_equal(row_key_class(key.bytes, key.len, &kind), ROW_CLASS_DOMAIN);
	assert_int_equal(row_key_class((const uint8_t *)"b\0\6x", 4, &kind), ROW_CLASS_UNKNOWN);
	assert_int_equal(row_key_class((const uint8_t *)"b\0\2x", 4, &kind), ROW_CLASS_UNKNOWN);
	assert_int_equal(row_key_class((const uint8_t *)"b\0\5x\0\1", 6, &kind), ROW_CLASS_UNKNOWN);
	assert_int_equal(row_key_class((const uint8_t *)"b", 1, &kind), ROW_CLASS_UNKNOWN);
	assert_int_equal(row_key_class((const uint8_t *)"", 0, &kind), ROW_CLASS_UNKNOWN);
}

static void test_long_texts_are_hashed(void **state)
{
	char bytes[2048];
	struct text longest = {bytes, sizeof(bytes)};
	struct row_key key, other;
	enum pattern_kind kind;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	row_key_of(PATTERN_EXACT, longest, longest, &key);
	row_key_add_member(&key, longest);
	assert_int_equal(key.len, 3 * 17 + 4);
	assert_int_equal(row_key_class(key.bytes, key.len, &kind), ROW_CLASS_MEMBER);
	assert_true(row_key_is_hashed(TEXT("a"), longest));
	assert_false(row_key_is_hashed(TEXT("a"), TEXT("b")));
	row_key_of(PATTERN_EXACT, longest, longest, &key);
	bytes[2047] = 'y';
	row_key_of(PATTERN_EXACT, longest, longest, &other);
	assert_false(text_equal(key_text(&key), key_text(&other)));
	/* The longest that is not hashed still fits LMDB. */
	row_key_of(PATTERN_EXACT, text_head(longest, DOMAIN_MAX), text_head(longest, 180), &key);
	row_key_add_member(&key, text_head(longest, 48));
	assert_true(key.len > 480 && key.len <= ROW_KEY_MAX);
}

static void test_checksum_covers_every_bit(void **state)
{
	uint8_t value[ROW_HEADER_SIZE + 5] = {0};
	char key_bytes[] = "key";
	struct text key = {key_bytes, 3}, sealed = {(const char *)value, sizeof(value)}, payload;
	uint8_t flags;

	(void)state;
	memcpy(value + ROW_HEADER_SIZE, "hello", 5);
	row_value_seal(key, 1, value, 5);
	assert_true(row_value_open(key, sealed, &payload, &flags));
	assert_int_equal(flags, 1);
	assert_string_equal_text(payload, "hello");
	for (size_t bit = 0; bit < 8 * sizeof(value); bit++) {
		value[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(row_value_open(key, sealed, &payload, &flags));
		value[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 24; bit++) {
		key_bytes[bit / 8] = (char)(key_bytes[bit / 8] ^ (1 << bit % 8));
		assert_false(row_value_open(key, sealed, &payload, &flags));
		key_bytes[bit / 8] = (char)(key_bytes[bit / 8] ^ (1 << bit % 8));
	}
	for (size_t len = 0; len < sizeof(value); len++)
		assert_false(row_value_open(key, text_head(sealed, len), &payload, &flags));
}

static size_t encode_all(const struct row_entry *entries, size_t count, uint8_t *out, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		size_t added = row_entry_encode(
			&entries[i], i > 0 ? &entries[i - 1] : NULL, out + len, cap - len);

		assert_true(added > 0);
		len += added;
	}
	return len;
}

static const struct row_entry samples[] = {
	{.pattern = {"a@b", 3}, .owner = {"alice", 5}},
	{.pattern = {"a@b", 3}, .owner = {"!bob", 4}, .expires = {.until = 100, .is_date = true}},
	{.pattern = {"A@b", 3},
		.owner = {"*", 1},
		.expires = {.until = 200},
		.comment = {"why", 3}},
};

static void test_entries_round_trip(void **state)
{
	uint8_t bytes[256];
	struct text payload = {(const char *)bytes, encode_all(samples, 3, bytes, sizeof(bytes))};
	struct row_entry entry = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(row_entry_decode(&payload, &entry), LOOKUP_FOUND);
		assert_true(text_equal(entry.pattern, samples[i].pattern));
		assert_true(text_equal(entry.owner, samples[i].owner));
		assert_true(text_equal(entry.comment, samples[i].comment));
		assert_int_equal(entry.expires.until, samples[i].expires.until);
		assert_int_equal(entry.expires.is_date, samples[i].expires.is_date);
	}
	assert_int_equal(row_entry_decode(&payload, &entry), LOOKUP_ABSENT);
	assert_int_equal(row_entry_encode(&samples[0], NULL, bytes, 10), 0);
	assert_int_equal(row_entry_encode(&samples[0], NULL, bytes, 11), 11);
}

/* No other bytes than the encoder's: what decodes encodes to the same. */
static void test_damaged_entries(void **state)
{
	uint8_t bytes[256], again[256];
	size_t len = encode_all(samples, 3, bytes, sizeof(bytes));

	(void)state;
	for (size_t bit = 0; bit < 8 * len; bit++) {
		struct text payload = {(const char *)bytes, len};
		struct row_entry entry = {0}, before = {0};
		size_t made = 0;
		enum lookup status;

		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		while ((status = row_entry_decode(&payload, &entry)) == LOOKUP_FOUND) {
			made += row_entry_encode(&entry, made > 0 ? &before : NULL, again + made,
				sizeof(again) - made);
			before = entry;
		}
		if (status == LOOKUP_ABSENT) {
			assert_int_equal(made, len);
			assert_memory_equal(again, bytes, len);
		}
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_varint_has_one_form(void **state)
{
	static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT64_MAX};
	uint8_t bytes[VARINT_MAX];
	struct text in;
	uint64_t value = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		in = (struct text){(const char *)bytes, put_varint(bytes, values[i])};
		assert_true(take_varint(&in, &value));
		assert_true(value == values[i] && in.len == 0);
	}
	in = TEXT("\x80\x00");
	assert_false(take_varint(&in, &value));
	in = TEXT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
	assert_false(take_varint(&in, &value));
	in = TEXT("\x80");
	assert_false(take_varint(&in, &value));
}

static void test_domain_counts(void **state)
{
	struct domain_counts counts = {{0, 0, 1, 2, 300, UINT64_MAX}}, again;
	uint8_t bytes[40];
	size_t len = domain_counts_encode(&counts, bytes, sizeof(bytes));

	(void)state;
	assert_true(domain_counts_decode((struct text){(const char *)bytes, len}, &again));
	assert_memory_equal(&counts, &again, sizeof(counts));
	for (size_t cut = 0; cut < len; cut++)
		assert_false(domain_counts_decode((struct text){(const char *)bytes, cut}, &again));
	assert_false(domain_counts_decode((struct text){(const char *)bytes, len + 1}, &again));
	assert_int_equal(domain_counts_encode(&counts, bytes, len - 1), 0);
}

static void test_digest_knows_every_field(void **state)
{
	struct row_entry entry = samples[2];
	uint64_t digest = row_entry_digest(&entry);

	(void)state;
	entry.comment = TEXT("wha");
	assert_true(row_entry_digest(&entry) != digest);
	entry = samples[2];
	entry.expires.is_date = true;
	assert_true(row_entry_digest(&entry) != digest);
	entry = samples[2];
	entry.owner = TEXT("!*");
	assert_true(row_entry_digest(&entry) != digest);
	assert_true(row_entry_digest(&samples[2]) == digest);
}

/* Asks a row of the given entries. */
static struct row_fact ask(const struct row_entry *entries, size_t count, const char *login,
	enum row_filter_mode mode, const char *want, bool is_glob)
{
	static struct login parsed;
	struct row_question question = {
		.ops = &unicode_ops, .mode = mode, .want = text_of(want), .is_glob = is_glob};
	uint8_t bytes[512];
	struct text payload = {
		(const char *)bytes, encode_all(entries, count, bytes, sizeof(bytes))};
	struct row_fact fact = {0};

	if (login) {
		assert_true(address_login(
			&unicode_ops, text_of(login), (struct text){NULL, 0}, &parsed));
		question.login = &parsed;
	}
	assert_int_equal(row_read(payload, &question, &fact), LOOKUP_FOUND);
	return fact;
}

static void test_row_all(void **state)
{
	const struct row_entry entries[] = {
		{.pattern = TEXT("a@b"), .owner = TEXT("!*")},
		{.pattern = TEXT("a@b"), .owner = TEXT("@x.example"), .expires = {.until = 50}},
		{.pattern = TEXT("a@b"),
			.owner = TEXT("Alice@X.example"),
			.expires = {.until = 70}},
		{.pattern = TEXT("a@b"),
			.owner = TEXT("ALICE@x.example"),
			.expires = {.until = 60}},
	};
	struct row_fact fact = ask(entries, 4, "alice@x.example", FILTER_ALL, "", false);

	(void)state;
	assert_true(fact.named && fact.has_allow);
	assert_int_equal(fact.allow_until, 70);
	assert_int_equal(fact.until[OWNER_ANY][true], INT64_MAX);
	assert_int_equal(fact.until[OWNER_ANY][false], 0);
	assert_int_equal(fact.until[OWNER_DOMAIN][false], 50);
	assert_int_equal(fact.until[OWNER_LOGIN][false], 70);
	fact = ask(entries, 1, NULL, FILTER_ALL, "", false);
	assert_true(fact.named && !fact.has_allow);
	assert_int_equal(fact.until[OWNER_ANY][true], 0);
}

static void test_row_keep(void **state)
{
	const struct row_entry entries[] = {
		{.pattern = TEXT("Joe@b"), .owner = TEXT("alice")},
		{.pattern = TEXT("joe@b"), .owner = TEXT("!bob")},
	};
	const struct row_entry glob = {.pattern = TEXT("Bill*@b"), .owner = TEXT("alice")};
	struct row_fact fact = ask(entries, 2, "alice", FILTER_KEEP, "Joe", false);

	(void)state;
	assert_true(fact.until[OWNER_LOGIN][false] > 0);
	fact = ask(entries, 2, "alice", FILTER_KEEP, "joe", false);
	assert_true(fact.named && !fact.has_allow);
	assert_int_equal(fact.until[OWNER_LOGIN][false], 0);
	fact = ask(entries, 1, "alice", FILTER_KEEP, "joe", false);
	assert_false(fact.named);
	fact = ask(entries, 2, "bob", FILTER_KEEP, "JOE", false);
	assert_true(fact.until[OWNER_LOGIN][true] > 0);
	assert_true(ask(&glob, 1, "alice", FILTER_KEEP, "Billing", true).named);
	assert_false(ask(&glob, 1, "alice", FILTER_KEEP, "billing", true).named);
}

static void test_row_literal(void **state)
{
	const struct row_entry entries[] = {
		{.pattern = TEXT("Joe@b"), .owner = TEXT("!Alice")},
		{.pattern = TEXT("joe@b"), .owner = TEXT("*")},
	};
	struct row_fact fact = ask(entries, 2, "!alice", FILTER_LITERAL, "joe@b", false);

	(void)state;
	assert_true(fact.until[OWNER_LOGIN][false] > 0);
	fact = ask(entries, 2, "alice", FILTER_LITERAL, "joe@b", false);
	assert_true(fact.named);
	assert_int_equal(fact.until[OWNER_LOGIN][false], 0);
	assert_int_equal(fact.until[OWNER_LOGIN][true], 0);
	assert_int_equal(fact.until[OWNER_ANY][false], 0);
	assert_true(ask(entries, 2, "*", FILTER_LITERAL, "joe@b", false).until[OWNER_LOGIN][0] > 0);
	assert_false(ask(entries, 2, "alice", FILTER_LITERAL, "joe@c", false).named);
}

static void test_row_of_damaged_bytes(void **state)
{
	struct row_question question = {.ops = &unicode_ops};
	struct row_fact fact = {0};

	(void)state;
	assert_int_equal(row_read(TEXT("\x01\x03"
				       "a@b"),
				 &question, &fact),
		LOOKUP_FAILED);
	assert_int_equal(row_read(TEXT("\x00\x01"
				       "a"),
				 &question, &fact),
		LOOKUP_FAILED);
	assert_int_equal(row_read(TEXT("\x80"), &question, &fact), LOOKUP_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_and_classes),
		cmocka_unit_test(test_long_texts_are_hashed),
		cmocka_unit_test(test_checksum_covers_every_bit),
		cmocka_unit_test(test_entries_round_trip),
		cmocka_unit_test(test_damaged_entries),
		cmocka_unit_test(test_varint_has_one_form),
		cmocka_unit_test(test_domain_counts),
		cmocka_unit_test(test_digest_knows_every_field),
		cmocka_unit_test(test_row_all),
		cmocka_unit_test(test_row_keep),
		cmocka_unit_test(test_row_literal),
		cmocka_unit_test(test_row_of_damaged_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

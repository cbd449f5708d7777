/*
 * A cached answer: its bytes, and when it is fresh, stale or gone.
 */
#include "policy/core/cache_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define T0           INT64_C(1000000)

static const struct cache_rules rules = {
	.max_ttl_s = 3600, .negative_max_ttl_s = 300, .stale_s = 86400};
static const uint8_t boot[16] = {1, 2, 3}, other_boot[16] = {1, 2, 4};
static const struct text name = {"_mc.x.example", 13};

static void make_answer(struct dns_answer *answer, enum lookup status, uint32_t ttl_s)
{
	dns_answer_clear(answer, DNS_FAILURE_NONE);
	answer->status = status;
	answer->ttl_s = ttl_s;
	if (status == LOOKUP_FAILED)
		answer->failure = DNS_FAILURE_TIMEOUT;
	if (status == LOOKUP_FOUND)
		assert_true(dns_answer_add(answer, TEXT("v=mc1 auth=myid")));
}

static void update(struct cache_entry *entry, const struct cache_entry *before, enum lookup status,
	uint32_t ttl_s, int64_t now_ms)
{
	static struct dns_answer answer;

	make_answer(&answer, status, ttl_s);
	cache_entry_update(entry, before, &answer, now_ms, &rules);
}

/* Status and TTL of the answer, milliseconds since, when a refresh failed (-1: none did), what the
 * entry is then, seconds left. */
static const struct {
	enum lookup status;
	uint32_t ttl_s;
	int64_t age_ms, failed_at_ms;
	enum freshness freshness;
	uint32_t left_s;
} ages[] = {
	{LOOKUP_FOUND, 100, 0, -1, FRESH, 100},
	{LOOKUP_FOUND, 100, 1, -1, FRESH, 100},
	{LOOKUP_FOUND, 100, 89999, -1, FRESH, 11},
	{LOOKUP_FOUND, 100, 90000, -1, FRESH_AGING, 10},
	{LOOKUP_FOUND, 100, 99999, -1, FRESH_AGING, 1},
	{LOOKUP_FOUND, 100, 100000, -1, STALE, 0},
	{LOOKUP_FOUND, 100, 100000 + 86399999, -1, STALE, 0},
	{LOOKUP_FOUND, 100, 100000 + 86400000, -1, EXPIRED, 0},
	/* A refresh that failed is not tried again for 30 s. */
	{LOOKUP_FOUND, 100, 95000, 92000, FRESH, 5},
	{LOOKUP_FOUND, 1000, 959999, 930000, FRESH, 41},
	{LOOKUP_FOUND, 1000, 960000, 930000, FRESH_AGING, 40},
	{LOOKUP_FOUND, 100, 100000, 95000, STALE_TRIED, 0},
	{LOOKUP_FOUND, 100, 150000, 120001, STALE_TRIED, 0},
	{LOOKUP_FOUND, 100, 150000, 120000, STALE, 0},
	{LOOKUP_FOUND, 100, 100000 + 86400000, 100000 + 86399999, EXPIRED, 0},
	/* Negative answers the same way. */
	{LOOKUP_ABSENT, 60, 0, -1, FRESH, 60},
	{LOOKUP_ABSENT, 60, 53999, -1, FRESH, 7},
	{LOOKUP_ABSENT, 60, 54000, -1, FRESH_AGING, 6},
	{LOOKUP_ABSENT, 60, 60000, -1, STALE, 0},
	{LOOKUP_ABSENT, 60, 60000 + 86400000, -1, EXPIRED, 0},
	/* Clamped: TTL 0, small, huge, with the top bit (RFC 2181: 0). */
	{LOOKUP_FOUND, 0, 0, -1, FRESH, 5},
	{LOOKUP_FOUND, 0, 4499, -1, FRESH, 1},
	{LOOKUP_FOUND, 0, 4500, -1, FRESH_AGING, 1},
	{LOOKUP_FOUND, 0, 5000, -1, STALE, 0},
	{LOOKUP_FOUND, 1, 4000, -1, FRESH, 1},
	{LOOKUP_FOUND, 3601, 0, -1, FRESH, 3600},
	{LOOKUP_FOUND, INT32_MAX, 3600000, -1, STALE, 0},
	{LOOKUP_FOUND, UINT32_MAX, 0, -1, FRESH, 5},
	{LOOKUP_FOUND, (uint32_t)INT32_MAX + 1, 5000, -1, STALE, 0},
	{LOOKUP_ABSENT, 0, 0, -1, FRESH, 5},
	{LOOKUP_ABSENT, 100000, 0, -1, FRESH, 300},
	/* A clock a little behind another worker's, and one that cannot be right. */
	{LOOKUP_FOUND, 100, -1, -1, FRESH, 100},
	{LOOKUP_FOUND, 100, -60000, -1, FRESH, 100},
	{LOOKUP_FOUND, 100, -60001, -1, EXPIRED, 0},
};

static void test_ages(void **state)
{
	static struct cache_entry entry;

	(void)state;
	for (size_t i = 0; i < COUNT(ages); i++) {
		int64_t now_ms = T0 + ages[i].age_ms;
		enum freshness freshness;
		uint32_t left_s;

		update(&entry, NULL, ages[i].status, ages[i].ttl_s, T0);
		if (ages[i].failed_at_ms >= 0)
			update(&entry, &entry, LOOKUP_FAILED, 0, T0 + ages[i].failed_at_ms);
		freshness = cache_entry_freshness(&entry, now_ms, &rules);
		left_s = cache_entry_ttl_left_s(&entry, now_ms);
		if (freshness != ages[i].freshness || left_s != ages[i].left_s)
			fail_msg("row %zu: %d, %u s left", i, freshness, left_s);
	}
}

static void test_caching_switched_off(void **state)
{
	const struct cache_rules off = {0, 0, 0};
	static struct cache_entry entry;
	static struct dns_answer answer;

	(void)state;
	make_answer(&answer, LOOKUP_FOUND, 100);
	cache_entry_update(&entry, NULL, &answer, T0, &off);
	assert_int_equal(cache_entry_freshness(&entry, T0, &off), EXPIRED);
}

/* Failure after failure: how long each is kept, in seconds. */
static void test_back_off(void **state)
{
	static const uint32_t waits_s[] = {5, 10, 20, 40, 80, 160, 300, 300, 300};
	static struct cache_entry entry;
	int64_t now_ms = T0;

	(void)state;
	for (size_t i = 0; i < COUNT(waits_s); i++) {
		int64_t end_ms = now_ms + (int64_t)waits_s[i] * 1000;

		update(&entry, i > 0 ? &entry : NULL, LOOKUP_FAILED, 0, now_ms);
		assert_int_equal(entry.failures, i + 1);
		assert_int_equal(entry.failed_why, DNS_FAILURE_TIMEOUT);
		assert_int_equal(cache_entry_freshness(&entry, now_ms, &rules), EXPIRED);
		assert_int_equal(cache_entry_ttl_left_s(&entry, now_ms), 0);
		assert_true(cache_entry_failure_is_fresh(&entry, now_ms));
		assert_true(cache_entry_failure_is_fresh(&entry, end_ms - 1));
		assert_false(cache_entry_failure_is_fresh(&entry, end_ms));
		now_ms = end_ms;
	}
}

static void test_failures_stop_counting(void **state)
{
	static struct cache_entry entry;
	int64_t now_ms = T0;

	(void)state;
	for (int i = 0; i < 300; i++, now_ms += 300000)
		update(&entry, i > 0 ? &entry : NULL, LOOKUP_FAILED, 0, now_ms);
	assert_int_equal(entry.failures, 255);
	now_ms = entry.failed_ms;
	assert_true(cache_entry_failure_is_fresh(&entry, now_ms + 299999));
	assert_false(cache_entry_failure_is_fresh(&entry, now_ms + 300000));
	/* What failed long ago begins anew, and so does what was answered since. */
	update(&entry, &entry, LOOKUP_FAILED, 0, now_ms + 600001);
	assert_int_equal(entry.failures, 1);
	update(&entry, &entry, LOOKUP_FOUND, 60, now_ms + 600002);
	assert_int_equal(entry.failures, 0);
	assert_false(cache_entry_failure_is_fresh(&entry, now_ms + 600002));
}

static void test_failure_keeps_the_answer(void **state)
{
	static struct cache_entry entry, after;

	(void)state;
	update(&entry, NULL, LOOKUP_FOUND, 100, T0);
	update(&after, &entry, LOOKUP_FAILED, 0, T0 + 200000);
	assert_int_equal(after.answer.status, LOOKUP_FOUND);
	assert_true(text_equal(after.answer.txt[0], TEXT("v=mc1 auth=myid")));
	assert_ptr_equal(after.answer.txt[0].ptr, after.answer.bytes);
	assert_int_equal(after.stored_ms, T0);
	assert_int_equal(after.failed_ms, T0 + 200000);
	assert_int_equal(cache_entry_freshness(&after, T0 + 200000, &rules), STALE_TRIED);
	update(&after, &after, LOOKUP_ABSENT, 60, T0 + 300000);
	assert_int_equal(after.answer.status, LOOKUP_ABSENT);
	assert_int_equal(after.failed_ms, 0);
	update(&after, &after, LOOKUP_FAILED, 0, T0 + 400000);
	assert_int_equal(after.answer.status, LOOKUP_ABSENT);
}

static void test_own_limits_do_not_count(void **state)
{
	static const enum dns_failure own[] = {DNS_FAILURE_LIMIT, DNS_FAILURE_MEMORY};
	static struct cache_entry entry;
	static struct dns_answer answer;

	(void)state;
	for (size_t i = 0; i < COUNT(own); i++) {
		dns_answer_clear(&answer, own[i]);
		cache_entry_update(&entry, NULL, &answer, T0, &rules);
		assert_int_equal(entry.answer.status, LOOKUP_FAILED);
		assert_false(cache_entry_failure_is_fresh(&entry, T0));
		update(&entry, NULL, LOOKUP_FAILED, 0, T0);
		cache_entry_update(&entry, &entry, &answer, T0 + 1000, &rules);
		assert_int_equal(entry.failures, 1);
		assert_int_equal(entry.failed_ms, T0);
		assert_int_equal(entry.answer.failure, DNS_FAILURE_TIMEOUT);
	}
}

static void make_full_entry(struct cache_entry *entry)
{
	static char txt[DNS_TEXT_MAX];

	memset(txt, 'x', sizeof(txt));
	update(entry, NULL, LOOKUP_ABSENT, 7, T0);
	entry->answer.status = LOOKUP_FOUND;
	entry->answer.rcode = 255;
	entry->answer.is_authentic = true;
	entry->answer.ttl_s = UINT32_MAX;
	entry->answer.strings = 64;
	entry->lifetime_s = UINT32_MAX;
	for (size_t i = 0; i < DNS_RECORDS_MAX; i++)
		assert_true(dns_answer_add(
			&entry->answer, (struct text){txt, DNS_BYTES_MAX / DNS_RECORDS_MAX}));
	assert_int_equal(entry->answer.used, DNS_BYTES_MAX);
}

static struct text encode(const struct cache_entry *entry, uint8_t *out)
{
	return (struct text){
		(const char *)out, cache_entry_encode(entry, name, boot, out, CACHE_ENTRY_MAX)};
}

static void assert_same(const struct cache_entry *a, const struct cache_entry *b)
{
	assert_int_equal(a->answer.status, b->answer.status);
	assert_int_equal(a->answer.failure, b->answer.failure);
	assert_int_equal(a->answer.rcode, b->answer.rcode);
	assert_int_equal(a->answer.is_authentic, b->answer.is_authentic);
	assert_int_equal(a->answer.ttl_s, b->answer.ttl_s);
	assert_int_equal(a->answer.strings, b->answer.strings);
	assert_int_equal(a->answer.count, b->answer.count);
	for (size_t i = 0; i < a->answer.count; i++)
		assert_true(text_equal(a->answer.txt[i], b->answer.txt[i]));
	assert_int_equal(a->stored_ms, b->stored_ms);
	assert_int_equal(a->failed_ms, b->failed_ms);
	assert_int_equal(a->failures, b->failures);
	assert_int_equal(a->failed_rcode, b->failed_rcode);
	assert_int_equal(a->failed_why, b->failed_why);
	assert_int_equal(a->lifetime_s, b->lifetime_s);
}

static void test_round_trip(void **state)
{
	static uint8_t bytes[CACHE_ENTRY_MAX];
	static struct cache_entry entry, read;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct text value;

		if (i < 3)
			update(&entry, NULL, (enum lookup)i, 100, T0);
		else if (i == 3)
			update(&entry, &entry, LOOKUP_FAILED, 0, T0 + 5);
		else
			make_full_entry(&entry);
		value = encode(&entry, bytes);
		assert_true(value.len > 0);
		assert_int_equal(cache_entry_decode(name, value, boot, &read), LOOKUP_FOUND);
		assert_same(&entry, &read);
		assert_string_equal(read.answer.server, "");
		dns_answer_clear(&read.answer, DNS_FAILURE_LIMIT);
		assert_int_equal(cache_entry_read(value, &read), LOOKUP_FOUND);
		assert_same(&entry, &read);
		assert_int_equal(cache_entry_encode(&entry, name, boot, bytes, value.len - 1), 0);
	}
}

static void test_others_entries(void **state)
{
	static uint8_t bytes[CACHE_ENTRY_MAX];
	static struct cache_entry entry;
	struct text value;

	(void)state;
	update(&entry, NULL, LOOKUP_FOUND, 100, T0);
	value = encode(&entry, bytes);
	assert_int_equal(cache_entry_decode(name, value, other_boot, &entry), LOOKUP_ABSENT);
	assert_int_equal(
		cache_entry_decode(TEXT("_mc.y.example"), value, boot, &entry), LOOKUP_FAILED);
	bytes[0]++;
	assert_int_equal(cache_entry_decode(name, value, boot, &entry), LOOKUP_ABSENT);
}

static void test_damage(void **state)
{
	static uint8_t bytes[CACHE_ENTRY_MAX];
	static struct cache_entry entry;
	struct text value;

	(void)state;
	update(&entry, NULL, LOOKUP_FOUND, 100, T0);
	value = encode(&entry, bytes);
	for (size_t len = 0; len < value.len; len++) {
		assert_int_equal(cache_entry_decode(name, text_head(value, len), boot, &entry),
			LOOKUP_FAILED);
		assert_int_equal(cache_entry_read(text_head(value, len), &entry), LOOKUP_FAILED);
	}
	for (size_t i = 1; i < value.len; i++) {
		bytes[i] ^= 0x10;
		assert_int_equal(cache_entry_decode(name, value, boot, &entry), LOOKUP_FAILED);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(cache_entry_decode(name, value, boot, &entry), LOOKUP_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_caching_switched_off),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_failures_stop_counting),
		cmocka_unit_test(test_failure_keeps_the_answer),
		cmocka_unit_test(test_own_limits_do_not_count),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_others_entries),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Token buckets: bursts, refill, logins apart from each other, a full table, a changed rule.
 */
#include "policy/core/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1000000

static const struct bucket_rule usual = {.per_min = 30, .burst = 20};

static int setup(void **state)
{
	struct buckets *buckets = calloc(1, sizeof(*buckets));

	assert_non_null(buckets);
	buckets->hash_key[0] = 1;
	buckets->hash_key[1] = 2;
	*state = buckets;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* How many of `tries` pass at this moment. */
static unsigned take(struct buckets *buckets, const char *login, int64_t now_ms, unsigned tries,
	struct bucket_rule rule)
{
	unsigned passed = 0;

	while (tries-- > 0)
		passed += bucket_take(buckets, text_of(login), now_ms, rule);
	return passed;
}

static void test_burst_and_refill(void **state)
{
	assert_int_equal(take(*state, "joe", NOW, 50, usual), 20);
	assert_int_equal(take(*state, "joe", NOW + 1999, 50, usual), 0);
	assert_int_equal(take(*state, "joe", NOW + 2000, 50, usual), 1);
	assert_int_equal(take(*state, "joe", NOW + 12000, 50, usual), 5);
	assert_int_equal(take(*state, "joe", NOW + 3600000, 50, usual), 20);
}

static void test_a_refusal_takes_nothing(void **state)
{
	assert_int_equal(take(*state, "joe", NOW, 20, usual), 20);
	for (int64_t t = 0; t < 2000; t++)
		assert_int_equal(take(*state, "joe", NOW + t, 1, usual), 0);
	assert_int_equal(take(*state, "joe", NOW + 2000, 1, usual), 1);
}

static void test_logins_apart(void **state)
{
	assert_int_equal(take(*state, "joe", NOW, 50, usual), 20);
	assert_int_equal(take(*state, "ann", NOW, 50, usual), 20);
	assert_int_equal(take(*state, "joe", NOW, 1, usual), 0);
}

static void test_rules(void **state)
{
	assert_int_equal(take(*state, "a", NOW, 9, (struct bucket_rule){30, 0}), 0);
	assert_int_equal(take(*state, "a", NOW, 9, (struct bucket_rule){0, 20}), 0);
	assert_int_equal(take(*state, "b", NOW, 9, (struct bucket_rule){1, 1}), 1);
	assert_int_equal(take(*state, "b", NOW + 59999, 9, (struct bucket_rule){1, 1}), 0);
	assert_int_equal(take(*state, "b", NOW + 60000, 9, (struct bucket_rule){1, 1}), 1);
	assert_int_equal(take(*state, "c", NOW, 9, (struct bucket_rule){60000, 3}), 3);
	assert_int_equal(take(*state, "c", NOW + 2, 9, (struct bucket_rule){60000, 3}), 2);
	assert_int_equal(take(*state, "d", NOW, 9, (struct bucket_rule){UINT32_MAX, 1}), 1);
	assert_int_equal(take(*state, "e", NOW, 9, (struct bucket_rule){1, UINT32_MAX}), 9);
}

static void test_faster_rule_after_reload(void **state)
{
	const struct bucket_rule slow = {.per_min = 1, .burst = 60};
	const struct bucket_rule fast = {.per_min = 60, .burst = 10};

	assert_int_equal(take(*state, "joe", NOW, 99, slow), 60);
	assert_int_equal(take(*state, "joe", NOW, 99, fast), 0);
	assert_int_equal(take(*state, "joe", NOW + 5000, 99, fast), 5);
}

/* A flood of logins is limited as a whole, and its places are free again when they are full. */
static void test_flood_of_logins(void **state)
{
	const unsigned logins = 20000;
	unsigned passed = 0;
	char login[32];

	for (unsigned i = 0; i < logins; i++) {
		snprintf(login, sizeof(login), "login%u", i);
		passed += take(*state, login, NOW, 25, usual);
	}
	assert_true(passed > BUCKETS * 20 / 2);
	assert_true(passed <= (BUCKETS + 1) * 20);
	assert_int_equal(take(*state, "joe", NOW, 1, usual), 0);
	assert_int_equal(take(*state, "joe", NOW + 60000, 50, usual), 20);
	assert_int_equal(take(*state, "ann", NOW + 60000, 50, usual), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_burst_and_refill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_refusal_takes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_logins_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faster_rule_after_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood_of_logins, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

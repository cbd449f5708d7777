/*
 * Puts that wait to be written together: who sees them when, and that losing them harms nobody.
 */
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/cache_fixture.h"

static struct cache *open_batching(const char *dir)
{
	struct cache *cache = open_cache(dir, 1);

	cache_batch(cache, true);
	return cache;
}

static bool sees_a(struct cache *cache)
{
	return get(cache, TEXT("a.example")) == LOOKUP_FOUND;
}

static bool sees_none(struct cache *cache)
{
	return stat_of(cache).entries == 0;
}

static bool puts_b(struct cache *cache)
{
	put(cache, TEXT("b.example"), 20, 1000);
	return get(cache, TEXT("b.example")) == LOOKUP_FOUND;
}

static void test_seen_here_before_others(void **state)
{
	struct cache *cache = open_batching(*state);

	put(cache, TEXT("a.example"), 10, 1000);
	assert_int_equal(size_of(cache, TEXT("a.example")), 10);
	assert_true(in_child(*state, sees_none));
	cache_settle(cache);
	assert_true(in_child(*state, sees_a));
	assert_int_equal(size_of(cache, TEXT("a.example")), 10);
	cache_settle(cache);
	assert_int_equal(stat_of(cache).entries, 1);
	cache_close(cache);
}

static void test_of_one_name_the_last_counts(void **state)
{
	struct cache *cache = open_batching(*state);

	put(cache, TEXT("a.example"), 10, 1000);
	cache_settle(cache);
	assert_int_equal(size_of(cache, TEXT("a.example")), 10);
	put(cache, TEXT("a.example"), 20, 9000);
	put(cache, TEXT("b.example"), 11, 1000);
	put(cache, TEXT("a.example"), 30, 5000);
	assert_int_equal(size_of(cache, TEXT("a.example")), 30);
	cache_settle(cache);
	assert_int_equal(size_of(cache, TEXT("a.example")), 30);
	assert_int_equal(stat_of(cache).entries, 2);
	cache_close(cache);
}

/* Who waits to be settled holds no lock. */
static void test_nobody_waits(void **state)
{
	struct cache *cache = open_batching(*state);

	put(cache, TEXT("a.example"), 10, 1000);
	assert_true(in_child(*state, puts_b));
	assert_int_equal(size_of(cache, TEXT("b.example")), 20);
	cache_settle(cache);
	assert_int_equal(stat_of(cache).entries, 2);
	cache_close(cache);
}

static bool sees_a_batch(struct cache *cache)
{
	return stat_of(cache).entries == CACHE_BATCH_MAX;
}

static void test_many_are_settled_by_themselves(void **state)
{
	struct cache *cache = open_batching(*state);
	char name[64];

	for (unsigned i = 0; i < CACHE_BATCH_MAX - 1; i++)
		put(cache, make_name(name, i), 100, 1000);
	assert_true(in_child(*state, sees_none));
	put(cache, make_name(name, CACHE_BATCH_MAX), 100, 1000);
	assert_true(in_child(*state, sees_a_batch));
	put(cache, make_name(name, CACHE_BATCH_MAX + 1), 100, 1000);
	assert_true(in_child(*state, sees_a_batch));
	cache_close(cache);
}

static void test_big_ones(void **state)
{
	struct cache *cache = open_batching(*state);
	char name[64];

	for (unsigned i = 0; i < 20; i++) {
		put(cache, make_name(name, i), i % 2 ? DNS_BYTES_MAX : 100, 1000);
		for (unsigned seen = 0; seen <= i; seen++)
			assert_int_equal(get(cache, make_name(name, seen)), LOOKUP_FOUND);
	}
	cache_settle(cache);
	assert_int_equal(stat_of(cache).entries, 20);
	cache_close(cache);
}

static void test_flush_takes_what_waits(void **state)
{
	struct cache *cache = open_batching(*state);

	put(cache, TEXT("a.example"), 10, 1000);
	put(cache, TEXT("b.example"), 10, 1000);
	assert_int_equal(flush(cache, TEXT("a.example")), 1);
	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_ABSENT);
	put(cache, TEXT("c.example"), 10, 1000);
	assert_int_equal(flush(cache, TEXT("")), 2);
	assert_int_equal(get(cache, TEXT("c.example")), LOOKUP_ABSENT);
	cache_settle(cache);
	assert_int_equal(get(cache, TEXT("b.example")), LOOKUP_ABSENT);
	cache_close(cache);
}

static void test_ends_settled(void **state)
{
	struct cache *cache = open_batching(*state);

	put(cache, TEXT("a.example"), 10, 1000);
	cache_close(cache);
	assert_true(in_child(*state, sees_a));
	cache = open_batching(*state);
	put(cache, TEXT("b.example"), 10, 1000);
	cache_batch(cache, false);
	assert_int_equal(flush(cache, TEXT("")), 2);
	put(cache, TEXT("a.example"), 10, 1000);
	assert_true(in_child(*state, sees_a));
	cache_close(cache);
}

/* As test_bound of test_cache.c: the bound holds, and what is small is not thrown away whole. */
static void test_bound(void **state)
{
	const unsigned names = 20000;
	struct cache *cache = open_batching(*state);
	struct cache_stat cached;
	struct stat info;
	char name[64];

	for (unsigned i = 0; i < names; i++)
		put(cache, make_name(name, i), 40, 1000000 + (int64_t)(i * 7 % names) * 1000);
	cached = stat_of(cache);
	assert_int_equal(cached.entries + cached.evicted, names);
	assert_true(cached.used_bytes <= cached.max_bytes * 4 / 5);
	assert_true(cached.used_bytes > cached.max_bytes / 2);
	assert_int_equal(stat(path_in(*state, "data.mdb"), &info), 0);
	assert_true(info.st_size <= 1 << 20);
	for (unsigned i = 0; i < names; i++)
		if (i * 7 % names > names - 500)
			assert_int_equal(get(cache, make_name(name, i)), LOOKUP_FOUND);
	cache_close(cache);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What cannot be written was never put; what was there before stays, and the next ones get in. */
static void test_commit_that_fails(void **state)
{
	struct cache *cache = open_batching(*state);

	(void)signal(SIGXFSZ, SIG_IGN);
	put(cache, TEXT("a.example"), 10, 1000);
	cache_settle(cache);
	put(cache, TEXT("a.example"), 20, 2000);
	put(cache, TEXT("b.example"), 10, 1000);
	limit_files(0);
	cache_settle(cache);
	limit_files(RLIM_INFINITY);
	assert_int_equal(size_of(cache, TEXT("a.example")), 10);
	assert_int_equal(get(cache, TEXT("b.example")), LOOKUP_ABSENT);
	put(cache, TEXT("b.example"), 20, 1000);
	cache_settle(cache);
	assert_int_equal(size_of(cache, TEXT("a.example")), 10);
	assert_int_equal(size_of(cache, TEXT("b.example")), 20);
	assert_true(in_child(*state, sees_a));
	cache_close(cache);
}

static void test_no_cache(void **state)
{
	(void)state;
	cache_batch(NULL, true);
	cache_settle(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_seen_here_before_others),
		TEST(test_of_one_name_the_last_counts),
		TEST(test_nobody_waits),
		TEST(test_many_are_settled_by_themselves),
		TEST(test_big_ones),
		TEST(test_flush_takes_what_waits),
		TEST(test_ends_settled),
		TEST(test_bound),
		TEST(test_commit_that_fails),
		cmocka_unit_test(test_no_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

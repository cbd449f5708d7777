/*
 * What the tests of the DNS cache share: a folder for each, entries, another process with a handle
 * of its own (a process opens one environment once).
 */
#ifndef TESTS_UNIT_CACHE_FIXTURE_H
#define TESTS_UNIT_CACHE_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/data/cache.h"

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static const struct cache_rules rules = {
	.max_ttl_s = 3600, .negative_max_ttl_s = 300, .stale_s = 86400};

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static inline int setup(void **state)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/policyd-cache-XXXXXX");
	assert_non_null(mkdtemp(dir));
	*state = dir;
	return 0;
}

static inline int teardown(void **state)
{
	return *state ? nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS) : 0;
}

static inline struct cache *open_cache(const char *dir, unsigned max_mb)
{
	char error[512] = "";
	struct cache *cache;

	if (cache_open(&cache, dir, max_mb, error, sizeof(error)) != ERR_OK)
		fail_msg("%s", error);
	return cache;
}

static inline const char *path_in(const char *dir, const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

static inline struct text make_name(char out[64], unsigned number)
{
	return (struct text){out, (size_t)snprintf(out, 64, "_mc.d%u.example", number)};
}

/* An answer of `size` bytes that came at stored_ms. */
static inline void put(struct cache *cache, struct text name, size_t size, int64_t stored_ms)
{
	static struct dns_answer answer;
	static struct cache_entry entry;
	static char txt[DNS_TEXT_MAX];

	memset(txt, 'x', sizeof(txt));
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	answer.status = LOOKUP_FOUND;
	answer.ttl_s = 100;
	for (size_t left = size; left > 0;) {
		size_t len = left < sizeof(txt) ? left : sizeof(txt);

		assert_true(dns_answer_add(&answer, (struct text){txt, len}));
		left -= len;
	}
	cache_entry_update(&entry, NULL, &answer, stored_ms, &rules);
	cache_put(cache, name, &entry);
}

static inline enum lookup get(struct cache *cache, struct text name)
{
	static struct cache_entry entry;

	return cache_get(cache, name, &entry);
}

/* Bytes of the one text that is there under this name. */
static inline size_t size_of(struct cache *cache, struct text name)
{
	static struct cache_entry entry;

	assert_int_equal(cache_get(cache, name, &entry), LOOKUP_FOUND);
	assert_int_equal(entry.answer.count, 1);
	return entry.answer.txt[0].len;
}

static inline struct cache_stat stat_of(struct cache *cache)
{
	struct cache_stat stat;

	assert_int_equal(cache_stat(cache, &rules, &stat), ERR_OK);
	return stat;
}

static inline uint64_t flush(struct cache *cache, struct text name)
{
	uint64_t removed = 99;

	assert_int_equal(cache_flush(cache, name, &removed), ERR_OK);
	return removed;
}

/* Runs body in a child with a handle of its own; true when it says so. */
static inline bool in_child(const char *dir, bool (*body)(struct cache *cache))
{
	pid_t child = fork();
	char error[512];
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		struct cache *cache;

		_exit(cache_open(&cache, dir, 1, error, sizeof(error)) == ERR_OK && body(cache)
				? 0
				: 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif

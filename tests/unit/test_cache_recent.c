/*
 * What a process remembers of the cache: the right row or none, whatever was forgotten meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/data/cache_recent.h"

static int setup(void **state)
{
	*state = cache_recent_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	cache_recent_free(*state);
	return 0;
}

static void assert_kept(
	struct cache_recent *recent, struct text name, struct text value, uint64_t change)
{
	const struct recent_row *row = cache_recent_find(recent, name);

	assert_non_null(row);
	assert_int_equal(row->change, change);
	assert_true(text_equal(recent_row_value(row), value));
}

static void test_keep_and_find(void **state)
{
	struct cache_recent *recent = *state;

	assert_null(cache_recent_find(recent, TEXT("a.example")));
	cache_recent_keep(recent, TEXT("a.example"), TEXT("one"), 7);
	cache_recent_keep(recent, TEXT("b.example"), TEXT(""), 8);
	assert_kept(recent, TEXT("a.example"), TEXT("one"), 7);
	assert_kept(recent, TEXT("b.example"), TEXT(""), 8);
	assert_null(cache_recent_find(recent, TEXT("a.exampl")));
	assert_null(cache_recent_find(recent, TEXT("a")));
	cache_recent_keep(recent, TEXT("a.example"), TEXT("another"), 9);
	assert_kept(recent, TEXT("a.example"), TEXT("another"), 9);
}

/* Names that differ in one byte only, wherever it is. */
static void test_names_of_any_length(void **state)
{
	struct cache_recent *recent = *state;
	char name[300];

	for (size_t len = 1; len <= 253; len++) {
		memset(name, 'a', len);
		cache_recent_keep(recent, (struct text){name, len}, TEXT("value"), len);
		assert_kept(recent, (struct text){name, len}, TEXT("value"), len);
		for (size_t i = 0; i < len; i++) {
			name[i] = 'b';
			assert_null(cache_recent_find(recent, (struct text){name, len}));
			name[i] = 'a';
		}
	}
}

static void test_bounds(void **state)
{
	struct cache_recent *recent = *state;
	static char value[RECENT_BYTES];
	struct text name = TEXT("a.example");

	cache_recent_keep(recent, name, (struct text){value, sizeof(value) - name.len + 1}, 1);
	assert_null(cache_recent_find(recent, name));
	cache_recent_keep(recent, name, (struct text){value, sizeof(value) - name.len}, 1);
	assert_kept(recent, name, (struct text){value, sizeof(value) - name.len}, 1);
}

static struct text make(char out[600], unsigned number, bool is_value)
{
	int len = snprintf(out, 600, "%s%u.%0*u", is_value ? "value" : "d", number,
		(int)(is_value ? number * 7 % 500 : 1), number);

	return (struct text){out, (size_t)len};
}

/* Much more than there is room for. */
static void test_forgets_and_never_mixes(void **state)
{
	struct cache_recent *recent = *state;
	char name[600], value[600];
	unsigned found = 0;

	for (unsigned i = 0; i < 60000; i++) {
		cache_recent_keep(recent, make(name, i, false), make(value, i, true), i);
		assert_kept(recent, make(name, i, false), make(value, i, true), i);
		for (unsigned back = 1; back < 3000 && back <= i; back += 701) {
			unsigned old = i - back;

			if (!cache_recent_find(recent, make(name, old, false)))
				continue;
			assert_kept(recent, make(name, old, false), make(value, old, true), old);
			found++;
		}
	}
	assert_true(found > 60000);
}

static void test_without_memory(void **state)
{
	(void)state;
	cache_recent_keep(NULL, TEXT("a.example"), TEXT("one"), 7);
	assert_null(cache_recent_find(NULL, TEXT("a.example")));
	cache_recent_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keep_and_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_of_any_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgets_and_never_mixes, setup, teardown),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

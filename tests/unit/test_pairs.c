/* The set of pairs: order, duplicates, what comes back is what went in. */
#include "tests/unit/table_fixture.h"

static void expect(const struct pairs *pairs, size_t index, const char *pattern, const char *owner)
{
	struct pair pair;

	pairs_at(pairs, index, &pair);
	assert_string_equal_text(pair.entry.pattern, pattern);
	assert_string_equal_text(pair.entry.owner, owner);
}

static void test_order_is_that_of_keys(void **state)
{
	struct pairs *pairs = fixture_pairs("joe@b.example zoe\n"
					    "joe@a.example x\n"
					    "bill*@b.example x\n"
					    "joe@b.example !Adam\n"
					    "@b.example *\n"
					    "joe x\n"
					    "@.b.example @c.example\n"
					    "joe@sub.b.example x\n");

	(void)state;
	expect(pairs, 0, "joe", "x");
	expect(pairs, 1, "joe@a.example", "x");
	expect(pairs, 2, "@b.example", "*");
	expect(pairs, 3, "@.b.example", "@c.example");
	expect(pairs, 4, "bill*@b.example", "x");
	expect(pairs, 5, "joe@b.example", "!Adam");
	expect(pairs, 6, "joe@b.example", "zoe");
	expect(pairs, 7, "joe@sub.b.example", "x");
	pairs_free(pairs);
}

static void test_all_fields_come_back(void **state)
{
	char comment[ROW_COMMENT_MAX];
	struct row_entry entry = {.pattern = TEXT("Joe@B\xc3\xbc"
						  "cher.Example"),
		.owner = TEXT("!Alice@Example"),
		.expires = {.until = 1234567890123, .is_date = true},
		.comment = {comment, sizeof(comment)}};
	struct pairs *pairs;
	struct pair pair;

	(void)state;
	memset(comment, '#', sizeof(comment));
	assert_int_equal(pairs_new(&pairs), ERR_OK);
	fixture_add_entry(pairs, &entry, 77);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	pairs_at(pairs, 0, &pair);
	assert_true(text_equal(pair.entry.pattern, entry.pattern));
	assert_true(text_equal(pair.entry.owner, entry.owner));
	assert_true(text_equal(pair.entry.comment, entry.comment));
	assert_int_equal(pair.entry.expires.until, 1234567890123);
	assert_true(pair.entry.expires.is_date);
	assert_int_equal(pair.line, 77);
	assert_int_equal(pair.kind, PATTERN_EXACT);
	assert_true(pair.member_key.ptr == pair.row_key.ptr);
	assert_int_equal(pair.member_key.len, pair.row_key.len + 2 + strlen("alice@example"));
	pairs_free(pairs);
}

struct conflicts {
	size_t count;
	uint32_t first, other;
};

static void on_conflict(void *ctx, const struct pair *first, const struct pair *other)
{
	struct conflicts *seen = ctx;

	seen->count++;
	seen->first = first->line;
	seen->other = other->line;
}

static void test_unique_keeps_the_first(void **state)
{
	struct pairs *pairs;
	struct conflicts seen = {0};
	struct pair pair;

	(void)state;
	assert_int_equal(pairs_new(&pairs), ERR_OK);
	fixture_add(pairs, "joe@a.example", "x", 0);
	fixture_add(
		pairs, "Joe@a.example", "x", 0); /* typed otherwise: another pair of the same row */
	fixture_add(pairs, "joe@a.example", "x", 0);
	fixture_add(pairs, "joe@b.example", "x", 100);
	fixture_add(pairs, "joe@b.example", "x", 200);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	assert_int_equal(pairs_unique(pairs, on_conflict, &seen), 2);
	assert_int_equal(pairs_count(pairs), 3);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.first, 4);
	assert_int_equal(seen.other, 5);
	pairs_at(pairs, 2, &pair);
	assert_int_equal(pair.entry.expires.until, 100);
	pairs_free(pairs);
}

/* Long shared beginnings, keys that end where others go on, and very many equal ones. */
static void add_random(struct pairs *pairs, size_t index)
{
	static const char *const domains[] = {"a", "a.a", "aaaaaaa", "aaaaaaaa", "aaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaa.b", "b.example", "", "xn--bcher-kva.example"};
	char pattern[128], owner[64];
	unsigned which = (unsigned)rand() % 9;

	snprintf(pattern, sizeof(pattern), "%.*s%s%s", 1 + rand() % 20, "jjjjjjjjjjjjjjjjjjjjjjjj",
		domains[which][0] ? "@" : "", domains[which]);
	snprintf(owner, sizeof(owner), "%s%c%d", rand() % 5 ? "" : "!", rand() % 2 ? 'O' : 'o',
		rand() % 200);
	fixture_add(pairs, pattern, owner, (int64_t)index % 7);
}

static void test_sort_of_many(void **state)
{
	const size_t count = 50000;
	struct pairs *pairs;
	struct pair before, pair;

	(void)state;
	srand(7);
	assert_int_equal(pairs_new(&pairs), ERR_OK);
	for (size_t i = 0; i < count; i++)
		add_random(pairs, i);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	assert_int_equal(pairs_count(pairs), count);
	pairs_at(pairs, 0, &before);
	for (size_t i = 1; i < count; i++) {
		int order;

		pairs_at(pairs, i, &pair);
		order = pair_compare(&before, &pair);
		assert_true(order < 0 || (order == 0 && before.line < pair.line));
		before = pair;
	}
	pairs_unique(pairs, NULL, NULL);
	for (size_t i = 1; i < pairs_count(pairs); i++) {
		pairs_at(pairs, i - 1, &before);
		pairs_at(pairs, i, &pair);
		assert_true(pair_compare(&before, &pair) < 0);
	}
	pairs_free(pairs);
}

static void test_one_key_for_all(void **state)
{
	struct pairs *pairs;
	struct pair pair;

	(void)state;
	assert_int_equal(pairs_new(&pairs), ERR_OK);
	for (int i = 0; i < 3000; i++)
		fixture_add(pairs, "joe@a.example", "x", 0);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	assert_int_equal(pairs_unique(pairs, NULL, NULL), 2999);
	pairs_at(pairs, 0, &pair);
	assert_int_equal(pair.line, 1);
	pairs_free(pairs);
}

static void test_empty(void **state)
{
	struct pairs *pairs;

	(void)state;
	assert_int_equal(pairs_new(&pairs), ERR_OK);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	assert_int_equal(pairs_unique(pairs, NULL, NULL), 0);
	assert_int_equal(pairs_count(pairs), 0);
	pairs_free(pairs);
	pairs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_that_of_keys),
		cmocka_unit_test(test_all_fields_come_back),
		cmocka_unit_test(test_unique_keeps_the_first),
		cmocka_unit_test(test_sort_of_many),
		cmocka_unit_test(test_one_key_for_all),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

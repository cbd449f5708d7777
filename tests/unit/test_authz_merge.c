/* Pairs of the table merged, deleted and rolled back, in place and by a rewrite. */
#include "tests/unit/table_fixture.h"

static struct fixture_question question;

static struct authz_delta merge(
	struct authz *authz, struct authz_merge merge, const char *lines, int64_t until)
{
	struct pairs *pairs = fixture_pairs("");
	char error[AUTHZ_ERROR_MAX] = "", pattern[256], owner[256];
	struct authz_delta delta;
	int used;

	for (; sscanf(lines, "%255s %255s%n", pattern, owner, &used) == 2; lines += used)
		fixture_add(pairs, pattern, owner, until);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	merge.pairs = pairs;
	merge.now = 2000;
	if (authz_merge(authz, &merge, &delta, error) != ERR_OK)
		fail_msg("%s", error);
	pairs_free(pairs);
	return delta;
}

static struct authz_delta roll_back(struct authz *authz)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz_delta delta;

	if (authz_rollback(authz, 3000, &delta, error) != ERR_OK)
		fail_msg("%s", error);
	return delta;
}

static void count_missing(void *ctx, const struct pair *pair)
{
	(void)pair;
	++*(int *)ctx;
}

static void test_merge_and_rollback(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct authz_meta before, after;
	struct authz_delta delta;
	int missing = 0;

	fixture_replace(authz, fixture_pairs("a@b x\nc@b y\n@d z\n"));
	expect_meta(authz, LOOKUP_FOUND, &before);
	delta = merge(
		authz, (struct authz_merge){.is_dry_run = true}, "a@b new\nc@b y\n*@e q\n", 0);
	expect_delta(&delta, 2, 0, 0, 1);
	expect_meta(authz, LOOKUP_FOUND, &after);
	assert_memory_equal(&before, &after, sizeof(before));

	delta = merge(authz, (struct authz_merge){0}, "a@b new\nc@b y\n*@e q\n", 0);
	expect_delta(&delta, 2, 0, 0, 1);
	expect_whole(*state);
	assert_true(expect_one(authz, &question, "new", "a@b")->row.until[OWNER_LOGIN][false] > 0);
	expect_one(authz, &question, "q", "any@e");
	expect_meta(authz, LOOKUP_FOUND, &after);
	assert_int_equal(after.sequence, before.sequence + 1);
	assert_int_equal(after.undo, UNDO_LIST);
	assert_int_equal(after.generation[after.current].domains, 3);

	delta = merge(authz, (struct authz_merge){0}, "a@b x\n", 77);
	expect_delta(&delta, 0, 0, 1, 0);
	delta = merge(authz,
		(struct authz_merge){.is_delete = true, .missing = count_missing, .ctx = &missing},
		"@d z\n@d nobody\nnone@none none\n", 0);
	expect_delta(&delta, 0, 1, 0, 0);
	assert_int_equal(missing, 2);
	expect_whole(*state);
	assert_int_equal(fixture_find(authz, &question, "z", "any@d")->count, 0);

	delta = roll_back(authz);
	expect_delta(&delta, 1, 0, 0, 0);
	expect_whole(*state);
	expect_one(authz, &question, "z", "any@d");
	delta = roll_back(authz);
	expect_delta(&delta, 0, 1, 0, 0);
	assert_int_equal(fixture_find(authz, &question, "z", "any@d")->count, 0);
	expect_whole(*state);
	authz_close(authz);
}

static void test_rollback_of_a_load(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct authz_meta meta;
	struct authz_delta delta;
	char error[AUTHZ_ERROR_MAX];

	fixture_replace(authz, fixture_pairs("a@b x\n"));
	assert_int_equal(authz_rollback(authz, 1, &delta, error), ERR_ABSENT);
	fixture_replace(authz, fixture_pairs("a@b x\na@b y\nc@d z\n"));
	delta = roll_back(authz);
	expect_delta(&delta, 0, 2, 0, 1);
	assert_int_equal(fixture_find(authz, &question, "z", "c@d")->count, 0);
	expect_meta(authz, LOOKUP_FOUND, &meta);
	assert_int_equal(meta.sequence, 3);
	delta = roll_back(authz);
	expect_delta(&delta, 2, 0, 0, 1);
	expect_one(authz, &question, "z", "c@d");
	expect_whole(*state);
	authz_close(authz);
}

static void test_merge_without_change_keeps_the_way_back(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct authz_meta before, after;

	fixture_replace(authz, fixture_pairs("a@b x\n"));
	merge(authz, (struct authz_merge){0}, "a@b y\n", 0);
	expect_meta(authz, LOOKUP_FOUND, &before);
	merge(authz, (struct authz_merge){0}, "a@b y\n", 0);
	expect_meta(authz, LOOKUP_FOUND, &after);
	assert_int_equal(before.sequence, after.sequence);
	roll_back(authz);
	assert_int_equal(
		expect_one(authz, &question, "y", "a@b")->row.until[OWNER_LOGIN][false], 0);
	authz_close(authz);
}

static void test_merge_without_a_table(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct authz_delta delta = merge(authz, (struct authz_merge){0}, "a@b x\n", 0);

	expect_delta(&delta, 1, 0, 0, 0);
	expect_one(authz, &question, "x", "a@b");
	expect_whole(*state);
	authz_close(authz);
}

static void test_merge_into_spilled_row(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = fixture_pairs("");
	struct authz_meta before, after;
	struct authz_delta delta;

	for (int i = 0; i < 300; i++) {
		char owner[32];

		snprintf(owner, sizeof(owner), "login%d", i);
		fixture_add(pairs, "list@b", owner, 50);
	}
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	fixture_replace(authz, pairs);
	expect_meta(authz, LOOKUP_FOUND, &before);
	delta = merge(
		authz, (struct authz_merge){0}, "list@b login7\nlist@b Login7\nlist@b zoe\n", 99);
	expect_delta(&delta, 2, 0, 1, 0);
	expect_whole(*state);
	assert_int_equal(
		expect_one(authz, &question, "zoe", "list@b")->row.until[OWNER_LOGIN][false], 99);
	assert_int_equal(expect_one(authz, &question, NULL, "list@b")->row.allow_until, 99);
	delta = roll_back(authz);
	expect_delta(&delta, 0, 2, 1, 0);
	expect_whole(*state);
	assert_int_equal(expect_one(authz, &question, NULL, "list@b")->row.allow_until, 50);
	expect_meta(authz, LOOKUP_FOUND, &after);
	assert_true(before.generation[0].digest == after.generation[0].digest);
	assert_true(before.generation[1].digest == after.generation[1].digest);
	authz_close(authz);
}

/* The small world of the random merges: which pairs there are, and until when. */
#define PATTERNS 14
#define OWNERS   120
static const char *const patterns[PATTERNS] = {"a@b", "A@b", "a*@b", "@b", "@.b", "c", "c@d", "d@d",
	"@.d", "e@\xc3\xbc", "e@xn--tda", "f*@d", "f@d", "C@D"};

struct world {
	int64_t until[PATTERNS][OWNERS]; /* -1: not there */
};

static void owner_name(int index, char out[16])
{
	snprintf(out, 16, "%s%s%d", index % 7 ? "" : "!", index % 3 ? "login" : "@Dom", index);
}

static struct pairs *random_pairs(bool is_delete, int count)
{
	struct pairs *pairs = fixture_pairs("");

	for (int i = 0; i < count; i++) {
		int p = rand() % PATTERNS, o = rand() % OWNERS;
		int64_t until = rand() % 3;
		char owner[16];

		if (rand() % 2)
			p = 0;
		owner_name(o, owner);
		fixture_add(pairs, patterns[p], owner, until && !is_delete ? 100 + until : 0);
	}
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	pairs_unique(pairs, NULL, NULL);
	return pairs;
}

static void settle(struct world *world, const struct pairs *pairs, bool is_delete)
{
	for (size_t i = 0; i < pairs_count(pairs); i++) {
		struct pair pair;
		char owner[16];

		pairs_at(pairs, i, &pair);
		for (int p = 0; p < PATTERNS; p++) {
			if (!text_equal(text_of(patterns[p]), pair.entry.pattern))
				continue;
			for (int o = 0; o < OWNERS; o++) {
				owner_name(o, owner);
				if (text_equal(text_of(owner), pair.entry.owner))
					world->until[p][o] =
						is_delete ? -1 : pair.entry.expires.until;
			}
		}
	}
}

struct count {
	const struct world *world;
	uint64_t seen;
};

static bool check_pair(void *ctx, const struct pair *pair)
{
	struct count *count = ctx;
	char owner[16];

	for (int p = 0; p < PATTERNS; p++) {
		if (!text_equal(text_of(patterns[p]), pair->entry.pattern))
			continue;
		for (int o = 0; o < OWNERS; o++) {
			owner_name(o, owner);
			if (!text_equal(text_of(owner), pair->entry.owner))
				continue;
			assert_int_equal(count->world->until[p][o], pair->entry.expires.until);
			count->seen++;
		}
	}
	return true;
}

static void expect_world(struct authz *authz, const struct world *world)
{
	struct count count = {.world = world};
	struct authz_meta meta;
	uint64_t pairs = 0;

	for (int p = 0; p < PATTERNS; p++)
		for (int o = 0; o < OWNERS; o++)
			pairs += world->until[p][o] >= 0;
	assert_int_equal(authz_begin(authz, &meta), LOOKUP_FOUND);
	assert_int_equal(authz_scan(authz, check_pair, &count), LOOKUP_FOUND);
	authz_end(authz);
	assert_int_equal(count.seen, pairs);
	assert_int_equal(meta.generation[meta.current].pairs, pairs);
}

static void test_random_merges(void **state)
{
	static struct world world, before;
	struct authz *authz = fixture_open(*state, false);

	srand(11);
	memset(&world, 0xff, sizeof(world));
	fixture_replace(authz, fixture_pairs(""));
	for (int round = 0; round < 150; round++) {
		bool is_delete = rand() % 5 < 2;
		struct pairs *pairs;
		struct authz_delta delta;
		char error[AUTHZ_ERROR_MAX] = "";

		before = world;
		pairs = random_pairs(is_delete, 1 + rand() % (round % 3 ? 20 : 300));
		settle(&world, pairs, is_delete);
		if (authz_merge(authz,
			    &(struct authz_merge){.pairs = pairs, .is_delete = is_delete, .now = 1},
			    &delta, error) != ERR_OK)
			fail_msg("%s", error);
		pairs_free(pairs);
		expect_world(authz, &world);
		expect_whole(*state);
		if (rand() % 3 == 0 && delta.added + delta.removed + delta.updated > 0) {
			roll_back(authz);
			expect_world(authz, &before);
			expect_whole(*state);
			if (rand() % 2) {
				world = before;
			} else {
				roll_back(authz);
				expect_world(authz, &world);
			}
		}
	}
	authz_close(authz);
}

static void test_large_merge_is_a_rewrite(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = many_owners();
	struct authz_delta delta;
	struct authz_meta meta;
	char error[AUTHZ_ERROR_MAX] = "";

	fixture_replace(authz, fixture_pairs("zoe@b.example x\nlist@b.example login1@x.example\n"));
	assert_int_equal(
		authz_merge(authz, &(struct authz_merge){.pairs = pairs, .is_dry_run = true},
			&delta, error),
		ERR_OK);
	expect_delta(&delta, MANY + 1, 0, 1, 0);
	assert_int_equal(
		authz_merge(authz, &(struct authz_merge){.pairs = pairs, .now = 5}, &delta, error),
		ERR_OK);
	expect_delta(&delta, MANY + 1, 0, 1, 0);
	expect_whole(*state);
	expect_one(authz, &question, "x", "zoe@b.example");
	expect_meta(authz, LOOKUP_FOUND, &meta);
	assert_int_equal(meta.undo, UNDO_GENERATION);
	assert_int_equal(authz_merge(authz,
				 &(struct authz_merge){.pairs = pairs, .is_delete = true, .now = 5},
				 &delta, error),
		ERR_OK);
	expect_delta(&delta, 0, MANY + 2, 0, 0);
	expect_whole(*state);
	expect_meta(authz, LOOKUP_FOUND, &meta);
	assert_int_equal(meta.generation[meta.current].pairs, 1);
	pairs_free(pairs);
	authz_close(authz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_merge_and_rollback),
		FIXTURE_TEST(test_rollback_of_a_load),
		FIXTURE_TEST(test_merge_without_change_keeps_the_way_back),
		FIXTURE_TEST(test_merge_without_a_table),
		FIXTURE_TEST(test_merge_into_spilled_row),
		FIXTURE_TEST(test_random_merges),
		FIXTURE_TEST(test_large_merge_is_a_rewrite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

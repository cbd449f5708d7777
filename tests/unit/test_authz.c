/* The table: replaced, asked, compared, locked. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/table_fixture.h"

static struct fixture_question question;

static void test_nothing_there(void **state)
{
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;
	struct authz_meta meta;
	struct authz_delta delta;
	struct stat info;
	char path[128];

	assert_int_equal(
		authz_open(&authz, *state, FIXTURE_MAP_MB, true, error, sizeof(error)), ERR_ABSENT);
	snprintf(path, sizeof(path), "%s/table", (char *)*state);
	assert_int_not_equal(stat(path, &info), 0);
	authz = fixture_open(*state, false);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	expect_meta(authz, LOOKUP_ABSENT, &meta);
	assert_false(meta.is_loaded);
	assert_int_equal(authz_rollback(authz, 1, &delta, error), ERR_ABSENT);
	assert_int_equal(authz_verify_in_child(*state, FIXTURE_MAP_MB, -1, error), ERR_ABSENT);
	authz_close(authz);
}

static void test_find_each_kind(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	const struct table_facts *facts;
	const struct table_fact *fact;

	fixture_replace(authz, fixture_pairs("joe@b.example alice@x\n"
					     "Joe@B.example !bob@x\n"
					     "bill*@b.example *\n"
					     "*sales@b.example @x\n"
					     "@c.example @x\n"
					     "@.example boss@x\n"));
	expect_whole(*state);

	facts = fixture_find(authz, &question, "alice@x", "JOE@b.example");
	assert_int_equal(facts->count, 2);
	assert_int_equal(facts->facts[0].candidate, 0);
	assert_true(facts->facts[0].row.until[OWNER_LOGIN][false] == INT64_MAX);
	assert_int_equal(facts->facts[1].candidate, 3);
	assert_true(facts->facts[1].row.named);
	assert_int_equal(facts->facts[1].row.until[OWNER_LOGIN][false], 0);

	facts = fixture_find(authz, &question, "bob@x", "billsales@b.example");
	assert_int_equal(facts->count, 3);
	assert_string_equal_text(facts->facts[0].glob, "*sales");
	assert_string_equal_text(facts->facts[1].glob, "bill*");
	assert_true(facts->facts[0].row.until[OWNER_DOMAIN][false] > 0);
	assert_true(facts->facts[1].row.until[OWNER_ANY][false] > 0);

	fact = &fixture_find(authz, &question, "bob@x", "anyone@c.example")->facts[0];
	assert_true(fact->row.until[OWNER_DOMAIN][false] > 0);

	facts = fixture_find(authz, &question, "bob@x", "joe@nowhere.test");
	assert_int_equal(facts->count, 0);
	fact = expect_one(authz, &question, NULL, "joe@deep.sub.example");
	assert_true(fact->row.named && fact->row.has_allow);
	authz_close(authz);
}

static void test_expires_and_reader_sees_the_load(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = fixture_pairs("");
	const struct table_fact *fact;
	struct authz_meta meta;

	fixture_add(pairs, "joe@b", "alice", 500);
	fixture_add(pairs, "joe@b", "Alice", 900);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	fixture_replace(authz, pairs);
	fact = expect_one(authz, &question, "alice", "joe@b");
	assert_int_equal(fact->row.until[OWNER_LOGIN][false], 900);
	assert_int_equal(fact->row.allow_until, 900);
	expect_meta(authz, LOOKUP_FOUND, &meta);
	assert_int_equal(meta.sequence, 1);
	assert_int_equal(meta.generation[meta.current].pairs, 2);
	assert_int_equal(meta.generation[meta.current].rows.of_kind[PATTERN_EXACT], 1);
	assert_int_equal(meta.generation[meta.current].domains, 1);
	assert_int_equal(meta.generation[meta.current].loaded_at, 1000);
	authz_close(authz);
}

static void test_literal_question(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	const struct table_facts *facts;
	struct authz_meta meta;
	struct candidate *candidate;

	fixture_replace(authz, fixture_pairs("b*@c !Alice\nbob@c alice\n"));
	fixture_ask(&question, "!alice", "B*@c");
	question.decision.question.mode = FILTER_LITERAL;
	question.decision.candidate_count = 0;
	candidate = fixture_candidate(&question, PATTERN_GLOB);
	candidate->local = question.sender.local;
	candidate->want = TEXT("b*@c");
	candidate->literal = true;
	assert_int_equal(authz_begin(authz, &meta), LOOKUP_FOUND);
	authz_find(authz, &question.decision, &question.facts);
	authz_end(authz);
	facts = &question.facts;
	assert_int_equal(facts->count, 1);
	assert_true(facts->facts[0].row.until[OWNER_LOGIN][false] > 0);
	authz_close(authz);
}

static void test_long_texts(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = fixture_pairs("");
	char local[400], sender[410], login[5000];

	memset(local, 'l', sizeof(local));
	memset(login, 'o', sizeof(login));
	local[399] = login[4999] = '\0';
	snprintf(sender, sizeof(sender), "%s@b", local);
	fixture_add(pairs, sender, login, 0);
	fixture_add(pairs, "*lllll@b", login, 0);
	local[0] = '*';
	snprintf(sender, sizeof(sender), "%s@b", local);
	fixture_add(pairs, sender, login, 0);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	fixture_replace(authz, pairs);
	expect_whole(*state);
	sender[0] = 'l';
	assert_int_equal(fixture_find(authz, &question, login, sender)->count, 3);
	assert_true(question.facts.facts[0].row.until[OWNER_LOGIN][false] > 0);
	login[4998] = 'x';
	assert_int_equal(fixture_find(authz, &question, login, sender)->count, 3);
	assert_int_equal(question.facts.facts[0].row.until[OWNER_LOGIN][false], 0);
	sender[1] = 'x';
	assert_int_equal(fixture_find(authz, &question, login, sender)->count, 1);
	authz_close(authz);
}

static void test_spilled_row(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	const struct table_fact *fact;
	struct authz_meta meta;

	fixture_replace(authz, many_owners());
	expect_whole(*state);
	fact = expect_one(authz, &question, "LOGIN4242@x.example", "list@b.example");
	assert_int_equal(fact->row.until[OWNER_LOGIN][false], 100 + 242);
	assert_int_equal(fact->row.until[OWNER_LOGIN][true], 0);
	assert_true(fact->row.allow_until == INT64_MAX);
	fact = expect_one(authz, &question, "login99@x.example", "list@b.example");
	assert_int_equal(fact->row.until[OWNER_LOGIN][true], 199);
	fact = expect_one(authz, &question, "new@y.example", "list@b.example");
	assert_true(fact->row.until[OWNER_DOMAIN][false] == INT64_MAX);
	fact = expect_one(authz, &question, "stranger@z.example", "list@b.example");
	assert_true(fact->row.named);
	assert_int_equal(fact->row.until[OWNER_DOMAIN][false], 0);
	fact = expect_one(authz, &question, NULL, "list@b.example");
	assert_true(fact->row.has_allow && fact->row.allow_until == INT64_MAX);
	expect_meta(authz, LOOKUP_FOUND, &meta);
	assert_int_equal(meta.generation[meta.current].pairs, MANY + 2);
	assert_int_equal(meta.generation[meta.current].rows.of_kind[PATTERN_EXACT], 2);

	/* The summary knows the patterns as typed. */
	fixture_ask(&question, NULL, "list@b.example");
	question.decision.question.mode = FILTER_KEEP;
	question.decision.candidates[0].want = TEXT("LIST");
	assert_int_equal(authz_begin(authz, &meta), LOOKUP_FOUND);
	authz_find(authz, &question.decision, &question.facts);
	assert_false(question.facts.facts[0].row.has_allow);
	question.decision.candidates[0].want = TEXT("List");
	authz_find(authz, &question.decision, &question.facts);
	authz_end(authz);
	assert_true(question.facts.facts[0].row.has_allow);
	assert_int_equal(question.facts.facts[0].row.allow_until, 100 + 998);
	authz_close(authz);
}

static void collect(void *ctx, char sign, const struct pair *pair)
{
	char *out = ctx;
	size_t len = strlen(out);

	snprintf(out + len, 256 - len, "%c%.*s %.*s;", sign, TEXT_ARG(pair->entry.pattern),
		TEXT_ARG(pair->entry.owner));
}

static void test_diff(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = fixture_pairs("a@b x\nc@b y\nnew@b z\n");
	struct authz_delta delta;
	char seen[256] = "";

	assert_int_equal(authz_diff(NULL, pairs, &delta, NULL, NULL), ERR_OK);
	expect_delta(&delta, 3, 0, 0, 0);
	assert_int_equal(authz_diff(authz, pairs, &delta, NULL, NULL), ERR_OK);
	expect_delta(&delta, 3, 0, 0, 0);
	fixture_replace(authz, fixture_pairs("a@b x\na@b old\nc@b y\nzz@b gone\n"));
	fixture_add(pairs, "c@b", "Y", 5);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	assert_int_equal(authz_diff(authz, pairs, &delta, collect, seen), ERR_OK);
	expect_delta(&delta, 2, 2, 0, 2);
	assert_string_equal(seen, "-a@b old;+c@b Y;+new@b z;-zz@b gone;");
	pairs_free(pairs);
	authz_close(authz);
}

static void test_too_many_globs(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = fixture_pairs("");
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz_delta delta;
	struct authz_meta meta;

	fixture_replace(authz, fixture_pairs("kept@b.example x\n"));
	for (int i = 0; i <= DOMAIN_GLOBS_MAX; i++) {
		char pattern[64];

		snprintf(pattern, sizeof(pattern), "g%d*@b.example", i);
		fixture_add(pairs, pattern, "x", 0);
	}
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	assert_int_equal(authz_replace(authz, pairs, 1, NULL, error), ERR_INVALID);
	assert_non_null(strstr(error, "b.example"));
	assert_int_equal(authz_merge(authz, &(struct authz_merge){.pairs = pairs}, &delta, error),
		ERR_INVALID);
	assert_non_null(strstr(error, "b.example"));
	expect_meta(authz, LOOKUP_FOUND, &meta);
	assert_int_equal(meta.sequence, 1);
	expect_whole(*state);
	pairs_free(pairs);
	authz_close(authz);
}

static void test_lock(void **state)
{
	char error[AUTHZ_ERROR_MAX] = "", expected[64];
	struct authz_lock *lock, *other;

	assert_int_equal(authz_lock_take(&lock, *state, "policyctl load", error), ERR_OK);
	assert_int_equal(authz_lock_take(&other, *state, "policyctl rollback", error), ERR_BUSY);
	snprintf(expected, sizeof(expected), "held by policyctl load, pid %ld, since 2",
		(long)getpid());
	assert_non_null(strstr(error, expected));
	authz_lock_release(lock);
	assert_int_equal(authz_lock_take(&lock, *state, "policyctl rollback", error), ERR_OK);
	authz_lock_release(lock);
	authz_lock_release(NULL);
}

/* A daemon's worker: opens read only, and is told of each load by another process. */
static void run_reader(const char *dir, int in, int out)
{
	struct authz *authz = fixture_open(dir, true);
	struct authz_meta meta;
	char step;

	while (read(in, &step, 1) == 1) {
		if (authz_begin(authz, &meta) != LOOKUP_FOUND)
			_exit(1);
		authz_end(authz);
		step = (char)meta.generation[meta.current].pairs;
		if (write(out, &step, 1) != 1)
			_exit(2);
	}
	_exit(0);
}

static void test_another_process_reads(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	int to[2], from[2], status;
	char pairs;
	pid_t child;

	fixture_replace(authz, fixture_pairs("a@b x\n"));
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	child = fork();
	if (child == 0) {
		close(to[1]);
		run_reader(*state, to[0], from[1]);
	}
	close(to[0]);
	assert_int_equal(write(to[1], "?", 1), 1);
	assert_int_equal(read(from[0], &pairs, 1), 1);
	assert_int_equal(pairs, 1);
	fixture_replace(authz, fixture_pairs("a@b x\na@b y\n"));
	assert_int_equal(write(to[1], "?", 1), 1);
	assert_int_equal(read(from[0], &pairs, 1), 1);
	assert_int_equal(pairs, 2);
	close(to[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(from[0]);
	close(from[1]);
	authz_close(authz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_nothing_there),
		FIXTURE_TEST(test_find_each_kind),
		FIXTURE_TEST(test_expires_and_reader_sees_the_load),
		FIXTURE_TEST(test_literal_question),
		FIXTURE_TEST(test_long_texts),
		FIXTURE_TEST(test_spilled_row),
		FIXTURE_TEST(test_diff),
		FIXTURE_TEST(test_too_many_globs),
		FIXTURE_TEST(test_lock),
		FIXTURE_TEST(test_another_process_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

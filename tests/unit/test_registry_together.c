/* Several processes write the ownership register at once: nothing is lost, no number is given
 * twice. */
#include <sys/wait.h>

#include "tests/unit/registry_fixture.h"

#define WRITERS 6
#define EACH    40

/* Of a writer: half of its claims are on one domain, and only the first of these is news. */
#define LINES_EACH (EACH + EACH / 2 + 1)

/* A child has no test to fail: it ends with 1. */
static void add_claims(struct registry *registry, int writer, int i)
{
	char domain[64], tenant[16];
	struct registry_change change;
	struct registry_outcome outcome;

	/* On a domain that all claim, and on one of its own. */
	snprintf(domain, sizeof(domain), i % 2 ? "shared.example" : "own%d-%d.example", writer, i);
	snprintf(tenant, sizeof(tenant), "t%d", writer);
	change = fixture_change(CLAIM_ADD, domain, tenant);
	if (registry_change(registry, &change, &outcome) != ERR_OK ||
		outcome.word == CLAIM_IMPOSSIBLE)
		_exit(1);
}

static void allow(struct registry *registry, int writer, int i)
{
	char login[64];
	struct sender_entry entry = {.is_pending = i % 2};
	struct registry_sender_change change = {.edit = SENDER_ADD,
		.domain = TEXT("allowed.example"),
		.tenant = TEXT("t"),
		.entries = &entry,
		.count = 1,
		.now = NOW};
	struct registry_sender_outcome outcome;

	snprintf(login, sizeof(login), "login%d-%d@x.example", writer, i);
	entry.login = text_of(login);
	if (registry_change_senders(registry, &change, &outcome) != ERR_OK || outcome.changed != 1)
		_exit(1);
}

static pid_t start_writer(const char *dir, int writer)
{
	pid_t child = fork();
	char error[REGISTRY_ERROR_MAX];
	struct registry *registry;

	if (child != 0)
		return child;
	if (registry_open(&registry, dir, REGISTRY_MAP_MB, false, error) != ERR_OK)
		_exit(1);
	for (int i = 0; i < EACH; i++) {
		add_claims(registry, writer, i);
		allow(registry, writer, i);
	}
	registry_close(registry);
	_exit(0);
}

static void run_writers(const char *dir)
{
	pid_t writers[WRITERS];

	for (int i = 0; i < WRITERS; i++)
		writers[i] = start_writer(dir, i);
	for (int i = 0; i < WRITERS; i++) {
		int status = -1;

		assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
		assert_int_equal(status, 0);
	}
}

static bool count_line(void *ctx, const struct audit_entry *entry)
{
	assert_int_equal(entry->number, ++*(uint64_t *)ctx);
	return true;
}

static void expect_all(struct registry *registry)
{
	char domain[64], tenant[16];
	struct claim claim = fixture_claim(registry, "allowed.example", "t");
	struct registry_stat stat = fixture_stat(registry);
	uint64_t lines = 0;

	assert_int_equal(claim.senders, WRITERS * EACH / 2);
	assert_int_equal(claim.senders_pending, WRITERS * EACH / 2);
	for (int writer = 0; writer < WRITERS; writer++) {
		snprintf(tenant, sizeof(tenant), "t%d", writer);
		assert_int_equal(fixture_state(registry, "shared.example", tenant), CLAIM_PENDING);
		for (int i = 0; i < EACH; i += 2) {
			snprintf(domain, sizeof(domain), "own%d-%d.example", writer, i);
			assert_int_equal(fixture_state(registry, domain, tenant), CLAIM_PENDING);
		}
	}
	/* Each change has its line, and no two have the same number. */
	assert_int_equal(stat.last_audit, 1 + WRITERS * LINES_EACH);
	assert_true(registry_begin(registry));
	assert_int_equal(registry_scan_audit(registry, 0, false, count_line, &lines), LOOKUP_FOUND);
	registry_end(registry);
	assert_int_equal(lines, stat.last_audit);
}

static void test_writers(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);

	fixture_event(registry, CLAIM_ADD, "allowed.example", "t");
	registry_close(registry);
	run_writers(*state);
	expect_registry_whole(*state);
	registry = registry_fixture_open(*state, true);
	expect_all(registry);
	registry_close(registry);
}

/* Who comes first makes the register; the others find it made. */
static void test_opened_first_by_several(void **state)
{
	for (int round = 0; round < 20; round++) {
		char dir[128];
		pid_t children[4];

		snprintf(dir, sizeof(dir), "%s/%d", (char *)*state, round);
		for (int i = 0; i < 4; i++) {
			children[i] = fork();
			if (children[i] == 0) {
				char error[REGISTRY_ERROR_MAX];
				struct registry *registry;
				enum err err = registry_open(
					&registry, dir, REGISTRY_MAP_MB, false, error);

				if (err == ERR_OK)
					add_claims(registry, i, 1);
				_exit(err == ERR_OK ? 0 : 1);
			}
		}
		for (int i = 0; i < 4; i++) {
			int status = -1;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_int_equal(status, 0);
		}
		expect_registry_whole(dir);
	}
}

/* A reader sees one moment while others write. */
static void test_reader_beside_a_writer(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	uint64_t last, again;
	int status = -1;
	pid_t writer;

	fixture_event(registry, CLAIM_ADD, "allowed.example", "t");
	registry_close(registry);
	registry = registry_fixture_open(*state, true);
	assert_true(registry_begin(registry));
	assert_int_equal(registry_last_audit(registry, &last), LOOKUP_FOUND);
	writer = start_writer(*state, 0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	assert_int_equal(registry_last_audit(registry, &again), LOOKUP_FOUND);
	assert_int_equal(last, again);
	registry_end(registry);
	assert_int_equal(fixture_stat(registry).last_audit, last + LINES_EACH);
	registry_close(registry);
}

/* That a domain was nobody's is remembered, but not beyond the next change. */
static void test_claimed_while_remembered(void **state)
{
	struct registry *registry;
	int status = -1;
	pid_t writer;

	registry_close(registry_fixture_open(*state, false));
	registry = registry_fixture_open(*state, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fixture_fact(registry, "joe@x.example", "a@shared.example").status,
			LOOKUP_ABSENT);
	writer = fork();
	if (writer == 0) {
		char error[REGISTRY_ERROR_MAX];
		struct registry *own;

		if (registry_open(&own, *state, REGISTRY_MAP_MB, false, error) != ERR_OK)
			_exit(1);
		add_claims(own, 0, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	assert_int_equal(
		fixture_fact(registry, "joe@x.example", "a@shared.example").status, LOOKUP_FOUND);
	assert_int_equal(
		fixture_fact(registry, "joe@x.example", "a@other.example").status, LOOKUP_ABSENT);
	registry_close(registry);
}

/* What another process does between two looks, and what the looks after it say. */
struct meanwhile {
	const char
		*what; /* a state or a look, `allow`, `disallow`, `forget`, or lines of tenants */
	const char *fact;
};

static void do_meanwhile(struct registry *own, const char *what)
{
	static const struct {
		const char *name;
		enum claim_event event;
	} events[] = {{"add", CLAIM_ADD}, {"proved", CLAIM_PROVED}, {"unproved", CLAIM_UNPROVED},
		{"unknown", CLAIM_UNKNOWN}, {"pin", CLAIM_PIN}, {"unpin", CLAIM_UNPIN},
		{"remove", CLAIM_REMOVE}};
	struct registry_change change = fixture_change(CLAIM_REMOVE, "b.example", "t1");
	struct registry_outcome outcome;
	struct registry_delta delta;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(what, events[i].name) != 0)
			continue;
		fixture_event(own, events[i].event, "b.example", "t1");
		return;
	}
	if (strcmp(what, "allow") == 0)
		fixture_allow(own, "b.example", "t1", "joe@x.example");
	else if (strcmp(what, "disallow") == 0)
		fixture_senders(
			own, SENDER_TAKE_OUT, "b.example", "t1", "joe@x.example", "", false);
	else if (strcmp(what, "other") == 0)
		fixture_event(own, CLAIM_ADD, "b.example", "t2");
	else if (strcmp(what, "forget") == 0)
		assert_int_equal(registry_forget(own, &change, &outcome), ERR_OK);
	else
		fixture_load(own, REGISTRY_TENANTS, REGISTRY_REPLACE, what, &delta);
}

static void in_another_process(const char *dir, const char *what)
{
	char error[REGISTRY_ERROR_MAX];
	struct registry *own;
	int status = -1;
	pid_t writer = fork();

	if (writer == 0) {
		if (registry_open(&own, dir, REGISTRY_MAP_MB, false, error) != ERR_OK)
			_exit(1);
		do_meanwhile(own, what);
		registry_close(own);
		_exit(0);
	}
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
}

static void expect_fact(struct registry *registry, const char *after, const char *expected)
{
	struct ownership_fact fact = fixture_fact(registry, "joe@x.example", "a@b.example");
	char text[512];

	snprintf(text, sizeof(text), "%s own %s holder %s tenant %s%s%s%s: %s",
		claim_state_name(fact.force), claim_state_name(fact.own), fact.holder, fact.tenant,
		fact.names_senders ? " names" : "", fact.sender == SENDER_ALLOWED ? " him" : "",
		fact.is_removed ? " removed" : "", fact.reason);
	if (fact.status == LOOKUP_ABSENT)
		snprintf(text, sizeof(text), "nobody's");
	if (strcmp(text, expected) != 0)
		fail_msg("after \"%s\": %s", after, text);
}

static void test_remembered_until_it_changes(void **state)
{
	static const struct meanwhile steps[] = {
		{"@x.example t1", "nobody's"},
		{"add", "none own pending holder t1 tenant t1: claimed"},
		{"proved", "verified own verified holder t1 tenant t1: the proof was found"},
		{"proved", "verified own verified holder t1 tenant t1: the proof was found"},
		{"unknown", "verified own verified holder t1 tenant t1: the proof was found"},
		{"@x.example t2", "verified own none holder t1 tenant t2: the proof was found"},
		{"z@x.example t2", "verified own none holder t1 tenant : the proof was found"},
		{"joe@x.example t1 @x.example t2",
			"verified own verified holder t1 tenant t1: the proof was found"},
		{"!@y.example t2", "verified own none holder t1 tenant : the proof was found"},
		{"@x.example t1", "verified own verified holder t1 tenant t1: the proof was found"},
		{"other", "verified own verified holder t1 tenant t1: the proof was found"},
		{"allow",
			"verified own verified holder t1 tenant t1 names him: the proof was found"},
		{"disallow", "verified own verified holder t1 tenant t1: the proof was found"},
		{"pin", "pinned own pinned holder t1 tenant t1: pinned by hand"},
		{"unpin", "grace own grace holder t1 tenant t1: unpinned by hand"},
		{"unproved", "grace own grace holder t1 tenant t1: unpinned by hand"},
		{"proved", "verified own verified holder t1 tenant t1: the proof was found"},
		{"remove", "none own removed holder t1 tenant t1 removed: removed by hand"},
		{"forget", "none own none holder  tenant t1: "},
	};
	struct registry *registry;

	registry_close(registry_fixture_open(*state, false));
	registry = registry_fixture_open(*state, true);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		in_another_process(*state, steps[i].what);
		for (int looks = 0; looks < 3; looks++)
			expect_fact(registry, steps[i].what, steps[i].fact);
	}
	registry_close(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_writers),
		FIXTURE_TEST(test_opened_first_by_several),
		FIXTURE_TEST(test_reader_beside_a_writer),
		FIXTURE_TEST(test_claimed_while_remembered),
		FIXTURE_TEST(test_remembered_until_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The ownership register: tenants, accounts, audit lines, how far they were followed. */
#include "tests/unit/registry_fixture.h"

#define KEPT 200000 /* audit lines */

static void expect_delta_of(const struct registry_delta *delta, uint64_t before, uint64_t added,
	uint64_t removed, uint64_t changed, uint64_t kept)
{
	assert_int_equal(delta->before, before);
	assert_int_equal(delta->added, added);
	assert_int_equal(delta->removed, removed);
	assert_int_equal(delta->changed, changed);
	assert_int_equal(delta->kept, kept);
}

static bool append_line(void *ctx, struct text key, struct text value)
{
	char *out = ctx;

	sprintf(out + strlen(out), "%.*s=%.*s ", TEXT_ARG(key), TEXT_ARG(value));
	return true;
}

static const char *all_lines(struct registry *registry, enum registry_list list)
{
	static char out[2000];

	out[0] = '\0';
	assert_true(registry_begin(registry));
	assert_int_equal(registry_scan_lines(registry, list, append_line, out), LOOKUP_FOUND);
	registry_end(registry);
	return out;
}

static void test_tenants(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_delta delta;

	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "a@x t1 b@x t1 c@x t2", &delta);
	expect_delta_of(&delta, 0, 3, 0, 0, 0);
	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "@x t1 b@x t2 c@x t2", &delta);
	expect_delta_of(&delta, 3, 1, 1, 1, 1);
	assert_string_equal(all_lines(registry, REGISTRY_TENANTS), "@x=t1 b@x=t2 c@x=t2 ");
	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_MERGE, "b@x t3 d@x t1", &delta);
	expect_delta_of(&delta, 3, 1, 0, 1, 0);
	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_DELETE, "b@x t3 z@x t1", &delta);
	expect_delta_of(&delta, 4, 0, 1, 0, 0);
	assert_int_equal(delta.missing, 1);
	assert_string_equal(all_lines(registry, REGISTRY_TENANTS), "@x=t1 c@x=t2 d@x=t1 ");
	assert_int_equal(fixture_stat(registry).tenants, 3);
	assert_int_equal(fixture_stat(registry).audit, 4);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_dry_run(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_line line = {.key = TEXT("z@x"), .value = TEXT("t9")};
	struct registry_lines load = {.list = REGISTRY_TENANTS,
		.lines = &line,
		.count = 1,
		.is_dry_run = true,
		.now = NOW};
	static const enum registry_load hows[] = {
		REGISTRY_REPLACE, REGISTRY_MERGE, REGISTRY_DELETE};
	struct registry_delta delta;

	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "a@x t1", &delta);
	registry_close(registry);
	registry = registry_fixture_open(*state, true);
	for (size_t i = 0; i < 3; i++) {
		load.how = hows[i];
		assert_int_equal(registry_load_lines(registry, &load, &delta), ERR_OK);
		assert_int_equal(delta.added, hows[i] == REGISTRY_DELETE ? 0 : 1);
		assert_int_equal(delta.removed, hows[i] == REGISTRY_REPLACE ? 1 : 0);
		assert_string_equal(all_lines(registry, REGISTRY_TENANTS), "a@x=t1 ");
	}
	assert_int_equal(fixture_stat(registry).audit, 1);
	registry_close(registry);
}

static enum lookup has_account(struct registry *registry, const char *login)
{
	enum lookup status;

	assert_true(registry_begin(registry));
	status = registry_has_account(registry, text_of(login));
	registry_end(registry);
	return status;
}

static void test_accounts(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_delta delta;

	assert_false(fixture_stat(registry).has_accounts);
	assert_int_equal(has_account(registry, "a@x"), LOOKUP_ABSENT);
	fixture_load(registry, REGISTRY_ACCOUNTS, REGISTRY_REPLACE, "a@x - b@x -", &delta);
	assert_true(fixture_stat(registry).has_accounts);
	assert_int_equal(has_account(registry, "a@x"), LOOKUP_FOUND);
	assert_int_equal(has_account(registry, "c@x"), LOOKUP_ABSENT);
	/* An empty list is none. */
	fixture_load(registry, REGISTRY_ACCOUNTS, REGISTRY_REPLACE, "", &delta);
	assert_int_equal(delta.removed, 2);
	assert_false(fixture_stat(registry).has_accounts);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_long_logins(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_delta delta;
	char login[150], line[160];

	memset(login, 'l', sizeof(login));
	strcpy(login + 130, "@x.example");
	snprintf(line, sizeof(line), "%s t1", login);
	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, line, &delta);
	fixture_load(registry, REGISTRY_ACCOUNTS, REGISTRY_REPLACE, line, &delta);
	assert_int_equal(has_account(registry, login), LOOKUP_FOUND);
	snprintf(line, sizeof(line), "%s=t1 ", login);
	assert_string_equal(all_lines(registry, REGISTRY_TENANTS), line);
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	assert_string_equal(fixture_fact(registry, login, "a@b.example").tenant, "t1");
	login[0] = 'm';
	assert_int_equal(has_account(registry, login), LOOKUP_ABSENT);
	assert_string_equal(fixture_fact(registry, login, "a@b.example").tenant, "");
	registry_close(registry);
	expect_registry_whole(*state);
}

/* ---- audit ---- */

struct audit_list {
	char text[1000];
	uint64_t first, last, count;
	uint64_t cap;
};

static bool append_audit(void *ctx, const struct audit_entry *entry)
{
	struct audit_list *list = ctx;
	size_t len = strlen(list->text);

	snprintf(list->text + len, sizeof(list->text) - len,
		"%llu %.*s %.*s %.*s/%.*s %.*s>%.*s%s\n", (unsigned long long)entry->number,
		TEXT_ARG(entry->actor), TEXT_ARG(entry->action), TEXT_ARG(entry->domain),
		TEXT_ARG(entry->tenant), TEXT_ARG(entry->before), TEXT_ARG(entry->after),
		entry->is_state_change ? "!" : "");
	list->first = list->count++ ? list->first : entry->number;
	list->last = entry->number;
	return list->count != list->cap;
}

static struct audit_list audit_of(
	struct registry *registry, uint64_t from, bool backwards, uint64_t cap)
{
	struct audit_list list = {.cap = cap};

	assert_true(registry_begin(registry));
	assert_int_equal(
		registry_scan_audit(registry, from, backwards, append_audit, &list), LOOKUP_FOUND);
	registry_end(registry);
	return list;
}

static void test_audit_lines(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change = fixture_change(CLAIM_REMOVE, "b.example", "t1");
	struct registry_outcome outcome;
	struct registry_delta delta;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_UNPROVED, "b.example", "t1");
	fixture_senders(registry, SENDER_ADD, "b.example", "t1", "joe@x", "sales", true);
	assert_int_equal(registry_forget(registry, &change, &outcome), ERR_OK);
	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "a@x t1", &delta);
	assert_int_equal(registry_note(registry, &(struct audit_entry){.uid = AUDIT_UID_POLICYD,
							 .actor = TEXT("policyd"),
							 .action = TEXT("load"),
							 .after = TEXT("5 rows")}),
		ERR_OK);
	assert_string_equal(audit_of(registry, 0, false, 0).text,
		"1 alice test b.example/t1 none>pending!\n"
		"2 alice domain allow b.example/t1 0 approved, 0 pending>0 approved, 1 pending\n"
		"3 alice test b.example/t1 pending>none!\n"
		"4 alice load --tenants / 0>1\n"
		"5 policyd load / >5 rows\n");
	assert_string_equal(audit_of(registry, 5, false, 0).text, "5 policyd load / >5 rows\n");
	assert_string_equal(audit_of(registry, 6, false, 0).text, "");
	assert_string_equal(audit_of(registry, 1, true, 2).text,
		"5 policyd load / >5 rows\n4 alice load --tenants / 0>1\n");
	registry_close(registry);
	expect_registry_whole(*state);
}

/* Names of many logins are cut short; nothing is over-long. */
static void test_audit_line_of_many_senders(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct sender_entry entries[200];
	static char logins[200][40];
	struct registry_sender_change change = {.edit = SENDER_ADD,
		.domain = TEXT("b.example"),
		.tenant = TEXT("t1"),
		.entries = entries,
		.count = 200,
		.now = NOW};
	struct registry_sender_outcome outcome;

	for (int i = 0; i < 200; i++) {
		snprintf(logins[i], sizeof(logins[i]), "login%d@x.example", i);
		entries[i] = (struct sender_entry){.login = text_of(logins[i])};
	}
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	assert_int_equal(registry_change_senders(registry, &change, &outcome), ERR_OK);
	assert_int_equal(outcome.changed, 200);
	change.count = 0;
	change.edit = SENDER_APPROVE;
	assert_int_equal(registry_change_senders(registry, &change, &outcome), ERR_OK);
	assert_int_equal(outcome.unchanged, 200);
	assert_int_equal(fixture_stat(registry).audit, 2);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* More lines than are kept: the oldest go, numbers go on. */
static void test_audit_is_bounded(void **state)
{
	enum { BATCH = 2000 };
	struct registry *registry = registry_fixture_open(*state, false);
	static struct registry_change changes[BATCH];
	static struct registry_outcome outcomes[BATCH];
	struct audit_list list;
	struct registry_stat stat;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	for (int i = 0; i < BATCH; i++)
		changes[i] = fixture_change(i % 2 ? CLAIM_ADD : CLAIM_REMOVE, "b.example", "t1");
	for (int i = 0; i <= KEPT / BATCH; i++)
		assert_int_equal(registry_change_all(registry, changes, BATCH, outcomes), ERR_OK);
	stat = fixture_stat(registry);
	assert_int_equal(stat.audit, KEPT);
	assert_int_equal(stat.last_audit, KEPT + BATCH + 1);
	list = audit_of(registry, 0, false, 0);
	assert_int_equal(list.count, KEPT);
	assert_int_equal(list.first, BATCH + 2);
	assert_int_equal(list.last, stat.last_audit);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_follow(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	uint64_t number = 7;

	assert_int_equal(registry_follow_get(registry, &number), ERR_OK);
	assert_int_equal(number, 0);
	assert_int_equal(registry_follow_set(registry, 12), ERR_OK);
	registry_close(registry);
	registry = registry_fixture_open(*state, true);
	assert_int_equal(registry_follow_get(registry, &number), ERR_OK);
	assert_int_equal(number, 12);
	registry_close(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_tenants),
		FIXTURE_TEST(test_dry_run),
		FIXTURE_TEST(test_accounts),
		FIXTURE_TEST(test_long_logins),
		FIXTURE_TEST(test_audit_lines),
		FIXTURE_TEST(test_audit_line_of_many_senders),
		FIXTURE_TEST(test_audit_is_bounded),
		FIXTURE_TEST(test_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

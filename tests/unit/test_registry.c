/* The ownership register: claims and what becomes of them, senders, the fact for the decision. */
#include <sys/stat.h>

#include "tests/unit/registry_fixture.h"

static void test_opening(void **state)
{
	char error[REGISTRY_ERROR_MAX] = "", path[128];
	struct registry *registry;
	struct stat info;

	assert_int_equal(
		registry_open(&registry, *state, REGISTRY_MAP_MB, true, error), ERR_ABSENT);
	assert_null(registry);
	assert_non_null(strstr(error, "/register"));
	registry_close(registry_fixture_open(*state, false));
	snprintf(path, sizeof(path), "%s/register", (char *)*state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/register/data.mdb", (char *)*state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	registry = registry_fixture_open(*state, true);
	assert_int_equal(fixture_stat(registry).last_audit, 0);
	registry_close(registry);
	registry_close(NULL);
	expect_registry_whole(*state);
}

static void test_no_register_to_verify(void **state)
{
	char error[REGISTRY_ERROR_MAX] = "";

	assert_int_equal(registry_verify_in_child(*state, REGISTRY_MAP_MB, error), ERR_ABSENT);
}

static void test_add(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_outcome first = fixture_event(registry, CLAIM_ADD, "b.example", "t1"),
				again;
	struct claim claim = fixture_claim(registry, "b.example", "t1");

	assert_int_equal(first.word, CLAIM_CHANGED);
	assert_int_equal(first.before, CLAIM_NONE);
	assert_int_equal(first.after, CLAIM_PENDING);
	assert_true(first.is_new_token);
	assert_int_equal(strlen(first.token), CLAIM_TOKEN_LEN);
	assert_int_equal(claim.life.state, CLAIM_PENDING);
	assert_int_equal(claim.life.created_at, NOW);
	assert_true(claim.life.next_check > NOW);
	again = fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	assert_int_equal(again.word, CLAIM_KEPT);
	assert_false(again.is_new_token);
	assert_string_equal(again.token, first.token);
	again = fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	assert_string_not_equal(again.token, first.token);
	assert_int_equal(fixture_stat(registry).domains, 1);
	assert_int_equal(fixture_stat(registry).claims[CLAIM_PENDING], 2);
	assert_int_equal(fixture_stat(registry).audit, 2);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_absent_and_impossible(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change = fixture_change(CLAIM_UNPIN, "b.example", "t1");
	struct registry_outcome outcome;

	assert_int_equal(registry_change(registry, &change, &outcome), ERR_ABSENT);
	assert_non_null(strstr(registry_error(registry), "t1 has no claim on b.example"));
	assert_int_equal(registry_forget(registry, &change, &outcome), ERR_ABSENT);
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	outcome = fixture_event(registry, CLAIM_UNPIN, "b.example", "t1");
	assert_int_equal(outcome.word, CLAIM_IMPOSSIBLE);
	assert_int_equal(outcome.after, CLAIM_PENDING);
	assert_int_equal(fixture_stat(registry).audit, 1);
	change.tenant = TEXT("no tenant");
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_INVALID);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_second_proof_is_held(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_outcome outcome;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	outcome = fixture_event(registry, CLAIM_PROVED, "b.example", "t1");
	assert_int_equal(outcome.after, CLAIM_VERIFIED);
	outcome = fixture_event(registry, CLAIM_PROVED, "b.example", "t2");
	assert_int_equal(outcome.word, CLAIM_HELD);
	assert_string_equal(outcome.holder, "t1");
	assert_int_equal(outcome.after, CLAIM_PENDING);
	outcome = fixture_event(registry, CLAIM_PIN, "b.example", "t3");
	assert_int_equal(outcome.word, CLAIM_HELD);
	assert_int_equal(fixture_state(registry, "b.example", "t3"), CLAIM_NONE);
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	outcome = fixture_event(registry, CLAIM_PROVED, "b.example", "t2");
	assert_int_equal(outcome.after, CLAIM_VERIFIED);
	registry_close(registry);
	expect_registry_whole(*state);
}

static bool keep_old_token(void *ctx, struct text domain, const struct claim *claim)
{
	(void)domain;
	snprintf(ctx, CLAIM_TOKEN_LEN + 1, "%.*s", TEXT_ARG(claim->old_token));
	return false;
}

static void test_tokens(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_outcome first = fixture_event(registry, CLAIM_ADD, "b.example", "t1"),
				again;
	char old[CLAIM_TOKEN_LEN + 1] = "";

	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	again = fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	assert_true(again.is_new_token);
	assert_string_not_equal(again.token, first.token);
	assert_true(registry_begin(registry));
	assert_int_equal(registry_scan(registry, TEXT(""), keep_old_token, old), LOOKUP_FOUND);
	registry_end(registry);
	assert_string_equal(old, first.token);
	assert_true(fixture_event(registry, CLAIM_PIN, "c.example", "t1").is_new_token);
	assert_true(fixture_event(registry, CLAIM_HOST, "d.example", "t1").is_new_token);
	assert_false(fixture_event(registry, CLAIM_ADD, "c.example", "t1").is_new_token);
	registry_close(registry);
}

static struct registry_outcome transfer(
	struct registry *registry, const char *domain, const char *from, const char *to)
{
	struct registry_change change = fixture_change(CLAIM_GIVE_AWAY, domain, from);
	struct registry_outcome outcome;

	change.to_tenant = text_of(to);
	change.reason = TEXT("sold");
	if (registry_change(registry, &change, &outcome) != ERR_OK)
		fail_msg("%s", registry_error(registry));
	return outcome;
}

static void test_transfer(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_outcome outcome;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_PROVED, "b.example", "t1");
	fixture_allow(registry, "b.example", "t1", "joe@x.example");
	outcome = transfer(registry, "b.example", "t1", "t2");
	assert_int_equal(outcome.word, CLAIM_CHANGED);
	assert_int_equal(outcome.before, CLAIM_VERIFIED);
	assert_int_equal(outcome.after, CLAIM_REMOVED);
	assert_int_equal(outcome.senders_gone, 1);
	assert_int_equal(outcome.life.state, CLAIM_GRACE);
	assert_true(outcome.is_new_token);
	assert_int_equal(fixture_state(registry, "b.example", "t1"), CLAIM_REMOVED);
	assert_int_equal(fixture_state(registry, "b.example", "t2"), CLAIM_GRACE);
	assert_int_equal(fixture_stat(registry).audit, 5);
	outcome = transfer(registry, "b.example", "t1", "t3");
	assert_int_equal(outcome.word, CLAIM_IMPOSSIBLE);
	assert_int_equal(fixture_state(registry, "b.example", "t3"), CLAIM_NONE);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* The old holder's reason must not become the new one's. */
static void test_transfer_reasons(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct claim claims[CLAIMS_PER_DOMAIN];
	struct registry_change change = fixture_change(CLAIM_GIVE_AWAY, "b.example", "t1");
	struct registry_outcome outcome;
	size_t count;

	fixture_event(registry, CLAIM_PIN, "b.example", "t1");
	change.to_tenant = TEXT("t2");
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_OK);
	assert_true(registry_begin(registry));
	assert_int_equal(
		registry_claims(registry, TEXT("b.example"), claims, &count), LOOKUP_FOUND);
	assert_int_equal(count, 2);
	assert_string_equal_text(claims[0].reason, "given to another tenant");
	assert_string_equal_text(claims[1].reason, "pinned by hand");
	assert_int_equal(claims[1].life.state, CLAIM_PINNED);
	registry_end(registry);
	registry_close(registry);
}

static void test_transfer_of_a_pinned_one_to_a_tombstone(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);

	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t2");
	fixture_event(registry, CLAIM_PIN, "b.example", "t1");
	transfer(registry, "b.example", "t1", "t2");
	assert_int_equal(fixture_state(registry, "b.example", "t1"), CLAIM_REMOVED);
	assert_int_equal(fixture_state(registry, "b.example", "t2"), CLAIM_PINNED);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* A claim that began anew between the question and its answer is not proved by the old token. */
static void test_late_look(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change look = fixture_change(CLAIM_PROVED, "b.example", "t1");
	struct registry_outcome outcome, first, second;

	first = fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	second = fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	look.token = text_of(first.token);
	assert_int_equal(registry_change(registry, &look, &outcome), ERR_OK);
	assert_int_equal(outcome.word, CLAIM_IMPOSSIBLE);
	assert_int_equal(fixture_state(registry, "b.example", "t1"), CLAIM_PENDING);
	look.token = text_of(second.token);
	assert_int_equal(registry_change(registry, &look, &outcome), ERR_OK);
	assert_int_equal(fixture_state(registry, "b.example", "t1"), CLAIM_VERIFIED);
	registry_close(registry);
}

static void test_full_domain(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_outcome outcome;
	char tenant[16];

	for (int i = 0; i < CLAIMS_PER_DOMAIN; i++) {
		snprintf(tenant, sizeof(tenant), "t%d", i);
		assert_false(fixture_event(registry, CLAIM_ADD, "b.example", tenant).is_full);
	}
	outcome = fixture_event(registry, CLAIM_ADD, "b.example", "more");
	assert_true(outcome.is_full);
	assert_int_equal(fixture_state(registry, "b.example", "more"), CLAIM_NONE);
	fixture_event(registry, CLAIM_PROVED, "b.example", "t5");
	{
		struct registry_change change = fixture_change(CLAIM_GIVE_AWAY, "b.example", "t5");

		change.to_tenant = TEXT("more");
		assert_int_equal(registry_change(registry, &change, &outcome), ERR_FULL);
	}
	assert_int_equal(fixture_state(registry, "b.example", "t5"), CLAIM_VERIFIED);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* The one that expired longest ago; never one that was removed before. */
static void test_expired_ones_make_room(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change;
	struct registry_outcome outcome;
	struct registry_stat before;
	char tenant[16];

	for (int i = 0; i < CLAIMS_PER_DOMAIN; i++) {
		snprintf(tenant, sizeof(tenant), "t%d", i);
		fixture_event(registry, CLAIM_ADD, "b.example", tenant);
	}
	fixture_allow(registry, "b.example", "t9", "joe@x.example");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t2");
	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	for (int i = 0; i < 3; i++) { /* t2 first, t9 next, t5 last */
		static const char *const tenants[] = {"t2", "t9", "t5"};

		change = fixture_change(CLAIM_UNPROVED, "b.example", tenants[i]);
		change.now = NOW + (int64_t)fixture_rules.pending_expires_s + i;
		assert_int_equal(registry_change(registry, &change, &outcome), ERR_OK);
		assert_int_equal(outcome.after, CLAIM_EXPIRED);
	}
	before = fixture_stat(registry);
	outcome = fixture_event(registry, CLAIM_ADD, "b.example", "more");
	assert_false(outcome.is_full);
	assert_int_equal(outcome.before, CLAIM_NONE);
	assert_int_equal(outcome.after, CLAIM_PENDING);
	assert_int_equal(fixture_state(registry, "b.example", "t9"), CLAIM_NONE);
	assert_int_equal(fixture_stat(registry).audit, before.audit + 2);
	assert_int_equal(fixture_stat(registry).senders, 0);
	fixture_event(registry, CLAIM_PIN, "b.example", "again");
	assert_int_equal(fixture_state(registry, "b.example", "t5"), CLAIM_NONE);
	assert_true(fixture_event(registry, CLAIM_ADD, "b.example", "full").is_full);
	assert_int_equal(fixture_state(registry, "b.example", "t2"), CLAIM_EXPIRED);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* Nothing is written when the new claim comes to nothing. */
static void test_no_room_for_what_is_held(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change = fixture_change(CLAIM_UNPROVED, "b.example", "t9");
	struct registry_outcome outcome;
	struct registry_stat before;
	char tenant[16];

	for (int i = 0; i < CLAIMS_PER_DOMAIN; i++) {
		snprintf(tenant, sizeof(tenant), "t%d", i);
		fixture_event(registry, CLAIM_ADD, "b.example", tenant);
	}
	fixture_event(registry, CLAIM_PIN, "b.example", "t1");
	change.now = NOW + fixture_rules.pending_expires_s;
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_OK);
	before = fixture_stat(registry);
	outcome = fixture_event(registry, CLAIM_PIN, "b.example", "more");
	assert_int_equal(outcome.word, CLAIM_HELD);
	assert_int_equal(fixture_state(registry, "b.example", "t9"), CLAIM_EXPIRED);
	assert_int_equal(fixture_state(registry, "b.example", "more"), CLAIM_NONE);
	assert_int_equal(fixture_stat(registry).audit, before.audit);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* Who says the same again pushes nobody's lines out of the audit. */
static void test_the_same_again_leaves_no_line(void **state)
{
	static const enum claim_event events[] = {CLAIM_ADD, CLAIM_PIN, CLAIM_HOST, CLAIM_REMOVE};
	struct registry *registry = registry_fixture_open(*state, false);

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct registry_stat before;

		fixture_event(registry, events[i], "b.example", "t1");
		before = fixture_stat(registry);
		assert_int_equal(before.audit, i + 1);
		assert_int_equal(
			fixture_event(registry, events[i], "b.example", "t1").word, CLAIM_KEPT);
		assert_int_equal(fixture_stat(registry).audit, before.audit);
	}
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_forget(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change = fixture_change(CLAIM_REMOVE, "b.example", "t1");
	struct registry_outcome outcome;
	struct registry_stat stat;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	fixture_allow(registry, "b.example", "t1", "joe@x.example");
	assert_int_equal(registry_forget(registry, &change, &outcome), ERR_OK);
	assert_int_equal(outcome.before, CLAIM_PENDING);
	assert_int_equal(outcome.senders_gone, 1);
	assert_int_equal(fixture_state(registry, "b.example", "t1"), CLAIM_NONE);
	assert_int_equal(fixture_state(registry, "b.example", "t2"), CLAIM_PENDING);
	change.tenant = TEXT("t2");
	assert_int_equal(registry_forget(registry, &change, &outcome), ERR_OK);
	stat = fixture_stat(registry);
	assert_int_equal(stat.domains, 0);
	assert_int_equal(stat.senders, 0);
	assert_int_equal(
		fixture_fact(registry, "x@y.example", "a@b.example").status, LOOKUP_ABSENT);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_reasons_and_what_was_seen(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change = fixture_change(CLAIM_UNPROVED, "b.example", "t1");
	struct claim claims[CLAIMS_PER_DOMAIN];
	struct registry_outcome outcome;
	char long_text[2000];
	size_t count;

	memset(long_text, 'x', sizeof(long_text));
	memcpy(long_text + CLAIM_REASON_MAX - 1, "\xc3\xa9", 2);
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	change.reason = (struct text){long_text, sizeof(long_text)};
	change.seen = (struct text){long_text, sizeof(long_text)};
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_OK);
	assert_int_equal(outcome.word, CLAIM_KEPT);
	assert_true(registry_begin(registry));
	assert_int_equal(
		registry_claims(registry, TEXT("b.example"), claims, &count), LOOKUP_FOUND);
	assert_int_equal(claims[0].reason.len, CLAIM_REASON_MAX - 1);
	assert_int_equal(claims[0].seen.len, CLAIM_SEEN_MAX);
	registry_end(registry);
	change.event = CLAIM_UNKNOWN;
	change.reason = TEXT("SERVFAIL");
	change.seen = TEXT("");
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_OK);
	assert_true(registry_begin(registry));
	assert_int_equal(
		registry_claims(registry, TEXT("b.example"), claims, &count), LOOKUP_FOUND);
	assert_string_equal_text(claims[0].reason, "SERVFAIL");
	assert_int_equal(claims[0].seen.len, CLAIM_SEEN_MAX);
	registry_end(registry);
	/* Looks that change nothing leave no audit line. */
	assert_int_equal(fixture_stat(registry).audit, 1);
	registry_close(registry);
}

static void list_due(struct registry *registry, struct due_list *list)
{
	assert_true(registry_begin(registry));
	assert_int_equal(registry_due(registry, list), LOOKUP_FOUND);
	registry_end(registry);
	assert_int_equal(list->damaged, 0);
}

static void test_due(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct due_claim due[2];
	struct due_list list = {.now = NOW, .horizon = INT64_MAX, .claims = due, .cap = 2};

	fixture_event(registry, CLAIM_ADD, "a.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "c.example", "t1");
	fixture_event(registry, CLAIM_HOST, "d.example", "t1");
	list_due(registry, &list);
	assert_int_equal(list.count, 0);
	list.now = NOW + 120;
	list_due(registry, &list);
	assert_int_equal(list.count, 2);
	assert_true(due[0].at > NOW && due[0].at <= due[1].at);
	assert_string_equal(due[0].tenant, "t1");
	fixture_event(registry, CLAIM_REMOVE, "a.example", "t1");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	fixture_event(registry, CLAIM_REMOVE, "c.example", "t1");
	list_due(registry, &list);
	assert_int_equal(list.count, 0);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* The clock was wrong when these were planned: what is behind the horizon is due, too. */
static void test_due_behind_the_horizon(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change change = fixture_change(CLAIM_ADD, "far.example", "t1");
	struct registry_outcome outcome;
	struct due_claim due[4];
	struct due_list list = {.now = NOW, .claims = due, .cap = 4};
	int64_t edge;

	fixture_event(registry, CLAIM_ADD, "past.example", "t1");
	change.now = NOW + 1000;
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_OK);
	edge = outcome.life.next_check;
	list.horizon = edge;
	list_due(registry, &list);
	assert_int_equal(list.count, 0);
	list.horizon = edge - 1;
	list_due(registry, &list);
	assert_int_equal(list.count, 1);
	assert_string_equal(due[0].domain, "far.example");
	list.now = NOW + 120;
	list_due(registry, &list);
	assert_int_equal(list.count, 2);
	assert_string_equal(due[0].domain, "past.example");
	assert_string_equal(due[1].domain, "far.example");
	list.cap = 1;
	list_due(registry, &list);
	assert_int_equal(list.count, 1);
	assert_string_equal(due[0].domain, "past.example");
	registry_close(registry);
}

static void test_change_all(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_change changes[3] = {fixture_change(CLAIM_PROVED, "a.example", "t1"),
		fixture_change(CLAIM_PROVED, "gone.example", "t1"),
		fixture_change(CLAIM_UNPROVED, "b.example", "t1")};
	struct registry_outcome outcomes[3];

	fixture_event(registry, CLAIM_ADD, "a.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	assert_int_equal(registry_change_all(registry, changes, 3, outcomes), ERR_OK);
	assert_int_equal(outcomes[0].after, CLAIM_VERIFIED);
	assert_int_equal(outcomes[1].word, CLAIM_IMPOSSIBLE);
	assert_int_equal(outcomes[2].word, CLAIM_KEPT);
	changes[0].event = CLAIM_UNPROVED;
	changes[1].tenant = TEXT("");
	assert_int_equal(registry_change_all(registry, changes, 3, outcomes), ERR_INVALID);
	assert_int_equal(fixture_state(registry, "a.example", "t1"), CLAIM_VERIFIED);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* ---- senders ---- */

static void test_senders(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_sender_outcome outcome;
	struct claim claim;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t10");
	fixture_allow(registry, "b.example", "t10", "other@x.example");
	assert_int_equal(fixture_allow(registry, "b.example", "t1", "joe@x.example").changed, 1);
	assert_int_equal(fixture_allow(registry, "b.example", "t1", "joe@x.example").unchanged, 1);
	outcome = fixture_senders(
		registry, SENDER_ADD, "b.example", "t1", "ann@x.example", "sales", true);
	assert_int_equal(outcome.changed, 1);
	outcome =
		fixture_senders(registry, SENDER_ADD, "b.example", "t1", "joe@x.example", "", true);
	assert_int_equal(outcome.unchanged, 1);
	claim = fixture_claim(registry, "b.example", "t1");
	assert_int_equal(claim.senders, 1);
	assert_int_equal(claim.senders_pending, 1);
	outcome = fixture_senders(registry, SENDER_APPROVE, "b.example", "t1", "", "", false);
	assert_int_equal(outcome.changed, 1);
	assert_int_equal(outcome.unchanged, 1);
	outcome = fixture_senders(
		registry, SENDER_APPROVE, "b.example", "t1", "no@x.example", "", false);
	assert_int_equal(outcome.missing, 1);
	outcome = fixture_senders(
		registry, SENDER_TAKE_OUT, "b.example", "t1", "ann@x.example", "", false);
	assert_int_equal(outcome.missing, 1);
	outcome = fixture_senders(
		registry, SENDER_TAKE_OUT, "b.example", "t1", "ann@x.example", "sales", false);
	assert_int_equal(outcome.changed, 1);
	claim = fixture_claim(registry, "b.example", "t1");
	assert_int_equal(claim.senders, 1);
	assert_int_equal(claim.senders_pending, 0);
	assert_int_equal(fixture_event(registry, CLAIM_REMOVE, "b.example", "t1").senders_gone, 1);
	assert_int_equal(fixture_claim(registry, "b.example", "t10").senders, 1);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_senders_of_no_claim(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct sender_entry entry = {.login = TEXT("joe@x.example")};
	struct registry_sender_change change = {.edit = SENDER_ADD,
		.domain = TEXT("b.example"),
		.tenant = TEXT("t1"),
		.entries = &entry,
		.count = 1,
		.now = NOW};
	struct registry_sender_outcome outcome;

	assert_int_equal(registry_change_senders(registry, &change, &outcome), ERR_ABSENT);
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	assert_int_equal(registry_change_senders(registry, &change, &outcome), ERR_ABSENT);
	registry_close(registry);
	expect_registry_whole(*state);
}

/* Logins and local parts over what a key holds stand there as hashes. */
static void test_long_senders(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	char login[400], local[200], sender[300];

	memset(login, 'l', sizeof(login));
	strcpy(login + 300, "@x.example");
	memset(local, 'p', sizeof(local));
	local[150] = '\0';
	snprintf(sender, sizeof(sender), "%s@b.example", local);
	fixture_event(registry, CLAIM_PIN, "b.example", "t1");
	fixture_senders(registry, SENDER_ADD, "b.example", "t1", login, local, false);
	assert_int_equal(fixture_fact(registry, login, sender).sender, SENDER_ALLOWED);
	login[0] = 'm';
	assert_int_equal(fixture_fact(registry, login, sender).sender, SENDER_NOT_NAMED);
	registry_close(registry);
	expect_registry_whole(*state);
}

static bool list_sender(
	void *ctx, struct text domain, struct text tenant, const struct sender_entry *entry)
{
	++*(int *)ctx;
	return domain.len > 0 && tenant.len > 0 && entry->login.len > 0;
}

static void test_scan_senders(void **state)
{
	static const struct {
		const char *domain, *tenant;
		int count;
	} cases[] = {{"", "", 4}, {"b.example", "", 3}, {"b.example", "t1", 2},
		{"b.example", "t2", 1}, {"b", "", 0}, {"c.example", "", 1}, {"b.example", "t", 0}};
	struct registry *registry = registry_fixture_open(*state, false);

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	fixture_event(registry, CLAIM_ADD, "c.example", "t1");
	fixture_allow(registry, "b.example", "t1", "a@x.example");
	fixture_allow(registry, "b.example", "t1", "b@x.example");
	fixture_allow(registry, "b.example", "t2", "a@x.example");
	fixture_allow(registry, "c.example", "t1", "a@x.example");
	assert_true(registry_begin(registry));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int listed = 0;

		assert_int_equal(registry_scan_senders(registry, text_of(cases[i].domain),
					 text_of(cases[i].tenant), list_sender, &listed),
			LOOKUP_FOUND);
		assert_int_equal(listed, cases[i].count);
	}
	registry_end(registry);
	registry_close(registry);
}

/* ---- scan ---- */

struct scan {
	struct registry *registry;
	char seen[200];
	int left;
};

/* Asks the same database in between. */
static bool scan_claim(void *ctx, struct text domain, const struct claim *claim)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	struct scan *scan = ctx;
	size_t len = strlen(scan->seen), count;

	snprintf(scan->seen + len, sizeof(scan->seen) - len, "%.*s/%.*s ", TEXT_ARG(domain),
		TEXT_ARG(claim->tenant));
	assert_int_equal(
		registry_claims(scan->registry, TEXT("a.example"), claims, &count), LOOKUP_FOUND);
	return --scan->left > 0;
}

static void test_scan(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct scan scan = {.registry = registry, .left = 10};

	fixture_event(registry, CLAIM_ADD, "c.example", "t1");
	fixture_event(registry, CLAIM_ADD, "a.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	assert_true(registry_begin(registry));
	assert_int_equal(registry_scan(registry, TEXT(""), scan_claim, &scan), LOOKUP_FOUND);
	assert_string_equal(scan.seen, "a.example/t1 b.example/t1 b.example/t2 c.example/t1 ");
	scan = (struct scan){.registry = registry, .left = 1};
	assert_int_equal(registry_scan(registry, TEXT("b"), scan_claim, &scan), LOOKUP_FOUND);
	assert_string_equal(scan.seen, "b.example/t1 ");
	registry_end(registry);
	registry_close(registry);
}

/* ---- the fact ---- */

static void test_fact_of_nobodys_domain(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct ownership_question question = {.domain = TEXT("b.example")};
	struct ownership_fact fact;

	fact = fixture_fact(registry, "joe@x.example", "a@b.example");
	assert_int_equal(fact.status, LOOKUP_ABSENT);
	assert_int_equal(fact.force, CLAIM_NONE);
	assert_string_equal(fact.holder, "");
	fixture_event(registry, CLAIM_ADD, "example", "t1");
	assert_int_equal(
		fixture_fact(registry, "joe@x.example", "a@b.example").status, LOOKUP_ABSENT);
	assert_int_equal(fixture_fact(registry, "joe", "a").status, LOOKUP_ABSENT);
	registry_find(NULL, &question, &fact);
	assert_int_equal(fact.status, LOOKUP_ABSENT);
	registry_close(registry);
}

static void test_fact_of_tenants(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_delta delta;
	struct ownership_fact fact;

	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE,
		"@x.example t1  joe@x.example t2  bare t3", &delta);
	fixture_event(registry, CLAIM_HOST, "h.example", "t4");
	fixture_event(registry, CLAIM_PIN, "p.example", "t5");
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fact = fixture_fact(registry, "ann@x.example", "a@b.example");
	assert_int_equal(fact.status, LOOKUP_FOUND);
	assert_string_equal(fact.tenant, "t1");
	assert_int_equal(fact.own, CLAIM_PENDING);
	assert_int_equal(fact.force, CLAIM_NONE);
	assert_string_equal(fact.holder, "t1");
	assert_string_equal(fact.reason, "claimed");
	assert_int_equal(fact.since, NOW);
	fact = fixture_fact(registry, "joe@x.example", "a@b.example");
	assert_string_equal(fact.tenant, "t2");
	assert_int_equal(fact.own, CLAIM_NONE);
	assert_string_equal(fact.holder, "");
	assert_string_equal(fixture_fact(registry, "bare", "a@b.example").tenant, "t3");
	assert_string_equal(fixture_fact(registry, "a@h.example", "a@b.example").tenant, "t4");
	/* A claim that is not hosted makes a login nobody's. */
	assert_string_equal(fixture_fact(registry, "a@p.example", "a@b.example").tenant, "");
	registry_close(registry);
}

static void test_fact_which_decides(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_delta delta;
	struct ownership_fact fact;

	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "@x.example t1", &delta);
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t2");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t2");
	fact = fixture_fact(registry, "joe@x.example", "a@b.example");
	assert_true(fact.is_removed);
	assert_int_equal(fact.own, CLAIM_PENDING);
	assert_string_equal(fact.holder, "t2");
	fixture_event(registry, CLAIM_PIN, "b.example", "t3");
	fact = fixture_fact(registry, "joe@x.example", "a@b.example");
	assert_int_equal(fact.force, CLAIM_PINNED);
	assert_string_equal(fact.holder, "t3");
	assert_true(fact.is_removed);
	assert_int_equal(fact.own, CLAIM_PENDING);
	registry_close(registry);
}

/* It stays removed for all but its own tenant's logins. */
static void test_fact_of_one_claimed_again(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	struct registry_delta delta;
	struct ownership_fact fact;

	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "@x.example t1", &delta);
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fact = fixture_fact(registry, "joe@x.example", "a@b.example");
	assert_false(fact.is_removed || fact.is_claimed_again);
	assert_int_equal(fact.own, CLAIM_PENDING);
	fact = fixture_fact(registry, "joe@y.example", "a@b.example");
	assert_true(fact.is_removed && fact.is_claimed_again);
	assert_string_equal(fact.holder, "t1");
	assert_string_equal(fact.reason, "claimed again after it was removed");
	fixture_event(registry, CLAIM_PROVED, "b.example", "t1");
	fact = fixture_fact(registry, "joe@y.example", "a@b.example");
	assert_false(fact.is_removed || fact.is_claimed_again);
	assert_int_equal(fact.force, CLAIM_VERIFIED);
	registry_close(registry);
	expect_registry_whole(*state);
}

static void test_fact_of_senders(void **state)
{
	struct registry *registry = registry_fixture_open(*state, false);
	static const struct {
		const char *login, *sender;
		enum sender_word word;
	} cases[] = {
		{"joe@x.example", "any@b.example", SENDER_ALLOWED},
		{"ann@x.example", "sales@b.example", SENDER_ALLOWED},
		{"ann@x.example", "sales+de@b.example", SENDER_ALLOWED},
		{"ann@x.example", "other@b.example", SENDER_NOT_NAMED},
		{"ann@x.example", "postmaster+x@b.example", SENDER_NOT_NAMED},
		{"eve@x.example", "sales@b.example", SENDER_UNAPPROVED},
		{"bob@y.example", "any@b.example", SENDER_ALLOWED},
		{"y.example", "any@b.example", SENDER_NOT_NAMED},
		{"both@x.example", "a@b.example", SENDER_ALLOWED},
		{"both@x.example", "b@b.example", SENDER_UNAPPROVED},
	};
	struct ownership_fact fact;

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_allow(registry, "b.example", "t1", "joe@x.example");
	fixture_allow(registry, "b.example", "t1", "@y.example");
	fixture_senders(registry, SENDER_ADD, "b.example", "t1", "ann@x.example", "sales", false);
	fixture_senders(registry, SENDER_ADD, "b.example", "t1", "eve@x.example", "", true);
	fixture_senders(registry, SENDER_ADD, "b.example", "t1", "both@x.example", "", true);
	fixture_senders(registry, SENDER_ADD, "b.example", "t1", "both@x.example", "a", false);
	/* Not while the claim is not in force. */
	fact = fixture_fact(registry, "joe@x.example", "any@b.example");
	assert_int_equal(fact.sender, SENDER_NOT_NAMED);
	assert_false(fact.names_senders);
	fixture_event(registry, CLAIM_PROVED, "b.example", "t1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fact = fixture_fact(registry, cases[i].login, cases[i].sender);
		if (fact.sender != cases[i].word)
			fail_msg("%s as %s: %d", cases[i].login, cases[i].sender, fact.sender);
		assert_true(fact.names_senders);
	}
	registry_close(registry);
}

/* ---- the table beside it ---- */

static void read_all(const char *dir, char *out, size_t cap, size_t *len)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/register/data.mdb", dir);
	file = fopen(path, "rb");
	assert_non_null(file);
	*len = fread(out, 1, cap, file);
	fclose(file);
}

static void test_load_leaves_the_register_alone(void **state)
{
	static char before[1 << 20], after[1 << 20];
	struct registry *registry = registry_fixture_open(*state, false);
	struct authz *authz;
	size_t lens[2];

	fixture_event(registry, CLAIM_ADD, "b.example", "t1");
	fixture_event(registry, CLAIM_REMOVE, "b.example", "t1");
	registry_close(registry);
	read_all(*state, before, sizeof(before), &lens[0]);
	authz = fixture_open(*state, false);
	fixture_replace(authz, fixture_pairs("a@b.example joe\n@c.example ann\n"));
	fixture_replace(authz, fixture_pairs("a@b.example joe\n"));
	authz_close(authz);
	read_all(*state, after, sizeof(after), &lens[1]);
	assert_true(lens[0] > 0 && lens[0] < sizeof(before));
	assert_int_equal(lens[0], lens[1]);
	assert_memory_equal(before, after, lens[0]);
	registry = registry_fixture_open(*state, true);
	assert_true(fixture_fact(registry, "joe@x.example", "a@b.example").is_removed);
	registry_close(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_opening),
		FIXTURE_TEST(test_no_register_to_verify),
		FIXTURE_TEST(test_add),
		FIXTURE_TEST(test_absent_and_impossible),
		FIXTURE_TEST(test_second_proof_is_held),
		FIXTURE_TEST(test_tokens),
		FIXTURE_TEST(test_transfer),
		FIXTURE_TEST(test_transfer_reasons),
		FIXTURE_TEST(test_transfer_of_a_pinned_one_to_a_tombstone),
		FIXTURE_TEST(test_late_look),
		FIXTURE_TEST(test_full_domain),
		FIXTURE_TEST(test_expired_ones_make_room),
		FIXTURE_TEST(test_no_room_for_what_is_held),
		FIXTURE_TEST(test_the_same_again_leaves_no_line),
		FIXTURE_TEST(test_forget),
		FIXTURE_TEST(test_reasons_and_what_was_seen),
		FIXTURE_TEST(test_due),
		FIXTURE_TEST(test_due_behind_the_horizon),
		FIXTURE_TEST(test_change_all),
		FIXTURE_TEST(test_senders),
		FIXTURE_TEST(test_senders_of_no_claim),
		FIXTURE_TEST(test_long_senders),
		FIXTURE_TEST(test_scan_senders),
		FIXTURE_TEST(test_scan),
		FIXTURE_TEST(test_fact_of_nobodys_domain),
		FIXTURE_TEST(test_fact_of_tenants),
		FIXTURE_TEST(test_fact_which_decides),
		FIXTURE_TEST(test_fact_of_one_claimed_again),
		FIXTURE_TEST(test_fact_of_senders),
		FIXTURE_TEST(test_load_leaves_the_register_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

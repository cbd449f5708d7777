/* TXT records while time passes: expiry, stale answers, refreshing ahead, back-off. */
#include "tests/session/txt_world.h"

static void test_expires_after_its_ttl(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	assert_record(world, RECORD, false, false);
	assert_int_equal(world->fact.ttl_left_s, 100);
	pass(world, 60 * S);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	assert_int_equal(world->fact.ttl_left_s, 40);
	pass(world, 41 * S);
	fake_answer_found(&world->script, 100, "v=mc1 auth=other");
	ask_dns(world);
	assert_record(world, "v=mc1 auth=other", false, false);
	ask_now(world);
	assert_record(world, "v=mc1 auth=other", true, false);
	assert_int_equal(asks(world), 2);
}

static void test_ttl_is_clamped(void **state)
{
	struct world *world = *state;

	learn(world, 1000000);
	assert_int_equal(world->fact.ttl_left_s, rules.max_ttl_s);
	pass(world, (int64_t)(rules.max_ttl_s + 1) * S);
	learn(world, 100);
	assert_int_equal(asks(world), 2);
}

static void test_absence_expires(void **state)
{
	struct world *world = *state;

	fake_answer_absent(&world->script, 100000);
	ask_dns(world);
	assert_int_equal(world->fact.answer.status, LOOKUP_ABSENT);
	assert_int_equal(world->fact.ttl_left_s, rules.negative_max_ttl_s);
	pass(world, 200 * S);
	ask_now(world);
	assert_int_equal(world->fact.answer.status, LOOKUP_ABSENT);
	assert_true(world->fact.is_cached);
	pass(world, 101 * S);
	learn(world, 100);
	assert_record(world, RECORD, false, false);
}

/* A mail asks once for each of its recipients. */
static void test_ttl_zero_lasts_for_a_mail(void **state)
{
	struct world *world = *state;

	learn(world, 0);
	pass(world, (CACHE_MIN_TTL_S - 1) * S);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	pass(world, 1 * S);
	learn(world, 0);
	assert_record(world, RECORD, false, false);
}

static void test_stale_while_the_dns_fails(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	pass(world, 101 * S);
	let_fail(world);
	ask_dns(world);
	assert_record(world, RECORD, true, true);
	assert_int_equal(world->fact.ttl_left_s, 0);
}

static void test_stale_absence_while_the_dns_fails(void **state)
{
	struct world *world = *state;

	fake_answer_absent(&world->script, 100);
	ask_dns(world);
	pass(world, 101 * S);
	let_fail(world);
	ask_dns(world);
	assert_int_equal(world->fact.answer.status, LOOKUP_ABSENT);
	assert_true(world->fact.is_stale);
}

static void test_stale_is_retried_every_30_s(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	pass(world, 101 * S);
	let_fail(world);
	for (unsigned round = 0; round < 4; round++) {
		ask_dns(world);
		assert_record(world, RECORD, true, true);
		pass(world, (CACHE_RETRY_S - 1) * S);
		ask_now(world);
		assert_record(world, RECORD, true, true);
		pass(world, 2 * S);
	}
	assert_int_equal(asks(world), 5);
	learn(world, 100);
	assert_record(world, RECORD, false, false);
}

static void test_stale_window_ends(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	pass(world, (int64_t)(100 + rules.stale_s + 1) * S);
	let_fail(world);
	ask_dns(world);
	assert_failed(world, DNS_FAILURE_RCODE, false);
	assert_int_equal(world->fact.answer.rcode, DNS_RCODE_SERVFAIL);
}

static void test_refreshed_ahead(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	pass(world, 95 * S);
	for (unsigned i = 0; i < 5; i++)
		ask_now(world);
	assert_record(world, RECORD, true, false);
	assert_int_equal(fake_resolver_asks(world->resolver, NAME), 2);
	assert_int_equal(fake_resolver_waiting(world->resolver, NAME), 1);
	fake_answer_found(&world->script, 100, "v=mc1 auth=next");
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	assert_int_equal(world->facts, 1);
	pass(world, 50 * S);
	ask_now(world);
	assert_record(world, "v=mc1 auth=next", true, false);
	/* the place is free again */
	pass(world, 45 * S);
	ask_now(world);
	assert_int_equal(asks(world), 3);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
}

static void test_refresh_that_fails_is_not_repeated_at_once(void **state)
{
	struct world *world = *state;

	learn(world, 1000);
	pass(world, 920 * S);
	ask_now(world);
	let_fail(world);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	pass(world, (CACHE_RETRY_S - 1) * S);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	assert_int_equal(asks(world), 2);
	pass(world, 2 * S);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	assert_int_equal(asks(world), 3);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
}

static void test_refresh_costs_nobody(void **state)
{
	struct world *world = *state;
	struct txt_source_parts parts = parts_of(world);

	learn(world, 100);
	parts.new_domains = (struct bucket_rule){0};
	txt_source_configure(world->source, &parts);
	pass(world, 95 * S);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	fake_answer_found(&world->script, 100, RECORD);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
}

static void test_short_lives_are_not_refreshed(void **state)
{
	struct world *world = *state;

	learn(world, CACHE_RETRY_S - 1);
	pass(world, (CACHE_RETRY_S - 1) * S - 100);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	assert_int_equal(asks(world), 1);
}

/* A refresh under way is bounded: past that the names simply end. */
static void test_refreshes_are_bounded(void **state)
{
	struct world *world = *state;
	struct txt_wait wait;
	char name[32];

	fake_answer_found(&world->script, 100, RECORD);
	fake_resolver_script(world->resolver, "*", &world->script);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "_l.n%u.example", i);
		assert_false(ask_as(world, name, "", &wait));
		assert_int_equal(fake_resolver_run(world->resolver), 1);
	}
	pass(world, 95 * S);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "_l.n%u.example", i);
		assert_true(ask_as(world, name, "", &wait));
		assert_record(world, RECORD, true, false);
	}
	assert_int_equal(fake_resolver_waiting(world->resolver, NULL), 64);
	assert_int_equal(fake_resolver_run(world->resolver), 64);
}

static void test_failure_is_kept_with_back_off(void **state)
{
	struct world *world = *state;
	static const unsigned kept_s[] = {5, 10, 20, 40, 80, 160, 300, 300};

	let_fail(world);
	for (size_t i = 0; i < sizeof(kept_s) / sizeof(*kept_s); i++) {
		ask_dns(world);
		assert_failed(world, DNS_FAILURE_RCODE, false);
		pass(world, (int64_t)kept_s[i] * S - 10);
		ask_now(world);
		assert_failed(world, DNS_FAILURE_RCODE, true);
		assert_int_equal(world->fact.answer.rcode, DNS_RCODE_SERVFAIL);
		pass(world, 20);
	}
	learn(world, 100);
	assert_record(world, RECORD, false, false);
}

/* A failure that many waited for counts once. */
static void test_many_wait_for_one_query(void **state)
{
	struct world *world = *state;
	static struct txt_wait waits[1000];

	for (size_t i = 0; i < 1000; i++)
		assert_false(ask_as(world, NAME, "", &waits[i]));
	assert_int_equal(asks(world), 1);
	let_fail(world);
	pass(world, 500);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1000);
	assert_int_equal(world->facts, 1000);
	assert_failed(world, DNS_FAILURE_RCODE, false);
	pass(world, CACHE_FAILED_S * S + 10);
	learn(world, 100);
	assert_int_equal(asks(world), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_expires_after_its_ttl),
		WORLD(test_ttl_is_clamped),
		WORLD(test_absence_expires),
		WORLD(test_ttl_zero_lasts_for_a_mail),
		WORLD(test_stale_while_the_dns_fails),
		WORLD(test_stale_absence_while_the_dns_fails),
		WORLD(test_stale_is_retried_every_30_s),
		WORLD(test_stale_window_ends),
		WORLD(test_refreshed_ahead),
		WORLD(test_refresh_that_fails_is_not_repeated_at_once),
		WORLD(test_refresh_costs_nobody),
		WORLD(test_short_lives_are_not_refreshed),
		WORLD(test_refreshes_are_bounded),
		WORLD(test_failure_is_kept_with_back_off),
		WORLD(test_many_wait_for_one_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

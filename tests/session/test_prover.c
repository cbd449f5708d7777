/* The prover at what is due: one claim, a thousand, for months. */
#include "tests/session/prover_world.h"

/* ---- what is due ---- */

static void test_not_before_its_time(void **state)
{
	struct world *world = *state;

	claim(world, "one.example", "acme");
	tick(world);
	wait_until_due(world, "one.example", "acme");
	world->now_s--;
	tick(world);
	assert_int_equal(asks(world, NULL), 0);
	world->now_s++;
	prover_tick(world->prover);
	assert_int_equal(asks(world, "one.example"), 1);
	world->now_s += HOUR;
	prover_tick(world->prover);
	assert_int_equal(asks(world, NULL), 1);
	assert_int_equal(waiting(world), 1);
}

static void test_proved(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");
	struct registry_stat before = fixture_stat(world->registry);

	publish(world, "one.example", added.token);
	pass(world, 2 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	assert_int_equal(fixture_stat(world->registry).audit, before.audit + 1);
	assert_texts(world, "one.example", "acme", "found the record at _check.one.example", "");
	wait_until_due(world, "one.example", "acme");
	tick(world);
	assert_int_equal(asks(world, NULL), 2);
	assert_int_equal(life_of(world, "one.example", "acme").proved_at, world->now_s);
	/* The same again is no news. */
	assert_int_equal(fixture_stat(world->registry).audit, before.audit + 1);
}

static void test_unproved(void **state)
{
	struct world *world = *state;

	claim(world, "one.example", "acme");
	withdraw(world, "one.example");
	pass(world, 2 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
	assert_int_equal(life_of(world, "one.example", "acme").looks, 1);
	assert_texts(
		world, "one.example", "acme", "NXDOMAIN: no TXT record at _check.one.example", "");
	fake_answer_found(&world->script, 300, "v=spf1 \x01\xff -all");
	fake_resolver_script(world->resolver, name_of("one.example"), &world->script);
	wait_until_due(world, "one.example", "acme");
	tick(world);
	assert_texts(world, "one.example", "acme",
		"found \"v=spf1 \\x01\\xff -all\" instead at _check.one.example",
		"v=spf1 \\x01\\xff -all");
	assert_int_equal(life_of(world, "one.example", "acme").looks, 2);
}

static void test_unknown(void **state)
{
	struct world *world = *state;
	int64_t wait_s;

	claim(world, "one.example", "acme");
	let_fail(world, "one.example", DNS_FAILURE_RCODE);
	wait_until_due(world, "one.example", "acme");
	tick(world);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
	assert_int_equal(life_of(world, "one.example", "acme").checked_at, world->now_s);
	wait_s = life_of(world, "one.example", "acme").next_check - world->now_s;
	assert_in_range(wait_s, 270, 330);
	assert_texts(
		world, "one.example", "acme", "SERVFAIL from the DNS for _check.one.example", "");
}

/* What is published of another tenant is not kept: everybody who may look would see it. */
static void test_no_token_is_kept(void **state)
{
	struct world *world = *state;

	claim(world, "one.example", "acme");
	publish(world, "one.example", claim(world, "one.example", "beta").token);
	pass(world, 2 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
	assert_state(world, "one.example", "beta", CLAIM_VERIFIED);
	assert_int_equal(fixture_claim(world->registry, "one.example", "acme").seen.len, 0);
}

/* Our own limits say nothing about a domain. */
static void test_limits_leave_it_due(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");
	struct claim_life before = life_of(world, "one.example", "acme");
	static const enum dns_failure limits[] = {DNS_FAILURE_LIMIT, DNS_FAILURE_MEMORY};

	wait_until_due(world, "one.example", "acme");
	for (unsigned i = 0; i < 2; i++) {
		struct claim_life after;

		let_fail(world, "one.example", limits[i]);
		tick(world);
		assert_int_equal(asks(world, NULL), i + 1);
		after = life_of(world, "one.example", "acme");
		assert_same_life(&after, &before);
		world->now_s++;
	}
	publish(world, "one.example", added.token);
	tick(world);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
}

/* ---- many ---- */

/* One tick begins it, the answers carry it on. */
static void test_many_in_rounds(void **state)
{
	struct world *world = *state;
	unsigned most = 0;

	claim_many(world);
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	assert_int_equal(waiting(world), PROVER_IN_FLIGHT);
	for (unsigned i = 0; waiting(world) > 0 && i < 2 * CROWD; i++) {
		char domain[24];

		/* In an order of no meaning: what waits is a part of them. */
		snprintf(domain, sizeof(domain), "d%u.example", (i * 7) % CROWD);
		if (fake_resolver_waiting(world->resolver, name_of(domain)) > 0)
			fake_resolver_run(world->resolver);
		most = waiting(world) > most ? waiting(world) : most;
		prover_tick(world->prover);
	}
	assert_true(most <= PROVER_IN_FLIGHT);
	assert_int_equal(asks(world, NULL), CROWD);
	assert_int_equal(fixture_stat(world->registry).claims[CLAIM_VERIFIED], CROWD);
	pass(world, 10 * MINUTE);
	assert_int_equal(asks(world, NULL), CROWD);
}

/* A round that wrote nothing is not begun again at once. */
static void test_limits_of_many(void **state)
{
	struct world *world = *state;

	claim_many(world);
	for (int i = 0; i < CROWD; i++) {
		char domain[24];

		snprintf(domain, sizeof(domain), "d%d.example", i);
		let_fail(world, domain, DNS_FAILURE_LIMIT);
	}
	world->now_s += 2 * MINUTE;
	tick(world);
	assert_int_equal(asks(world, NULL), PROVER_BATCH);
}

/* Each answer lets one more question out, never more. */
static void test_never_more_than_so_many(void **state)
{
	struct world *world = *state;
	unsigned begun = PROVER_IN_FLIGHT;

	claim_many(world);
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	for (unsigned i = 0; i < 9 * CROWD && begun < PROVER_BATCH; i++) {
		char domain[24];

		snprintf(domain, sizeof(domain), "d%u.example", i % CROWD);
		fake_answer_absent(&world->script, 60);
		begun += fake_resolver_answer(world->resolver, name_of(domain), &world->script);
		assert_int_equal(asks(world, NULL), begun);
		assert_int_equal(waiting(world), PROVER_IN_FLIGHT);
	}
	assert_int_equal(begun, PROVER_BATCH);
}

static void test_two_tenants_are_one_question(void **state)
{
	struct world *world = *state;
	struct registry_outcome acme = claim(world, "one.example", "acme");
	struct registry_outcome beta = claim(world, "one.example", "beta");
	char value[CHALLENGE_VALUE_MAX + 1];

	publish(world, "one.example", acme.token);
	snprintf(value, sizeof(value), PREFIX "%s", beta.token);
	assert_true(dns_answer_add(&world->script, text_of(value)));
	fake_resolver_script(world->resolver, name_of("one.example"), &world->script);
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	assert_int_equal(waiting(world), 1);
	fake_resolver_run(world->resolver);
	assert_int_equal(asks(world, NULL), 1);
	/* Whoever comes first holds it, the other one's proof is remembered. */
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	assert_state(world, "one.example", "beta", CLAIM_PENDING);
	assert_int_equal(life_of(world, "one.example", "beta").proved_at, world->now_s);
}

/* More claims than a round has room for, since each question is about all of its domain's. */
static void test_many_tenants(void **state)
{
	struct world *world = *state;
	struct registry_change changes[CLAIMS_PER_DOMAIN];
	struct registry_outcome outcomes[CLAIMS_PER_DOMAIN];
	char tenants[CLAIMS_PER_DOMAIN][16], domain[24];

	for (int i = 0; i < 10; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		for (int j = 0; j < CLAIMS_PER_DOMAIN; j++) {
			snprintf(tenants[j], sizeof(tenants[j]), "t%d", j);
			changes[j] = fixture_change(CLAIM_ADD, domain, tenants[j]);
		}
		assert_int_equal(
			registry_change_all(world->registry, changes, CLAIMS_PER_DOMAIN, outcomes),
			ERR_OK);
		withdraw(world, domain);
	}
	world->now_s += 2 * MINUTE;
	tick(world);
	assert_in_range(asks(world, NULL), 10, 20);
	for (int i = 0; i < 10; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		for (int j = 0; j < CLAIMS_PER_DOMAIN; j++)
			assert_int_equal(
				life_of(world, domain, tenants[j]).checked_at, world->now_s);
	}
}

/* ---- days ---- */

static void test_life_of_a_proof(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");

	publish(world, "one.example", added.token);
	pass(world, 2 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	pass(world, 10 * DAY);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	assert_in_range(asks(world, NULL), 9, 13);
	withdraw(world, "one.example");
	pass(world, 27 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	pass(world, 40 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	pass(world, 33 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_REVOKED);
	pass(world, 30 * DAY);
	assert_state(world, "one.example", "acme", CLAIM_REVOKED);
	publish(world, "one.example", added.token);
	pass(world, 27 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
}

static void test_proof_back_in_grace(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");

	publish(world, "one.example", added.token);
	pass(world, 2 * MINUTE);
	withdraw(world, "one.example");
	pass(world, 2 * DAY);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	publish(world, "one.example", added.token);
	pass(world, 70 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
}

/* However long: no failure takes away what is in force. */
static void test_failures_revoke_nothing(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");

	publish(world, "one.example", added.token);
	pass(world, 2 * MINUTE);
	let_fail(world, "one.example", DNS_FAILURE_TIMEOUT);
	pass(world, 20 * DAY);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	withdraw(world, "one.example");
	pass(world, 27 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	let_fail(world, "one.example", DNS_FAILURE_RCODE);
	pass(world, 20 * DAY);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	withdraw(world, "one.example");
	pass(world, 70 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_REVOKED);
}

static void test_pending_expires(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");
	struct looking looking;
	unsigned asked;

	withdraw(world, "one.example");
	pass(world, 71 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
	pass(world, 2 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_EXPIRED);
	asked = asks(world, NULL);
	assert_in_range(asked, 70, 90);
	publish(world, "one.example", added.token);
	pass(world, 10 * DAY);
	assert_int_equal(asks(world, NULL), asked);
	look(world, "one.example", "", &looking);
	assert_int_equal(looking.results[0].outcome.before, CLAIM_EXPIRED);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
}

/* Not by a round that is about another tenant's claim either. */
static void test_expired_beside_a_pending_one(void **state)
{
	struct world *world = *state;
	struct registry_outcome acme = claim(world, "one.example", "acme");

	withdraw(world, "one.example");
	pass(world, 73 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_EXPIRED);
	claim(world, "one.example", "beta");
	publish(world, "one.example", acme.token);
	pass(world, HOUR);
	assert_int_equal(life_of(world, "one.example", "beta").looks, 5);
	assert_state(world, "one.example", "acme", CLAIM_EXPIRED);
}

/* The second one waits, and has it when the first one's proof is gone for good. */
static void test_the_next_tenant(void **state)
{
	struct world *world = *state;
	struct registry_outcome acme = claim(world, "one.example", "acme");
	struct registry_outcome beta;

	publish(world, "one.example", acme.token);
	pass(world, 2 * MINUTE);
	beta = claim(world, "one.example", "beta");
	publish(world, "one.example", beta.token);
	pass(world, 27 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	assert_state(world, "one.example", "beta", CLAIM_PENDING);
	pass(world, 75 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_REVOKED);
	assert_state(world, "one.example", "beta", CLAIM_VERIFIED);
}

/* ---- a clock that was wrong ---- */

#define DECADE (INT64_C(3652) * DAY)

static void test_clock_that_was_ahead(void **state)
{
	struct world *world = *state;

	publish(world, "one.example", claim(world, "one.example", "acme").token);
	pass(world, 2 * MINUTE);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	set_clock(world, DECADE);
	tick(world);
	set_clock(world, -DECADE);
	assert_true(life_of(world, "one.example", "acme").next_check > world->now_s + DECADE);
	withdraw(world, "one.example");
	tick(world);
	assert_state(world, "one.example", "acme", CLAIM_GRACE);
	assert_in_range(
		life_of(world, "one.example", "acme").next_check, world->now_s, world->now_s + DAY);
	pass(world, 75 * HOUR);
	assert_state(world, "one.example", "acme", CLAIM_REVOKED);
}

/* No check that was planned with a clock that is right is made before its time. */
static void test_nothing_is_behind_the_horizon(void **state)
{
	struct world *world = *state;
	unsigned asked;

	world->ownership.rules.recheck_s = MINUTE;
	publish(world, "one.example", claim(world, "one.example", "acme").token);
	pass(world, 10 * MINUTE);
	let_fail(world, "one.example", DNS_FAILURE_TIMEOUT);
	claim(world, "two.example", "acme");
	withdraw(world, "two.example");
	pass(world, 10 * HOUR);
	asked = asks(world, "two.example");
	pass(world, 10 * HOUR);
	assert_in_range(asks(world, "two.example") - asked, 9, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_not_before_its_time),
		WORLD(test_proved),
		WORLD(test_unproved),
		WORLD(test_unknown),
		WORLD(test_no_token_is_kept),
		WORLD(test_limits_leave_it_due),
		WORLD(test_many_in_rounds),
		WORLD(test_limits_of_many),
		WORLD(test_never_more_than_so_many),
		WORLD(test_two_tenants_are_one_question),
		WORLD(test_many_tenants),
		WORLD(test_life_of_a_proof),
		WORLD(test_proof_back_in_grace),
		WORLD(test_failures_revoke_nothing),
		WORLD(test_pending_expires),
		WORLD(test_expired_beside_a_pending_one),
		WORLD(test_the_next_tenant),
		WORLD(test_clock_that_was_ahead),
		WORLD(test_nothing_is_behind_the_horizon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What holds of a claim whatever happens to it and in whatever order; the rules themselves are the
 * rows of tests/claim/ (test_claims.c).
 */
#include "policy/core/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define START        INT64_C(1800000000)
#define SEQUENCES    20000
#define STEPS        40
#define TENANTS      3

static const struct claim_rules rules = {
	.pending_expires_s = 259200, .recheck_s = 86400, .grace_s = 259200};

static uint64_t state_of_random = 1;

/* Repeatable: xorshift64. */
static uint32_t any(uint32_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (uint32_t)(state_of_random >> 32) % below;
}

/* From the next second to a year on. */
static int64_t any_leap(void)
{
	static const uint32_t longest[] = {2, 400, 90000, 260000, 31536000};

	return any(longest[any(COUNT(longest))]);
}

static bool is_watched(enum claim_state state)
{
	return state == CLAIM_PENDING || state == CLAIM_VERIFIED || state == CLAIM_GRACE ||
	       state == CLAIM_REVOKED;
}

/* A claim that came into a state in one of the ways it can. */
static struct claim_life any_life(enum claim_state state, int64_t now)
{
	struct claim_life life = {.state = state};

	if (state == CLAIM_NONE)
		return life;
	life.since = now - any_leap();
	life.created_at = life.since - (state == CLAIM_PENDING ? 0 : any_leap());
	life.checked_at = life.since + any((uint32_t)(now - life.since) + 1);
	life.proved_at = any(2) ? life.created_at : 0;
	life.next_check = is_watched(state) ? now : 0;
	life.looks = any(20);
	return life;
}

static void failures_alone_refuse_nobody(void **state)
{
	(void)state;
	for (int i = 0; i < SEQUENCES; i++) {
		int64_t now = START;
		enum claim_state before = (enum claim_state)any(CLAIM_STATES_);
		struct claim_life life = any_life(before, now);

		for (int step = 0; step < STEPS; step++) {
			now += any_leap();
			(void)claim_step(
				&life, CLAIM_UNKNOWN, any(2), now, &rules, any(UINT32_MAX));
			if (claim_is_in_force(before))
				assert_true(claim_is_in_force(life.state));
			/* Both refuse the tenant's own logins alone. */
			if (before == CLAIM_PENDING && life.state == CLAIM_EXPIRED)
				continue;
			assert_int_equal(life.state, before);
		}
	}
}

static void check_life(const struct claim_life *life, int64_t now)
{
	assert_true(life->since <= now && life->created_at <= now);
	assert_true(life->proved_at <= now && life->checked_at <= now);
	assert_true(life->created_at <= life->since);
	assert_true(is_watched(life->state) == (life->next_check != 0));
	assert_true(!life->is_tombstone || claim_may_be_tombstone(life->state));
}

/* What one event may do to the force of a claim. */
static void check_force(const struct claim_life *before, enum claim_event event, bool is_held,
	const struct claim_life *after)
{
	bool was = claim_is_in_force(before->state), is = claim_is_in_force(after->state);

	if (was && event == CLAIM_GIVE_AWAY)
		assert_int_equal(after->state, CLAIM_REMOVED);
	if (was && !is && event == CLAIM_UNPROVED)
		assert_true(before->state == CLAIM_GRACE &&
			    after->checked_at - before->since >= rules.grace_s);
	else if (was && !is)
		assert_true(event == CLAIM_REMOVE || event == CLAIM_GIVE_AWAY);
	if (!was && is)
		assert_true(!is_held && (event == CLAIM_PROVED || event == CLAIM_HOST ||
						event == CLAIM_PIN || event == CLAIM_TAKE_OVER));
}

static bool refuses_others(const struct claim_life *life)
{
	return life->state == CLAIM_REMOVED || life->is_tombstone;
}

/* Only a claim in force takes a removal back, and only a removal makes one. */
static void check_tombstone(
	const struct claim_life *before, enum claim_event event, const struct claim_life *after)
{
	if (refuses_others(before) && !refuses_others(after))
		assert_true(claim_is_in_force(after->state));
	if (!refuses_others(before) && refuses_others(after))
		assert_true(event == CLAIM_REMOVE || event == CLAIM_GIVE_AWAY);
}

static void check_word(enum claim_word word, const struct claim_life *before, bool is_held,
	const struct claim_life *after)
{
	assert_true((word == CLAIM_CHANGED) == (before->state != after->state));
	if (word == CLAIM_HELD)
		assert_true(is_held);
	if (word == CLAIM_IMPOSSIBLE)
		assert_memory_equal(before, after, sizeof(*before));
	if (word != CLAIM_CHANGED)
		assert_true(before->since == after->since);
}

static void any_sequence_leaves_a_sound_claim(void **state)
{
	(void)state;
	for (int i = 0; i < SEQUENCES; i++) {
		int64_t now = START;
		struct claim_life life = any_life((enum claim_state)any(CLAIM_STATES_), now);

		for (int step = 0; step < STEPS; step++) {
			struct claim_life before = life;
			enum claim_event event = (enum claim_event)any(CLAIM_EVENTS_);
			bool is_held = !claim_is_in_force(life.state) && any(3) == 0;
			enum claim_word word;

			now += any_leap();
			word = claim_step(&life, event, is_held, now, &rules, any(UINT32_MAX));
			check_life(&life, now);
			check_force(&before, event, is_held, &life);
			check_word(word, &before, is_held, &life);
			check_tombstone(&before, event, &life);
		}
	}
}

static int in_force_but(const struct claim_life *lives, int but)
{
	int count = 0;

	for (int i = 0; i < TENANTS; i++)
		count += i != but && claim_is_in_force(lives[i].state);
	return count;
}

static void step_of(struct claim_life *lives, int tenant, enum claim_event event, int64_t now)
{
	(void)claim_step(&lives[tenant], event, in_force_but(lives, tenant) > 0, now, &rules, 0);
}

static void one_claim_of_a_domain_is_in_force(void **state)
{
	(void)state;
	for (int i = 0; i < SEQUENCES; i++) {
		struct claim_life lives[TENANTS] = {0};
		int64_t now = START;

		for (int step = 0; step < STEPS; step++) {
			int tenant = (int)any(TENANTS);
			enum claim_event event = (enum claim_event)any(CLAIM_EVENTS_);

			now += any_leap();
			step_of(lives, tenant, event, now);
			if (event == CLAIM_GIVE_AWAY)
				step_of(lives, (tenant + 1) % TENANTS, CLAIM_TAKE_OVER, now);
			assert_true(in_force_but(lives, -1) <= 1);
		}
	}
}

/* A second claim that was proved while the first stood takes the domain once that is revoked. */
static void who_waits_is_next(void **state)
{
	struct claim_life lives[TENANTS] = {0};
	int64_t now = START;

	(void)state;
	step_of(lives, 0, CLAIM_ADD, now);
	step_of(lives, 0, CLAIM_PROVED, now += 60);
	step_of(lives, 1, CLAIM_ADD, now);
	step_of(lives, 0, CLAIM_UNPROVED, now += 86400);
	for (int i = 0; i < 72; i++) {
		step_of(lives, 1, i % 9 ? CLAIM_PROVED : CLAIM_UNKNOWN, now += 3600);
		assert_int_equal(lives[1].state, CLAIM_PENDING);
	}
	step_of(lives, 0, CLAIM_UNPROVED, now);
	assert_int_equal(lives[0].state, CLAIM_REVOKED);
	step_of(lives, 1, CLAIM_PROVED, now);
	assert_int_equal(lives[1].state, CLAIM_VERIFIED);
	step_of(lives, 0, CLAIM_PROVED, now);
	assert_int_equal(lives[0].state, CLAIM_REVOKED);
}

/* The time of a state begins again; nothing ends early. */
static void a_clock_set_back_ends_nothing(void **state)
{
	struct claim_life life = {.state = CLAIM_GRACE,
		.created_at = START,
		.since = START,
		.proved_at = START,
		.checked_at = START,
		.next_check = START};
	int64_t back = START - 1000000;

	(void)state;
	assert_int_equal(claim_step(&life, CLAIM_UNPROVED, false, back, &rules, 0), CLAIM_KEPT);
	assert_true(life.state == CLAIM_GRACE && life.next_check > back);
	check_life(&life, back);
	(void)claim_step(&life, CLAIM_UNPROVED, false, back + rules.grace_s - 1, &rules, 0);
	assert_int_equal(life.state, CLAIM_GRACE);
	(void)claim_step(&life, CLAIM_UNPROVED, false, back + rules.grace_s, &rules, 0);
	assert_int_equal(life.state, CLAIM_REVOKED);
}

static int64_t next_after(uint32_t spread)
{
	struct claim_life life = {.state = CLAIM_VERIFIED, .since = START - 1, .next_check = START};

	assert_int_equal(claim_step(&life, CLAIM_PROVED, false, START, &rules, spread), CLAIM_KEPT);
	return life.next_check - START;
}

static void looks_are_spread(void **state)
{
	int64_t tenth_s = rules.recheck_s / 10, sum = 0;

	(void)state;
	assert_int_equal(next_after(0), rules.recheck_s - tenth_s);
	assert_int_equal(next_after(UINT32_MAX), rules.recheck_s + tenth_s);
	assert_int_equal(next_after(UINT32_C(1) << 31), rules.recheck_s);
	for (uint32_t i = 0; i < 1000; i++) {
		int64_t next = next_after(i * (UINT32_MAX / 1000));
		assert_true(next >= rules.recheck_s - tenth_s);
		assert_true(next <= rules.recheck_s + tenth_s);
		sum += next;
	}
	assert_true(llabs(sum / 1000 - rules.recheck_s) < tenth_s / 50);
}

static void states_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < CLAIM_STATES_; i++)
		assert_int_equal(claim_state_of(text_of(claim_state_name((enum claim_state)i))), i);
	assert_string_equal(claim_state_name(CLAIM_VERIFIED), "verified");
	assert_int_equal(claim_state_of(TEXT("")), CLAIM_STATES_);
	assert_int_equal(claim_state_of(TEXT("Verified")), CLAIM_STATES_);
	assert_int_equal(claim_state_of(TEXT("verifie")), CLAIM_STATES_);
}

static void tenants_are_plain_words(void **state)
{
	static const char *const bad[] = {"", " ", "a b", "a/b", "a\n", "a\t", "a\"", "\303\244",
		"a,b", "a:b", "a=b", "a|b", "a*",
		"01234567890123456789012345678901234567890123456789012345678901234"};
	static const char *const good[] = {"a", "T-1", "acme.example", "joe@acme.example", "a+b_c",
		"0123456789012345678901234567890123456789012345678901234567890123"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(tenant_is_valid(text_of(bad[i])));
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(tenant_is_valid(text_of(good[i])));
	assert_false(tenant_is_valid((struct text){"a\0b", 3}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_alone_refuse_nobody),
		cmocka_unit_test(any_sequence_leaves_a_sound_claim),
		cmocka_unit_test(one_claim_of_a_domain_is_in_force),
		cmocka_unit_test(who_waits_is_next),
		cmocka_unit_test(a_clock_set_back_ends_nothing),
		cmocka_unit_test(looks_are_spread),
		cmocka_unit_test(states_have_names),
		cmocka_unit_test(tenants_are_plain_words),
	};

	return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}

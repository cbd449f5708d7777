/*
 * Results of a look for proofs as attributes of an answer, and back.
 */
#include "policy/engine/control_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct prover_result full = {
	.tenant = "acme",
	.outcome = {.word = CLAIM_CHANGED,
		.before = CLAIM_GRACE,
		.after = CLAIM_VERIFIED,
		.holder = "other",
		.life = {.state = CLAIM_VERIFIED,
			.since = 1700000000,
			.proved_at = 1700000001,
			.checked_at = 1700000002,
			.next_check = 1700086400}},
	.word = CHALLENGE_OLD_TOKEN,
	.expected = "policyd-verification=abc",
	.seen = "\"policyd-verification=abd\" 100%",
	.differs_at = 23,
	.sentence = "found something else",
};

static struct control_message *message_new(void)
{
	struct control_message *message = malloc(sizeof(*message));

	assert_non_null(message);
	control_start(message);
	return message;
}

static void assert_same(const struct prover_result *a, const struct prover_result *b)
{
	assert_string_equal(a->tenant, b->tenant);
	assert_int_equal(a->word, b->word);
	assert_int_equal(a->outcome.word, b->outcome.word);
	assert_int_equal(a->outcome.before, b->outcome.before);
	assert_int_equal(a->outcome.after, b->outcome.after);
	assert_string_equal(a->outcome.holder, b->outcome.holder);
	assert_memory_equal(&a->outcome.life, &b->outcome.life, sizeof(a->outcome.life));
	assert_string_equal(a->expected, b->expected);
	assert_string_equal(a->seen, b->seen);
	assert_int_equal(a->differs_at, b->differs_at);
	assert_string_equal(a->sentence, b->sentence);
}

static void test_there_and_back(void **state)
{
	struct control_message *message = message_new();
	struct prover_result *got = calloc(3, sizeof(*got));
	struct prover_result bare = {.tenant = "b", .word = CHALLENGE_ABSENT};

	(void)state;
	assert_non_null(got);
	assert_true(control_add(message, "status", TEXT("ok")));
	assert_true(control_add_result(message, &full));
	assert_true(control_add_result(message, &bare));
	assert_int_equal(control_read_results(message, got, 3), 2);
	assert_same(&got[0], &full);
	assert_same(&got[1], &bare);
	assert_int_equal(control_read_results(message, got, 1), 1);
	free(got);
	free(message);
}

/* All claims that a domain may have fit into one answer, each as long as it can be. */
static void test_room_for_all(void **state)
{
	struct control_message *message = message_new();
	struct prover_result longest = full;
	int count = 0;

	(void)state;
	memset(longest.tenant, 't', sizeof(longest.tenant) - 1);
	memset(longest.outcome.holder, 'h', sizeof(longest.outcome.holder) - 1);
	memset(longest.seen, 's', sizeof(longest.seen) - 1);
	memset(longest.sentence, 'e', sizeof(longest.sentence) - 1);
	memset(longest.expected, 'x', sizeof(longest.expected) - 1);
	while (count < CLAIMS_PER_DOMAIN && control_add_result(message, &longest))
		count++;
	assert_in_range(count, 50, CLAIMS_PER_DOMAIN);
	control_start(message);
	for (count = 0; count < CLAIMS_PER_DOMAIN; count++)
		assert_true(control_add_result(message, &full));
	free(message);
}

/* Nothing that cannot be read is a proof. */
static void test_what_is_not_known(void **state)
{
	struct control_message *message = message_new();
	struct prover_result got;

	(void)state;
	assert_true(control_add(message, "finding", TEXT("proved")));
	assert_int_equal(control_read_results(message, &got, 1), 0);
	assert_true(control_add(message, "tenant", TEXT("acme")));
	assert_int_equal(control_read_results(message, &got, 1), 1);
	assert_int_equal(got.word, CHALLENGE_UNKNOWN);
	assert_int_equal(got.outcome.word, CLAIM_IMPOSSIBLE);
	assert_true(control_add(message, "finding", TEXT("Proved")));
	assert_true(control_add(message, "changed", TEXT("")));
	assert_true(control_add(message, "after", TEXT("sold")));
	assert_true(control_add(message, "since", TEXT("-1")));
	assert_true(control_add(message, "next_check", TEXT("99999999999999999999999")));
	assert_int_equal(control_read_results(message, &got, 1), 1);
	assert_int_equal(got.word, CHALLENGE_UNKNOWN);
	assert_int_equal(got.outcome.word, CLAIM_IMPOSSIBLE);
	assert_int_equal(got.outcome.after, CLAIM_NONE);
	assert_int_equal(got.outcome.life.since, 0);
	assert_int_equal(got.outcome.life.next_check, 0);
	free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_room_for_all),
		cmocka_unit_test(test_what_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

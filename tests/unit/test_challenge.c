/*
 * The proof of a claim, and each way of publishing something else in its place.
 */
#include "policy/core/challenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PREFIX       "policyd-verification="
#define TOKEN        "abcdefghijklmnopqrstuvwxyz234567"
#define OLD          "gezdgnbvgy3tqojqgezdgnbvgy3tqojq"
#define OTHER        "777777777777777777777777777777aa"
#define NAME         "domauthvalidation.example.org"
#define TOKENS       1000000

static const struct challenge challenge = {
	.label = {"domauthvalidation", 17},
	.prefix = {PREFIX, sizeof(PREFIX) - 1},
	.token = {TOKEN, sizeof(TOKEN) - 1},
	.old_token = {OLD, sizeof(OLD) - 1},
};

/* One record. differs_at: bytes that agree with the value; -1: all of it. */
static const struct {
	const char *record;
	enum challenge_word word;
	int differs_at;
} records[] = {
	{PREFIX TOKEN, CHALLENGE_PROVED, -1},
	{"Policyd-VERIFICATION=" TOKEN, CHALLENGE_PROVED, -1},
	{PREFIX "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", CHALLENGE_PROVED, -1},
	{"  " PREFIX TOKEN "\t ", CHALLENGE_PROVED, -1},
	{PREFIX TOKEN "\r\n", CHALLENGE_PROVED, -1},
	/* Quotes, as a form of a DNS host or a text processor adds them. */
	{"\"" PREFIX TOKEN "\"", CHALLENGE_QUOTED, 0},
	{" \"" PREFIX TOKEN "\" ", CHALLENGE_QUOTED, 0},
	{"'" PREFIX TOKEN "'", CHALLENGE_QUOTED, 0},
	{"\\\"" PREFIX TOKEN "\\\"", CHALLENGE_QUOTED, 0},
	{"\342\200\234" PREFIX TOKEN "\342\200\235", CHALLENGE_QUOTED, 0},
	{"\" " PREFIX TOKEN " \"", CHALLENGE_QUOTED, 0},
	{"\"" PREFIX TOKEN, CHALLENGE_QUOTED, 0},
	{PREFIX TOKEN "\"", CHALLENGE_QUOTED, 53},
	{PREFIX "\"" TOKEN "\"", CHALLENGE_QUOTED, 21},
	{PREFIX "\" \"" TOKEN, CHALLENGE_QUOTED, 21},
	/* White space. */
	{PREFIX " " TOKEN, CHALLENGE_BLANKS, 21},
	{"policyd-verification =" TOKEN, CHALLENGE_BLANKS, 20},
	{PREFIX "abcdefghijklmnop qrstuvwxyz234567", CHALLENGE_BLANKS, 37},
	{PREFIX "abcdefghijklmnop\r\nqrstuvwxyz234567", CHALLENGE_BLANKS, 37},
	{PREFIX TOKEN "\302\240", CHALLENGE_BLANKS, 53},
	{PREFIX "\342\200\213" TOKEN, CHALLENGE_BLANKS, 21},
	/* The prefix is missing, or another one. */
	{TOKEN, CHALLENGE_NO_PREFIX, 0},
	{"\"" TOKEN "\"", CHALLENGE_NO_PREFIX, 0},
	{"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", CHALLENGE_NO_PREFIX, 0},
	{"abcdefghijklmnop qrstuvwxyz234567", CHALLENGE_NO_PREFIX, 0},
	{"policyd-verify=" TOKEN, CHALLENGE_NO_PREFIX, 13},
	{"policyd-verification:" TOKEN, CHALLENGE_NO_PREFIX, 20},
	{"policyd-verification" TOKEN, CHALLENGE_NO_PREFIX, 20},
	/* Other tokens. */
	{PREFIX OLD, CHALLENGE_OLD_TOKEN, 21},
	{OLD, CHALLENGE_OLD_TOKEN, 0},
	{"\"" PREFIX OLD "\"", CHALLENGE_OLD_TOKEN, 0},
	{PREFIX OTHER, CHALLENGE_OTHER_TOKEN, 21},
	{"POLICYD-verification=" OTHER, CHALLENGE_OTHER_TOKEN, 21},
	{"\"" PREFIX OTHER "\"", CHALLENGE_OTHER_TOKEN, 0},
	{PREFIX "abcdefghijklmnopqrstuvwxyz234566", CHALLENGE_OTHER_TOKEN, 52},
	{PREFIX "bcdefghijklmnopqrstuvwxyz234567", CHALLENGE_OTHER_TOKEN, 21},
	{PREFIX "TOKEN", CHALLENGE_OTHER_TOKEN, 21},
	/* Too little, too much. */
	{PREFIX, CHALLENGE_CUT, 21},
	{"policyd-", CHALLENGE_CUT, 8},
	{PREFIX "abcdefghijklmnopqrstuvwxyz23456", CHALLENGE_CUT, 52},
	{PREFIX TOKEN ".", CHALLENGE_CUT, 53},
	{PREFIX TOKEN "a", CHALLENGE_CUT, 53},
	{PREFIX TOKEN " " PREFIX OTHER, CHALLENGE_CUT, 53},
	{PREFIX TOKEN " " PREFIX TOKEN, CHALLENGE_CUT, 53},
	{"TXT " PREFIX TOKEN, CHALLENGE_CUT, 0},
	{"value: \"" PREFIX TOKEN "\"", CHALLENGE_CUT, 0},
	/* Nothing of ours. */
	{"", CHALLENGE_NO_MATCH, 0},
	{" ", CHALLENGE_NO_MATCH, 0},
	{"policyd", CHALLENGE_NO_MATCH, 7},
	{"v=spf1 -all", CHALLENGE_NO_MATCH, 0},
	{"policyd-lockdown=1", CHALLENGE_NO_MATCH, 8},
	{OTHER, CHALLENGE_NO_MATCH, 0},
	{"olicyd-verification=", CHALLENGE_NO_MATCH, 0},
};

static struct dns_answer answer;

static void answer_with(const char *const *texts, size_t count)
{
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	answer.status = LOOKUP_FOUND;
	for (size_t i = 0; i < count; i++)
		assert_true(dns_answer_add(&answer, text_of(texts[i])));
}

static struct challenge_finding judge(const struct challenge *asked)
{
	struct challenge_finding finding;

	challenge_judge(asked, &answer, &finding);
	return finding;
}

/* A sentence is printable, not empty, and never tells a token. */
static const char *explain(const struct challenge_finding *finding)
{
	static char out[CLAIM_REASON_MAX + 1];

	memset(out, 'x', sizeof(out));
	challenge_explain(finding, &answer, TEXT(NAME), out);
	assert_non_null(memchr(out, 0, sizeof(out)));
	assert_true(strlen(out) > 10);
	for (const char *c = out; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
	assert_null(strcasestr(out, TOKEN));
	assert_null(strcasestr(out, OLD));
	assert_null(strcasestr(out, OTHER));
	return out;
}

static void one_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		int same = records[i].differs_at < 0 ? (int)sizeof(PREFIX TOKEN) - 1
						     : records[i].differs_at;
		struct challenge_finding finding;

		answer_with(&records[i].record, 1);
		finding = judge(&challenge);
		if (finding.word != records[i].word || finding.differs_at != (size_t)same)
			print_error("[%s]: class %d, expected %d, the same for %zu\n",
				records[i].record, finding.word, records[i].word,
				finding.differs_at);
		assert_int_equal(finding.word, records[i].word);
		assert_int_equal(finding.differs_at, same);
		(void)explain(&finding);
	}
}

/* Of any two records, in either order, the same one is nearest. */
static void the_nearest_record_counts(void **state)
{
	static const char *const nearest_first[] = {PREFIX TOKEN, "\"" PREFIX TOKEN "\"",
		PREFIX " " TOKEN, PREFIX TOKEN ".", TOKEN, PREFIX OLD,
		PREFIX "abcdefghijklmnopqrstuvwxyz234566", PREFIX OTHER, "policyd-lockdown=1",
		"v=spf1 -all"};

	(void)state;
	for (size_t i = 0; i < COUNT(nearest_first); i++)
		for (size_t k = i + 1; k < COUNT(nearest_first); k++) {
			const char *pair[] = {nearest_first[i], nearest_first[k]};
			const char *turned[] = {nearest_first[k], nearest_first[i]};

			answer_with(pair, 2);
			assert_true(text_equal(judge(&challenge).seen, text_of(pair[0])));
			answer_with(turned, 2);
			assert_true(text_equal(judge(&challenge).seen, text_of(pair[0])));
		}
}

static void equal_records_the_first(void **state)
{
	static const char *const both[] = {"v=spf1 a", "v=spf1 b"};

	(void)state;
	answer_with(both, 2);
	assert_true(text_equal(judge(&challenge).seen, TEXT("v=spf1 a")));
}

static void no_records(void **state)
{
	struct challenge_finding finding;

	(void)state;
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	answer.status = LOOKUP_ABSENT;
	finding = judge(&challenge);
	assert_int_equal(finding.word, CHALLENGE_ABSENT);
	assert_true(finding.seen.len == 0);
	assert_string_equal(explain(&finding), "no TXT record at " NAME);
	answer.rcode = DNS_RCODE_NXDOMAIN;
	assert_string_equal(explain(&finding), "NXDOMAIN: no TXT record at " NAME);
	/* FOUND without records is none, too. */
	answer.status = LOOKUP_FOUND;
	assert_int_equal(judge(&challenge).word, CHALLENGE_ABSENT);
}

/* What lies in a failed answer is not looked at. */
static void a_failure_is_unknown(void **state)
{
	static const char *const proof[] = {PREFIX TOKEN};
	struct challenge_finding finding;

	(void)state;
	answer_with(proof, 1);
	answer.status = LOOKUP_FAILED;
	answer.failure = DNS_FAILURE_RCODE;
	answer.rcode = DNS_RCODE_SERVFAIL;
	strcpy(answer.server, "192.0.2.1:53");
	finding = judge(&challenge);
	assert_int_equal(finding.word, CHALLENGE_UNKNOWN);
	assert_string_equal(explain(&finding), "SERVFAIL from 192.0.2.1:53 for " NAME);
	dns_answer_clear(&answer, DNS_FAILURE_TIMEOUT);
	assert_string_equal(explain(&finding), "no answer from the DNS (timeout) for " NAME);
}

/* Hosted, or pinned without a challenge: the bare prefix proves nothing. */
static void without_a_token_nothing_proves(void **state)
{
	struct challenge bare = challenge;

	(void)state;
	bare.old_token = TEXT("");
	for (size_t len = 0; len < CLAIM_TOKEN_LEN; len++) {
		bare.token.len = len;
		for (size_t i = 0; i < COUNT(records); i++) {
			answer_with(&records[i].record, 1);
			assert_true(judge(&bare).word == CHALLENGE_NO_MATCH ||
				    judge(&bare).word == CHALLENGE_OTHER_TOKEN);
		}
	}
	bare.prefix.len = 0;
	answer_with((const char *const[]){""}, 1);
	assert_int_equal(judge(&bare).word, CHALLENGE_NO_MATCH);
}

static void without_a_prefix_the_token_proves(void **state)
{
	static const char *const token[] = {TOKEN}, *const other[] = {OTHER};
	struct challenge bare = challenge;

	(void)state;
	bare.prefix = TEXT("");
	answer_with(token, 1);
	assert_int_equal(judge(&bare).word, CHALLENGE_PROVED);
	answer_with(other, 1);
	assert_int_equal(judge(&bare).word, CHALLENGE_NO_MATCH);
}

static void the_value(void **state)
{
	char prefix[128], out[CHALLENGE_VALUE_MAX + 1];
	struct challenge longest = challenge;

	(void)state;
	assert_int_equal(challenge_value(&challenge, out), sizeof(PREFIX TOKEN) - 1);
	assert_string_equal(out, PREFIX TOKEN);
	memset(prefix, 'p', sizeof(prefix));
	longest.prefix = (struct text){prefix, sizeof(prefix)};
	assert_int_equal(challenge_value(&longest, out), CHALLENGE_VALUE_MAX);
	assert_int_equal(strlen(out), CHALLENGE_VALUE_MAX);
}

static void words_are_events(void **state)
{
	(void)state;
	for (int word = CHALLENGE_PROVED; word <= CHALLENGE_UNKNOWN; word++)
		assert_int_equal(challenge_event((enum challenge_word)word),
			word == CHALLENGE_PROVED    ? CLAIM_PROVED
			: word == CHALLENGE_UNKNOWN ? CLAIM_UNKNOWN
						    : CLAIM_UNPROVED);
}

static void sentences(void **state)
{
	static const char *const two[] = {"v=spf1 \"-all\"\n\001\377", "x"};
	char name[DNS_NAME_MAX + 1], record[DNS_TEXT_MAX], out[CLAIM_REASON_MAX + 1];
	struct challenge_finding finding;

	(void)state;
	answer_with(two, 1);
	finding = judge(&challenge);
	assert_string_equal(explain(&finding),
		"found \"v=spf1 \\x22-all\\x22\\x0a\\x01\\xff\" instead at " NAME);
	answer_with(two, 2);
	finding = judge(&challenge);
	assert_string_equal(explain(&finding),
		"found \"v=spf1 \\x22-all\\x22\\x0a\\x01\\xff\" instead, the nearest of 2 TXT "
		"records, at " NAME);
	answer_with((const char *const[]){"other=" OTHER " b"}, 1);
	finding = judge(&challenge);
	assert_string_equal(explain(&finding), "found \"other=... b\" instead at " NAME);
	/* The longest name and record there can be. */
	memset(name, 'n', DNS_NAME_MAX);
	memset(record, 1, sizeof(record));
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	answer.status = LOOKUP_FOUND;
	for (int i = 0; i < 4; i++)
		assert_true(dns_answer_add(&answer, (struct text){record, sizeof(record)}));
	finding = judge(&challenge);
	assert_true(strstr(explain(&finding), "\\x01...\" instead"));
	challenge_explain(&finding, &answer, (struct text){name, DNS_NAME_MAX}, out);
	assert_int_equal(strlen(out), CLAIM_REASON_MAX);
}

/* RFC 4648 section 10, lower case, of as many bytes as a token has. */
static void tokens_are_base32(void **state)
{
	char out[CLAIM_TOKEN_LEN + 1];
	uint8_t bytes[20];

	(void)state;
	challenge_token((const uint8_t *)"foobarfoobarfoobarfo", out);
	assert_string_equal(out, "mzxw6ytbojtg633cmfzgm33pmjqxeztp");
	memset(bytes, 0, sizeof(bytes));
	challenge_token(bytes, out);
	assert_string_equal(out, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	memset(bytes, 255, sizeof(bytes));
	challenge_token(bytes, out);
	assert_string_equal(out, "77777777777777777777777777777777");
}

/* Every bit that the kernel gave is in the token. */
static void no_bit_is_lost(void **state)
{
	char zero[CLAIM_TOKEN_LEN + 1], out[CLAIM_TOKEN_LEN + 1];
	uint8_t bytes[20] = {0};

	(void)state;
	challenge_token(bytes, zero);
	for (size_t bit = 0; bit < 160; bit++) {
		bytes[bit / 8] = (uint8_t)(1 << bit % 8);
		challenge_token(bytes, out);
		assert_string_not_equal(out, zero);
		bytes[bit / 8] = 0;
	}
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, CLAIM_TOKEN_LEN);
}

static void no_two_tokens_are_alike(void **state)
{
	uint8_t random[10][20];
	char(*tokens)[CLAIM_TOKEN_LEN + 1] = malloc(TOKENS * sizeof(*tokens));
	size_t alike = 0;

	(void)state;
	assert_non_null(tokens);
	for (size_t i = 0; i < TOKENS; i++) {
		/* Up to 256 bytes a call are sure to come whole. */
		if (i % COUNT(random) == 0)
			assert_int_equal(getrandom(random, sizeof(random), 0), sizeof(random));
		challenge_token(random[i % COUNT(random)], tokens[i]);
	}
	qsort(tokens, TOKENS, sizeof(*tokens), compare);
	for (size_t i = 1; i < TOKENS; i++)
		alike += compare(tokens[i - 1], tokens[i]) == 0;
	free(tokens);
	assert_int_equal(alike, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_record),
		cmocka_unit_test(the_nearest_record_counts),
		cmocka_unit_test(equal_records_the_first),
		cmocka_unit_test(no_records),
		cmocka_unit_test(a_failure_is_unknown),
		cmocka_unit_test(without_a_token_nothing_proves),
		cmocka_unit_test(without_a_prefix_the_token_proves),
		cmocka_unit_test(the_value),
		cmocka_unit_test(words_are_events),
		cmocka_unit_test(sentences),
		cmocka_unit_test(tokens_are_base32),
		cmocka_unit_test(no_bit_is_lost),
		cmocka_unit_test(no_two_tokens_are_alike),
	};

	return cmocka_run_group_tests_name("challenge", tests, NULL, NULL);
}

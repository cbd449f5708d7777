/*
 * A DNS answer as plain data: filling, copying, its bounds; names of rcodes and failures; the name
 * under which a record stands.
 */
#include "policy/core/dns.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_clear(void **state)
{
	static struct dns_answer answer;

	(void)state;
	memset(&answer, 0x5a, sizeof(answer));
	dns_answer_clear(&answer, DNS_FAILURE_TIMEOUT);
	assert_int_equal(answer.status, LOOKUP_FAILED);
	assert_int_equal(answer.failure, DNS_FAILURE_TIMEOUT);
	assert_int_equal(answer.rcode, 0);
	assert_false(answer.is_authentic);
	assert_int_equal(answer.ttl_s + answer.strings + answer.count + answer.used, 0);
	assert_string_equal(answer.server, "");
}

static void test_add_and_copy(void **state)
{
	static struct dns_answer from, to;

	(void)state;
	dns_answer_clear(&from, DNS_FAILURE_NONE);
	from.status = LOOKUP_FOUND;
	from.is_authentic = true;
	from.ttl_s = 7;
	from.strings = 2;
	snprintf(from.server, sizeof(from.server), "192.0.2.1:53");
	assert_true(dns_answer_add(&from, TEXT("v=mc1")));
	assert_true(dns_answer_add(&from, (struct text){0}));
	assert_true(dns_answer_add(&from, TEXT("a\0b")));
	dns_answer_copy(&to, &from);
	memset(from.bytes, 'x', sizeof(from.bytes));
	assert_int_equal(to.status, LOOKUP_FOUND);
	assert_true(to.is_authentic);
	assert_int_equal(to.ttl_s, 7);
	assert_int_equal(to.strings, 2);
	assert_string_equal(to.server, "192.0.2.1:53");
	assert_int_equal(to.count, 3);
	assert_true(text_equal(to.txt[0], TEXT("v=mc1")));
	assert_int_equal(to.txt[1].len, 0);
	assert_true(text_equal(to.txt[2], TEXT("a\0b")));
	dns_answer_copy(&to, &to);
	assert_int_equal(to.count, 3);
}

static void test_add_is_bounded(void **state)
{
	static struct dns_answer answer;
	static const char big[DNS_TEXT_MAX + 1];

	(void)state;
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	assert_false(dns_answer_add(&answer, (struct text){big, DNS_TEXT_MAX + 1}));
	for (int i = 0; i < DNS_BYTES_MAX / DNS_TEXT_MAX; i++)
		assert_true(dns_answer_add(&answer, (struct text){big, DNS_TEXT_MAX}));
	assert_false(dns_answer_add(&answer, (struct text){big, 1}));
	assert_int_equal(answer.used, DNS_BYTES_MAX);
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	for (int i = 0; i < DNS_RECORDS_MAX; i++)
		assert_true(dns_answer_add(&answer, (struct text){big, 1}));
	assert_false(dns_answer_add(&answer, (struct text){big, 1}));
	assert_int_equal(answer.count, DNS_RECORDS_MAX);
}

static void test_words(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(dns_rcode_text(DNS_RCODE_NOERROR, out), "NOERROR");
	assert_string_equal(dns_rcode_text(DNS_RCODE_SERVFAIL, out), "SERVFAIL");
	assert_string_equal(dns_rcode_text(DNS_RCODE_NXDOMAIN, out), "NXDOMAIN");
	assert_string_equal(dns_rcode_text(DNS_RCODE_REFUSED, out), "REFUSED");
	assert_string_equal(dns_rcode_text(23, out), "RCODE23");
	assert_string_equal(dns_rcode_text(255, out), "RCODE255");
	assert_string_equal(dns_failure_text(DNS_FAILURE_NONE), "none");
	assert_string_equal(dns_failure_text(DNS_FAILURE_CHAIN), "chain");
	assert_string_equal(dns_failure_text(DNS_FAILURE_MEMORY), "memory");
	assert_string_equal(dns_failure_text((enum dns_failure)99), "unknown");
}

#define D63  "a23456789012345678901234567890123456789012345678901234567890123"
#define D192 D63 "." D63 "." D63 "."

static const struct {
	const char *label, *domain;
	bool is_name;
} names[] = {
	{"_mailchannels", "example.com", true}, {"_mc._x", "example.com", true},
	{"_mailchannels", "xn--bcher-kva.example", true}, {"_mailchannels", "localhost", true},
	{"_mailchannels", "", false}, {"", "example.com", false},
	{"_mailchannels", "[192.0.2.1]", false}, {"_mailchannels", "[ipv6:2001:db8::1]", false},
	{"_mailchannels", "example.com.", false}, {"_mailchannels", ".example.com", false},
	{"_mailchannels", "example..com", false}, {"_mailchannels", "ex ample.com", false},
	{"_mailchannels", "ex\\097mple.com", false},
	{"_mailchannels",
		"b\xc3\xbc"
		"cher.example",
		false},
	{"_mailchannels", D63 "b.example", false}, {"_mailchannels", D63 ".example", true},
	{"_mc", D192 "a23456789012345678901234567890123456789012345678901234567", true},   /* 253 */
	{"_mcx", D192 "a23456789012345678901234567890123456789012345678901234567", false}, /* 254 */
};

static void test_name_below(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char out[DNS_NAME_MAX + 1], want[2 * DNS_NAME_MAX];
		struct text name = {0};
		bool ok = dns_name_below(
			text_of(names[i].label), text_of(names[i].domain), out, &name);

		if (ok != names[i].is_name)
			fail_msg("%s under %s", names[i].label, names[i].domain);
		if (!ok)
			continue;
		snprintf(want, sizeof(want), "%s.%s", names[i].label, names[i].domain);
		assert_string_equal(out, want);
		assert_ptr_equal(name.ptr, out);
		assert_int_equal(name.len, strlen(want));
		assert_true(dns_is_name(name));
	}
}

static void test_is_name(void **state)
{
	(void)state;
	assert_true(dns_is_name(TEXT("a.B-_9")));
	assert_false(dns_is_name((struct text){0}));
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool is_fine =
			c > 0 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789-_",
					 c);

		assert_int_equal(dns_is_name((struct text){&byte, 1}), is_fine);
	}
	assert_true(dns_is_name(
		TEXT(D192 "a234567890123456789012345678901234567890123456789012345678901")));
	assert_false(dns_is_name(
		TEXT(D192 "a2345678901234567890123456789012345678901234567890123456789012")));
}

/* A server that answered, with whatever rcode, has said something; silence has a reason. */
static void test_outcomes(void **state)
{
	struct dns_answer *answer = calloc(1, sizeof(*answer));
	char out[16];

	(void)state;
	assert_non_null(answer);
	dns_answer_clear(answer, DNS_FAILURE_NONE);
	answer->rcode = DNS_RCODE_NXDOMAIN;
	assert_string_equal(dns_outcome_text(answer, out), "NXDOMAIN");
	dns_answer_clear(answer, DNS_FAILURE_RCODE);
	answer->rcode = DNS_RCODE_SERVFAIL;
	assert_string_equal(dns_outcome_text(answer, out), "SERVFAIL");
	dns_answer_clear(answer, DNS_FAILURE_TIMEOUT);
	assert_string_equal(dns_outcome_text(answer, out), dns_failure_text(DNS_FAILURE_TIMEOUT));
	free(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_add_and_copy),
		cmocka_unit_test(test_add_is_bounded),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_is_name),
		cmocka_unit_test(test_name_below),
		cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The lockdown record: which TXT is one, its fields and their faults, and what it says to a login.
 */
#include "policy/core/lockdown.h"
#include "policy/data/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct text accounts[] = {{"myid", 4}, {"Second", 6}};
static const struct text types[] = {{"x-authuser", 10}, {"x-other", 7}};
static const struct lockdown_settings settings = {
	.is_enabled = true,
	.label = {"_mailchannels", 13},
	.version = {"mc1", 3},
	.accounts = accounts,
	.account_count = COUNT(accounts),
	.types = types,
	.type_count = COUNT(types),
};

static const struct {
	const char *txt;
	bool is_record;
} records[] = {
	{"v=mc1", true},
	{"v=mc1 auth=myid", true},
	{"V=MC1 auth=myid", true},
	{" \t v=mc1\tauth=myid", true},
	{"v=mc1 ", true},
	{"", false},
	{" ", false},
	{"v=", false},
	{"v", false},
	{"v=mc10", false},
	{"v=mc", false},
	{"v=mc1;", false},
	{"v=mc1; auth=myid", false},
	{"v=mc1,auth=myid", false},
	{"v =mc1", false},
	{"v= mc1", false},
	{"\"v=mc1\"", false},
	{"auth=myid v=mc1", false},
	{"v=spf1 include:x -all", false},
	{"v=mc1auth=myid", false},
	{"v=mc1\x01", false},
	{"\nv=mc1", false},
};

static void test_is_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(records); i++)
		if (lockdown_is_record(text_of(records[i].txt), settings.version) !=
			records[i].is_record)
			fail_msg("'%s'", records[i].txt);
}

static void test_own_version(void **state)
{
	(void)state;
	assert_true(lockdown_is_record(TEXT("v=ACME2 auth=x"), TEXT("acme2")));
	assert_false(lockdown_is_record(TEXT("v=mc1 auth=x"), TEXT("acme2")));
}

/* Word, kind, account, type, identity (of senderid and sidw), what the fault says. */
static const struct {
	const char *word;
	enum lockdown_field_kind kind;
	const char *account, *type, *identity;
	const char *fault;
} fields[] = {
	{"auth=myid", FIELD_AUTH, NULL, NULL, NULL, NULL},
	{"AUTH=MyId", FIELD_AUTH, NULL, NULL, NULL, NULL},
	{"senderid=myid|x-authuser|joe", FIELD_SENDERID, "myid", "x-authuser", "joe", NULL},
	{"SenderId=a|b|c", FIELD_SENDERID, "a", "b", "c", NULL},
	{"senderid=a|b|c,d@x", FIELD_SENDERID, "a", "b", "c,d@x", NULL},
	{"sidw=a|b|*@*.example", FIELD_SIDW, "a", "b", "*@*.example", NULL},
	{"senderid=a|b|c=d", FIELD_SENDERID, "a", "b", "c=d", "blank is missing"},
	{"senderid=a|b|c*", FIELD_SENDERID, "a", "b", "c*", "sidw= alone"},
	{"senderid=a|b|c|d", FIELD_SENDERID, "a", "b", "c|d", "third `|`"},
	{"senderid=a|b|", FIELD_SENDERID, "a", "b", "", "ACCOUNT|TYPE|IDENTITY"},
	{"senderid=a|b", FIELD_SENDERID, "a", "b", NULL, "ACCOUNT|TYPE|IDENTITY"},
	{"senderid=a", FIELD_SENDERID, "a", NULL, NULL, "ACCOUNT|TYPE|IDENTITY"},
	{"sidw=||*", FIELD_SIDW, "", "", "*", "ACCOUNT|TYPE|IDENTITY"},
	{"senderid=a|b|c,", FIELD_SENDERID, "a", "b", "c,", "comma"},
	{"senderid=a|b|c;", FIELD_SENDERID, "a", "b", "c;", "semicolon"},
	{"senderid=a|b|c,auth=d", FIELD_SENDERID, "a", "b", "c,auth=d", "comma"},
	{"senderid=a,b|c|d", FIELD_SENDERID, "a,b", "c", "d", "comma"},
	{"senderid=a|b;|d", FIELD_SENDERID, "a", "b;", "d", "semicolon"},
	{"auth=a,b", FIELD_AUTH, NULL, NULL, NULL, "comma"},
	{"auth=a;", FIELD_AUTH, NULL, NULL, NULL, "semicolon"},
	{"auth=\"a\"", FIELD_AUTH, NULL, NULL, NULL, "quotation"},
	{"auth=av=mc1", FIELD_AUTH, NULL, NULL, NULL, "blank is missing"},
	{"auth=a\x01", FIELD_AUTH, NULL, NULL, NULL, "control"},
	{"auth=", FIELD_NO_VALUE, NULL, NULL, NULL, "nothing behind"},
	{"auth", FIELD_NO_VALUE, NULL, NULL, NULL, "no `=`"},
	{"=", FIELD_NO_VALUE, NULL, NULL, NULL, "nothing behind"},
	{"=myid", FIELD_UNKNOWN, NULL, NULL, NULL, "before the `=`"},
	{"spf=x", FIELD_UNKNOWN, NULL, NULL, NULL, "unknown"},
	{"auth2=x", FIELD_UNKNOWN, NULL, NULL, NULL, "unknown"},
};

static bool is_part(struct text got, const char *wanted)
{
	return wanted ? text_equal(got, text_of(wanted)) : got.len == 0;
}

static void test_fields(void **state)
{
	char txt[128];

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct lockdown_field field;
		struct text rest;

		snprintf(txt, sizeof(txt), " v=mc1\t %s ", fields[i].word);
		rest = text_of(txt);
		assert_true(lockdown_next_field(&rest, &field));
		if (field.kind != fields[i].kind || !is_part(field.account, fields[i].account) ||
			!is_part(field.type, fields[i].type) ||
			!is_part(field.identity, fields[i].identity))
			fail_msg("'%s' was split otherwise", fields[i].word);
		if (!field.fault != !fields[i].fault ||
			(field.fault && !strstr(field.fault, fields[i].fault)))
			fail_msg("'%s': %s", fields[i].word, field.fault ? field.fault : "fine");
		assert_false(lockdown_next_field(&rest, &field));
	}
}

static void test_field_walk(void **state)
{
	struct text rest = TEXT("v=mc1  auth=a\tv=mc2 x=1 ");
	struct lockdown_field field;

	(void)state;
	assert_true(lockdown_next_field(&rest, &field));
	assert_true(text_equal(field.name, TEXT("auth")) && text_equal(field.value, TEXT("a")));
	assert_true(lockdown_next_field(&rest, &field));
	assert_true(text_equal(field.name, TEXT("x")) && text_equal(field.value, TEXT("1")));
	assert_false(lockdown_next_field(&rest, &field));
	rest = TEXT("v=mc1");
	assert_false(lockdown_next_field(&rest, &field));
}

/* Up to three TXT records, login and realm, the verdict, whether it may grant. */
static const struct {
	const char *txt[3];
	const char *login, *realm;
	enum lockdown_word word;
	bool is_grant;
} verdicts[] = {
	/* The documented forms. */
	{{"v=mc1 auth=myid"}, "joe@x.example", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 auth=other auth=myid"}, "joe@x.example", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 auth=myid auth=other"}, "joe@x.example", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 senderid=myid|x-authuser|joe"}, "joe", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 senderid=myid|x-authuser|joe"}, "ann", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1"}, "joe@x.example", "", LOCKDOWN_REFUSES, false},
	/* Case and blanks. */
	{{"V=MC1 AUTH=MYID"}, "joe", "", LOCKDOWN_PASSES, false},
	{{" \tv=mc1\t\tauth=second "}, "joe", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 senderid=MYID|X-AuthUser|JOE@X.example"}, "joe@x.example", "", LOCKDOWN_PASSES,
		true},
	{{"v=mc1 senderid=myid|x-authuser|joe@x.example"}, "Joe@X.EXAMPLE", "", LOCKDOWN_PASSES,
		true},
	/* No record of ours. */
	{{NULL}, "joe", "", LOCKDOWN_NO_RECORD, false},
	{{"v=spf1 -all", "auth=other"}, "joe", "", LOCKDOWN_NO_RECORD, false},
	{{"v=mc10 auth=other"}, "joe", "", LOCKDOWN_NO_RECORD, false},
	{{"v=mc1; auth=other"}, "joe", "", LOCKDOWN_NO_RECORD, false},
	/* Several records are one set; the former provider's beside the new one. */
	{{"v=mc1 auth=former", "v=mc1 auth=myid"}, "joe", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 auth=myid", "v=mc1 auth=former"}, "joe", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 auth=former", "v=mc1"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=other auth=myid", "v=mc1 auth=former"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1", "noise", "v=mc1 sidw=myid|x-authuser|j*"}, "joe", "", LOCKDOWN_PASSES, true},
	/* A senderid behind an auth is what may grant, in either order and record. */
	{{"v=mc1 auth=myid senderid=myid|x-authuser|joe"}, "joe", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 senderid=myid|x-authuser|joe auth=myid"}, "joe", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 auth=myid", "v=mc1 sidw=myid|x-other|*"}, "joe", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 auth=myid senderid=myid|x-authuser|ann"}, "joe", "", LOCKDOWN_PASSES, false},
	/* Commas, quotes, missing and empty parts, unknown fields. */
	{{"v=mc1 auth=myid,auth=other"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=myid,other"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=myid,"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=\"myid\""}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth= myid"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth="}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid|x-authuser"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid|x-authuser|"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid||joe"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=|x-authuser|joe"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid|x-authuser|joe|x"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=former|x-authuser|joe"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid|x-unknown|joe"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 unknown=myid"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 unknown=x junk auth=myid"}, "joe", "", LOCKDOWN_PASSES, false},
	{{"v=mc1 auths=myid"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=myi"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=myid2"}, "joe", "", LOCKDOWN_REFUSES, false},
	/* `*` is one in sidw alone. */
	{{"v=mc1 senderid=myid|x-authuser|*"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=*"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 sidw=*|x-authuser|joe"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 sidw=myid|*|joe"}, "joe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 sidw=myid|x-authuser|joe"}, "joe", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 sidw=myid|x-authuser|*"}, "joe@x.example", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 sidw=myid|x-authuser|*@x.example"}, "joe@x.example", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 sidw=myid|x-authuser|*@X.Example"}, "joe@x.example", "", LOCKDOWN_PASSES, true},
	/* The realm: with it and without it, but only where it was appended. */
	{{"v=mc1 senderid=myid|x-authuser|joe"}, "joe", "x.example", LOCKDOWN_PASSES, true},
	{{"v=mc1 senderid=myid|x-authuser|joe@x.example"}, "joe", "x.example", LOCKDOWN_PASSES,
		true},
	{{"v=mc1 sidw=myid|x-authuser|j*"}, "joe", "x.example", LOCKDOWN_PASSES, true},
	{{"v=mc1 senderid=myid|x-authuser|joe"}, "joe@y.example", "x.example", LOCKDOWN_REFUSES,
		false},
	/* Letters outside ASCII: as the login's canonical form has them. */
	{{"v=mc1 senderid=myid|x-authuser|j\xc3\xbcrg"}, "J\xc3\x9cRG", "", LOCKDOWN_PASSES, true},
	{{"v=mc1 senderid=myid|x-authuser|J\xc3\x9cRG"}, "j\xc3\xbcrg", "", LOCKDOWN_REFUSES,
		false},
	{{"v=mc1 senderid=myid|x-authuser|joe@xn--bcher-kva.example"},
		"joe@b\xc3\xbc"
		"cher.example",
		"", LOCKDOWN_PASSES, true},
	/* Logins that match nothing, whatever the record says. */
	{{"v=mc1 auth=myid"}, "joe|x", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 auth=myid"}, "joe doe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 sidw=myid|x-authuser|*"}, "joe doe", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 senderid=myid|x-authuser|joe|x"}, "joe|x", "", LOCKDOWN_REFUSES, false},
	{{"v=mc1 sidw=myid|x-authuser|*|*"}, "joe|x", "", LOCKDOWN_REFUSES, false},
	{{"noise"}, "joe|x", "", LOCKDOWN_NO_RECORD, false},
};

static void fill(struct dns_answer *answer, const char *const *txt, size_t max)
{
	dns_answer_clear(answer, DNS_FAILURE_NONE);
	for (size_t i = 0; i < max && txt[i]; i++)
		assert_true(dns_answer_add(answer, text_of(txt[i])));
	answer->status = answer->count > 0 ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

static void test_verdicts(void **state)
{
	static struct dns_answer answer;
	static struct login login;

	(void)state;
	for (size_t i = 0; i < COUNT(verdicts); i++) {
		struct lockdown_verdict verdict;

		fill(&answer, verdicts[i].txt, 3);
		assert_true(address_login(&unicode_ops, text_of(verdicts[i].login),
			text_of(verdicts[i].realm), &login));
		lockdown_judge(&settings, &answer, &login, &verdict);
		if (verdict.word != verdicts[i].word || verdict.is_grant != verdicts[i].is_grant)
			fail_msg("row %zu: '%s' for %s: word %d, grant %d", i, verdicts[i].txt[0],
				verdicts[i].login, verdict.word, verdict.is_grant);
		assert_int_equal(verdict.word == LOCKDOWN_PASSES, verdict.field.name.len > 0);
	}
}

/* No address_login takes these; the judge does not count on that. */
static void test_odd_logins(void **state)
{
	static const char *const txt[] = {"v=mc1 auth=myid sidw=myid|x-authuser|*"};
	static const char *const odd[] = {"", "a\tb", "a\x01", "\x7f", " "};
	static struct dns_answer answer;
	static struct login login;
	struct lockdown_verdict verdict;

	(void)state;
	fill(&answer, txt, 1);
	for (size_t i = 0; i < COUNT(odd); i++) {
		login.full = text_of(odd[i]);
		lockdown_judge(&settings, &answer, &login, &verdict);
		assert_int_equal(verdict.word, LOCKDOWN_REFUSES);
		assert_false(verdict.is_grant);
	}
	login.full = TEXT("joe");
	lockdown_judge(&settings, &answer, &login, &verdict);
	assert_true(verdict.is_grant);
}

static void test_passing_field(void **state)
{
	static const char *const txt[] = {"v=mc1 auth=myid auth=second", "v=mc1 auth=myid"};
	static struct dns_answer answer;
	static struct login login = {.full = {"joe", 3}};
	struct lockdown_verdict verdict;

	(void)state;
	fill(&answer, txt, 2);
	lockdown_judge(&settings, &answer, &login, &verdict);
	assert_int_equal(verdict.field.kind, FIELD_AUTH);
	assert_ptr_equal(verdict.field.value.ptr, answer.txt[0].ptr + strlen("v=mc1 auth="));
}

/* Two records of `before` unknown fields in all, then an auth that would match. */
static enum lockdown_word judge_behind(size_t before)
{
	static struct dns_answer answer;
	static struct login login = {.full = {"joe", 3}};
	struct lockdown_verdict verdict;
	char txt[DNS_TEXT_MAX + 1];

	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	answer.status = LOOKUP_FOUND;
	for (size_t i = 0; i < 2; i++) {
		size_t used = (size_t)snprintf(txt, sizeof(txt), "v=mc1");

		for (size_t n = 0; n < (i ? before - before / 2 : before / 2); n++)
			used += (size_t)snprintf(txt + used, sizeof(txt) - used, " x=1");
		assert_true(used < sizeof(txt));
		assert_true(dns_answer_add(&answer, (struct text){txt, used}));
	}
	assert_true(dns_answer_add(&answer, TEXT("v=mc1 auth=myid")));
	lockdown_judge(&settings, &answer, &login, &verdict);
	return verdict.word;
}

static void test_fields_max(void **state)
{
	(void)state;
	assert_int_equal(judge_behind(LOCKDOWN_FIELDS_MAX - 1), LOCKDOWN_PASSES);
	assert_int_equal(judge_behind(LOCKDOWN_FIELDS_MAX), LOCKDOWN_REFUSES);
	assert_int_equal(judge_behind(LOCKDOWN_FIELDS_MAX + 400), LOCKDOWN_REFUSES);
}

static const struct {
	const char *pattern, *identity;
	bool matches;
} patterns[] = {
	{"joe", "joe", true},
	{"joe", "joey", false},
	{"JOE*", "joey", true},
	{"joe*", "JOE", true},
	{"*", "joe", true},
	{"*", "", false},
	{"", "", false},
	{"", "joe", false},
	{"*joe", "joe", true},
	{"*oe", "joe", true},
	{"*o", "joe", false},
	{"j*e", "joe", true},
	{"j*e", "je", true},
	{"j*j", "j", false},
	{"*a*b*", "xaybz", true},
	{"*a*b*", "xbya", false},
	{"a**b", "ab", true},
	{"***", "x", true},
	{"*aab", "aaab", true},
	{"*ab*ab", "abab", true},
	{"*ab*ab", "aab", false},
	{"*abc*abd", "abcabcabd", true},
	{"*", "joe@x", false},
	{"*@x", "joe@x", true},
	{"*@*", "joe@x", true},
	{"*@*", "joe@x@y", false},
	{"*@*@*", "joe@x@y", true},
	{"**@x", "@x", true},
	{"joe*x", "joe@x", false},
	{"*e@x*", "joe@x.y", true},
	{"*@x", "joe@y@x", false},
	{"*@y@*", "joe@y@x", true},
	{"j*@y", "joe@x@y", false},
	{"*@", "joe@", true},
	{"*x", "joe@x", false},
	{"*e*@x", "joe@x", true},
	{"*", "a|b", false},
	{"*|*", "a|b", true},
	{"a*b", "a|b", false},
	{"*@*.example", "joe@x.example", true},
	{"*@*.example", "joe@example", false},
	{"\\*", "\\x", true},
};

static void test_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(patterns); i++)
		if (lockdown_pattern_matches(text_of(patterns[i].pattern),
			    text_of(patterns[i].identity)) != patterns[i].matches)
			fail_msg("'%s' and '%s'", patterns[i].pattern, patterns[i].identity);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A text of `len` bytes that repeats `unit`, then `end`. */
static struct text repeat(char *out, size_t len, const char *unit, const char *end)
{
	size_t unit_len = strlen(unit), end_len = strlen(end);

	for (size_t i = 0; i < len - end_len; i++)
		out[i] = unit[i % unit_len];
	memcpy(out + len - end_len, end, end_len);
	return (struct text){out, len};
}

/* Backtracking over these would take years; 1,000 of each are to take less than two seconds. */
static void test_hostile_patterns(void **state)
{
	static const struct {
		const char *unit, *end, *login;
		bool matches;
	} hostile[] = {
		{"*", "*", "a", true},
		{"*", "b", "a", false},
		{"*a", "b", "a", false},
		{"*a", "a", "a", true},
		{"a*", "@", "a", false},
		{"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "b", "a", false},
		{"*aaab", "b", "aaac", false},
		{"*@", "*", "a@", false},
	};
	static char pattern[DNS_TEXT_MAX], identity[LOGIN_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++) {
		struct text p = repeat(pattern, sizeof(pattern), hostile[i].unit, hostile[i].end);
		struct text id = repeat(identity, sizeof(identity), hostile[i].login, "");
		double begun = seconds();

		for (int n = 0; n < 1000; n++)
			assert_int_equal(lockdown_pattern_matches(p, id), hostile[i].matches);
		if (seconds() - begun > 2.0)
			fail_msg("'%s'...: %.1f s", hostile[i].unit, seconds() - begun);
	}
}

static void test_over_long_texts(void **state)
{
	static char pattern[DNS_TEXT_MAX + 1], identity[2 * LOGIN_MAX];

	(void)state;
	assert_false(lockdown_pattern_matches(
		repeat(pattern, sizeof(pattern), "*", ""), repeat(identity, 10, "a", "")));
	assert_false(
		lockdown_pattern_matches(TEXT("*"), repeat(identity, sizeof(identity), "a", "")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_record),
		cmocka_unit_test(test_own_version),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_field_walk),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_odd_logins),
		cmocka_unit_test(test_passing_field),
		cmocka_unit_test(test_fields_max),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_hostile_patterns),
		cmocka_unit_test(test_over_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The answer's bytes: rows of template, values and answer, and that nothing can make an answer
 * Postfix misreads.
 */
#include "policy/core/reply.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define X10          "xxxxxxxxxx"
#define X50          X10 X10 X10 X10 X10
#define X300         X50 X50 X50 X50 X50 X50

static const struct verdict refused = {.action = ACTION_REJECT, .reason = REASON_NOT_OWNED};

static void assert_answer(const char *out, size_t len, const char *wanted)
{
	if (len != strlen(wanted) || memcmp(out, wanted, len) != 0)
		fail_msg("'%.*s' is not '%s'", (int)len, out, wanted);
}

/* The default answer of each reason. */
static const struct {
	enum reason reason;
	enum action action;
	const char *answer;
} defaults[] = {
	{REASON_NOT_POLICY, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_STATE, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_NULL_SENDER, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_NO_LOGIN, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_ROW, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_SELF, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_UNLISTED, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_NULL_REFUSED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: null sender not allowed for user "
		"joe\n\n"},
	{REASON_NOT_LOGGED_IN, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not logged in\n\n"},
	{REASON_BAD_SENDER, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_BAD_LOGIN, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_ROUTING_OPERATOR, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_NOT_OWNED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_DENIED_BY_ROW, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_EXPIRED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_GRANTED, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_ALLOWED, ACTION_DUNNO, "action=DUNNO\n\n"},
	{REASON_SENDER_UNAPPROVED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe "
		"(approval is pending)\n\n"},
	{REASON_DOMAIN_UNVERIFIED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe "
		"( is not verified)\n\n"},
	{REASON_DOMAIN_REVOKED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe "
		"( is not verified any more)\n\n"},
	{REASON_DOMAIN_REMOVED, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe "
		"( was removed)\n\n"},
	{REASON_OTHER_TENANT, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{REASON_REGISTER_DAMAGED, ACTION_DEFER, "action=DEFER 4.3.0 Temporary lookup failure\n\n"},
	{REASON_LOCKED_DOWN, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe "
		"( is locked down)\n\n"},
	{REASON_LOCKDOWN_UNKNOWN, ACTION_DEFER,
		"action=DEFER 4.7.1 Sender address rejected: lockdown record of  could not be "
		"looked up, try again later\n\n"},
	{REASON_LOCKDOWN_UNKNOWN_REJECT, ACTION_REJECT,
		"action=REJECT 5.7.1 Sender address rejected: lockdown record of  could not be "
		"looked up\n\n"},
	{REASON_DNS_LIMITED, ACTION_DEFER,
		"action=DEFER 4.7.1 Sender address rejected: too many new sender domains, try "
		"again later\n\n"},
	{REASON_NO_TABLE, ACTION_DEFER, "action=DEFER 4.3.0 Temporary lookup failure\n\n"},
	{REASON_TABLE_DAMAGED, ACTION_DEFER, "action=DEFER 4.3.0 Temporary lookup failure\n\n"},
	{REASON_COUNT_, ACTION_REJECT, "action=DEFER 4.3.0 Temporary lookup failure\n\n"},
};

static void test_defaults(void **state)
{
	const struct replies replies = {{NULL}};
	const struct reply_values values = {.login = TEXT("joe")};
	char out[REPLY_MAX];

	(void)state;
	assert_int_equal(COUNT(defaults), REASON_COUNT_ + 1);
	for (size_t i = 0; i < COUNT(defaults); i++) {
		struct verdict verdict = {
			.action = defaults[i].action, .reason = defaults[i].reason};
		const char *built_in = reply_default(defaults[i].reason);
		size_t len = reply_format(&replies, &verdict, MONITOR_DUNNO, &values, out);

		assert_answer(out, len, defaults[i].answer);
		if (defaults[i].reason == REASON_COUNT_)
			continue;
		assert_int_equal(built_in == NULL, defaults[i].action == ACTION_DUNNO);
		if (built_in != NULL)
			assert_null(reply_template_check(defaults[i].reason, text_of(built_in)));
	}
}

/* Template, login, sender (whose domain is `d.example`), answer. */
static const struct {
	const char *template_text, *login, *sender, *answer;
} rows[] = {
	{"553 5.7.1 not owned by user %u", "joe", "", "action=553 5.7.1 not owned by user joe\n\n"},
	{"REJECT %s at %d, 100%%, id %i", "joe", "a@b@c",
		"action=REJECT a@b@c at d.example, 100%, id x1\n\n"},
	{"REJECT no %d.", "joe", "bare", "action=REJECT no d.example.\n\n"},
	{"DEFER_IF_PERMIT  4.7.1  later", "", "", "action=DEFER_IF_PERMIT  4.7.1  later\n\n"},
	{"REJECT %u", "j\xc3\xb6s\n\x7f~\r", "", "action=REJECT j??s??~?\n\n"},
	{"REJECT %u", "%u%s%%", "s", "action=REJECT %u%s%%\n\n"},
	/* Postfix would find no text, or digits alone. */
	{"REJECT 5.7.1 %u", "", "", "action=REJECT 5.7.1 - \n\n"},
	{"REJECT 5.7.1 %u%s", "  ", " ", "action=REJECT 5.7.1 -    \n\n"},
	{"REJECT %u", "", "", "action=REJECT - \n\n"},
	{"REJECT %u", "5.7.1", "", "action=REJECT - 5.7.1\n\n"},
	{"REJECT %u", " 4.0.0 x", "", "action=REJECT -  4.0.0 x\n\n"},
	{"REJECT 5.7.1 %u", "4.0.0 x", "", "action=REJECT 5.7.1 4.0.0 x\n\n"},
	{"550 %u", "12345", "", "action=550 - 12345\n\n"},
	/* A template that would not do is not used. */
	{"", "joe", "", "action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{"OK", "joe", "", "action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
	{"REJECT\n\naction=OK", "joe", "",
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n"},
};

static void test_rows(void **state)
{
	char out[REPLY_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct replies replies = {{NULL}};
		struct reply_values values = {text_of(rows[i].login), text_of(rows[i].sender),
			TEXT("d.example"), TEXT("x1")};
		size_t len;

		replies.of_reason[REASON_NOT_OWNED] = rows[i].template_text;
		len = reply_format(&replies, &refused, MONITOR_DUNNO, &values, out);
		assert_answer(out, len, rows[i].answer);
	}
}

static void test_long_values_are_cut(void **state)
{
	static char login[9000];
	struct replies replies = {{NULL}};
	struct reply_values values = {.login = {login, sizeof(login)}, .id = TEXT("id-7")};
	char out[REPLY_MAX];
	size_t len;

	(void)state;
	memset(login, 'j', sizeof(login));
	replies.of_reason[REASON_NOT_OWNED] = "REJECT 5.7.1 %u is not its owner (%i) 100%%";
	len = reply_format(&replies, &refused, MONITOR_DUNNO, &values, out);
	assert_int_equal(len, REPLY_MAX);
	assert_memory_equal(out + len - 32, "j is not its owner (id-7) 100%\n\n", 32);
	/* Digits alone keep their dash and their length. */
	memset(login, '5', sizeof(login));
	replies.of_reason[REASON_NOT_OWNED] = "550 %u";
	len = reply_format(&replies, &refused, MONITOR_DUNNO, &values, out);
	assert_int_equal(len, REPLY_MAX);
	assert_memory_equal(out, "action=550 - 555", 16);
	assert_memory_equal(out + len - 3, "5\n\n", 3);
}

static void test_monitor(void **state)
{
	const struct replies replies = {{NULL}};
	const struct reply_values values = {.login = TEXT("joe")};
	struct verdict verdict = refused;
	char out[REPLY_MAX];
	size_t len;

	(void)state;
	verdict.monitored = true;
	len = reply_format(&replies, &verdict, MONITOR_DUNNO, &values, out);
	assert_answer(out, len, "action=DUNNO\n\n");
	len = reply_format(&replies, &verdict, MONITOR_WARN, &values, out);
	assert_answer(out, len,
		"action=WARN policyd would answer: REJECT 5.7.1 Sender address rejected: "
		"not owned by user joe\n\n");
	verdict.action = ACTION_DUNNO;
	verdict.reason = REASON_ROW;
	len = reply_format(&replies, &verdict, MONITOR_WARN, &values, out);
	assert_answer(out, len, "action=DUNNO\n\n");
}

static const struct {
	const char *template_text;
	bool usable;
} templates[] = {
	{"REJECT no", true},
	{"REJECT 5.7.1 no", true},
	{"REJECT 5.7.1 %u", true},
	{"REJECT 5.7.1000 is text", true},
	{"REJECT 5.7", true},
	{"DEFER later", true},
	{"DEFER 4.3.0 later", true},
	{"DEFER_IF_PERMIT 4.3.0 later", true},
	{"450 4.3.0 later", true},
	{"550 5.123.456 no", true},
	{"550 100%% no", true},
	{X300, false},
	{"REJECT " X300, false},
	{"", false},
	{" REJECT no", false},
	{"REJECT", false},
	{"REJECT ", false},
	{"REJECT 5.7.1", false},
	{"REJECT 5.7.1  ", false},
	{"REJECT 4.7.1 no", false},
	{"REJECT 2.7.1 no", false},
	{"DEFER 5.7.1 no", false},
	{"450 5.7.1 no", false},
	{"550 4.7.1 no", false},
	{"550", false},
	{"250 fine", false},
	{"350 more", false},
	{"55 no", false},
	{"5500 no", false},
	{"5x0 no", false},
	{"550-5.7.1 no", false},
	{"reject no", false},
	{"OK", false},
	{"DUNNO", false},
	{"PERMIT no", false},
	{"HOLD no", false},
	{"FILTER smtp:x", false},
	{"REDIRECT a@b", false},
	{"%u no", false},
	{"REJECT%% no", false},
	{"REJECT %", false},
	{"REJECT no %x", false},
	{"REJECT no %", false},
	{"REJECT no\n", false},
	{"REJECT n\xc3\xb6", false},
	{"REJECT\tno", false},
};

static void test_template_check(void **state)
{
	char at_bound[REPLY_TEMPLATE_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(templates); i++) {
		const char *wrong =
			reply_template_check(REASON_NOT_OWNED, text_of(templates[i].template_text));

		if ((wrong == NULL) != templates[i].usable)
			fail_msg("'%s': %s", templates[i].template_text, wrong ? wrong : "taken");
	}
	memset(at_bound, 'x', sizeof(at_bound));
	memcpy(at_bound, "REJECT ", 7);
	assert_null(
		reply_template_check(REASON_NOT_OWNED, (struct text){at_bound, sizeof(at_bound)}));
	assert_non_null(reply_template_check(REASON_NOT_OWNED, (struct text){"REJECT n\0o", 10}));
}

/* Mail of a domain that is not verified may be let go another way. What is said of one that is not
 * usable begins so. */
static const struct {
	const char *template_text, *fault;
} passing[] = {
	{"FILTER smtp:[relay.example.net]:587", NULL},
	{"FILTER smtp:[relay.example.net]", NULL},
	{"FILTER smtp:[2001:db8::1]:25", NULL},
	{"FILTER relay-out_2:relay.example.net:submission", NULL},
	{"FILTER lmtp:unix:/run/lmtp.sock", NULL},
	{"FILTER  smtp:relay", NULL},
	{"HOLD not verified: %d of %u (%i)", NULL},
	{"HOLD x", NULL},
	{"REJECT no", NULL},
	{"DEFER 4.7.1 later", NULL},
	{"FILTER", "FILTER needs transport:destination"},
	{"FILTER ", "FILTER needs transport:destination"},
	{"FILTER smtp", "FILTER needs transport:destination"},
	{"FILTER smtp:", "FILTER needs transport:destination"},
	{"FILTER :relay", "FILTER needs transport:destination"},
	{"FILTER smtp:relay and more", "FILTER needs transport:destination"},
	{"FILTER smtp:relay ", "FILTER needs transport:destination"},
	{"FILTER smtp:[relay", "FILTER needs transport:destination"},
	{"FILTER smtp:relay]", "FILTER needs transport:destination"},
	{"FILTER smtp:[]", "FILTER needs transport:destination"},
	{"FILTER smtp:[relay]587", "FILTER needs transport:destination"},
	{"FILTER smtp:[relay]:", "FILTER needs transport:destination"},
	{"FILTER smtp:[a][b]", "FILTER needs transport:destination"},
	{"FILTER sm tp:relay", "FILTER needs transport:destination"},
	{"FILTER smtp:%d", "FILTER has a fixed destination"},
	{"FILTER smtp:[%d]:587", "FILTER has a fixed destination"},
	{"FILTER %u:relay", "FILTER has a fixed destination"},
	{"HOLD", "needs a text behind HOLD"},
	{"HOLD  ", "needs a text behind HOLD"},
	{"HOLD %x", "'%' must be one of"},
	{"REDIRECT a@b",
		"must begin with REJECT, DEFER, DEFER_IF_PERMIT, 4xx, 5xx, FILTER or HOLD"},
	{"OK", "must begin with"},
	{"filter smtp:relay", "must begin with"},
	{"HOLDx y", "must begin with"},
	{"REJECT", "needs a text"},
};

static void test_passing_template_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(passing); i++) {
		struct text typed = text_of(passing[i].template_text);
		const char *fault = passing[i].fault;
		const char *wrong = reply_template_check(REASON_DOMAIN_UNVERIFIED, typed);

		if ((wrong == NULL) != (fault == NULL) ||
			(wrong && strncmp(wrong, fault, strlen(fault)) != 0))
			fail_msg("'%s': %s", passing[i].template_text, wrong ? wrong : "taken");
	}
	for (int reason = 0; reason < REASON_COUNT_; reason++) {
		bool may = reason == REASON_DOMAIN_UNVERIFIED;

		assert_int_equal(
			reply_template_check((enum reason)reason, TEXT("HOLD x")) == NULL, may);
		assert_int_equal(
			reply_template_check((enum reason)reason, TEXT("FILTER a:b")) == NULL, may);
	}
}

static void test_passing_answers(void **state)
{
	const struct reply_values values = {
		.login = TEXT("joe"), .domain = TEXT("d.example"), .id = TEXT("x1")};
	struct verdict verdict = {.action = ACTION_REJECT, .reason = REASON_DOMAIN_UNVERIFIED};
	struct replies replies = {{NULL}};
	char out[REPLY_MAX];
	size_t len;

	(void)state;
	replies.of_reason[REASON_DOMAIN_UNVERIFIED] = "FILTER smtp:[relay.example.net]:587";
	len = reply_format(&replies, &verdict, MONITOR_WARN, &values, out);
	assert_answer(out, len, "action=FILTER smtp:[relay.example.net]:587\n\n");
	verdict.monitored = true;
	len = reply_format(&replies, &verdict, MONITOR_WARN, &values, out);
	assert_answer(out, len,
		"action=WARN policyd would answer: FILTER smtp:[relay.example.net]:587\n\n");
	verdict.monitored = false;
	replies.of_reason[REASON_DOMAIN_UNVERIFIED] = "HOLD %d is not verified (%i)";
	len = reply_format(&replies, &verdict, MONITOR_WARN, &values, out);
	assert_answer(out, len, "action=HOLD d.example is not verified (x1)\n\n");
	/* Where no check was made they are not used: not for another reason, not with a placeholder. */
	replies.of_reason[REASON_DOMAIN_UNVERIFIED] = "FILTER smtp:%d";
	len = reply_format(&replies, &verdict, MONITOR_WARN, &values, out);
	assert_answer(out, len,
		"action=REJECT 5.7.1 Sender address rejected: not owned by user joe "
		"(d.example is not verified)\n\n");
	replies.of_reason[REASON_NOT_OWNED] = "HOLD x";
	len = reply_format(&replies, &refused, MONITOR_WARN, &values, out);
	assert_answer(
		out, len, "action=REJECT 5.7.1 Sender address rejected: not owned by user joe\n\n");
}

static void test_takes_mail(void **state)
{
	static const struct {
		const char *answer;
		bool takes;
	} cases[] = {
		{"action=DUNNO\n\n", true},
		{"action=DUNNO", true},
		{"action=WARN policyd would answer: REJECT no\n\n", true},
		{"action=FILTER smtp:relay\n\n", true},
		{"action=HOLD text\n\n", true},
		{"action=REJECT DUNNO\n\n", false},
		{"action=DEFER later\n\n", false},
		{"action=550 no\n\n", false},
		{"action=HOLDING on\n\n", false},
		{"", false},
		{"action=", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(reply_takes_mail(text_of(cases[i].answer)), cases[i].takes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long_values_are_cut),
		cmocka_unit_test(test_monitor),
		cmocka_unit_test(test_template_check),
		cmocka_unit_test(test_passing_template_check),
		cmocka_unit_test(test_passing_answers),
		cmocka_unit_test(test_takes_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Folding and A-labels by the real libraries: rows, above all of what libidn2 would take in
 * silence.
 */
#include "policy/data/unicode.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_text(struct text got, const char *wanted, const char *input)
{
	if (!text_equal(got, text_of(wanted)))
		fail_msg("'%s' gave '%.*s', not '%s'", input, TEXT_ARG(got), wanted);
}

/* Text, folded with NFC, folded without; NULL: refused. */
static const struct {
	const char *in, *nfc, *plain;
} folds[] = {
	{"\xc3\x9cN\xc3\x8f", "\xc3\xbcn\xc3\xaf", "\xc3\xbcn\xc3\xaf"},
	{"U\xcc\x88", "\xc3\xbc", "u\xcc\x88"},
	{"\xc3\x9f", "ss", "ss"},
	{"\xe1\xba\x9e", "ss", "ss"},
	{"\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83", "\xcf\x83\xcf\x83"}, /* both sigmas */
	{"\xc4\xb0", "i\xcc\x87", "i\xcc\x87"},           /* I with dot: no Turkish rule */
	{"\xe2\x84\xaa", "k", "k"},                       /* Kelvin sign */
	{"\xef\xbc\xa0", "\xef\xbc\xa0", "\xef\xbc\xa0"}, /* fullwidth @ stays */
	{"\xef\xbc\xa1", "\xef\xbd\x81", "\xef\xbd\x81"}, /* fullwidth A: no NFKC */
	{"\xff", NULL, NULL},
	{"a\xc3", NULL, NULL},
	{"\xc0\xaf", NULL, NULL},
	{"\xed\xa0\x80", NULL, NULL},
	{"\xf4\x90\x80\x80", NULL, NULL},
};

static void test_folds(void **state)
{
	char out[16];

	(void)state;
	for (size_t i = 0; i < COUNT(folds); i++) {
		struct text in = text_of(folds[i].in);
		const char *nfc = folds[i].nfc ? folds[i].nfc : "";
		const char *plain = folds[i].plain ? folds[i].plain : "";

		assert_text((struct text){out, unicode_ops.fold(in, true, out, sizeof(out))}, nfc,
			folds[i].in);
		assert_text((struct text){out, unicode_ops.fold(in, false, out, sizeof(out))},
			plain, folds[i].in);
	}
}

static void test_fold_keeps_to_its_room(void **state)
{
	char out[4] = "...";

	(void)state;
	assert_int_equal(unicode_ops.fold(TEXT("\xc3\x9c"), true, out, 2), 2);
	assert_int_equal(unicode_ops.fold(TEXT("\xc3\x9c"), true, out, 1), 0);
	/* Two bytes that become three: U+0390, the smallest text that grows. */
	assert_int_equal(unicode_ops.fold(TEXT("\xce\x90"), false, out, 2), 0);
	assert_int_equal(out[3], 0);
}

/* Domain, A-label; NULL: has none. */
static const struct {
	const char *in, *out;
} domains[] = {
	{"b\xc3\xbc"
	 "cher.example",
		"xn--bcher-kva.example"},
	{"B\xc3\x9c"
	 "CHER.EXAMPLE",
		"xn--bcher-kva.example"},
	{"bu\xcc\x88"
	 "cher.example",
		"xn--bcher-kva.example"},
	{"www.b\xc3\xbc"
	 "cher.b\xc3\xbc"
	 "cher",
		"www.xn--bcher-kva.xn--bcher-kva"},
	{"xn--bcher-kva.b\xc3\xbc"
	 "cher",
		"xn--bcher-kva.xn--bcher-kva"},
	{"stra\xc3\x9f"
	 "e.example",
		"xn--strae-oqa.example"}, /* non-transitional: not strasse */
	{"\xe4\xbe\x8b\xe3\x81\x88.jp", "xn--r8jz45g.jp"},
	{"\xd7\x90\xd7\x91.example", "xn--4dbc.example"},
	{"\xef\xbd\x85\xef\xbd\x98.example", "ex.example"}, /* fullwidth letters: normalization */
	{"\xe2\x84\xaa.example", "k.example"},              /* Kelvin sign: case */
	/* What libidn2 deletes. */
	{"b\xe2\x80\x8b\xc3\xbc"
	 "cher.example",
		NULL}, /* ZWSP */
	{"exa\xe2\x80\x8bmple.com", NULL},
	{"exa\xc2\xadmple.com", NULL}, /* soft hyphen */
	{"exa\xe2\x81\xa0mple.com", NULL},
	{"exa\xef\xb8\x8fmple.com", NULL}, /* variation selector */
	/* What libidn2 takes for dots. */
	{"example\xe3\x80\x82"
	 "com",
		NULL},
	{"example\xef\xbc\x8e"
	 "com",
		NULL},
	{"example\xef\xbd\xa1"
	 "com",
		NULL},
	{"b\xc3\xbc"
	 "cher\xe3\x80\x82"
	 "example",
		NULL},
	{"a\xe2\x80\xa4"
	 "com",
		NULL}, /* one dot leader */
	/* No domains. */
	{"\xef\xbd\x98\xef\xbd\x8e\xef\xbc\x8d\xef\xbc\x8d"
	 "bcher-kva",
		NULL}, /* fullwidth xn-- */
	{"-\xc3\xbc.example", NULL},
	{"\xc3\xbc-.example", NULL},
	{"a\xcc\x88..x", NULL},
	{"\xcc\x88"
	 "a.example",
		NULL}, /* begins with a combining mark */
	{"\xe2\x99\xa5.\xff", NULL},
	{"\xff.example", NULL},
	{"a\xd7\x90.example", NULL}, /* both directions */
	{"\xc3\xbc.", NULL},
};

static void test_domains(void **state)
{
	char out[DOMAIN_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(domains); i++) {
		size_t len = unicode_ops.to_ascii(text_of(domains[i].in), out, sizeof(out));

		assert_text((struct text){out, len}, domains[i].out ? domains[i].out : "",
			domains[i].in);
	}
}

static void test_domain_keeps_to_its_room(void **state)
{
	static const struct text in = {"a.b\xc3\xbc"
				       "cher.c",
		11};
	char out[32];

	(void)state;
	for (size_t cap = 0; cap < sizeof(out); cap++) {
		size_t wanted = cap < 17 ? 0 : 17;

		memset(out, '#', sizeof(out));
		assert_int_equal(unicode_ops.to_ascii(in, out, cap), wanted);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], '#');
	}
}

/* A domain and how it is shown. */
static const struct {
	const char *domain, *shown;
} displays[] = {
	{"xn--bcher-kva.example", "b\xc3\xbc"
				  "cher.example"},
	{"example.com", "example.com"},
	{"[127.0.0.1]", "[127.0.0.1]"},
	{"xn--zzzzzz!!", "xn--zzzzzz!!"},
	{"xn--a", "xn--a"},
	{"", ""},
};

static void test_display(void **state)
{
	char out[300];

	(void)state;
	for (size_t i = 0; i < COUNT(displays); i++) {
		size_t len = unicode_display(text_of(displays[i].domain), out, sizeof(out));

		assert_text((struct text){out, len}, displays[i].shown, displays[i].domain);
	}
	assert_int_equal(unicode_display(TEXT("xn--bcher-kva.example"), out, 5), 5);
	assert_memory_equal(out, "xn--b", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folds),
		cmocka_unit_test(test_fold_keeps_to_its_room),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_domain_keeps_to_its_room),
		cmocka_unit_test(test_display),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

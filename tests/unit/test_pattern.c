/*
 * The columns of the table: sender patterns, owners, globs, and which login an owner is.
 */
#include "policy/data/unicode.h"
#include "policy/core/pattern.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UE           "\xc3\xbc"
#define UE_BIG       "\xc3\x9c"

static void assert_text(struct text got, const char *wanted, const char *input)
{
	if (!text_equal(got, text_of(wanted)))
		fail_msg("'%s' gave '%.*s', not '%s'", input, TEXT_ARG(got), wanted);
}

/* Pattern, kind, canonical local part and domain, whether it can never match. */
static const struct {
	const char *typed;
	enum pattern_kind kind;
	const char *local, *domain;
	bool never;
} patterns[] = {
	{"joe@example.com", PATTERN_EXACT, "joe", "example.com", false},
	{"Joe@Example.COM.", PATTERN_EXACT, "joe", "example.com", false},
	{"john doe@example.com", PATTERN_EXACT, "john doe", "example.com", false},
	{"a@b@example.com", PATTERN_EXACT, "a@b", "example.com", false},
	{"user@[127.0.0.1]", PATTERN_EXACT, "user", "[127.0.0.1]", false},
	{"J" UE_BIG "@B" UE_BIG "CHER.example", PATTERN_EXACT, "j" UE, "xn--bcher-kva.example",
		false},
	{"localuser", PATTERN_EXACT, "localuser", "", false},
	{"LOCAL", PATTERN_EXACT, "local", "", false},
	{"@Example.org", PATTERN_DOMAIN, "", "example.org", false},
	{"@[127.0.0.1]", PATTERN_DOMAIN, "", "[127.0.0.1]", false},
	{"@.Example.org", PATTERN_SUBDOMAINS, "", "example.org", false},
	{"@.b" UE "cher.example", PATTERN_SUBDOMAINS, "", "xn--bcher-kva.example", false},
	{"billing*@example.com", PATTERN_GLOB, "billing*", "example.com", false},
	{"*@example.com", PATTERN_GLOB, "*", "example.com", false},
	{"A*B*C*D*@example.com", PATTERN_GLOB, "a*b*c*d*", "example.com", false},
	{"\\*\\*\\*\\*\\*@example.com", PATTERN_GLOB, "\\*\\*\\*\\*\\*", "example.com", false},
	{"*\\**\\\\**@example.com", PATTERN_GLOB, "*\\**\\\\**", "example.com", false},
	{"back\\slash@example.com", PATTERN_GLOB, "back\\slash", "example.com", false},
	{"end\\@example.com", PATTERN_GLOB, "end\\", "example.com", false},
	{"cron*", PATTERN_GLOB, "cron*", "", false},
	/* Kept, so that first-hit finds them, but told. */
	{".dot.example.net", PATTERN_EXACT, ".dot.example.net", "", true},
	{"bare.example.edu", PATTERN_EXACT, "bare.example.edu", "", true},
	{"joe@Not A Domain", PATTERN_EXACT, "joe", "not a domain", true},
	{"joe@*.example", PATTERN_EXACT, "joe", "*.example", true},
	{"joe@a..b", PATTERN_EXACT, "joe", "a..b", true},
	{"@*.example", PATTERN_DOMAIN, "", "*.example", true},
	{"@..example", PATTERN_SUBDOMAINS, "", ".example", true},
	{"@.[127.0.0.1]", PATTERN_SUBDOMAINS, "", "[127.0.0.1]", true},
	{"Joe@", PATTERN_EXACT, "joe@", "", true},
	{"joe@.", PATTERN_EXACT, "joe@.", "", true},
	{"@", PATTERN_EXACT, "@", "", true},
	{"@.", PATTERN_EXACT, "@.", "", true},
};

static void test_patterns(void **state)
{
	static struct pattern pattern;

	(void)state;
	for (size_t i = 0; i < COUNT(patterns); i++) {
		const char *typed = patterns[i].typed;
		const char *wrong = pattern_parse(&unicode_ops, text_of(typed), &pattern);

		if (wrong != NULL)
			fail_msg("'%s': %s", typed, wrong);
		assert_int_equal(pattern.kind, patterns[i].kind);
		assert_text(pattern.local, patterns[i].local, typed);
		assert_text(pattern.domain, patterns[i].domain, typed);
		if ((pattern.never != NULL) != patterns[i].never)
			fail_msg("'%s': %s", typed, pattern.never ? pattern.never : "no warning");
	}
}

/* A pattern or owner and a word of what is said against it. */
static const struct {
	const char *typed, *word;
} bad_patterns[] =
	{
		{"", "empty"},
		{"jo\te@example.com", "control"},
		{"joe@exam\001ple.com", "control"},
		{"jo\xff@example.com", "UTF-8"},
		{"joe@\xff.com", "UTF-8"},
		{"\xff", "UTF-8"},
		{"@\xff", "UTF-8"},
		{"\xff@", "UTF-8"},
		{"*a*b*c*d*@example.com", "more than 4"},
		{"*\\\\*\\\\*\\\\*\\\\*@example.com", "more than 4"},
},
  bad_owners[] = {
	  {"", "empty"},
	  {"!", "nothing behind"},
	  {"@", "no domain"},
	  {"!@", "no domain"},
	  {"! joe", "blank"},
	  {"jo\te", "control"},
	  {"joe\x7f", "control"},
	  {"jo\xff", "UTF-8"},
	  {"@\xff", "UTF-8"},
};

static void assert_says(const char *wrong, const char *word, const char *typed)
{
	if (wrong == NULL || strstr(wrong, word) == NULL)
		fail_msg("'%s': %s", typed, wrong ? wrong : "taken");
}

static void test_bad(void **state)
{
	static struct pattern pattern;
	static struct owner owner;
	static char long_text[OWNER_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(bad_patterns); i++) {
		const char *typed = bad_patterns[i].typed;

		assert_says(pattern_parse(&unicode_ops, text_of(typed), &pattern),
			bad_patterns[i].word, typed);
	}
	for (size_t i = 0; i < COUNT(bad_owners); i++) {
		const char *typed = bad_owners[i].typed;

		assert_says(owner_parse(&unicode_ops, text_of(typed), &owner), bad_owners[i].word,
			typed);
	}
	memset(long_text, 'a', sizeof(long_text));
	assert_null(pattern_parse(&unicode_ops, (struct text){long_text, PATTERN_MAX}, &pattern));
	assert_non_null(
		pattern_parse(&unicode_ops, (struct text){long_text, PATTERN_MAX + 1}, &pattern));
	assert_null(owner_parse(&unicode_ops, (struct text){long_text, OWNER_MAX}, &owner));
	assert_non_null(owner_parse(&unicode_ops, (struct text){long_text, OWNER_MAX + 1}, &owner));
}

static const struct {
	const char *typed;
	bool deny;
	enum owner_kind kind;
	const char *key;
} owners[] = {
	{"joe", false, OWNER_LOGIN, "joe"},
	{"JOE@Example.COM", false, OWNER_LOGIN, "joe@example.com"},
	{"joe@example.com.", false, OWNER_LOGIN, "joe@example.com"},
	{"joe smith", false, OWNER_LOGIN, "joe smith"},
	{"J" UE_BIG "@b" UE "cher.example", false, OWNER_LOGIN, "j" UE "@xn--bcher-kva.example"},
	{"j" UE "@not a domain", false, OWNER_LOGIN, "j" UE "@not a domain"},
	{"!joe", true, OWNER_LOGIN, "joe"},
	{"!!joe", true, OWNER_LOGIN, "!joe"},
	{"*", false, OWNER_ANY, "*"},
	{"!*", true, OWNER_ANY, "*"},
	{"**", false, OWNER_LOGIN, "**"},
	{"@a@Example.com.", false, OWNER_LOGIN, "@a@example.com"},
	{"@Example.com", false, OWNER_DOMAIN, "@example.com"},
	{"@example.com.", false, OWNER_DOMAIN, "@example.com"},
	{"!@B" UE_BIG "CHER.example", true, OWNER_DOMAIN, "@xn--bcher-kva.example"},
};

static void test_owners(void **state)
{
	static struct owner owner;

	(void)state;
	for (size_t i = 0; i < COUNT(owners); i++) {
		assert_null(owner_parse(&unicode_ops, text_of(owners[i].typed), &owner));
		assert_int_equal(owner.deny, owners[i].deny);
		assert_int_equal(owner.kind, owners[i].kind);
		assert_text(owner.key, owners[i].key, owners[i].typed);
	}
}

/* Owner, login, realm, whether the owner is (or covers) this login. */
static const struct {
	const char *owner, *login, *realm;
	bool matches;
} matches[] = {
	{"joe@example.com", "joe@example.com", "", true},
	{"JOE@EXAMPLE.COM", "joe@example.com", "", true},
	{"joe@example.com", "Joe@Example.com", "", true},
	{"joe@example.com.", "joe@example.com", "", true},
	{"joe@example.com", "joe@example.com.", "", true},
	{"joe@example.net", "joe@example.com", "", false},
	{"jo@example.com", "joe@example.com", "", false},
	{"!joe@example.com", "joe@example.com", "", true},
	{"joe", "joe", "", true},
	{"joe.", "joe.", "", true},
	{"joe", "joe@example.com", "", false},
	{"joe@example.com", "joe", "", false},
	{"joe", "joe", "example.com", true},
	{"joe", "joe@example.com", "example.com", true},
	{"joe@example.com", "joe", "example.com", true},
	{"joe", "joe@other.example", "example.com", false},
	{"*", "joe", "", true},
	{"!*", "joe", "", true},
	{"**", "joe", "", false},
	{"@example.com", "joe@example.com", "", true},
	{"@EXAMPLE.com", "joe@example.com", "", true},
	{"@example.com.", "joe@example.com", "", true},
	{"!@example.com", "joe@example.com", "", true},
	{"@example.com", "joe", "example.com", true},
	{"@example.com", "joe", "", false},
	{"@example.com", "joe@sub.example.com", "", false},
	{"@a@b", "x@b", "", false},
	{"@a@b", "@a@b", "", true},
	{"@", "joe", "", false},
	{"@", "joe@", "", false},
	{"", "joe", "", false},
	{"!", "joe", "", false},
	{"J" UE_BIG "@b" UE "cher.example", "j" UE "@B" UE_BIG "CHER.example", "", true},
	{"joe@b" UE "cher.example", "joe@xn--bcher-kva.example", "", true},
	{"joe@xn--bcher-kva.example", "joe@b" UE "cher.example", "", true},
	{"@b" UE "cher.example", "joe@xn--bcher-kva.example", "", true},
	{"u\xcc\x88", UE, "", true},
	{"\xff", "joe", "", false},
};

static void test_matches(void **state)
{
	static struct login login;

	(void)state;
	for (size_t i = 0; i < COUNT(matches); i++) {
		const char *typed = matches[i].owner;
		enum owner_kind kind;
		bool deny, got;

		assert_true(address_login(&unicode_ops, text_of(matches[i].login),
			text_of(matches[i].realm), &login));
		got = owner_matches(&unicode_ops, text_of(typed), &login, &kind, &deny);
		if (got != matches[i].matches)
			fail_msg("owner '%s', login '%s': %d", typed, matches[i].login, got);
		assert_int_equal(deny, typed[0] == '!');
		if (got && typed[deny] == '*')
			assert_int_equal(kind, OWNER_ANY);
	}
}

static const struct {
	const char *glob, *local;
	bool matches;
} globs[] = {
	{"", "", true},
	{"", "a", false},
	{"*", "", true},
	{"*", "abc", true},
	{"billing*", "billing", true},
	{"billing*", "billing-2026", true},
	{"billing*", "billin", false},
	{"billing*", "xbilling", false},
	{"*ing", "billing", true},
	{"*ing", "inging", true},
	{"*ing", "ingx", false},
	{"a*b*c", "abc", true},
	{"a*b*c", "axbxbxc", true},
	{"a*b*c", "acb", false},
	{"a**b", "ab", true},
	{"\\*", "*", true},
	{"\\*", "x", false},
	{"a\\*b", "a*b", true},
	{"a\\*b", "axb", false},
	{"a\\*", "a", false},
	{"\\\\", "\\", true},
	{"\\\\*", "\\x", true},
	{"jo\\hn", "john", true},
	{"end\\", "end\\", true},
	{"end\\", "end", false},
	{"*\\", "x\\", true},
	{"ab*ba", "aba", false},
	{"ab*ba", "abba", true},
	{"*ab*b", "ab", false},
	{"*ab*\\*", "xabab*", true},
	{"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

static void test_globs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(globs); i++)
		if (glob_matches(text_of(globs[i].glob), text_of(globs[i].local)) !=
			globs[i].matches)
			fail_msg("'%s' and '%s'", globs[i].glob, globs[i].local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_globs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Canonical logins and senders, extensions, routing operators: rows of what comes in and what comes
 * out.
 */
#include "policy/data/unicode.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UE           "\xc3\xbc"  /* ü */
#define UE_BIG       "\xc3\x9c"  /* Ü */
#define UE_APART     "u\xcc\x88" /* u and a combining diaeresis */
#define X10          "xxxxxxxxxx"
#define X63          X10 X10 X10 X10 X10 X10 "xxx"
#define DOMAIN_253   X63 "." X63 "." X63 "." X10 X10 X10 X10 X10 X10 "x"

static void assert_text(struct text got, const char *wanted, const char *input)
{
	if (!text_equal(got, text_of(wanted)))
		fail_msg("'%s' gave '%.*s', not '%s'", input, TEXT_ARG(got), wanted);
}

/* Sender, canonical local part (NULL: none), canonical domain. */
static const struct {
	const char *raw, *local, *domain;
} senders[] = {
	{"joe@example.com", "joe", "example.com"},
	{"JOE@EXAMPLE.COM", "joe", "example.com"},
	{"Joe.The-Very_Long+Name=1@Sub.Example.Com", "joe.the-very_long+name=1", "sub.example.com"},
	{"joe@example.com.", "joe", "example.com"},
	{"joe@example.com..", NULL, NULL},
	{"joe", "joe", ""},
	{"joe smith@x", "joe smith", "x"},
	{"joe\"x@x", "joe\"x", "x"},
	{"a@b@c", "a@b", "c"},
	{"ceo%victim.example", "ceo%victim.example", ""},
	{"@example.com", NULL, NULL},
	{"@", NULL, NULL},
	{"joe@", NULL, NULL},
	{"joe@.", NULL, NULL},
	{"joe@.example", NULL, NULL},
	{"joe@a..b", NULL, NULL},
	{"joe@exa mple", NULL, NULL},
	{"joe@ex/ample", NULL, NULL},
	{"joe@*.example", NULL, NULL},
	{"joe@x_y.example", "joe", "x_y.example"},
	{"joe@-x-.example", "joe", "-x-.example"},
	{"joe@1.2.3.4", "joe", "1.2.3.4"},
	{"user@[127.0.0.1]", "user", "[127.0.0.1]"},
	{"user@[127.0.0.1].", "user", "[127.0.0.1]"},
	{"user@[IPv6:::1]", "user", "[ipv6:::1]"},
	{"user@[]", NULL, NULL},
	{"user@[", NULL, NULL},
	{"user@[1.2.3.4", NULL, NULL},
	{"user@[1]2]", NULL, NULL},
	{"user@[[1]", NULL, NULL},
	{"user@[1 2]", NULL, NULL},
	{"user@[" UE "]", NULL, NULL},
	{"jo\001e@x", NULL, NULL},
	{"jo\te@x", NULL, NULL},
	{"long.enough.for.a.word\x7f@x", NULL, NULL},
	{"jo\x7f" UE "@x", NULL, NULL},
	{"joe@x\n", NULL, NULL},
	{"joe@" X63 ".x", "joe", X63 ".x"},
	{"joe@" X63 "x.x", NULL, NULL},
	{"joe@" DOMAIN_253, "joe", DOMAIN_253},
	{"joe@" DOMAIN_253 ".", "joe", DOMAIN_253},
	{"joe@" DOMAIN_253 "x", NULL, NULL},
	{"j" UE "rgen@example.com", "j" UE "rgen", "example.com"},
	{"J" UE_BIG "RGEN@EXAMPLE.COM", "j" UE "rgen", "example.com"},
	{"j" UE_APART "rgen@example.com", "j" UE "rgen", "example.com"},
	{"STRA\xc3\x9f"
	 "E@x",
		"strasse", "x"},
	{"joe@b" UE "cher.example", "joe", "xn--bcher-kva.example"},
	{"joe@B" UE_BIG "CHER.Example.", "joe", "xn--bcher-kva.example"},
	{"joe@b" UE_APART "cher.example", "joe", "xn--bcher-kva.example"},
	{"joe@XN--BCHER-KVA.example", "joe", "xn--bcher-kva.example"},
	{"joe@b" UE "_cher.example", "joe", "xn--b_cher-3ya.example"},
	{"joe@b" UE " cher.example", NULL, NULL},
	{"jo\xff@x", NULL, NULL},
	{"jo\xc3@x", NULL, NULL},
	{"joe@\xff", NULL, NULL},
	{"jo\xed\xa0\x80@x", NULL, NULL},
};

static void test_senders(void **state)
{
	static struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		const char *raw = senders[i].raw;
		bool ok = address_sender(&unicode_ops, text_of(raw), (struct text){0}, &address);

		if (ok != (senders[i].local != NULL))
			fail_msg("'%s' was %s", raw, ok ? "taken" : "refused");
		if (!ok)
			continue;
		assert_text(address.local, senders[i].local, raw);
		assert_text(address.domain, senders[i].domain, raw);
		assert_ptr_equal(address.local_raw.ptr, raw);
	}
}

/* Every byte a local part can hold, at every place of a word. */
static void test_every_byte(void **state)
{
	static struct address address;

	(void)state;
	for (unsigned byte = 0; byte < 128; byte++) {
		char raw[] = "aaaaaaaaaaa@x";
		bool wanted = byte >= 0x20 && byte != 0x7f;
		char lower = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);

		for (size_t at = 0; at < 11; at++) {
			memset(raw, 'a', 11);
			raw[at] = (char)byte;
			assert_int_equal(
				address_sender(&unicode_ops, TEXT(raw), (struct text){0}, &address),
				wanted);
			if (wanted)
				assert_int_equal(address.local.ptr[at], lower);
		}
	}
}

static void test_sender_length(void **state)
{
	static char raw[SENDER_MAX + 1];
	static struct address address;

	(void)state;
	memset(raw, 'a', sizeof(raw));
	assert_true(address_sender(
		&unicode_ops, (struct text){raw, SENDER_MAX}, (struct text){0}, &address));
	assert_int_equal(address.local.len, SENDER_MAX);
	assert_false(address_sender(
		&unicode_ops, (struct text){raw, SENDER_MAX + 1}, (struct text){0}, &address));
}

static void test_append_domain(void **state)
{
	static struct address address;

	(void)state;
	assert_true(address_sender(&unicode_ops, TEXT("Joe"), TEXT("lab.test"), &address));
	assert_text(address.local, "joe", "Joe");
	assert_text(address.domain, "lab.test", "Joe");
	assert_true(address_sender(&unicode_ops, TEXT("Joe@x"), TEXT("lab.test"), &address));
	assert_text(address.domain, "x", "Joe@x");
}

/* Login, realm, full (NULL: refused), bare, local, domain, folded. */
static const struct {
	const char *raw, *realm, *full, *bare, *local, *domain, *folded;
} logins[] = {
	{"joe", "", "joe", "", "joe", "", "joe"},
	{"Joe@Example.COM", "", "joe@example.com", "", "joe", "example.com", "joe@example.com"},
	{"joe@example.com.", "", "joe@example.com", "", "joe", "example.com", "joe@example.com."},
	{"joe.", "", "joe.", "", "joe.", "", "joe."},
	{"Joe", "example.com", "joe@example.com", "joe", "joe", "example.com", "joe"},
	{"joe@example.com", "example.com", "joe@example.com", "joe", "joe", "example.com",
		"joe@example.com"},
	{"joe@Example.com.", "example.com", "joe@example.com", "joe", "joe", "example.com",
		"joe@example.com."},
	{"joe@other.example", "example.com", "joe@other.example", "", "joe", "other.example",
		"joe@other.example"},
	{"joe user@example.com", "", "joe user@example.com", "", "joe user", "example.com",
		"joe user@example.com"},
	{"DOM\\Joe|1=2", "", "dom\\joe|1=2", "", "dom\\joe|1=2", "", "dom\\joe|1=2"},
	{"joe@not a domain.", "", "joe@not a domain.", "", "joe", "not a domain.",
		"joe@not a domain."},
	{"a@b@c", "", "a@b@c", "", "a@b", "c", "a@b@c"},
	{"@example.com", "", "@example.com", "", "", "example.com", "@example.com"},
	{"joe@", "example.com", "joe@", "", "joe", "", "joe@"},
	{"J" UE_BIG "@B" UE_BIG "CHER.example", "", "j" UE "@xn--bcher-kva.example", "", "j" UE,
		"xn--bcher-kva.example", "j" UE "@b" UE "cher.example"},
	{"J" UE_BIG, "example.com", "j" UE "@example.com", "j" UE, "j" UE, "example.com", "j" UE},
	{"j" UE_APART, "", "j" UE, "", "j" UE, "", "j" UE_APART},
	{"j" UE "@NOT A DOMAIN", "", "j" UE "@not a domain", "", "j" UE, "not a domain",
		"j" UE "@not a domain"},
	{"joe@N" UE_BIG " NO", "", "joe@n" UE " no", "", "joe", "n" UE " no", "joe@n" UE " no"},
	{"jo\001e", "", NULL, NULL, NULL, NULL, NULL},
	{"joe@example.com\x7f", "", NULL, NULL, NULL, NULL, NULL},
	{"j" UE "\n", "", NULL, NULL, NULL, NULL, NULL},
	{"jo\xff", "", NULL, NULL, NULL, NULL, NULL},
	{"joe@\xff", "", NULL, NULL, NULL, NULL, NULL},
	{"", "", NULL, NULL, NULL, NULL, NULL},
};

static void test_logins(void **state)
{
	static struct login login;

	(void)state;
	for (size_t i = 0; i < COUNT(logins); i++) {
		const char *raw = logins[i].raw;
		bool ok =
			address_login(&unicode_ops, text_of(raw), text_of(logins[i].realm), &login);

		if (ok != (logins[i].full != NULL))
			fail_msg("'%s' was %s", raw, ok ? "taken" : "refused");
		if (!ok)
			continue;
		assert_text(login.full, logins[i].full, raw);
		assert_text(login.bare, logins[i].bare, raw);
		assert_text(login.local, logins[i].local, raw);
		assert_text(login.domain, logins[i].domain, raw);
		assert_text(login.folded, logins[i].folded, raw);
		assert_text(login.raw, raw, raw);
	}
}

static void test_login_length(void **state)
{
	static char raw[LOGIN_MAX + 1];
	static struct login login;

	(void)state;
	memset(raw, 'A', sizeof(raw));
	assert_true(address_login(
		&unicode_ops, (struct text){raw, LOGIN_MAX}, TEXT(DOMAIN_253), &login));
	assert_int_equal(login.full.len, LOGIN_MAX + 1 + DOMAIN_MAX);
	assert_int_equal(login.folded.len, LOGIN_MAX);
	assert_false(address_login(
		&unicode_ops, (struct text){raw, LOGIN_MAX + 1}, (struct text){0}, &login));
	/* U+0390 folds to three times its bytes where nothing composes it again. */
	for (size_t i = 0; i < LOGIN_MAX; i += 2)
		memcpy(raw + i, "\xce\x90", 2);
	assert_false(address_login(
		&unicode_ops, (struct text){raw, LOGIN_MAX}, (struct text){0}, &login));
	assert_true(address_login(
		&unicode_ops, (struct text){raw, LOGIN_MAX / 4}, (struct text){0}, &login));
}

/* Local part, delimiters, what is left. */
static const struct {
	const char *local, *delimiters, *left;
} extensions[] = {
	{"joe", "+", "joe"},
	{"joe+x", "+", "joe"},
	{"joe+x+y", "+", "joe"},
	{"joe+", "+", "joe"},
	{"+joe", "+", "+joe"},
	{"+joe+x", "+", "+joe+x"},
	{"joe+x", "", "joe+x"},
	{"joe+x", "-", "joe+x"},
	{"joe-x+y", "+-", "joe"},
	{"joe+x-y", "+-", "joe"},
	{"", "+", ""},
	{"postmaster-x", "-", "postmaster"},
	{"postmaster", "t", "postmaster"},
	{"Mailer-Daemon", "-", "Mailer-Daemon"},
	{"double-bounce", "-", "double-bounce"},
	{"double-bounce-x", "-", "double"},
	{"owner-list", "-", "owner-list"},
	{"OWNER-list+x", "+-", "OWNER-list+x"},
	{"owner-list+x", "+", "owner-list"},
	{"list-request", "-", "list-request"},
	{"a-b-REQUEST", "+-", "a-b-REQUEST"},
	{"list+request", "+-", "list"},
	{"-request", "-", "-request"},
};

static void test_extensions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(extensions); i++) {
		struct text local = text_of(extensions[i].local);
		size_t left = address_without_extension(local, text_of(extensions[i].delimiters));

		assert_text(text_head(local, left), extensions[i].left, extensions[i].local);
	}
}

/* A raw sender and its next reading, NULL where there is none. */
static const struct {
	const char *raw, *next;
} rewrites[] = {
	{"joe", NULL},
	{"joe@x", NULL},
	{"joe@x%y!z", NULL},
	{"ceo@victim.example@x", "ceo@victim.example"},
	{"a!b@c@x", "a!b@c"},
	{"victim.example!ceo", "ceo@victim.example"},
	{"victim.example!ceo@local", "ceo@victim.example"},
	{"a!b!c", "b!c@a"},
	{"a!b%c@x", "b%c@a"},
	{"a!b%c.@x", "a!b@c."},
	{"a!b c%d@x", "a!b c@d"},
	{"a..b!c%d@x", "a..b!c@d"},
	{"a!\"b%d@x", "a!\"b@d"},
	{"a!b c@x", "b c@a"},
	{"ceo%victim.example", "ceo@victim.example"},
	{"ceo%victim.example@local", "ceo@victim.example"},
	{"a%b%c@x", "a%b@c"},
	{"%@x", "@"},
	{"!", "@"},
};

static void test_rewrites(void **state)
{
	char out[SENDER_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rewrites); i++) {
		struct text raw = text_of(rewrites[i].raw);
		size_t len = address_rewrite(raw, out);

		assert_int_equal(address_has_routing(raw), rewrites[i].next != NULL);
		if (rewrites[i].next == NULL)
			assert_int_equal(len, 0);
		else
			assert_text((struct text){out, len}, rewrites[i].next, rewrites[i].raw);
	}
}

static void test_source_routes(void **state)
{
	(void)state;
	assert_true(address_has_source_route(TEXT("@x:ceo@y")));
	assert_true(address_has_source_route(TEXT("@x,@z:ceo@y")));
	assert_true(address_has_source_route(TEXT("@:")));
	assert_false(address_has_source_route(TEXT("")));
	assert_false(address_has_source_route(TEXT("@y")));
	assert_false(address_has_source_route(TEXT("a:b@y")));
	assert_false(address_has_source_route(TEXT("x@y:b@z")));
}

static void test_split(void **state)
{
	struct text local, domain;

	(void)state;
	address_split(TEXT("joe"), &local, &domain);
	assert_text(local, "joe", "joe");
	assert_null(domain.ptr);
	address_split(TEXT("joe@"), &local, &domain);
	assert_text(local, "joe", "joe@");
	assert_non_null(domain.ptr);
	assert_int_equal(domain.len, 0);
}

static void test_text_checks(void **state)
{
	(void)state;
	assert_true(text_is_ascii(TEXT("")));
	assert_true(text_is_ascii(TEXT("0123456789abcdef0")));
	for (size_t at = 0; at < 20; at++) {
		char bytes[20];

		memset(bytes, 'a', sizeof(bytes));
		bytes[at] = (char)0x80;
		for (size_t len = 1; len <= sizeof(bytes); len++)
			assert_int_equal(text_is_ascii((struct text){bytes, len}), len <= at);
	}
	assert_false(text_has_control(TEXT("a b" UE)));
	assert_true(text_has_control(TEXT("a\x1f")));
	assert_true(text_has_control(TEXT("a\x7f")));
	assert_true(text_equal_lower(TEXT("AbC-1"), TEXT("abc-1")));
	assert_false(text_equal_lower(TEXT("AbC-1"), TEXT("abc-2")));
	assert_false(text_equal_lower(TEXT("[]"), TEXT("{}")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_sender_length),
		cmocka_unit_test(test_append_domain),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_login_length),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_rewrites),
		cmocka_unit_test(test_source_routes),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_text_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

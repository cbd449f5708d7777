/*
 * Any bytes as a login, NUL, then TXT records, each closed by NUL.
 *
 * What holds: fields lie inside their record; a record of ours without any matching field refuses,
 * and one with such a field passes, as a plain second reading of the grammar says; only senderid
 * and sidw grant.
 */
#include "policy/core/lockdown.h"

#include <stdlib.h>

#define PATTERN_STEPS_MAX 64 /* bytes up to which the plain reading of a pattern is affordable */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct text accounts[] = {{"a", 1}, {"myid", 4}};
static const struct text types[] = {{"t", 1}, {"x-authuser", 10}};
static const struct lockdown_settings settings = {
	.is_enabled = true,
	.version = {"mc1", 3},
	.accounts = accounts,
	.account_count = 2,
	.types = types,
	.type_count = 2,
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool plain_equal(struct text a, struct text b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}

/* The definition of `*` as it stands, one row of a table at a time. */
static bool plain_matches(struct text pattern, struct text identity)
{
	bool reached[PATTERN_STEPS_MAX + 1] = {true};

	for (size_t p = 0; p < pattern.len; p++) {
		bool next[PATTERN_STEPS_MAX + 1] = {false};

		for (size_t i = 0; i <= identity.len; i++) {
			if (pattern.ptr[p] == '*')
				next[i] = reached[i] ||
					  (i > 0 && next[i - 1] && identity.ptr[i - 1] != '@' &&
						  identity.ptr[i - 1] != '|');
			else
				next[i] = i > 0 && reached[i - 1] &&
					  ascii_lower(pattern.ptr[p]) ==
						  ascii_lower(identity.ptr[i - 1]);
		}
		memcpy(reached, next, sizeof(reached));
	}
	return pattern.len > 0 && identity.len > 0 && reached[identity.len];
}

static bool check_pattern(struct text pattern, struct text identity)
{
	bool matches = lockdown_pattern_matches(pattern, identity);

	if (identity.len <= PATTERN_STEPS_MAX && pattern.len <= DNS_TEXT_MAX)
		must(matches == plain_matches(pattern, identity));
	return matches;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool take_word(struct text *rest, struct text *word)
{
	size_t len = 0;

	while (rest->len > 0 && is_blank(rest->ptr[0]))
		*rest = text_tail(*rest, 1);
	while (len < rest->len && !is_blank(rest->ptr[len]))
		len++;
	*word = text_head(*rest, len);
	*rest = text_tail(*rest, len);
	return len > 0;
}

static bool is_one_of(struct text id, const struct text *ids)
{
	return plain_equal(id, ids[0]) || plain_equal(id, ids[1]);
}

static bool begins(struct text word, const char *name)
{
	struct text head = text_of(name);

	return word.len >= head.len && plain_equal(text_head(word, head.len), head);
}

/* ACCOUNT|TYPE|IDENTITY of ours, and the identity this login. */
static bool plain_sender_matches(struct text value, bool is_pattern, struct text login)
{
	size_t bar = text_find(value, '|');
	struct text rest = bar < value.len ? text_tail(value, bar + 1) : TEXT("");
	size_t second = text_find(rest, '|');

	if (!is_one_of(text_head(value, bar), accounts) ||
		!is_one_of(text_head(rest, second), types) || second == rest.len)
		return false;
	rest = text_tail(rest, second + 1);
	return is_pattern ? check_pattern(rest, login) : plain_equal(rest, login);
}

static bool plain_word_matches(struct text word, struct text login, bool *grants)
{
	*grants = true;
	if (begins(word, "senderid="))
		return plain_sender_matches(text_tail(word, 9), false, login);
	if (begins(word, "sidw="))
		return plain_sender_matches(text_tail(word, 5), true, login);
	*grants = false;
	return begins(word, "auth=") && is_one_of(text_tail(word, 5), accounts);
}

static bool is_odd(struct text login)
{
	return login.len == 0 || text_find(login, '|') < login.len ||
	       text_find(login, ' ') < login.len || text_has_control(login);
}

static void plain_judge(
	const struct dns_answer *answer, struct text login, struct lockdown_verdict *out)
{
	size_t fields = 0;

	*out = (struct lockdown_verdict){.word = LOCKDOWN_NO_RECORD};
	for (size_t i = 0; i < answer->count; i++) {
		struct text rest = answer->txt[i], word = TEXT("");

		if (!take_word(&rest, &word) || !plain_equal(word, TEXT("v=mc1")))
			continue;
		if (out->word == LOCKDOWN_NO_RECORD)
			out->word = LOCKDOWN_REFUSES;
		while (!is_odd(login) && take_word(&rest, &word)) {
			bool grants = false;

			if (begins(word, "v=") || ++fields > LOCKDOWN_FIELDS_MAX ||
				!plain_word_matches(word, login, &grants))
				continue;
			out->word = LOCKDOWN_PASSES;
			out->is_grant = out->is_grant || grants;
		}
	}
}

static bool is_inside(struct text part, struct text whole)
{
	return part.len == 0 ||
	       (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_fields(struct text txt)
{
	struct text rest = txt;
	struct lockdown_field field;
	size_t count = 0;

	while (lockdown_next_field(&rest, &field)) {
		must(is_inside(field.name, txt) && is_inside(field.value, txt));
		must(is_inside(field.account, field.value) && is_inside(field.type, field.value));
		must(is_inside(field.identity, field.value));
		must(field.kind != FIELD_UNKNOWN || field.fault);
		must((field.kind == FIELD_NO_VALUE) == (field.value.len == 0));
		must(field.kind == FIELD_SENDERID || field.kind == FIELD_SIDW ||
			!field.account.ptr);
		must(++count <= txt.len);
	}
	must(rest.len == 0);
}

static void check_verdict(const struct dns_answer *answer, const struct login *login)
{
	struct lockdown_verdict verdict, plain;

	lockdown_judge(&settings, answer, login, &verdict);
	plain_judge(answer, login->full, &plain);
	must(verdict.word == plain.word && verdict.is_grant == plain.is_grant);
	must((verdict.word == LOCKDOWN_PASSES) == (verdict.field.name.len > 0));
	if (verdict.word == LOCKDOWN_PASSES)
		must(verdict.is_grant == (verdict.field.kind != FIELD_AUTH));
}

/* Up to the next NUL, which goes too. */
static struct text take_part(struct text *rest)
{
	size_t nul = text_find(*rest, '\0');
	struct text part = text_head(*rest, nul);

	*rest = text_tail(*rest, nul < rest->len ? nul + 1 : nul);
	return part;
}

/* A login is folded before it is judged. */
static void set_login(struct login *login, struct text raw)
{
	if (raw.len > sizeof(login->bytes))
		raw.len = sizeof(login->bytes);
	for (size_t i = 0; i < raw.len; i++)
		login->bytes[i] = ascii_lower(raw.ptr[i]);
	login->full = (struct text){login->bytes, raw.len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_answer answer;
	static struct login login;
	struct text rest = {(const char *)data, size};
	struct text first, txt;

	set_login(&login, take_part(&rest));
	first = text_head(rest, text_find(rest, '\0'));
	(void)!check_pattern(first, login.full);
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	while (rest.len > 0) {
		txt = take_part(&rest);
		if (!dns_answer_add(&answer, txt))
			break;
		check_fields(txt);
	}
	answer.status = answer.count > 0 ? LOOKUP_FOUND : LOOKUP_ABSENT;
	check_verdict(&answer, &login);
	return 0;
}

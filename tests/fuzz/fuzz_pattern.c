/*
 * Any bytes as `PATTERN NUL OWNER`, the two columns of a row.
 *
 * What holds: what is taken has the form its kind promises; an owner that is a login matches that
 * login; an exact pattern that can match is a sender with the same canonical form; globs answer in
 * bounded time.
 */
#include "policy/core/pattern.h"
#include "policy/data/unicode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_form(const struct pattern *pattern)
{
	bool is_whole = pattern->kind == PATTERN_DOMAIN || pattern->kind == PATTERN_SUBDOMAINS;

	must(!text_has_control(pattern->local) && !text_has_control(pattern->domain));
	must(is_whole == (pattern->local.len == 0));
	must(!is_whole || pattern->domain.len > 0);
	if (pattern->never == NULL)
		must(pattern->domain.len <= DOMAIN_MAX && text_is_ascii(pattern->domain));
}

static void check_pattern(struct text typed)
{
	static struct pattern pattern;
	static struct address sender;

	if (pattern_parse(&unicode_ops, typed, &pattern) != NULL)
		return;
	check_form(&pattern);
	if (pattern.kind != PATTERN_EXACT || pattern.never != NULL)
		return;
	must(address_sender(&unicode_ops, typed, (struct text){0}, &sender));
	must(text_equal(sender.local, pattern.local) && text_equal(sender.domain, pattern.domain));
}

static void check_owner(struct text typed)
{
	static struct owner owner;
	static struct login login;
	enum owner_kind kind;
	bool deny;

	if (owner_parse(&unicode_ops, typed, &owner) != NULL)
		return;
	must(owner.key.len > 0 && !text_has_control(owner.key));
	must(owner.deny == (typed.ptr[0] == '!'));
	must((owner.kind == OWNER_ANY) == text_equal(owner.key, TEXT("*")));
	must((owner.kind == OWNER_DOMAIN) ==
		(owner.key.ptr[0] == '@' && text_rfind(owner.key, '@') == 0));
	must(address_login(&unicode_ops, text_tail(typed, owner.deny), (struct text){0}, &login));
	if (owner.kind == OWNER_DOMAIN)
		must(login.domain.len + 1 == owner.key.len);
	must(owner_matches(&unicode_ops, typed, &login, &kind, &deny));
	must(kind == owner.kind && deny == owner.deny);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text pattern = {(const char *)data, size};
	struct text owner = TEXT("");
	size_t nul = text_find(pattern, '\0');

	if (nul < size) {
		owner = text_tail(pattern, nul + 1);
		pattern.len = nul;
	}
	check_pattern(pattern);
	check_owner(owner);
	must(glob_matches(TEXT("*"), pattern));
	if (text_find(pattern, '*') == nul && text_find(pattern, '\\') == nul)
		must(glob_matches(pattern, owner) == text_equal(pattern, owner));
	else if (pattern.len <= PATTERN_MAX && owner.len <= SENDER_MAX)
		(void)!glob_matches(pattern, owner);
	return 0;
}

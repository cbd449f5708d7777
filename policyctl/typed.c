/*
 * See typed.h. Believes nothing: any bytes may be typed.
 */
#include "policyctl/typed.h"

#include <arpa/inet.h>
#include <stdio.h>

static bool is_among(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static struct text strip(struct text text, const char *set)
{
	while (text.len > 0 && is_among(text.ptr[0], set))
		text = text_tail(text, 1);
	while (text.len > 0 && is_among(text.ptr[text.len - 1], set))
		text.len--;
	return text;
}

/* Without blanks, wherever they stand, and what stands around a word in a sentence. */
static struct text squeeze(struct text raw, char out[TYPED_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < raw.len && len < TYPED_MAX; i++)
		if (!is_among(raw.ptr[i], " \t\r\n\v\f"))
			out[len++] = raw.ptr[i];
	return strip((struct text){out, len}, "<>\"'`(),;");
}

/* Up to the first of these bytes. */
static struct text head_before(struct text text, const char *set)
{
	size_t len = 0;

	while (len < text.len && !is_among(text.ptr[len], set))
		len++;
	return text_head(text, len);
}

/* What stands in an address, a URL or behind the label; all of it where it is none of them. */
static struct text domain_inside(struct text label, struct text text)
{
	const char *scheme = text.len > 0 ? memmem(text.ptr, text.len, "://", 3) : NULL;

	if (scheme)
		text = head_before(text_tail(text, (size_t)(scheme - text.ptr) + 3), "/?#");
	if (text_rfind(text, '@') < text.len)
		text = text_tail(text, text_rfind(text, '@') + 1);
	text = strip(head_before(text, "/:?#>"), "*.");
	if (label.len > 0 && text.len > label.len && text.ptr[label.len] == '.' &&
		text_equal_lower(text_head(text, label.len), label))
		return text_tail(text, label.len + 1);
	return text;
}

static bool is_number(struct text text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > 0;
}

static bool is_ipv6(struct text text)
{
	struct in6_addr address;
	char string[INET6_ADDRSTRLEN];

	text = strip(text, "[]");
	snprintf(string, sizeof(string), "%.*s", TEXT_ARG(text));
	return text.len < sizeof(string) && inet_pton(AF_INET6, string, &address) == 1;
}

/* No name of a machine in the DNS ends in a number. */
static bool is_address(struct text text)
{
	struct text host = strip(text, "[].");
	size_t dot = text_rfind(host, '.');

	if (text.len > 0 && text.ptr[0] == '[')
		return true;
	return is_ipv6(text) || (dot < host.len && is_number(text_tail(host, dot + 1)));
}

static bool is_domain(const struct unicode_ops *ops, struct text text, struct typed *out)
{
	return text.len > 0 && address_domain(ops, text, out->bytes, &out->domain);
}

static enum typed_kind kind_of(
	const struct unicode_ops *ops, struct text label, struct text raw, struct typed *out)
{
	char bytes[TYPED_MAX];
	struct text word = squeeze(raw, bytes), inside = domain_inside(label, word), whole = raw;
	enum typed_kind kind = TYPED_NO_DOMAIN;

	if (word.len == 0)
		return TYPED_EMPTY;
	if (is_address(word) || is_address(inside))
		return TYPED_ADDRESS;
	if (whole.ptr[whole.len - 1] == '.')
		whole.len--;
	if (inside.len == whole.len && is_domain(ops, raw, out))
		kind = TYPED_DOMAIN;
	/* Two words are more often two words than one domain. */
	else if ((word.len == raw.len || text_find(inside, '.') < inside.len) &&
		 is_domain(ops, inside, out))
		kind = TYPED_MEANT;
	/* Digits of other scripts are digits now. */
	if (kind != TYPED_NO_DOMAIN && is_address(out->domain))
		kind = TYPED_ADDRESS;
	return kind;
}

void typed_read(
	const struct unicode_ops *ops, struct text label, struct text raw, struct typed *out)
{
	out->domain = TEXT("");
	out->kind = raw.len > TYPED_MAX ? TYPED_NO_DOMAIN : kind_of(ops, label, raw, out);
	if (out->kind != TYPED_DOMAIN && out->kind != TYPED_MEANT)
		out->domain = TEXT("");
}

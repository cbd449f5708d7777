/*
 * The sender column: what kind of pattern a text is and its canonical form, see pattern.h.
 *
 * Knows nothing of owners, of rows or of how senders are looked up. Fails with a text ready for the
 * loader's message; a pattern that only can never match is `never`, not a failure.
 */
#include "policy/core/pattern.h"

static bool is_glob(struct text local)
{
	return text_find(local, '*') < local.len || text_find(local, '\\') < local.len;
}

static unsigned count_stars(struct text glob)
{
	unsigned stars = 0;

	for (size_t i = 0; i < glob.len; i++) {
		if (glob.ptr[i] == '\\')
			i++;
		else if (glob.ptr[i] == '*')
			stars++;
	}
	return stars;
}

static const char *check(struct text typed)
{
	if (typed.len == 0)
		return "an empty sender";
	if (typed.len > PATTERN_MAX)
		return "a sender of more than 2048 bytes";
	return text_has_control(typed) ? "a control byte in a sender" : NULL;
}

/* Why a text that is not a domain is none. */
static const char *explain_domain(struct text domain)
{
	if (text_find(domain, '*') < domain.len)
		return "'*' counts in the local part alone; every sub-domain is '@.domain'";
	return "what follows '@' is not a valid domain";
}

/* Appends the folded text to out->bytes, of which `used` are taken. Empty text when it fails. */
static struct text put_folded(
	const struct unicode_ops *ops, struct text raw, struct pattern *out, size_t used)
{
	char *at = out->bytes + used;

	return (struct text){at, text_fold(ops, raw, true, at, PATTERN_MAX)};
}

/* The domain, or where it is none its folded text, so that first-hit still finds it. */
static bool put_domain(
	const struct unicode_ops *ops, struct text raw, struct pattern *out, size_t used)
{
	if (address_domain(ops, raw, out->bytes + used, &out->domain))
		return true;
	out->never = explain_domain(raw);
	out->domain = put_folded(ops, raw, out, used);
	return out->domain.len > 0;
}

/* `@domain` and `@.parent`. */
static bool parse_whole_domain(
	const struct unicode_ops *ops, struct text domain, struct pattern *out)
{
	bool is_parent = domain.ptr[0] == '.';

	out->kind = is_parent ? PATTERN_SUBDOMAINS : PATTERN_DOMAIN;
	if (!put_domain(ops, text_tail(domain, is_parent), out, 0))
		return false;
	if (is_parent && out->domain.ptr[0] == '[')
		out->never = "an address literal has no sub-domains";
	return true;
}

static bool parse_address(
	const struct unicode_ops *ops, struct text local, struct text domain, struct pattern *out)
{
	out->kind = is_glob(local) ? PATTERN_GLOB : PATTERN_EXACT;
	out->local = put_folded(ops, local, out, 0);
	return out->local.len > 0 && put_domain(ops, domain, out, out->local.len);
}

/* No domain: a bare user, or a domain somebody forgot the `@` of. */
static bool parse_bare(const struct unicode_ops *ops, struct text local, struct pattern *out)
{
	out->kind = is_glob(local) ? PATTERN_GLOB : PATTERN_EXACT;
	out->local = put_folded(ops, local, out, 0);
	if (local.ptr[0] == '.')
		out->never = "looks like a parent domain: write it with '@' before the dot";
	else if (text_find(local, '.') < local.len)
		out->never = "looks like a domain: write it with '@' in front";
	return out->local.len > 0;
}

/* `joe@`, `@`, `@.`: kept whole as a local part, which no sender has: the row of bare user joe, or
 * one that stands for every domain, must not come of it. */
static bool parse_unfinished(const struct unicode_ops *ops, struct text typed, struct pattern *out)
{
	out->kind = PATTERN_EXACT;
	out->local = put_folded(ops, typed, out, 0);
	out->never = "there is no domain behind '@'";
	return out->local.len > 0;
}

static bool is_domainless(struct text domain)
{
	return domain.len == 0 || (domain.len == 1 && domain.ptr[0] == '.');
}

const char *pattern_parse(const struct unicode_ops *ops, struct text typed, struct pattern *out)
{
	const char *wrong = check(typed);
	struct text local, domain;
	bool ok;

	if (wrong != NULL)
		return wrong;
	out->never = NULL;
	out->local = out->domain = (struct text){out->bytes, 0};
	address_split(typed, &local, &domain);
	if (domain.ptr == NULL)
		ok = parse_bare(ops, local, out);
	else if (is_domainless(domain))
		ok = parse_unfinished(ops, typed, out);
	else if (local.len == 0)
		ok = parse_whole_domain(ops, domain, out);
	else
		ok = parse_address(ops, local, domain, out);
	if (!ok)
		return "a sender that is not valid UTF-8 or too long";
	if (out->kind == PATTERN_GLOB && count_stars(out->local) > GLOB_STARS)
		return "more than 4 '*' in a sender";
	return NULL;
}

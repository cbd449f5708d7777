/*
 * `semantics = first-hit`: what Postfix's own smtpd_sender_login_maps check does, to the letter
 * (Postfix trivial-rewrite(8), mail_addr_find(3)): the sender is rewritten, looked up in Postfix's
 * order, and the first key that has a row decides. Owners, globs, `!` and `@.` are plain text; A-
 * and U-labels differ; a login has no address of its own.
 *
 * Pure. A FAILED look-up before the first hit decides: nobody knows whether it was the hit.
 */
#include "policy/core/decision_private.h"

/* Whether Postfix takes the domain for its own ($mydestination, $inet_interfaces): also none at
 * all.
 */
static bool is_local(const struct decision *d, struct text raw_domain)
{
	char bytes[DOMAIN_MAX];
	struct text domain;

	if (raw_domain.len == 0)
		return true;
	if (!address_domain(d->settings->unicode, raw_domain, bytes, &domain))
		return false;
	for (size_t i = 0; i < d->settings->local_domain_count; i++)
		if (text_equal(d->settings->local_domains[i], domain))
			return true;
	return false;
}

/* Whether rows of bare users count for the domain: $myorigin's do, even where it is not local. */
static bool has_bare_rows(const struct decision *d, struct text raw_domain)
{
	char bytes[DOMAIN_MAX];
	struct text domain;

	if (is_local(d, raw_domain))
		return true;
	return address_domain(d->settings->unicode, raw_domain, bytes, &domain) &&
	       text_equal(domain, d->settings->append_domain);
}

/* "a@b." -> "a@b", but neither "a@b.." nor "a@.", nor a user "a.". */
static struct text without_trailing_dot(struct text address)
{
	size_t len = address.len;

	if (len > 2 && address.ptr[len - 1] == '.' && address.ptr[len - 2] != '.' &&
		address.ptr[len - 2] != '@' && text_find(address, '@') < len)
		address.len--;
	return address;
}

/* Whether Postfix opens up the local part. A bare one that needs quotes gets $myorigin first. */
static bool is_opened(const struct decision *d, struct text local, struct text domain)
{
	if (!domain.ptr && address_needs_quotes(local))
		domain = d->settings->append_domain;
	return !domain.ptr || is_local(d, domain);
}

/* Quotes within the quotes: Postfix parses such a local part anew, this file does not. */
static bool is_legible(struct text local)
{
	return text_find(local, '"') == local.len && text_find(local, '\\') == local.len;
}

/* Ends by itself: each round takes an operator away. */
bool first_hit_rewrite(struct decision *d)
{
	struct text local, domain;
	size_t len = 1;

	for (unsigned i = 0; len > 0; i++) {
		char *out = d->reading_bytes[i % 2];

		d->reading = without_trailing_dot(d->reading);
		address_split(d->reading, &local, &domain);
		if (!is_opened(d, local, domain))
			return true;
		len = address_rewrite(d->reading, out);
		if (len > 0 && !is_legible(local))
			return false;
		if (len > 0)
			d->reading = (struct text){out, len};
	}
	return true;
}

/* Adds the key `local@domain`, or `local` where at is false, or `@domain` where local is empty. */
static void add_literal(struct decision *d, struct text local, struct text domain, bool has_at)
{
	size_t index = d->candidate_count;
	struct pattern *pattern = &d->literal[index];
	char typed[SENDER_MAX + 1 + DOMAIN_MAX];
	struct candidate *candidate;
	size_t len = local.len + has_at + domain.len;

	if (len > SENDER_MAX)
		return;
	memcpy(typed, local.ptr, local.len);
	if (has_at)
		typed[local.len] = '@';
	if (domain.len)
		memcpy(typed + local.len + has_at, domain.ptr, domain.len);
	if (pattern_parse(d->settings->unicode, (struct text){typed, len}, pattern) != NULL)
		return;
	len = text_fold(d->settings->unicode, (struct text){typed, len}, false,
		d->want_bytes[index], sizeof(d->want_bytes[index]));
	if (len == 0)
		return;
	candidate = decision_add_candidate(d, pattern->kind);
	candidate->domain = pattern->domain;
	candidate->local = pattern->local;
	candidate->want = (struct text){d->want_bytes[index], len};
	candidate->literal = true;
}

void first_hit_candidates(struct decision *d)
{
	struct text local, domain;
	size_t base;

	address_split(d->reading, &local, &domain);
	if (domain.ptr == NULL)
		domain = d->settings->append_domain;
	base = address_without_extension(local, d->settings->recipient_delimiter);
	add_literal(d, local, domain, domain.len > 0);
	if (base < local.len)
		add_literal(d, text_head(local, base), domain, domain.len > 0);
	if (domain.len == 0)
		return;
	if (has_bare_rows(d, domain)) {
		add_literal(d, local, TEXT(""), false);
		if (base < local.len)
			add_literal(d, text_head(local, base), TEXT(""), false);
	}
	add_literal(d, TEXT(""), domain, true);
}

enum reason first_hit_judge(struct decision *d, const struct table_facts *facts)
{
	const struct table_fact *fact = &facts->facts[0];
	enum owner_kind owner;
	enum row_word word;

	/* What Postfix would append to a bare sender is not known without append_domain. */
	bool is_complete =
		text_find(d->reading, '@') < d->reading.len || d->settings->append_domain.len > 0;

	if (facts->count == 0)
		return d->settings->unlisted_permit && is_complete ? REASON_UNLISTED
								   : REASON_NOT_OWNED;
	if (fact->status != LOOKUP_FOUND)
		return REASON_TABLE_DAMAGED;
	decision_note_row(d, fact);
	word = row_judge(&fact->row, d->now, &owner);
	decision_set_row(d, fact, owner, word);
	switch (word) {
	case ROW_ALLOWS:
		return REASON_ROW;
	case ROW_ENDED:
		return REASON_EXPIRED;
	case ROW_DENIES:
	case ROW_SILENT:
		break;
	}
	return REASON_NOT_OWNED;
}

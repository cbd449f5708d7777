/*
 * `semantics = union`: every candidate row is looked at, one deny beats every allow (policyd(8),
 * "The decision").
 *
 * Also what both semantics share about a single row. Pure; a FAILED row decides before any other,
 * because nobody knows what it would have said.
 */
#include "policy/core/decision_private.h"

#include <stdio.h>

enum row_word row_judge(const struct row_fact *row, int64_t now, enum owner_kind *owner)
{
	bool has_ended = false;

	for (int kind = OWNER_LOGIN; kind >= OWNER_ANY; kind--) {
		*owner = (enum owner_kind)kind;
		if (row->until[kind][true] > now)
			return ROW_DENIES;
		if (row->until[kind][false] > now)
			return ROW_ALLOWS;
		has_ended |= row->until[kind][false] > 0;
	}
	return has_ended ? ROW_ENDED : ROW_SILENT;
}

void decision_set_row(struct decision *d, const struct table_fact *fact, enum owner_kind owner,
	enum row_word word)
{
	const struct candidate *candidate = &d->candidates[fact->candidate];

	d->verdict.row = (struct deciding_row){
		.is_set = true,
		.kind = candidate->kind,
		.local = candidate->kind == PATTERN_GLOB ? fact->glob : candidate->local,
		.domain = candidate->domain,
		.owner = owner,
		.deny = word == ROW_DENIES,
		.has_owner = word == ROW_ALLOWS || word == ROW_DENIES,
	};
}

void decision_note_row(const struct decision *d, const struct table_fact *fact)
{
	static const char *const words[] = {
		[ROW_SILENT] = "names the sender, but not this login",
		[ROW_ALLOWS] = "allows",
		[ROW_DENIES] = "denies",
		[ROW_ENDED] = "allowed this login, but has expired",
	};
	static const char *const owners[] = {[OWNER_ANY] = " (owner *, every login)",
		[OWNER_DOMAIN] = " (owner @login-domain)",
		[OWNER_LOGIN] = " (this login)"};
	const struct candidate *candidate = &d->candidates[fact->candidate];
	struct text local = candidate->kind == PATTERN_GLOB ? fact->glob : candidate->local;
	enum owner_kind owner;
	enum row_word word;

	if (!d->trace)
		return;
	word = row_judge(&fact->row, d->now, &owner);
	decision_note(d, "row", "%.*s%s%.*s: %s%s", TEXT_ARG(local),
		candidate->kind == PATTERN_SUBDOMAINS ? "@."
		: candidate->domain.len               ? "@"
						      : "",
		TEXT_ARG(candidate->domain), words[word],
		word == ROW_ALLOWS || word == ROW_DENIES ? owners[owner] : "");
}

static void add_exact(struct decision *d, size_t local_len, size_t raw_len)
{
	struct candidate *candidate = decision_add_candidate(d, PATTERN_EXACT);

	candidate->domain = d->sender.domain;
	candidate->local = text_head(d->sender.local, local_len);
	candidate->want = text_head(d->sender.local_raw, raw_len);
}

static void add_parents(struct decision *d)
{
	struct text parent = d->sender.domain;

	if (parent.ptr[0] == '[')
		return;
	for (size_t dot; (dot = text_find(parent, '.')) < parent.len;) {
		parent = text_tail(parent, dot + 1);
		decision_add_candidate(d, PATTERN_SUBDOMAINS)->domain = parent;
	}
}

void union_candidates(struct decision *d)
{
	struct text delimiters = d->settings->recipient_delimiter;
	struct text local = d->sender.local, raw = d->sender.local_raw;
	size_t base = address_without_extension(local, delimiters);
	size_t raw_base = address_without_extension(raw, delimiters);
	struct candidate *candidate;

	add_exact(d, local.len, raw.len);
	if (base < local.len)
		add_exact(d, base, raw_base);
	if (d->sender.domain.len == 0)
		return;
	candidate = decision_add_candidate(d, PATTERN_GLOB);
	candidate->domain = d->sender.domain;
	candidate->local = local;
	candidate->want = raw;
	candidate->base_len = base;
	candidate->want_base_len = raw_base;
	decision_add_candidate(d, PATTERN_DOMAIN)->domain = d->sender.domain;
	add_parents(d);
}

/* A login's own address, with any extension. A bare login has none: Postfix completes a bare sender
 * with $myorigin, and that address may well be somebody else's. */
static bool is_own_address(const struct decision *d)
{
	const struct settings *s = d->settings;
	struct text own = d->login.local, local = d->sender.local;

	if (!s->allow_self || d->sender.domain.len == 0 ||
		!text_equal(d->login.domain, d->sender.domain))
		return false;
	if (s->local_keep) {
		own = text_head(d->login.raw, text_rfind(d->login.raw, '@'));
		local = d->sender.local_raw;
	}
	if (text_equal(own, local))
		return true;
	return text_equal(
		own, text_head(local, address_without_extension(local, s->recipient_delimiter)));
}

/* What the rows say together; `ended` where one would have allowed in its time. */
struct tally {
	bool is_denied, is_allowed, has_ended, is_named;
};

static void count_row(struct decision *d, const struct table_fact *fact, struct tally *tally)
{
	enum owner_kind owner;
	enum row_word word = row_judge(&fact->row, d->now, &owner);
	bool is_first = !d->verdict.row.is_set;

	decision_note_row(d, fact);
	tally->is_named |= fact->row.named;
	switch (word) {
	case ROW_DENIES:
		if (!tally->is_denied)
			decision_set_row(d, fact, owner, word);
		tally->is_denied = true;
		break;
	case ROW_ALLOWS:
		if (!tally->is_denied && !tally->is_allowed)
			decision_set_row(d, fact, owner, word);
		tally->is_allowed = true;
		break;
	case ROW_ENDED:
		if (!tally->is_denied && !tally->is_allowed && !tally->has_ended)
			decision_set_row(d, fact, owner, word);
		tally->has_ended = true;
		break;
	case ROW_SILENT:
		if (is_first)
			decision_set_row(d, fact, owner, word);
		break;
	}
}

enum reason union_judge(struct decision *d, const struct table_facts *facts)
{
	struct tally tally = {0};

	d->verdict.row.is_set = false;
	for (size_t i = 0; i < facts->count; i++) {
		if (facts->facts[i].status != LOOKUP_FOUND)
			return REASON_TABLE_DAMAGED;
		count_row(d, &facts->facts[i], &tally);
	}
	if (tally.is_denied)
		return REASON_DENIED_BY_ROW;
	if (tally.is_allowed)
		return REASON_ROW;
	if (is_own_address(d)) {
		d->verdict.row.is_set = false;
		return REASON_SELF;
	}
	/* A bare sender becomes one at $myorigin, and whether a row names that one is not known. */
	if (!tally.is_named && d->settings->unlisted_permit && d->sender.domain.len > 0)
		return REASON_UNLISTED;
	return tally.has_ended ? REASON_EXPIRED : REASON_NOT_OWNED;
}

static struct text owner_text(const struct deciding_row *row, const struct login *login)
{
	switch (row->owner) {
	case OWNER_LOGIN:
		return login->full;
	case OWNER_DOMAIN:
		return login->domain;
	case OWNER_ANY:
		break;
	}
	return TEXT("*");
}

size_t deciding_row_format(
	const struct deciding_row *row, const struct login *login, char *out, size_t cap)
{
	struct text owner = row->is_set && row->has_owner ? owner_text(row, login) : TEXT("");
	const char *at = row->kind == PATTERN_SUBDOMAINS ? "@." : row->domain.len ? "@" : "";
	int len;

	if (cap == 0)
		return 0;
	out[0] = 0;
	if (!row->is_set)
		return 0;
	len = snprintf(out, cap, "%.*s%s%.*s%s%s%s%.*s", TEXT_ARG(row->local), at,
		TEXT_ARG(row->domain), row->has_owner ? " " : "", row->deny ? "!" : "",
		row->has_owner && row->owner == OWNER_DOMAIN ? "@" : "", TEXT_ARG(owner));
	return len < 0 ? 0 : (size_t)len < cap ? (size_t)len : cap - 1;
}

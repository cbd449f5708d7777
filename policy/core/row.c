/*
 * What the entries of one row say about one question: reads a payload into a struct row_fact.
 *
 * Pure; knows how patterns and owners match, not what follows from it. Bytes that do not decode
 * make the whole row FAILED.
 */
#include "policy/core/authz_codec.h"

/* Large enough for the folding of any typed pattern or login that `want` and login->folded can
 * hold. */
#define FOLD_MAX LOGIN_MAX

static bool folds_to(const struct unicode_ops *ops, struct text typed, struct text folded)
{
	char bytes[FOLD_MAX];
	size_t len;

	if (text_equal(typed, folded))
		return true;
	len = text_fold(ops, typed, false, bytes, sizeof(bytes));
	return len > 0 && text_equal((struct text){bytes, len}, folded);
}

static bool local_matches(const struct row_entry *entry, const struct row_question *question)
{
	struct text local = text_head(entry->pattern, text_rfind(entry->pattern, '@'));

	if (question->is_glob)
		return glob_matches_sender(local, question->want, question->want_base_len);
	return text_equal(local, question->want);
}

static void later(int64_t *until, int64_t other)
{
	if (other > *until)
		*until = other;
}

static int64_t entry_end(const struct row_entry *entry)
{
	return entry->expires.until != 0 ? entry->expires.until : INT64_MAX;
}

static void add_allow(struct row_fact *fact, int64_t end)
{
	fact->has_allow = true;
	later(&fact->allow_until, end);
}

static void add_literal(
	const struct row_entry *entry, const struct row_question *question, struct row_fact *fact)
{
	int64_t end = entry_end(entry);

	if (!folds_to(question->ops, entry->pattern, question->want))
		return;
	fact->named = true;
	add_allow(fact, end);
	if (question->login && folds_to(question->ops, entry->owner, question->login->folded))
		later(&fact->until[OWNER_LOGIN][0], end);
}

static void add_entry(
	const struct row_entry *entry, const struct row_question *question, struct row_fact *fact)
{
	bool deny = entry->owner.ptr[0] == '!';
	int64_t end = entry_end(entry);
	enum owner_kind kind;

	if (question->mode == FILTER_KEEP && !deny && !local_matches(entry, question))
		return;
	fact->named = true;
	if (!deny)
		add_allow(fact, end);
	if (question->login &&
		owner_matches(question->ops, entry->owner, question->login, &kind, &deny))
		later(&fact->until[kind][deny], end);
}

enum lookup row_read(
	struct text payload, const struct row_question *question, struct row_fact *fact)
{
	struct row_entry entry = {0};
	enum lookup status;

	while ((status = row_entry_decode(&payload, &entry)) == LOOKUP_FOUND) {
		if (question->mode == FILTER_LITERAL)
			add_literal(&entry, question, fact);
		else
			add_entry(&entry, question, fact);
	}
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

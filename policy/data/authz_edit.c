/*
 * Edits rows of the generation in force where they stand, and notes how to take each change back.
 *
 * Knows rows and the undo list, not why they change; commits nothing. A row that does not check is
 * ERR_DAMAGED, and the caller aborts.
 */
#include <stdlib.h>

#include "policy/core/bytes.h"
#include "policy/data/authz_load.h"
#include "policy/data/authz_private.h"

#define UNDO_KEY_LEN 8
#define UNDO_BEFORE  1u
#define UNDO_AFTER   2u

static enum err fail_memory(struct edit *edit)
{
	return authz_report(edit->authz->error, ERR_NOMEM, "out of memory");
}

static enum err fail_row(struct edit *edit, struct text key)
{
	authz_fail_row(edit->authz, key, "row");
	return ERR_DAMAGED;
}

/* Big-endian, so that the list keeps its order. */
static struct text undo_key(uint64_t index, char bytes[UNDO_KEY_LEN])
{
	for (unsigned i = 0; i < UNDO_KEY_LEN; i++)
		bytes[i] = (char)(index >> (8 * (UNDO_KEY_LEN - 1 - i)));
	return (struct text){bytes, UNDO_KEY_LEN};
}

/* An undo value: which of the two there are, then the entry as it was and as it became. */
static enum err note_undo(
	struct edit *edit, const struct row_entry *before, const struct row_entry *after)
{
	struct byte_buffer *value = &edit->undo;
	char bytes[UNDO_KEY_LEN];
	struct text key = undo_key(edit->undo_count++, bytes);

	if (edit->is_dry_run)
		return ERR_OK;
	value->len = 0;
	if (!byte_buffer_reserve(value, ROW_HEADER_SIZE + 1))
		return fail_memory(edit);
	value->ptr[ROW_HEADER_SIZE] =
		(uint8_t)((before ? UNDO_BEFORE : 0) | (after ? UNDO_AFTER : 0));
	value->len = ROW_HEADER_SIZE + 1;
	if ((before && !byte_buffer_add_entry(value, before, NULL)) ||
		(after && !byte_buffer_add_entry(value, after, NULL)))
		return fail_memory(edit);
	row_value_seal(key, 0, value->ptr, value->len - ROW_HEADER_SIZE);
	return authz_fail_store(
		edit->authz, store_append(edit->authz->store, DB_UNDO, key,
				     (struct text){(const char *)value->ptr, value->len}));
}

static struct generation *generation_of(struct edit *edit)
{
	return &edit->meta->generation[edit->meta->current];
}

static enum err add_entry(struct edit *edit, const struct row_entry *entry)
{
	return entry_list_add(&edit->entries, entry) ? ERR_OK : fail_memory(edit);
}

static enum err change_entry(
	struct edit *edit, const struct row_entry *before, const struct row_entry *after)
{
	struct generation *generation = generation_of(edit);
	enum err err = note_undo(edit, before, after);

	generation->digest -= before ? row_entry_digest(before) : 0;
	generation->digest += after ? row_entry_digest(after) : 0;
	generation->pairs += (uint64_t)(after != NULL) - (uint64_t)(before != NULL);
	if (before && after)
		edit->delta->updated++;
	else if (after)
		edit->delta->added++;
	else
		edit->delta->removed++;
	if (err == ERR_OK && after)
		err = add_entry(edit, after);
	return err;
}

static enum err change_existing(struct edit *edit, const struct row_entry *before,
	const struct row_entry *change, bool is_delete)
{
	if (is_delete)
		return change_entry(edit, before, NULL);
	if (!authz_same_remarks(before, change))
		return change_entry(edit, before, change);
	edit->delta->kept++;
	return add_entry(edit, before);
}

static enum err change_absent(struct edit *edit, const struct pair *change, bool is_delete)
{
	if (!is_delete)
		return change_entry(edit, NULL, &change->entry);
	if (edit->missing)
		edit->missing(edit->ctx, change);
	return ERR_OK;
}

/* A run of changes that concern one value. */
struct changes {
	const struct pairs *pairs;
	size_t from, to;
	bool is_delete;
};

/* The next entry of the old value as a pair. */
static enum lookup next_before(
	struct text row_key, struct text *payload, struct row_key *key, struct pair *out)
{
	enum lookup status = row_entry_decode(payload, &out->entry);

	if (status != LOOKUP_FOUND)
		return status;
	if (!authz_member_key(row_key, out->entry.owner, key))
		return LOOKUP_FAILED;
	out->row_key = row_key;
	out->member_key = row_key_text(key);
	return LOOKUP_FOUND;
}

/* Merges the changes into the entries of `payload`; edit->entries is the outcome. */
static enum err merge_entries(
	struct edit *edit, struct text row_key, struct text payload, const struct changes *changes)
{
	struct pair before = {0}, change;
	struct row_key key;
	size_t at = changes->from;
	enum lookup status = next_before(row_key, &payload, &key, &before);
	enum err err = ERR_OK;

	edit->entries.count = 0;
	while (err == ERR_OK && (status == LOOKUP_FOUND || at < changes->to)) {
		int order = -1;

		if (status == LOOKUP_FAILED)
			return fail_row(edit, row_key);
		if (at < changes->to) {
			pairs_at(changes->pairs, at, &change);
			order = status == LOOKUP_FOUND ? pair_compare(&before, &change) : 1;
		}
		if (order < 0)
			err = add_entry(edit, &before.entry);
		else if (order > 0)
			err = change_absent(edit, &change, changes->is_delete);
		else
			err = change_existing(
				edit, &before.entry, &change.entry, changes->is_delete);
		at += order >= 0;
		if (order <= 0)
			status = next_before(row_key, &payload, &key, &before);
	}
	return err == ERR_OK && status == LOOKUP_FAILED ? fail_row(edit, row_key) : err;
}

/* Copies a value out of LMDB's page before anything is written. */
static enum err read_before(struct edit *edit, struct text key, struct text *payload,
	uint8_t *flags, enum lookup *status)
{
	*payload = (struct text){NULL, 0};
	*flags = 0;
	*status = authz_get(edit->authz, edit->writer.db, key, payload, flags);
	if (*status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	if (!byte_buffer_set(&edit->before, *payload))
		return fail_memory(edit);
	*payload = (struct text){(const char *)edit->before.ptr, payload->len};
	return ERR_OK;
}

static enum err delete_key(struct edit *edit, struct text key)
{
	return authz_fail_store(
		edit->authz, store_delete(edit->authz->store, edit->writer.db, key));
}

static enum err edit_inline(struct edit *edit, struct text row_key, struct text payload,
	const struct changes *changes, int *rows)
{
	uint64_t undo_count = edit->undo_count;
	bool was_there = payload.len > 0;
	enum err err = merge_entries(edit, row_key, payload, changes);

	*rows = (edit->entries.count > 0) - was_there;
	if (err != ERR_OK || edit->is_dry_run || edit->undo_count == undo_count)
		return err;
	if (edit->entries.count > 0)
		return row_writer_put(&edit->writer, row_key, &edit->entries);
	return delete_key(edit, row_key);
}

static enum err edit_member(struct edit *edit, struct text row_key, struct text member_key,
	const struct changes *changes)
{
	uint64_t undo_count = edit->undo_count;
	struct text payload;
	enum lookup status;
	uint8_t flags;
	enum err err = read_before(edit, member_key, &payload, &flags, &status);

	if (err == ERR_OK)
		err = merge_entries(edit, row_key, payload, changes);
	if (err != ERR_OK || edit->is_dry_run || edit->undo_count == undo_count)
		return err;
	if (edit->entries.count == 0)
		return delete_key(edit, member_key);
	return row_writer_put_member(
		&edit->writer, member_key, edit->entries.items, edit->entries.count);
}

/* Reads the members of a spilled row for its summary, which is written anew (or the row goes). */
static enum err rewrite_spilled(struct edit *edit, struct text row_key, int *rows)
{
	struct row_cursor cursor = {.authz = edit->authz, .db = edit->writer.db, .key = row_key};
	struct entry_list *summary = &edit->writer.summary;
	uint64_t count = 0;
	enum lookup status;
	struct pair pair;

	summary->count = 0;
	while ((status = row_cursor_next(&cursor, &pair)) == LOOKUP_FOUND) {
		if (!text_equal(pair.row_key, row_key))
			break;
		count++;
		if (!spill_summary_add(summary, &pair.entry))
			return fail_memory(edit);
	}
	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	*rows = count > 0 ? 0 : -1;
	if (count == 0)
		return delete_key(edit, row_key);
	if (!spill_summary_encode(summary, count, &edit->writer.value))
		return fail_memory(edit);
	return row_writer_put_value(&edit->writer, row_key, ROW_FLAG_SPILLED);
}

static enum err edit_spilled(
	struct edit *edit, struct text row_key, const struct changes *changes, int *rows)
{
	struct changes run = *changes;
	uint64_t undo_count = edit->undo_count;
	struct pair first, pair;
	enum err err = ERR_OK;

	for (; err == ERR_OK && run.from < changes->to; run.from = run.to) {
		pairs_at(run.pairs, run.from, &first);
		for (run.to = run.from + 1; run.to < changes->to; run.to++) {
			pairs_at(run.pairs, run.to, &pair);
			if (!text_equal(pair.member_key, first.member_key))
				break;
		}
		err = edit_member(edit, row_key, first.member_key, &run);
	}
	if (err != ERR_OK || edit->is_dry_run || edit->undo_count == undo_count)
		return err;
	return rewrite_spilled(edit, row_key, rows);
}

/* *rows: +1 where the row came to be, -1 where it went. */
static enum err edit_row(struct edit *edit, const struct changes *changes, int *rows)
{
	struct text payload;
	struct pair first;
	enum lookup status;
	uint8_t flags;
	enum err err;

	*rows = 0;
	pairs_at(changes->pairs, changes->from, &first);
	err = read_before(edit, first.row_key, &payload, &flags, &status);
	if (err != ERR_OK)
		return err;
	if (flags & ROW_FLAG_SPILLED)
		return edit_spilled(edit, first.row_key, changes, rows);
	return edit_inline(edit, first.row_key, payload, changes, rows);
}

static bool has_rows(const struct domain_counts *counts)
{
	for (int kind = PATTERN_DOMAIN; kind <= PATTERN_EXACT; kind++)
		if (counts->of_kind[kind] > 0)
			return true;
	return false;
}

static enum err write_domain(struct edit *edit, struct text key, const struct domain_counts *before,
	const struct domain_counts *after)
{
	bool had = has_rows(before), has = has_rows(after);

	if (after->of_kind[PATTERN_GLOB] > DOMAIN_GLOBS_MAX)
		return authz_fail_globs(key, edit->authz->error);
	if (memcmp(before, after, sizeof(*after)) == 0 || edit->is_dry_run)
		return ERR_OK;
	generation_of(edit)->domains += (uint64_t)has - (uint64_t)had;
	return has ? row_writer_put_domain(&edit->writer, key, after) : delete_key(edit, key);
}

static enum err read_domain(struct edit *edit, struct text key, struct domain_counts *counts)
{
	struct text payload;
	uint8_t flags;
	enum lookup status = authz_get(edit->authz, edit->writer.db, key, &payload, &flags);

	memset(counts, 0, sizeof(*counts));
	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	if (status == LOOKUP_FOUND && !domain_counts_decode(payload, counts))
		return fail_row(edit, key);
	return ERR_OK;
}

static size_t end_of_row(const struct pairs *pairs, size_t from)
{
	struct pair first, pair;

	pairs_at(pairs, from, &first);
	while (++from < pairs_count(pairs)) {
		pairs_at(pairs, from, &pair);
		if (!text_equal(pair.row_key, first.row_key))
			break;
	}
	return from;
}

/* All changes of the domain that changes->from is in; moves it behind them. */
static enum err edit_domain(struct edit *edit, struct changes *changes)
{
	struct domain_counts before, after;
	struct row_key key, other;
	struct pair pair;
	enum err err;
	int rows;

	pairs_at(changes->pairs, changes->from, &pair);
	authz_domain_key(pair.row_key, &key);
	err = read_domain(edit, row_key_text(&key), &before);
	after = before;
	while (err == ERR_OK) {
		changes->to = end_of_row(changes->pairs, changes->from);
		err = edit_row(edit, changes, &rows);
		after.of_kind[pair.kind] += (uint64_t)rows;
		generation_of(edit)->rows.of_kind[pair.kind] += (uint64_t)rows;
		changes->from = changes->to;
		if (err != ERR_OK || changes->from == pairs_count(changes->pairs))
			break;
		pairs_at(changes->pairs, changes->from, &pair);
		authz_domain_key(pair.row_key, &other);
		if (!text_equal(row_key_text(&key), row_key_text(&other)))
			break;
	}
	return err != ERR_OK ? err : write_domain(edit, row_key_text(&key), &before, &after);
}

enum err edit_apply(struct edit *edit, const struct pairs *pairs, bool is_delete)
{
	struct changes changes = {.pairs = pairs, .is_delete = is_delete};
	enum err err = ERR_OK;

	while (err == ERR_OK && changes.from < pairs_count(pairs))
		err = edit_domain(edit, &changes);
	return err;
}

enum err edit_begin(struct edit *edit)
{
	struct authz *authz = edit->authz;

	edit->writer = (struct row_writer){.authz = authz, .db = authz_db_of(edit->meta->current)};
	return edit->is_dry_run ? ERR_OK
				: authz_fail_store(authz, store_empty(authz->store, DB_UNDO));
}

enum err edit_finish(struct edit *edit, int64_t now)
{
	edit->meta->undo = UNDO_LIST;
	edit->meta->undo_entries = edit->undo_count;
	edit->meta->sequence++;
	generation_of(edit)->loaded_at = now;
	return authz_meta_write(edit->authz, edit->meta);
}

void edit_deinit(struct edit *edit)
{
	row_writer_deinit(&edit->writer);
	free(edit->entries.items);
	free(edit->before.ptr);
	free(edit->undo.ptr);
}

/* What was there before goes in; what came to be without having been there goes out. */
static enum err take_undo(
	struct authz *authz, struct text payload, struct pairs *removes, struct pairs *puts)
{
	struct row_entry before = {0}, after = {0};
	uint8_t which;

	if (!take_byte(&payload, &which) || which == 0 || which & ~(UNDO_BEFORE | UNDO_AFTER))
		return ERR_DAMAGED;
	if (which & UNDO_BEFORE && row_entry_decode(&payload, &before) != LOOKUP_FOUND)
		return ERR_DAMAGED;
	if (which & UNDO_AFTER && row_entry_decode(&payload, &after) != LOOKUP_FOUND)
		return ERR_DAMAGED;
	if (payload.len > 0)
		return ERR_DAMAGED;
	return which & UNDO_BEFORE ? authz_add_pair(authz, puts, &before)
				   : authz_add_pair(authz, removes, &after);
}

enum err edit_read_undo(
	struct authz *authz, uint64_t count, struct pairs *removes, struct pairs *puts)
{
	enum err err = ERR_OK;

	for (uint64_t i = 0; i < count && err == ERR_OK; i++) {
		char bytes[UNDO_KEY_LEN];
		struct text key = undo_key(i, bytes), payload;
		uint8_t flags;

		if (authz_get(authz, DB_UNDO, key, &payload, &flags) != LOOKUP_FOUND)
			err = ERR_DAMAGED;
		else
			err = take_undo(authz, payload, removes, puts);
	}
	if (err == ERR_DAMAGED)
		authz_fail_row(authz, TEXT("undo"), "list of changes");
	if (err == ERR_OK)
		err = pairs_sort(removes);
	return err == ERR_OK ? pairs_sort(puts) : err;
}

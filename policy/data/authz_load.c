/*
 * Replaces the table, and tells what that would change.
 *
 * The generation that is not in force is emptied, filled in slices and walked in a child; the
 * pointer flips last, so that whatever happens before leaves the old table in force. Knows rows
 * through row_writer alone.
 */
#include "policy/data/authz_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/data/authz_private.h"

struct fill {
	struct authz *authz;
	const struct pairs *pairs;
	const struct authz_progress *progress;
	struct row_writer writer;
	struct entry_list entries;
	struct generation made;
	size_t ticked;
};

/* First index behind `from` whose key has another domain; counts the rows up to there. */
static size_t end_of_domain(const struct pairs *pairs, size_t from, struct domain_counts *counts)
{
	struct text before = {NULL, 0};
	struct pair first, pair;
	size_t domain, at;

	memset(counts, 0, sizeof(*counts));
	pairs_at(pairs, from, &first);
	domain = row_key_domain_len(first.row_key) + 1;
	for (at = from; at < pairs_count(pairs); at++) {
		pairs_at(pairs, at, &pair);
		if (pair.row_key.len < domain ||
			memcmp(pair.row_key.ptr, first.row_key.ptr, domain) != 0)
			break;
		if (!text_equal(pair.row_key, before))
			counts->of_kind[pair.kind]++;
		before = pair.row_key;
	}
	return at;
}

enum err authz_fail_globs(struct text domain_key, char error[AUTHZ_ERROR_MAX])
{
	struct text domain = authz_key_domain(domain_key);

	snprintf(error, AUTHZ_ERROR_MAX,
		"%.*s: more than %d senders with `*` in one domain: use @%.*s, or name the "
		"addresses",
		TEXT_ARG(domain), DOMAIN_GLOBS_MAX, TEXT_ARG(domain));
	return ERR_INVALID;
}

/* Before anything is touched. */
static enum err check_globs(const struct pairs *pairs, char error[AUTHZ_ERROR_MAX])
{
	struct domain_counts counts;
	struct pair pair;

	for (size_t from = 0; from < pairs_count(pairs);) {
		size_t to = end_of_domain(pairs, from, &counts);

		pairs_at(pairs, from, &pair);
		if (counts.of_kind[PATTERN_GLOB] > DOMAIN_GLOBS_MAX)
			return authz_fail_globs(pair.row_key, error);
		from = to;
	}
	return ERR_OK;
}

static enum err fill_row(struct fill *fill, size_t *at, size_t end)
{
	struct pair first, pair;

	pairs_at(fill->pairs, *at, &first);
	pair = first;
	fill->entries.count = 0;
	do {
		if (!entry_list_add(&fill->entries, &pair.entry))
			return authz_report(fill->authz->error, ERR_NOMEM, "out of memory");
		fill->made.digest += row_entry_digest(&pair.entry);
		fill->made.pairs++;
		if (++*at < end)
			pairs_at(fill->pairs, *at, &pair);
	} while (*at < end && text_equal(pair.row_key, first.row_key));
	return row_writer_put(&fill->writer, first.row_key, &fill->entries);
}

static void tick(struct fill *fill, size_t done, bool is_last)
{
	const size_t step = 4096;

	if (!fill->progress || (!is_last && done - fill->ticked < step))
		return;
	fill->ticked = done;
	fill->progress->tick(fill->progress->ctx, done, pairs_count(fill->pairs));
}

static enum err fill_domain(struct fill *fill, size_t *at)
{
	struct domain_counts counts;
	struct row_key key;
	struct pair first;
	size_t end = end_of_domain(fill->pairs, *at, &counts);
	enum err err;

	pairs_at(fill->pairs, *at, &first);
	authz_domain_key(first.row_key, &key);
	err = row_writer_put_domain(&fill->writer, row_key_text(&key), &counts);
	while (err == ERR_OK && *at < end) {
		err = fill_row(fill, at, end);
		tick(fill, *at, false);
	}
	for (int kind = PATTERN_DOMAIN; kind <= PATTERN_EXACT; kind++)
		fill->made.rows.of_kind[kind] += counts.of_kind[kind];
	fill->made.domains++;
	return err;
}

static enum err fill_all(struct fill *fill)
{
	enum err err = ERR_OK;

	for (size_t at = 0; err == ERR_OK && at < pairs_count(fill->pairs);)
		err = fill_domain(fill, &at);
	tick(fill, pairs_count(fill->pairs), true);
	return err;
}

/* One transaction that changes the meta record; *meta is written. empty: a database to empty as
 * well, or -1. */
static enum err write_meta(struct authz *authz, const struct authz_meta *meta, int empty)
{
	enum err err = authz_fail_store(authz, store_write_begin(authz->store));

	if (err != ERR_OK)
		return err;
	if (empty >= 0)
		err = authz_fail_store(authz, store_empty(authz->store, (unsigned)empty));
	if (err == ERR_OK)
		err = authz_meta_write(authz, meta);
	if (err == ERR_OK)
		return authz_fail_store(authz, store_write_commit(authz->store));
	store_write_abort(authz->store);
	return err;
}

/* The other generation is about to go: what it was kept for goes with it. */
static enum err begin_filling(struct authz *authz, struct authz_meta *meta, unsigned target)
{
	if (meta->undo == UNDO_GENERATION)
		meta->undo = UNDO_NONE;
	meta->generation[target] = (struct generation){.state = GENERATION_FILLING};
	return write_meta(authz, meta, (int)authz_db_of(target));
}

/* Gives back the room. On a full disk even that may fail: the next load does it then. */
static void give_up(struct authz *authz, struct authz_meta *meta, unsigned target)
{
	char kept[AUTHZ_ERROR_MAX];

	authz_report(kept, ERR_OK, authz->error);
	meta->generation[target] = (struct generation){.state = GENERATION_EMPTY};
	if (write_meta(authz, meta, (int)authz_db_of(target)) != ERR_OK)
		store_write_abort(authz->store);
	authz_report(authz->error, ERR_OK, kept);
}

static enum err fill_target(struct authz *authz, const struct pairs *pairs,
	const struct authz_progress *progress, unsigned target, struct generation *made)
{
	struct fill fill = {
		.authz = authz,
		.pairs = pairs,
		.progress = progress,
		.writer = {.authz = authz, .db = authz_db_of(target), .is_append = true},
	};
	enum err err = authz_fail_store(authz, store_write_begin(authz->store));

	if (err == ERR_OK)
		err = fill_all(&fill);
	if (err == ERR_OK)
		err = authz_fail_store(authz, store_write_commit(authz->store));
	else
		store_write_abort(authz->store);
	row_writer_deinit(&fill.writer);
	free(fill.entries.items);
	*made = fill.made;
	return err;
}

static enum err verify_target(struct authz *authz, unsigned target)
{
	return authz_verify_in_child(authz->state_dir, authz->map_mb, (int)target, authz->error);
}

static enum err flip(struct authz *authz, struct authz_meta *meta, unsigned target)
{
	meta->undo = meta->is_loaded ? UNDO_GENERATION : UNDO_NONE;
	meta->undo_entries = 0;
	meta->generation[target].state = GENERATION_COMPLETE;
	meta->current = target;
	meta->sequence++;
	return write_meta(authz, meta, DB_UNDO);
}

enum err authz_read_meta(struct authz *authz, struct authz_meta *meta)
{
	enum lookup status = authz_begin(authz, meta);

	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	authz_end(authz);
	return ERR_OK;
}

static enum err replace(struct authz *authz, const struct pairs *pairs, int64_t now,
	const struct authz_progress *progress)
{
	struct authz_meta meta;
	enum err err = authz_read_meta(authz, &meta);
	unsigned target = meta.current ^ 1;
	struct generation *made = &meta.generation[target];

	if (err == ERR_OK)
		err = begin_filling(authz, &meta, target);
	if (err != ERR_OK)
		return err;
	err = fill_target(authz, pairs, progress, target, made);
	made->state = GENERATION_FILLING;
	made->loaded_at = now;
	if (err == ERR_OK)
		err = write_meta(authz, &meta, -1);
	if (err == ERR_OK)
		err = verify_target(authz, target);
	if (err != ERR_OK) {
		give_up(authz, &meta, target);
		return err;
	}
	return flip(authz, &meta, target);
}

enum err authz_replace(struct authz *authz, const struct pairs *pairs, int64_t now,
	const struct authz_progress *progress, char error[AUTHZ_ERROR_MAX])
{
	enum err err = check_globs(pairs, error);

	if (err != ERR_OK)
		return err;
	err = replace(authz, pairs, now, progress);
	return err == ERR_OK ? ERR_OK : authz_report(error, err, authz->error);
}

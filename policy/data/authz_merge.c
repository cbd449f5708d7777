/*
 * Changes some pairs of the table (merge, delete) and goes back to the table before (rollback).
 *
 * Up to AUTHZ_MERGE_MAX pairs are one transaction on the generation in force; more are a rewritten
 * table. Knows when to commit, not how rows are stored.
 */
#include <stdio.h>

#include "policy/data/authz_load.h"
#include "policy/data/authz_private.h"

/* Whether the merge changed anything: if not, the last undo list stays worth keeping. */
static bool has_changed(const struct authz_delta *delta)
{
	return delta->added + delta->removed + delta->updated > 0;
}

static struct edit edit_of(struct authz *authz, const struct authz_merge *merge,
	struct authz_meta *meta, struct authz_delta *delta)
{
	return (struct edit){
		.authz = authz,
		.meta = meta,
		.delta = delta,
		.is_dry_run = merge->is_dry_run,
		.missing = merge->missing,
		.ctx = merge->ctx,
	};
}

static enum err count_only(
	struct authz *authz, const struct authz_merge *merge, struct authz_delta *delta)
{
	struct authz_meta meta;
	struct edit edit = edit_of(authz, merge, &meta, delta);
	enum lookup status = authz_begin(authz, &meta);
	enum err err = status == LOOKUP_FAILED ? ERR_DAMAGED : edit_begin(&edit);

	if (err == ERR_OK)
		err = edit_apply(&edit, merge->pairs, merge->is_delete);
	if (status != LOOKUP_FAILED)
		authz_end(authz);
	edit_deinit(&edit);
	return err;
}

static enum err merge_in_place(
	struct authz *authz, const struct authz_merge *merge, struct authz_delta *delta)
{
	struct authz_meta meta;
	struct edit edit = edit_of(authz, merge, &meta, delta);
	enum err err = authz_fail_store(authz, store_write_begin(authz->store));

	if (err != ERR_OK)
		return err;
	if (authz_meta_read(authz, &meta) == LOOKUP_FAILED)
		err = ERR_DAMAGED;
	if (err == ERR_OK)
		err = edit_begin(&edit);
	if (err == ERR_OK)
		err = edit_apply(&edit, merge->pairs, merge->is_delete);
	if (err == ERR_OK && has_changed(delta))
		err = edit_finish(&edit, merge->now);
	if (err == ERR_OK && has_changed(delta))
		err = authz_fail_store(authz, store_write_commit(authz->store));
	store_write_abort(authz->store);
	edit_deinit(&edit);
	return err;
}

/* The whole table beside the pairs: what a rewritten table holds. */
struct rewrite {
	struct authz *authz;
	const struct authz_merge *merge;
	struct authz_delta *delta;
	struct pairs *out;
	size_t at;
};

static enum err rewrite_absent(struct rewrite *r, const struct pair *change)
{
	if (!r->merge->is_delete) {
		r->delta->added++;
		return authz_add_pair(r->authz, r->out, &change->entry);
	}
	if (r->merge->missing)
		r->merge->missing(r->merge->ctx, change);
	return ERR_OK;
}

static enum err rewrite_both(
	struct rewrite *r, const struct pair *before, const struct pair *change)
{
	if (r->merge->is_delete) {
		r->delta->removed++;
		return ERR_OK;
	}
	if (authz_same_remarks(&before->entry, &change->entry))
		r->delta->kept++;
	else
		r->delta->updated++;
	return authz_add_pair(r->authz, r->out, &change->entry);
}

/* Changes up to `before` (all that are left where it is NULL), then `before` itself. */
static enum err rewrite_until(struct rewrite *r, const struct pair *before)
{
	struct pair change;
	enum err err = ERR_OK;

	for (; err == ERR_OK && r->at < pairs_count(r->merge->pairs); r->at++) {
		int order = 1;

		pairs_at(r->merge->pairs, r->at, &change);
		if (before)
			order = pair_compare(before, &change);
		if (order < 0)
			break;
		if (order == 0) {
			r->at++;
			return rewrite_both(r, before, &change);
		}
		err = rewrite_absent(r, &change);
	}
	return err == ERR_OK && before ? authz_add_pair(r->authz, r->out, &before->entry) : err;
}

static enum err rewrite_all(struct rewrite *r)
{
	struct authz *authz = r->authz;
	struct authz_meta meta;
	struct row_cursor cursor = {.authz = authz};
	enum lookup status = authz_begin(authz, &meta);
	struct pair pair;
	enum err err = ERR_OK;

	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	cursor.db = authz_db_of(meta.current);
	if (status == LOOKUP_FOUND)
		while (err == ERR_OK && (status = row_cursor_next(&cursor, &pair)) == LOOKUP_FOUND)
			err = rewrite_until(r, &pair);
	if (status == LOOKUP_FAILED)
		err = ERR_DAMAGED;
	if (err == ERR_OK)
		err = rewrite_until(r, NULL);
	authz_end(authz);
	return err;
}

static enum err merge_by_rewrite(struct authz *authz, const struct authz_merge *merge,
	struct authz_delta *delta, char error[AUTHZ_ERROR_MAX])
{
	struct rewrite r = {.authz = authz, .merge = merge, .delta = delta};
	enum err err = pairs_new(&r.out);

	authz_report(authz->error, ERR_OK, "out of memory");
	if (err == ERR_OK)
		err = rewrite_all(&r);
	if (err == ERR_OK)
		err = pairs_sort(r.out);
	if (err != ERR_OK)
		authz_report(error, err, authz->error);
	else if (has_changed(delta))
		err = authz_replace(authz, r.out, merge->now, NULL, error);
	pairs_free(r.out);
	return err;
}

enum err authz_merge(struct authz *authz, const struct authz_merge *merge,
	struct authz_delta *delta, char error[AUTHZ_ERROR_MAX])
{
	struct authz_meta meta;
	enum err err = authz_read_meta(authz, &meta);

	memset(delta, 0, sizeof(*delta));
	if (err == ERR_OK && merge->is_dry_run)
		err = count_only(authz, merge, delta);
	else if (err == ERR_OK && (!meta.is_loaded || pairs_count(merge->pairs) > AUTHZ_MERGE_MAX))
		return merge_by_rewrite(authz, merge, delta, error);
	else if (err == ERR_OK)
		err = merge_in_place(authz, merge, delta);
	return err == ERR_OK ? ERR_OK : authz_report(error, err, authz->error);
}

/* Takes the last list of changes back; the list of that takes its place. */
static enum err roll_back_list(struct authz *authz, int64_t now, struct authz_delta *delta)
{
	struct pairs *removes = NULL, *puts = NULL;
	struct authz_meta meta;
	struct edit edit = {.authz = authz, .meta = &meta, .delta = delta};
	enum err err = authz_fail_store(authz, store_write_begin(authz->store));

	if (err != ERR_OK)
		return err;
	if (authz_meta_read(authz, &meta) != LOOKUP_FOUND)
		err = ERR_DAMAGED;
	if (err == ERR_OK && (pairs_new(&removes) != ERR_OK || pairs_new(&puts) != ERR_OK))
		err = authz_report(authz->error, ERR_NOMEM, "out of memory");
	if (err == ERR_OK)
		err = edit_read_undo(authz, meta.undo_entries, removes, puts);
	if (err == ERR_OK)
		err = edit_begin(&edit);
	if (err == ERR_OK)
		err = edit_apply(&edit, removes, true);
	if (err == ERR_OK)
		err = edit_apply(&edit, puts, false);
	if (err == ERR_OK)
		err = edit_finish(&edit, now);
	if (err == ERR_OK)
		err = authz_fail_store(authz, store_write_commit(authz->store));
	store_write_abort(authz->store);
	edit_deinit(&edit);
	pairs_free(removes);
	pairs_free(puts);
	return err;
}

static enum err count_rollback(struct authz *authz, unsigned target, struct authz_delta *delta)
{
	struct authz_meta meta;
	enum lookup status = authz_begin(authz, &meta);

	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	status = authz_diff_generations(authz, target ^ 1, target, delta);
	authz_end(authz);
	/* The table in force may be what is damaged: that must not keep anybody from leaving it. */
	if (status == LOOKUP_FAILED)
		memset(delta, 0, sizeof(*delta));
	return ERR_OK;
}

static enum err flip_back(struct authz *authz, struct authz_meta *meta, unsigned target)
{
	enum err err = authz_fail_store(authz, store_write_begin(authz->store));

	if (err != ERR_OK)
		return err;
	meta->current = target;
	meta->sequence++;
	err = authz_meta_write(authz, meta);
	if (err == ERR_OK)
		err = authz_fail_store(authz, store_write_commit(authz->store));
	store_write_abort(authz->store);
	return err;
}

static enum err roll_back_generation(
	struct authz *authz, struct authz_meta *meta, struct authz_delta *delta)
{
	unsigned target = meta->current ^ 1;
	enum err err =
		authz_verify_in_child(authz->state_dir, authz->map_mb, (int)target, authz->error);

	if (err == ERR_OK)
		err = count_rollback(authz, target, delta);
	return err == ERR_OK ? flip_back(authz, meta, target) : err;
}

enum err authz_rollback(
	struct authz *authz, int64_t now, struct authz_delta *delta, char error[AUTHZ_ERROR_MAX])
{
	struct authz_meta meta;
	enum err err = authz_read_meta(authz, &meta);

	memset(delta, 0, sizeof(*delta));
	if (err != ERR_OK)
		return authz_report(error, err, authz->error);
	switch (meta.undo) {
	case UNDO_LIST:
		err = roll_back_list(authz, now, delta);
		break;
	case UNDO_GENERATION:
		if (meta.generation[meta.current ^ 1].state == GENERATION_COMPLETE) {
			err = roll_back_generation(authz, &meta, delta);
			break;
		}
		/* fall through */
	case UNDO_NONE:
		return authz_report(error, ERR_ABSENT, "there is no table before this one");
	}
	return err == ERR_OK ? ERR_OK : authz_report(error, err, authz->error);
}

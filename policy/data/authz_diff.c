/*
 * What one table has that another has not: the table in force beside a set of pairs, or beside the
 * other generation.
 *
 * Both sides come in key order, so one pass compares them. Knows no bytes.
 */
#include "policy/data/authz_load.h"
#include "policy/data/authz_private.h"

struct diff {
	struct authz_delta *delta;
	void (*visit)(void *ctx, char sign, const struct pair *pair);
	void *ctx;
};

static void tell(const struct diff *diff, char sign, const struct pair *pair)
{
	if (diff->visit)
		diff->visit(diff->ctx, sign, pair);
}

static void count_removed(const struct diff *diff, const struct pair *pair)
{
	diff->delta->removed++;
	tell(diff, '-', pair);
}

static void count_added(const struct diff *diff, const struct pair *pair)
{
	diff->delta->added++;
	tell(diff, '+', pair);
}

bool authz_same_remarks(const struct row_entry *a, const struct row_entry *b)
{
	return a->expires.until == b->expires.until && a->expires.is_date == b->expires.is_date &&
	       text_equal(a->comment, b->comment);
}

static void count_both(const struct diff *diff, const struct pair *from, const struct pair *to)
{
	if (authz_same_remarks(&from->entry, &to->entry)) {
		diff->delta->kept++;
	} else {
		diff->delta->updated++;
		tell(diff, '~', to);
	}
}

static enum lookup diff_pairs(
	struct row_cursor *cursor, const struct pairs *pairs, const struct diff *diff)
{
	struct pair from, to;
	size_t at = 0;
	enum lookup status;

	while ((status = row_cursor_next(cursor, &from)) == LOOKUP_FOUND) {
		int order = -1;

		for (; at < pairs_count(pairs); at++) {
			pairs_at(pairs, at, &to);
			order = pair_compare(&from, &to);
			if (order <= 0)
				break;
			count_added(diff, &to);
		}
		if (at < pairs_count(pairs) && order == 0) {
			count_both(diff, &from, &to);
			at++;
		} else {
			count_removed(diff, &from);
		}
	}
	for (; status == LOOKUP_ABSENT && at < pairs_count(pairs); at++) {
		pairs_at(pairs, at, &to);
		count_added(diff, &to);
	}
	return status;
}

/* Without a table there is nothing to walk: all is added. */
static void add_all(const struct pairs *pairs, const struct diff *diff)
{
	struct pair pair;

	for (size_t at = 0; at < pairs_count(pairs); at++) {
		pairs_at(pairs, at, &pair);
		count_added(diff, &pair);
	}
}

enum err authz_diff(struct authz *authz, const struct pairs *pairs, struct authz_delta *delta,
	void (*visit)(void *ctx, char sign, const struct pair *pair), void *ctx)
{
	struct diff diff = {delta, visit, ctx};
	struct row_cursor cursor = {.authz = authz};
	struct authz_meta meta;
	enum lookup status = authz ? authz_begin(authz, &meta) : LOOKUP_ABSENT;

	memset(delta, 0, sizeof(*delta));
	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	if (status == LOOKUP_ABSENT) {
		add_all(pairs, &diff);
	} else {
		cursor.db = authz_db_of(meta.current);
		status = diff_pairs(&cursor, pairs, &diff);
	}
	if (authz)
		authz_end(authz);
	return status == LOOKUP_FAILED ? ERR_DAMAGED : ERR_OK;
}

enum lookup authz_diff_generations(
	struct authz *authz, unsigned from, unsigned to, struct authz_delta *delta)
{
	struct diff diff = {.delta = delta};
	struct row_cursor cursors[2] = {
		{.authz = authz, .db = authz_db_of(from)}, {.authz = authz, .db = authz_db_of(to)}};
	struct pair pairs[2];
	enum lookup status[2];

	for (size_t i = 0; i < 2; i++)
		status[i] = row_cursor_next(&cursors[i], &pairs[i]);
	while (status[0] != LOOKUP_FAILED && status[1] != LOOKUP_FAILED &&
		(status[0] == LOOKUP_FOUND || status[1] == LOOKUP_FOUND)) {
		int order = status[0] != LOOKUP_FOUND   ? 1
			    : status[1] != LOOKUP_FOUND ? -1
							: pair_compare(&pairs[0], &pairs[1]);

		if (order < 0)
			count_removed(&diff, &pairs[0]);
		else if (order > 0)
			count_added(&diff, &pairs[1]);
		else
			count_both(&diff, &pairs[0], &pairs[1]);
		if (order <= 0)
			status[0] = row_cursor_next(&cursors[0], &pairs[0]);
		if (order >= 0)
			status[1] = row_cursor_next(&cursors[1], &pairs[1]);
	}
	return status[0] == LOOKUP_FAILED || status[1] == LOOKUP_FAILED ? LOOKUP_FAILED
									: LOOKUP_FOUND;
}

/*
 * `policyctl load`: a file becomes the table, or is merged into it, or taken out of it.
 *
 * Everything is validated before the lock is taken and compared before anything is written. A
 * refusal changes nothing.
 */
#include "policyctl/note.h"
#include "policyctl/reading.h"
#include "policyctl/table.h"
#include "policyctl/totals.h"

#define SHRINK_RULE "say --force if that is meant"

struct load {
	const struct ctl *ctl;
	struct reading reading;
	struct authz_lock *lock;
	struct authz *authz;
	enum table_state state;
	struct totals before;
	struct authz_delta delta;
	struct progress progress;
	uint64_t missing;
	bool is_unchanged; /* nothing had to be written */
	char error[AUTHZ_ERROR_MAX];
};

static void on_tick(void *ctx, uint64_t done, uint64_t of)
{
	progress_tick(ctx, done, of);
}

static void on_missing(void *ctx, const struct pair *pair)
{
	struct load *load = ctx;
	char pattern[OUTPUT_SHORT], owner[OUTPUT_SHORT];

	if (++load->missing <= READING_SHOWN_MAX)
		fprintf(stderr, "%s:%u: warning: \"%s\" with owner \"%s\": not in the table\n",
			load->ctl->input_name, (unsigned)pair->line,
			output_escape(pair->entry.pattern, pattern, sizeof(pattern)),
			output_escape(pair->entry.owner, owner, sizeof(owner)));
	else if (load->missing == READING_SHOWN_MAX + 1)
		complain("%s: more rows are not in the table", load->ctl->input_name);
}

static enum ctl_exit failed(struct load *load)
{
	progress_clear(&load->progress);
	complain("%s", load->error);
	return CTL_UNKNOWN;
}

/* A dry run looks, and neither locks nor makes anything. */
static enum ctl_exit table_get(struct load *load)
{
	const struct config *config = load->ctl->config;
	bool is_dry = ctl_has(load->ctl, FLAG_DRY_RUN);

	if (!is_dry && authz_lock_take(&load->lock, config->state_dir, "policyctl load",
			       load->error) != ERR_OK)
		return failed(load);
	load->state = table_open(config, !is_dry, &load->authz, load->error);
	switch (load->state) {
	case TABLE_UNREADABLE:
		return failed(load);
	case TABLE_BROKEN:
		complain("%s", load->error);
		if (!load->authz && !is_dry)
			return CTL_UNKNOWN;
		return CTL_YES;
	case TABLE_READY:
	case TABLE_EMPTY:
		break;
	}
	return !load->authz || totals_read(load->authz, &load->before) ? CTL_YES : CTL_UNKNOWN;
}

/* A load that would take most of the table away is most often a mistake made before it. */
static bool refuses_loss(const struct load *load)
{
	uint64_t rows = load->before.rows;
	uint64_t after = rows + load->delta.added - load->delta.removed;

	if (ctl_has(load->ctl, FLAG_FORCE))
		return false;
	if (after == 0 && (load->state == TABLE_EMPTY || !ctl_has(load->ctl, FLAG_MERGE))) {
		complain("refused: the table would be empty and nobody could send; " SHRINK_RULE);
		return true;
	}
	if (after * 2 < rows) {
		complain("refused: the table would shrink from %llu rows to %llu; " SHRINK_RULE,
			(unsigned long long)rows, (unsigned long long)after);
		return true;
	}
	return false;
}

static enum ctl_exit replace(struct load *load)
{
	const struct pairs *pairs = load->reading.pairs;
	const struct authz_progress progress = {on_tick, &load->progress};

	load->delta = (struct authz_delta){.added = pairs_count(pairs)};
	if (load->state == TABLE_BROKEN && !ctl_has(load->ctl, FLAG_FORCE)) {
		complain("refused: the table in force cannot be compared with; say --force to "
			 "replace it (a file that is cut short has to be moved away first)");
		return CTL_NO;
	}
	if (load->state == TABLE_READY &&
		authz_diff(load->authz, pairs, &load->delta, NULL, NULL) != ERR_OK) {
		complain("%s", authz_error(load->authz));
		return CTL_UNKNOWN;
	}
	if (refuses_loss(load))
		return CTL_NO;
	load->is_unchanged = load->state == TABLE_READY && !ctl_has(load->ctl, FLAG_FORCE) &&
			     load->delta.added + load->delta.removed + load->delta.updated == 0;
	if (ctl_has(load->ctl, FLAG_DRY_RUN) || load->is_unchanged)
		return CTL_YES;
	progress_init(&load->progress, "writing");
	if (authz_replace(load->authz, pairs, load->ctl->now, &progress, load->error) != ERR_OK)
		return failed(load);
	progress_clear(&load->progress);
	return CTL_YES;
}

/* Counted first, because a delete may be refused. */
static enum ctl_exit merge(struct load *load)
{
	struct authz_merge merge = {
		.pairs = load->reading.pairs,
		.is_delete = ctl_has(load->ctl, FLAG_DELETE),
		.is_dry_run = true,
		.now = load->ctl->now,
		.missing = on_missing,
		.ctx = load,
	};

	if (load->state == TABLE_BROKEN)
		return CTL_UNKNOWN;
	if (load->state == TABLE_EMPTY && merge.is_delete) {
		complain("no table was ever loaded, so there is nothing to delete");
		return CTL_NO;
	}
	if (load->state == TABLE_EMPTY)
		return replace(load);
	if (authz_merge(load->authz, &merge, &load->delta, load->error) != ERR_OK)
		return failed(load);
	if (merge.is_delete && load->delta.removed > 0 && refuses_loss(load))
		return CTL_NO;
	load->is_unchanged = load->delta.added + load->delta.removed + load->delta.updated == 0;
	if (ctl_has(load->ctl, FLAG_DRY_RUN) || load->is_unchanged)
		return CTL_YES;
	merge.is_dry_run = false;
	merge.missing = NULL;
	if (authz_merge(load->authz, &merge, &load->delta, load->error) != ERR_OK)
		return failed(load);
	return CTL_YES;
}

static struct totals totals_after(const struct load *load)
{
	struct totals totals = load->before;

	if (load->authz && !ctl_has(load->ctl, FLAG_DRY_RUN) && !totals_read(load->authz, &totals))
		return load->before;
	return totals;
}

static void print_text(const struct load *load)
{
	struct totals totals = totals_after(load);

	totals_print_delta(&load->delta);
	if (ctl_has(load->ctl, FLAG_DRY_RUN))
		puts("dry run: nothing was changed");
	else if (load->is_unchanged)
		puts("the table says exactly this already: nothing was written");
	if (!ctl_has(load->ctl, FLAG_DRY_RUN))
		totals_print(&totals);
}

static void print_json(struct load *load, enum ctl_exit done)
{
	struct json json = {.out = stdout};
	struct totals totals = totals_after(load);

	json_open(&json, NULL, '{');
	json_bool(&json, "done", done == CTL_YES && !ctl_has(load->ctl, FLAG_DRY_RUN));
	json_bool(&json, "dry_run", ctl_has(load->ctl, FLAG_DRY_RUN));
	totals_write_delta(&json, &load->delta);
	totals_write(&json, &totals);
	json_number(&json, "missing", load->missing);
	json_number(&json, "errors", load->reading.totals.errors);
	json_number(&json, "warnings", load->reading.totals.warnings);
	reading_write_json(&load->reading, &json);
	json_close(&json, '}', true);
}

/* The audit line of what was written. */
static void note(const struct load *load)
{
	const struct totals totals = totals_after(load);
	const char *action = "load";

	if (ctl_has(load->ctl, FLAG_DRY_RUN) || load->is_unchanged)
		return;
	if (ctl_has(load->ctl, FLAG_MERGE))
		action = "load --merge";
	else if (ctl_has(load->ctl, FLAG_DELETE))
		action = "load --delete";
	note_table(load->ctl, action, &load->delta, totals.rows, load->ctl->input_name);
}

static enum ctl_exit load_run(struct load *load)
{
	enum ctl_exit done = table_get(load);

	if (done == CTL_YES && (load->ctl->args.flags & (FLAG_MERGE | FLAG_DELETE)))
		done = merge(load);
	else if (done == CTL_YES)
		done = replace(load);
	if (done == CTL_YES)
		note(load);
	return done;
}

static enum ctl_exit load_table(struct ctl *ctl)
{
	struct load load = {.ctl = ctl};
	enum ctl_exit done = reading_run(&load.reading, ctl);

	if (done == CTL_YES)
		done = load_run(&load);
	if (ctl_has(ctl, FLAG_JSON))
		print_json(&load, done);
	else if (done == CTL_YES)
		print_text(&load);
	table_close(load.authz);
	if (load.lock)
		authz_lock_release(load.lock);
	reading_free(&load.reading);
	return done;
}

enum ctl_exit cmd_load(struct ctl *ctl)
{
	bool is_list = (ctl->args.flags & (FLAG_TENANTS | FLAG_ACCOUNTS)) != 0;

	return is_list ? cmd_load_lines(ctl) : load_table(ctl);
}

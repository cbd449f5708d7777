/*
 * `policyctl load --tenants FILE` and `load --accounts FILE`: the two lists of the register.
 *
 * Everything is validated and counted before anything is written. A refusal changes nothing.
 */
#include <stdlib.h>

#include "policyctl/lines.h"
#include "policyctl/registry_open.h"
#include "policyctl/totals.h"

#define SHRINK_RULE "say --force if that is meant"

struct load_lines {
	const struct ctl *ctl;
	struct registry_lines change;
	struct registry_delta delta;
	struct lines lines;
};

static const char *list_name(const struct load_lines *load)
{
	return load->change.list == REGISTRY_TENANTS ? "tenants" : "accounts";
}

static uint64_t count_after(const struct load_lines *load)
{
	return load->delta.before + load->delta.added - load->delta.removed;
}

/* Where there is no register yet, every line is new. */
static enum ctl_exit count(struct load_lines *load)
{
	struct registry *registry;
	enum ctl_exit done = CTL_YES;
	struct registry_lines look = load->change;

	look.is_dry_run = true;
	switch (registry_open_to_read(load->ctl, &registry)) {
	case LOOKUP_FOUND:
		registry_end(registry);
		if (registry_load_lines(registry, &look, &load->delta) != ERR_OK) {
			complain("%s", registry_error(registry));
			done = CTL_UNKNOWN;
		}
		registry_close(registry);
		return done;
	case LOOKUP_ABSENT:
		if (look.how == REGISTRY_DELETE)
			load->delta.missing = look.count;
		else
			load->delta.added = look.count;
		return CTL_YES;
	case LOOKUP_FAILED:
		break;
	}
	return CTL_UNKNOWN;
}

/* A load that would take most of a list away is most often a mistake made before it. */
static bool refuses_loss(const struct load_lines *load)
{
	uint64_t before = load->delta.before, after = count_after(load);

	if (ctl_has(load->ctl, FLAG_FORCE) || load->change.how == REGISTRY_MERGE)
		return false;
	if (after == 0 && (before > 0 || load->change.how == REGISTRY_REPLACE)) {
		complain("refused: the list of %s would be empty: %s; " SHRINK_RULE,
			list_name(load),
			load->change.list == REGISTRY_TENANTS
				? "only logins of hosted domains would have a tenant"
				: "`domain allow` would take any login");
		return true;
	}
	if (after * 2 < before) {
		complain("refused: the list of %s would shrink from %llu line%s to "
			 "%llu; " SHRINK_RULE,
			list_name(load), (unsigned long long)before, plural(before),
			(unsigned long long)after);
		return true;
	}
	return false;
}

static enum ctl_exit write(struct load_lines *load)
{
	struct registry *registry = registry_open_to_write(load->ctl);
	enum ctl_exit done = CTL_YES;

	if (!registry)
		return CTL_UNKNOWN;
	if (registry_load_lines(registry, &load->change, &load->delta) != ERR_OK) {
		complain("%s", registry_error(registry));
		done = CTL_UNKNOWN;
	}
	registry_close_written(load->ctl, registry);
	return done;
}

static enum ctl_exit run(struct load_lines *load)
{
	enum ctl_exit done = count(load);

	if (done != CTL_YES)
		return done;
	if (refuses_loss(load))
		return CTL_NO;
	return ctl_has(load->ctl, FLAG_DRY_RUN) ? CTL_YES : write(load);
}

static void print_text(const struct load_lines *load)
{
	const struct registry_delta *delta = &load->delta;
	uint64_t after = count_after(load);

	printf("%llu line%s added, %llu removed, %llu changed, %llu kept\n",
		(unsigned long long)delta->added, plural(delta->added),
		(unsigned long long)delta->removed, (unsigned long long)delta->changed,
		(unsigned long long)delta->kept);
	if (delta->missing > 0)
		printf("%llu line%s of FILE were not in the list\n",
			(unsigned long long)delta->missing, plural(delta->missing));
	if (ctl_has(load->ctl, FLAG_DRY_RUN))
		puts("dry run: nothing was changed");
	else
		printf("the list of %s holds %llu line%s\n", list_name(load),
			(unsigned long long)after, plural(after));
}

static void print_json(const struct load_lines *load, enum ctl_exit done)
{
	const struct lines *lines = &load->lines;
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "list", list_name(load));
	json_bool(&json, "done", done == CTL_YES && !ctl_has(load->ctl, FLAG_DRY_RUN));
	json_bool(&json, "dry_run", ctl_has(load->ctl, FLAG_DRY_RUN));
	json_number(&json, "added", load->delta.added);
	json_number(&json, "removed", load->delta.removed);
	json_number(&json, "changed", load->delta.changed);
	json_number(&json, "kept", load->delta.kept);
	json_number(&json, "missing", load->delta.missing);
	json_number(&json, "lines", count_after(load));
	json_number(&json, "errors", lines->fault_count);
	json_open(&json, "findings", '[');
	for (size_t i = 0; i < lines->fault_count && i < LINES_SHOWN_MAX; i++) {
		json_open(&json, NULL, '{');
		json_number(&json, "line", lines->faults[i].line);
		json_string(&json, "kind", "error");
		json_text(&json, "value", lines->faults[i].value);
		json_text(&json, "reason", lines->faults[i].reason);
		json_close(&json, '}', false);
	}
	json_close(&json, ']', false);
	json_close(&json, '}', true);
}

static enum registry_load how_of(const struct ctl *ctl)
{
	if (ctl_has(ctl, FLAG_MERGE))
		return REGISTRY_MERGE;
	return ctl_has(ctl, FLAG_DELETE) ? REGISTRY_DELETE : REGISTRY_REPLACE;
}

enum ctl_exit cmd_load_lines(struct ctl *ctl)
{
	struct load_lines load = {
		.ctl = ctl,
		.change = {.list = ctl_has(ctl, FLAG_TENANTS) ? REGISTRY_TENANTS
							      : REGISTRY_ACCOUNTS,
			.how = how_of(ctl),
			.actor = ctl->actor,
			.now = ctl->now},
	};
	enum ctl_exit done = lines_read(&load.lines, ctl, load.change.list);

	load.change.lines = load.lines.lines;
	load.change.count = load.lines.count;
	if (done == CTL_YES)
		done = run(&load);
	if (ctl_has(ctl, FLAG_JSON))
		print_json(&load, done);
	else if (done == CTL_YES)
		print_text(&load);
	lines_free(&load.lines);
	return done;
}

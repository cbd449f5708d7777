/*
 * `policyctl audit`: the last audit lines, the newest last.
 */
#include <stdlib.h>

#include "policyctl/arena.h"
#include "policyctl/moment.h"
#include "policyctl/output.h"
#include "policyctl/registry_open.h"

enum { AUDIT_SHOWN = 20, AUDIT_COLUMNS = 7, CHANGE_MAX = 512 };

struct audit {
	size_t wanted;
	struct audit_entry *entries; /* newest first; texts in the arena */
	size_t count, cap;
	struct arena arena;
	bool failed; /* out of memory */
};

static bool keep_text(struct audit *audit, struct text *text)
{
	*text = arena_copy(&audit->arena, *text);
	return text->ptr != NULL;
}

static bool on_entry(void *ctx, const struct audit_entry *entry)
{
	struct audit *audit = ctx;
	struct audit_entry kept = *entry;

	audit->failed =
		!keep_text(audit, &kept.actor) || !keep_text(audit, &kept.action) ||
		!keep_text(audit, &kept.domain) || !keep_text(audit, &kept.tenant) ||
		!keep_text(audit, &kept.before) || !keep_text(audit, &kept.after) ||
		!keep_text(audit, &kept.detail) ||
		!array_reserve((void **)&audit->entries, audit->count, &audit->cap, sizeof(kept));
	if (audit->failed)
		return false;
	audit->entries[audit->count++] = kept;
	return audit->count < audit->wanted;
}

static struct text change_of(const struct audit_entry *entry, char out[CHANGE_MAX])
{
	bool has_both = entry->before.len > 0 && entry->after.len > 0;

	snprintf(out, CHANGE_MAX, "%.*s%s%.*s", TEXT_ARG(entry->before), has_both ? " -> " : "",
		TEXT_ARG(entry->after));
	return text_of(out);
}

static void write_json(const struct audit *audit)
{
	for (size_t i = audit->count; i > 0; i--) {
		const struct audit_entry *entry = &audit->entries[i - 1];
		struct json json = {.out = stdout};
		char at[MOMENT_MAX];

		json_open(&json, NULL, '{');
		json_number(&json, "number", entry->number);
		json_string(&json, "at", moment_format(entry->at, at));
		if (entry->uid == AUDIT_UID_POLICYD)
			json_string(&json, "uid", NULL);
		else
			json_number(&json, "uid", entry->uid);
		json_text(&json, "who", entry->actor);
		json_text(&json, "what", entry->action);
		json_text(&json, "domain", entry->domain);
		json_text(&json, "tenant", entry->tenant);
		json_text(&json, "before", entry->before);
		json_text(&json, "after", entry->after);
		json_text(&json, "detail", entry->detail);
		json_close(&json, '}', true);
	}
}

static bool print_text(const struct audit *audit)
{
	struct grid *grid;
	bool fits = grid_new(&grid, AUDIT_COLUMNS) == ERR_OK;

	for (size_t i = audit->count; fits && i > 0; i--) {
		const struct audit_entry *entry = &audit->entries[i - 1];
		char at[MOMENT_MAX], change[CHANGE_MAX];

		fits = grid_add(grid,
			       (struct text[]){text_of(moment_format(entry->at, at)), entry->actor,
				       entry->action, entry->domain, entry->tenant,
				       change_of(entry, change), entry->detail}) == ERR_OK;
	}
	if (fits)
		grid_print(grid, "", stdout);
	if (audit->count == 0)
		puts("nothing was changed yet");
	grid_free(grid);
	return fits;
}

static enum ctl_exit print(const struct ctl *ctl, struct audit *audit)
{
	if (ctl_has(ctl, FLAG_JSON))
		write_json(audit);
	else
		audit->failed = audit->failed || !print_text(audit);
	if (audit->failed)
		complain("out of memory");
	return audit->failed ? CTL_UNKNOWN : CTL_YES;
}

enum ctl_exit cmd_audit(struct ctl *ctl)
{
	struct audit audit = {.wanted = ctl->args.limit ? ctl->args.limit : AUDIT_SHOWN};
	struct registry *registry;
	enum lookup found = registry_open_to_read(ctl, &registry);
	enum ctl_exit done;

	if (found == LOOKUP_FOUND) {
		found = registry_scan_audit(registry, 0, true, on_entry, &audit);
		if (found == LOOKUP_FAILED)
			complain("%s", registry_error(registry));
	}
	/* Before anything is printed: whoever is slow to read it must not hold old pages. */
	registry_close_read(registry);
	done = found == LOOKUP_FAILED ? CTL_UNKNOWN : print(ctl, &audit);
	free(audit.entries);
	arena_drop(&audit.arena);
	return done;
}

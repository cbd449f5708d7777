/*
 * Audit lines, see note.h. Must not know what was done.
 */
#include "policyctl/note.h"

#include <inttypes.h>

#include "policyctl/registry_open.h"

enum { COUNT_MAX = 32, DETAIL_MAX = 512 };

void note_done(const struct ctl *ctl, struct audit_entry entry)
{
	struct registry *registry = registry_open_to_write(ctl);
	bool is_written;

	entry.at = ctl->now;
	entry.uid = ctl->actor.uid;
	entry.actor = ctl->actor.name;
	is_written = registry && registry_note(registry, &entry) == ERR_OK;
	if (registry && !is_written)
		complain("%s", registry_error(registry));
	if (!is_written)
		complain("warning: this was done, but `policyctl audit` will not show it");
	registry_close_written(ctl, registry);
}

void note_table(const struct ctl *ctl, const char *action, const struct authz_delta *delta,
	uint64_t rows, const char *from)
{
	uint64_t rows_before = rows + delta->removed - delta->added;
	char before[COUNT_MAX], after[COUNT_MAX], detail[DETAIL_MAX];

	snprintf(before, sizeof(before), "%" PRIu64 " row%s", rows_before, plural(rows_before));
	snprintf(after, sizeof(after), "%" PRIu64 " row%s", rows, plural(rows));
	snprintf(detail, sizeof(detail),
		"%" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " updated%s%s", delta->added,
		delta->removed, delta->updated, from ? ", from " : "", from ? from : "");
	note_done(ctl, (struct audit_entry){
			       .action = text_of(action),
			       .before = text_of(before),
			       .after = text_of(after),
			       .detail = text_of(detail),
		       });
}

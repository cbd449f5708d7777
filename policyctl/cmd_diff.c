/*
 * `policyctl diff`: what a load of this file would change, row by row. Changes nothing and takes no
 * lock.
 */
#include "policyctl/import/import_write.h"
#include "policyctl/reading.h"
#include "policyctl/table.h"
#include "policyctl/totals.h"

struct diff {
	bool is_json;
};

static void on_difference(void *ctx, char sign, const struct pair *pair)
{
	const struct diff *diff = ctx;

	if (!diff->is_json) {
		printf("%c ", sign);
		import_write_csv(stdout, &pair->entry);
		return;
	}
	printf("{\"change\":\"%c\",", sign);
	import_write_members(stdout, &pair->entry);
	puts("}");
}

static enum ctl_exit compare(
	const struct ctl *ctl, const struct pairs *pairs, struct authz_delta *delta)
{
	struct diff diff = {ctl_has(ctl, FLAG_JSON)};
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;
	enum table_state state = table_open(ctl->config, false, &authz, error);
	enum ctl_exit done = CTL_YES;

	switch (state) {
	case TABLE_READY:
		if (authz_diff(authz, pairs, delta, on_difference, &diff) == ERR_OK)
			break;
		complain("%s", authz_error(authz));
		done = CTL_UNKNOWN;
		break;
	case TABLE_EMPTY:
		delta->added = pairs_count(pairs);
		for (size_t i = 0; i < pairs_count(pairs); i++) {
			struct pair pair;

			pairs_at(pairs, i, &pair);
			on_difference(&diff, '+', &pair);
		}
		break;
	case TABLE_BROKEN:
	case TABLE_UNREADABLE:
		complain("%s", error);
		done = CTL_UNKNOWN;
		break;
	}
	table_close(authz);
	return done;
}

enum ctl_exit cmd_diff(struct ctl *ctl)
{
	struct reading reading;
	struct authz_delta delta = {0};
	struct json json = {.out = stdout};
	enum ctl_exit done = reading_run(&reading, ctl);

	/* Exit 1 means "different"; a file that cannot be compared is another matter. */
	if (done == CTL_NO)
		done = CTL_UNKNOWN;
	if (done == CTL_YES)
		done = compare(ctl, reading.pairs, &delta);
	reading_free(&reading);
	if (done != CTL_YES)
		return done;
	if (ctl_has(ctl, FLAG_JSON)) {
		json_open(&json, NULL, '{');
		totals_write_delta(&json, &delta);
		json_close(&json, '}', true);
	} else {
		totals_print_delta(&delta);
	}
	return delta.added + delta.removed + delta.updated > 0 ? CTL_NO : CTL_YES;
}

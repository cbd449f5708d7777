/*
 * `policyctl rollback`: back to the table before the last load; once more goes forward again.
 */
#include "policyctl/command.h"
#include "policyctl/note.h"
#include "policyctl/table.h"
#include "policyctl/totals.h"

static void print(
	const struct ctl *ctl, const struct authz_delta *delta, const struct totals *totals)
{
	struct json json = {.out = stdout};

	if (!ctl_has(ctl, FLAG_JSON)) {
		totals_print_delta(delta);
		printf("the table holds %llu row%s again; `policyctl rollback` once more undoes "
		       "this\n",
			(unsigned long long)totals->rows, plural(totals->rows));
		return;
	}
	json_open(&json, NULL, '{');
	totals_write_delta(&json, delta);
	totals_write(&json, totals);
	json_close(&json, '}', true);
}

static enum ctl_exit roll_back(const struct ctl *ctl, struct authz *authz)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz_delta delta = {0};
	struct totals totals;
	enum err err = authz_rollback(authz, ctl->now, &delta, error);

	if (err != ERR_OK) {
		complain("%s", error[0] ? error : "there is no earlier table to go back to");
		return err == ERR_ABSENT ? CTL_NO : CTL_UNKNOWN;
	}
	if (!totals_read(authz, &totals))
		return CTL_UNKNOWN;
	note_table(ctl, "rollback", &delta, totals.rows, NULL);
	print(ctl, &delta, &totals);
	return CTL_YES;
}

enum ctl_exit cmd_rollback(struct ctl *ctl)
{
	char error[AUTHZ_ERROR_MAX];
	struct authz_lock *lock = NULL;
	struct authz *authz = NULL;
	enum ctl_exit done = CTL_UNKNOWN;

	if (authz_lock_take(&lock, ctl->config->state_dir, "policyctl rollback", error) != ERR_OK) {
		complain("%s", error);
		return CTL_UNKNOWN;
	}
	switch (table_open(ctl->config, true, &authz, error)) {
	case TABLE_BROKEN: /* going back is one of its cures */
		complain("%s", error);
		if (!authz)
			break;
		done = roll_back(ctl, authz);
		break;
	case TABLE_READY:
		done = roll_back(ctl, authz);
		break;
	case TABLE_EMPTY:
		complain("no table was ever loaded, so there is nothing to go back to");
		done = CTL_NO;
		break;
	case TABLE_UNREADABLE:
		complain("%s", error);
		break;
	}
	table_close(authz);
	authz_lock_release(lock);
	return done;
}

/*
 * `policyctl status`: what table is in force, how full its file is, who is writing; how the register
 * and the daemon stand.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "policyctl/command.h"
#include "policyctl/moment.h"
#include "policyctl/standing.h"
#include "policyctl/table.h"
#include "policyctl/totals.h"

enum { MAP_WARNING_PERCENT = 80, PATH_SIZE = 4096 };

struct status {
	const struct ctl *ctl;
	bool is_loaded;
	struct authz_meta meta;
	uint64_t used_bytes, map_bytes;
	unsigned reader_slots;
	bool is_locked;
	char holder[OUTPUT_SHORT]; /* escaped */
	struct standing standing;
};

/* Asked from the kernel's list, because trying the lock could turn a load away. One such line:
 * "3: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF" */
static bool is_locked(const char *path)
{
	FILE *locks = fopen("/proc/locks", "re");
	struct stat file;
	char line[256];
	bool found = false;

	if (locks && stat(path, &file) == 0) {
		while (!found && fgets(line, sizeof(line), locks)) {
			const char *colon = strrchr(line, ':');

			found = strstr(line, " FLOCK ") && colon &&
				strtoull(colon + 1, NULL, 10) == (unsigned long long)file.st_ino;
		}
	}
	if (locks)
		fclose(locks);
	return found;
}

static void lock_read(struct status *status)
{
	char path[PATH_SIZE], line[OUTPUT_SHORT] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/table.lock", status->ctl->config->state_dir);
	status->is_locked = is_locked(path);
	if (!status->is_locked)
		return;
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file))
		line[strcspn(line, "\n")] = '\0';
	if (file)
		fclose(file);
	output_escape(text_of(line), status->holder, sizeof(status->holder));
}

static const struct generation *earlier(const struct status *status)
{
	const struct generation *other = &status->meta.generation[1 - status->meta.current];

	return status->meta.undo == UNDO_GENERATION && other->state == GENERATION_COMPLETE ? other
											   : NULL;
}

static unsigned map_percent(const struct status *status)
{
	if (status->map_bytes == 0)
		return 0;
	return (unsigned)((double)status->used_bytes / (double)status->map_bytes * 100);
}

static void print_rollback(const struct status *status)
{
	const struct generation *before = earlier(status);
	char at[MOMENT_MAX];

	if (before)
		printf("rollback   possible, to %" PRIu64 " row%s loaded %s\n", before->pairs,
			plural(before->pairs), moment_format(before->loaded_at, at));
	else if (status->meta.undo == UNDO_LIST)
		puts("rollback   possible, takes back the last merge");
	else
		puts("rollback   not possible: there is no earlier table");
}

static void print_text(const struct status *status)
{
	const struct generation *now = &status->meta.generation[status->meta.current];
	struct totals totals = totals_of(now);
	char at[MOMENT_MAX];

	printf("table      %s/table\n", status->ctl->config->state_dir);
	if (status->is_loaded) {
		printf("rows       %" PRIu64 "\n", totals.rows);
		printf("senders    %" PRIu64 " in %" PRIu64 " domain%s\n", totals.patterns,
			totals.domains, plural(totals.domains));
		printf("digest     %016" PRIx64 "\n", now->digest);
		printf("loaded     %s\n", moment_format(now->loaded_at, at));
		print_rollback(status);
	} else {
		puts("rows       no table was ever loaded: every login is deferred");
	}
	printf("file       %" PRIu64 " MiB of %" PRIu64 " MiB (%u %%)%s\n",
		status->used_bytes >> 20, status->map_bytes >> 20, map_percent(status),
		map_percent(status) > MAP_WARNING_PERCENT
			? ": raise table_max_mb and restart policyd"
			: "");
	printf("readers    %u slot%s taken so far\n", status->reader_slots,
		plural(status->reader_slots));
	printf("writer     %s\n", status->is_locked ? status->holder : "none");
	standing_print(status->ctl, &status->standing);
}

static void write_table(const struct status *status, struct json *json)
{
	const struct generation *now = &status->meta.generation[status->meta.current];
	const struct totals totals = totals_of(now);
	char digest[17], at[MOMENT_MAX];

	snprintf(digest, sizeof(digest), "%016" PRIx64, now->digest);
	totals_write(json, &totals);
	json_string(json, "digest", digest);
	json_string(json, "loaded_at", moment_format(now->loaded_at, at));
	json_number(json, "sequence", status->meta.sequence);
	json_bool(json, "can_rollback", status->meta.undo != UNDO_NONE);
}

static void print_json(const struct status *status)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "state_dir", status->ctl->config->state_dir);
	json_bool(&json, "loaded", status->is_loaded);
	if (status->is_loaded)
		write_table(status, &json);
	json_number(&json, "used_bytes", status->used_bytes);
	json_number(&json, "map_bytes", status->map_bytes);
	json_number(&json, "reader_slots", status->reader_slots);
	json_string(&json, "writer", status->is_locked ? status->holder : NULL);
	standing_write(&status->standing, &json);
	json_close(&json, '}', true);
}

static bool status_read(struct status *status, struct authz *authz)
{
	bool good = false;

	switch (authz_begin(authz, &status->meta)) {
	case LOOKUP_FAILED:
		break;
	case LOOKUP_FOUND:
		status->is_loaded = true;
		authz_end(authz);
		good = true;
		break;
	case LOOKUP_ABSENT:
		authz_end(authz);
		good = true;
		break;
	}
	if (good && authz_stat(authz, &status->used_bytes, &status->map_bytes,
			    &status->reader_slots) == ERR_OK)
		return true;
	complain("%s", authz_error(authz));
	return false;
}

enum ctl_exit cmd_status(struct ctl *ctl)
{
	struct status status = {.ctl = ctl};
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;
	enum table_state state = table_open(ctl->config, false, &authz, error);
	bool good = state == TABLE_READY || state == TABLE_EMPTY;

	if (!good)
		complain("%s", error);
	status.map_bytes = (uint64_t)ctl->config->table_max_mb << 20;
	if (good && authz)
		good = status_read(&status, authz);
	table_close(authz);
	good = standing_read(ctl, &status.standing) && good;
	if (!good)
		return CTL_UNKNOWN;
	lock_read(&status);
	if (ctl_has(ctl, FLAG_JSON))
		print_json(&status);
	else
		print_text(&status);
	return status.is_loaded ? CTL_YES : CTL_NO;
}

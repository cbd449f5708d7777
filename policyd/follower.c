/*
 * Follows the audit lines, see follower.h.
 *
 * Must not know what a change means. The number of the line that was dealt with last is kept in the
 * register itself; where it cannot be written, a restart tells of the same changes again, which is
 * better than not at all.
 */
#include "policyd/follower.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policyd/spawn.h"

#define LINES_A_LOOK 256
#define VARIABLES    10
#define VARIABLE_MAX 512

/* One change for the hook, as environment. */
struct change {
	size_t count;
	char text[VARIABLES][VARIABLE_MAX];
	const char *envp[VARIABLES + 1];
};

struct follower {
	struct ev_loop *loop;
	struct log *log;
	struct registry *registry;
	const char *hook; /* "": none */
	unsigned hook_max_s;
	uint64_t done;    /* number of the line dealt with last */
	uint64_t written; /* the same as the register knows it */
	uint64_t changes; /* of a claim's state, followed so far */
	unsigned lines;   /* of this look */
	bool is_running;
	bool is_late;           /* it ran for too long and was killed */
	uint64_t running;       /* the line that the hook was told of */
	char started[PATH_MAX]; /* the hook that was; a reload may name another one */
	struct change change;
	struct spawned spawned;
	ev_io ended;
	ev_timer limit;
};

/* ---- the hook ---- */

static void variable_add(struct change *change, const char *name, struct text value)
{
	char *out = change->text[change->count];

	snprintf(out, VARIABLE_MAX, "%s=%.*s", name, TEXT_ARG(value));
	change->envp[change->count++] = out;
}

static const char *time_format(int64_t at, char out[32])
{
	time_t seconds = (time_t)at;
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		return "?";
	return out;
}

static void change_set(struct change *change, const struct audit_entry *entry)
{
	char number[24], at[32];

	*change = (struct change){0};
	snprintf(number, sizeof(number), "%" PRIu64, entry->number);
	variable_add(change, "PATH", TEXT("/usr/sbin:/usr/bin:/sbin:/bin"));
	variable_add(change, "POLICYD_DOMAIN", entry->domain);
	variable_add(change, "POLICYD_TENANT", entry->tenant);
	variable_add(change, "POLICYD_BEFORE", entry->before);
	variable_add(change, "POLICYD_AFTER", entry->after);
	variable_add(change, "POLICYD_REASON", entry->detail);
	variable_add(change, "POLICYD_ACTOR", entry->actor);
	variable_add(change, "POLICYD_TIME", text_of(time_format(entry->at, at)));
	variable_add(change, "POLICYD_NUMBER", text_of(number));
}

static void log_hook(const struct follower *follower, const char *what, int number)
{
	log_event(follower->log, LOG_LEVEL_ERROR,
		"[ownership] hook %s, told of change %" PRIu64
		": %s %d; it is not run again for it",
		follower->started, follower->running, what, number);
}

static void hook_judge(const struct follower *follower, int status)
{
	if (WIFSIGNALED(status))
		log_hook(follower, "ended by signal", WTERMSIG(status));
	else if (WEXITSTATUS(status) == SPAWN_FAILED)
		log_hook(follower, "could not be started, or exit status", SPAWN_FAILED);
	else if (WEXITSTATUS(status) != 0)
		log_hook(follower, "exit status", WEXITSTATUS(status));
}

static void on_ended(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct follower *follower = watcher->data;
	int status;

	(void)events;
	ev_io_stop(loop, &follower->ended);
	ev_timer_stop(loop, &follower->limit);
	status = spawn_reap(&follower->spawned);
	if (!follower->is_late)
		hook_judge(follower, status);
	follower->is_running = false;
	follower->done = follower->running;
	follower_look(follower);
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct follower *follower = timer->data;

	(void)loop;
	(void)events;
	follower->is_late = true;
	log_hook(follower, "killed, for it took longer than seconds:", (int)follower->hook_max_s);
	spawn_signal(&follower->spawned, SIGKILL);
}

static void hook_start(struct follower *follower)
{
	const char *const argv[] = {follower->started, NULL};
	/* What it says on stderr belongs where the daemon's own words go. */
	const int fds[3] = {-1, -1, STDERR_FILENO};

	snprintf(follower->started, sizeof(follower->started), "%s", follower->hook);
	if (spawn_start(&follower->spawned, argv, follower->change.envp, fds) != ERR_OK) {
		log_hook(follower, "could not be started, error", errno);
		follower->done = follower->running;
		return;
	}
	follower->is_running = true;
	follower->is_late = false;
	ev_io_set(&follower->ended, follower->spawned.pidfd, EV_READ);
	ev_io_start(follower->loop, &follower->ended);
	ev_timer_set(&follower->limit, follower->hook_max_s, 0.);
	ev_timer_start(follower->loop, &follower->limit);
}

/* ---- following ---- */

static void log_line(const struct follower *follower, const struct audit_entry *entry)
{
	const struct log_field fields[] = {
		{"action", entry->action},
		{"actor", entry->actor},
		{"domain", entry->domain},
		{"tenant", entry->tenant},
		{"before", entry->before},
		{"after", entry->after},
		{"detail", entry->detail},
	};

	log_fields(follower->log, LOG_LEVEL_INFO, "register", fields,
		sizeof(fields) / sizeof(fields[0]));
}

/* One line. False: enough for now. */
static bool on_line(void *ctx, const struct audit_entry *entry)
{
	struct follower *follower = ctx;

	if (follower->lines++ == LINES_A_LOOK)
		return false;
	log_line(follower, entry);
	follower->changes += entry->is_state_change;
	if (!entry->is_state_change || !follower->hook[0]) {
		follower->done = entry->number;
		return true;
	}
	follower->running = entry->number;
	change_set(&follower->change, entry);
	return false;
}

/* Never a number that the register does not have: what comes later would be passed over. */
static void remember(struct follower *follower)
{
	struct registry_numbers numbers;

	if (follower->done == follower->written ||
		registry_numbers(follower->registry, &numbers) != LOOKUP_FOUND ||
		follower->done > numbers.audit)
		return;
	if (registry_follow_set(follower->registry, follower->done) == ERR_OK)
		follower->written = follower->done;
}

void follower_look(struct follower *follower)
{
	uint64_t last;
	enum lookup found;

	if (follower->is_running || !registry_begin(follower->registry))
		return;
	follower->lines = 0;
	follower->running = 0;
	found = registry_last_audit(follower->registry, &last);
	/* An older register took its place. */
	if (found == LOOKUP_FOUND && last < follower->done)
		follower->done = last;
	if (found == LOOKUP_FOUND && last > follower->done)
		found = registry_scan_audit(
			follower->registry, follower->done + 1, false, on_line, follower);
	registry_end(follower->registry);
	if (found == LOOKUP_FAILED)
		return;
	if (follower->running > follower->done)
		hook_start(follower);
	remember(follower);
}

enum err follower_new(
	struct follower **out, struct ev_loop *loop, struct log *log, struct registry *registry)
{
	struct follower *follower = calloc(1, sizeof(*follower));
	enum err err;

	*out = NULL;
	if (!follower)
		return ERR_NOMEM;
	*follower = (struct follower){.loop = loop, .log = log, .registry = registry, .hook = ""};
	ev_io_init(&follower->ended, on_ended, -1, 0);
	ev_timer_init(&follower->limit, on_limit, 0., 0.);
	follower->ended.data = follower->limit.data = follower;
	err = registry_follow_get(registry, &follower->done);
	if (err != ERR_OK) {
		free(follower);
		return err;
	}
	follower->written = follower->done;
	*out = follower;
	return ERR_OK;
}

void follower_skip(struct follower *follower)
{
	struct registry_numbers numbers;

	if (registry_numbers(follower->registry, &numbers) == LOOKUP_FOUND)
		follower->done = numbers.audit;
}

uint64_t follower_changes(const struct follower *follower)
{
	return follower->changes;
}

bool follower_can_run(const char *hook)
{
	struct stat file;

	if (stat(hook, &file) != 0)
		return false;
	errno = EACCES;
	return S_ISREG(file.st_mode) && access(hook, X_OK) == 0;
}

void follower_set_hook(struct follower *follower, const char *path, unsigned max_s)
{
	follower->hook = path;
	follower->hook_max_s = max_s;
}

void follower_free(struct follower *follower)
{
	if (!follower)
		return;
	if (follower->is_running) {
		ev_io_stop(follower->loop, &follower->ended);
		ev_timer_stop(follower->loop, &follower->limit);
		spawn_signal(&follower->spawned, SIGKILL);
		(void)spawn_reap(&follower->spawned);
	}
	remember(follower);
	free(follower);
}

/*
 * policyctl for somebody else. See control_run.h.
 */
#include "policyd/control_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_BYTES  4096
#define TERM_MAX    64
#define NAME_BYTES  320 /* of NAME=VALUE */
#define FALLBACK    "/usr/sbin/policyctl"
#define ENVIRONMENT 8

/* Everything that the program is started with. */
struct launch {
	char path[PATH_BYTES];
	size_t argc;
	const char **argv;
	char *words; /* the command line's, each with a NUL */
	size_t envc;
	const char *envp[ENVIRONMENT + 1];
	char made[3][NAME_BYTES];
};

/* Beside policyd, wherever that was installed. */
static void find_policyctl(char out[PATH_BYTES])
{
	char self[PATH_BYTES - sizeof("policyctl")];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self));
	size_t folder = len > 0 ? text_rfind((struct text){self, (size_t)len}, '/') : 0;

	snprintf(out, PATH_BYTES, "%.*s/policyctl", (int)folder, self);
	if (len <= 0 || (size_t)len == sizeof(self) || access(out, X_OK) != 0)
		snprintf(out, PATH_BYTES, FALLBACK);
}

static bool is_terminal_name(struct text term)
{
	if (term.len == 0 || term.len > TERM_MAX)
		return false;
	for (size_t i = 0; i < term.len; i++) {
		char c = term.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			(c == '\0' || !strchr("-+._", c)))
			return false;
	}
	return true;
}

static void launch_set_environment(struct launch *launch, const struct control_run_order *order)
{
	static const char *const kept[] = {"LANG", "LC_ALL", "LC_CTYPE", "TZ"};
	extern char **environ;

	launch->envp[launch->envc++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		for (char **at = environ; *at; at++)
			if (strncmp(*at, kept[i], strlen(kept[i])) == 0 &&
				(*at)[strlen(kept[i])] == '=') {
				launch->envp[launch->envc++] = *at;
				break;
			}
	snprintf(launch->made[0], NAME_BYTES, "POLICYD_ACTOR_UID=%lu", (unsigned long)order->uid);
	snprintf(launch->made[1], NAME_BYTES, "POLICYD_ACTOR_NAME=%s", order->user);
	launch->envp[launch->envc++] = launch->made[0];
	launch->envp[launch->envc++] = launch->made[1];
	if (!is_terminal_name(order->term))
		return;
	snprintf(launch->made[2], NAME_BYTES, "TERM=%.*s", TEXT_ARG(order->term));
	launch->envp[launch->envc++] = launch->made[2];
}

static bool launch_set_words(struct launch *launch, const struct control_run_options *options,
	const struct control_run_order *order)
{
	size_t bytes = 1;

	for (size_t i = 0; i < order->count; i++)
		bytes += order->words[i].len + 1;
	launch->argv =
		calloc(order->count + 2 * options->override_count + 4, sizeof(*launch->argv));
	launch->words = malloc(bytes);
	if (!launch->argv || !launch->words)
		return false;
	launch->argv[launch->argc++] = launch->path;
	if (options->config_path) {
		launch->argv[launch->argc++] = "-c";
		launch->argv[launch->argc++] = options->config_path;
	}
	for (size_t i = 0; i < options->override_count; i++) {
		launch->argv[launch->argc++] = "-o";
		launch->argv[launch->argc++] = options->overrides[i];
	}
	char *at = launch->words;
	for (size_t i = 0; i < order->count; i++) {
		struct text word = order->words[i];

		launch->argv[launch->argc++] = at;
		if (word.len > 0)
			memcpy(at, word.ptr, word.len);
		at[word.len] = '\0';
		at += word.len + 1;
	}
	return true;
}

static void run_on_ended(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct control_run *run = watcher->data;

	(void)events;
	ev_io_stop(loop, &run->ended);
	ev_timer_stop(loop, &run->kill_later);
	ev_timer_stop(loop, &run->limit);
	run->is_running = false;
	int status = spawn_reap(&run->spawned);
	run->on_end(run, status);
}

static void run_on_kill(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct control_run *run = timer->data;

	(void)loop;
	(void)events;
	spawn_signal(&run->spawned, SIGKILL);
}

static void run_on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct control_run *run = timer->data;

	(void)loop;
	(void)events;
	run->is_overdue = true;
	control_run_end(run);
}

enum err control_run_start(struct control_run *run, const struct control_run_options *options,
	const struct control_run_order *order)
{
	struct launch launch = {.argc = 0};
	enum err err = ERR_NOMEM;

	find_policyctl(launch.path);
	launch_set_environment(&launch, order);
	if (launch_set_words(&launch, options, order))
		err = spawn_start(&run->spawned, launch.argv, launch.envp, order->fds);
	free(launch.argv);
	free(launch.words);
	if (err != ERR_OK)
		return err;
	run->is_running = true;
	run->is_overdue = false;
	ev_io_init(&run->ended, run_on_ended, run->spawned.pidfd, EV_READ);
	ev_timer_init(&run->kill_later, run_on_kill, CONTROL_KILL_AFTER_S, 0.);
	ev_timer_init(&run->limit, run_on_limit, CONTROL_RUN_MAX_S, 0.);
	run->ended.data = run->kill_later.data = run->limit.data = run;
	ev_io_start(run->loop, &run->ended);
	ev_timer_start(run->loop, &run->limit);
	return ERR_OK;
}

void control_run_end(struct control_run *run)
{
	if (!run->is_running)
		return;
	spawn_signal(&run->spawned, SIGTERM);
	ev_timer_start(run->loop, &run->kill_later);
}

void control_run_abandon(struct control_run *run)
{
	if (!run->is_running)
		return;
	ev_io_stop(run->loop, &run->ended);
	ev_timer_stop(run->loop, &run->kill_later);
	ev_timer_stop(run->loop, &run->limit);
	spawn_signal(&run->spawned, SIGTERM);
	close(run->spawned.pidfd);
	run->is_running = false;
}

/*
 * The supervisor's processes. See children.h.
 */
#include "policyd/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policyd/channel.h"
#include "policyd/keeper.h"
#include "policyd/worker.h"

#define INSTANT_MS    1000 /* a life shorter than this counts as a failed start */
#define FIRST_WAIT_MS 100

int64_t children_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void children_init(
	struct children *children, struct shared *shared, unsigned workers, struct log *log)
{
	*children = (struct children){.log = log, .shared = shared, .count = 1 + workers};
	for (unsigned i = 0; i < children->count; i++) {
		struct child *child = &children->at[i];
		child->channel = -1;
		child->is_keeper = i == 0;
		if (child->is_keeper) {
			snprintf(child->name, sizeof(child->name), "keeper");
			continue;
		}
		child->slot = i - 1;
		snprintf(child->name, sizeof(child->name), "worker %u", i);
	}
}

/* The forked side: never returns. */
static void child_become(const struct children *children, const struct child *self,
	const struct child_start *inherited, pid_t supervisor)
{
	struct child_start start = *inherited;
	sigset_t none;
	/* Ctrl-C reaches the whole process group, SIGHUP maybe too: the supervisor decides what
	 * follows. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* Should the supervisor vanish, nobody would ever end this process. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != supervisor)
		_exit(1);
	for (size_t i = 0; i < children->count; i++)
		if (&children->at[i] != self && children->at[i].channel >= 0)
			close(children->at[i].channel);
	/* A listener that a reload drops must be closed everywhere. */
	for (size_t i = 0; self->is_keeper && i < start.listen_count; i++)
		close(start.listen_fds[i]);
	if (!self->is_keeper && start.control_fd >= 0)
		close(start.control_fd);
	start.name = self->name;
	start.slot = self->slot;
	/* SIGTERM has its default action until the event loop takes it over. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(self->is_keeper ? keeper_run(&start) : worker_run(&start));
}

static void child_postpone(struct child *child, int64_t now)
{
	int64_t wait = 0;
	if (now - child->started_ms >= INSTANT_MS)
		child->instant_deaths = 0;
	else
		child->instant_deaths++;
	for (unsigned i = 0; i < child->instant_deaths && wait < RESTART_MAX_MS; i++)
		wait = wait ? wait * 2 : FIRST_WAIT_MS;
	child->start_at_ms = now + (wait < RESTART_MAX_MS ? wait : RESTART_MAX_MS);
}

static void child_start_now(struct children *children, struct child *child,
	const struct child_start *start, uint32_t generation)
{
	struct child_start own = *start;
	child->started_ms = children_clock_ms();
	if (channel_open(&child->channel, &own.channel) != ERR_OK) {
		log_event(children->log, LOG_LEVEL_ERROR, "cannot start %s: %m; trying again",
			child->name);
		child_postpone(child, child->started_ms);
		return;
	}
	if (!child->is_keeper) {
		struct worker_slot *slot = &children->shared->workers[child->slot];
		atomic_store(&slot->is_accepting, false);
		atomic_store(&slot->generation, generation);
	}
	pid_t supervisor = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		close(child->channel);
		child->channel = -1;
		child_become(children, child, &own, supervisor);
	}
	if (pid < 0) {
		log_event(children->log, LOG_LEVEL_ERROR, "cannot start %s: %m; trying again",
			child->name);
		close(child->channel);
		child->channel = -1;
		child_postpone(child, child->started_ms);
	} else {
		child->pid = pid;
	}
	close(own.channel);
}

int64_t children_start_due(
	struct children *children, const struct child_start *start, uint32_t generation)
{
	int64_t next = -1;
	for (size_t i = 0; i < children->count; i++) {
		struct child *child = &children->at[i];
		int64_t wait = child->start_at_ms - children_clock_ms();
		if (child->pid == 0 && wait <= 0) {
			child_start_now(children, child, start, generation);
			wait = child->start_at_ms - children_clock_ms();
		}
		if (child->pid == 0 && (next < 0 || wait < next))
			next = wait > 0 ? wait : 0;
	}
	return next;
}

static void child_log_death(struct children *children, const struct child *child, int status)
{
	if (WIFSIGNALED(status))
		log_event(children->log, LOG_LEVEL_ERROR,
			"%s (pid %ld) was killed by signal %d (%s); starting another", child->name,
			(long)child->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_event(children->log, LOG_LEVEL_WARNING,
			"%s (pid %ld) ended with exit code %d; starting another", child->name,
			(long)child->pid, WEXITSTATUS(status));
}

/* A lost page, or a database that leads a reader astray: have both walked. */
static bool is_death_by_data(int status)
{
	return WIFSIGNALED(status) && (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV ||
					      WTERMSIG(status) == SIGABRT);
}

static void child_on_death(
	struct children *children, struct child *child, int status, bool is_stopping)
{
	if (!is_stopping)
		child_log_death(children, child, status);
	if (is_death_by_data(status)) {
		atomic_fetch_add(&children->shared->verify_wanted, 1);
		atomic_fetch_add(&children->shared->registry_wanted, 1);
	}
	if (!child->is_keeper)
		atomic_store(&children->shared->workers[child->slot].is_accepting, false);
	child->pid = 0;
	close(child->channel);
	child->channel = -1;
	child_postpone(child, children_clock_ms());
}

void children_reap(struct children *children, bool is_stopping)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < children->count; i++)
			if (children->at[i].pid == pid)
				child_on_death(children, &children->at[i], status, is_stopping);
}

void children_signal(const struct children *children, int signal_number)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->at[i].pid > 0)
			kill(children->at[i].pid, signal_number);
}

size_t children_running(const struct children *children)
{
	size_t running = 0;
	for (size_t i = 0; i < children->count; i++)
		running += children->at[i].pid > 0;
	return running;
}

void children_reload(
	const struct children *children, uint32_t generation, const int *fds, size_t fd_count)
{
	for (size_t i = 0; i < children->count; i++) {
		const struct child *child = &children->at[i];
		if (child->pid == 0)
			continue;
		size_t count = child->is_keeper ? 0 : fd_count;
		if (channel_send(child->channel, generation, fds, count) == ERR_OK)
			continue;
		log_event(children->log, LOG_LEVEL_WARNING,
			"%s does not take the new configuration: %m; starting another in its place",
			child->name);
		kill(child->pid, SIGTERM);
	}
}

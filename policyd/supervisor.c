/*
 * Start, signals, reload, end. See supervisor.h.
 *
 * One thread, no event loop: everything that happens to the supervisor is a signal or a time, and
 * sigtimedwait(2) waits for both. How far the workers are it reads from shared memory, often while
 * it waits for them and not at all otherwise.
 */
#include "policyd/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policyd/children.h"
#include "policyd/ready.h"
#include "policyd/sockets.h"
#include "policyd/worker.h"

#define PROGRESS_POLL_MS 10
#define STOP_MAX_MS      7000 /* workers take 5 s at most */

struct supervisor {
	struct log log;
	struct config
		*started;      /* as the daemon started: what a reload cannot change is read here */
	struct config *config; /* in force */
	char *state_dir, *cache_dir; /* outlive both in a child */
	const struct config_source *source;
	struct identity identity;
	struct sockets sockets;
	struct bound_socket control; /* fd -1: there is none */
	struct shared *shared;
	struct children children;
	uint32_t generation; /* grows with every reload */
	bool is_announced;   /* the workers serve this generation, and READY=1 was sent */
	bool is_stopping;
	int64_t stop_by_ms;
};

static void supervisor_notify(struct supervisor *supervisor, enum err err)
{
	if (err != ERR_OK)
		log_event(&supervisor->log, LOG_LEVEL_WARNING,
			"NOTIFY_SOCKET: cannot tell it anything");
}

static void supervisor_log_sentence(void *ctx, const char *sentence)
{
	log_event(ctx, LOG_LEVEL_ERROR, "%s", sentence);
}

static void supervisor_configure_log(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	log_init(&supervisor->log, config->log_target, config->log_format, config->log_level,
		"supervisor");
}

/* A reader of the log that stands still must not hold up answers: lines are dropped and counted
 * instead. A pipe or terminal is opened anew, because its flags belong to others, too. */
static void supervisor_unblock_stderr(void)
{
	struct stat st;
	if (fstat(STDERR_FILENO, &st) != 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		(void)fcntl(STDERR_FILENO, F_SETFL, O_RDWR | O_NONBLOCK);
		return;
	}
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)dup2(fd, STDERR_FILENO);
	close(fd);
}

/* More connections than the default limit allows are normal. The hard limit is the administrator's
 * word. */
static void supervisor_raise_limit(struct supervisor *supervisor)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			log_event(&supervisor->log, LOG_LEVEL_WARNING,
				"cannot raise the limit of open files: %m");
	}
}

static void supervisor_check_limit(struct supervisor *supervisor)
{
	unsigned wanted = supervisor->config->max_connections;
	struct descriptor_plan plan =
		worker_plan_descriptors(supervisor->config, supervisor->sockets.count);
	if (plan.connections < wanted)
		log_event(&supervisor->log, LOG_LEVEL_WARNING,
			"max_connections = %u does not fit under the limit of open files: a worker "
			"takes "
			"%u; raise it (LimitNOFILE=, ulimit -n) or lower max_connections",
			wanted, plan.connections);
	if (plan.in_flight > 0 && plan.in_flight < supervisor->config->dns_max_in_flight)
		log_event(&supervisor->log, LOG_LEVEL_WARNING,
			"[dns] max_in_flight = %u does not fit under the limit of open files: a "
			"worker asks "
			"%u at once; raise it (LimitNOFILE=, ulimit -n) or lower max_in_flight",
			supervisor->config->dns_max_in_flight, plan.in_flight);
}

/* Listening sockets: handed over or bound. */
static enum err supervisor_bind(struct supervisor *supervisor)
{
	struct sockets inherited = {0}, bound = {0};
	struct log *log = &supervisor->log;
	enum err err = sockets_inherit(&inherited, log);
	if (err != ERR_OK)
		return err;
	err = sockets_open(&bound, &inherited, supervisor->config, &supervisor->identity, log);
	if (err != ERR_OK)
		return err;
	const struct bound_socket *unmatched = sockets_unmatched(&inherited);
	if (unmatched) {
		char name[SOCKET_NAME_MAX];
		socket_name(unmatched, name);
		log_event(log, LOG_LEVEL_ERROR,
			"LISTEN_FDS hands over %s, which no `listen` of the configuration names; "
			"add it there, "
			"or take it out of the socket unit",
			name);
		sockets_close(&bound, log);
		return ERR_INVALID;
	}
	sockets_replace(&inherited, &bound, log);
	supervisor->sockets = inherited;
	return ERR_OK;
}

/* Mail is more important: without it, the daemon goes on. */
static void supervisor_bind_control(struct supervisor *supervisor)
{
	const char *path = supervisor->config->control_path;
	if (control_socket_open(
		    &supervisor->control, path, &supervisor->identity, &supervisor->log) != ERR_OK)
		log_event(&supervisor->log, LOG_LEVEL_WARNING,
			"going on without the control socket: only root and policyd's user can use "
			"policyctl; correct [control] socket, or what is said above, and restart");
}

static enum err supervisor_start(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	struct log *log = &supervisor->log;
	supervisor_raise_limit(supervisor);
	enum err err = identity_resolve(config, log, &supervisor->identity);
	if (err == ERR_OK)
		err = supervisor_bind(supervisor);
	if (err == ERR_OK)
		err = identity_make_state_dir(&supervisor->identity, config->state_dir, log);
	if (err == ERR_OK)
		supervisor_bind_control(supervisor);
	if (err == ERR_OK && config->lockdown.is_enabled)
		identity_make_cache_dir(&supervisor->identity, config->cache_dir);
	if (err == ERR_OK)
		err = identity_assume(&supervisor->identity, log);
	if (err == ERR_OK)
		err = identity_check_state_dir(config->state_dir, log);
	if (err != ERR_OK)
		return err;
	supervisor_check_limit(supervisor);
	supervisor->shared = shared_new();
	supervisor->state_dir = strdup(config->state_dir);
	supervisor->cache_dir = strdup(config->cache_dir);
	if (!supervisor->shared || !supervisor->state_dir || !supervisor->cache_dir) {
		log_event(log, LOG_LEVEL_ERROR, "cannot start: out of memory");
		return ERR_NOMEM;
	}
	unsigned workers = config->workers < WORKERS_MAX ? config->workers : WORKERS_MAX;
	children_init(&supervisor->children, supervisor->shared, workers, log);
	return ERR_OK;
}

static int64_t supervisor_start_children(struct supervisor *supervisor)
{
	int fds[SOCKETS_MAX];
	struct child_start start = {.config = supervisor->config,
		.source = supervisor->source,
		.state_dir = supervisor->state_dir,
		.cache_dir = supervisor->cache_dir,
		.table_max_mb = supervisor->started->table_max_mb,
		.register_max_mb = supervisor->started->register_max_mb,
		.cache_max_mb = supervisor->started->cache_max_mb,
		.shared = supervisor->shared,
		.listen_fds = fds,
		.listen_count = sockets_fds(&supervisor->sockets, fds),
		.control_fd = supervisor->control.fd};
	return children_start_due(&supervisor->children, &start, supervisor->generation);
}

/* Whether every worker accepts with the newest configuration. */
static bool supervisor_is_serving(const struct supervisor *supervisor)
{
	const struct children *children = &supervisor->children;
	for (size_t i = 0; i < children->count; i++) {
		const struct child *child = &children->at[i];
		struct worker_slot *slot = &supervisor->shared->workers[child->slot];
		if (child->is_keeper)
			continue;
		if (child->pid == 0 || !atomic_load(&slot->is_accepting) ||
			atomic_load(&slot->generation) != supervisor->generation)
			return false;
	}
	return true;
}

static void supervisor_announce(struct supervisor *supervisor)
{
	if (supervisor->is_announced || supervisor->is_stopping ||
		!supervisor_is_serving(supervisor))
		return;
	supervisor->is_announced = true;
	supervisor_notify(supervisor, ready_notify("READY=1"));
	log_event(&supervisor->log, LOG_LEVEL_INFO,
		"policyd " POLICYD_VERSION " serves (sockets: %zu, workers: %zu)%s",
		supervisor->sockets.count, supervisor->children.count - 1,
		supervisor->generation ? " with the new configuration" : "");
}

/* Names what a reload would have to change but cannot. */
static void supervisor_name_fixed(struct supervisor *supervisor, const struct config *new)
{
	const struct config *old = supervisor->started;
	const struct {
		const char *option;
		bool is_changed;
	} fixed[] = {
		{"[policyd] user", strcmp(old->user, new->user) != 0},
		{"[policyd] group", strcmp(old->group, new->group) != 0},
		{"[policyd] socket_mode", old->socket_mode != new->socket_mode},
		{"[policyd] socket_group", strcmp(old->socket_group, new->socket_group) != 0},
		{"[policyd] state_dir", strcmp(old->state_dir, new->state_dir) != 0},
		{"[policyd] table_max_mb", old->table_max_mb != new->table_max_mb},
		{"[policyd] register_max_mb", old->register_max_mb != new->register_max_mb},
		{"[policyd] workers", old->workers != new->workers},
		{"[dns] cache_dir", strcmp(old->cache_dir, new->cache_dir) != 0},
		{"[dns] cache_max_mb", old->cache_max_mb != new->cache_max_mb},
		{"[control] socket", strcmp(old->control_path, new->control_path) != 0},
	};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (fixed[i].is_changed)
			log_event(&supervisor->log, LOG_LEVEL_WARNING,
				"%s changes with a restart only: keeping the old value",
				fixed[i].option);
}

static void supervisor_use_config(struct supervisor *supervisor, struct config *config)
{
	if (supervisor->config != supervisor->started)
		config_free(supervisor->config);
	supervisor->config = config;
	supervisor_configure_log(supervisor);
}

/* Build, validate, swap; or keep what is there. */
static enum err supervisor_apply_reload(struct supervisor *supervisor)
{
	struct config_source source = *supervisor->source;
	struct config *config = NULL;
	struct sockets next = {0};
	source.on_error = supervisor_log_sentence;
	source.ctx = &supervisor->log;
	enum err err = config_read(&config, &source);
	if (err != ERR_OK)
		return err;
	err = sockets_open(
		&next, &supervisor->sockets, config, &supervisor->identity, &supervisor->log);
	if (err != ERR_OK) {
		config_free(config);
		return err;
	}
	supervisor_name_fixed(supervisor, config);
	sockets_replace(&supervisor->sockets, &next, &supervisor->log);
	supervisor_use_config(supervisor, config);
	supervisor_check_limit(supervisor);
	return ERR_OK;
}

static void supervisor_reload(struct supervisor *supervisor)
{
	int fds[SOCKETS_MAX];
	if (supervisor->is_stopping)
		return;
	supervisor_notify(supervisor, ready_notify_reloading());
	if (supervisor_apply_reload(supervisor) != ERR_OK) {
		log_event(&supervisor->log, LOG_LEVEL_ERROR,
			"reload: the new configuration has errors; keeping the old one");
		if (supervisor->is_announced)
			supervisor_notify(supervisor, ready_notify("READY=1"));
		return;
	}
	supervisor->generation++;
	supervisor->is_announced = false;
	children_reload(&supervisor->children, supervisor->generation, fds,
		sockets_fds(&supervisor->sockets, fds));
}

static void supervisor_stop(struct supervisor *supervisor)
{
	if (supervisor->is_stopping)
		return;
	supervisor->is_stopping = true;
	supervisor->stop_by_ms = children_clock_ms() + STOP_MAX_MS;
	log_event(&supervisor->log, LOG_LEVEL_INFO, "stopping: answering what is in flight");
	children_signal(&supervisor->children, SIGTERM);
	supervisor_notify(supervisor, ready_notify("STOPPING=1"));
}

/* Starts what is due; returns how long to wait for a signal, -1: until one comes. */
static int64_t supervisor_step(struct supervisor *supervisor)
{
	if (supervisor->is_stopping) {
		int64_t left = supervisor->stop_by_ms - children_clock_ms();
		if (left <= 0)
			children_signal(&supervisor->children, SIGKILL);
		return left > 0 ? left : PROGRESS_POLL_MS;
	}
	int64_t wait = supervisor_start_children(supervisor);
	supervisor_announce(supervisor);
	if (!supervisor->is_announced && (wait < 0 || wait > PROGRESS_POLL_MS))
		wait = PROGRESS_POLL_MS;
	return wait;
}

static void supervisor_wait(struct supervisor *supervisor, const sigset_t *signals, int64_t wait_ms)
{
	struct timespec wait = {
		.tv_sec = (time_t)(wait_ms / 1000), .tv_nsec = (long)(wait_ms % 1000) * 1000000};
	switch (sigtimedwait(signals, NULL, wait_ms < 0 ? NULL : &wait)) {
	case SIGHUP:
		supervisor_reload(supervisor);
		break;
	case SIGTERM:
	case SIGINT:
		supervisor_stop(supervisor);
		break;
	default:
		/* A child died, or the time is up: supervisor_step sees to both. */
		break;
	}
	children_reap(&supervisor->children, supervisor->is_stopping);
}

static void supervisor_block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void supervisor_free(struct supervisor *supervisor)
{
	sockets_close(&supervisor->sockets, &supervisor->log);
	control_socket_close(&supervisor->control, &supervisor->log);
	if (supervisor->config != supervisor->started)
		config_free(supervisor->config);
	config_free(supervisor->started);
	free(supervisor->state_dir);
	free(supervisor->cache_dir);
	free(supervisor);
}

int supervisor_run(struct config *config, const struct config_source *source)
{
	sigset_t signals;
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	if (!supervisor) {
		config_free(config);
		return 1;
	}
	supervisor->started = supervisor->config = config;
	supervisor->source = source;
	supervisor->control.fd = -1;
	supervisor_unblock_stderr();
	supervisor_configure_log(supervisor);
	supervisor_block_signals(&signals);
	enum err err = supervisor_start(supervisor);
	if (err == ERR_OK) {
		int64_t wait = supervisor_step(supervisor);
		while (!supervisor->is_stopping || children_running(&supervisor->children) > 0) {
			supervisor_wait(supervisor, &signals, wait);
			wait = supervisor_step(supervisor);
		}
		log_event(&supervisor->log, LOG_LEVEL_INFO, "stopped");
	}
	supervisor_free(supervisor);
	return err == ERR_OK ? 0 : 1;
}

/*
 * The worker's loop: signals, reloads, ticks, and one answer per request. See worker.h.
 */
#include "policyd/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "policyd/conn.h"
#include "policyd/decision_log.h"
#include "policyd/listener.h"
#include "policyd/table_watch.h"

#define WORKER_MAGIC 0x776f726bU
#define OWN_DESCRIPTORS                                                                            \
	16 /* standard ones, loop, table, log, reserve, channel, a file being read */
#define VERDICT_POLL_S 0.02 /* while the table was not walked yet */
#define DRAIN_MAX_S    5.

struct worker {
	unsigned magic;
	const struct child_start *start;
	struct worker_slot *slot;
	struct config *config;
	struct log log;
	struct ev_loop *loop;
	struct session *session;
	struct table_watch table;
	struct listeners listeners;
	struct conns conns;
	ev_timer tick, verdict_poll, drain_end;
	ev_signal terminate;
	ev_io reload;
	struct session_answer answer;
};

static struct worker *worker_of(void *data)
{
	struct worker *worker = data;
	assert(worker->magic == WORKER_MAGIC);
	return worker;
}

unsigned worker_connections_cap(unsigned wanted, size_t listen_count)
{
	struct rlimit limit;
	/* Twice the listeners: at a reload the new ones arrive before the old ones are closed. */
	size_t own = OWN_DESCRIPTORS + 2 * listen_count;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return wanted;
	if (limit.rlim_cur <= own)
		return 1;
	size_t fit = (size_t)limit.rlim_cur - own;
	return fit < wanted ? (unsigned)fit : wanted;
}

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct session_parts worker_parts(const struct worker *worker)
{
	return (struct session_parts){.settings = &worker->config->settings,
		.replies = &worker->config->replies,
		.authz = worker->table.authz};
}

static void worker_follow_table(struct worker *worker)
{
	struct session_parts parts = worker_parts(worker);
	session_configure(worker->session, &parts);
	session_trust_table(worker->session, worker->table.trust);
}

static size_t worker_answer(void *ctx, const struct request *request, char out[REPLY_MAX])
{
	struct worker *worker = worker_of(ctx);
	struct session_answer *answer = &worker->answer;
	enum log_decisions which = worker->config->log_decisions;
	bool is_logged = decision_log_is_on(&worker->log, which);
	int64_t begun = is_logged ? clock_ns() : 0;

	if (table_watch_update(&worker->table))
		worker_follow_table(worker);
	session_ask(worker->session, request, (int64_t)ev_now(worker->loop), NULL, answer);
	if (answer->verdict->reason == REASON_TABLE_DAMAGED)
		table_watch_on_damage(&worker->table);
	if (is_logged)
		decision_log_write(&worker->log, which, request, answer, clock_ns() - begun);
	memcpy(out, answer->reply, answer->reply_len);
	return answer->reply_len;
}

static void worker_on_closed(void *ctx)
{
	struct worker *worker = worker_of(ctx);
	listeners_on_room(&worker->listeners);
	if (worker->conns.is_draining && worker->conns.count == 0)
		ev_break(worker->loop, EVBREAK_ALL);
}

static void worker_on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	struct worker *worker = worker_of(watcher->data);
	conns_tick(&worker->conns);
	listeners_on_tick(&worker->listeners);
	table_watch_tick(&worker->table);
}

static void worker_accept(struct worker *worker)
{
	if (table_watch_update(&worker->table))
		worker_follow_table(worker);
	listeners_start(&worker->listeners);
	atomic_store(&worker->slot->is_accepting, true);
}

static void worker_on_verdict_poll(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)events;
	struct worker *worker = worker_of(watcher->data);
	if (table_verdict_of(atomic_load(&worker->start->shared->table)) == VERDICT_PENDING)
		return;
	ev_timer_stop(loop, watcher);
	worker_accept(worker);
}

static void worker_on_drain_end(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)events;
	struct worker *worker = worker_of(watcher->data);
	log_event(&worker->log, LOG_LEVEL_WARNING,
		"%u connections did not finish within 5 seconds; closing them",
		worker->conns.count);
	ev_break(loop, EVBREAK_ALL);
}

static void worker_on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)events;
	struct worker *worker = worker_of(watcher->data);
	if (worker->conns.is_draining)
		return;
	atomic_store(&worker->slot->is_accepting, false);
	ev_timer_stop(loop, &worker->verdict_poll);
	listeners_deinit(&worker->listeners);
	ev_timer_start(loop, &worker->drain_end);
	conns_drain(&worker->conns);
	if (worker->conns.count == 0)
		ev_break(loop, EVBREAK_ALL);
}

/* Everything that the configuration sets in a running worker. */
static void worker_configure(struct worker *worker, size_t listen_count)
{
	const struct config *config = worker->config;
	log_init(&worker->log, config->log_target, config->log_format, config->log_level,
		worker->start->name);
	worker->conns.max = worker_connections_cap(config->max_connections, listen_count);
	worker->conns.idle_timeout_s = config->idle_timeout_s;
}

static void worker_reload(struct worker *worker, const int *fds, size_t count)
{
	struct config *config = NULL;
	if (worker->conns.is_draining) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		return;
	}
	listeners_set(&worker->listeners, fds, count);
	if (child_read_config(worker->start, &worker->log, &config) != ERR_OK) {
		log_event(&worker->log, LOG_LEVEL_ERROR,
			"the configuration changed while it was read again: keeping the old one; "
			"reload once more");
		return;
	}
	struct config *old = worker->config;
	worker->config = config;
	worker_configure(worker, count);
	worker_follow_table(worker);
	config_free(old);
}

static void worker_on_reload(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)events;
	struct worker *worker = worker_of(watcher->data);
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	uint32_t generation;
	enum err err = channel_receive(watcher->fd, &generation, fds, &count);
	if (err == ERR_BUSY)
		return;
	if (err == ERR_OK) {
		worker_reload(worker, fds, count);
		atomic_store(&worker->slot->generation, generation);
		return;
	}
	if (err == ERR_FULL) {
		log_event(&worker->log, LOG_LEVEL_ERROR,
			"no file descriptors left to take over a reload: leaving, a new worker "
			"starts "
			"with the new configuration; raise the limit of open files");
		worker_on_terminate(loop, &worker->terminate, 0);
	}
	/* ERR_ABSENT, ERR_IO: the supervisor is gone, and its end comes as SIGTERM. */
	ev_io_stop(loop, watcher);
}

static enum err worker_init(struct worker *worker, const struct child_start *start)
{
	worker->magic = WORKER_MAGIC;
	worker->start = start;
	worker->slot = &start->shared->workers[start->slot];
	worker->config = start->config;
	worker->table = (struct table_watch){.shared = start->shared,
		.state_dir = start->state_dir,
		.map_mb = start->table_max_mb,
		.log = &worker->log,
		.trust = TABLE_DAMAGED};
	worker_configure(worker, start->listen_count);
	worker->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!worker->loop)
		return ERR_NOMEM;
	uint32_t salt;
	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return ERR_IO;
	struct session_parts parts = worker_parts(worker);
	enum err err = session_new(&worker->session, &parts, salt);
	if (err != ERR_OK)
		return err;
	session_trust_table(worker->session, TABLE_DAMAGED);

	worker->conns.loop = worker->loop;
	worker->conns.log = &worker->log;
	worker->conns.answer = worker_answer;
	worker->conns.on_closed = worker_on_closed;
	worker->conns.ctx = worker;
	conns_init(&worker->conns);
	return listeners_init(&worker->listeners, &worker->conns);
}

static void worker_watch(struct worker *worker)
{
	struct ev_loop *loop = worker->loop;
	ev_timer_init(&worker->tick, worker_on_tick, 1., 1.);
	ev_timer_init(&worker->verdict_poll, worker_on_verdict_poll, 0., VERDICT_POLL_S);
	ev_timer_init(&worker->drain_end, worker_on_drain_end, DRAIN_MAX_S, 0.);
	ev_signal_init(&worker->terminate, worker_on_terminate, SIGTERM);
	ev_io_init(&worker->reload, worker_on_reload, worker->start->channel, EV_READ);
	worker->tick.data = worker->verdict_poll.data = worker->drain_end.data = worker;
	worker->terminate.data = worker->reload.data = worker;
	ev_timer_start(loop, &worker->tick);
	ev_timer_start(loop, &worker->verdict_poll);
	ev_signal_start(loop, &worker->terminate);
	ev_io_start(loop, &worker->reload);
	listeners_set(&worker->listeners, worker->start->listen_fds, worker->start->listen_count);
}

static void worker_deinit(struct worker *worker)
{
	conns_deinit(&worker->conns);
	listeners_deinit(&worker->listeners);
	table_watch_deinit(&worker->table);
	session_free(worker->session);
	ev_signal_stop(worker->loop, &worker->terminate);
	ev_loop_destroy(worker->loop);
	config_free(worker->config);
}

int worker_run(const struct child_start *start)
{
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return 1;
	enum err err = worker_init(worker, start);
	if (err != ERR_OK) {
		log_event(&worker->log, LOG_LEVEL_ERROR, "cannot start: %s",
			err == ERR_NOMEM ? "out of memory" : "the system gives no descriptors");
		return 1;
	}
	worker_watch(worker);
	ev_run(worker->loop, 0);
	worker_deinit(worker);
	free(worker);
	return 0;
}

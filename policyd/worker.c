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

#include "policy/engine/dns_stack.h"
#include "policyd/cache_watch.h"
#include "policyd/conn.h"
#include "policyd/decision_log.h"
#include "policyd/listener.h"
#include "policyd/registry_watch.h"
#include "policyd/table_watch.h"

#define WORKER_MAGIC 0x776f726bU
/* standard ones, loop, table, register, cache, log, reserve, channel, a file being read */
#define OWN_DESCRIPTORS 20
#define VERDICT_POLL_S  0.02 /* while table and register were not walked yet */
#define DRAIN_MAX_S     5.

struct pending;

struct worker {
	unsigned magic;
	const struct child_start *start;
	struct worker_slot *slot;
	struct config *config;
	struct log log;
	struct ev_loop *loop;
	struct session *session;
	struct table_watch table;
	struct registry_watch registry;
	struct dns_stack dns;
	struct cache_watch cache;
	struct listeners listeners;
	struct conns conns;
	struct pending *spare; /* for the next request that may have to wait */
	ev_timer tick, verdict_poll, drain_end;
	ev_signal terminate;
	ev_io reload;
	struct session_answer answer;
};

/* A request whose answer comes later. */
struct pending {
	struct worker *worker;
	struct conn *conn;
	struct inquiry *inquiry;
	int64_t begun_ns;
};

static struct worker *worker_of(void *data)
{
	struct worker *worker = data;
	assert(worker->magic == WORKER_MAGIC);
	return worker;
}

struct descriptor_plan worker_plan_descriptors(const struct config *config, size_t listen_count)
{
	struct descriptor_plan plan = {config->max_connections,
		config->lockdown.is_enabled ? config->dns_max_in_flight : 0};
	struct rlimit limit;
	/* Twice the listeners: at a reload the new ones arrive before the old ones are closed. */
	size_t own = OWN_DESCRIPTORS + 2 * listen_count, left;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return plan;
	left = limit.rlim_cur > own + 1 ? (size_t)limit.rlim_cur - own : 2;
	if (left >= (size_t)plan.connections + plan.in_flight)
		return plan;
	if (plan.in_flight > left / 4)
		plan.in_flight = left / 4 ? (unsigned)(left / 4) : 1;
	left -= plan.in_flight;
	if (plan.connections > left)
		plan.connections = left ? (unsigned)left : 1;
	return plan;
}

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t worker_unix_s(void *ctx)
{
	return (int64_t)ev_now(worker_of(ctx)->loop);
}

static int64_t worker_steady_ms(void *ctx)
{
	(void)ctx;
	return clock_ns() / 1000000;
}

static void worker_prepare(void *ctx);

static struct session_parts worker_parts(struct worker *worker)
{
	return (struct session_parts){.settings = &worker->config->settings,
		.replies = &worker->config->replies,
		.authz = worker->table.authz,
		.registry = worker->registry.registry,
		.txt = worker->dns.txt,
		.deadline_ms = worker->config->dns_deadline_ms,
		.loop = worker->loop,
		.clock = {worker_unix_s, worker_steady_ms, worker},
		.prepare = worker_prepare,
		.prepare_ctx = worker};
}

static void worker_follow_data(struct worker *worker)
{
	struct session_parts parts = worker_parts(worker);
	session_configure(worker->session, &parts);
	session_trust_table(worker->session, worker->table.trust);
	session_trust_registry(worker->session, worker->registry.trust);
}

/* Before each decision, also one that waited for the DNS. */
static void worker_prepare(void *ctx)
{
	struct worker *worker = worker_of(ctx);
	bool is_new_table = table_watch_update(&worker->table);
	bool is_new_register = registry_watch_update(&worker->registry);
	if (is_new_table || is_new_register)
		worker_follow_data(worker);
}

/* What follows each decision. begun_ns 0: not measured. */
static void worker_on_decision(struct worker *worker, const struct request *request,
	const struct session_answer *answer, int64_t begun_ns)
{
	enum log_decisions which = worker->config->log_decisions;
	if (answer->verdict->reason == REASON_TABLE_DAMAGED)
		table_watch_on_damage(&worker->table);
	if (answer->verdict->reason == REASON_REGISTER_DAMAGED)
		registry_watch_on_damage(&worker->registry);
	if (begun_ns && decision_log_is_on(&worker->log, which))
		decision_log_write(&worker->log, which, request, answer, clock_ns() - begun_ns);
}

static void worker_on_later(
	void *ctx, const struct request *request, const struct session_answer *answer)
{
	struct pending pending = *(struct pending *)ctx;
	free(ctx);
	worker_on_decision(pending.worker, request, answer, pending.begun_ns);
	conn_answer(pending.conn, (struct text){answer->reply, answer->reply_len});
}

static void worker_cancel(void *ctx, void *later)
{
	struct pending *pending = later;
	(void)ctx;
	session_cancel(pending->inquiry);
	free(pending);
}

static size_t worker_answer(void *ctx, struct conn *conn, const struct request *request,
	char out[REPLY_MAX], void **later)
{
	struct worker *worker = worker_of(ctx);
	struct session_answer *answer = &worker->answer;
	int64_t begun_ns =
		decision_log_is_on(&worker->log, worker->config->log_decisions) ? clock_ns() : 0;

	if (!worker->spare)
		worker->spare = malloc(sizeof(*worker->spare));
	struct session_later waiter = {worker_on_later, worker->spare};
	struct inquiry *inquiry =
		session_ask(worker->session, request, worker->spare ? &waiter : NULL, answer);
	if (inquiry) {
		*worker->spare = (struct pending){worker, conn, inquiry, begun_ns};
		*later = worker->spare;
		worker->spare = NULL;
		return 0;
	}
	worker_on_decision(worker, request, answer, begun_ns);
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
	registry_watch_tick(&worker->registry);
	cache_watch_tick(&worker->cache, worker->config);
}

static void worker_accept(struct worker *worker)
{
	worker_prepare(worker);
	listeners_start(&worker->listeners);
	atomic_store(&worker->slot->is_accepting, true);
}

static void worker_on_verdict_poll(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)events;
	struct worker *worker = worker_of(watcher->data);
	struct shared *shared = worker->start->shared;
	if (table_verdict_of(atomic_load(&shared->table)) == VERDICT_PENDING ||
		table_verdict_of(atomic_load(&shared->registry)) == VERDICT_PENDING)
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
	struct config *config = worker->config;
	log_init(&worker->log, config->log_target, config->log_format, config->log_level,
		worker->start->name);
	struct descriptor_plan plan = worker_plan_descriptors(config, listen_count);
	worker->conns.max = plan.connections;
	if (plan.in_flight > 0)
		worker->config->dns_max_in_flight = plan.in_flight;
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
	const struct txt_source *old_txt = worker->dns.txt;
	worker->config = config;
	worker_configure(worker, count);
	if (dns_stack_configure(&worker->dns, config) != ERR_OK)
		log_event(&worker->log, LOG_LEVEL_ERROR,
			"[dns] resolv_conf cannot be read, or out of memory: %s",
			worker->dns.txt ? "the DNS options stay as they were"
					: "until the next reload lockdown defers what it would "
					  "have to ask, as dns-limited");
	if (worker->dns.txt != old_txt)
		cache_watch_begin(&worker->cache);
	worker_follow_data(worker);
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
	worker->registry = (struct registry_watch){.shared = start->shared,
		.state_dir = start->state_dir,
		.map_mb = start->register_max_mb,
		.log = &worker->log,
		.trust = REGISTRY_DAMAGED};
	worker_configure(worker, start->listen_count);
	worker->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!worker->loop)
		return ERR_NOMEM;
	uint32_t salt;
	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return ERR_IO;
	worker->dns.cache_dir = start->cache_dir;
	worker->dns.cache_max_mb = start->cache_max_mb;
	worker->cache = (struct cache_watch){.dns = &worker->dns, .log = &worker->log};
	enum err err = dns_stack_open(&worker->dns, worker->config, worker->loop, &worker->log);
	if (err != ERR_OK)
		return err;
	cache_watch_begin(&worker->cache);
	struct session_parts parts = worker_parts(worker);
	err = session_new(&worker->session, &parts, salt);
	if (err != ERR_OK)
		return err;
	session_trust_table(worker->session, TABLE_DAMAGED);
	session_trust_registry(worker->session, REGISTRY_DAMAGED);

	worker->conns.loop = worker->loop;
	worker->conns.log = &worker->log;
	worker->conns.answer = worker_answer;
	worker->conns.cancel = worker_cancel;
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
	registry_watch_deinit(&worker->registry);
	session_free(worker->session);
	free(worker->spare);
	dns_stack_close(&worker->dns);
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
			err == ERR_NOMEM
				? "out of memory"
				: "the system gives no descriptors or no random numbers, or [dns] "
				  "resolv_conf cannot be read");
		return 1;
	}
	worker_watch(worker);
	ev_run(worker->loop, 0);
	worker_deinit(worker);
	free(worker);
	return 0;
}

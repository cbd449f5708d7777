/*
 * The keeper's loop. See keeper.h.
 */
#include "policyd/keeper.h"

#include <ev.h>
#include <unistd.h>

#include "policyd/channel.h"
#include "policyd/table_check.h"

struct keeper {
	const struct child_start *start;
	struct config *config;
	struct log log;
	struct table_check check;
	ev_timer tick;
	ev_signal terminate;
	ev_io reload;
};

static void keeper_configure(struct keeper *keeper)
{
	const struct config *config = keeper->config;
	log_init(&keeper->log, config->log_target, config->log_format, config->log_level,
		keeper->start->name);
}

static void keeper_on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	struct keeper *keeper = watcher->data;
	table_check_tick(&keeper->check);
}

static void keeper_on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void keeper_on_reload(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)events;
	struct keeper *keeper = watcher->data;
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	uint32_t generation;
	enum err err = channel_receive(watcher->fd, &generation, fds, &count);
	if (err == ERR_BUSY)
		return;
	if (err != ERR_OK) {
		/* The supervisor is gone, and its end comes as SIGTERM. */
		ev_io_stop(loop, watcher);
		return;
	}
	struct config *config = NULL;
	if (child_read_config(keeper->start, &keeper->log, &config) != ERR_OK)
		return;
	config_free(keeper->config);
	keeper->config = config;
	keeper_configure(keeper);
}

int keeper_run(const struct child_start *start)
{
	struct keeper keeper = {.start = start, .config = start->config};
	keeper_configure(&keeper);
	keeper.check = (struct table_check){.shared = start->shared,
		.state_dir = start->state_dir,
		.map_mb = start->table_max_mb,
		.log = &keeper.log};
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!loop) {
		log_event(&keeper.log, LOG_LEVEL_ERROR, "cannot start: no event loop");
		return 1;
	}
	ev_timer_init(&keeper.tick, keeper_on_tick, 0., 1.);
	ev_signal_init(&keeper.terminate, keeper_on_terminate, SIGTERM);
	ev_io_init(&keeper.reload, keeper_on_reload, start->channel, EV_READ);
	keeper.tick.data = keeper.reload.data = &keeper;
	ev_timer_start(loop, &keeper.tick);
	ev_signal_start(loop, &keeper.terminate);
	ev_io_start(loop, &keeper.reload);
	ev_run(loop, 0);
	table_check_deinit(&keeper.check);
	ev_signal_stop(loop, &keeper.terminate);
	ev_loop_destroy(loop);
	config_free(keeper.config);
	return 0;
}

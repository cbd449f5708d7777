/*
 * Accepting, and what to do without room. See listener.h.
 */
#include "policyd/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policyd/peer.h"

#define WARN_EVERY_S 60

static void listeners_watch(struct listeners *listeners)
{
	bool wanted = listeners->is_running && !listeners->is_paused && !listeners->is_starved;
	for (size_t i = 0; i < listeners->count; i++) {
		if (wanted)
			ev_io_start(listeners->conns->loop, &listeners->at[i].readable);
		else
			ev_io_stop(listeners->conns->loop, &listeners->at[i].readable);
	}
}

static void listeners_warn(struct listeners *listeners, const char *what)
{
	const struct conns *conns = listeners->conns;
	if (listeners->warned_at && conns->tick + 1 - listeners->warned_at < WARN_EVERY_S)
		return;
	listeners->warned_at = conns->tick + 1;
	log_event(conns->log, LOG_LEVEL_WARNING, "%s (%u connections of at most %u)", what,
		conns->count, conns->max);
}

/* Whether one more connection fits, be it in the place of an idle one. */
static bool listeners_make_room(struct listeners *listeners)
{
	struct conns *conns = listeners->conns;
	if (conns->count < conns->max)
		return true;
	listeners_warn(listeners,
		"max_connections is reached: closing idle connections for new ones; "
		"raise [policyd] max_connections and the limit of open files");
	/* Evicting calls listeners_on_room, which is harmless here. */
	if (conns_evict(conns))
		return true;
	listeners->is_paused = true;
	listeners_watch(listeners);
	return false;
}

/* EMFILE or ENFILE: takes the waiting connection with the reserve descriptor and lets go of it.
 * Returns after one: Linux says EMFILE before EAGAIN, so a loop until EAGAIN would never end. */
static void listeners_shed(struct listeners *listeners, int fd)
{
	listeners_warn(listeners, "no file descriptor left: raise the limit of open files");
	if (conns_evict(listeners->conns))
		return;
	if (listeners->reserve >= 0) {
		close(listeners->reserve);
		int shed = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (shed >= 0)
			close(shed);
		listeners->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (listeners->reserve < 0) {
		listeners->is_starved = true;
		listeners_watch(listeners);
	}
}

static void listeners_on_error(struct listeners *listeners, int fd, int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
		listeners_shed(listeners, fd);
		break;
	case ENOBUFS:
	case ENOMEM:
		listeners_warn(listeners, "the system has no memory for a connection");
		listeners->is_starved = true;
		listeners_watch(listeners);
		break;
	default:
		/* Another worker was faster, or the client is gone already. */
		break;
	}
}

static void listener_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	struct listeners *listeners = watcher->data;
	bool is_tcp = ((struct listener *)watcher)->is_tcp;
	if (!listeners_make_room(listeners))
		return;
	int fd = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		listeners_on_error(listeners, watcher->fd, errno);
	else if (conns_add(listeners->conns, fd, is_tcp) != ERR_OK)
		listeners_warn(listeners, "out of memory for a connection");
}

enum err listeners_init(struct listeners *listeners, struct conns *conns)
{
	*listeners = (struct listeners){.conns = conns};
	listeners->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return listeners->reserve < 0 ? ERR_IO : ERR_OK;
}

static void listeners_close(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		ev_io_stop(listeners->conns->loop, &listeners->at[i].readable);
		close(listeners->at[i].readable.fd);
	}
	listeners->count = 0;
}

void listeners_set(struct listeners *listeners, const int *fds, size_t count)
{
	listeners_close(listeners);
	for (size_t i = 0; i < count; i++) {
		struct listener *listener = &listeners->at[i];
		ev_io_init(&listener->readable, listener_on_readable, fds[i], EV_READ);
		listener->readable.data = listeners;
		listener->is_tcp = peer_is_tcp(fds[i]);
	}
	listeners->count = count;
	listeners_watch(listeners);
}

void listeners_start(struct listeners *listeners)
{
	listeners->is_running = true;
	listeners_watch(listeners);
}

void listeners_on_room(struct listeners *listeners)
{
	if (!listeners->is_paused)
		return;
	listeners->is_paused = false;
	listeners_watch(listeners);
}

void listeners_on_tick(struct listeners *listeners)
{
	if (listeners->reserve < 0)
		listeners->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (listeners->reserve >= 0)
		listeners->is_starved = false;
	/* A connection that was busy may be idle by now, and so make room. */
	listeners->is_paused = false;
	listeners_watch(listeners);
}

void listeners_deinit(struct listeners *listeners)
{
	listeners->is_running = false;
	listeners_close(listeners);
	if (listeners->reserve >= 0)
		close(listeners->reserve);
	listeners->reserve = -1;
}

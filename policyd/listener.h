/*
 * A worker's listening sockets: accepts, and knows what to do when there is no room for more.
 *
 * The sockets are bound elsewhere and shared with the other workers; so one connection is accepted
 * per wakeup, or one worker would take them all. No room (max_connections): an idle connection is
 * closed for the new one, and when all are busy nothing is accepted until one ends. No descriptor
 * left (EMFILE): a reserve descriptor is given up to take the connection and close it, so that the
 * loop neither spins nor hangs.
 */
#ifndef POLICYD_LISTENER_H
#define POLICYD_LISTENER_H

#include "policyd/channel.h"
#include "policyd/conn.h"

struct listener {
	ev_io readable;
	bool is_tcp;
};

struct listeners {
	struct conns *conns;
	int reserve; /* -1: could not be opened again yet */
	bool is_running;
	bool is_paused;     /* no room; a connection that ends resumes it */
	bool is_starved;    /* the system has no descriptors or memory; the next tick resumes it */
	uint64_t warned_at; /* tick of the last warning, + 1 */
	size_t count;
	struct listener at[CHANNEL_FDS_MAX];
};

/* ERR_IO: no descriptor to reserve. */
POLICY_CHECKED enum err listeners_init(struct listeners *listeners, struct conns *conns);

/* Replaces the sockets by these (at most CHANNEL_FDS_MAX, non-blocking), which are its own from now
 * on. */
void listeners_set(struct listeners *listeners, const int *fds, size_t count);

void listeners_start(struct listeners *listeners);
/* A connection ended, or a second passed: whatever held accepting back may be over. */
void listeners_on_room(struct listeners *listeners);
void listeners_on_tick(struct listeners *listeners);
/* Closes all of them. */
void listeners_deinit(struct listeners *listeners);

#endif

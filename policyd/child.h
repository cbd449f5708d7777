/*
 * What a forked worker or keeper starts with, and how it reads its configuration again.
 *
 * The supervisor fills it just before fork(2). Nothing here is shared afterwards except `shared`.
 */
#ifndef POLICYD_CHILD_H
#define POLICYD_CHILD_H

#include "policy/engine/config.h"
#include "policyd/shared.h"

struct child_start {
	const char *name;      /* "worker 1", for the log */
	struct config *config; /* the child's own from now on */
	const struct config_source *source;
	const char *state_dir, *cache_dir; /* these stay what they were when the daemon started */
	unsigned table_max_mb, register_max_mb, cache_max_mb;
	struct shared *shared;
	unsigned slot; /* a worker's place in shared->workers */
	int channel;
	const int *listen_fds; /* likewise the child's own */
	size_t listen_count;
	int control_fd; /* the control socket, listening: the keeper's; -1: there is none */
};

/* Reads the configuration again; each error goes to log. */
POLICY_CHECKED enum err child_read_config(
	const struct child_start *start, struct log *log, struct config **out);

#endif

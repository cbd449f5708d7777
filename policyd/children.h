/*
 * The supervisor's processes: forked, watched, started again when they die.
 *
 * A process that dies is back at once; one that dies within a second of its start, again and again,
 * comes back ever later (at most RESTART_MAX_MS), so that a fault at start does not become a fork
 * loop. Knows nothing of sockets but their descriptors.
 */
#ifndef POLICYD_CHILDREN_H
#define POLICYD_CHILDREN_H

#include <sys/types.h>

#include "policyd/child.h"

#define RESTART_MAX_MS 5000

struct child {
	pid_t pid; /* 0: not running */
	int channel;
	bool is_keeper;
	unsigned slot;
	char name[24];
	int64_t started_ms;
	unsigned instant_deaths;
	int64_t start_at_ms; /* while it is not running */
};

struct children {
	struct log *log;
	struct shared *shared;
	size_t count;
	struct child at[1 + WORKERS_MAX]; /* the keeper first */
};

/* A keeper and `workers` workers, none of them running yet. */
void children_init(
	struct children *children, struct shared *shared, unsigned workers, struct log *log);

/* Starts those that are due. `start` lacks name, slot and channel. generation: what the workers
 * start with. Returns the milliseconds until the next is due, -1: none waits. */
int64_t children_start_due(
	struct children *children, const struct child_start *start, uint32_t generation);

/* Collects the dead. is_stopping: they are expected and do not come back. */
void children_reap(struct children *children, bool is_stopping);

void children_signal(const struct children *children, int signal_number);
size_t children_running(const struct children *children);

/* Tells all of a reload. */
void children_reload(
	const struct children *children, uint32_t generation, const int *fds, size_t fd_count);

/* Milliseconds of a steady clock. */
int64_t children_clock_ms(void);

#endif

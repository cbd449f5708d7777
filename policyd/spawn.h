/*
 * Another program, in a session of its own, watched through a pidfd.
 *
 * No shell, no descriptors but the three given, default signals, the environment given and nothing
 * else. Knows nothing of what the program is for.
 */
#ifndef POLICYD_SPAWN_H
#define POLICYD_SPAWN_H

#include <sys/types.h>

#include "policy/core/base.h"

struct spawned {
	pid_t pid; /* leader of its process group */
	int pidfd; /* readable when it has ended */
};

/* argv[0] is the path; argv and envp end with NULL. fds become 0, 1, 2 and stay the caller's; -1 is
 * /dev/null. A program that cannot be started exits with SPAWN_FAILED. ERR_IO: errno tells. */
#define SPAWN_FAILED 127
POLICY_CHECKED enum err spawn_start(
	struct spawned *out, const char *const *argv, const char *const *envp, const int fds[3]);
/* To the whole group. */
void spawn_signal(const struct spawned *spawned, int signal_number);
/* Kills what is left of the group (all of it, where pidfd is not readable yet), waits for the end,
 * closes pidfd; the status of wait(2). */
int spawn_reap(struct spawned *spawned);

#endif

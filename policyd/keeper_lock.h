/*
 * One keeper a state_dir: the one that holds state_dir/keeper.lock writes, runs hooks and serves the
 * control socket.
 *
 * The lock is the kernel's (flock) and goes with the process; what stands in the file only tells the
 * next one who holds it. Knows nothing of what is kept apart by it.
 */
#ifndef POLICYD_KEEPER_LOCK_H
#define POLICYD_KEEPER_LOCK_H

#include "policy/core/base.h"
#include "policy/engine/log.h"

struct keeper_lock {
	const char *state_dir;
	struct log *log;

	/* private to keeper_lock.c */
	int fd;         /* of the lock that is held, else -1 */
	unsigned tries; /* that failed, in a row */
};

void keeper_lock_init(struct keeper_lock *lock, const char *state_dir, struct log *log);
/* True: held, since now or before. False: another process has it, or it cannot be made; logged the
 * second time in a row, for the keeper before may be about to end. */
bool keeper_lock_take(struct keeper_lock *lock);
void keeper_lock_deinit(struct keeper_lock *lock);

#endif

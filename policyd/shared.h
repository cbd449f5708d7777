/*
 * The memory that supervisor, workers and keeper share: how far each worker is, and the keeper's
 * word on the table and on the ownership register.
 *
 * Anonymous and mapped before the first fork, so it is the same for all of them. Only atomics in
 * it: a process that is killed at any moment leaves nothing half written.
 */
#ifndef POLICYD_SHARED_H
#define POLICYD_SHARED_H

#include <stdatomic.h>

#include "policy/core/base.h"

#define WORKERS_MAX 256 /* as many as the option `workers` allows */

enum table_verdict {
	VERDICT_PENDING, /* nobody has walked it yet: do not read it */
	VERDICT_TRUSTED,
	VERDICT_DAMAGED, /* do not read it, do not even map it */
	VERDICT_NONE, /* there was none when the keeper looked; one that comes up was checked by its
			 loader (the register: is new) */
};

struct worker_slot {
	_Alignas(64) _Atomic bool is_accepting;
	_Atomic uint32_t generation; /* the last reload it has taken over */
};

struct shared {
	_Alignas(64) _Atomic uint64_t table; /* epoch << 2 | enum table_verdict; keeper writes */
	_Atomic uint64_t registry;           /* the same of the register */
	_Atomic uint32_t verify_wanted;   /* grows with every wish to have the table walked again */
	_Atomic uint32_t registry_wanted; /* the same of the register */
	struct worker_slot workers[WORKERS_MAX];
};

/* NULL: out of memory. Lives as long as the process. */
struct shared *shared_new(void);

static inline enum table_verdict table_verdict_of(uint64_t word)
{
	return (enum table_verdict)(word & 3);
}

/* Publishes a verdict in shared->table or shared->registry, under a new epoch: whoever has that
 * database open opens it again. */
void shared_set_verdict(_Atomic uint64_t *word, enum table_verdict verdict);

#endif

/*
 * The shared memory of the daemon's processes. See shared.h.
 */
#include "policyd/shared.h"

#include <sys/mman.h>

struct shared *shared_new(void)
{
	void *map = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return map == MAP_FAILED ? NULL : map;
}

void shared_set_verdict(_Atomic uint64_t *word, enum table_verdict verdict)
{
	uint64_t epoch = (atomic_load(word) >> 2) + 1;
	atomic_store(word, epoch << 2 | (uint64_t)verdict);
}

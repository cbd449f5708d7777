/*
 * The keeper's watch over the ownership register: opens it for writing once it was walked, makes it
 * where there never was one, says in shared memory whether it may be read.
 *
 * A walk is due at the start, when the file was replaced, went back to what it was before, shrank,
 * or changed while it was damaged, and when somebody wishes for one. A register that is damaged is
 * closed and stays so until its file changes or a walk, one a minute, finds it whole; one that
 * cannot be read is tried again more often. One that is gone is damaged. Knows nothing of claims.
 */
#ifndef POLICYD_REGISTRY_CHECK_H
#define POLICYD_REGISTRY_CHECK_H

#include "policy/data/registry.h"
#include "policy/engine/log.h"
#include "policyd/shared.h"
#include "policyd/walk.h"

struct registry_check {
	struct shared *shared;
	const char *state_dir;
	unsigned map_mb;
	struct log *log;
	struct ev_loop *loop;
	void (*on_opened)(void *ctx);  /* registry is set */
	void (*on_closing)(void *ctx); /* registry ends with this call: let go of it */
	void *ctx;
	bool may_write;            /* false: walks and tells, and opens nothing */
	struct registry *registry; /* open for writing; NULL: damaged, or cannot be opened */
	bool went_back; /* what was open last was put back to an older one; the owner resets it */

	/* private to registry_check.c */
	struct walk walk;
	bool walks_replaced; /* the file is not the one before, which the walk is about */
	bool is_walked;
	uint32_t wanted; /* shared->registry_wanted as of the last walk */
	struct file_print print;
	struct registry_numbers numbers; /* of what was open last */
	bool could_write;                /* may_write as of the last try to open it */
	bool was_made;                   /* as of when it was found damaged */
	bool is_unreadable;    /* the last walk could not read it, which is not its fault */
	unsigned walked_ticks; /* since that walk began */
	unsigned ticks;
	char complaint[REGISTRY_ERROR_MAX]; /* what was logged last, so that it is said once */
};

/* Once at the start and then once a second. */
void registry_check_tick(struct registry_check *check);
/* on_closing is called where it is open. */
void registry_check_deinit(struct registry_check *check);

#endif

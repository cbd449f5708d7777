/*
 * The keeper's watch over the table: when it must be walked again, and what came out.
 *
 * A walk is due at the start, after each load, merge or rollback (the sequence moved), when the
 * file was replaced, shrank, or changed while it was not trusted, and when somebody wishes for one;
 * of one that is damaged or cannot be read also from time to time.
 * Knows nothing of requests. A walk that could not happen (out of memory) changes no verdict and is
 * tried again.
 */
#ifndef POLICYD_TABLE_CHECK_H
#define POLICYD_TABLE_CHECK_H

#include "policy/data/authz.h"
#include "policy/engine/log.h"
#include "policyd/shared.h"
#include "policyd/walk.h"

struct table_check {
	struct shared *shared;
	const char *state_dir;
	unsigned map_mb;
	struct log *log;
	struct ev_loop *loop;

	/* private to table_check.c */
	struct walk walk;
	bool walks_replaced; /* the file is not the one before, which the walk is about */
	struct authz *authz; /* open while the table is trusted */
	uint64_t sequence;   /* of the table that was walked last */
	uint32_t wanted;     /* shared->verify_wanted as of the last walk */
	struct file_print print;
	bool is_walked;
	bool is_unreadable;    /* the last walk could not read it, which is not its fault */
	unsigned walked_ticks; /* since that walk began */
	unsigned ticks;
	char complaint[AUTHZ_ERROR_MAX]; /* what was logged last, so that it is said once */
};

/* Once at the start and then once a second. A walk goes on between the calls. */
void table_check_tick(struct table_check *check);
void table_check_deinit(struct table_check *check);

#endif

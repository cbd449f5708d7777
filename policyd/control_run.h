/*
 * policyctl, run as policyd's user for somebody else: its command line, environment and end.
 *
 * Knows nothing of roles: who calls has asked. The program sees the three descriptors, a session of
 * its own, and of the environment only what is made here.
 */
#ifndef POLICYD_CONTROL_RUN_H
#define POLICYD_CONTROL_RUN_H

#include <ev.h>

#include "policy/engine/control.h"
#include "policyd/spawn.h"

#define CONTROL_KILL_AFTER_S 5.
/* A run that waits, for its input or for somebody to read what it prints, keeps a place here and
 * holds what it reads of table and register, whose files grow meanwhile. */
#define CONTROL_RUN_MAX_S 600.

/* What the daemon knows of itself; borrowed. */
struct control_run_options {
	const char *config_path; /* -c; NULL: none */
	const char *const *overrides;
	size_t override_count;
};

struct control_run {
	struct ev_loop *loop;
	void (*on_end)(struct control_run *run, int status); /* of wait(2); once */
	void *owner;

	/* private to control_run.c */
	bool is_running, is_overdue;
	struct spawned spawned;
	ev_io ended;
	ev_timer kill_later, limit;
};

/* words: policyctl's command line from the command on, without NUL bytes. fds stay the caller's.
 * term: of the caller's terminal, may be empty. ERR_NOMEM, ERR_IO: errno tells. */
struct control_run_order {
	const struct text *words;
	size_t count;
	const int *fds;   /* CONTROL_FDS of them */
	uid_t uid;        /* on whose behalf */
	const char *user; /* its login name */
	struct text term;
};
POLICY_CHECKED enum err control_run_start(struct control_run *run,
	const struct control_run_options *options, const struct control_run_order *order);
/* Nobody waits for it any more: SIGTERM to its group, SIGKILL after CONTROL_KILL_AFTER_S. on_end
 * still comes. */
void control_run_end(struct control_run *run);
/* SIGTERM and no more: for the daemon's own end. No callback. */
void control_run_abandon(struct control_run *run);

#endif

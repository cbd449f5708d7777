/*
 * What control.c and control_command.c share: the server, and one visit of a client.
 */
#ifndef POLICYD_CONTROL_VISIT_H
#define POLICYD_CONTROL_VISIT_H

#include "policyd/control.h"
#include "policyd/control_client.h"
#include "policyd/control_run.h"

#define VISIT_WHAT_MAX 256
#define VISIT_USER_MAX (REGISTRY_ACTOR_MAX + 1)

struct visit {
	struct control_server *server;
	struct visit *next, **link;
	struct control_client *client;
	bool is_looking; /* `look` waits */
	struct prover_look look;
	struct control_run run;
	char user[VISIT_USER_MAX];  /* login name of its uid, as it may stand in the log */
	char asker[VISIT_USER_MAX]; /* for whom `look` is, where it said so, likewise */
	char what[VISIT_WHAT_MAX];  /* the command line that runs, likewise */
};

struct control_server {
	struct control_parts parts;
	struct control_client_parts client_parts;
	struct control_message scratch, answer;
	ev_io acceptable;
	ev_timer second;
	struct visit *visits;
	size_t count;
	unsigned lines, lines_left_out; /* of the log, this second */
	bool has_followed;              /* this second */
};

/* One request. Answers, now or later. */
void visit_command(struct visit *visit, const struct control_message *message);
/* Nobody waits for the answer any more. False: something still has to end, and visit_close is
 * called then. */
bool visit_abandon(struct visit *visit);
/* A look that waits, when its prover goes. */
void visit_cancel_look(struct visit *visit);
void visit_close(struct visit *visit);

/* What strangers cause must not fill the disk: false when there were many lines this second. */
bool control_may_log(struct control_server *server);

#endif

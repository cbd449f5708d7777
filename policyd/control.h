/*
 * The control socket's side of the keeper: accepts, knows who asks (SO_PEERCRED, SO_PEERGROUPS),
 * lets roles.c say whether they may, and answers.
 *
 * Bounded: CONTROL_CLIENTS_MAX clients, CONTROL_CLIENTS_PER_UID of anybody but root and policyd's
 * user, who have places beyond them; one request a time each, ten seconds for a request to arrive,
 * ten minutes for a command. Never over inet. Whatever goes
 * wrong with a client ends that client.
 */
#ifndef POLICYD_CONTROL_H
#define POLICYD_CONTROL_H

#include <ev.h>

#include "policy/engine/prover.h"

#define CONTROL_CLIENTS_MAX     64
#define CONTROL_CLIENTS_PER_UID 16
#define CONTROL_MASTERS_MORE    16 /* beyond CONTROL_CLIENTS_MAX: root and policyd's user */

struct control_server;

/* Borrowed until the next configure or free. */
struct control_parts {
	struct ev_loop *loop;
	struct log *log;
	const struct config *config;
	struct prover *prover;        /* NULL: no proof can be looked for now */
	const char *config_path;      /* of the daemon's -c, NULL: none; for `run` */
	const char *const *overrides; /* of its -o; for `run` */
	size_t override_count;
	/* Audit lines may have been written; at most once a second. */
	void (*on_follow)(void *ctx);
	void *ctx;
};

/* listen_fd: bound, listening, non-blocking; the caller's. */
POLICY_CHECKED enum err control_server_new(
	struct control_server **out, const struct control_parts *parts, int listen_fd);
/* Looks for proofs of another prover than the one before are answered with an error: call it with
 * prover NULL before one is freed. */
void control_server_configure(struct control_server *server, const struct control_parts *parts);
/* Ends what is under way: children get SIGTERM. NULL is fine. */
void control_server_free(struct control_server *server);

#endif

/*
 * One client of the control socket: its bytes, descriptors, answer and time.
 *
 * Knows the framing, not what a request means or who may ask. A client that is slow, sends what is
 * no message, or sends more before its answer is cut off. Descriptors that came along are closed
 * here unless somebody uses them, and then too.
 */
#ifndef POLICYD_CONTROL_CLIENT_H
#define POLICYD_CONTROL_CLIENT_H

#include <ev.h>

#include "policy/engine/control.h"
#include "policyd/roles.h"

#define CONTROL_CLIENT_MAX_S 10. /* for a request to arrive, and for an answer to be taken */

struct control_client;

/* What the owner of clients sets and does. */
struct control_client_parts {
	struct ev_loop *loop;
	/* A whole request; `message` is valid during the call. Ends in control_client_answer, now
	 * or later. */
	void (*on_request)(struct control_client *client, const struct control_message *message);
	/* Its connection has ended; while it is busy the owner stops what is under way. Last call:
	 * the owner frees it, now or later. `fault`: what it did wrong, NULL nothing. */
	void (*on_gone)(struct control_client *client, const char *fault);
	struct control_message *scratch; /* one for all of them */
};

struct control_client {
	const struct control_client_parts *parts;
	void *owner;
	struct peer_identity peer;
	int fd;               /* -1: gone */
	bool is_busy;         /* a request is under way */
	int fds[CONTROL_FDS]; /* that came with the request */
	size_t fd_count;

	/* private to control_client.c */
	ev_io readable, writable;
	ev_timer deadline;
	size_t in_len, out_len, out_sent;
	char in[CONTROL_MAX], out[CONTROL_MAX];
};

/* Takes over fd (connected, non-blocking) from now on. NULL: out of memory, fd is closed. */
struct control_client *control_client_new(
	const struct control_client_parts *parts, int fd, const struct peer_identity *peer);
/* Not while it is busy, unless it is gone. */
void control_client_free(struct control_client *client);

/* Sends the answer and waits for the next request. Nothing when it is gone. May end in on_gone. */
void control_client_answer(struct control_client *client, const struct control_message *answer);

/* Descriptors that came along: not needed any more. */
void control_client_close_fds(struct control_client *client);

#endif

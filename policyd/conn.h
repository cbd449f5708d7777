/*
 * Client connections: bytes in, requests out to `answer`, answers back, and every bound on time and
 * memory.
 *
 * Knows the policy protocol's frame, nothing of decisions. A usual request costs one recv and one
 * send: it is read into a scratch buffer that all connections share; a connection has memory of its
 * own only while a request is cut in two or an answer is not taken. Bad bytes and overrun bounds
 * are logged once with the client and close that connection alone.
 *
 * No timer a connection: each stands in the list of its state, oldest first, and a tick a second
 * looks at the heads.
 */
#ifndef POLICYD_CONN_H
#define POLICYD_CONN_H

#include <ev.h>
#include <sys/queue.h>

#include "policy/core/reply.h"
#include "policy/core/request.h"
#include "policy/engine/log.h"

#define CONN_REQUEST_MAX_S 10 /* from a request's first byte to its empty line */
#define CONN_ANSWER_MAX_S  10 /* for the client to take its answers */
#define CONN_BATCH         16 /* requests of one connection before others have their turn */
#define CONN_READ_SIZE     16384

enum conn_state {
	CONN_FRESH,   /* has not asked anything yet */
	CONN_IDLE,    /* between requests */
	CONN_READING, /* part of a request is here */
	CONN_READY,   /* whole requests are here, waiting for their turn */
	CONN_WAITING, /* its answer comes later; nothing is read meanwhile */
	CONN_WRITING, /* an answer is not taken yet; nothing is read meanwhile */
	CONN_STATES_,
};

struct conn;
TAILQ_HEAD(conn_list, conn);

/* All connections of a worker. The worker fills the first part. */
struct conns {
	struct ev_loop *loop;
	struct log *log;
	unsigned max;
	unsigned idle_timeout_s;
	/* Writes the whole answer to out, returns its length. 0: it comes later, by conn_answer
	 * with the connection given here; *later is what `cancel` gets when the connection ends
	 * before. */
	size_t (*answer)(void *ctx, struct conn *conn, const struct request *request,
		char out[REPLY_MAX], void **later);
	void (*cancel)(void *ctx, void *later);
	/* A connection ended. */
	void (*on_closed)(void *ctx);
	void *ctx;

	/* private to conn.c */
	struct conn_list lists[CONN_STATES_];
	unsigned count;
	uint64_t tick; /* seconds of a steady clock */
	bool is_draining;
	ev_idle turn; /* gives CONN_READY connections their next turn */
	char in[CONN_READ_SIZE];
	char out[CONN_BATCH * REPLY_MAX];
};

void conns_init(struct conns *conns);
/* Closes all of them. */
void conns_deinit(struct conns *conns);

/* Takes over a connected, non-blocking socket, closes it when it fails (ERR_NOMEM). */
POLICY_CHECKED enum err conns_add(struct conns *conns, int fd, bool is_tcp);

/* The answer that `answer` said would come later. The connection may be gone after it. */
void conn_answer(struct conn *conn, struct text answer);

/* Closes the connection that will be missed least: one that never asked, else the one idle for
 * longest. False: every connection is in the middle of something. */
bool conns_evict(struct conns *conns);

/* Once a second: ends what is over its time. */
void conns_tick(struct conns *conns);

/* From now on each connection ends once what it asked is answered; idle ones at once. */
void conns_drain(struct conns *conns);

#endif

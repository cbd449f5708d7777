/*
 * One connection's life: receive, cut into requests, answer in order, close. See conn.h.
 *
 * Every path that may close a connection ends with a return: after conn_close the pointer is gone.
 */
#include "policyd/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policyd/buffer.h"
#include "policyd/peer.h"

#define CONN_MAGIC  0x636f6e6eU
#define CONN_IN_MAX (REQUEST_MAX + CONN_READ_SIZE)

struct conn {
	unsigned magic;
	enum conn_state state;
	struct conns *all;
	TAILQ_ENTRY(conn) link;
	uint64_t since; /* tick at which the state began */
	ev_io readable, writable;
	struct request_reader reader;
	struct buffer in;  /* from the first byte of the request under way */
	struct buffer out; /* answers not taken yet */
	size_t out_sent;
	void *later; /* an answer that is waited for; NULL: none */
};

static struct conn *conn_of(const ev_io *watcher)
{
	struct conn *conn = watcher->data;
	assert(conn->magic == CONN_MAGIC);
	return conn;
}

/* Moves to the young end of a state's list; its clock starts anew. */
static void conn_enter(struct conn *conn, enum conn_state state)
{
	struct conns *all = conn->all;
	TAILQ_REMOVE(&all->lists[conn->state], conn, link);
	TAILQ_INSERT_TAIL(&all->lists[state], conn, link);
	conn->state = state;
	conn->since = all->tick;
}

static void conn_close(struct conn *conn)
{
	struct conns *all = conn->all;
	if (conn->later)
		all->cancel(all->ctx, conn->later);
	ev_io_stop(all->loop, &conn->readable);
	ev_io_stop(all->loop, &conn->writable);
	TAILQ_REMOVE(&all->lists[conn->state], conn, link);
	all->count--;
	close(conn->readable.fd);
	buffer_free(&conn->in);
	buffer_free(&conn->out);
	conn->magic = 0;
	free(conn);
	all->on_closed(all->ctx);
}

static void conn_complain(struct conn *conn, const char *what)
{
	char peer[PEER_TEXT_MAX];
	peer_format(conn->readable.fd, peer);
	log_event(conn->all->log, LOG_LEVEL_WARNING, "client %s: %s; closing its connection", peer,
		what);
}

static void conn_give_up(struct conn *conn, const char *why)
{
	conn_complain(conn, why);
	conn_close(conn);
}

/* What one recv brought: >0 bytes, 0 nothing now, <0 the connection is over. */
static ssize_t conn_receive(struct conn *conn, char *room, size_t size)
{
	ssize_t got = recv(conn->readable.fd, room, size, 0);
	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -1;
}

/* Waits for its next turn: not reading until what is here was answered. */
static void conn_wait_turn(struct conn *conn)
{
	struct conns *all = conn->all;
	ev_io_stop(all->loop, &conn->readable);
	conn_enter(conn, CONN_READY);
	ev_idle_start(all->loop, &all->turn);
}

/* Draining, and everything read so far is answered: ends the connection, but what lies in its
 * socket already was asked before and has its turn. */
static void conn_end(struct conn *conn)
{
	struct conns *all = conn->all;
	ssize_t got = conn_receive(conn, all->in, sizeof(all->in));
	if (got <= 0)
		conn_close(conn);
	else if (buffer_keep(&conn->in, (struct text){all->in, (size_t)got}) != ERR_OK)
		conn_give_up(conn, "out of memory");
	else
		conn_wait_turn(conn);
}

/* Everything asked so far is answered and taken. May close. */
static void conn_rest(struct conn *conn)
{
	if (conn->in.len > 0) {
		conn_enter(conn, CONN_READING);
	} else if (conn->all->is_draining) {
		conn_end(conn);
		return;
	} else {
		conn_enter(conn, CONN_IDLE);
	}
	ev_io_start(conn->all->loop, &conn->readable);
}

/* Waits for an answer that comes later: what else it asks stays with the kernel. The kernel goes on
 * watching: few clients say anything meanwhile, and to be taken out and in again is a call of the
 * kernel each. */
static void conn_wait_answer(struct conn *conn)
{
	conn_enter(conn, CONN_WAITING);
}

/* Sends answers. ERR_BUSY: not all was taken, the rest waits in conn->out; ERR_IO: the client is
 * gone. */
static enum err conn_send(struct conn *conn, struct text answers)
{
	struct conns *all = conn->all;
	if (answers.len == 0)
		return ERR_OK;
	ssize_t sent = send(conn->readable.fd, answers.ptr, answers.len, MSG_NOSIGNAL);
	if (sent == (ssize_t)answers.len)
		return ERR_OK;
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return ERR_IO;
	enum err err = buffer_keep(&conn->out, text_tail(answers, sent < 0 ? 0 : (size_t)sent));
	if (err != ERR_OK)
		return err;
	conn->out_sent = 0;
	ev_io_stop(all->loop, &conn->readable);
	ev_io_start(all->loop, &conn->writable);
	return ERR_BUSY;
}

struct round {
	struct text rest; /* bytes not answered */
	size_t out_len;
	unsigned answered;
	bool is_bad;
};

/* Answers up to CONN_BATCH requests of `bytes` into all->out. */
static void conn_answer_round(struct conn *conn, struct text bytes, struct round *round)
{
	struct conns *all = conn->all;
	*round = (struct round){.rest = bytes};
	while (round->rest.len > 0 && round->answered < CONN_BATCH) {
		struct request request;
		size_t used = 0;
		enum request_status status =
			request_read(&conn->reader, round->rest, &request, &used);
		if (status == REQUEST_MORE)
			return;
		if (status == REQUEST_BAD) {
			round->is_bad = true;
			return;
		}
		size_t len = all->answer(
			all->ctx, conn, &request, all->out + round->out_len, &conn->later);
		round->out_len += len;
		round->rest = text_tail(round->rest, used);
		round->answered++;
		conn->reader = (struct request_reader){0};
		if (len == 0)
			return;
	}
}

/* What follows a round whose answers were taken (or wait in conn->out). May close. */
static void conn_after_round(struct conn *conn, const struct round *round, enum err sent)
{
	if (sent == ERR_BUSY)
		conn_enter(conn, CONN_WRITING);
	else if (conn->later)
		conn_wait_answer(conn);
	else if (round->answered == CONN_BATCH && conn->in.len > 0)
		conn_wait_turn(conn);
	else if (round->answered > 0 || conn->state == CONN_READY || conn->state == CONN_WRITING)
		conn_rest(conn);
	else if (conn->state != CONN_READING && conn->in.len > 0)
		conn_enter(conn, CONN_READING);
}

/* `bytes` begin with the request under way: conn->in, or the scratch buffer. May close. */
static void conn_process(struct conn *conn, struct text bytes)
{
	struct round round;
	conn_answer_round(conn, bytes, &round);
	enum err sent = conn_send(conn, (struct text){conn->all->out, round.out_len});
	if (sent == ERR_IO) {
		conn_close(conn);
		return;
	}
	if (sent == ERR_NOMEM) {
		conn_give_up(conn, "out of memory");
		return;
	}
	if (round.is_bad) {
		conn_give_up(conn, request_fault_text(conn->reader.fault));
		return;
	}
	if ((round.rest.len > 0 || conn->in.bytes) &&
		buffer_keep(&conn->in, round.rest) != ERR_OK) {
		conn_give_up(conn, "out of memory");
		return;
	}
	conn_after_round(conn, &round, sent);
}

static void conn_read_whole(struct conn *conn)
{
	struct conns *all = conn->all;
	ssize_t got = conn_receive(conn, all->in, sizeof(all->in));
	if (got < 0)
		conn_close(conn);
	else if (got > 0)
		conn_process(conn, (struct text){all->in, (size_t)got});
}

static void conn_read_more(struct conn *conn)
{
	if (conn->in.len >= CONN_IN_MAX) {
		conn_give_up(conn, request_fault_text(FAULT_REQUEST_LONG));
		return;
	}
	if (buffer_grow(&conn->in) != ERR_OK) {
		conn_give_up(conn, "out of memory");
		return;
	}
	char *room = conn->in.bytes + conn->in.len;
	ssize_t got = conn_receive(conn, room, conn->in.cap - conn->in.len);
	if (got < 0) {
		conn_close(conn);
		return;
	}
	conn->in.len += (size_t)got;
	if (got > 0)
		conn_process(conn, (struct text){conn->in.bytes, conn->in.len});
}

static void conn_read(struct conn *conn)
{
	if (conn->in.len > 0)
		conn_read_more(conn);
	else
		conn_read_whole(conn);
}

static void conn_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct conn *conn = conn_of(watcher);
	(void)events;
	if (conn->state == CONN_WAITING)
		ev_io_stop(loop, watcher);
	else
		conn_read(conn);
}

/* All answers so far are taken. May close. */
static void conn_go_on(struct conn *conn)
{
	if (conn->later)
		conn_wait_answer(conn);
	else if (conn->in.len > 0)
		conn_wait_turn(conn);
	else
		conn_rest(conn);
}

/* The client took some of its answers; once it has them all, it may be heard again. */
static void conn_on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)events;
	struct conn *conn = conn_of(watcher);
	struct text left = {conn->out.bytes + conn->out_sent, conn->out.len - conn->out_sent};
	ssize_t sent = send(watcher->fd, left.ptr, left.len, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_close(conn);
		return;
	}
	conn->out_sent += (size_t)sent;
	if (conn->out_sent < conn->out.len)
		return;
	buffer_free(&conn->out);
	ev_io_stop(loop, &conn->writable);
	conn_go_on(conn);
}

void conn_answer(struct conn *conn, struct text answer)
{
	enum err sent;

	assert(conn->magic == CONN_MAGIC && conn->later);
	conn->later = NULL;
	sent = conn->out.len > 0 ? buffer_add(&conn->out, answer) : conn_send(conn, answer);
	if (sent == ERR_IO)
		conn_close(conn);
	else if (sent == ERR_NOMEM)
		conn_give_up(conn, "out of memory");
	else if (sent == ERR_BUSY || conn->out.len > 0)
		conn_enter(conn, CONN_WRITING);
	else
		conn_go_on(conn);
}

/* Visits the connections that are in a state now, oldest first, until visit returns false. It may
 * end the connection, or move it (behind the last one it is not visited again), but no other. */
static void conns_each(struct conns *conns, enum conn_state state, bool (*visit)(struct conn *conn))
{
	const struct conn *last = TAILQ_LAST(&conns->lists[state], conn_list);
	struct conn *next;
	for (struct conn *conn = TAILQ_FIRST(&conns->lists[state]); conn; conn = next) {
		next = conn == last ? NULL : TAILQ_NEXT(conn, link);
		if (!visit(conn))
			return;
	}
}

static bool conn_visit_close(struct conn *conn)
{
	conn_close(conn);
	return true;
}

static bool conn_visit_turn(struct conn *conn)
{
	conn_process(conn, (struct text){conn->in.bytes, conn->in.len});
	return true;
}

/* One turn for each connection that waits now; those that want another one wait behind them. */
static void conns_on_turn(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)events;
	struct conns *conns = watcher->data;
	conns_each(conns, CONN_READY, conn_visit_turn);
	if (TAILQ_EMPTY(&conns->lists[CONN_READY]))
		ev_idle_stop(loop, watcher);
}

void conns_init(struct conns *conns)
{
	for (size_t i = 0; i < CONN_STATES_; i++)
		TAILQ_INIT(&conns->lists[i]);
	conns->count = 0;
	conns->tick = 0;
	conns->is_draining = false;
	ev_idle_init(&conns->turn, conns_on_turn);
	/* Above the connections' own events: called once in each round of the loop, however busy.
	 */
	ev_set_priority(&conns->turn, EV_MAXPRI);
	conns->turn.data = conns;
}

void conns_deinit(struct conns *conns)
{
	for (enum conn_state state = 0; state < CONN_STATES_; state++)
		conns_each(conns, state, conn_visit_close);
	ev_idle_stop(conns->loop, &conns->turn);
}

enum err conns_add(struct conns *conns, int fd, bool is_tcp)
{
	struct conn *conn = calloc(1, sizeof *conn);
	if (!conn) {
		close(fd);
		return ERR_NOMEM;
	}
	if (is_tcp)
		peer_tune_tcp(fd);
	conn->magic = CONN_MAGIC;
	conn->all = conns;
	conn->state = CONN_FRESH;
	conn->since = conns->tick;
	ev_io_init(&conn->readable, conn_on_readable, fd, EV_READ);
	ev_io_init(&conn->writable, conn_on_writable, fd, EV_WRITE);
	conn->readable.data = conn->writable.data = conn;
	TAILQ_INSERT_TAIL(&conns->lists[CONN_FRESH], conn, link);
	conns->count++;
	ev_io_start(conns->loop, &conn->readable);
	return ERR_OK;
}

/* False: it is within its time, and so are the younger ones of its state. */
static bool conn_visit_overdue(struct conn *conn)
{
	const struct conns *all = conn->all;
	uint64_t waited_s = all->tick - conn->since;
	bool is_idle = conn->state == CONN_FRESH || conn->state == CONN_IDLE;
	if (is_idle && waited_s > all->idle_timeout_s)
		conn_close(conn);
	else if (conn->state == CONN_READING && waited_s > CONN_REQUEST_MAX_S)
		conn_give_up(conn, "sent no whole request within 10 seconds");
	else if (conn->state == CONN_WRITING && waited_s > CONN_ANSWER_MAX_S)
		conn_give_up(conn, "did not take its answers within 10 seconds");
	else
		return false;
	return true;
}

void conns_tick(struct conns *conns)
{
	conns->tick++;
	for (enum conn_state state = 0; state < CONN_STATES_; state++)
		conns_each(conns, state, conn_visit_overdue);
}

/* Closes a connection that has nothing under way; a request that lies in its socket already counts
 * as under way and is answered instead. */
static void conn_read_last(struct conn *conn)
{
	struct conns *all = conn->all;
	ssize_t got = conn_receive(conn, all->in, sizeof(all->in));
	if (got <= 0)
		conn_close(conn);
	else
		conn_process(conn, (struct text){all->in, (size_t)got});
}

/* False: it is gone, which is enough. */
static bool conn_visit_evict(struct conn *conn)
{
	const struct conns *all = conn->all;
	unsigned before = all->count;
	conn_read_last(conn);
	return all->count == before;
}

static bool conn_visit_drain(struct conn *conn)
{
	conn_read_last(conn);
	return true;
}

bool conns_evict(struct conns *conns)
{
	unsigned before = conns->count;
	conns_each(conns, CONN_FRESH, conn_visit_evict);
	if (conns->count == before)
		conns_each(conns, CONN_IDLE, conn_visit_evict);
	return conns->count < before;
}

void conns_drain(struct conns *conns)
{
	conns->is_draining = true;
	conns_each(conns, CONN_FRESH, conn_visit_drain);
	conns_each(conns, CONN_IDLE, conn_visit_drain);
}

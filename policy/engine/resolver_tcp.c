/*
 * The same question by TCP, for an answer that was truncated. See resolver_private.h.
 *
 * Connect, one message out, one message in; the try's timer bounds all of it. Knows no DNS but the
 * two bytes of length. A connection that breaks fails the try; a length past our bounds does so
 * before anything is allocated.
 */
#include "policy/engine/resolver_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DNS_HEADER 12

enum progress { PROGRESS_MORE, PROGRESS_DONE, PROGRESS_BROKEN };

static bool is_for_later(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static void watch(struct resolver_query *query, int events)
{
	struct ev_loop *loop = query->resolver->loop;
	struct tcp_exchange *tcp = query->tcp;

	ev_io_stop(loop, &tcp->io);
	ev_io_set(&tcp->io, tcp->fd, events);
	ev_io_start(loop, &tcp->io);
}

static enum progress send_rest(struct resolver_query *query)
{
	struct tcp_exchange *tcp = query->tcp;
	size_t len = TCP_PREFIX + query->wire_len;
	ssize_t sent = send(tcp->fd, query->wire + tcp->sent, len - tcp->sent, MSG_NOSIGNAL);

	if (sent < 0)
		return is_for_later(errno) ? PROGRESS_MORE : PROGRESS_BROKEN;
	tcp->sent += (size_t)sent;
	return tcp->sent == len ? PROGRESS_DONE : PROGRESS_MORE;
}

static enum progress receive(struct resolver_query *query, uint8_t *at, size_t want)
{
	ssize_t got = recv(query->tcp->fd, at, want, 0);

	if (got < 0)
		return is_for_later(errno) ? PROGRESS_MORE : PROGRESS_BROKEN;
	if (got == 0)
		return PROGRESS_BROKEN;
	query->tcp->have += (size_t)got;
	return (size_t)got == want ? PROGRESS_DONE : PROGRESS_MORE;
}

/* False: no message, or one past our bounds. */
static bool take_length(struct resolver_query *query)
{
	struct tcp_exchange *tcp = query->tcp;

	tcp->body_len = (size_t)tcp->prefix[0] << 8 | tcp->prefix[1];
	if (tcp->body_len > sizeof(tcp->body))
		query->resolver->stat.dropped++;
	return tcp->body_len >= DNS_HEADER && tcp->body_len <= sizeof(tcp->body);
}

static void on_readable(struct resolver_query *query)
{
	struct tcp_exchange *tcp = query->tcp;
	enum progress progress = PROGRESS_DONE;

	if (tcp->have < TCP_PREFIX)
		progress = receive(query, tcp->prefix + tcp->have, TCP_PREFIX - tcp->have);
	if (progress == PROGRESS_DONE) {
		size_t have = tcp->have - TCP_PREFIX;

		if (!take_length(query)) {
			query_fail_try(query, DNS_FAILURE_MALFORMED, 0);
			return;
		}
		progress = receive(query, tcp->body + have, tcp->body_len - have);
	}
	if (progress == PROGRESS_BROKEN) {
		query_fail_try(query, DNS_FAILURE_NETWORK, 0);
	} else if (progress == PROGRESS_DONE) {
		struct text packet = {(const char *)tcp->body, tcp->body_len};

		if (!query_take(query, packet, true))
			query_fail_try(query, DNS_FAILURE_MALFORMED, 0);
	}
}

static void on_tcp(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct resolver_query *query = watcher->data;

	(void)loop;
	if (events & EV_READ) {
		on_readable(query);
		return;
	}
	/* A connection that could not be made shows here, too. */
	switch (send_rest(query)) {
	case PROGRESS_MORE:
		break;
	case PROGRESS_DONE:
		watch(query, EV_READ);
		break;
	case PROGRESS_BROKEN:
		query_fail_try(query, DNS_FAILURE_NETWORK, 0);
		break;
	}
}

static enum opened tcp_new(struct resolver_query *query)
{
	const struct nameserver *server = &query->set->known.list[query->server];
	struct tcp_exchange *tcp = malloc(sizeof(*tcp));
	enum opened opened = OPEN_EXHAUSTED;

	if (tcp)
		opened = socket_open(server, SOCK_STREAM, &tcp->fd);
	if (opened != OPENED) {
		free(tcp);
		return opened;
	}
	tcp->sent = 0;
	tcp->have = 0;
	ev_io_init(&tcp->io, on_tcp, tcp->fd, EV_WRITE);
	tcp->io.data = query;
	query->tcp = tcp;
	return socket_connect(tcp->fd, server);
}

enum opened tcp_begin(struct resolver_query *query)
{
	enum opened opened = query_write(query);

	if (opened == OPENED)
		opened = tcp_new(query);
	if (opened != OPENED)
		return opened;
	query->wire[0] = (uint8_t)(query->wire_len >> 8);
	query->wire[1] = (uint8_t)query->wire_len;
	query->resolver->stat.tcp++;
	ev_io_start(query->resolver->loop, &query->tcp->io);
	return OPENED;
}

void tcp_end(struct resolver_query *query)
{
	ev_io_stop(query->resolver->loop, &query->tcp->io);
	close(query->tcp->fd);
	free(query->tcp);
	query->tcp = NULL;
}

/*
 * The sockets of queries. See resolver_private.h.
 *
 * To make a UDP socket and give it up again costs more than all else of a query, so a try that is
 * over hands its socket on. The port is fresh all the same: connecting to AF_UNSPEC dissolves the
 * association and gives the port back, connecting anew makes the kernel pick another by chance
 * (connect(2), udp(7)). What came for the port of before is thrown away before the next question
 * is asked. An idle socket stays watched, which saves telling the kernel, but does not keep the
 * loop alive. Knows no packet. One that cannot be dissolved or emptied is closed.
 */
#include "policy/engine/resolver_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_MAX       256
#define READS_TO_EMPTY 64

/* Errors of our own machine, in socket(2) and connect(2): EAGAIN and EADDRNOTAVAIL are the lack of
 * a port. */
enum opened socket_error(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EAGAIN:
	case EADDRNOTAVAIL:
		return OPEN_EXHAUSTED;
	default:
		return OPEN_UNREACHABLE;
	}
}

enum opened socket_open(const struct nameserver *server, int type, int *fd)
{
	*fd = socket(server->addr.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return *fd < 0 ? socket_error(errno) : OPENED;
}

enum opened socket_connect(int fd, const struct nameserver *server)
{
	/* Nothing is bound: the kernel picks a fresh port by chance. */
	if (connect(fd, (const struct sockaddr *)&server->addr, server->addr_len) != 0 &&
		errno != EINPROGRESS)
		return socket_error(errno);
	return OPENED;
}

/* Of the sockets that wait for a query, those of this family. */
static struct udp_socket **idle_of(struct resolver *resolver, int family)
{
	return &resolver->idle[family == AF_INET6];
}

/* False: there is no end to it. An error that a packet left behind (ICMP) counts as one. */
static bool is_emptied(int fd)
{
	for (int i = 0; i < READS_TO_EMPTY; i++) {
		uint8_t byte;

		if (recv(fd, &byte, sizeof(byte), 0) < 0 &&
			(errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
	}
	return false;
}

static void on_udp(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct udp_socket *udp = watcher->data;

	(void)loop;
	(void)events;
	/* What another processor was delivering while the port was given back; the rest, if it has
	 * no end, is for the next turn. */
	if (!udp->query)
		(void)is_emptied(udp->fd);
	else
		query_receive(udp->query);
}

static enum opened udp_open(
	struct resolver *resolver, const struct nameserver *server, struct udp_socket **out)
{
	struct udp_socket *udp = calloc(1, sizeof(*udp));
	enum opened opened = OPEN_EXHAUSTED;

	if (udp)
		opened = socket_open(server, SOCK_DGRAM, &udp->fd);
	if (opened != OPENED) {
		free(udp);
		return opened;
	}
	udp->resolver = resolver;
	udp->family = server->addr.ss_family;
	ev_io_init(&udp->io, on_udp, udp->fd, EV_READ);
	udp->io.data = udp;
	ev_io_start(resolver->loop, &udp->io);
	*out = udp;
	return OPENED;
}

static void udp_close(struct udp_socket *udp)
{
	ev_io_stop(udp->resolver->loop, &udp->io);
	close(udp->fd);
	free(udp);
}

/* NULL: there is none. */
static struct udp_socket *take_idle(struct resolver *resolver, int family)
{
	struct udp_socket **first = idle_of(resolver, family);
	struct udp_socket *udp = *first;

	if (!udp)
		return NULL;
	*first = udp->next;
	resolver->idle_count--;
	ev_ref(resolver->loop);
	return udp;
}

/* In flight and idle together are never more descriptors than may be in flight. */
static bool has_room_for_idle(const struct resolver *resolver)
{
	return resolver->idle_count < IDLE_MAX &&
	       resolver->stat.in_flight + resolver->idle_count < resolver->max_in_flight;
}

static void let_idle(struct udp_socket *udp)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct resolver *resolver = udp->resolver;
	struct udp_socket **first = idle_of(resolver, udp->family);

	udp->query = NULL;
	if (!has_room_for_idle(resolver) || connect(udp->fd, &nobody, sizeof(nobody)) != 0) {
		udp_close(udp);
		return;
	}
	udp->next = *first;
	*first = udp;
	resolver->idle_count++;
	ev_unref(resolver->loop);
}

/* An idle one that is empty, or a new one. */
static enum opened udp_find(
	struct resolver *resolver, const struct nameserver *server, struct udp_socket **out)
{
	while ((*out = take_idle(resolver, server->addr.ss_family)) != NULL) {
		if (is_emptied((*out)->fd))
			return OPENED;
		udp_close(*out);
	}
	return udp_open(resolver, server, out);
}

enum opened udp_take(struct resolver_query *query)
{
	const struct nameserver *server = &query->set->known.list[query->server];
	struct udp_socket *udp;
	enum opened opened = udp_find(query->resolver, server, &udp);

	if (opened != OPENED)
		return opened;
	opened = socket_connect(udp->fd, server);
	if (opened != OPENED) {
		let_idle(udp);
		return opened;
	}
	udp->query = query;
	query->udp = udp;
	return OPENED;
}

void udp_give_back(struct resolver_query *query)
{
	let_idle(query->udp);
	query->udp = NULL;
}

void udp_close_idle(struct resolver *resolver)
{
	const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (struct udp_socket *udp; (udp = take_idle(resolver, families[i])) != NULL;)
			udp_close(udp);
}

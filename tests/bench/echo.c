/* The least that a libev policy server can do: it finds the ends of requests and answers DUNNO to
 * each. `make bench` measures policyd beside it.
 *
 * Must not know what a request says. One recv and one direct send an event; a write watcher only
 * while a client does not take its answers. A failing client is closed; a failing listener ends
 * the program with status 1. Exit 0 on SIGTERM. */
#include "lib/endpoint.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER "action=DUNNO\n\n"

enum {
	ANSWER_LEN = sizeof ANSWER - 1,
	READ_SIZE = 65536,
};

static const char answers[] = ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER;

struct client {
	ev_io io;
	size_t unsent; /* bytes of answers that are due */
	bool at_line_start;
};

struct server {
	ev_io io;
	bool failed;
	char input[READ_SIZE];
};

static void client_close(struct ev_loop *loop, struct client *client)
{
	ev_io_stop(loop, &client->io);
	close(client->io.fd);
	free(client);
}

static void client_watch(struct ev_loop *loop, struct client *client, int events)
{
	if ((client->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(loop, &client->io);
	ev_io_set(&client->io, client->io.fd, events);
	ev_io_start(loop, &client->io);
}

/* Sends what is due; while the client does not take it, nothing more is read from it. May close. */
static void client_send(struct ev_loop *loop, struct client *client)
{
	while (client->unsent > 0) {
		size_t sent_of_one = (ANSWER_LEN - client->unsent % ANSWER_LEN) % ANSWER_LEN;
		size_t len = sizeof answers - 1 - sent_of_one;
		ssize_t n;

		if (len > client->unsent)
			len = client->unsent;
		n = send(client->io.fd, answers + sent_of_one, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			client_watch(loop, client, EV_WRITE);
			return;
		}
		if (n < 0) {
			client_close(loop, client);
			return;
		}
		client->unsent -= (size_t)n;
	}
	client_watch(loop, client, EV_READ);
}

/* How many empty lines end in the bytes; the usual request is one read with its end last. */
static size_t count_requests(struct client *client, const char *at, size_t len)
{
	const char *end = at + len;
	size_t count = 0;
	bool at_line_start = client->at_line_start;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline == NULL) {
			at_line_start = false;
			break;
		}
		if (newline == at && at_line_start)
			count++;
		at = newline + 1;
		at_line_start = true;
	}
	client->at_line_start = at_line_start;
	return count;
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
	struct client *client = (struct client *)io;
	struct server *server = ev_userdata(loop);
	ssize_t n;

	if ((events & EV_WRITE) != 0) {
		client_send(loop, client);
		return;
	}
	n = recv(io->fd, server->input, sizeof server->input, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(loop, client);
		return;
	}
	client->unsent += count_requests(client, server->input, (size_t)n) * ANSWER_LEN;
	if (client->unsent > 0)
		client_send(loop, client);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	struct server *server = (struct server *)io;
	struct client *client = NULL;
	int yes = 1;
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return;
	if (fd >= 0)
		client = calloc(1, sizeof *client);
	if (client == NULL) {
		perror("echo: accept");
		server->failed = true;
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	/* has no effect on a unix socket, which needs none */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	client->at_line_start = true;
	ev_io_init(&client->io, on_client, fd, EV_READ);
	ev_io_start(loop, &client->io);
}

static void on_term(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int listen_at(const struct endpoint *at)
{
	int fd = socket(at->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(fd, (const struct sockaddr *)&at->addr, at->len) != 0 || listen(fd, 4096) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void remove_socket_file(const struct endpoint *at)
{
	struct sockaddr_un sun;

	if (at->addr.ss_family != AF_UNIX)
		return;
	memcpy(&sun, &at->addr, sizeof sun);
	unlink(sun.sun_path);
}

static bool serve(int fd)
{
	struct server server = {.failed = false};
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	ev_signal term;

	if (loop == NULL)
		return false;
	ev_set_userdata(loop, &server);
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_start(loop, &term);
	ev_io_init(&server.io, on_accept, fd, EV_READ);
	ev_io_start(loop, &server.io);
	puts("READY");
	fflush(stdout);
	ev_run(loop, 0);
	ev_loop_destroy(loop);
	return !server.failed;
}

int main(int argc, char **argv)
{
	struct endpoint at;
	struct rlimit limit;
	bool ok;
	int fd;

	if (argc != 2 || !endpoint_parse(argv[1], &at)) {
		fputs("usage: echo unix:PATH|inet:HOST:PORT\n", stderr);
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	fd = listen_at(&at);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	ok = serve(fd);
	close(fd);
	remove_socket_file(&at);
	return ok ? 0 : 1;
}

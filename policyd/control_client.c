/*
 * A client of the control socket. See control_client.h.
 */
#include "policyd/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the kernel delivers with one message (SCM_MAX_FD) never arrives. */
#define RIGHTS_MAX 253

union rights {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
};

void control_client_close_fds(struct control_client *client)
{
	for (size_t i = 0; i < client->fd_count; i++)
		close(client->fds[i]);
	client->fd_count = 0;
}

static void client_end(struct control_client *client, const char *fault)
{
	struct ev_loop *loop = client->parts->loop;

	ev_io_stop(loop, &client->readable);
	ev_io_stop(loop, &client->writable);
	ev_timer_stop(loop, &client->deadline);
	close(client->fd);
	client->fd = -1;
	control_client_close_fds(client);
	client->parts->on_gone(client, fault);
}

static void client_await(struct control_client *client)
{
	ev_timer_set(&client->deadline, CONTROL_CLIENT_MAX_S, 0.);
	ev_timer_start(client->parts->loop, &client->deadline);
}

/* All descriptors of a packet are taken or closed. False: more than a request may bring. */
static bool client_take_fds(struct control_client *client, struct msghdr *header)
{
	bool is_fine = !(header->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at)) {
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(int));
			if (client->fd_count < CONTROL_FDS) {
				client->fds[client->fd_count++] = fd;
				continue;
			}
			close(fd);
			is_fine = false;
		}
	}
	return is_fine;
}

/* recv(2) with descriptors. *fault is set where they were too many. */
static ssize_t client_receive(struct control_client *client, const char **fault)
{
	union rights rights;
	struct iovec iov = {client->in + client->in_len, sizeof(client->in) - client->in_len};
	struct msghdr header = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = rights.bytes,
		.msg_controllen = sizeof(rights.bytes)};
	ssize_t got = recvmsg(client->fd, &header, MSG_CMSG_CLOEXEC);

	if (got >= 0 && !client_take_fds(client, &header))
		*fault = "it sent more descriptors than a request may bring";
	return got;
}

/* A whole frame with nothing behind it. */
static void client_handle(struct control_client *client)
{
	struct control_message *message = client->parts->scratch;

	if (!control_parse((struct text){client->in, client->in_len}, message)) {
		client_end(client, "it sent what is no message");
		return;
	}
	ev_timer_stop(client->parts->loop, &client->deadline);
	client->in_len = 0;
	client->is_busy = true;
	client->parts->on_request(client, message);
}

static void client_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct control_client *client = watcher->data;
	const char *fault = NULL;

	(void)loop;
	(void)events;
	ssize_t got = client_receive(client, &fault);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0 && !fault && (client->is_busy || client->out_len > 0))
		fault = "it sent more before its answer";
	if (got <= 0 || fault) {
		client_end(client, fault);
		return;
	}
	client->in_len += (size_t)got;
	if (control_frame((struct text){client->in, client->in_len}) > 0)
		client_handle(client);
	else if (client->in_len == sizeof(client->in))
		client_end(client, "its message is too long");
}

static void client_send(struct control_client *client)
{
	struct ev_loop *loop = client->parts->loop;
	ssize_t sent = send(client->fd, client->out + client->out_sent,
		client->out_len - client->out_sent, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		client_end(client, NULL);
		return;
	}
	client->out_sent += sent > 0 ? (size_t)sent : 0;
	if (client->out_sent < client->out_len) {
		ev_io_start(loop, &client->writable);
		return;
	}
	ev_io_stop(loop, &client->writable);
	ev_timer_stop(loop, &client->deadline);
	client->out_len = client->out_sent = 0;
	client_await(client);
}

static void client_on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	client_send(watcher->data);
}

static void client_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct control_client *client = timer->data;

	(void)loop;
	(void)events;
	client_end(client, client->out_len > 0  ? "it does not read its answer"
			   : client->in_len > 0 ? "its request does not end"
						: NULL);
}

struct control_client *control_client_new(
	const struct control_client_parts *parts, int fd, const struct peer_identity *peer)
{
	struct control_client *client = malloc(sizeof(*client));

	if (!client) {
		close(fd);
		return NULL;
	}
	/* Not the buffers: most requests touch one page of them. */
	memset(client, 0, offsetof(struct control_client, in));
	client->parts = parts;
	client->peer = *peer;
	client->fd = fd;
	ev_io_init(&client->readable, client_on_readable, fd, EV_READ);
	ev_io_init(&client->writable, client_on_writable, fd, EV_WRITE);
	ev_timer_init(&client->deadline, client_on_deadline, 0., 0.);
	client->readable.data = client->writable.data = client->deadline.data = client;
	ev_io_start(parts->loop, &client->readable);
	client_await(client);
	return client;
}

void control_client_free(struct control_client *client)
{
	struct ev_loop *loop = client->parts->loop;

	ev_io_stop(loop, &client->readable);
	ev_io_stop(loop, &client->writable);
	ev_timer_stop(loop, &client->deadline);
	control_client_close_fds(client);
	if (client->fd >= 0)
		close(client->fd);
	free(client);
}

void control_client_answer(struct control_client *client, const struct control_message *answer)
{
	client->is_busy = false;
	control_client_close_fds(client);
	if (client->fd < 0)
		return;
	if (!control_encode(answer, client->out, sizeof(client->out), &client->out_len)) {
		client_end(client, NULL);
		return;
	}
	client->out_sent = 0;
	client_await(client);
	client_send(client);
}

/*
 * The control socket's server: who may connect, and how many. See control.h.
 *
 * Must not know what a command does (control_command.c) or how bytes come in (control_client.c).
 */
#include "policyd/control.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policyd/control_visit.h"

#define LINES_PER_S 20

bool control_may_log(struct control_server *server)
{
	if (server->lines++ < LINES_PER_S)
		return true;
	server->lines_left_out++;
	return false;
}

static void server_watch(struct control_server *server)
{
	if (server->count < CONTROL_CLIENTS_MAX + CONTROL_MASTERS_MORE)
		ev_io_start(server->parts.loop, &server->acceptable);
	else
		ev_io_stop(server->parts.loop, &server->acceptable);
}

/* ---- visits ---- */

void visit_close(struct visit *visit)
{
	struct control_server *server = visit->server;

	*visit->link = visit->next;
	if (visit->next)
		visit->next->link = visit->link;
	server->count--;
	control_client_free(visit->client);
	free(visit);
	server_watch(server);
}

static void visit_on_request(struct control_client *client, const struct control_message *message)
{
	visit_command(client->owner, message);
}

static void visit_on_gone(struct control_client *client, const char *fault)
{
	struct visit *visit = client->owner;

	if (fault && control_may_log(visit->server))
		log_event(visit->server->parts.log, LOG_LEVEL_WARNING,
			"control: closing the connection of %s (uid %lu): %s", visit->user,
			(unsigned long)client->peer.uid, fault);
	if (visit_abandon(visit))
		visit_close(visit);
}

static void visit_name_user(struct visit *visit, uid_t uid)
{
	const struct passwd *user = getpwuid(uid);
	char number[24];

	snprintf(number, sizeof(number), "#%lu", (unsigned long)uid);
	log_escape(text_of(user ? user->pw_name : number), visit->user, sizeof(visit->user));
}

static void visit_open(struct control_server *server, int fd, const struct peer_identity *peer)
{
	struct visit *visit = calloc(1, sizeof(*visit));

	if (!visit) {
		close(fd);
		return;
	}
	visit->client = control_client_new(&server->client_parts, fd, peer);
	if (!visit->client) {
		free(visit);
		return;
	}
	visit->client->owner = visit;
	visit->server = server;
	visit_name_user(visit, peer->uid);
	visit->next = server->visits;
	visit->link = &server->visits;
	if (visit->next)
		visit->next->link = &visit->next;
	server->visits = visit;
	server->count++;
	server_watch(server);
}

/* ---- accepting ---- */

static bool server_has_room_for(
	const struct control_server *server, const struct peer_identity *peer)
{
	size_t own = 0;

	if (peer_is_master(peer))
		return true;
	for (const struct visit *visit = server->visits; visit; visit = visit->next)
		own += visit->client->peer.uid == peer->uid;
	return own < CONTROL_CLIENTS_PER_UID && server->count < CONTROL_CLIENTS_MAX;
}

/* Before it has asked anything; no more than fits at once. */
static void turn_away(int fd)
{
	static const char answer[] =
		"status=error\ntext=policyd has too many connections to its control socket, or too "
		"many of yours: try again\n\n";

	(void)!send(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void server_receive(struct control_server *server, int fd)
{
	struct peer_identity peer;
	const char *why = NULL;

	if (!peer_identity_of(fd, &peer))
		why = "the kernel does not say whose it is, or of more groups than fit";
	else if (!server_has_room_for(server, &peer))
		why = "that user has as many connections as one may have, or all have";
	if (!why) {
		visit_open(server, fd, &peer);
		return;
	}
	if (control_may_log(server))
		log_event(server->parts.log, LOG_LEVEL_WARNING,
			"control: closing a connection at once: %s", why);
	turn_away(fd);
}

static void server_on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct control_server *server = watcher->data;
	int fd = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		server_receive(server, fd);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	if (control_may_log(server))
		log_event(server->parts.log, LOG_LEVEL_WARNING,
			"control: cannot accept a connection: %m");
	/* Until the next second: no descriptor or memory comes back at once. */
	ev_io_stop(loop, watcher);
}

static void server_on_second(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct control_server *server = timer->data;

	(void)loop;
	(void)events;
	if (server->lines_left_out > 0)
		log_event(server->parts.log, LOG_LEVEL_WARNING,
			"control: %u more lines of this kind left out", server->lines_left_out);
	server->lines = server->lines_left_out = 0;
	server->has_followed = false;
	server_watch(server);
}

enum err control_server_new(
	struct control_server **out, const struct control_parts *parts, int listen_fd)
{
	struct control_server *server = calloc(1, sizeof(*server));

	*out = NULL;
	if (!server)
		return ERR_NOMEM;
	server->parts = *parts;
	server->client_parts = (struct control_client_parts){.loop = parts->loop,
		.on_request = visit_on_request,
		.on_gone = visit_on_gone,
		.scratch = &server->scratch};
	ev_io_init(&server->acceptable, server_on_acceptable, listen_fd, EV_READ);
	ev_timer_init(&server->second, server_on_second, 1., 1.);
	server->acceptable.data = server->second.data = server;
	ev_timer_start(parts->loop, &server->second);
	server_watch(server);
	*out = server;
	return ERR_OK;
}

void control_server_configure(struct control_server *server, const struct control_parts *parts)
{
	struct visit *next;

	if (parts->prover != server->parts.prover)
		for (struct visit *visit = server->visits; visit; visit = next) {
			/* Its answer may end it. */
			next = visit->next;
			visit_cancel_look(visit);
		}
	server->parts = *parts;
}

void control_server_free(struct control_server *server)
{
	struct visit *next;

	if (!server)
		return;
	for (struct visit *visit = server->visits; visit; visit = next) {
		next = visit->next;
		(void)visit_abandon(visit);
		control_run_abandon(&visit->run);
		visit_close(visit);
	}
	ev_io_stop(server->parts.loop, &server->acceptable);
	ev_timer_stop(server->parts.loop, &server->second);
	free(server);
}

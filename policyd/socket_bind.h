/*
 * Binds one listening socket, and says in plain words why it cannot.
 *
 * A unix socket's file that nobody listens on any more is replaced; one that is in use, and
 * anything that is no socket, is left alone.
 */
#ifndef POLICYD_SOCKET_BIND_H
#define POLICYD_SOCKET_BIND_H

#include "policyd/sockets.h"

/* bound->address is given; fd (listening, non-blocking, close-on-exec), dev and ino are set. `text`
 * is for messages. ERR_ABSENT, without a message: this machine has no such address. Other errors
 * are logged. */
POLICY_CHECKED enum err socket_bind(struct bound_socket *bound, const char *text,
	const struct identity *identity, struct log *log);

#endif

/*
 * Binds one listening socket, and says in plain words why it cannot.
 *
 * A unix socket's file that nobody listens on any more is replaced; one that is in use, and
 * anything that is no socket, is left alone.
 */
#ifndef POLICYD_SOCKET_BIND_H
#define POLICYD_SOCKET_BIND_H

#include "policyd/sockets.h"

struct socket_wish {
	const char *text; /* for messages */
	const struct identity *identity;
	enum log_level complaints; /* how bad it is when it cannot be */
};

/* bound->address is given; fd (listening, non-blocking, close-on-exec), dev and ino are set.
 * ERR_ABSENT, without a message: this machine has no such address. Other errors are logged. */
POLICY_CHECKED enum err socket_bind(
	struct bound_socket *bound, const struct socket_wish *wish, struct log *log);

#endif

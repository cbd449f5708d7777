/*
 * The supervisor's listening sockets: bound, taken over from systemd, kept over a reload, cleaned
 * up.
 *
 * Accepts nothing. What cannot be bound is logged here with what to do about it; all of a
 * configuration's addresses are tried, so that all errors are seen at once. Needs root only where
 * the socket's place does.
 */
#ifndef POLICYD_SOCKETS_H
#define POLICYD_SOCKETS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "policyd/channel.h"
#include "policyd/privileges.h"

#define SOCKETS_MAX CHANNEL_FDS_MAX

struct bound_socket {
	int fd;
	char *text; /* the listen address as typed; owned. NULL: handed over, not matched yet */
	bool is_inherited; /* from systemd: the file is not ours to unlink */
	bool is_kept;      /* the next set holds it too */
	struct sockaddr_storage address;
	socklen_t address_len;
	dev_t dev; /* the file of a unix socket, as we made it */
	ino_t ino;
};

struct sockets {
	size_t count;
	struct bound_socket at[SOCKETS_MAX];
};

/* Takes over LISTEN_FDS, and the variables out of the environment. ERR_INVALID: one is no listening
 * stream socket. */
POLICY_CHECKED enum err sockets_inherit(struct sockets *out, struct log *log);

/* Fills *next with a socket for each address of the configuration: the one of `current` where it
 * has it, else a new one. On an error, *next is empty and `current` as before. */
POLICY_CHECKED enum err sockets_open(struct sockets *next, struct sockets *current,
	const struct config *config, const struct identity *identity, struct log *log);

/* Closes those that the next set does not hold, unlinks their files, and makes *sockets the next
 * set. */
void sockets_replace(struct sockets *sockets, const struct sockets *next, struct log *log);

/* Binds the control socket: everybody may connect (0666, whatever the umask), roles decide. Its
 * folder is made where it is missing. What fails is logged as a warning, with what to do. */
POLICY_CHECKED enum err control_socket_open(struct bound_socket *out, const char *path,
	const struct identity *identity, struct log *log);
/* Closes and unlinks; nothing where it was not opened. */
void control_socket_close(struct bound_socket *bound, struct log *log);

/* The end: closes and unlinks all. */
void sockets_close(struct sockets *sockets, struct log *log);

/* Descriptors in order, into fds[SOCKETS_MAX]; returns how many. */
size_t sockets_fds(const struct sockets *sockets, int *fds);

/* First one handed over that no listen address named; NULL: none. */
const struct bound_socket *sockets_unmatched(const struct sockets *sockets);

/* "/run/x.sock" or "127.0.0.1:10040". */
#define SOCKET_NAME_MAX 128
void socket_name(const struct bound_socket *bound, char out[SOCKET_NAME_MAX]);

#endif

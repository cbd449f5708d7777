/*
 * Sets of listening sockets over the daemon's life. See sockets.h; socket_bind.c makes a single
 * one.
 */
#include "policyd/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policyd/socket_bind.h"

#define FIRST_INHERITED 3 /* SD_LISTEN_FDS_START */

static bool address_equal(
	const struct bound_socket *bound, const struct sockaddr *address, socklen_t len)
{
	const struct sockaddr *own = (const struct sockaddr *)&bound->address;
	if (own->sa_family != address->sa_family)
		return false;
	if (own->sa_family == AF_UNIX) {
		const char *path = ((const struct sockaddr_un *)(const void *)own)->sun_path;
		return strcmp(path,
			       ((const struct sockaddr_un *)(const void *)address)->sun_path) == 0;
	}
	return bound->address_len == len && memcmp(own, address, len) == 0;
}

void socket_name(const struct bound_socket *bound, char out[SOCKET_NAME_MAX])
{
	const struct sockaddr *own = (const struct sockaddr *)&bound->address;
	char host[64], port[8];
	if (own->sa_family == AF_UNIX)
		snprintf(out, SOCKET_NAME_MAX, "unix:%s",
			((const struct sockaddr_un *)(const void *)own)->sun_path);
	else if (getnameinfo(own, bound->address_len, host, sizeof(host), port, sizeof(port),
			 NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(out, SOCKET_NAME_MAX,
			own->sa_family == AF_INET6 ? "inet:[%s]:%s" : "inet:%s:%s", host, port);
	else
		snprintf(out, SOCKET_NAME_MAX, "a socket of family %d", own->sa_family);
}

static unsigned inherited_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	unsigned long count = 0;
	if (pid && fds && strtoul(pid, NULL, 10) == (unsigned long)getpid())
		count = strtoul(fds, NULL, 10);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return count > SOCKETS_MAX ? SOCKETS_MAX + 1 : (unsigned)count;
}

static bool is_listening_stream(int fd)
{
	int type = 0, listening = 0;
	socklen_t size = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
		return false;
	size = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

enum err sockets_inherit(struct sockets *out, struct log *log)
{
	unsigned count = inherited_count();
	*out = (struct sockets){0};
	if (count > SOCKETS_MAX) {
		log_event(log, LOG_LEVEL_ERROR, "LISTEN_FDS hands over more than %d sockets",
			SOCKETS_MAX);
		return ERR_INVALID;
	}
	for (unsigned i = 0; i < count; i++) {
		struct bound_socket *bound = &out->at[i];
		*bound =
			(struct bound_socket){.fd = FIRST_INHERITED + (int)i, .is_inherited = true};
		bound->address_len = sizeof(bound->address);
		if (!is_listening_stream(bound->fd) ||
			getsockname(bound->fd, (struct sockaddr *)&bound->address,
				&bound->address_len) != 0 ||
			fcntl(bound->fd, F_SETFD, FD_CLOEXEC) != 0 ||
			fcntl(bound->fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
			log_event(log, LOG_LEVEL_ERROR,
				"LISTEN_FDS: descriptor %d is no listening stream socket",
				bound->fd);
			return ERR_INVALID;
		}
	}
	out->count = count;
	return ERR_OK;
}

/* Moves what `current` has for one address into `next`. */
static bool sockets_keep(struct sockets *next, struct sockets *current,
	const struct sockaddr *address, socklen_t len)
{
	for (size_t i = 0; i < current->count; i++) {
		struct bound_socket *bound = &current->at[i];
		if (bound->is_kept || !address_equal(bound, address, len))
			continue;
		bound->is_kept = true;
		next->at[next->count++] = *bound;
		return true;
	}
	return false;
}

struct opening {
	struct sockets *next, *current;
	const struct identity *identity;
	struct log *log;
};

static enum err sockets_open_one(
	struct opening *opening, const char *text, const struct sockaddr *address, socklen_t len)
{
	struct sockets *next = opening->next;
	if (next->count == SOCKETS_MAX) {
		log_event(opening->log, LOG_LEVEL_ERROR,
			"%s: the listen addresses need more than %d sockets", text, SOCKETS_MAX);
		return ERR_FULL;
	}
	if (!sockets_keep(next, opening->current, address, len)) {
		struct bound_socket bound = {.address_len = len};
		memcpy(&bound.address, address, len);
		struct socket_wish wish = {text, opening->identity, LOG_LEVEL_ERROR};
		enum err err = socket_bind(&bound, &wish, opening->log);
		if (err != ERR_OK)
			return err;
		next->at[next->count++] = bound;
	}
	struct bound_socket *mine = &next->at[next->count - 1];
	mine->text = strdup(text);
	return mine->text ? ERR_OK : ERR_NOMEM;
}

/* False: too long, said as `level`. */
static bool unix_address(struct sockaddr_un *address, const char *path, const char *text,
	enum log_level level, struct log *log)
{
	size_t len = strlen(path);
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len >= sizeof(address->sun_path)) {
		log_event(log, level, "%s: the path is longer than a socket's %zu bytes", text,
			sizeof(address->sun_path) - 1);
		return false;
	}
	memcpy(address->sun_path, path, len);
	return true;
}

static enum err sockets_open_unix(struct opening *opening, const struct listen_address *listen)
{
	struct sockaddr_un address;
	if (!unix_address(&address, listen->path, listen->text, LOG_LEVEL_ERROR, opening->log))
		return ERR_INVALID;
	return sockets_open_one(
		opening, listen->text, (struct sockaddr *)&address, (socklen_t)sizeof(address));
}

/* A name may stand for several addresses (localhost: ::1 and 127.0.0.1); each gets a socket. */
static enum err sockets_open_inet(struct opening *opening, const struct listen_address *listen)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char port[8];
	snprintf(port, sizeof(port), "%u", listen->port);
	int failed = getaddrinfo(listen->host, port, &hints, &found);
	if (failed) {
		log_event(opening->log, LOG_LEVEL_ERROR, "%s: cannot find that host: %s",
			listen->text, gai_strerror(failed));
		return ERR_INVALID;
	}
	enum err result = ERR_ABSENT;
	for (const struct addrinfo *one = found; one; one = one->ai_next) {
		enum err err =
			sockets_open_one(opening, listen->text, one->ai_addr, one->ai_addrlen);
		/* One of a name's addresses may be missing here (::1 without IPv6), not all of
		 * them. */
		if (err != ERR_ABSENT && (result == ERR_ABSENT || err != ERR_OK))
			result = err;
	}
	freeaddrinfo(found);
	if (result == ERR_ABSENT)
		log_event(opening->log, LOG_LEVEL_ERROR,
			"%s: this machine has no such address; see `ip addr`", listen->text);
	return result;
}

static void bound_socket_close(struct bound_socket *bound, struct log *log)
{
	const struct sockaddr_un *address = (const void *)&bound->address;
	struct stat st;
	close(bound->fd);
	/* Not unlinked: systemd's, and a file that another process put in the place of ours. */
	if (address->sun_family == AF_UNIX && !bound->is_inherited &&
		lstat(address->sun_path, &st) == 0 && st.st_dev == bound->dev &&
		st.st_ino == bound->ino && unlink(address->sun_path) != 0)
		log_event(log, LOG_LEVEL_INFO, "leaving %s behind: %m; the next start replaces it",
			address->sun_path);
	free(bound->text);
	bound->text = NULL;
}

static void sockets_abandon(struct sockets *next, struct sockets *current, struct log *log)
{
	for (size_t i = 0; i < next->count; i++) {
		bool is_kept = false;
		for (size_t j = 0; j < current->count; j++)
			is_kept = is_kept || current->at[j].fd == next->at[i].fd;
		if (!is_kept)
			bound_socket_close(&next->at[i], log);
		else
			free(next->at[i].text);
	}
	next->count = 0;
	for (size_t j = 0; j < current->count; j++)
		current->at[j].is_kept = false;
}

enum err control_socket_open(struct bound_socket *out, const char *path,
	const struct identity *identity, struct log *log)
{
	struct identity everybody = *identity;
	char text[SOCKET_NAME_MAX];
	everybody.socket_mode = 0666;
	everybody.socket_gid = identity->gid;
	*out = (struct bound_socket){.fd = -1, .address_len = sizeof(struct sockaddr_un)};
	snprintf(text, sizeof(text), "[control] socket %s", path);
	if (!unix_address((struct sockaddr_un *)(void *)&out->address, path, text,
		    LOG_LEVEL_WARNING, log))
		return ERR_INVALID;
	identity_make_parent(identity, path);
	struct socket_wish wish = {text, &everybody, LOG_LEVEL_WARNING};
	return socket_bind(out, &wish, log);
}

void control_socket_close(struct bound_socket *bound, struct log *log)
{
	if (bound->fd >= 0)
		bound_socket_close(bound, log);
	bound->fd = -1;
}

enum err sockets_open(struct sockets *next, struct sockets *current, const struct config *config,
	const struct identity *identity, struct log *log)
{
	struct opening opening = {next, current, identity, log};
	enum err result = ERR_OK;
	*next = (struct sockets){0};
	for (size_t i = 0; i < config->listen_count; i++) {
		const struct listen_address *listen = &config->listen[i];
		enum err err = listen->kind == LISTEN_UNIX ? sockets_open_unix(&opening, listen)
							   : sockets_open_inet(&opening, listen);
		if (err != ERR_OK)
			result = err;
	}
	if (result != ERR_OK)
		sockets_abandon(next, current, log);
	return result;
}

void sockets_replace(struct sockets *sockets, const struct sockets *next, struct log *log)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct bound_socket *bound = &sockets->at[i];
		if (bound->is_kept)
			free(bound->text);
		else
			bound_socket_close(bound, log);
	}
	*sockets = *next;
	for (size_t i = 0; i < sockets->count; i++)
		sockets->at[i].is_kept = false;
}

void sockets_close(struct sockets *sockets, struct log *log)
{
	for (size_t i = 0; i < sockets->count; i++)
		bound_socket_close(&sockets->at[i], log);
	sockets->count = 0;
}

size_t sockets_fds(const struct sockets *sockets, int *fds)
{
	for (size_t i = 0; i < sockets->count; i++)
		fds[i] = sockets->at[i].fd;
	return sockets->count;
}

const struct bound_socket *sockets_unmatched(const struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->at[i].is_inherited && !sockets->at[i].is_kept)
			return &sockets->at[i];
	return NULL;
}

/*
 * One listening socket. See socket_bind.h.
 */
#include "policyd/socket_bind.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

/* A full backlog is an immediate failure for Postfix on a unix socket; the kernel caps this at
 * somaxconn. */
#define BACKLOG 4096

struct binding {
	struct bound_socket *bound;
	const char *text;
	const struct identity *identity;
	enum log_level level;
	struct log *log;
};

static const struct sockaddr *binding_address(const struct binding *binding)
{
	return (const struct sockaddr *)&binding->bound->address;
}

static const char *binding_path(const struct binding *binding)
{
	return ((const struct sockaddr_un *)(const void *)&binding->bound->address)->sun_path;
}

static enum err binding_fail(const struct binding *binding, const char *what)
{
	log_event(binding->log, binding->level, "%s: %s: %m", binding->text, what);
	return ERR_IO;
}

/* Why bind(2) on a path failed, with what a person can do. */
static enum err binding_fail_unix(const struct binding *binding)
{
	const char *path = binding_path(binding);
	int folder_len = (int)text_rfind(text_of(path), '/');
	if (folder_len == 0)
		folder_len = 1;
	if (errno == ENOENT)
		log_event(binding->log, binding->level,
			"%s: its folder does not exist; make it: mkdir -p %.*s", binding->text,
			folder_len, path);
	else if (errno == EACCES || errno == EPERM || errno == EROFS)
		log_event(binding->log, binding->level,
			"%s: user %lu may not make a socket in %.*s: %m; give that folder to the "
			"user, "
			"or restart as root",
			binding->text, (unsigned long)geteuid(), folder_len, path);
	else
		return binding_fail(binding, "cannot bind");
	return ERR_IO;
}

static enum err binding_fail_inet(const struct binding *binding)
{
	if (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)
		return ERR_ABSENT;
	if (errno == EADDRINUSE)
		log_event(binding->log, binding->level,
			"%s: another process uses that port; find it with `ss -ltnp`, or name "
			"another port",
			binding->text);
	else
		return binding_fail(binding, "cannot bind");
	return ERR_IO;
}

/* Unlinks a socket file that nobody answers on. ERR_BUSY: it is not ours to touch. */
static enum err binding_clear_stale(const struct binding *binding)
{
	const char *path = binding_path(binding);
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? ERR_OK : binding_fail(binding, "cannot look at that path");
	if (!S_ISSOCK(st.st_mode)) {
		log_event(binding->log, binding->level,
			"%s: there is a file of that name that is no socket; move it away",
			binding->text);
		return ERR_BUSY;
	}
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return binding_fail(binding, "cannot make a socket");
	int failed = connect(probe, binding_address(binding), binding->bound->address_len);
	int error = errno;
	close(probe);
	if (failed && error == ECONNREFUSED) {
		if (unlink(path) == 0)
			return ERR_OK;
		return binding_fail(
			binding, "cannot remove the socket that an earlier process left");
	}
	log_event(binding->log, binding->level,
		"%s: another process listens on it (is policyd running already?); stop that one, "
		"or name "
		"another path",
		binding->text);
	return ERR_BUSY;
}

/* Nobody can connect before the file has its owner: it does not listen yet. */
static enum err binding_give_file(struct binding *binding)
{
	const struct identity *identity = binding->identity;
	const char *path = binding_path(binding);
	struct stat st;
	/* By descriptor: whoever may write to the folder could put another file there meanwhile. */
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode)) {
		enum err err = binding_fail(binding, "cannot look at its file");
		if (fd >= 0)
			close(fd);
		return err;
	}
	binding->bound->dev = st.st_dev;
	binding->bound->ino = st.st_ino;
	bool is_given = (st.st_uid == identity->uid && st.st_gid == identity->socket_gid) ||
			fchownat(fd, "", identity->uid, identity->socket_gid, AT_EMPTY_PATH) == 0;
	int error = errno;
	close(fd);
	if (is_given)
		return ERR_OK;
	errno = error;
	log_event(binding->log, binding->level,
		"%s: cannot give the socket to group %lu (socket_group): %m; start as root, or "
		"make the "
		"user a member of that group",
		binding->text, (unsigned long)identity->socket_gid);
	unlink(path);
	return ERR_IO;
}

static enum err binding_bind_unix(struct binding *binding)
{
	enum err err = binding_clear_stale(binding);
	if (err != ERR_OK)
		return err;
	mode_t before = umask((mode_t)(~binding->identity->socket_mode & 0777));
	int failed =
		bind(binding->bound->fd, binding_address(binding), binding->bound->address_len);
	int error = errno;
	umask(before);
	errno = error;
	return failed ? binding_fail_unix(binding) : binding_give_file(binding);
}

static enum err binding_bind_inet(struct binding *binding)
{
	const int on = 1;
	int fd = binding->bound->fd;
	/* Without the first, a restart waits for old connections to fade; without the second, [::]
	 * takes 0.0.0.0 too, which has a listen address of its own. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return binding_fail(binding, "cannot set SO_REUSEADDR");
	if (binding_address(binding)->sa_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return binding_fail(binding, "cannot set IPV6_V6ONLY");
	if (bind(fd, binding_address(binding), binding->bound->address_len) != 0)
		return binding_fail_inet(binding);
	return ERR_OK;
}

enum err socket_bind(struct bound_socket *bound, const struct socket_wish *wish, struct log *log)
{
	struct binding binding = {bound, wish->text, wish->identity, wish->complaints, log};
	int family = binding_address(&binding)->sa_family;
	bound->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bound->fd < 0)
		return errno == EAFNOSUPPORT ? ERR_ABSENT
					     : binding_fail(&binding, "cannot make a socket");
	enum err err =
		family == AF_UNIX ? binding_bind_unix(&binding) : binding_bind_inet(&binding);
	/* Two sockets may bind one port; the second listen tells. */
	if (err == ERR_OK && listen(bound->fd, BACKLOG) != 0)
		err = family == AF_UNIX ? binding_fail(&binding, "cannot listen")
					: binding_fail_inet(&binding);
	if (err == ERR_OK)
		return ERR_OK;
	close(bound->fd);
	bound->fd = -1;
	return err;
}

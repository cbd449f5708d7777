/*
 * Root to user, and the state folder. See privileges.h.
 */
#include "policyd/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err group_resolve(const char *option, const char *name, struct log *log, gid_t *out)
{
	errno = 0;
	const struct group *group = getgrnam(name);
	if (group) {
		*out = group->gr_gid;
		return ERR_OK;
	}
	log_event(log, LOG_LEVEL_ERROR,
		"[policyd] %s: there is no group \"%s\"; make it with groupadd or name another",
		option, name);
	return ERR_INVALID;
}

static enum err user_resolve(const char *name, struct log *log, struct identity *out)
{
	const struct passwd *user = getpwnam(name);
	if (!user) {
		log_event(log, LOG_LEVEL_ERROR,
			"[policyd] user: there is no user \"%s\"; make it with useradd or name "
			"another",
			name);
		return ERR_INVALID;
	}
	if (out->is_switching && user->pw_uid == 0) {
		log_event(log, LOG_LEVEL_ERROR,
			"[policyd] user: %s is root; name a user without privileges", name);
		return ERR_INVALID;
	}
	if (!out->is_switching && user->pw_uid != out->uid) {
		log_event(log, LOG_LEVEL_ERROR,
			"[policyd] user: only root can become %s; start as root or as %s", name,
			name);
		return ERR_INVALID;
	}
	out->uid = user->pw_uid;
	out->gid = user->pw_gid;
	return ERR_OK;
}

enum err identity_resolve(const struct config *config, struct log *log, struct identity *out)
{
	*out = (struct identity){.is_switching = geteuid() == 0,
		.uid = geteuid(),
		.gid = getegid(),
		.user = config->user,
		.socket_mode = config->socket_mode};
	if (out->is_switching && !*config->user) {
		log_event(log, LOG_LEVEL_ERROR,
			"started as root without a user to become: set [policyd] user (and group) "
			"in "
			"policyd.ini");
		return ERR_INVALID;
	}
	enum err err = ERR_OK;
	if (*config->user)
		err = user_resolve(config->user, log, out);
	if (err == ERR_OK && *config->group)
		err = group_resolve("group", config->group, log, &out->gid);
	out->socket_gid = out->gid;
	if (err == ERR_OK && *config->socket_group)
		err = group_resolve("socket_group", config->socket_group, log, &out->socket_gid);
	return err;
}

/* By descriptor: whoever may write to the parent folder could put a link in its place meanwhile. */
static bool give_folder(const struct identity *identity, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int failed, error;

	if (fd < 0)
		return false;
	failed = fchown(fd, identity->uid, identity->gid);
	error = errno;
	close(fd);
	errno = error;
	return !failed;
}

enum err identity_make_state_dir(
	const struct identity *identity, const char *state_dir, struct log *log)
{
	if (mkdir(state_dir, 0700) != 0) {
		if (errno == EEXIST)
			return ERR_OK;
		log_event(log, LOG_LEVEL_ERROR,
			"cannot make state_dir %s: %m; make its parent folder with mkdir -p, or "
			"name "
			"another folder",
			state_dir);
		return ERR_IO;
	}
	if (identity->is_switching && !give_folder(identity, state_dir)) {
		log_event(log, LOG_LEVEL_ERROR, "cannot give state_dir %s to %s: %m", state_dir,
			identity->user);
		return ERR_IO;
	}
	log_event(log, LOG_LEVEL_INFO, "made state_dir %s", state_dir);
	return ERR_OK;
}

/* The mode is as said here, whatever the umask. */
static void make_folder(const struct identity *identity, const char *path, mode_t mode)
{
	mode_t before = umask(0);
	bool is_made = mkdir(path, mode) == 0;

	umask(before);
	if (is_made && identity->is_switching)
		(void)give_folder(identity, path);
}

void identity_make_parent(const struct identity *identity, const char *path)
{
	size_t end = strlen(path);
	char *parent;

	while (end > 1 && path[end - 1] == '/')
		end--;
	while (end > 1 && path[end - 1] != '/')
		end--;
	parent = strndup(path, end);
	if (!parent)
		return;
	make_folder(identity, parent, 0755);
	free(parent);
}

void identity_make_cache_dir(const struct identity *identity, const char *cache_dir)
{
	identity_make_parent(identity, cache_dir);
	make_folder(identity, cache_dir, 0700);
}

enum err identity_assume(const struct identity *identity, struct log *log)
{
	if (!identity->is_switching)
		return ERR_OK;
	if (initgroups(identity->user, identity->gid) != 0 || setgid(identity->gid) != 0 ||
		setuid(identity->uid) != 0) {
		log_event(log, LOG_LEVEL_ERROR, "cannot become user %s: %m", identity->user);
		return ERR_IO;
	}
	if (setuid(0) == 0 || geteuid() != identity->uid || getegid() != identity->gid) {
		log_event(log, LOG_LEVEL_ERROR,
			"became %s, but root could come back: refusing to run", identity->user);
		return ERR_IO;
	}
	return ERR_OK;
}

enum err identity_check_state_dir(const char *state_dir, struct log *log)
{
	struct stat st;
	bool is_there = stat(state_dir, &st) == 0;
	if (is_there && !S_ISDIR(st.st_mode)) {
		log_event(log, LOG_LEVEL_ERROR, "state_dir %s is not a folder", state_dir);
		return ERR_INVALID;
	}
	if (is_there && (st.st_mode & (S_IWGRP | S_IWOTH))) {
		log_event(log, LOG_LEVEL_ERROR,
			"state_dir %s may be written by others than its owner, who could put "
			"another table there: chmod 0700 %s",
			state_dir, state_dir);
		return ERR_INVALID;
	}
	if (access(state_dir, R_OK | W_OK | X_OK) == 0)
		return ERR_OK;
	const struct passwd *user = getpwuid(geteuid());
	log_event(log, LOG_LEVEL_ERROR,
		"user %s cannot use state_dir %s: %m; give it to that user with chown -R",
		user ? user->pw_name : "(unnamed)", state_dir);
	return ERR_IO;
}

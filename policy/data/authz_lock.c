/*
 * The lock file of the authorization table: one load, merge or rollback at a time.
 *
 * Knows no table. The lock is the kernel's (flock) and goes with the process; what stands in the
 * file only tells the next one who holds it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "policy/data/authz_load.h"
#include "policy/data/authz_private.h"

#define HOLDER_MAX 200

struct authz_lock {
	int fd;
};

static enum err fail_busy(int fd, const char *state_dir, char *error)
{
	char holder[HOLDER_MAX + 1];
	ssize_t len = pread(fd, holder, HOLDER_MAX, 0);

	holder[len > 0 ? len : 0] = '\0';
	for (char *at = holder; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '\0';
	snprintf(error, AUTHZ_ERROR_MAX, "%s/table.lock: held by %s", state_dir,
		holder[0] ? holder : "a process that is just starting");
	return ERR_BUSY;
}

static void write_holder(int fd, const char *what)
{
	char holder[HOLDER_MAX], since[32];
	time_t now = time(NULL);
	struct tm utc;
	int len;

	gmtime_r(&now, &utc);
	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &utc);
	len = snprintf(
		holder, sizeof(holder), "%s, pid %ld, since %s\n", what, (long)getpid(), since);
	/* Only a courtesy: without it the lock holds as well. */
	if (len > 0 && ftruncate(fd, 0) == 0 && pwrite(fd, holder, strlen(holder), 0) < 0)
		errno = 0;
}

enum err authz_lock_take(struct authz_lock **out, const char *state_dir, const char *what,
	char error[AUTHZ_ERROR_MAX])
{
	struct authz_lock *lock = NULL;
	char path[4096];
	enum err err = authz_make_dirs(state_dir, error, AUTHZ_ERROR_MAX);
	int fd;

	*out = NULL;
	if (err != ERR_OK)
		return err;
	snprintf(path, sizeof(path), "%s/table.lock", state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		snprintf(error, AUTHZ_ERROR_MAX, "%s/table.lock: %s", state_dir, strerror(errno));
		return ERR_IO;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		err = fail_busy(fd, state_dir, error);
		goto out;
	}
	lock = malloc(sizeof(*lock));
	if (!lock) {
		err = authz_report(error, ERR_NOMEM, "out of memory");
		goto out;
	}
	write_holder(fd, what);
	lock->fd = fd;
	*out = lock;
out:
	if (err != ERR_OK)
		close(fd);
	return err;
}

void authz_lock_release(struct authz_lock *lock)
{
	if (!lock)
		return;
	close(lock->fd);
	free(lock);
}

/*
 * The lock of the keeper. See keeper_lock.h.
 */
#include "policyd/keeper_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define HOLDER_MAX 200
#define LOG_AT_TRY 2

static void write_holder(int fd)
{
	char holder[HOLDER_MAX], since[32] = "";
	time_t now = time(NULL);
	struct tm utc;
	int len;

	if (gmtime_r(&now, &utc))
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &utc);
	len = snprintf(holder, sizeof(holder), "policyd's keeper, pid %ld, since %s\n",
		(long)getpid(), since);
	/* Only a courtesy: without it the lock holds as well. */
	if (len > 0 && ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, holder, (size_t)len, 0);
}

static void read_holder(int fd, char holder[HOLDER_MAX + 1])
{
	ssize_t len = pread(fd, holder, HOLDER_MAX, 0);

	holder[len > 0 ? len : 0] = '\0';
	for (char *at = holder; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '\0';
	if (!holder[0])
		snprintf(holder, HOLDER_MAX + 1, "a process that is just starting");
}

/* fd -1: error tells why there is none. */
static void complain(struct keeper_lock *lock, int fd, int error)
{
	char holder[HOLDER_MAX + 1];

	if (++lock->tries != LOG_AT_TRY)
		return;
	if (fd < 0) {
		log_event(lock->log, LOG_LEVEL_ERROR,
			"cannot make %s/keeper.lock: %s; no domain is re-checked, no hook is run "
			"and no control command served until it can be made, which is tried each "
			"second",
			lock->state_dir, strerror(error));
		return;
	}
	read_holder(fd, holder);
	log_event(lock->log, LOG_LEVEL_ERROR,
		"%s/keeper.lock is held by %s: another policyd uses this state_dir. This one "
		"answers mail, but re-checks no domain, runs no hook and serves no control "
		"command until the other has ended. Stop one of them, or give each a state_dir of "
		"its own",
		lock->state_dir, holder);
}

void keeper_lock_init(struct keeper_lock *lock, const char *state_dir, struct log *log)
{
	*lock = (struct keeper_lock){.state_dir = state_dir, .log = log, .fd = -1};
}

bool keeper_lock_take(struct keeper_lock *lock)
{
	char path[PATH_MAX];
	int fd;

	if (lock->fd >= 0)
		return true;
	snprintf(path, sizeof(path), "%s/keeper.lock", lock->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
		complain(lock, fd, errno);
		if (fd >= 0)
			close(fd);
		return false;
	}
	write_holder(fd);
	if (lock->tries >= LOG_AT_TRY)
		log_event(lock->log, LOG_LEVEL_WARNING,
			"%s is held now: domains are re-checked, hooks run, control commands "
			"served",
			path);
	lock->tries = 0;
	lock->fd = fd;
	return true;
}

void keeper_lock_deinit(struct keeper_lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}

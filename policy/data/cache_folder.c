/*
 * The cache's folder, see cache_folder.h.
 *
 * Must not know what is in the database. Fails when the folder cannot be made or written or is open
 * to everybody, when it holds a database that never was a cache, or when the kernel does not tell
 * its boot id; the daemon then does without a cache.
 */
#include "policy/data/cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define PATH_BYTES   4096
#define WAIT_MS      10
#define WAITS        600
#define LOCK_BYTES   16384 /* more than LMDB's table of readers takes */

struct complaint {
	const char *dir;
	char *error;
	size_t cap;
};

static enum err complain(const struct complaint *complaint, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum err complain(const struct complaint *complaint, const char *format, ...)
{
	int len = snprintf(complaint->error, complaint->cap, "%s: ", complaint->dir);
	va_list args;

	if (len < 0 || (size_t)len >= complaint->cap)
		return ERR_IO;
	va_start(args, format);
	vsnprintf(complaint->error + len, complaint->cap - (size_t)len, format, args);
	va_end(args);
	return ERR_IO;
}

static bool join_path(char out[PATH_BYTES], const char *dir, const char *file)
{
	int len = snprintf(out, PATH_BYTES, "%s/%s", dir, file);

	return len > 0 && len < PATH_BYTES;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hexadecimal digits, with `-` anywhere between them. */
static bool parse_boot_id(struct text typed, uint8_t out[16])
{
	size_t digits = 0;

	for (size_t i = 0; i < typed.len && digits < 32; i++) {
		int digit = hex_digit(typed.ptr[i]);

		if (typed.ptr[i] == '-')
			continue;
		if (digit < 0)
			return false;
		out[digits / 2] = (uint8_t)(digits % 2 ? out[digits / 2] << 4 | digit : digit);
		digits++;
	}
	return digits == 32;
}

static enum err read_boot_id(struct cache_folder *folder, const struct complaint *complaint)
{
	int file = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
	char bytes[64];
	ssize_t len = file >= 0 ? read(file, bytes, sizeof(bytes)) : -1;

	if (file >= 0)
		close(file);
	if (len > 0 && parse_boot_id((struct text){bytes, (size_t)len}, folder->boot_id))
		return ERR_OK;
	return complain(
		complaint, "%s cannot be read, so the age of a cache is not known", BOOT_ID_FILE);
}

static enum err make_dir(const struct complaint *complaint)
{
	struct stat info;

	if (mkdir(complaint->dir, 0700) != 0 && errno != EEXIST)
		return complain(complaint,
			"cannot be made: %s; make it and give it to policyd's user (mkdir -p, "
			"chown), or restart policyd as root",
			strerror(errno));
	if (stat(complaint->dir, &info) != 0)
		return complain(complaint, "%s", strerror(errno));
	if (!S_ISDIR(info.st_mode))
		return complain(complaint, "is no folder");
	if (info.st_uid != geteuid())
		return complain(complaint,
			"belongs to another user, who would be believed: give it to policyd's user "
			"(chown) or name another folder");
	if (info.st_mode & (S_IWGRP | S_IWOTH))
		return complain(complaint,
			"others may write here, and would be believed: use a folder of mode 0700");
	return ERR_OK;
}

static enum err open_mark(struct cache_folder *folder, const struct complaint *complaint)
{
	char path[PATH_BYTES];

	if (!join_path(path, folder->dir, "cache.boot"))
		return complain(complaint, "the path is too long");
	folder->mark = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (folder->mark < 0)
		return complain(complaint, "cannot be written: %s", strerror(errno));
	return ERR_OK;
}

/* Locks of the open file, not of the process: going from alone to shared leaves no gap. */
static bool lock_mark(const struct cache_folder *folder, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(folder->mark, F_OFD_SETLK, &lock) == 0;
}

static enum err lock_folder(struct cache_folder *folder, const struct complaint *complaint)
{
	static const struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};

	for (int i = 0; i < WAITS; i++) {
		folder->is_alone = lock_mark(folder, F_WRLCK);
		if (folder->is_alone || lock_mark(folder, F_RDLCK))
			return ERR_OK;
		nanosleep(&pause, NULL);
	}
	return complain(
		complaint, "another process has been opening it for %d s", WAITS * WAIT_MS / 1000);
}

bool cache_folder_has_files(const struct cache_folder *folder)
{
	char path[PATH_BYTES];

	return join_path(path, folder->dir, "data.mdb") && access(path, F_OK) == 0;
}

void cache_folder_remove_files(const struct cache_folder *folder)
{
	char path[PATH_BYTES];

	if (join_path(path, folder->dir, "data.mdb"))
		unlink(path);
	if (join_path(path, folder->dir, "lock.mdb"))
		unlink(path);
}

/* Alone: what is here becomes of this boot, or goes. */
static enum err renew_files(const struct cache_folder *folder, const struct complaint *complaint)
{
	uint8_t made[16];
	ssize_t len = pread(folder->mark, made, sizeof(made), 0);

	if (len == (ssize_t)sizeof(made) && memcmp(made, folder->boot_id, sizeof(made)) == 0)
		return ERR_OK;
	if (len == 0 && cache_folder_has_files(folder))
		return complain(complaint,
			"holds a database that is no DNS cache: use another folder, or remove it");
	cache_folder_remove_files(folder);
	if (pwrite(folder->mark, folder->boot_id, sizeof(folder->boot_id), 0) !=
		(ssize_t)sizeof(folder->boot_id))
		return complain(complaint, "cannot be written: the disk is full or failing");
	return ERR_OK;
}

enum err cache_folder_take(
	struct cache_folder *folder, const char *dir, char *error, size_t error_cap)
{
	struct complaint complaint = {dir, error, error_cap};
	enum err err;

	*folder = (struct cache_folder){.dir = dir, .mark = -1};
	err = read_boot_id(folder, &complaint);
	if (err == ERR_OK)
		err = make_dir(&complaint);
	if (err == ERR_OK)
		err = open_mark(folder, &complaint);
	if (err == ERR_OK)
		err = lock_folder(folder, &complaint);
	if (err == ERR_OK && folder->is_alone)
		err = renew_files(folder, &complaint);
	if (err != ERR_OK)
		cache_folder_release(folder);
	return err;
}

enum err cache_folder_reserve(const struct cache_folder *folder)
{
	char path[PATH_BYTES];
	int fd, code;

	if (!join_path(path, folder->dir, "lock.mdb"))
		return ERR_IO;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == ENOSPC ? ERR_FULL : ERR_IO;
	code = posix_fallocate(fd, 0, LOCK_BYTES);
	close(fd);
	return code == 0 ? ERR_OK : code == ENOSPC ? ERR_FULL : ERR_IO;
}

void cache_folder_share(struct cache_folder *folder)
{
	if (folder->is_alone)
		(void)lock_mark(folder, F_RDLCK);
	folder->is_alone = false;
}

void cache_folder_distrust(const struct cache_folder *folder)
{
	static const uint8_t no_boot[16];

	(void)!pwrite(folder->mark, no_boot, sizeof(no_boot), 0);
}

void cache_folder_release(struct cache_folder *folder)
{
	if (folder->mark >= 0)
		close(folder->mark);
	folder->mark = -1;
}

static struct cache_folder_place look_at(const char *path)
{
	struct stat info;

	if (stat(path, &info) != 0)
		return (struct cache_folder_place){0};
	return (struct cache_folder_place){info.st_dev, info.st_ino, info.st_uid, info.st_mode};
}

static struct cache_folder_place look_at_parent(const char *dir)
{
	char path[PATH_BYTES];
	size_t end = strlen(dir);

	while (end > 1 && dir[end - 1] == '/')
		end--;
	while (end > 0 && dir[end - 1] != '/')
		end--;
	if (end >= sizeof(path))
		return (struct cache_folder_place){0};
	memcpy(path, dir, end);
	path[end] = '\0';
	return look_at(end > 0 ? path : ".");
}

void cache_folder_look(const char *dir, struct cache_folder_view *out)
{
	char path[PATH_BYTES];

	*out = (struct cache_folder_view){.parent = look_at_parent(dir), .folder = look_at(dir)};
	if (join_path(path, dir, "data.mdb"))
		out->data = look_at(path);
}

bool cache_folder_is_same(
	const struct cache_folder_place *one, const struct cache_folder_place *other)
{
	return one->dev == other->dev && one->ino == other->ino && one->owner == other->owner &&
	       one->mode == other->mode;
}

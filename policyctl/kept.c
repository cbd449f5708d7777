/*
 * See kept.h. Only the cache's owner opens it: what anybody else made there would be of no use to
 * the daemon.
 */
#include "policyctl/kept.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void say_owner(const char *dir, uid_t owner, char error[KEPT_ERROR_MAX])
{
	const struct passwd *user = getpwuid(owner);
	char number[32];

	snprintf(number, sizeof(number), "number %u", (unsigned)owner);
	snprintf(error, KEPT_ERROR_MAX,
		"the DNS cache %s belongs to user %s: run this as root or as that user; as root, "
		"[policyd] user must be that user",
		dir, user ? user->pw_name : number);
}

static enum lookup say_no(const char *path, char error[KEPT_ERROR_MAX])
{
	if (errno == ENOENT || errno == ENOTDIR) {
		snprintf(error, KEPT_ERROR_MAX,
			"there is no DNS cache in %s ([dns] cache_dir); policyd makes it when it "
			"starts with lockdown enabled",
			path);
		return LOOKUP_ABSENT;
	}
	snprintf(error, KEPT_ERROR_MAX, "the DNS cache %s cannot be read: %s%s", path,
		strerror(errno),
		errno == EACCES ? "; run this as root or as the user that policyd runs as" : "");
	return LOOKUP_FAILED;
}

enum lookup kept_open(const struct config *config, struct cache **out, char error[KEPT_ERROR_MAX])
{
	const char *dir = config->cache_dir;
	char path[4096];
	struct stat info;

	*out = NULL;
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	if (stat(dir, &info) != 0)
		return say_no(dir, error);
	if (info.st_uid != geteuid()) {
		say_owner(dir, info.st_uid, error);
		return LOOKUP_FAILED;
	}
	if (stat(path, &info) != 0)
		return say_no(dir, error);
	return cache_open(out, dir, config->cache_max_mb, error, KEPT_ERROR_MAX) == ERR_OK
		       ? LOOKUP_FOUND
		       : LOOKUP_FAILED;
}

/*
 * Privileges, see privilege.h. The only file of policyctl that changes ids. Fails with a sentence
 * on stderr.
 */
#include "policyctl/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policyctl/output.h"

struct identity {
	uid_t uid;
	gid_t gid;
	const char *name; /* of the user, NULL where it has none */
};

static bool identity_of_config(const struct config *config, struct identity *out)
{
	const struct passwd *user = getpwnam(config->user);
	const struct group *group;

	if (!user) {
		complain("there is no user \"%s\", named by [policyd] user", config->user);
		return false;
	}
	*out = (struct identity){user->pw_uid, user->pw_gid, config->user};
	if (!config->group[0])
		return true;
	group = getgrnam(config->group);
	if (!group) {
		complain("there is no group \"%s\", named by [policyd] group", config->group);
		return false;
	}
	out->gid = group->gr_gid;
	return true;
}

static bool become(const struct identity *id)
{
	int failed;

	if (id->uid == 0)
		return true;
	failed = id->name ? initgroups(id->name, id->gid) : setgroups(0, NULL);
	if (failed || setresgid(id->gid, id->gid, id->gid) != 0 ||
		setresuid(id->uid, id->uid, id->uid) != 0) {
		complain("cannot become user %s: %s", id->name ? id->name : "of state_dir",
			strerror(errno));
		return false;
	}
	return true;
}

static bool state_dir_make(const char *path, const struct identity *owner)
{
	int fd;
	bool made;

	if (mkdir(path, 0700) != 0) {
		complain("cannot make state_dir %s: %s", path, strerror(errno));
		return false;
	}
	if (!owner)
		return true;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	made = fd >= 0 && fchown(fd, owner->uid, owner->gid) == 0;
	if (!made)
		complain("cannot give state_dir %s to user %s: %s", path, owner->name,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return made;
}

static bool enter_as_root(const struct config *config, bool may_create)
{
	struct identity id;
	struct stat dir;
	bool is_there = stat(config->state_dir, &dir) == 0;

	if (!is_there && errno != ENOENT) {
		complain("%s: %s", config->state_dir, strerror(errno));
		return false;
	}
	if (config->user[0]) {
		if (!identity_of_config(config, &id))
			return false;
		if (!is_there && may_create && !state_dir_make(config->state_dir, &id))
			return false;
		return become(&id);
	}
	if (!is_there && may_create) {
		complain("state_dir %s does not exist and no user is configured to own it; set "
			 "[policyd] user, or "
			 "make the folder (0700) for the user that policyd runs as",
			config->state_dir);
		return false;
	}
	if (!is_there)
		return true;
	id = (struct identity){dir.st_uid, dir.st_gid, NULL};
	if (getpwuid(dir.st_uid))
		id.name = getpwuid(dir.st_uid)->pw_name;
	return become(&id);
}

void privilege_owner(const struct config *config, char *out, size_t cap)
{
	struct stat dir;
	const struct passwd *owner = NULL;

	if (stat(config->state_dir, &dir) == 0)
		owner = getpwuid(dir.st_uid);
	output_escape(text_of(owner ? owner->pw_name : config->user), out, cap);
}

bool privilege_is_foreign(const struct config *config)
{
	return geteuid() != 0 &&
	       faccessat(AT_FDCWD, config->state_dir, R_OK | W_OK | X_OK, AT_EACCESS) != 0 &&
	       errno == EACCES;
}

/* Root has become policyd's user, and that user may not. */
static void complain_no_access(const struct config *config)
{
	char name[OUTPUT_SHORT];

	privilege_owner(config, name, sizeof(name));
	if (config->user[0] && strcmp(name, config->user) != 0)
		complain("%s belongs to user %s, but [policyd] user is %s; correct that, or give "
			 "the folder away with `chown -R %s %s`",
			config->state_dir, name, config->user, config->user, config->state_dir);
	else
		complain("%s belongs to user %s, who may not read and write there: it has to be "
			 "0700",
			config->state_dir, name);
}

bool privilege_drop(const struct config *config)
{
	umask(077);
	return geteuid() != 0 || enter_as_root(config, false);
}

bool privilege_enter(const struct config *config, bool may_create)
{
	umask(077);
	if (geteuid() == 0 && !enter_as_root(config, may_create))
		return false;
	if (faccessat(AT_FDCWD, config->state_dir, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return true;
	if (errno == ENOENT)
		return !may_create || state_dir_make(config->state_dir, NULL);
	if (errno == EACCES)
		complain_no_access(config);
	else
		complain("%s: %s", config->state_dir, strerror(errno));
	return false;
}

/*
 * Who runs policyctl, see actor.h.
 *
 * The environment is believed. What it says about somebody else matters only where a file of
 * policyd's is written, and that can only root and policyd's user, who may do everything anyway and
 * could write any line; everybody else asks the keeper, which makes an environment of its own from
 * what the kernel says.
 */
#include "policyctl/actor.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool uid_of(const char *digits, uid_t *uid)
{
	char *end;
	unsigned long value;

	if (!digits || digits[0] < '0' || digits[0] > '9')
		return false;
	errno = 0;
	value = strtoul(digits, &end, 10);
	if (errno != 0 || *end != '\0' || value >= AUDIT_UID_POLICYD)
		return false;
	*uid = (uid_t)value;
	return true;
}

static void set(struct ctl *ctl, uid_t uid, const char *name)
{
	const struct passwd *user = name && name[0] ? NULL : getpwuid(uid);

	if (user)
		name = user->pw_name;
	if (name && name[0])
		snprintf(ctl->actor_name, sizeof(ctl->actor_name), "%s", name);
	else
		snprintf(ctl->actor_name, sizeof(ctl->actor_name), "#%lu", (unsigned long)uid);
	for (char *c = ctl->actor_name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	ctl->actor = (struct registry_actor){uid, text_of(ctl->actor_name)};
}

void actor_find(struct ctl *ctl)
{
	uid_t uid;

	if (geteuid() != 0 && uid_of(getenv(ACTOR_UID_VARIABLE), &uid))
		set(ctl, uid, getenv(ACTOR_NAME_VARIABLE));
	else if (uid_of(getenv("SUDO_UID"), &uid))
		set(ctl, uid, NULL);
	else
		set(ctl, getuid(), NULL);
}

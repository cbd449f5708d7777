/*
 * Who the daemon is: from root to `user` and `group`, and the folder that user keeps its state in.
 *
 * Each failure is logged here, with what to do, and ends the start.
 */
#ifndef POLICYD_PRIVILEGES_H
#define POLICYD_PRIVILEGES_H

#include <sys/types.h>

#include "policy/engine/config.h"

/* Whom the daemon runs as, and who may use its unix sockets. */
struct identity {
	bool is_switching; /* started as root: becomes uid and gid */
	uid_t uid;
	gid_t gid;
	const char *user; /* borrowed from the configuration; "" where none is named */
	gid_t socket_gid;
	unsigned socket_mode;
};

POLICY_CHECKED enum err identity_resolve(
	const struct config *config, struct log *log, struct identity *out);

/* Makes state_dir (0700, the identity's) where it is missing. */
POLICY_CHECKED enum err identity_make_state_dir(
	const struct identity *identity, const char *state_dir, struct log *log);

/* Likewise cache_dir and the folder it is in. A cache can be done without: what fails here is named
 * by who opens it. */
void identity_make_cache_dir(const struct identity *identity, const char *cache_dir);

/* Makes the folder that `path` is in (0755, the identity's) where it is missing. What fails here is
 * named by who uses it. */
void identity_make_parent(const struct identity *identity, const char *path);

/* Gives root up for good. */
POLICY_CHECKED enum err identity_assume(const struct identity *identity, struct log *log);

/* Whether the identity that the process has by now can work in state_dir. */
POLICY_CHECKED enum err identity_check_state_dir(const char *state_dir, struct log *log);

#endif

/*
 * Who may do what through the control socket: [roles] of policyd.ini against the groups of the
 * process that asks.
 *
 * Root and the user that policyd runs as may do everything. A command that is not in the table
 * here is nobody's. Fails closed.
 */
#ifndef POLICYD_ROLES_H
#define POLICYD_ROLES_H

#include <sys/types.h>

#include "policy/engine/config.h"

#define PEER_GROUPS_MAX 1024

/* The other side of the socket, as the kernel says. */
struct peer_identity {
	uid_t uid;
	gid_t gid;
	size_t group_count;
	gid_t groups[PEER_GROUPS_MAX];
};

/* False: the kernel does not say. */
POLICY_CHECKED bool peer_identity_of(int fd, struct peer_identity *out);

/* The role that a policyctl command line needs: its words from the command on, without -c and -o.
 * ROLES_: nobody's but root's and policyd's. So are command lines with FILE operands other than
 * `-`, with options that are not known here, and those that could be read in two ways. */
enum role role_of_command(const struct text *words, size_t count);

/* How the table calls that command line ("domain add --hosted"); NULL: it is nobody's. */
const char *role_command_name(const struct text *words, size_t count);

/* "add" ...; stable. */
const char *role_name(enum role role);

/* Whether the peer has the role. ROLES_: only root and policyd's user. */
POLICY_CHECKED bool role_is_held(
	const struct config *config, const struct peer_identity *peer, enum role role);
/* Root or the user that this process runs as. */
bool peer_is_master(const struct peer_identity *peer);

/* Names groups of [roles] that this machine does not have: a warning each. */
void roles_check(const struct config *config, struct log *log);

#endif

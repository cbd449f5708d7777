/*
 * Becoming the user that policyd runs as, so that root leaves no file which the daemon cannot open.
 */
#ifndef POLICYCTL_PRIVILEGE_H
#define POLICYCTL_PRIVILEGE_H

#include "policy/engine/config.h"

/* Whether this process may not use state_dir: started by somebody who is neither root nor policyd's
 * user. What such a person may do, the daemon decides (remote.h). */
bool privilege_is_foreign(const struct config *config);

/* Started by root: becomes policyd.user and policyd.group, or the owner of state_dir where no user
 * is configured. Started by anybody else: stays. may_create: a state_dir that is missing is made,
 * 0700. False: cannot go on; complained with what to do. */
POLICY_CHECKED bool privilege_enter(const struct config *config, bool may_create);

/* The same for commands that do not look into state_dir: started by anybody else it always goes
 * on. */
POLICY_CHECKED bool privilege_drop(const struct config *config);

/* The user that policyd's files belong to, into out[cap], escaped; "" where nobody knows. */
void privilege_owner(const struct config *config, char *out, size_t cap);

#endif

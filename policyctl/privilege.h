/*
 * Becoming the user that policyd runs as, so that root leaves no file which the daemon cannot open.
 */
#ifndef POLICYCTL_PRIVILEGE_H
#define POLICYCTL_PRIVILEGE_H

#include "policy/engine/config.h"

/* Started by root: becomes policyd.user and policyd.group, or the owner of state_dir where no user
 * is configured. Started by anybody else: stays. may_create: a state_dir that is missing is made,
 * 0700. False: cannot go on; complained with what to do. */
POLICY_CHECKED bool privilege_enter(const struct config *config, bool may_create);

/* The same for commands that do not look into state_dir: started by anybody else it always goes
 * on. */
POLICY_CHECKED bool privilege_drop(const struct config *config);

#endif

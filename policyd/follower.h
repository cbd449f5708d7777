/*
 * What happens after a change of the register: a log line each, and `[ownership] hook` for each
 * change of a claim's state.
 *
 * Follows the audit lines, whoever wrote them (the daemon, policyctl), from where it was when it
 * last ended: a restart loses none. The hook is run without a shell, one at a time, with the change
 * in its environment (POLICYD_DOMAIN, _TENANT, _BEFORE, _AFTER, _REASON, _ACTOR, _TIME, _NUMBER),
 * stdin and stdout on /dev/null, so many seconds to live; one that fails, is killed or cannot
 * start is logged, not repeated.
 */
#ifndef POLICYD_FOLLOWER_H
#define POLICYD_FOLLOWER_H

#include <ev.h>

#include "policy/data/registry.h"
#include "policy/engine/config.h"

#define HOOK_MAX_S 30

struct follower;

POLICY_CHECKED enum err follower_new(
	struct follower **out, struct ev_loop *loop, struct log *log, struct registry *registry);
/* "" : no hook. Borrowed until the next call; a hook that runs goes on. max_s: of those that start
 * from now on. */
void follower_set_hook(struct follower *follower, const char *path, unsigned max_s);
/* Whether that file can be run by this process; errno. */
bool follower_can_run(const char *hook);
/* Everything up to now counts as dealt with. Not while a hook runs. */
void follower_skip(struct follower *follower);
/* How many changes of a claim's state it has followed: grows. */
uint64_t follower_changes(const struct follower *follower);
/* Whenever something may have been written, and once a second. */
void follower_look(struct follower *follower);
/* A hook that runs gets SIGKILL, and is run again after the restart. NULL is fine. */
void follower_free(struct follower *follower);

#endif

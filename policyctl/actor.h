/*
 * Who runs policyctl, for the audit lines.
 */
#ifndef POLICYCTL_ACTOR_H
#define POLICYCTL_ACTOR_H

#include "policyctl/command.h"

/* What the daemon's keeper sets where it runs policyctl for somebody. */
#define ACTOR_UID_VARIABLE  "POLICYD_ACTOR_UID"
#define ACTOR_NAME_VARIABLE "POLICYD_ACTOR_NAME"

/* Sets ctl->actor. Before privileges are dropped. Never fails: a user without a name is #UID. */
void actor_find(struct ctl *ctl);

#endif

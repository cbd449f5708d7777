/*
 * A worker's view of the ownership register: open or not, as the keeper's verdict in shared memory
 * says.
 *
 * Knows when the register may be read, not what is in it. Not being able to open it is
 * REGISTRY_DAMAGED, never "nobody claimed it".
 */
#ifndef POLICYD_REGISTRY_WATCH_H
#define POLICYD_REGISTRY_WATCH_H

#include "policy/engine/log.h"
#include "policy/engine/session.h"
#include "policyd/shared.h"

struct registry_watch {
	struct shared *shared;
	const char *state_dir;
	unsigned map_mb;
	struct log *log;
	struct registry *registry; /* NULL: none, or it must not be read */
	enum registry_trust trust;
	uint64_t seen; /* the word of shared->registry that this state follows */
	bool is_seen;
	bool is_absent;   /* there was none when it was looked for */
	bool is_stuck;    /* opening failed for a reason that only time or a person removes */
	unsigned quiet_s; /* until the next complaint about a damaged value */
};

/* Follows the shared verdict; true when registry or trust changed. Called before each decision:
 * cheap while nothing changed. */
bool registry_watch_update(struct registry_watch *watch);

/* Once a second: tries again what could not be opened. */
void registry_watch_tick(struct registry_watch *watch);

/* A value turned out to be damaged: says so, with the cure, and asks the keeper for a walk. */
void registry_watch_on_damage(struct registry_watch *watch);

void registry_watch_deinit(struct registry_watch *watch);

#endif

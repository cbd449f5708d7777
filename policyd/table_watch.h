/*
 * A worker's view of the table: open or not, as the keeper's verdict in shared memory says.
 *
 * Knows when the table may be read, not what is in it. Not being able to open it is TABLE_DAMAGED
 * or no table, never an allow.
 */
#ifndef POLICYD_TABLE_WATCH_H
#define POLICYD_TABLE_WATCH_H

#include "policy/engine/session.h"
#include "policy/engine/log.h"
#include "policyd/shared.h"

struct table_watch {
	struct shared *shared;
	const char *state_dir;
	unsigned map_mb;
	struct log *log;
	struct authz *authz; /* NULL: none, or it must not be read */
	enum table_trust trust;
	uint64_t seen; /* the word of shared->table that this state follows */
	bool is_seen;
	bool is_stuck;    /* opening failed for a reason that only time or a person removes */
	unsigned quiet_s; /* until the next complaint about a damaged row */
};

/* Follows the shared verdict; true when authz or trust changed. Called before each decision: cheap
 * while nothing changed. */
bool table_watch_update(struct table_watch *watch);

/* Once a second: tries again what could not be opened. */
void table_watch_tick(struct table_watch *watch);

/* A row turned out to be damaged: says so, with the cure, and asks the keeper to walk the table. */
void table_watch_on_damage(struct table_watch *watch);

void table_watch_deinit(struct table_watch *watch);

#endif

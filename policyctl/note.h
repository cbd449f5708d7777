/*
 * The audit line of something that was done outside the register: load, rollback, cache flush.
 *
 * Where it cannot be written that is a warning: what was done stays done.
 */
#ifndef POLICYCTL_NOTE_H
#define POLICYCTL_NOTE_H

#include "policyctl/command.h"
#include "policyctl/totals.h"

/* number, at, uid and actor of entry are set here. */
void note_done(const struct ctl *ctl, struct audit_entry entry);

/* The table was changed by delta and holds `rows` now. from: the name of the input, NULL none. */
void note_table(const struct ctl *ctl, const char *action, const struct authz_delta *delta,
	uint64_t rows, const char *from);

#endif

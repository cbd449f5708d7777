/*
 * Opening the ownership register for a command, and telling the daemon of a change.
 *
 * The register is not walked first, as the table is: one claim of 100,000 has to be answered at
 * once. Each value has its own checksum.
 */
#ifndef POLICYCTL_REGISTRY_OPEN_H
#define POLICYCTL_REGISTRY_OPEN_H

#include "policyctl/command.h"

/* Opens and begins one consistent look. FOUND: *out is open. ABSENT: there is no register, nothing
 * was ever claimed; not complained. FAILED: complained. *out is NULL in both. */
enum lookup registry_open_to_read(const struct ctl *ctl, struct registry **out);
void registry_close_read(struct registry *registry); /* NULL is fine */

/* Makes the register where there is none. NULL: complained. */
struct registry *registry_open_to_write(const struct ctl *ctl);
/* Closes, and tells the daemon, so that its log and hook need not wait. NULL is fine. */
void registry_close_written(const struct ctl *ctl, struct registry *registry);

#endif

/*
 * A check of files that may kill who does it (a truncated map is SIGBUS), done in a forked child
 * that reports.
 *
 * Knows nothing of what is checked. A child that dies without a report is the caller's ERR_DAMAGED.
 */
#ifndef POLICY_DATA_IN_CHILD_H
#define POLICY_DATA_IN_CHILD_H

#include "policy/core/base.h"

#define IN_CHILD_ERROR_MAX 512

/* Runs check(ctx, error) in a child that holds none of the caller's descriptors, ends with the
 * caller and leaves no core; waits for it. error[IN_CHILD_ERROR_MAX] is the child's sentence.
 * Returns what check returned. ERR_IO: no child could be made. ERR_DAMAGED with *death "signal 7"
 * and an empty error: it died. */
POLICY_CHECKED enum err in_child(
	enum err (*check)(void *ctx, char *error), void *ctx, char *error, char death[32]);

#endif

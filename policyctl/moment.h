/*
 * A moment as policyctl prints it: UTC, to the second.
 */
#ifndef POLICYCTL_MOMENT_H
#define POLICYCTL_MOMENT_H

#include "policy/core/base.h"

#define MOMENT_MAX 32

/* at: Unix seconds. "2030-01-31T12:00:00Z" into out, which is returned; "?" for what is no time. */
const char *moment_format(int64_t at, char out[MOMENT_MAX]);

#endif

/*
 * Opens the daemon's DNS cache where there is one. Never makes one.
 */
#ifndef POLICYCTL_KEPT_H
#define POLICYCTL_KEPT_H

#include "policy/data/cache.h"
#include "policyctl/command.h"

#define KEPT_ERROR_MAX 1024

/* FOUND: *out is the caller's to close. ABSENT: there is none, error says where. FAILED: error says
 * why and what to do. */
POLICY_CHECKED enum lookup kept_open(
	const struct config *config, struct cache **out, char error[KEPT_ERROR_MAX]);

#endif

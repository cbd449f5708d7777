/*
 * Whether anything says that a tenant exists: a name that was mistyped looks like any other.
 */
#ifndef POLICYCTL_TENANT_H
#define POLICYCTL_TENANT_H

#include "policyctl/command.h"
#include "policyctl/output.h"

/* FOUND: a line of the tenants table, or a hosted claim, names it. FAILED: complained. */
enum lookup tenant_find(const struct ctl *ctl, struct text tenant);
/* The same; where nothing names it, a warning on stderr. */
enum lookup tenant_warn(const struct ctl *ctl, struct text tenant);
/* "tenant_known": true, false, or null where it could not be found out. */
void tenant_write(enum lookup known, struct json *json);

#endif

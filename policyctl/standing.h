/*
 * How the register and the daemon stand, as status prints it.
 */
#ifndef POLICYCTL_STANDING_H
#define POLICYCTL_STANDING_H

#include "policyctl/command.h"
#include "policyctl/output.h"

struct standing {
	bool has_register;
	struct registry_stat stat;
	enum err daemon; /* daemon_ask's "ping" */
};

/* Walks the register, counts, asks the daemon. False: the register cannot be read, complained. */
POLICY_CHECKED bool standing_read(const struct ctl *ctl, struct standing *out);
void standing_print(const struct ctl *ctl, const struct standing *standing);
/* "register": {...} or null, "daemon_answers", into an open object. */
void standing_write(const struct standing *standing, struct json *json);

#endif

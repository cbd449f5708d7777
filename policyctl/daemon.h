/*
 * Whether the daemon is there, by its control socket.
 */
#ifndef POLICYCTL_DAEMON_H
#define POLICYCTL_DAEMON_H

#include "policyctl/command.h"

#define DAEMON_TEXT 4352 /* a path and a sentence about it */

/* A command without attributes ("ping", "follow"), and its answer waited for. ERR_OK: status=ok.
 * ERR_ABSENT: nobody listens, no daemon runs. ERR_BUSY: it took the question and did not answer in
 * time. Anything else: not understood. */
POLICY_CHECKED enum err daemon_ask(
	const struct config *config, const char *command, int timeout_ms);
/* Whether somebody listens there. */
bool daemon_listens(const struct config *config);

/* Of ERR_BUSY: what the likely reason is and how to find out, into out. */
const char *daemon_busy_cause(const struct config *config, char out[DAEMON_TEXT]);
/* One line where nobody will look for the record of a claim, because no daemon runs: a `note` for
 * people. Nothing where one does. */
void daemon_print_note(const struct config *config);

#endif

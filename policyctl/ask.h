/*
 * Asks the engine as the daemon would: the same session, the same table, no counting.
 */
#ifndef POLICYCTL_ASK_H
#define POLICYCTL_ASK_H

#include "policy/engine/session.h"
#include "policyctl/command.h"

struct ask {
	struct session *session;
	struct authz *authz; /* NULL: no table, or a damaged one */
};

/* False: the table could not be opened at all, complained. A table that is missing or damaged is an
 * answer (a deferral). */
POLICY_CHECKED bool ask_open(struct ask *ask, const struct ctl *ctl);
void ask_close(struct ask *ask);

/* One session on a table that is open already. */
POLICY_CHECKED bool ask_open_on(struct ask *ask, const struct ctl *ctl, struct authz *authz);

/* LOGIN and SENDER of the command line: `-` or nothing is nobody, `<>` the null sender. */
struct text ask_login(const char *argument);
struct text ask_sender(const char *argument);

/* The request smtpd would send. */
struct request ask_request(const struct settings *settings, struct text login, struct text sender);

/* What a verdict is as an exit code; in mode monitor the answer counts, not what it would have
 * been. */
enum ctl_exit ask_exit(const struct verdict *verdict);

/* The first line of an answer, without its line feed. */
struct text ask_action_line(const struct session_answer *answer);

#endif

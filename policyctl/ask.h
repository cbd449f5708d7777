/*
 * Asks the engine as the daemon would: the same session, the same table, no counting.
 */
#ifndef POLICYCTL_ASK_H
#define POLICYCTL_ASK_H

#include "policy/engine/dns_stack.h"
#include "policy/engine/session.h"
#include "policyctl/command.h"

struct ask {
	struct session *session;
	struct session_parts parts;
	struct settings
		settings;    /* the configuration's; without lockdown where the DNS is left alone */
	struct authz *authz; /* NULL: no table, or a damaged one; or not ours */
	struct registry *registry; /* NULL: there is none, or a damaged one */
	struct ev_loop *loop;      /* NULL: nothing is asked of the DNS */
	struct log log;
	struct dns_stack dns;
	int64_t now;
};

/* False: table or register could not be opened at all, complained. One that is damaged, and a table
 * that is missing, is an answer (a deferral); a register that is missing is none. The DNS is asked
 * as the daemon would, on a loop of its own; nobody's limits are used up. */
POLICY_CHECKED bool ask_open(struct ask *ask, const struct ctl *ctl);
void ask_close(struct ask *ask);

/* A session on a table that is open already, for what table and register alone say: no DNS. authz
 * becomes the ask's, also where this fails (complained). The ask stays where it is. */
POLICY_CHECKED bool ask_open_on(struct ask *ask, const struct ctl *ctl, struct authz *authz);

/* One question, waited for. trace may be NULL. The answer is valid until the next question. */
void ask_question(struct ask *ask, const struct request *request, const struct trace *trace,
	struct session_answer *answer);

/* LOGIN and SENDER of the command line: `-` or nothing is nobody, `<>` the null sender. */
struct text ask_login(const char *argument);
struct text ask_sender(const char *argument);

/* The request smtpd would send. */
struct request ask_request(const struct settings *settings, struct text login, struct text sender);

/* What an answer is as an exit code: the answer counts, not what mode monitor would have made of it,
 * nor the verdict behind a FILTER or HOLD. */
enum ctl_exit ask_exit(const struct session_answer *answer);

/* The first line of an answer, without its line feed. */
struct text ask_action_line(const struct session_answer *answer);

#endif

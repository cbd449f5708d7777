/*
 * The one log line of a decision.
 *
 * Knows which fields it has and in which order; log.c escapes them. Cannot fail.
 */
#ifndef POLICYD_DECISION_LOG_H
#define POLICYD_DECISION_LOG_H

#include "policy/engine/config.h"
#include "policy/engine/session.h"

/* Whether `log_decisions` and `log_level` leave anything to write: without that no time is
 * measured. */
bool decision_log_is_on(const struct log *log, enum log_decisions which);

/* took_ns: from the whole request to its answer. */
void decision_log_write(struct log *log, enum log_decisions which, const struct request *request,
	const struct session_answer *answer, int64_t took_ns);

#endif

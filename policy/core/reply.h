/*
 * The answer's bytes: `action=TEXT` and an empty line (Postfix SMTPD_POLICY_README).
 *
 * Pure. Whatever login, sender or template hold, the answer is one line of printable ASCII, at most
 * REPLY_LINE_MAX bytes, never empty and never a bare code: Postfix ACCEPTS on `action=` and on
 * digits alone, and leaks memory on `REJECT 5.7.1` without text. Cannot fail.
 */
#ifndef POLICY_CORE_REPLY_H
#define POLICY_CORE_REPLY_H

#include "policy/core/decision.h"

#define REPLY_LINE_MAX     500                  /* with `action=`, without line feeds */
#define REPLY_MAX          (REPLY_LINE_MAX + 2) /* the whole answer */
#define REPLY_TEMPLATE_MAX 300

/* A template a reason, NULL for the built-in one. Checked by reply_template_check when they were
 * read. */
struct replies {
	const char *of_reason[REASON_COUNT_];
};

/* What fills %u %s %d %i. Any byte that is not printable ASCII becomes `?`. */
struct reply_values {
	struct text login, sender, domain, id;
};

/* NULL when usable; else what is wrong and what is allowed: REJECT, DEFER, DEFER_IF_PERMIT, 4xx or
 * 5xx, an optional enhanced code (X.Y.Z, same class), then text; printable ASCII; %u %s %d %i %% in
 * the text alone; REPLY_TEMPLATE_MAX. REASON_DOMAIN_UNVERIFIED alone may also let the mail go
 * another way (Postfix access(5)): `HOLD text`, or `FILTER transport:destination`, which no client
 * has a say in: no placeholder. */
const char *reply_template_check(enum reason reason, struct text template_text);

/* The built-in template; NULL for reasons that answer DUNNO. */
const char *reply_default(enum reason reason);

/* Writes the whole answer, returns its length (without NUL; none is written). `values` that do not
 * fit are cut. In mode monitor the answer is settings' monitor_action: DUNNO, or `WARN policyd
 * would answer: ...`. */
size_t reply_format(const struct replies *replies, const struct verdict *verdict,
	enum monitor_action monitor_action, const struct reply_values *values, char out[REPLY_MAX]);

/* Whether Postfix takes the mail on this answer (DUNNO, WARN, FILTER, HOLD), as far as policyd has a
 * say. */
bool reply_takes_mail(struct text answer);

#endif

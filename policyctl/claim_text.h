/*
 * A claim as people read it: times, states, what there is to say about each; never its token.
 */
#ifndef POLICYCTL_CLAIM_TEXT_H
#define POLICYCTL_CLAIM_TEXT_H

#include "policyctl/claim_mask.h"
#include "policyctl/moment.h"
#include "policyctl/output.h"

#define SPAN_MAX          24
#define CLAIM_MOMENT_MAX  (MOMENT_MAX + SPAN_MAX + 8)
#define CLAIM_MEANING_MAX 320

/* "40 s", "5 min", "3 h", "12 d" into out. */
const char *span_format(int64_t seconds, char out[SPAN_MAX]);
/* "2030-01-31T12:00:00Z (3 h ago)", "... (in 5 min)"; "never" for 0. */
const char *claim_moment(int64_t at, int64_t now, char out[CLAIM_MOMENT_MAX]);
/* The moment in JSON: a string, null for 0. */
void claim_write_moment(struct json *json, const char *name, int64_t at);

/* When the state's time is over; 0: it has no end. */
int64_t claim_ends_at(const struct claim_life *life, const struct claim_rules *rules);
/* In grace since it was unpinned or given over, and nobody has looked for its record yet. */
bool claim_is_unseen(const struct claim_life *life);
/* What the state means for mail, and what happens next: one sentence. holder: another tenant, whose
 * claim on the domain is in force; empty: nobody. */
const char *claim_meaning(const struct ctl *ctl, const struct claim_life *life, struct text holder,
	char out[CLAIM_MEANING_MAX]);

/* Whether stdout is a terminal that wants colours. */
bool claim_has_colours(void);
/* The escape sequence of a state's colour. */
const char *claim_colour(enum claim_state state);
#define CLAIM_COLOUR_END "\033[0m"

/* The members of one claim in JSON. */
void claim_write(const struct ctl *ctl, struct json *json, struct text domain,
	const struct claim *claim, const struct claim_masked *masked);

/* Complains; with --json {"domain":..., "done":false, "error":...} too. Returns code. */
enum ctl_exit claim_refuse(const struct ctl *ctl, struct text domain, enum ctl_exit code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

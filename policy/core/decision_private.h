/*
 * What the files of the decision share: the flow (decision.c), the table rules of both semantics
 * (rules_union.c, rules_first_hit.c). Nobody else includes it.
 */
#ifndef POLICY_CORE_DECISION_PRIVATE_H
#define POLICY_CORE_DECISION_PRIVATE_H

#include "policy/core/decision.h"

/* Tells a step to whoever listens; when nobody does, not even the arguments are looked at. */
#define decision_note(d, ...) ((d)->trace ? decision_tell((d), __VA_ARGS__) : (void)0)
void decision_tell(const struct decision *d, const char *step, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct candidate *decision_add_candidate(struct decision *d, enum pattern_kind kind);

/* Candidates of d->sender in union order: the more specific one first. */
void union_candidates(struct decision *d);
/* What all rows together say about the reading; d->verdict.row is set where a row decides. */
enum reason union_judge(struct decision *d, const struct table_facts *facts);

/* Rewrites d->reading as Postfix does before its look-up (false: what Postfix would make of it is
 * not known); then the candidates, in Postfix's order. */
POLICY_CHECKED bool first_hit_rewrite(struct decision *d);
void first_hit_candidates(struct decision *d);
enum reason first_hit_judge(struct decision *d, const struct table_facts *facts);

/* Step 9, and the grant of step 7: whether the lockdown record has a say after what the table said
 * (*so_far). Sets need, name and so_far; *so_far becomes a refusal where nobody can say whose the
 * domain is. */
bool lockdown_is_wanted(struct decision *d, enum reason *so_far, const struct table_facts *facts);
enum reason lockdown_reason(struct decision *d, const struct lockdown_fact *fact);

/* What one row says to this login at this time. */
enum row_word { ROW_SILENT, ROW_ALLOWS, ROW_DENIES, ROW_ENDED };
enum row_word row_judge(const struct row_fact *row, int64_t now, enum owner_kind *owner);

/* Makes the row behind `fact` the deciding one. */
void decision_set_row(struct decision *d, const struct table_fact *fact, enum owner_kind owner,
	enum row_word word);

/* Tells what one fact says, for `explain`. */
void decision_note_row(const struct decision *d, const struct table_fact *fact);

#endif

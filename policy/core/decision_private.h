/*
 * What the files of the decision share: the flow (decision.c), the table rules of both semantics
 * (rules_union.c, rules_first_hit.c), the register's (rules_ownership.c) and the lockdown record's
 * (rules_lockdown.c). Nobody else includes it.
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

/* The domain to ask about, also where the rest of the sender has no canonical form: `first-hit`
 * judges such a sender, too, and the domain's owner has a say all the same. False: it is a domain,
 * and has no canonical form either. */
POLICY_CHECKED bool decision_find_domain(
	const struct decision *d, char bytes[DOMAIN_MAX], struct text *domain);

/* Step 8, and the `domain allow` entries of step 7: whether the register has a say after what the
 * table said (*so_far). Sets need, ownership and so_far; *so_far becomes a refusal where that is
 * certain without asking. */
bool ownership_is_wanted(struct decision *d, enum reason *so_far);
/* What table and register say together; d->may_grant is taken away where no grant can count. */
enum reason ownership_reason(struct decision *d, const struct ownership_fact *fact);

/* Step 9, and the grant of step 7: whether the lockdown record has a say after what table and
 * register said (*so_far). Sets need, name and so_far; *so_far becomes a refusal where nobody can
 * say whose the domain is. */
bool lockdown_is_wanted(struct decision *d, enum reason *so_far);
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

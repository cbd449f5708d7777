/*
 * The ownership register's say: step 8 of the decision, and the `domain allow` entries of step 7.
 *
 * Knows the rules, not the register and not what makes a claim change (claim.c). A register that
 * cannot be read is a deferral. An entry counts only while the claim it belongs to is in force, and
 * never against a row that denies.
 */
#include "policy/core/decision_private.h"

/* Whom a refusal of the table may still be taken back for, and what passed so far. */
static bool has_say(enum reason so_far)
{
	return reason_action(so_far) == ACTION_DUNNO || so_far == REASON_NOT_OWNED ||
	       so_far == REASON_EXPIRED;
}

static bool wants_sender(enum reason so_far)
{
	return so_far == REASON_NOT_OWNED || so_far == REASON_EXPIRED || so_far == REASON_UNLISTED;
}

/* A domain without a canonical form cannot be claimed, but may look like one that is: a row has to
 * name it. */
static enum reason without_domain(const struct decision *d, enum reason so_far)
{
	decision_note(d, "register", "this domain has no canonical form: nobody can claim it");
	if (reason_action(so_far) != ACTION_DUNNO)
		return so_far;
	if (so_far == REASON_UNLISTED)
		return REASON_BAD_SENDER;
	return d->settings->ownership == OWNERSHIP_ALL ? REASON_DOMAIN_UNVERIFIED : so_far;
}

/* With `local_part = keep` an entry, which is kept folded, is for the sender typed like that. */
static struct text local_of(const struct decision *d)
{
	return d->settings->local_keep ? d->sender.local_raw : d->sender.local;
}

bool ownership_is_wanted(struct decision *d, enum reason *so_far)
{
	struct text domain;

	if (d->settings->ownership == OWNERSHIP_NO || !has_say(*so_far))
		return false;
	if (!decision_find_domain(d, d->domain_bytes, &domain)) {
		*so_far = without_domain(d, *so_far);
		return false;
	}
	if (domain.len == 0)
		return false;
	d->ownership = (struct ownership_question){
		.domain = domain,
		.local = d->has_sender ? local_of(d) : TEXT(""),
		.login = &d->login,
		.recipient_delimiter = d->settings->recipient_delimiter,
		.wants_sender = d->has_sender && wants_sender(*so_far),
	};
	d->so_far = *so_far;
	d->need = NEED_OWNERSHIP;
	return true;
}

/* What the entries of the claim in force make of the table's word. */
static enum reason name_sender(const struct decision *d, const struct ownership_fact *fact)
{
	enum reason so_far = d->so_far;

	if (so_far == REASON_UNLISTED && fact->names_senders) {
		decision_note(
			d, "register", "the claim names its senders: who is not named may not");
		so_far = REASON_NOT_OWNED;
	}
	if (reason_action(so_far) == ACTION_DUNNO)
		return so_far;
	switch (fact->sender) {
	case SENDER_NOT_NAMED:
		break;
	case SENDER_UNAPPROVED:
		decision_note(d, "register", "an entry for this login waits for approval");
		return so_far == REASON_NOT_OWNED ? REASON_SENDER_UNAPPROVED : so_far;
	case SENDER_ALLOWED:
		decision_note(d, "register", "an entry of `domain allow` names this login");
		return REASON_ALLOWED;
	}
	return so_far;
}

static bool is_holder(const struct ownership_fact *fact)
{
	return fact->tenant[0] != '\0' && strcmp(fact->tenant, fact->holder) == 0;
}

bool ownership_passes(
	enum ownership_required required, const struct ownership_fact *fact, enum reason *why)
{
	bool is_claimed = fact->status == LOOKUP_FOUND;

	if (fact->status == LOOKUP_FAILED) {
		*why = REASON_REGISTER_DAMAGED;
		return false;
	}
	if (is_claimed && claim_is_in_force(fact->force)) {
		*why = REASON_OTHER_TENANT;
		return is_holder(fact);
	}
	*why = REASON_DOMAIN_UNVERIFIED;
	if (is_claimed && fact->is_removed)
		*why = REASON_DOMAIN_REMOVED;
	else if (is_claimed && fact->is_revoked)
		*why = REASON_DOMAIN_REVOKED;
	else if (!is_claimed || (fact->own != CLAIM_PENDING && fact->own != CLAIM_EXPIRED))
		return required != OWNERSHIP_ALL;
	return false;
}

/* What the claim that decides is in: the one in force, else in the order of ownership_passes. */
static enum claim_state deciding_state(const struct ownership_fact *fact)
{
	if (claim_is_in_force(fact->force))
		return fact->force;
	if (fact->is_removed)
		return CLAIM_REMOVED;
	return fact->is_revoked ? CLAIM_REVOKED : fact->own;
}

static void note_claim(const struct decision *d, const struct ownership_fact *fact)
{
	enum claim_state state = deciding_state(fact);
	struct expires since = {.until = fact->since};
	char text[EXPIRES_TEXT_MAX];

	if (state == CLAIM_NONE) {
		decision_note(d, "register", "%.*s: claimed by others, none of them proved it",
			TEXT_ARG(d->ownership.domain));
		return;
	}
	expires_format(&since, text);
	decision_note(d, "register", "%.*s: %s%s, tenant %s%s%s%s%s", TEXT_ARG(d->ownership.domain),
		claim_state_name(state),
		fact->is_claimed_again ? ", claimed again and not proved" : "", fact->holder,
		text[0] ? ", since " : "", text, fact->reason[0] ? ": " : "", fact->reason);
}

/* Whose login it is was looked up only where somebody claimed the domain. */
static void note_fact(const struct decision *d, const struct ownership_fact *fact)
{
	switch (fact->status) {
	case LOOKUP_FAILED:
		decision_note(d, "register", "cannot be read");
		break;
	case LOOKUP_ABSENT:
		decision_note(
			d, "register", "%.*s: nobody claimed it", TEXT_ARG(d->ownership.domain));
		break;
	case LOOKUP_FOUND:
		note_claim(d, fact);
		decision_note(d, "register", "%s%s",
			fact->tenant[0] ? "the login's tenant: " : "the login has no tenant",
			fact->tenant);
		break;
	}
}

enum reason ownership_reason(struct decision *d, const struct ownership_fact *fact)
{
	bool has_entries = fact->status == LOOKUP_FOUND && claim_is_in_force(fact->force);
	enum reason so_far, why;
	bool passes = ownership_passes(d->settings->ownership, fact, &why);

	if (d->trace)
		note_fact(d, fact);
	so_far = has_entries ? name_sender(d, fact) : d->so_far;
	if (!passes || (has_entries && fact->names_senders))
		d->may_grant = false;
	if (!passes && (reason_action(so_far) == ACTION_DUNNO || fact->status == LOOKUP_FAILED))
		so_far = why;
	if (so_far != d->so_far) /* no row decides any more */
		d->verdict.row.is_set = false;
	return so_far;
}

/*
 * The lockdown record's say: step 9 of the decision, and `grant` in step 7.
 *
 * Knows the rules, not the record's grammar (lockdown.c) and not the DNS. What nobody knows is
 * never an answer: a FAILED fact ends as `on_failure` says, a limit of our own always in a
 * deferral, and where the record would have to authorize, neither failure nor stale answer does.
 */
#include "policy/core/decision_private.h"

static bool has_say(
	const struct decision *d, const struct lockdown_settings *lockdown, enum reason so_far)
{
	if (!lockdown || !lockdown->is_enabled)
		return false;
	if (reason_action(so_far) == ACTION_DUNNO)
		return true;
	return so_far == REASON_NOT_OWNED && lockdown->grant_senderid && d->may_grant;
}

bool lockdown_is_wanted(struct decision *d, enum reason *so_far)
{
	const struct lockdown_settings *lockdown = d->settings->lockdown;
	char bytes[DOMAIN_MAX];
	struct text domain;

	if (!has_say(d, lockdown, *so_far))
		return false;
	if (!decision_find_domain(d, bytes, &domain)) {
		decision_note(d, "lockdown", "whose domain this is cannot be learned");
		if (reason_action(*so_far) == ACTION_DUNNO)
			*so_far = REASON_BAD_SENDER;
		return false;
	}
	if (!dns_name_below(lockdown->label, domain, d->lockdown_bytes, &d->lockdown_name)) {
		decision_note(d, "lockdown", "this domain cannot have a record");
		return false;
	}
	d->so_far = *so_far;
	d->need = NEED_LOCKDOWN;
	return true;
}

static bool is_own_limit(const struct dns_answer *answer)
{
	return answer->failure == DNS_FAILURE_LIMIT || answer->failure == DNS_FAILURE_MEMORY;
}

static enum reason unknown(const struct decision *d, const struct dns_answer *answer)
{
	if (answer->status == LOOKUP_FAILED && is_own_limit(answer))
		return REASON_DNS_LIMITED;
	switch (d->settings->lockdown->on_failure) {
	case LOCKDOWN_REJECT:
		return REASON_LOCKDOWN_UNKNOWN_REJECT;
	case LOCKDOWN_PERMIT:
		if (d->so_far != REASON_NOT_OWNED)
			return d->so_far;
		break;
	case LOCKDOWN_DEFER:
		break;
	}
	return REASON_LOCKDOWN_UNKNOWN;
}

static void note_verdict(const struct decision *d, const struct lockdown_verdict *verdict)
{
	switch (verdict->word) {
	case LOCKDOWN_NO_RECORD:
		decision_note(d, "lockdown", "TXT records, none of them a lockdown record");
		break;
	case LOCKDOWN_PASSES:
		decision_note(d, "lockdown", "%.*s=%.*s matches", TEXT_ARG(verdict->field.name),
			TEXT_ARG(verdict->field.value));
		break;
	case LOCKDOWN_REFUSES:
		decision_note(d, "lockdown", "a record, and no field of it matches this login");
		break;
	}
}

static enum reason judge_record(const struct decision *d, const struct lockdown_fact *fact)
{
	struct lockdown_verdict verdict;

	lockdown_judge(d->settings->lockdown, fact->answer, &d->login, &verdict);
	note_verdict(d, &verdict);
	if (d->so_far == REASON_NOT_OWNED)
		return verdict.is_grant ? REASON_GRANTED : REASON_NOT_OWNED;
	return verdict.word == LOCKDOWN_REFUSES ? REASON_LOCKED_DOWN : d->so_far;
}

enum reason lockdown_reason(struct decision *d, const struct lockdown_fact *fact)
{
	if (fact->is_stale && d->so_far == REASON_NOT_OWNED)
		return unknown(d, fact->answer);
	switch (fact->answer->status) {
	case LOOKUP_FAILED:
		decision_note(
			d, "lockdown", "not known: %s", dns_failure_text(fact->answer->failure));
		return unknown(d, fact->answer);
	case LOOKUP_ABSENT:
		decision_note(d, "lockdown", "no record: no restriction");
		return d->so_far;
	case LOOKUP_FOUND:
		break;
	}
	return judge_record(d, fact);
}

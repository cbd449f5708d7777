/*
 * The flow of a decision: one function a step of policyd(8), "The decision", in the order of the
 * steps.
 *
 * Knows no table layout and no socket; what it needs it asks for (see decision.h). Every way out
 * goes through finish(), so there is no verdict without a reason.
 */
#include "policy/core/decision_private.h"

#include <stdarg.h>
#include <stdio.h>

void decision_tell(const struct decision *d, const char *step, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	d->trace->note(d->trace->ctx, step, text);
}

static enum need finish(struct decision *d, enum reason reason)
{
	d->need = NEED_NOTHING;
	d->verdict.reason = reason;
	d->verdict.action = reason_action(reason);
	d->verdict.monitored = d->settings->monitor && d->verdict.action != ACTION_DUNNO;
	decision_note(d, "verdict", "%s, reason %s%s", action_name(d->verdict.action),
		reason_name(reason), d->verdict.monitored ? ", not enforced: mode is monitor" : "");
	return NEED_NOTHING;
}

struct candidate *decision_add_candidate(struct decision *d, enum pattern_kind kind)
{
	struct candidate *candidate = &d->candidates[d->candidate_count++];

	*candidate = (struct candidate){.kind = kind};
	return candidate;
}

static bool is_local_domain(const struct decision *d, struct text domain)
{
	for (size_t i = 0; i < d->settings->local_domain_count; i++)
		if (text_equal(d->settings->local_domains[i], domain))
			return true;
	return false;
}

/* Whether Postfix would open up the local part of the reading just judged. */
static bool is_rewritten(const struct decision *d)
{
	if (text_find(d->reading, '@') == d->reading.len || d->settings->local_domain_count == 0)
		return true;
	return d->has_sender && is_local_domain(d, d->sender.domain);
}

/* Takes the next reading of the sender; false when there is none. */
static bool next_reading(struct decision *d)
{
	char *out = d->reading_bytes[d->readings % 2];
	size_t len;

	if (!d->has_routing || !is_rewritten(d))
		return false;
	len = address_rewrite(d->reading, out);
	if (len == 0)
		return false;
	d->reading = (struct text){out, len};
	return true;
}

static enum need ask_table(struct decision *d)
{
	d->candidate_count = 0;
	if (d->settings->semantics == SEMANTICS_FIRST_HIT)
		first_hit_candidates(d);
	else
		union_candidates(d);
	d->need = NEED_TABLE;
	return NEED_TABLE;
}

static enum need judge_reading(struct decision *d);

/* One reading was found good (or, without a login, not owned): on to the next, or done. */
static enum need reading_passed(struct decision *d, enum reason reason)
{
	if (!next_reading(d))
		return finish(d, reason);
	return judge_reading(d);
}

static enum need reading_refused(struct decision *d, enum reason reason)
{
	if (d->has_routing)
		decision_note(d, "readings", "%.*s: %s, and every reading must be allowed",
			TEXT_ARG(d->reading), reason_name(reason));
	return finish(d, d->has_routing ? REASON_ROUTING_OPERATOR : reason);
}

/* Step 6: the sender as one of its readings. */
static enum need judge_reading(struct decision *d)
{
	if (++d->readings > READINGS_MAX + 1)
		return finish(d, REASON_ROUTING_OPERATOR);
	d->has_sender = address_sender(
		d->settings->unicode, d->reading, d->settings->append_domain, &d->sender);
	if (!d->has_sender) {
		decision_note(d, "sender", "%.*s has no canonical form", TEXT_ARG(d->reading));
		if (!d->has_login)
			return reading_passed(d, REASON_NO_LOGIN);
		return reading_refused(d, REASON_BAD_SENDER);
	}
	decision_note(d, "sender", "canonical: %.*s%s%.*s", TEXT_ARG(d->sender.local),
		d->sender.domain.len ? "@" : "", TEXT_ARG(d->sender.domain));
	return ask_table(d);
}

/* Nobody sends this in good faith, so it is not asked who owns what Postfix makes of it. */
static enum need finish_routed(struct decision *d, const char *what)
{
	decision_note(d, "sender", "%.*s: %s", TEXT_ARG(d->request.attr[ATTR_SENDER]), what);
	return finish(d, d->has_login ? REASON_ROUTING_OPERATOR : REASON_NOT_LOGGED_IN);
}

/* Step 6 for `first-hit`: Postfix judges one address, the rewritten one. */
static enum need judge_rewritten(struct decision *d)
{
	if (!first_hit_rewrite(d))
		return finish_routed(d, "quotes around a routing operator, at a local domain");
	decision_note(d, "sender", "as Postfix rewrites it: %.*s", TEXT_ARG(d->reading));
	d->has_sender = address_sender(
		d->settings->unicode, d->reading, d->settings->append_domain, &d->sender);
	return ask_table(d);
}

/* Steps 4 to 6, up to the first question to the table. */
static enum need judge_sender(struct decision *d)
{
	struct text sender = d->request.attr[ATTR_SENDER];

	if (sender.len == 0)
		return finish(d, d->settings->null_reject && d->has_login ? REASON_NULL_REFUSED
									  : REASON_NULL_SENDER);
	if (!d->has_login && !d->settings->reject_owned)
		return finish(d, REASON_NO_LOGIN);
	if (sender.len > SENDER_MAX)
		return finish(d, d->has_login ? REASON_BAD_SENDER : REASON_NO_LOGIN);
	if (address_has_source_route(sender))
		return finish_routed(d, "a source route, which Postfix would drop");
	d->reading = sender;
	d->question = (struct row_question){
		.ops = d->settings->unicode, .login = d->has_login ? &d->login : NULL};
	if (d->settings->semantics == SEMANTICS_FIRST_HIT) {
		d->question.mode = FILTER_LITERAL;
		return judge_rewritten(d);
	}
	d->question.mode = d->settings->local_keep ? FILTER_KEEP : FILTER_ALL;
	d->has_routing = !d->settings->routing_literal && address_has_routing(sender);
	if (d->has_routing)
		decision_note(d, "readings",
			"the local part holds %%, ! or @: every reading must be allowed");
	return judge_reading(d);
}

/* Step 1. */
static bool is_our_state(const struct decision *d)
{
	struct text name = d->request.attr[ATTR_PROTOCOL_STATE];
	enum protocol_state state = name.len ? protocol_state_of(name) : STATE_RCPT;

	return state != STATE_COUNT_ && (d->settings->states & 1u << state);
}

enum need decision_start(struct decision *d, const struct settings *settings,
	const struct request *request, int64_t now, const struct trace *trace)
{
	struct text login = request->attr[ATTR_SASL_USERNAME];

	d->settings = settings;
	d->trace = trace;
	d->request = *request;
	d->now = now;
	d->candidate_count = 0;
	d->verdict = (struct verdict){0};
	d->has_login = login.len > 0;
	d->has_sender = false;
	d->has_routing = false;
	d->readings = 0;

	if (!text_equal(request->attr[ATTR_REQUEST], TEXT("smtpd_access_policy")))
		return finish(d, REASON_NOT_POLICY);
	if (!is_our_state(d))
		return finish(d, REASON_STATE);
	if (d->has_login) {
		if (!address_login(settings->unicode, login, settings->login_realm, &d->login))
			return finish(d, REASON_BAD_LOGIN);
		decision_note(d, "login", "canonical: %.*s", TEXT_ARG(d->login.full));
	}
	return judge_sender(d);
}

/* Step 5: nobody is logged in, so the one question is whether the sender belongs to somebody. */
static enum need judge_anonymous(struct decision *d, const struct table_facts *facts)
{
	bool is_literal = d->settings->semantics == SEMANTICS_FIRST_HIT;

	for (size_t i = 0; i < facts->count; i++) {
		const struct table_fact *fact = &facts->facts[i];
		if (fact->status != LOOKUP_FOUND)
			return finish(d, REASON_TABLE_DAMAGED);
		decision_note_row(d, fact);
		if (is_literal || (fact->row.has_allow && fact->row.allow_until > d->now)) {
			decision_set_row(d, fact, OWNER_ANY, ROW_SILENT);
			return finish(d, REASON_NOT_LOGGED_IN);
		}
	}
	return is_literal ? finish(d, REASON_NO_LOGIN) : reading_passed(d, REASON_NO_LOGIN);
}

/* What a reading came to: on to the next, or the end. */
static enum need settle(struct decision *d, enum reason reason)
{
	switch (reason_action(reason)) {
	case ACTION_DUNNO:
		return reading_passed(d, reason);
	case ACTION_REJECT:
		return reading_refused(d, reason);
	case ACTION_DEFER:
		break;
	}
	return finish(d, reason);
}

bool decision_find_domain(const struct decision *d, char bytes[DOMAIN_MAX], struct text *domain)
{
	struct text local, raw;

	*domain = d->sender.domain;
	if (d->has_sender)
		return true;
	address_split(d->reading, &local, &raw);
	if (raw.len > 0)
		return address_domain(d->settings->unicode, raw, bytes, domain);
	*domain = d->settings->append_domain;
	return true;
}

static bool is_named(const struct table_facts *facts)
{
	for (size_t i = 0; i < facts->count; i++)
		if (facts->facts[i].row.named)
			return true;
	return false;
}

/* Step 9 where it has a say, else the end of this reading. */
static enum need ask_lockdown(struct decision *d, enum reason reason)
{
	return lockdown_is_wanted(d, &reason) ? NEED_LOCKDOWN : settle(d, reason);
}

enum need decision_give_table(struct decision *d, const struct table_facts *facts)
{
	enum reason reason;

	switch (facts->table) {
	case LOOKUP_ABSENT:
		return finish(d, REASON_NO_TABLE);
	case LOOKUP_FAILED:
		return finish(d, REASON_TABLE_DAMAGED);
	case LOOKUP_FOUND:
		break;
	}
	if (!d->has_login)
		return judge_anonymous(d, facts);
	reason = d->settings->semantics == SEMANTICS_FIRST_HIT ? first_hit_judge(d, facts)
							       : union_judge(d, facts);
	d->may_grant = !is_named(facts);
	return ownership_is_wanted(d, &reason) ? NEED_OWNERSHIP : ask_lockdown(d, reason);
}

enum need decision_give_ownership(struct decision *d, const struct ownership_fact *fact)
{
	return ask_lockdown(d, ownership_reason(d, fact));
}

enum need decision_give_lockdown(struct decision *d, const struct lockdown_fact *fact)
{
	return settle(d, lockdown_reason(d, fact));
}

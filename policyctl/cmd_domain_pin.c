/*
 * `policyctl domain pin | unpin DOMAIN` and `domain transfer DOMAIN --tenant NEW`: by hand what the
 * DNS decides otherwise.
 */
#include "policyctl/claim_pick.h"
#include "policyctl/claim_text.h"
#include "policyctl/claimable.h"
#include "policyctl/confirm.h"
#include "policyctl/daemon.h"
#include "policyctl/registry_open.h"
#include "policyctl/tenant.h"
#include "policyctl/totals.h"

/* What was done, in the words that all three share. */
struct done {
	const struct ctl *ctl;
	struct text domain;
	const char *from; /* the tenant that had it; transfer */
	const char *tenant;
	const char *sentence;
	enum lookup tenant_known;
	struct registry_outcome outcome;
};

static void print_json(const struct done *done)
{
	const struct registry_outcome *outcome = &done->outcome;
	enum claim_state state = outcome->life.state;
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_text(&json, "domain", done->domain);
	json_string(&json, "tenant", done->tenant);
	json_bool(&json, "done", true);
	json_bool(&json, "changed", outcome->word == CLAIM_CHANGED);
	if (done->from)
		json_string(&json, "from", done->from);
	json_string(&json, "before", claim_state_name(outcome->before));
	json_string(&json, "state", claim_state_name(state));
	json_bool(&json, "in_force", claim_is_in_force(state));
	claim_write_moment(&json, "next_check", outcome->life.next_check);
	if (done->from)
		json_number(&json, "senders_gone", outcome->senders_gone);
	tenant_write(done->tenant_known, &json);
	json_bool(&json, "daemon_runs", daemon_listens(done->ctl->config));
	json_close(&json, '}', true);
}

static enum ctl_exit tell(const struct done *done)
{
	const struct registry_outcome *outcome = &done->outcome;
	char meaning[CLAIM_MEANING_MAX];

	if (ctl_has(done->ctl, FLAG_JSON)) {
		print_json(done);
		return CTL_YES;
	}
	printf("%.*s: %s\n", TEXT_ARG(done->domain), done->sentence);
	printf("state: %s, %s\n", claim_state_name(outcome->life.state),
		claim_meaning(done->ctl, &outcome->life, TEXT(""), meaning));
	if (outcome->senders_gone > 0)
		printf("%llu sender%s that %s had named went with it\n",
			(unsigned long long)outcome->senders_gone, plural(outcome->senders_gone),
			done->from);
	if (outcome->life.state == CLAIM_GRACE)
		printf("the record to publish: `policyctl domain instructions %.*s --tenant %s`\n",
			TEXT_ARG(done->domain), done->tenant);
	if (outcome->life.next_check > 0)
		daemon_print_note(done->ctl->config);
	return CTL_YES;
}

static enum ctl_exit refuse_held(const struct done *done)
{
	return claim_refuse(done->ctl, done->domain, CTL_NO,
		"the claim of %s on %.*s is in force; `policyctl domain transfer %.*s --tenant %s` "
		"gives the domain over",
		done->outcome.holder, TEXT_ARG(done->domain), TEXT_ARG(done->domain), done->tenant);
}

static enum ctl_exit run(struct ctl *ctl, enum claim_event event, const char *action,
	const char *changed, const char *kept)
{
	struct claimable domain;
	struct picked picked;
	struct done what = {.ctl = ctl, .tenant = picked.tenant};
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], false, &domain);

	if (done == CTL_YES)
		done = claim_pick(ctl, domain.text, PICK_LIVING, &picked);
	if (done != CTL_YES)
		return done;
	what.domain = domain.text;
	done = claim_change(ctl,
		(struct registry_change){.event = event,
			.domain = domain.text,
			.tenant = text_of(picked.tenant),
			.action = action},
		&what.outcome);
	if (done != CTL_YES)
		return done;
	what.sentence = what.outcome.word == CLAIM_CHANGED ? changed : kept;
	what.tenant_known =
		(event == CLAIM_PIN ? tenant_warn : tenant_find)(ctl, text_of(picked.tenant));
	switch (what.outcome.word) {
	case CLAIM_CHANGED:
	case CLAIM_KEPT:
		return tell(&what);
	case CLAIM_HELD:
		return refuse_held(&what);
	case CLAIM_IMPOSSIBLE:
		break;
	}
	return claim_refuse(ctl, domain.text, CTL_NO, "the claim of %s on %.*s is %s: %s",
		picked.tenant, TEXT_ARG(domain.text), claim_state_name(what.outcome.before),
		event == CLAIM_PIN ? "it cannot be pinned"
				   : "only one that is pinned can be unpinned");
}

enum ctl_exit cmd_domain_pin(struct ctl *ctl)
{
	return run(ctl, CLAIM_PIN, "domain pin", "pinned", "pinned already");
}

enum ctl_exit cmd_domain_unpin(struct ctl *ctl)
{
	return run(ctl, CLAIM_UNPIN, "domain unpin", "unpinned: the DNS is asked at once", "");
}

/* ---- transfer ---- */

/* The tenant whose claim is in force into holder, and its life; CTL_NO: nobody's is, complained. */
static enum ctl_exit find_holder(const struct ctl *ctl, struct text domain,
	char holder[TENANT_MAX + 1], struct claim_life *life)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	struct registry *registry;
	size_t count = 0;
	enum lookup found = registry_open_to_read(ctl, &registry);

	holder[0] = '\0';
	if (found == LOOKUP_FOUND) {
		found = registry_claims(registry, domain, claims, &count);
		if (found == LOOKUP_FAILED)
			complain("%s", registry_error(registry));
	}
	for (size_t i = 0; i < count; i++) {
		if (!claim_is_in_force(claims[i].life.state))
			continue;
		*life = claims[i].life;
		snprintf(holder, TENANT_MAX + 1, "%.*s", TEXT_ARG(claims[i].tenant));
	}
	registry_close_read(registry);
	if (found == LOOKUP_FAILED)
		return CTL_UNKNOWN;
	if (found == LOOKUP_ABSENT)
		return claim_refuse_unclaimed(ctl, domain);
	if (holder[0])
		return CTL_YES;
	return claim_refuse(ctl, domain, CTL_NO,
		"no claim on %.*s is in force, so there is nothing to give over; "
		"`policyctl domain add %.*s --tenant %s` claims it",
		TEXT_ARG(domain), TEXT_ARG(domain), ctl->args.tenant);
}

static enum ctl_exit refuse_transfer(const struct done *what)
{
	return claim_refuse(what->ctl, what->domain, CTL_NO,
		"the claim of %s on %.*s is %s now: it cannot be given over", what->from,
		TEXT_ARG(what->domain), claim_state_name(what->outcome.before));
}

static void print_question(const void *ctx)
{
	const struct done *what = ctx;

	fprintf(stderr,
		"%.*s: the claim of %s, %s, becomes %s's; the senders named for it go, and %s "
		"keeps a tombstone\n",
		TEXT_ARG(what->domain), what->from, claim_state_name(what->outcome.before),
		what->tenant, what->from);
	if (what->outcome.before == CLAIM_HOSTED)
		fprintf(stderr, "logins of %.*s become %s's with it\n", TEXT_ARG(what->domain),
			what->tenant);
}

static enum ctl_exit give_over(struct done *what)
{
	const struct confirm confirm = {.domain = what->domain,
		.verb = "Give over",
		.past = "given over",
		.print = print_question,
		.ctx = what};
	enum ctl_exit done;

	what->tenant_known = tenant_warn(what->ctl, text_of(what->tenant));
	done = confirm_ask(what->ctl, &confirm);
	if (done == CTL_YES)
		done = claim_change(what->ctl,
			(struct registry_change){.event = CLAIM_GIVE_AWAY,
				.domain = what->domain,
				.tenant = text_of(what->from),
				.to_tenant = text_of(what->tenant),
				.action = "domain transfer"},
			&what->outcome);
	if (done != CTL_YES)
		return done;
	return what->outcome.word == CLAIM_CHANGED ? tell(what) : refuse_transfer(what);
}

enum ctl_exit cmd_domain_transfer(struct ctl *ctl)
{
	char holder[TENANT_MAX + 1], sentence[OUTPUT_SHORT];
	struct claim_life life = {0};
	struct claimable domain;
	struct done what = {.ctl = ctl, .from = holder, .tenant = ctl->args.tenant};
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], false, &domain);
	bool is_theirs;

	if (done == CTL_YES)
		done = find_holder(ctl, domain.text, holder, &life);
	if (done != CTL_YES)
		return done;
	is_theirs = strcmp(holder, what.tenant) == 0;
	what.domain = domain.text;
	what.sentence = sentence;
	what.outcome =
		(struct registry_outcome){.word = CLAIM_KEPT, .before = life.state, .life = life};
	if (is_theirs)
		snprintf(sentence, sizeof(sentence), "it is %s's already", holder);
	else
		snprintf(sentence, sizeof(sentence), "given over from %s to %s", holder,
			what.tenant);
	if (!is_theirs)
		return give_over(&what);
	what.tenant_known = tenant_find(ctl, text_of(what.tenant));
	return tell(&what);
}

/*
 * What happens to claims: each change, or several, in one write transaction.
 *
 * Reads the claims of the domain, lets claim_step say what comes of the event, writes the record,
 * its place among those due, and the audit line. Knows how that is stored, not when it may be. A
 * step that fails takes all of it back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "policy/core/siphash.h"
#include "policy/data/registry_private.h"

#define TOKEN_BYTES 20

/* One change under way. */
struct step {
	struct registry *registry;
	const struct registry_change *change;
	struct registry_outcome *outcome;
	struct claims *claims;
	struct claim before; /* the claim at hand as it was; its tenant is empty where it is new */
	struct claim replaced; /* the one whose place it takes; its tenant is empty: none */
	/* what the claim at hand points to from now on */
	char reason[CLAIM_REASON_MAX + 1];
	char token[CLAIM_TOKEN_LEN + 1];
};

static bool is_look(enum claim_event event)
{
	return event == CLAIM_PROVED || event == CLAIM_UNPROVED || event == CLAIM_UNKNOWN;
}

static bool makes_claims(enum claim_event event)
{
	return event == CLAIM_ADD || event == CLAIM_HOST || event == CLAIM_PIN ||
	       event == CLAIM_TAKE_OVER;
}

/* Claims of one round are not looked at in the same moment for ever. */
static uint32_t spread_of(struct text domain, struct text tenant)
{
	static const struct siphash_key key = {0x7370726561640001, 0x7370726561640002};

	return (uint32_t)siphash13_pair(&key, domain, tenant);
}

static enum err make_token(struct step *step, struct claim *claim)
{
	uint8_t random[TOKEN_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return registry_fail(step->registry, ERR_IO,
			"the kernel gave no random bytes for a token: %s", strerror(errno));
	challenge_token(random, step->token);
	claim->token = (struct text){step->token, CLAIM_TOKEN_LEN};
	step->outcome->is_new_token = true;
	return ERR_OK;
}

/* A tombstone's token may stand in the DNS still: who claims again proves it anew. */
static enum err renew_token(struct step *step, enum claim_event event, struct claim *claim)
{
	enum claim_state before = step->before.life.state;

	if (event == CLAIM_ADD && before == CLAIM_REMOVED && claim->token.len > 0) {
		claim->old_token = claim->token;
		return make_token(step, claim);
	}
	if (claim->token.len > 0 || !makes_claims(event))
		return ERR_OK;
	return make_token(step, claim);
}

static const char *made_reason(enum claim_event event, bool is_tombstone)
{
	switch (event) {
	case CLAIM_PROVED:
		return "the proof was found";
	case CLAIM_UNPROVED:
		return "the proof was not found";
	case CLAIM_UNKNOWN:
		return "the DNS gave no answer";
	case CLAIM_ADD:
		return is_tombstone ? "claimed again after it was removed" : "claimed";
	case CLAIM_HOST:
		return "hosted, set by hand";
	case CLAIM_PIN:
		return "pinned by hand";
	case CLAIM_UNPIN:
		return "unpinned by hand";
	case CLAIM_REMOVE:
		return "removed by hand";
	case CLAIM_GIVE_AWAY:
		return "given to another tenant";
	case CLAIM_TAKE_OVER:
		return "taken over from another tenant";
	case CLAIM_EVENTS_:
		break;
	}
	return "";
}

/* A look that changes nothing tells why, except where the state is one that it cannot explain. */
static bool takes_reason(enum claim_event event, enum claim_word word, const struct claim *claim)
{
	switch (word) {
	case CLAIM_CHANGED:
	case CLAIM_HELD:
		return true;
	case CLAIM_KEPT:
		return is_look(event) && event != CLAIM_PROVED &&
		       claim->life.state != CLAIM_VERIFIED && claim->life.state != CLAIM_HOSTED &&
		       claim->life.state != CLAIM_PINNED;
	case CLAIM_IMPOSSIBLE:
		break;
	}
	return false;
}

static void set_texts(
	struct step *step, enum claim_event event, enum claim_word word, struct claim *claim)
{
	const struct registry_change *change = step->change;
	struct text reason = change->reason.len > 0
				     ? change->reason
				     : text_of(made_reason(event, claim->life.is_tombstone));

	if (takes_reason(event, word, claim) && (word == CLAIM_CHANGED || change->reason.len > 0)) {
		reason = registry_clip(reason, CLAIM_REASON_MAX);
		memcpy(step->reason, reason.ptr, reason.len);
		claim->reason = (struct text){step->reason, reason.len};
	}
	/* What a failure showed is nothing: the last answer stays. */
	if (is_look(event) && (event != CLAIM_UNKNOWN || change->seen.len > 0))
		claim->seen = registry_clip(change->seen, CLAIM_SEEN_MAX);
}

static enum err delete_senders(struct step *step, struct claim *claim)
{
	uint64_t gone = 0;
	enum err err = ERR_OK;

	if (claim->senders + claim->senders_pending > 0)
		err = registry_senders_delete(
			step->registry, step->claims->domain, claim->tenant, &gone);
	step->outcome->senders_gone += gone;
	claim->senders = claim->senders_pending = 0;
	return err;
}

/* Of a claim that was in the state `before`. */
static enum err put_audit(struct step *step, enum claim_state before, const struct claim *claim)
{
	const struct registry_change *change = step->change;

	return registry_audit_put(
		step->registry, &(struct audit_entry){
					.at = change->now,
					.uid = change->actor.uid,
					.actor = change->actor.name,
					.action = text_of(change->action),
					.domain = step->claims->domain,
					.tenant = claim->tenant,
					.before = text_of(claim_state_name(before)),
					.after = text_of(claim_state_name(claim->life.state)),
					.detail = claim->reason,
					.is_state_change = before != claim->life.state,
				});
}

/* A claim that came to nothing takes no room from a new one. */
static enum err drop_replaced(struct step *step, struct text taker)
{
	const struct claim *claim = &step->replaced;
	uint64_t gone = 0;
	char reason[128];
	enum err err = ERR_OK;

	if (claim->tenant.len == 0)
		return ERR_OK;
	if (claim->senders + claim->senders_pending > 0)
		err = registry_senders_delete(
			step->registry, step->claims->domain, claim->tenant, &gone);
	if (err != ERR_OK)
		return err;
	snprintf(reason, sizeof(reason), "made room for the claim of %.*s", TEXT_ARG(taker));
	return put_audit(step, claim->life.state,
		&(struct claim){.tenant = claim->tenant, .reason = text_of(reason)});
}

static enum err move_due(struct step *step, struct text tenant, int64_t to)
{
	return registry_due_move(
		step->registry, step->claims->domain, tenant, step->before.life.next_check, to);
}

/* What goes with a claim that the step left in its new state. A person's event that changes nothing
 * leaves no audit line: by saying the same again nobody can push the lines of others out. */
static enum err store_claim(
	struct step *step, enum claim_event event, enum claim_word word, struct claim *claim)
{
	bool is_old = word == CLAIM_KEPT && !is_look(event);
	enum err err = drop_replaced(step, claim->tenant);

	if (err == ERR_OK)
		err = renew_token(step, event, claim);
	if (err != ERR_OK || (is_old && !step->outcome->is_new_token))
		return err;
	set_texts(step, event, word, claim);
	if (err == ERR_OK && word == CLAIM_CHANGED && claim->life.state == CLAIM_REMOVED)
		err = delete_senders(step, claim);
	if (err == ERR_OK)
		err = move_due(step, claim->tenant, claim->life.next_check);
	if (err == ERR_OK)
		err = registry_claims_write(step->registry, step->claims);
	if (err == ERR_OK && (word == CLAIM_CHANGED || !is_look(event)))
		err = put_audit(step, step->before.life.state, claim);
	return err;
}

static void set_holder(struct registry_outcome *outcome, struct text holder)
{
	snprintf(outcome->holder, sizeof(outcome->holder), "%.*s", TEXT_ARG(holder));
}

static void tell_claim(struct registry_outcome *outcome, const struct claim *claim)
{
	outcome->life = claim->life;
	snprintf(outcome->token, sizeof(outcome->token), "%.*s", TEXT_ARG(claim->token));
}

static enum err fail_absent(struct step *step)
{
	return registry_fail(step->registry, ERR_ABSENT, "%.*s has no claim on %.*s",
		TEXT_ARG(step->change->tenant), TEXT_ARG(step->change->domain));
}

/* Where a new claim goes. NULL: all tenants' claims on the domain mean something still. */
static struct claim *take_place(struct step *step)
{
	struct claims *claims = step->claims;
	struct claim *oldest = NULL;

	if (claims->count < CLAIMS_PER_DOMAIN)
		return &claims->items[claims->count++];
	for (size_t i = 0; i < claims->count; i++) {
		const struct claim_life *life = &claims->items[i].life;

		if (life->state == CLAIM_EXPIRED && !life->is_tombstone &&
			(!oldest || life->since < oldest->life.since))
			oldest = &claims->items[i];
	}
	if (oldest)
		step->replaced = *oldest;
	return oldest;
}

/* The claim at hand, a new one where the event makes one. */
static struct claim *take_claim(struct step *step, enum claim_event event, struct text tenant)
{
	struct claim *claim = registry_claims_find(step->claims, tenant);

	step->replaced = (struct claim){.tenant = TEXT("")};
	if (!claim && makes_claims(event)) {
		claim = take_place(step);
		if (claim)
			*claim = (struct claim){.tenant = tenant};
	}
	if (claim)
		step->before = *claim;
	return claim;
}

/* A look for a token that is not the claim's any more says nothing about it. */
static bool is_late(const struct registry_change *change, const struct claim *claim)
{
	return is_look(change->event) && change->token.len > 0 &&
	       !text_equal(change->token, claim->token);
}

/* One event of one tenant's claim. *out NULL: there is none, and none was made. */
static enum err run(
	struct step *step, enum claim_event event, struct text tenant, struct claim **out)
{
	const struct registry_change *change = step->change;
	const struct claim *held = registry_claims_in_force(step->claims, tenant);
	struct claim *claim = take_claim(step, event, tenant);
	enum claim_word word;

	*out = claim;
	if (!claim || is_late(change, claim))
		return ERR_OK;
	word = claim_step(&claim->life, event, held != NULL, change->now, change->rules,
		spread_of(change->domain, tenant));
	step->outcome->word = word;
	if (word == CLAIM_HELD && held)
		set_holder(step->outcome, held->tenant);
	/* Nothing of it is written. */
	if (word == CLAIM_IMPOSSIBLE || claim->life.state == CLAIM_NONE) {
		*claim = step->before;
		return ERR_OK;
	}
	return store_claim(step, event, word, claim);
}

/* What was in force by hand stays so with its new holder. */
static enum claim_event taker_event(enum claim_state given)
{
	switch (given) {
	case CLAIM_HOSTED:
		return CLAIM_HOST;
	case CLAIM_PINNED:
		return CLAIM_PIN;
	default:
		return CLAIM_TAKE_OVER;
	}
}

static enum err take_tombstone_over(struct step *step, enum claim_event event, struct claim **taker)
{
	const struct registry_change *change = step->change;
	enum err err = run(step, CLAIM_TAKE_OVER, change->to_tenant, taker);

	if (err != ERR_OK || step->outcome->word != CLAIM_CHANGED)
		return err;
	if (registry_claims_read(step->registry, change->domain, step->claims) == LOOKUP_FAILED)
		return ERR_DAMAGED;
	return run(step, event, change->to_tenant, taker);
}

/* The new holder's side. Without it the old one's must not be, so what it cannot do is an error. */
static enum err hand_over(struct step *step)
{
	const struct registry_change *change = step->change;
	struct registry_outcome *outcome = step->outcome;
	enum claim_event event = taker_event(outcome->before);
	struct claim *taker;
	enum err err;

	/* The old holder's claim points into this step; as it was written it does not. */
	if (registry_claims_read(step->registry, change->domain, step->claims) == LOOKUP_FAILED)
		return ERR_DAMAGED;
	err = run(step, event, change->to_tenant, &taker);
	/* A tombstone cannot be pinned: first it is a claim again. */
	if (err == ERR_OK && event == CLAIM_PIN && outcome->word == CLAIM_IMPOSSIBLE)
		err = take_tombstone_over(step, event, &taker);
	if (err != ERR_OK)
		return err;
	if (!taker)
		return registry_fail(step->registry, ERR_FULL,
			"%d tenants claim %.*s already: `policyctl domain forget` one of them",
			CLAIMS_PER_DOMAIN, TEXT_ARG(change->domain));
	if (outcome->word != CLAIM_CHANGED && outcome->word != CLAIM_KEPT)
		return registry_fail(step->registry, ERR_INVALID, "%.*s cannot take %.*s over",
			TEXT_ARG(change->to_tenant), TEXT_ARG(change->domain));
	outcome->word = CLAIM_CHANGED;
	tell_claim(outcome, taker);
	return ERR_OK;
}

static enum err run_change(struct step *step)
{
	const struct registry_change *change = step->change;
	struct registry_outcome *outcome = step->outcome;
	struct claim *claim;
	enum err err = run(step, change->event, change->tenant, &claim);

	if (err != ERR_OK)
		return err;
	if (!claim && !makes_claims(change->event))
		return fail_absent(step);
	if (!claim) {
		outcome->is_full = true;
		outcome->word = CLAIM_IMPOSSIBLE;
		return ERR_OK;
	}
	outcome->before = step->before.life.state;
	outcome->after = claim->life.state;
	tell_claim(outcome, claim);
	if (change->event == CLAIM_GIVE_AWAY && outcome->word == CLAIM_CHANGED &&
		change->to_tenant.len > 0)
		return hand_over(step);
	return ERR_OK;
}

static enum err check(struct registry *registry, const struct registry_change *change)
{
	bool is_fine = change->domain.len > 0 && change->domain.len <= DOMAIN_MAX &&
		       tenant_is_valid(change->tenant) &&
		       (change->to_tenant.len == 0 || tenant_is_valid(change->to_tenant)) &&
		       !text_equal(change->to_tenant, change->tenant);

	return is_fine ? ERR_OK
		       : registry_fail(registry, ERR_INVALID,
				 "\"%.*s\" of \"%.*s\" cannot be claimed", TEXT_ARG(change->domain),
				 TEXT_ARG(change->tenant));
}

/* In the transaction that is open. */
static enum err apply(struct registry *registry, const struct registry_change *change,
	struct registry_outcome *outcome)
{
	struct claims claims;
	struct step step = {
		.registry = registry, .change = change, .outcome = outcome, .claims = &claims};
	enum err err = check(registry, change);

	memset(outcome, 0, sizeof(*outcome));
	outcome->word = CLAIM_IMPOSSIBLE;
	if (err != ERR_OK)
		return err;
	if (registry_claims_read(registry, change->domain, &claims) == LOOKUP_FAILED)
		return ERR_DAMAGED;
	return run_change(&step);
}

enum err registry_change(struct registry *registry, const struct registry_change *change,
	struct registry_outcome *outcome)
{
	enum err err = registry_write_begin(registry);

	if (err != ERR_OK)
		return err;
	return registry_write_end(registry, apply(registry, change, outcome));
}

enum err registry_change_all(struct registry *registry, const struct registry_change *changes,
	size_t count, struct registry_outcome *outcomes)
{
	enum err err = registry_write_begin(registry);

	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		err = apply(registry, &changes[i], &outcomes[i]);
		if (err == ERR_ABSENT)
			err = ERR_OK;
	}
	return registry_write_end(registry, err);
}

/* The last of the list takes its place. */
static enum err forget(struct step *step, struct claim *claim)
{
	const struct registry_change *change = step->change;
	enum err err = delete_senders(step, claim);

	step->before = *claim;
	step->outcome->before = claim->life.state;
	*claim = step->claims->items[--step->claims->count];
	if (err == ERR_OK)
		err = move_due(step, change->tenant, 0);
	if (err == ERR_OK)
		err = registry_claims_write(step->registry, step->claims);
	if (err != ERR_OK)
		return err;
	return put_audit(step, step->before.life.state,
		&(struct claim){.tenant = change->tenant,
			.reason = registry_clip(change->reason, CLAIM_REASON_MAX)});
}

static enum err apply_forget(struct registry *registry, const struct registry_change *change,
	struct registry_outcome *outcome)
{
	struct claims claims;
	struct step step = {
		.registry = registry, .change = change, .outcome = outcome, .claims = &claims};
	struct claim *claim;

	if (registry_claims_read(registry, change->domain, &claims) == LOOKUP_FAILED)
		return ERR_DAMAGED;
	claim = registry_claims_find(&claims, change->tenant);
	return claim ? forget(&step, claim) : fail_absent(&step);
}

enum err registry_forget(struct registry *registry, const struct registry_change *change,
	struct registry_outcome *outcome)
{
	enum err err = registry_write_begin(registry);

	memset(outcome, 0, sizeof(*outcome));
	outcome->word = CLAIM_CHANGED;
	if (err != ERR_OK)
		return err;
	return registry_write_end(registry, apply_forget(registry, change, outcome));
}

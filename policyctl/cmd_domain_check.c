/*
 * `policyctl domain check DOMAIN [--tenant TENANT]`: looks for the proof in the DNS now, past every
 * cache, and says what it found against what was expected.
 *
 * The look changes the claims as any other. The value to publish is shown of one tenant alone.
 */
#include <stdlib.h>

#include "policyctl/arena.h"
#include "policyctl/claim_pick.h"
#include "policyctl/daemon.h"
#include "policyctl/elsewhere.h"
#include "policyctl/proof_look.h"
#include "policyctl/proof_text.h"
#include "policyctl/registry_open.h"
#include "policyctl/unanswered.h"

struct check {
	const struct ctl *ctl;
	struct claimable domain;
	struct claim claims[CLAIMS_PER_DOMAIN]; /* as they are afterwards; texts in the arena */
	struct arena texts;
	size_t count;
	size_t wanted, living; /* of them: meant; meant and no tombstone */
	struct proof_look look;
	struct elsewhere elsewhere;
};

static bool is_wanted(const struct check *check, const struct claim *claim)
{
	return !ctl_has(check->ctl, FLAG_TENANT) ||
	       text_equal(claim->tenant, text_of(check->ctl->args.tenant));
}

static bool copy_texts(struct check *check)
{
	bool fits = true;

	for (size_t i = 0; i < check->count; i++) {
		struct claim *claim = &check->claims[i];
		struct text *const texts[] = {&claim->tenant, &claim->token, &claim->old_token,
			&claim->reason, &claim->seen};

		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
			*texts[k] = arena_copy(&check->texts, *texts[k]);
			fits = fits && texts[k]->ptr;
		}
	}
	return fits;
}

/* Copied, so that no look at the register goes on while the DNS is asked or somebody is slow to
 * read. */
static enum ctl_exit copy_claims(struct check *check)
{
	struct text domain = check->domain.text;
	enum ctl_exit done = CTL_UNKNOWN;
	struct registry *registry;

	switch (registry_open_to_read(check->ctl, &registry)) {
	case LOOKUP_FAILED:
		return CTL_UNKNOWN;
	case LOOKUP_ABSENT:
		return CTL_NO;
	case LOOKUP_FOUND:
		break;
	}
	switch (registry_claims(registry, domain, check->claims, &check->count)) {
	case LOOKUP_FAILED:
		claim_refuse(check->ctl, domain, CTL_UNKNOWN, "%s", registry_error(registry));
		break;
	case LOOKUP_ABSENT:
		done = CTL_NO;
		break;
	case LOOKUP_FOUND:
		done = copy_texts(check) ? CTL_YES : CTL_UNKNOWN;
		if (done == CTL_UNKNOWN)
			complain("out of memory");
		break;
	}
	registry_close_read(registry);
	return done;
}

/* CTL_YES: somebody's claim is meant. */
static enum ctl_exit claims_read(struct check *check)
{
	enum ctl_exit done;

	arena_drop(&check->texts);
	check->wanted = check->living = check->count = 0;
	done = copy_claims(check);
	if (done == CTL_NO)
		return claim_refuse_unclaimed(check->ctl, check->domain.text);
	if (done != CTL_YES)
		return done;
	for (size_t i = 0; i < check->count; i++) {
		if (!is_wanted(check, &check->claims[i]))
			continue;
		check->wanted++;
		check->living += check->claims[i].life.state != CLAIM_REMOVED;
	}
	if (check->wanted > 0)
		return CTL_YES;
	return claim_refuse(check->ctl, check->domain.text, CTL_NO, "%s has no claim on %.*s",
		check->ctl->args.tenant, TEXT_ARG(check->domain.text));
}

static const struct prover_result *result_of(const struct check *check, const struct claim *claim)
{
	for (size_t i = 0; i < check->look.count; i++)
		if (text_equal(claim->tenant, text_of(check->look.results[i].tenant)))
			return &check->look.results[i];
	return NULL;
}

/* Whether the record may stand somewhere else. */
static bool is_missing(const struct prover_result *result)
{
	return result && (result->word == CHALLENGE_ABSENT || result->word == CHALLENGE_NO_MATCH);
}

static void look_elsewhere(struct check *check)
{
	bool is_any_missing = false;

	for (size_t i = 0; i < check->look.count; i++)
		is_any_missing = is_any_missing || is_missing(&check->look.results[i]);
	if (is_any_missing && !elsewhere_ask(check->ctl, &check->domain, &check->elsewhere))
		check->elsewhere.count = 0;
}

static struct proof_text text_for(const struct check *check, const struct claim *claim)
{
	struct proof_text text = {.ctl = check->ctl,
		.result = result_of(check, claim),
		.claim = claim,
		.claims = check->claims,
		.count = check->count,
		.shows_value = check->living == 1,
		.name = check->domain.name};

	if (is_missing(text.result))
		text.elsewhere = elsewhere_find(check->ctl, &check->elsewhere, claim->token);
	return text;
}

static void print_answer(const struct proof_look *look)
{
	const char *unanswered = unanswered_sentence_of(look->answer);

	if (unanswered)
		printf("answer    none: %s\n", unanswered);
	else if (look->answer[0])
		printf("answer    %s%s%s\n", look->answer, look->server[0] ? " from " : "",
			look->server);
}

static void print_text(const struct check *check)
{
	const struct proof_look *look = &check->look;

	if (look->count > 0)
		printf("asked     %.*s TXT%s\n", TEXT_ARG(check->domain.name),
			look->by_daemon ? ", by policyd" : "");
	print_answer(look);
	for (size_t i = 0; i < check->count; i++) {
		struct proof_text text;

		if (!is_wanted(check, &check->claims[i]))
			continue;
		text = text_for(check, &check->claims[i]);
		proof_text_print(&text);
	}
	if (check->living > 1)
		puts("note      the values are shown where --tenant says whose");
	if (!look->by_daemon && look->count > 0)
		daemon_print_note(check->ctl->config);
}

static void print_json(const struct check *check)
{
	const struct proof_look *look = &check->look;
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_text(&json, "domain", check->domain.text);
	json_text(&json, "name", check->domain.name);
	json_string(&json, "by", look->by_daemon ? "policyd" : "policyctl");
	json_string(&json, "server", look->server[0] ? look->server : NULL);
	json_string(&json, "answer", look->answer[0] ? look->answer : NULL);
	json_open(&json, "claims", '[');
	for (size_t i = 0; i < check->count; i++) {
		struct proof_text text;

		if (!is_wanted(check, &check->claims[i]))
			continue;
		text = text_for(check, &check->claims[i]);
		proof_text_write(&text, &json);
	}
	json_close(&json, ']', false);
	json_close(&json, '}', true);
}

/* A claim in force is a yes, also where its DNS does not answer now. */
static enum ctl_exit exit_of(const struct check *check)
{
	enum ctl_exit done = CTL_NO;

	for (size_t i = 0; i < check->count; i++) {
		const struct prover_result *result = result_of(check, &check->claims[i]);

		if (!is_wanted(check, &check->claims[i]))
			continue;
		if (claim_is_in_force(check->claims[i].life.state))
			return CTL_YES;
		if (result && result->word == CHALLENGE_UNKNOWN)
			done = CTL_UNKNOWN;
	}
	return done;
}

static enum ctl_exit run(struct check *check)
{
	enum ctl_exit done = claims_read(check);

	if (done == CTL_YES)
		done = proof_look(check->ctl, check->domain.text, text_of(check->ctl->args.tenant),
			&check->look);
	if (done == CTL_YES)
		look_elsewhere(check);
	if (done == CTL_YES)
		done = claims_read(check);
	if (done == CTL_YES) {
		if (ctl_has(check->ctl, FLAG_JSON))
			print_json(check);
		else
			print_text(check);
		done = exit_of(check);
	}
	arena_drop(&check->texts);
	return done;
}

enum ctl_exit cmd_domain_check(struct ctl *ctl)
{
	struct check *check = calloc(1, sizeof(*check));
	enum ctl_exit done;

	if (!check) {
		complain("out of memory");
		return CTL_UNKNOWN;
	}
	check->ctl = ctl;
	done = claimable_of(ctl, ctl->args.operand[0], false, &check->domain);
	if (done == CTL_YES)
		done = run(check);
	free(check);
	return done;
}

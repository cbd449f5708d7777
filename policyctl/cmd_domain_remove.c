/*
 * `policyctl domain remove DOMAIN` leaves a tombstone, `domain forget DOMAIN` leaves nothing.
 *
 * Both ask on a terminal and want --yes where there is none; both say what is out of force now.
 */
#include <time.h>

#include "policyctl/claim_pick.h"
#include "policyctl/claim_text.h"
#include "policyctl/claimable.h"
#include "policyctl/confirm.h"
#include "policyctl/domain_rows.h"
#include "policyctl/totals.h"

struct ending {
	struct ctl *ctl;
	bool is_forget;
	struct claimable domain;
	struct picked picked;
	struct domain_rows rows;
	struct registry_outcome outcome;
};

/* A tombstone refuses everybody, unless another tenant's claim is in force. */
static bool puts_rows_out(const struct ending *ending)
{
	return !ending->is_forget && !ending->picked.holder[0];
}

static const char *verb(const struct ending *ending)
{
	return ending->is_forget ? "forget" : "remove";
}

/* Of a claim that others never felt, the tombstone is what they feel first. */
static void warn_tombstone(const struct ending *ending, enum claim_state before, FILE *out)
{
	if (puts_rows_out(ending) && (before == CLAIM_PENDING || before == CLAIM_EXPIRED))
		fprintf(out,
			"the claim was not in force; removed, it refuses everybody's mail of %.*s. "
			"To "
			"drop it without that: `policyctl domain forget %.*s --tenant %s`\n",
			TEXT_ARG(ending->domain.text), TEXT_ARG(ending->domain.text),
			ending->picked.tenant);
}

/* A hosted claim gives the logins of its domain their tenant. */
static void warn_logins(const struct ending *ending, enum claim_state before, FILE *out)
{
	if (before == CLAIM_HOSTED)
		fprintf(out,
			"logins of %.*s have no tenant any more: but for those that lines of the "
			"tenants table name, none may use a domain that is claimed\n",
			TEXT_ARG(ending->domain.text));
}

static void print_question(const void *ctx)
{
	const struct ending *ending = ctx;
	const struct picked *picked = &ending->picked;
	uint32_t senders = picked->senders + picked->senders_pending;
	char rows[DOMAIN_ROWS_TEXT];

	fprintf(stderr, "%.*s: the claim of %s, %s; %u sender%s named for it\n",
		TEXT_ARG(ending->domain.text), picked->tenant, claim_state_name(picked->life.state),
		senders, plural(senders));
	if (puts_rows_out(ending))
		fprintf(stderr, "rows of the table that will be out of force: %s\n",
			domain_rows_text(&ending->rows, rows));
	warn_tombstone(ending, picked->life.state, stderr);
	warn_logins(ending, picked->life.state, stderr);
}

static enum ctl_exit change(struct ending *ending)
{
	const struct registry_change change = {.event = CLAIM_REMOVE,
		.domain = ending->domain.text,
		.tenant = text_of(ending->picked.tenant),
		.action = ending->is_forget ? "domain forget" : "domain remove",
		.reason = text_of(ending->ctl->args.reason)};

	ending->ctl->now = (int64_t)time(NULL);
	return ending->is_forget ? claim_forget(ending->ctl, change, &ending->outcome)
				 : claim_change(ending->ctl, change, &ending->outcome);
}

static void print_text(const struct ending *ending)
{
	uint64_t gone = ending->outcome.senders_gone;
	char rows[DOMAIN_ROWS_TEXT];

	if (ending->outcome.word == CLAIM_KEPT) {
		printf("%.*s: the claim of %s was removed already\n", TEXT_ARG(ending->domain.text),
			ending->picked.tenant);
		return;
	}
	printf("%.*s: the claim of %s is %s, was %s\n", TEXT_ARG(ending->domain.text),
		ending->picked.tenant, ending->is_forget ? "forgotten" : "removed",
		claim_state_name(ending->outcome.before));
	printf("senders out of force: %llu\n", (unsigned long long)gone);
	warn_tombstone(ending, ending->outcome.before, stdout);
	warn_logins(ending, ending->outcome.before, stdout);
	if (puts_rows_out(ending))
		printf("rows of the table out of force: %s\n",
			domain_rows_text(&ending->rows, rows));
	else if (ending->picked.holder[0])
		printf("rows of the table count for %s, whose claim is in force\n",
			ending->picked.holder);
	else
		printf("rows of the table count again where no other claim refuses them: %s\n",
			domain_rows_text(&ending->rows, rows));
}

static void print_json(const struct ending *ending)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_text(&json, "domain", ending->domain.text);
	json_string(&json, "tenant", ending->picked.tenant);
	json_bool(&json, "done", true);
	json_bool(&json, "changed", ending->outcome.word == CLAIM_CHANGED);
	json_string(&json, "before", claim_state_name(ending->outcome.before));
	json_string(&json, "state", ending->is_forget ? "none" : "removed");
	json_number(&json, "senders_gone", ending->outcome.senders_gone);
	json_bool(&json, "logins_without_tenant", ending->outcome.before == CLAIM_HOSTED);
	json_bool(&json, "rows_out_of_force", puts_rows_out(ending));
	domain_rows_write(&ending->rows, &json);
	json_close(&json, '}', true);
}

static enum ctl_exit run(struct ctl *ctl, bool is_forget)
{
	struct ending ending = {.ctl = ctl, .is_forget = is_forget};
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], false, &ending.domain);

	if (done == CTL_YES)
		done = claim_pick(ctl, ending.domain.text, is_forget ? PICK_ANY : PICK_LIVING,
			&ending.picked);
	if (done != CTL_YES)
		return done;
	ending.rows = domain_rows_count(ctl, ending.domain.text);
	done = confirm_ask(ctl, &(struct confirm){.domain = ending.domain.text,
					.verb = is_forget ? "Forget" : "Remove",
					.past = is_forget ? "forgotten" : "removed",
					.print = print_question,
					.ctx = &ending});
	if (done == CTL_YES)
		done = change(&ending);
	if (done == CTL_YES && ending.outcome.word == CLAIM_IMPOSSIBLE)
		done = claim_refuse(
			ctl, ending.domain.text, CTL_NO, "there is nothing to %s", verb(&ending));
	if (done != CTL_YES)
		return done;
	if (ctl_has(ctl, FLAG_JSON))
		print_json(&ending);
	else
		print_text(&ending);
	return CTL_YES;
}

enum ctl_exit cmd_domain_remove(struct ctl *ctl)
{
	return run(ctl, false);
}

enum ctl_exit cmd_domain_forget(struct ctl *ctl)
{
	return run(ctl, true);
}

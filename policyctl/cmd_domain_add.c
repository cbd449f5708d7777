/*
 * `policyctl domain add DOMAIN --tenant TENANT [--hosted]`: a claim, and the record that proves it.
 *
 * Claimed already: the record again. Prints the token of this tenant alone.
 */
#include "policyctl/claim_pick.h"
#include "policyctl/claim_record.h"
#include "policyctl/claim_text.h"
#include "policyctl/daemon.h"
#include "policyctl/domain_rows.h"
#include "policyctl/tenant.h"

struct add {
	const struct ctl *ctl;
	const struct claimable *domain;
	struct registry_outcome outcome;
	struct picked now; /* the claim as it is afterwards */
	struct domain_rows rows;
	struct claim_record record;
	bool has_record; /* there is something to publish */
	enum lookup tenant_known;
};

static void print_heading(const struct add *add)
{
	const char *typed = add->ctl->args.operand[0];
	char escaped[OUTPUT_SHORT], since[CLAIM_MOMENT_MAX];
	const struct claim_life *life = &add->now.life;

	if (add->domain->is_rewritten)
		printf("\"%s\" is claimed as %.*s\n",
			output_escape(text_of(typed), escaped, sizeof(escaped)),
			TEXT_ARG(add->domain->text));
	if (add->outcome.word == CLAIM_CHANGED)
		printf("%.*s: claimed for %s, %s\n", TEXT_ARG(add->domain->text), add->now.tenant,
			claim_state_name(life->state));
	else
		printf("%.*s: claimed for %s already, %s since %s\n", TEXT_ARG(add->domain->text),
			add->now.tenant, claim_state_name(life->state),
			claim_moment(life->since, add->ctl->now, since));
}

static void print_holder(const struct add *add)
{
	if (add->now.holder[0])
		printf("the claim of %s is in force (%s): this one waits until that has ended, or "
		       "`policyctl domain transfer %.*s --tenant %s` gives the domain over\n",
			add->now.holder, claim_state_name(add->now.holder_state),
			TEXT_ARG(add->domain->text), add->now.tenant);
}

/* The first claim on a domain in use takes it from the tenant's logins until it is proved. */
static bool is_stopping_mail(const struct add *add)
{
	return add->now.life.state == CLAIM_PENDING && !add->now.holder[0] &&
	       domain_rows_sum(&add->rows) > 0 &&
	       add->ctl->config->settings.ownership != OWNERSHIP_NO;
}

static void print_warning(const struct add *add)
{
	if (is_stopping_mail(add))
		printf("mail of %s's logins with this domain is refused until the proof is seen; "
		       "`policyctl domain pin %.*s --tenant %s` keeps it flowing meanwhile\n",
			add->now.tenant, TEXT_ARG(add->domain->text), add->now.tenant);
}

static void print_text(const struct add *add)
{
	char meaning[CLAIM_MEANING_MAX], rows[DOMAIN_ROWS_TEXT], next[CLAIM_MOMENT_MAX];
	const struct claim_life *life = &add->now.life;

	print_heading(add);
	print_holder(add);
	if (add->has_record) {
		puts(add->outcome.is_new_token ? "publish this record:" : "the record to publish:");
		claim_record_print(&add->record);
	}
	printf("state: %s\n", claim_meaning(add->ctl, life, text_of(add->now.holder), meaning));
	if (life->next_check > 0)
		printf("next look: %s; now: `policyctl domain check %.*s --tenant %s`\n",
			claim_moment(life->next_check, add->ctl->now, next),
			TEXT_ARG(add->domain->text), add->now.tenant);
	printf("rows of the table that it touches: %s\n", domain_rows_text(&add->rows, rows));
	print_warning(add);
	if (life->next_check > 0)
		daemon_print_note(add->ctl->config);
}

static void print_json(const struct add *add)
{
	const struct claim_life *life = &add->now.life;
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_text(&json, "domain", add->domain->text);
	json_string(&json, "tenant", add->now.tenant);
	json_bool(&json, "done", true);
	json_bool(&json, "changed", add->outcome.word == CLAIM_CHANGED);
	json_bool(&json, "new_token", add->outcome.is_new_token);
	json_string(&json, "before", claim_state_name(add->outcome.before));
	json_string(&json, "state", claim_state_name(life->state));
	json_bool(&json, "in_force", claim_is_in_force(life->state));
	claim_write_moment(&json, "since", life->since);
	claim_write_moment(&json, "next_check", life->next_check);
	claim_write_moment(
		&json, "ends_at", claim_ends_at(life, &add->ctl->config->ownership.rules));
	if (add->has_record)
		claim_record_write(&add->record, &json);
	else
		json_string(&json, "record", NULL);
	json_string(&json, "holder", add->now.holder[0] ? add->now.holder : NULL);
	tenant_write(add->tenant_known, &json);
	json_bool(&json, "daemon_runs", daemon_listens(add->ctl->config));
	domain_rows_write(&add->rows, &json);
	json_close(&json, '}', true);
}

static enum ctl_exit refuse(const struct add *add)
{
	struct text domain = add->domain->text;
	const char *tenant = add->ctl->args.tenant;

	if (add->outcome.is_full)
		return claim_refuse(add->ctl, domain, CTL_NO,
			"%d tenants claim %.*s already, more are not kept: `policyctl domain show "
			"%.*s` lists them, `policyctl domain forget %.*s --tenant TENANT` makes "
			"room",
			CLAIMS_PER_DOMAIN, TEXT_ARG(domain), TEXT_ARG(domain), TEXT_ARG(domain));
	if (add->outcome.word == CLAIM_HELD)
		return claim_refuse(add->ctl, domain, CTL_NO,
			"the claim of %s on %.*s is in force; `policyctl domain transfer %.*s "
			"--tenant %s` gives the domain over",
			add->outcome.holder, TEXT_ARG(domain), TEXT_ARG(domain), tenant);
	if (add->outcome.word == CLAIM_IMPOSSIBLE)
		return claim_refuse(add->ctl, domain, CTL_NO, "the claim of %s on %.*s is %s",
			tenant, TEXT_ARG(domain), claim_state_name(add->outcome.before));
	return CTL_YES;
}

enum ctl_exit cmd_domain_add(struct ctl *ctl)
{
	bool is_hosted = ctl_has(ctl, FLAG_HOSTED);
	struct claimable domain;
	struct add add = {.ctl = ctl, .domain = &domain};
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], true, &domain);

	if (done != CTL_YES)
		return done;
	done = claim_change(ctl,
		(struct registry_change){.event = is_hosted ? CLAIM_HOST : CLAIM_ADD,
			.domain = domain.text,
			.tenant = text_of(ctl->args.tenant),
			.action = is_hosted ? "domain add --hosted" : "domain add"},
		&add.outcome);
	if (done == CTL_YES)
		done = refuse(&add);
	if (done == CTL_YES)
		done = claim_pick(ctl, domain.text, PICK_ANY, &add.now);
	if (done != CTL_YES)
		return done;
	add.rows = domain_rows_count(ctl, domain.text);
	add.tenant_known = tenant_warn(ctl, text_of(add.now.tenant));
	add.has_record = add.now.life.state != CLAIM_HOSTED && add.now.token[0];
	claim_record_make(ctl, &domain, text_of(add.now.token), &add.record);
	if (ctl_has(ctl, FLAG_JSON))
		print_json(&add);
	else
		print_text(&add);
	return CTL_YES;
}

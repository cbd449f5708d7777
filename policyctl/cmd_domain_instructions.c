/*
 * `policyctl domain instructions DOMAIN [--tenant TENANT]`: what to send to whoever keeps the
 * domain's DNS.
 *
 * Prints the token of one tenant: where several claim the domain, --tenant says whose.
 */
#include "policyctl/claim_pick.h"
#include "policyctl/claim_record.h"
#include "policyctl/claim_text.h"

static void print_until(const struct ctl *ctl, const struct claim_life *life)
{
	const struct claim_rules *rules = &ctl->config->ownership.rules;
	char moment[CLAIM_MOMENT_MAX];
	int64_t ends_at = claim_ends_at(life, rules);

	switch (life->state) {
	case CLAIM_PENDING:
		printf("Please publish it before %s.\n", claim_moment(ends_at, ctl->now, moment));
		break;
	case CLAIM_GRACE:
		printf("%s before %s.\n",
			life->proved_at == 0 || claim_is_unseen(life)
				? "Please publish it"
				: "It was there and is missing now: please publish it again",
			claim_moment(ends_at, ctl->now, moment));
		break;
	case CLAIM_VERIFIED:
		printf("It was found on %s.\n", claim_moment(life->proved_at, ctl->now, moment));
		break;
	default:
		puts("Please tell us when it is published.");
	}
}

static void print_text(const struct ctl *ctl, const struct claimable *domain,
	const struct picked *picked, const struct claim_record *record)
{
	char span[SPAN_MAX];

	printf("To confirm that mail may be sent with addresses of %.*s, please publish this\n"
	       "record in the DNS of that domain:\n\n",
		TEXT_ARG(domain->text));
	claim_record_print(record);
	printf("\nTo see whether it is there:\n  dig +short TXT %.*s\nmust answer\n  \"%s\"\n\n",
		TEXT_ARG(record->name), record->value);
	print_until(ctl, &picked->life);
	printf("Please leave the record where it is: it is looked at for as long as mail is sent,\n"
	       "and when it is missing for %s, mail with addresses of %.*s is refused.\n",
		span_format(ctl->config->ownership.rules.grace_s, span), TEXT_ARG(domain->text));
}

static void print_json(const struct ctl *ctl, const struct claimable *domain,
	const struct picked *picked, const struct claim_record *record)
{
	struct json json = {.out = stdout};
	char dig[DNS_NAME_MAX + 32];

	snprintf(dig, sizeof(dig), "dig +short TXT %.*s", TEXT_ARG(record->name));
	json_open(&json, NULL, '{');
	json_text(&json, "domain", domain->text);
	json_string(&json, "tenant", picked->tenant);
	json_string(&json, "state", claim_state_name(picked->life.state));
	claim_write_moment(
		&json, "until", claim_ends_at(&picked->life, &ctl->config->ownership.rules));
	claim_record_write(record, &json);
	json_string(&json, "test", dig);
	json_close(&json, '}', true);
}

enum ctl_exit cmd_domain_instructions(struct ctl *ctl)
{
	struct claimable domain;
	struct picked picked;
	struct claim_record record;
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], false, &domain);

	if (done == CTL_YES)
		done = claim_pick(ctl, domain.text, PICK_LIVING, &picked);
	if (done != CTL_YES)
		return done;
	if (picked.life.state == CLAIM_HOSTED || !picked.token[0])
		return claim_refuse(ctl, domain.text, CTL_NO,
			"the claim of %s on %.*s is %s: it needs no record", picked.tenant,
			TEXT_ARG(domain.text), claim_state_name(picked.life.state));
	claim_record_make(ctl, &domain, text_of(picked.token), &record);
	if (ctl_has(ctl, FLAG_JSON))
		print_json(ctl, &domain, &picked, &record);
	else
		print_text(ctl, &domain, &picked, &record);
	return CTL_YES;
}

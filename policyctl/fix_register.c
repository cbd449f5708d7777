/*
 * Advice about claims, tenants and entries, see fix_register.h. Knows policyctl's commands, not how
 * the verdict was reached.
 */
#include "policyctl/fix_register.h"

#include <stdlib.h>

#include "policyctl/allowed.h"
#include "policyctl/shell.h"

#define LOAD_TENANTS "load --merge --tenants FILE"

/* The advice as it is put together. */
struct draft {
	const struct ctl *ctl;
	const struct session_answer *answer;
	const struct ownership_fact *fact;
	char tenant[TENANT_MAX + 1]; /* of the login, "" none */
	struct fix_register fix;
	FILE *out; /* of the command; NULL: none yet */
	size_t len;
};

static struct text login_of(const struct draft *draft)
{
	return ask_login(draft->ctl->args.operand[0]);
}

/* `domain VERB DOMAIN`. False: there is none to speak of, or no memory. */
static bool begin_command(struct draft *draft, const char *verb)
{
	if (draft->answer->sender_domain.len == 0)
		return false;
	draft->out = open_memstream(&draft->fix.command, &draft->len);
	if (!draft->out)
		return false;
	fprintf(draft->out, "domain %s ", verb);
	shell_word(draft->out, draft->answer->sender_domain);
	return true;
}

static void add_option(struct draft *draft, const char *option, struct text value)
{
	fprintf(draft->out, " --%s ", option);
	shell_word(draft->out, value);
}

/* `domain VERB DOMAIN --tenant TENANT` */
static void advise(struct draft *draft, const char *verb, const char *tenant, const char *advice)
{
	draft->fix.advice = advice;
	if (begin_command(draft, verb))
		add_option(draft, "tenant", text_of(tenant));
}

/* A line of the tenants table. */
static void advise_tenant(struct draft *draft, const char *tenant, const char *advice)
{
	struct text login = login_of(draft);
	size_t len;
	FILE *out = open_memstream(&draft->fix.row, &len);

	draft->fix.advice = advice;
	if (!out)
		return;
	fprintf(out, "%.*s %s\n", TEXT_ARG(login), tenant);
	fclose(out);
	draft->out = open_memstream(&draft->fix.command, &draft->len);
	if (draft->out)
		fputs(LOAD_TENANTS, draft->out);
}

static void advise_unverified(struct draft *draft)
{
	const struct ownership_fact *fact = draft->fact;

	if (fact->own == CLAIM_EXPIRED)
		advise(draft, "check", fact->tenant,
			"nobody proved the claim in its time; once the record is there that "
			"`policyctl domain instructions` shows, verify it with");
	else if (fact->own == CLAIM_PENDING)
		advise(draft, "instructions", fact->tenant,
			"the domain's owner has to prove the claim by a TXT record; for what to "
			"publish, see");
	else if (draft->tenant[0])
		advise(draft, "add", draft->tenant,
			"no claim on this domain is in force ([ownership] required = all); to "
			"claim it for the login's tenant");
	else
		advise_tenant(draft, "TENANT",
			"no claim can be this login's, it has no tenant; put this into a file, "
			"with the name of its tenant, and load it");
}

static void advise_other_tenant(struct draft *draft)
{
	const struct ownership_fact *fact = draft->fact;

	if (draft->tenant[0])
		advise(draft, "transfer", draft->tenant,
			"the domain is another tenant's; if it has come to the login's tenant, "
			"hand it over with");
	else
		advise_tenant(draft, fact->holder,
			"the domain is a tenant's, and the login has none; if it is of that "
			"tenant, put this into a file and load it");
}

/* The entry that waits: `domain approve DOMAIN LOGIN --tenant TENANT [--sender ADDRESS]`. */
static void name_entry(struct draft *draft, const struct allowed *allowed, struct text local)
{
	struct text delimiter = draft->ctl->config->settings.recipient_delimiter;

	for (size_t i = 0; i < allowed->count; i++) {
		const struct allowed_entry *entry = &allowed->entries[i];

		if (!entry->is_pending || !allowed_is_about(entry, local, delimiter))
			continue;
		putc(' ', draft->out);
		shell_word(draft->out, entry->login);
		add_option(draft, "tenant", entry->tenant);
		if (entry->local.len > 0)
			add_option(draft, "sender", entry->address);
		return;
	}
}

static void advise_approval(struct draft *draft, struct registry *registry)
{
	const struct settings *settings = &draft->ctl->config->settings;
	const struct allowed_question question = {
		.domain = draft->answer->sender_domain, .login = draft->answer->login};
	struct allowed allowed = {0};
	struct address address;

	draft->fix.advice = "an entry of `domain allow` names this login and waits for approval; "
			    "to put it in force";
	if (address_sender(settings->unicode, ask_sender(draft->ctl->args.operand[1]),
		    settings->append_domain, &address) &&
		allowed_collect(&allowed, registry, &question) && begin_command(draft, "approve"))
		name_entry(draft, &allowed, address.local);
	allowed_free(&allowed);
}

/* The domain is the tenant's, and the login is not one of its senders. */
static void advise_entry(struct draft *draft)
{
	struct text login = login_of(draft);

	draft->fix.advice = "the domain is the login's tenant's; to let the login use it";
	if (login.ptr[0] == '-' || login.ptr[0] == '@' || !begin_command(draft, "allow"))
		return;
	putc(' ', draft->out);
	shell_word(draft->out, login);
	add_option(draft, "tenant", text_of(draft->fact->holder));
}

static void advise_on(struct draft *draft, enum reason reason, struct registry *registry)
{
	const struct ownership_fact *fact = draft->fact;

	switch (reason) {
	case REASON_SENDER_UNAPPROVED:
		advise_approval(draft, registry);
		break;
	case REASON_DOMAIN_UNVERIFIED:
		advise_unverified(draft);
		break;
	case REASON_DOMAIN_REVOKED:
		advise(draft, "instructions", fact->holder,
			"the proof of the claim is gone from the DNS; for what to publish again, "
			"see");
		break;
	case REASON_DOMAIN_REMOVED:
		if (fact->is_claimed_again) {
			advise(draft, "instructions", fact->holder,
				"the claim was removed by hand, and claimed again; until that is "
				"proved only its own tenant is told so; for what to publish, see");
			break;
		}
		advise(draft, "add", draft->tenant[0] ? draft->tenant : fact->holder,
			"the claim was removed by hand (`policyctl domain forget` would leave "
			"the domain to the table again); to claim it anew");
		break;
	case REASON_OTHER_TENANT:
		advise_other_tenant(draft);
		break;
	default:
		break;
	}
}

/* The fact names the login's tenant only where somebody claimed the domain. */
static void find_tenant(struct draft *draft, struct registry *registry)
{
	memcpy(draft->tenant, draft->fact->tenant, sizeof(draft->tenant));
	if (draft->tenant[0] || !registry || !registry_begin(registry))
		return;
	if (registry_tenant_of(registry, draft->answer->login, draft->tenant) != LOOKUP_FOUND)
		draft->tenant[0] = '\0';
	registry_end(registry);
}

struct fix_register fix_register_of(
	const struct ctl *ctl, const struct session_answer *answer, struct registry *registry)
{
	struct draft draft = {.ctl = ctl, .answer = answer, .fact = answer->ownership};
	enum reason reason = answer->verdict->reason, next = reason;
	bool is_content;

	if (!draft.fact || draft.fact->status == LOOKUP_FAILED)
		return draft.fix;
	find_tenant(&draft, registry);
	is_content = ownership_passes(ctl->config->settings.ownership, draft.fact, &next);
	if (reason != REASON_NOT_OWNED)
		advise_on(&draft, reason, registry);
	else if (!is_content)
		advise_on(&draft, next, registry);
	else if (claim_is_in_force(draft.fact->force))
		advise_entry(&draft);
	if (draft.out)
		fclose(draft.out);
	return draft.fix;
}

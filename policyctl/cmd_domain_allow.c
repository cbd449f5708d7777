/*
 * `policyctl domain allow | disallow | approve DOMAIN LOGIN...`: the logins of a tenant that may
 * use its domain, or one address of it.
 *
 * All logins or none: one that is refused leaves everything as it was. disallow and approve without
 * --sender mean all that the login has been allowed.
 */
#include "policyctl/claim_pick.h"
#include "policyctl/claim_text.h"
#include "policyctl/registry_open.h"
#include "policyctl/sender_list.h"
#include "policyctl/tenant.h"
#include "policyctl/totals.h"

struct edit {
	struct ctl *ctl;
	enum sender_edit what;
	struct claimable domain;
	struct picked picked;
	struct sender_list named; /* on the command line */
	struct sender_list meant; /* disallow, approve: what that is in the register */
	struct registry_sender_outcome outcome;
	uint64_t missing; /* logins named that nothing is allowed to */
	enum lookup tenant_known;
	bool failed;
};

static bool is_address_given(const struct edit *edit)
{
	return edit->named.local.len > 0;
}

static bool is_meant(const struct edit *edit, const struct sender_entry *entry)
{
	for (size_t i = 0; i < edit->named.count; i++)
		if (text_equal(edit->named.entries[i].login, entry->login) &&
			(!is_address_given(edit) || text_equal(edit->named.local, entry->local)))
			return true;
	return false;
}

static bool on_entry(
	void *ctx, struct text domain, struct text tenant, const struct sender_entry *entry)
{
	struct edit *edit = ctx;

	(void)domain;
	(void)tenant;
	edit->failed = is_meant(edit, entry) && !sender_list_add(&edit->meant, entry->login,
							entry->local, entry->is_pending);
	return !edit->failed;
}

static bool is_found(const struct edit *edit, struct text login)
{
	for (size_t i = 0; i < edit->meant.count; i++)
		if (text_equal(edit->meant.entries[i].login, login))
			return true;
	return false;
}

/* The entries that disallow and approve are about. */
static enum ctl_exit find_meant(struct edit *edit, struct registry *registry)
{
	char escaped[OUTPUT_SHORT];

	if (registry_scan_senders(registry, edit->domain.text, text_of(edit->picked.tenant),
		    on_entry, edit) == LOOKUP_FAILED) {
		complain("%s", registry_error(registry));
		return CTL_UNKNOWN;
	}
	for (size_t i = 0; !edit->failed && i < edit->named.count; i++) {
		if (is_found(edit, edit->named.entries[i].login))
			continue;
		edit->missing++;
		complain("%s is not among the senders of %.*s%s",
			output_escape(edit->named.entries[i].login, escaped, sizeof(escaped)),
			TEXT_ARG(edit->domain.text),
			is_address_given(edit) ? " for that address" : "");
	}
	return edit->failed ? CTL_UNKNOWN : CTL_YES;
}

/* Which claim, and whether everything named may be. The register is begun. */
static enum ctl_exit prepare(struct edit *edit, struct registry *registry)
{
	enum ctl_exit done =
		claim_pick_in(registry, edit->ctl, edit->domain.text, PICK_LIVING, &edit->picked);

	if (done != CTL_YES)
		return done;
	if (edit->what != SENDER_ADD)
		return find_meant(edit, registry);
	done = sender_list_check(&edit->named, edit->ctl, registry, text_of(edit->picked.tenant));
	if (done == CTL_NO)
		return claim_refuse(edit->ctl, edit->domain.text, CTL_NO, "nothing was changed");
	return done;
}

static enum ctl_exit prepare_on(struct edit *edit)
{
	struct registry *registry;
	enum ctl_exit done = CTL_UNKNOWN;

	switch (registry_open_to_read(edit->ctl, &registry)) {
	case LOOKUP_FOUND:
		done = prepare(edit, registry);
		break;
	case LOOKUP_ABSENT:
		done = claim_refuse_unclaimed(edit->ctl, edit->domain.text);
		break;
	case LOOKUP_FAILED:
		break;
	}
	registry_close_read(registry);
	return done;
}

static enum ctl_exit change(struct edit *edit)
{
	const struct sender_list *list = edit->what == SENDER_ADD ? &edit->named : &edit->meant;
	const struct registry_sender_change change = {.edit = edit->what,
		.domain = edit->domain.text,
		.tenant = text_of(edit->picked.tenant),
		.entries = list->entries,
		.count = list->count,
		.actor = edit->ctl->actor,
		.now = edit->ctl->now};
	bool is_all = edit->what == SENDER_APPROVE && ctl_has(edit->ctl, FLAG_ALL);
	struct registry *registry;
	enum ctl_exit done = CTL_YES;
	enum err err;

	if (list->count == 0 && !is_all)
		return CTL_YES;
	registry = registry_open_to_write(edit->ctl);
	if (!registry)
		return CTL_UNKNOWN;
	err = registry_change_senders(registry, &change, &edit->outcome);
	if (err != ERR_OK)
		done = claim_refuse(edit->ctl, edit->domain.text,
			err == ERR_ABSENT ? CTL_NO : CTL_UNKNOWN, "%s", registry_error(registry));
	registry_close_written(edit->ctl, registry);
	return done;
}

/* ---- what was done ---- */

static const char *words_of(const struct edit *edit)
{
	switch (edit->what) {
	case SENDER_ADD:
		return ctl_has(edit->ctl, FLAG_PENDING) ? "added, in force once approved"
							: "allowed";
	case SENDER_TAKE_OUT:
		return "taken out";
	case SENDER_APPROVE:
		break;
	}
	return "approved";
}

static void print_text(const struct edit *edit)
{
	enum claim_state state = edit->picked.life.state;
	uint64_t changed = edit->outcome.changed, unchanged = edit->outcome.unchanged;

	printf("%.*s, claim of %s: %llu sender%s %s", TEXT_ARG(edit->domain.text),
		edit->picked.tenant, (unsigned long long)changed, plural(changed), words_of(edit));
	if (unchanged > 0)
		printf(", %llu %s already", (unsigned long long)unchanged,
			unchanged == 1 ? "was" : "were");
	puts("");
	if (edit->what != SENDER_TAKE_OUT && !claim_is_in_force(state))
		printf("the claim is %s: nobody may use the domain by it before it is in force\n",
			claim_state_name(state));
}

static void print_json(const struct edit *edit)
{
	enum claim_state state = edit->picked.life.state;
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_text(&json, "domain", edit->domain.text);
	json_string(&json, "tenant", edit->picked.tenant);
	json_bool(&json, "done", edit->missing + edit->outcome.missing == 0);
	json_string(&json, "state", claim_state_name(state));
	json_bool(&json, "in_force", claim_is_in_force(state));
	json_number(&json, "changed", edit->outcome.changed);
	json_number(&json, "unchanged", edit->outcome.unchanged);
	json_number(&json, "missing", edit->missing + edit->outcome.missing);
	tenant_write(edit->tenant_known, &json);
	json_close(&json, '}', true);
}

static enum ctl_exit run(struct edit *edit)
{
	enum ctl_exit done = prepare_on(edit);

	if (edit->picked.tenant[0])
		edit->tenant_known = (edit->what == SENDER_ADD ? tenant_warn : tenant_find)(
			edit->ctl, text_of(edit->picked.tenant));
	if (done == CTL_YES)
		done = change(edit);
	if (done != CTL_YES)
		return done;
	if (ctl_has(edit->ctl, FLAG_JSON))
		print_json(edit);
	else
		print_text(edit);
	return edit->missing + edit->outcome.missing > 0 ? CTL_NO : CTL_YES;
}

static enum ctl_exit edit_senders(struct ctl *ctl, enum sender_edit what)
{
	struct edit edit = {.ctl = ctl, .what = what};
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], false, &edit.domain);

	if (done == CTL_YES)
		done = sender_list_read(&edit.named, ctl, &edit.domain);
	if (done == CTL_YES)
		done = run(&edit);
	sender_list_free(&edit.named);
	sender_list_free(&edit.meant);
	return done;
}

enum ctl_exit cmd_domain_allow(struct ctl *ctl)
{
	return edit_senders(ctl, SENDER_ADD);
}

enum ctl_exit cmd_domain_disallow(struct ctl *ctl)
{
	return edit_senders(ctl, SENDER_TAKE_OUT);
}

enum ctl_exit cmd_domain_approve(struct ctl *ctl)
{
	bool has_logins = ctl->args.operands > 1, is_all = ctl_has(ctl, FLAG_ALL);

	if (has_logins != is_all && (!is_all || !ctl->args.sender[0]))
		return edit_senders(ctl, SENDER_APPROVE);
	complain("domain approve wants either LOGIN... or --all, which is every sender that waits");
	return CTL_USAGE;
}

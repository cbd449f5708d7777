/*
 * See sender_list.h. Must not know what is done with them.
 */
#include "policyctl/sender_list.h"

#include <stdlib.h>

#include "policyctl/output.h"

bool sender_list_add(
	struct sender_list *list, struct text login, struct text local, bool is_pending)
{
	struct sender_entry entry = {.login = arena_copy(&list->arena, login),
		.local = arena_copy(&list->arena, local),
		.is_pending = is_pending};

	if (!entry.login.ptr || !entry.local.ptr ||
		!array_reserve((void **)&list->entries, list->count, &list->cap, sizeof(entry))) {
		complain("out of memory");
		return false;
	}
	list->entries[list->count++] = entry;
	return true;
}

void sender_list_free(struct sender_list *list)
{
	free(list->entries);
	arena_drop(&list->arena);
}

static bool read_sender(
	struct sender_list *list, const struct ctl *ctl, const struct claimable *domain)
{
	struct text typed = text_of(ctl->args.sender);
	char escaped[OUTPUT_SHORT];

	if (typed.len == 0)
		return true;
	output_escape(typed, escaped, sizeof(escaped));
	if (!address_sender(ctl->config->settings.unicode, typed, TEXT(""), &list->address)) {
		complain("--sender: \"%s\" is no address", escaped);
		return false;
	}
	list->local = list->address.local;
	if (text_equal(list->address.domain, domain->text))
		return true;
	if (list->address.domain.len == 0)
		complain("--sender: \"%s\" has no domain; did you mean %s@%.*s?", escaped, escaped,
			TEXT_ARG(domain->text));
	else
		complain("--sender: \"%s\" is no address in %.*s", escaped, TEXT_ARG(domain->text));
	return false;
}

static bool is_login_domain(struct text typed)
{
	return typed.len > 1 && typed.ptr[0] == '@';
}

/* Canonical login, or @login-domain. */
static bool login_read(const struct ctl *ctl, struct text typed, struct login *login,
	char at_domain[DOMAIN_MAX + 1], struct text *out)
{
	const struct settings *settings = &ctl->config->settings;
	struct text domain;

	if (is_login_domain(typed)) {
		if (!address_domain(settings->unicode, text_tail(typed, 1), at_domain + 1, &domain))
			return false;
		at_domain[0] = '@';
		*out = (struct text){at_domain, domain.len + 1};
		return true;
	}
	if (typed.len == 0 || typed.ptr[0] == '@' || text_find(typed, ' ') < typed.len ||
		!address_login(settings->unicode, typed, settings->login_realm, login))
		return false;
	*out = login->full;
	return out->len > 0;
}

static enum ctl_exit login_add(
	struct sender_list *list, const struct ctl *ctl, struct text typed, struct login *login)
{
	char at_domain[DOMAIN_MAX + 1], escaped[OUTPUT_SHORT];
	struct text canonical;

	if (!login_read(ctl, typed, login, at_domain, &canonical)) {
		complain("\"%s\" is neither a login nor @DOMAIN for every login of a domain",
			output_escape(typed, escaped, sizeof(escaped)));
		return CTL_USAGE;
	}
	for (size_t i = 0; i < list->count; i++)
		if (text_equal(list->entries[i].login, canonical))
			return CTL_YES;
	return sender_list_add(list, canonical, list->local, ctl_has(ctl, FLAG_PENDING))
		       ? CTL_YES
		       : CTL_UNKNOWN;
}

enum ctl_exit sender_list_read(
	struct sender_list *list, const struct ctl *ctl, const struct claimable *domain)
{
	struct login *login = malloc(sizeof(*login));
	enum ctl_exit done = login ? CTL_YES : CTL_UNKNOWN;

	if (!login)
		complain("out of memory");
	if (done == CTL_YES && !read_sender(list, ctl, domain))
		done = CTL_USAGE;
	for (size_t i = 1; done == CTL_YES && i < ctl->args.operands; i++)
		done = login_add(list, ctl, text_of(ctl->args.operand[i]), login);
	free(login);
	return done;
}

/* ---- whose they are ---- */

struct checking {
	const struct ctl *ctl;
	struct registry *registry;
	struct text tenant;
	bool has_accounts;
	struct login login; /* scratch */
};

static bool on_account(void *ctx, struct text key, struct text value)
{
	(void)key;
	(void)value;
	*(bool *)ctx = true;
	return false;
}

/* The login again as the register asks for it; of @login-domain what counts is its domain. */
static bool login_again(struct checking *checking, struct text canonical)
{
	const struct settings *settings = &checking->ctl->config->settings;

	if (canonical.ptr[0] == '@') {
		checking->login =
			(struct login){.full = canonical, .domain = text_tail(canonical, 1)};
		return true;
	}
	return address_login(settings->unicode, canonical, TEXT(""), &checking->login);
}

static enum ctl_exit check_tenant(struct checking *checking, struct text login)
{
	char has[TENANT_MAX + 1], escaped[OUTPUT_SHORT];
	enum lookup found;

	output_escape(login, escaped, sizeof(escaped));
	found = login_again(checking, login)
			? registry_tenant_of(checking->registry, &checking->login, has)
			: LOOKUP_ABSENT;
	if (found == LOOKUP_FAILED) {
		complain("%s", registry_error(checking->registry));
		return CTL_UNKNOWN;
	}
	if (found == LOOKUP_FOUND && text_equal(text_of(has), checking->tenant))
		return CTL_YES;
	if (found == LOOKUP_FOUND)
		complain("%s belongs to tenant %s, and the claim is %.*s's", escaped, has,
			TEXT_ARG(checking->tenant));
	else
		complain("%s has no tenant: load the line \"%s %.*s\" with `policyctl load "
			 "--tenants --merge FILE`",
			escaped, escaped, TEXT_ARG(checking->tenant));
	return CTL_NO;
}

static enum ctl_exit check_account(struct checking *checking, struct text login)
{
	char escaped[OUTPUT_SHORT];

	if (!checking->has_accounts || login.ptr[0] == '@')
		return CTL_YES;
	switch (registry_has_account(checking->registry, login)) {
	case LOOKUP_FOUND:
		return CTL_YES;
	case LOOKUP_FAILED:
		complain("%s", registry_error(checking->registry));
		return CTL_UNKNOWN;
	case LOOKUP_ABSENT:
		break;
	}
	complain("%s is not on the list of accounts (`policyctl load --accounts`)",
		output_escape(login, escaped, sizeof(escaped)));
	return CTL_NO;
}

enum ctl_exit sender_list_check(const struct sender_list *list, const struct ctl *ctl,
	struct registry *registry, struct text tenant)
{
	struct checking *checking = calloc(1, sizeof(*checking));
	enum ctl_exit done = CTL_YES;

	if (!checking) {
		complain("out of memory");
		return CTL_UNKNOWN;
	}
	checking->ctl = ctl;
	checking->registry = registry;
	checking->tenant = tenant;
	if (registry_scan_lines(registry, REGISTRY_ACCOUNTS, on_account, &checking->has_accounts) ==
		LOOKUP_FAILED) {
		complain("%s", registry_error(registry));
		done = CTL_UNKNOWN;
	}
	for (size_t i = 0; done != CTL_UNKNOWN && i < list->count; i++) {
		enum ctl_exit account = check_account(checking, list->entries[i].login);
		enum ctl_exit one = account == CTL_YES
					    ? check_tenant(checking, list->entries[i].login)
					    : account;

		if (one != CTL_YES)
			done = one;
	}
	free(checking);
	return done;
}

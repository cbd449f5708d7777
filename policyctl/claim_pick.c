/*
 * See claim_pick.h. Knows no rules of a claim's life.
 */
#include "policyctl/claim_pick.h"

#include <stdio.h>

#include "policyctl/claim_text.h"
#include "policyctl/registry_open.h"

#define NAMES_MAX 512

static bool counts(const struct claim *claim, enum pick_kind kind)
{
	return kind == PICK_ANY || claim->life.state != CLAIM_REMOVED;
}

/* The tenants that claim it, "a, b"; what does not fit is "...". */
static const char *list_tenants(
	const struct claim *claims, size_t count, enum pick_kind kind, char out[NAMES_MAX])
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		const char *comma = len > 0 ? ", " : "";

		if (!counts(&claims[i], kind))
			continue;
		if (len + TENANT_MAX + 8 > NAMES_MAX) {
			snprintf(out + len, NAMES_MAX - len, ", ...");
			break;
		}
		len += (size_t)snprintf(
			out + len, NAMES_MAX - len, "%s%.*s", comma, TEXT_ARG(claims[i].tenant));
	}
	return out;
}

static void fill(const struct claim *claims, size_t count, size_t at, struct picked *out)
{
	const struct claim *claim = &claims[at];

	*out = (struct picked){.life = claim->life,
		.senders = claim->senders,
		.senders_pending = claim->senders_pending};
	snprintf(out->tenant, sizeof(out->tenant), "%.*s", TEXT_ARG(claim->tenant));
	snprintf(out->token, sizeof(out->token), "%.*s", TEXT_ARG(claim->token));
	for (size_t i = 0; i < count; i++) {
		if (i == at || !claim_is_in_force(claims[i].life.state))
			continue;
		out->holder_state = claims[i].life.state;
		snprintf(out->holder, sizeof(out->holder), "%.*s", TEXT_ARG(claims[i].tenant));
	}
}

enum ctl_exit claim_refuse_unclaimed(const struct ctl *ctl, struct text domain)
{
	return claim_refuse(ctl, domain, CTL_NO,
		"nobody has claimed %.*s; `policyctl domain add %.*s --tenant TENANT` does",
		TEXT_ARG(domain), TEXT_ARG(domain));
}

static enum ctl_exit pick_tenant(const struct ctl *ctl, struct text domain, enum pick_kind kind,
	const struct claim *claims, size_t count, struct picked *out)
{
	struct text tenant = text_of(ctl->args.tenant);
	char names[NAMES_MAX];

	for (size_t i = 0; i < count; i++) {
		if (!text_equal(claims[i].tenant, tenant))
			continue;
		if (!counts(&claims[i], kind))
			return claim_refuse(ctl, domain, CTL_NO,
				"the claim of %.*s on %.*s was removed; `policyctl domain add "
				"%.*s --tenant %.*s` claims it again",
				TEXT_ARG(tenant), TEXT_ARG(domain), TEXT_ARG(domain),
				TEXT_ARG(tenant));
		fill(claims, count, i, out);
		return CTL_YES;
	}
	return claim_refuse(ctl, domain, CTL_NO, "%.*s has no claim on %.*s; it is claimed by %s",
		TEXT_ARG(tenant), TEXT_ARG(domain), list_tenants(claims, count, PICK_ANY, names));
}

static enum ctl_exit pick_only(const struct ctl *ctl, struct text domain, enum pick_kind kind,
	const struct claim *claims, size_t count, struct picked *out)
{
	size_t found = 0, at = 0;
	char names[NAMES_MAX];

	for (size_t i = 0; i < count; i++) {
		if (!counts(&claims[i], kind))
			continue;
		at = i;
		found++;
	}
	if (found > 1)
		return claim_refuse(ctl, domain, CTL_USAGE,
			"%.*s is claimed by %zu tenants: say --tenant with one of %s",
			TEXT_ARG(domain), found, list_tenants(claims, count, kind, names));
	if (found == 0)
		return claim_refuse(ctl, domain, CTL_NO,
			"the claim on %.*s was removed; `policyctl domain add %.*s --tenant "
			"TENANT` claims it again",
			TEXT_ARG(domain), TEXT_ARG(domain));
	fill(claims, count, at, out);
	return CTL_YES;
}

enum ctl_exit claim_pick_in(struct registry *registry, const struct ctl *ctl, struct text domain,
	enum pick_kind kind, struct picked *out)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	size_t count;

	switch (registry_claims(registry, domain, claims, &count)) {
	case LOOKUP_FAILED:
		return claim_refuse(ctl, domain, CTL_UNKNOWN, "%s", registry_error(registry));
	case LOOKUP_ABSENT:
		return claim_refuse_unclaimed(ctl, domain);
	case LOOKUP_FOUND:
		break;
	}
	if (ctl_has(ctl, FLAG_TENANT))
		return pick_tenant(ctl, domain, kind, claims, count, out);
	return pick_only(ctl, domain, kind, claims, count, out);
}

enum ctl_exit claim_pick(
	const struct ctl *ctl, struct text domain, enum pick_kind kind, struct picked *out)
{
	struct registry *registry;
	enum ctl_exit done = CTL_UNKNOWN;

	switch (registry_open_to_read(ctl, &registry)) {
	case LOOKUP_FOUND:
		done = claim_pick_in(registry, ctl, domain, kind, out);
		break;
	case LOOKUP_ABSENT:
		done = claim_refuse_unclaimed(ctl, domain);
		break;
	case LOOKUP_FAILED:
		break;
	}
	registry_close_read(registry);
	return done;
}

static enum ctl_exit change_with(const struct ctl *ctl, struct registry_change change,
	enum err (*run)(struct registry *registry, const struct registry_change *change,
		struct registry_outcome *outcome),
	struct registry_outcome *outcome)
{
	struct registry *registry = registry_open_to_write(ctl);
	enum ctl_exit done = CTL_YES;
	enum err err;

	if (!registry)
		return CTL_UNKNOWN;
	change.actor = ctl->actor;
	change.now = ctl->now;
	change.rules = &ctl->config->ownership.rules;
	err = run(registry, &change, outcome);
	if (err != ERR_OK)
		done = claim_refuse(ctl, change.domain, err == ERR_ABSENT ? CTL_NO : CTL_UNKNOWN,
			"%s", registry_error(registry));
	registry_close_written(ctl, registry);
	return done;
}

enum ctl_exit claim_change(
	const struct ctl *ctl, struct registry_change change, struct registry_outcome *outcome)
{
	return change_with(ctl, change, registry_change, outcome);
}

enum ctl_exit claim_forget(
	const struct ctl *ctl, struct registry_change change, struct registry_outcome *outcome)
{
	return change_with(ctl, change, registry_forget, outcome);
}

/*
 * See tenant.h. Knows no claims but hosted ones. Reads one list after the other, until it is found.
 */
#include "policyctl/tenant.h"

#include "policyctl/registry_open.h"

struct search {
	struct text tenant;
	bool is_found;
};

static bool on_line(void *ctx, struct text key, struct text value)
{
	struct search *search = ctx;

	(void)key;
	search->is_found = text_equal(value, search->tenant);
	return !search->is_found;
}

static bool on_claim(void *ctx, struct text domain, const struct claim *claim)
{
	struct search *search = ctx;

	(void)domain;
	search->is_found =
		claim->life.state == CLAIM_HOSTED && text_equal(claim->tenant, search->tenant);
	return !search->is_found;
}

static enum lookup find_in(struct registry *registry, struct text tenant)
{
	struct search search = {.tenant = tenant};

	if (registry_scan_lines(registry, REGISTRY_TENANTS, on_line, &search) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	if (!search.is_found &&
		registry_scan(registry, TEXT(""), on_claim, &search) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	return search.is_found ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

enum lookup tenant_find(const struct ctl *ctl, struct text tenant)
{
	struct registry *registry;
	enum lookup found = registry_open_to_read(ctl, &registry);

	if (found != LOOKUP_FOUND)
		return found;
	found = find_in(registry, tenant);
	if (found == LOOKUP_FAILED)
		complain("%s", registry_error(registry));
	registry_close_read(registry);
	return found;
}

enum lookup tenant_warn(const struct ctl *ctl, struct text tenant)
{
	enum lookup found = tenant_find(ctl, tenant);

	if (found == LOOKUP_ABSENT)
		complain("warning: no line of the tenants table and no hosted domain names tenant "
			 "%.*s, so no login is its own: is that how it is written?",
			TEXT_ARG(tenant));
	return found;
}

void tenant_write(enum lookup known, struct json *json)
{
	if (known == LOOKUP_FAILED)
		json_string(json, "tenant_known", NULL);
	else
		json_bool(json, "tenant_known", known == LOOKUP_FOUND);
}

/*
 * Reading many: all claims, the senders of a domain, what is due, the figures.
 *
 * Each value is opened before it is shown; one that is damaged ends the scan as FAILED. What is
 * visited may ask the register in between: a scan goes on from the key it showed last.
 */
#include <assert.h>
#include <stdio.h>

#include "policy/data/registry_private.h"

enum lookup registry_scan(struct registry *registry, struct text from,
	bool (*visit)(void *ctx, struct text domain, const struct claim *claim), void *ctx)
{
	struct registry_walk walk = {.registry = registry, .db = DB_CLAIMS};
	enum lookup status;

	registry_key_of_domain(from, &walk.key);
	while ((status = registry_walk_next(&walk)) == LOOKUP_FOUND) {
		struct text domain = registry_key_text(&walk.key), payload = walk.payload;
		struct claim claim;

		while ((status = claim_decode(&payload, &claim)) == LOOKUP_FOUND)
			if (!visit(ctx, domain, &claim))
				return LOOKUP_FOUND;
		if (status == LOOKUP_FAILED)
			return registry_fail_value(registry, domain, "claims");
	}
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

bool registry_key_read_sender(struct text key, struct text *domain, struct text *tenant)
{
	size_t end = text_find(key, '\0');

	*domain = text_head(key, end);
	if (end == 0 || end == key.len)
		return false;
	*tenant = text_tail(key, end + 1);
	end = text_find(*tenant, '\0');
	if (end == 0 || end == tenant->len)
		return false;
	*tenant = text_head(*tenant, end);
	return true;
}

static void sender_prefix(struct text domain, struct text tenant, struct registry_key *prefix)
{
	prefix->len = 0;
	if (domain.len > 0)
		registry_key_of_senders(domain, tenant, prefix);
}

enum lookup registry_scan_senders(struct registry *registry, struct text domain, struct text tenant,
	bool (*visit)(void *ctx, struct text domain, struct text tenant,
		const struct sender_entry *entry),
	void *ctx)
{
	struct registry_walk walk = {.registry = registry, .db = DB_SENDERS};
	struct registry_key prefix;
	enum lookup status;

	sender_prefix(domain, tenant, &prefix);
	while ((status = registry_walk_under(&walk, &prefix)) == LOOKUP_FOUND) {
		struct text key = registry_key_text(&walk.key), of_domain, of_tenant;
		struct sender_entry entry;

		if (!registry_key_read_sender(key, &of_domain, &of_tenant) ||
			!sender_entry_decode(walk.payload, &entry))
			return registry_fail_value(registry, key, "sender");
		if (!visit(ctx, of_domain, of_tenant, &entry))
			return LOOKUP_FOUND;
	}
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

/* The next entry that can be read. A damaged one is counted, and no other one waits for it. */
static enum lookup next_due(
	struct registry_walk *walk, struct due_list *list, struct due_claim *out)
{
	for (;;) {
		struct registry_key before = walk->key;
		enum lookup status = registry_walk_next(walk);
		struct text key = registry_key_text(&walk->key), domain, tenant;

		if (status == LOOKUP_ABSENT)
			return status;
		/* Nothing can be reached behind it. */
		if (status == LOOKUP_FAILED && text_equal(key, registry_key_text(&before)))
			return status;
		if (status == LOOKUP_FOUND &&
			registry_key_read_due(key, &out->at, &domain, &tenant)) {
			snprintf(out->domain, sizeof(out->domain), "%.*s", TEXT_ARG(domain));
			snprintf(out->tenant, sizeof(out->tenant), "%.*s", TEXT_ARG(tenant));
			return status;
		}
		if (status == LOOKUP_FOUND)
			(void)registry_fail_value(walk->registry, key, "due entry");
		list->damaged++;
	}
}

/* From where the walk stands, as far as `until`. */
static enum lookup list_due(struct registry_walk *walk, int64_t until, struct due_list *list)
{
	enum lookup status = LOOKUP_FOUND;
	struct due_claim due;

	while (list->count < list->cap && (status = next_due(walk, list, &due)) == LOOKUP_FOUND &&
		due.at <= until)
		list->claims[list->count++] = due;
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

enum lookup registry_due(struct registry *registry, struct due_list *list)
{
	struct registry_walk from_start = {.registry = registry, .db = DB_DUE};
	struct registry_walk from_horizon = from_start;
	enum lookup status;

	assert(list->now < list->horizon);
	list->count = list->damaged = 0;
	status = list_due(&from_start, list->now, list);
	if (status == LOOKUP_FAILED || list->horizon == INT64_MAX)
		return status;
	registry_key_of_due(list->horizon + 1, TEXT(""), TEXT(""), &from_horizon.key);
	return list_due(&from_horizon, INT64_MAX, list);
}

static bool count_claim(void *ctx, struct text domain, const struct claim *claim)
{
	struct registry_stat *stat = ctx;

	(void)domain;
	stat->claims[claim->life.state]++;
	stat->senders += claim->senders;
	stat->senders_pending += claim->senders_pending;
	return true;
}

enum lookup registry_stat(struct registry *registry, struct registry_stat *out)
{
	struct audit_range range;
	struct store_stat stat;

	memset(out, 0, sizeof(*out));
	if (registry_fail_store(registry, store_stat(registry->store, &stat)) != ERR_OK ||
		registry_audit_range(registry, &range) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	out->domains = stat.entries[DB_CLAIMS];
	out->tenants = stat.entries[DB_TENANTS];
	out->accounts = stat.entries[DB_ACCOUNTS];
	out->audit = stat.entries[DB_AUDIT];
	out->has_accounts = out->accounts > 0;
	out->last_audit = range.last;
	out->used_bytes = stat.used_bytes;
	out->live_bytes = stat.live_bytes;
	out->map_bytes = stat.map_bytes;
	return registry_scan(registry, TEXT(""), count_claim, out);
}

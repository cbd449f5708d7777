/*
 * See allowed.h. Must not know the table. Fails only with the register or the memory, complained.
 */
#include "policyctl/allowed.h"

#include <stdlib.h>

#include "policyctl/output.h"

struct collecting {
	struct allowed *allowed;
	const struct allowed_question *question;
	bool failed; /* out of memory */
};

static bool means(struct text key, const struct login *login)
{
	if (!login || text_equal(key, login->full))
		return true;
	return key.len > 1 && key.ptr[0] == '@' && text_equal(text_tail(key, 1), login->domain);
}

static struct text address_of(struct arena *arena, struct text local, struct text domain)
{
	char bytes[SENDER_MAX + 1 + DOMAIN_MAX];

	if (local.len > SENDER_MAX || domain.len > DOMAIN_MAX)
		return (struct text){0};
	memcpy(bytes, local.ptr, local.len);
	bytes[local.len] = '@';
	memcpy(bytes + local.len + 1, domain.ptr, domain.len);
	return arena_copy(arena, (struct text){bytes, local.len + 1 + domain.len});
}

static bool on_entry(
	void *ctx, struct text domain, struct text tenant, const struct sender_entry *entry)
{
	struct collecting *collecting = ctx;
	struct allowed *allowed = collecting->allowed;
	struct allowed_entry *new;

	if (!means(entry->login, collecting->question->login))
		return true;
	collecting->failed = !array_reserve(
		(void **)&allowed->entries, allowed->count, &allowed->cap, sizeof(*new));
	if (collecting->failed)
		return false;
	new = &allowed->entries[allowed->count++];
	*new = (struct allowed_entry){
		.domain = arena_copy(&allowed->arena, domain),
		.tenant = arena_copy(&allowed->arena, tenant),
		.login = arena_copy(&allowed->arena, entry->login),
		.local = arena_copy(&allowed->arena, entry->local),
		.address = address_of(&allowed->arena, entry->local, domain),
		.is_pending = entry->is_pending,
	};
	collecting->failed = !new->domain.ptr || !new->tenant.ptr || !new->login.ptr ||
			     !new->local.ptr || !new->address.ptr;
	return !collecting->failed;
}

static int weight_of(enum claim_state state)
{
	if (claim_is_in_force(state))
		return 3;
	return state == CLAIM_REMOVED ? 2 : state == CLAIM_REVOKED;
}

static enum lookup find_holding(
	struct registry *registry, struct text domain, struct holding *holding)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	size_t count;
	enum lookup status = registry_claims(registry, domain, claims, &count);

	*holding = (struct holding){0};
	for (size_t i = 0; i < count; i++) {
		const struct claim *claim = &claims[i];
		/* Claimed again it refuses as before. */
		enum claim_state state =
			claim->life.is_tombstone ? CLAIM_REMOVED : claim->life.state;

		if (weight_of(state) <= weight_of(holding->state) || claim->tenant.len > TENANT_MAX)
			continue;
		holding->state = state;
		memcpy(holding->tenant, claim->tenant.ptr, claim->tenant.len);
		holding->tenant[claim->tenant.len] = '\0';
	}
	return status;
}

/* Takes out what belongs to claims that are not in force. Entries of a domain lie side by side. */
static enum lookup keep_those_in_force(struct allowed *allowed, struct registry *registry)
{
	struct text domain = {0};
	struct holding holding = {0};
	size_t kept = 0;

	for (size_t i = 0; i < allowed->count; i++) {
		const struct allowed_entry *entry = &allowed->entries[i];

		if (!domain.ptr || !text_equal(domain, entry->domain)) {
			domain = entry->domain;
			if (find_holding(registry, domain, &holding) == LOOKUP_FAILED)
				return LOOKUP_FAILED;
		}
		if (claim_is_in_force(holding.state) &&
			text_equal(entry->tenant, text_of(holding.tenant)))
			allowed->entries[kept++] = *entry;
	}
	allowed->count = kept;
	return LOOKUP_FOUND;
}

bool allowed_collect(
	struct allowed *allowed, struct registry *registry, const struct allowed_question *question)
{
	struct collecting collecting = {allowed, question, false};
	bool good;

	if (!registry)
		return true;
	if (!registry_begin(registry)) {
		complain("%s", registry_error(registry));
		return false;
	}
	good = registry_scan_senders(registry, question->domain, TEXT(""), on_entry, &collecting) !=
		       LOOKUP_FAILED &&
	       !collecting.failed && keep_those_in_force(allowed, registry) != LOOKUP_FAILED;
	if (!good)
		complain("%s", collecting.failed ? "out of memory" : registry_error(registry));
	registry_end(registry);
	return good;
}

void allowed_free(struct allowed *allowed)
{
	arena_drop(&allowed->arena);
	free(allowed->entries);
}

bool allowed_is_about(
	const struct allowed_entry *entry, struct text local, struct text recipient_delimiter)
{
	size_t base = address_without_extension(local, recipient_delimiter);

	return entry->local.len == 0 || text_equal(entry->local, local) ||
	       text_equal(entry->local, text_head(local, base));
}

bool holding_read(struct holding *holding, struct registry *registry, struct text domain)
{
	bool good;

	*holding = (struct holding){0};
	if (!registry || domain.len == 0)
		return true;
	good = registry_begin(registry);
	if (good) {
		good = find_holding(registry, domain, holding) != LOOKUP_FAILED;
		registry_end(registry);
	}
	if (!good)
		complain("%s", registry_error(registry));
	return good;
}

bool allowed_holds(struct registry *registry, const struct settings *settings,
	const struct ownership_question *question, enum reason *why)
{
	struct ownership_fact fact = {.status = LOOKUP_ABSENT};

	if (settings->ownership == OWNERSHIP_NO || question->domain.len == 0)
		return true;
	if (registry && registry_begin(registry)) {
		registry_find(registry, question, &fact);
		registry_end(registry);
	} else if (registry) {
		fact.status = LOOKUP_FAILED;
	}
	return ownership_passes(settings->ownership, &fact, why);
}

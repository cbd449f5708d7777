/*
 * The claims of one domain: read, and between being read and written in one transaction, with their
 * places among those due.
 *
 * Knows no rules: whether a change may be is claim_step's.
 */
#include "policy/data/registry_private.h"

enum lookup registry_claims_get(struct registry *registry, struct text domain, struct text *payload)
{
	struct registry_key key;

	registry_key_of_domain(domain, &key);
	return registry_get(registry, DB_CLAIMS, registry_key_text(&key), payload);
}

static enum lookup decode_all(struct registry *registry, struct text domain, struct text payload,
	struct claim out[CLAIMS_PER_DOMAIN], size_t *count)
{
	struct claim claim;
	enum lookup status;

	while ((status = claim_decode(&payload, &claim)) == LOOKUP_FOUND) {
		if (*count == CLAIMS_PER_DOMAIN)
			return registry_fail_value(registry, domain, "claims (too many)");
		out[(*count)++] = claim;
	}
	if (status == LOOKUP_FAILED || *count == 0)
		return registry_fail_value(registry, domain, "claims");
	return LOOKUP_FOUND;
}

enum lookup registry_claims(struct registry *registry, struct text domain,
	struct claim out[CLAIMS_PER_DOMAIN], size_t *count)
{
	struct text payload;
	enum lookup status = registry_claims_get(registry, domain, &payload);

	*count = 0;
	return status == LOOKUP_FOUND ? decode_all(registry, domain, payload, out, count) : status;
}

enum lookup registry_claims_read(
	struct registry *registry, struct text domain, struct claims *claims)
{
	struct text payload;
	enum lookup status;

	claims->domain = domain;
	claims->count = 0;
	status = registry_claims_get(registry, domain, &payload);
	if (status != LOOKUP_FOUND)
		return status;
	if (payload.len > REGISTRY_VALUE_MAX)
		return registry_fail_value(registry, domain, "claims (too long)");
	/* The next write may move the page. */
	memcpy(registry->payload, payload.ptr, payload.len);
	payload.ptr = (const char *)registry->payload;
	return decode_all(registry, domain, payload, claims->items, &claims->count);
}

struct claim *registry_claims_find(struct claims *claims, struct text tenant)
{
	for (size_t i = 0; i < claims->count; i++)
		if (text_equal(claims->items[i].tenant, tenant))
			return &claims->items[i];
	return NULL;
}

const struct claim *registry_claims_in_force(const struct claims *claims, struct text other_than)
{
	for (size_t i = 0; i < claims->count; i++)
		if (claim_is_in_force(claims->items[i].life.state) &&
			!text_equal(claims->items[i].tenant, other_than))
			return &claims->items[i];
	return NULL;
}

enum err registry_claims_write(struct registry *registry, const struct claims *claims)
{
	struct registry_key key;
	size_t len = 0;

	registry_key_of_domain(claims->domain, &key);
	if (claims->count == 0)
		return registry_delete(registry, DB_CLAIMS, registry_key_text(&key));
	for (size_t i = 0; i < claims->count; i++) {
		size_t more = claim_encode(&claims->items[i], registry->value + SEAL_SIZE + len,
			REGISTRY_VALUE_MAX - SEAL_SIZE - len);

		if (more == 0)
			return registry_fail(registry, ERR_INVALID,
				"the claim of %.*s on %.*s does not fit",
				TEXT_ARG(claims->items[i].tenant), TEXT_ARG(claims->domain));
		len += more;
	}
	return registry_put(registry, DB_CLAIMS, registry_key_text(&key), len);
}

enum err registry_due_move(
	struct registry *registry, struct text domain, struct text tenant, int64_t from, int64_t to)
{
	struct registry_key key;
	enum err err = ERR_OK;

	if (from == to)
		return ERR_OK;
	if (from != 0) {
		registry_key_of_due(from, domain, tenant, &key);
		err = registry_delete(registry, DB_DUE, registry_key_text(&key));
	}
	if (err != ERR_OK || to == 0)
		return err;
	registry_key_of_due(to, domain, tenant, &key);
	return registry_put(registry, DB_DUE, registry_key_text(&key), 0);
}

/*
 * The audit lines: numbered without gaps, the newest AUDIT_KEEP of them kept.
 *
 * A line belongs to the transaction of what it tells. Knows nothing of what was done.
 */
#include "policy/data/registry_private.h"

static struct audit_entry clipped(const struct audit_entry *entry, uint64_t number)
{
	struct audit_entry out = *entry;

	out.number = number;
	out.actor = registry_clip(entry->actor, REGISTRY_ACTOR_MAX);
	out.action = registry_clip(entry->action, AUDIT_ACTION_MAX);
	out.domain = registry_clip(entry->domain, DOMAIN_MAX);
	out.tenant = registry_clip(entry->tenant, TENANT_MAX);
	out.before = registry_clip(entry->before, AUDIT_STATE_MAX);
	out.after = registry_clip(entry->after, AUDIT_STATE_MAX);
	out.detail = registry_clip(entry->detail, AUDIT_DETAIL_MAX);
	return out;
}

static enum err put_line(struct registry *registry, const struct audit_entry *entry)
{
	struct registry_key key;
	size_t len = audit_entry_encode(entry, registry->value + SEAL_SIZE, AUDIT_ENTRY_MAX);

	if (len == 0)
		return registry_fail(registry, ERR_INVALID,
			"an audit line is too long, or holds what it must not");
	registry_key_of_number(entry->number, &key);
	return registry_put(registry, DB_AUDIT, registry_key_text(&key), len);
}

static enum err trim(struct registry *registry, struct audit_range *range)
{
	enum err err = ERR_OK;

	for (int i = 0; i < AUDIT_TRIM && err == ERR_OK; i++) {
		struct registry_key key;

		if (range->last - range->first < AUDIT_KEEP)
			break;
		registry_key_of_number(range->first++, &key);
		err = registry_delete(registry, DB_AUDIT, registry_key_text(&key));
	}
	return err;
}

enum err registry_audit_put(struct registry *registry, const struct audit_entry *entry)
{
	struct audit_range range;
	struct audit_entry line;
	enum err err;

	if (registry_audit_range(registry, &range) != LOOKUP_FOUND)
		return ERR_DAMAGED;
	line = clipped(entry, ++range.last);
	err = put_line(registry, &line);
	if (err == ERR_OK)
		err = trim(registry, &range);
	return err == ERR_OK ? registry_audit_range_put(registry, &range) : err;
}

enum err registry_note(struct registry *registry, const struct audit_entry *entry)
{
	enum err err = registry_write_begin(registry);

	if (err != ERR_OK)
		return err;
	return registry_write_end(registry, registry_audit_put(registry, entry));
}

enum lookup registry_last_audit(struct registry *registry, uint64_t *out)
{
	struct audit_range range;
	enum lookup status = registry_audit_range(registry, &range);

	*out = status == LOOKUP_FOUND ? range.last : 0;
	return status;
}

/* One that is missing is FAILED: there are no gaps. */
static enum lookup get_line(struct registry *registry, uint64_t number, struct audit_entry *out)
{
	struct registry_key key;
	struct text payload;
	enum lookup status;

	registry_key_of_number(number, &key);
	status = registry_get(registry, DB_AUDIT, registry_key_text(&key), &payload);
	if (status == LOOKUP_FAILED)
		return status;
	if (status == LOOKUP_ABSENT || !audit_entry_decode(payload, out)) {
		(void)registry_fail(registry, ERR_DAMAGED,
			"audit line %llu is %s: stop policyd, move this folder away and restore a "
			"backup of it",
			(unsigned long long)number,
			status == LOOKUP_ABSENT ? "missing" : "damaged");
		return LOOKUP_FAILED;
	}
	out->number = number;
	return LOOKUP_FOUND;
}

enum lookup registry_scan_audit(struct registry *registry, uint64_t from, bool backwards,
	bool (*visit)(void *ctx, const struct audit_entry *entry), void *ctx)
{
	struct audit_range range;
	struct audit_entry entry;

	if (registry_audit_range(registry, &range) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	if (!backwards && from > range.first)
		range.first = from;
	while (range.first <= range.last) {
		uint64_t number = backwards ? range.last-- : range.first++;

		if (get_line(registry, number, &entry) == LOOKUP_FAILED)
			return LOOKUP_FAILED;
		if (!visit(ctx, &entry))
			break;
	}
	return LOOKUP_FOUND;
}

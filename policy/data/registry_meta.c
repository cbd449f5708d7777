/*
 * The meta records: which format the register has, which audit lines are there, how far they were
 * followed, what label and prefix its claims are proved with.
 *
 *   register   format(1)
 *   audit      first(8) last(8), little-endian; first > last: none
 *   follow     number(8)
 *   naming     label, 0, prefix
 *
 * The first three are made in one transaction before anything else, so one that is missing later is
 * damage; naming comes with the first keeper. Knows no claims.
 */
#include "policy/core/bytes.h"
#include "policy/data/registry_private.h"

#define KEY_HEAD   TEXT("register")
#define KEY_AUDIT  TEXT("audit")
#define KEY_FOLLOW TEXT("follow")
#define KEY_NAMING TEXT("naming")

static bool is_empty(struct registry *registry)
{
	struct store_stat stat;

	if (store_stat(registry->store, &stat) != ERR_OK)
		return false;
	for (unsigned db = 0; db < DBS_; db++)
		if (stat.entries[db] > 0)
			return false;
	return true;
}

enum lookup registry_meta_check(struct registry *registry, bool *is_other_format)
{
	struct text payload;
	uint8_t format;
	enum lookup status = registry_get(registry, DB_META, KEY_HEAD, &payload);

	if (status == LOOKUP_ABSENT)
		return is_empty(registry)
			       ? LOOKUP_ABSENT
			       : registry_fail_value(registry, KEY_HEAD, "meta record (missing)");
	if (status == LOOKUP_FAILED)
		return status;
	if (!take_byte(&payload, &format))
		return registry_fail_value(registry, KEY_HEAD, "meta record");
	if (format == REGISTRY_VERSION)
		return LOOKUP_FOUND;
	*is_other_format = true;
	(void)registry_fail(registry, ERR_VERSION,
		"the register has format %u, this program knows format %d: use the version of "
		"policyd that wrote it, or restore a backup",
		format, REGISTRY_VERSION);
	return LOOKUP_FAILED;
}

static enum err put_numbers(
	struct registry *registry, struct text key, const uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_le64(registry->value + SEAL_SIZE + 8 * i, numbers[i]);
	return registry_put(registry, DB_META, key, 8 * count);
}

/* One that is missing is FAILED. */
static enum lookup get_numbers(
	struct registry *registry, struct text key, uint64_t *numbers, size_t count)
{
	struct text payload;
	enum lookup status = registry_get(registry, DB_META, key, &payload);

	if (status == LOOKUP_FAILED)
		return status;
	if (status == LOOKUP_ABSENT || payload.len != 8 * count)
		return registry_fail_value(registry, key, "meta record");
	for (size_t i = 0; i < count; i++)
		numbers[i] = get_le64(payload.ptr + 8 * i);
	return LOOKUP_FOUND;
}

enum lookup registry_audit_range(struct registry *registry, struct audit_range *out)
{
	uint64_t numbers[2] = {0};
	enum lookup status = get_numbers(registry, KEY_AUDIT, numbers, 2);

	if (status != LOOKUP_FOUND)
		return status;
	*out = (struct audit_range){numbers[0], numbers[1]};
	return LOOKUP_FOUND;
}

enum err registry_audit_range_put(struct registry *registry, const struct audit_range *range)
{
	return put_numbers(registry, KEY_AUDIT, (uint64_t[]){range->first, range->last}, 2);
}

static enum err put_all(struct registry *registry)
{
	static const uint64_t none = 0;
	enum err err;

	registry->value[SEAL_SIZE] = REGISTRY_VERSION;
	err = registry_put(registry, DB_META, KEY_HEAD, 1);
	if (err == ERR_OK)
		err = registry_audit_range_put(registry, &(struct audit_range){1, 0});
	return err == ERR_OK ? put_numbers(registry, KEY_FOLLOW, &none, 1) : err;
}

/* Another process may have been faster. */
enum err registry_meta_init(struct registry *registry)
{
	bool is_other_format = false;
	enum err err = registry_write_begin(registry);

	if (err != ERR_OK)
		return err;
	switch (registry_meta_check(registry, &is_other_format)) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_ABSENT:
		err = registry->was_made ? registry_fail_absent(registry) : put_all(registry);
		break;
	case LOOKUP_FAILED:
		err = is_other_format ? ERR_VERSION : ERR_DAMAGED;
		break;
	}
	return registry_write_end(registry, err);
}

enum err registry_follow_get(struct registry *registry, uint64_t *number)
{
	enum lookup status;
	enum err err = registry_look(registry);

	*number = 0;
	if (err != ERR_OK)
		return err;
	status = get_numbers(registry, KEY_FOLLOW, number, 1);
	registry_end(registry);
	return status == LOOKUP_FOUND ? ERR_OK : ERR_DAMAGED;
}

enum err registry_follow_set(struct registry *registry, uint64_t number)
{
	enum err err = registry_write_begin(registry);

	if (err != ERR_OK)
		return err;
	return registry_write_end(registry, put_numbers(registry, KEY_FOLLOW, &number, 1));
}

enum lookup registry_numbers(struct registry *registry, struct registry_numbers *out)
{
	struct audit_range range;
	enum lookup status;

	*out = (struct registry_numbers){0};
	if (registry_look(registry) != ERR_OK)
		return LOOKUP_FAILED;
	status = registry_audit_range(registry, &range);
	registry_end(registry);
	if (status != LOOKUP_FOUND)
		return LOOKUP_FAILED;
	*out = (struct registry_numbers){store_last_change(registry->store), range.last};
	return LOOKUP_FOUND;
}

static bool naming_read(struct text payload, struct registry_naming *out)
{
	const char *end = payload.len > 0 ? memchr(payload.ptr, 0, payload.len) : NULL;
	size_t label_len = end ? (size_t)(end - payload.ptr) : 0, prefix_len;

	if (!end || label_len > DOMAIN_MAX || payload.len - label_len - 1 > REGISTRY_PREFIX_MAX)
		return false;
	prefix_len = payload.len - label_len - 1;
	*out = (struct registry_naming){0};
	memcpy(out->label, payload.ptr, label_len);
	memcpy(out->prefix, end + 1, prefix_len);
	return true;
}

enum lookup registry_naming_get(struct registry *registry, struct registry_naming *out)
{
	struct text payload;
	enum lookup status;

	if (registry_look(registry) != ERR_OK)
		return LOOKUP_FAILED;
	status = registry_get(registry, DB_META, KEY_NAMING, &payload);
	if (status == LOOKUP_FOUND && !naming_read(payload, out))
		status = registry_fail_value(registry, KEY_NAMING, "meta record");
	registry_end(registry);
	return status;
}

enum err registry_naming_set(struct registry *registry, struct text label, struct text prefix)
{
	char *payload = (char *)registry->value + SEAL_SIZE;
	enum err err = registry_write_begin(registry);

	if (err != ERR_OK)
		return err;
	label = text_head(label, label.len < DOMAIN_MAX ? label.len : DOMAIN_MAX);
	prefix = text_head(
		prefix, prefix.len < REGISTRY_PREFIX_MAX ? prefix.len : REGISTRY_PREFIX_MAX);
	memcpy(payload, label.ptr, label.len);
	payload[label.len] = 0;
	memcpy(payload + label.len + 1, prefix.ptr, prefix.len);
	return registry_write_end(
		registry, registry_put(registry, DB_META, KEY_NAMING, label.len + 1 + prefix.len));
}

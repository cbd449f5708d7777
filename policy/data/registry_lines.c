/*
 * The tenants table and the list of accounts: loaded whole or in part, looked up, listed.
 *
 * Knows how a line is stored, not what a login is. One load is one transaction.
 */
#include <stdio.h>

#include "policy/data/registry_private.h"

struct loader {
	struct registry *registry;
	const struct registry_lines *lines;
	struct registry_delta *delta;
	enum registry_db db;
	struct registry_key key;
};

static enum registry_db db_of(enum registry_list list)
{
	return list == REGISTRY_TENANTS ? DB_TENANTS : DB_ACCOUNTS;
}

static enum lookup get_line(struct registry *registry, enum registry_db db,
	struct registry_key *key, struct text login, struct text *value)
{
	struct text payload, of;
	enum lookup status;

	registry_key_of_login(login, key);
	status = registry_get(registry, db, registry_key_text(key), &payload);
	if (status == LOOKUP_FOUND && !list_entry_decode(payload, &of, value))
		return registry_fail_value(registry, registry_key_text(key), "line");
	/* A key may hold a hash. */
	return status == LOOKUP_FOUND && !text_equal(of, login) ? LOOKUP_ABSENT : status;
}

enum lookup registry_has_account(struct registry *registry, struct text login)
{
	struct registry_key key;
	struct text value;

	return get_line(registry, DB_ACCOUNTS, &key, login, &value);
}

enum lookup registry_scan_lines(struct registry *registry, enum registry_list list,
	bool (*visit)(void *ctx, struct text key, struct text value), void *ctx)
{
	struct registry_walk walk = {.registry = registry, .db = db_of(list)};
	enum lookup status;

	while ((status = registry_walk_next(&walk)) == LOOKUP_FOUND) {
		struct text login, value;

		if (!list_entry_decode(walk.payload, &login, &value))
			return registry_fail_value(registry, registry_key_text(&walk.key), "line");
		if (!visit(ctx, login, value))
			break;
	}
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

static enum err put_line(struct loader *loader, const struct registry_line *line)
{
	struct registry *registry = loader->registry;
	size_t len = list_entry_encode(line->key, line->value, registry->value + SEAL_SIZE,
		REGISTRY_VALUE_MAX - SEAL_SIZE);

	if (len == 0)
		return registry_fail(registry, ERR_INVALID, "line %zu is too long", line->line);
	return registry_put(registry, loader->db, registry_key_text(&loader->key), len);
}

static enum err put_one(struct loader *loader, const struct registry_line *line)
{
	struct registry_delta *delta = loader->delta;
	struct text value;

	switch (get_line(loader->registry, loader->db, &loader->key, line->key, &value)) {
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	case LOOKUP_ABSENT:
		delta->added++;
		break;
	case LOOKUP_FOUND:
		if (text_equal(value, line->value)) {
			delta->kept++;
			return ERR_OK;
		}
		delta->changed++;
		break;
	}
	/* A replacement counts first and writes then. */
	if (loader->lines->is_dry_run || loader->lines->how == REGISTRY_REPLACE)
		return ERR_OK;
	return put_line(loader, line);
}

static enum err delete_one(struct loader *loader, const struct registry_line *line)
{
	struct text value;

	switch (get_line(loader->registry, loader->db, &loader->key, line->key, &value)) {
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	case LOOKUP_ABSENT:
		loader->delta->missing++;
		return ERR_OK;
	case LOOKUP_FOUND:
		break;
	}
	loader->delta->removed++;
	if (loader->lines->is_dry_run)
		return ERR_OK;
	return registry_delete(loader->registry, loader->db, registry_key_text(&loader->key));
}

static enum err write_all(struct loader *loader)
{
	const struct registry_lines *lines = loader->lines;
	enum err err = registry_fail_store(
		loader->registry, store_empty(loader->registry->store, loader->db));

	for (size_t i = 0; i < lines->count && err == ERR_OK; i++) {
		registry_key_of_login(lines->lines[i].key, &loader->key);
		err = put_line(loader, &lines->lines[i]);
	}
	return err;
}

static enum err count_before(struct loader *loader)
{
	struct store_stat stat;
	enum err err =
		registry_fail_store(loader->registry, store_stat(loader->registry->store, &stat));

	loader->delta->before = err == ERR_OK ? stat.entries[loader->db] : 0;
	return err;
}

static enum err apply_lines(struct loader *loader)
{
	const struct registry_lines *lines = loader->lines;
	struct registry_delta *delta = loader->delta;
	enum err err = count_before(loader);

	for (size_t i = 0; i < lines->count && err == ERR_OK; i++)
		err = lines->how == REGISTRY_DELETE ? delete_one(loader, &lines->lines[i])
						    : put_one(loader, &lines->lines[i]);
	if (err != ERR_OK || lines->how != REGISTRY_REPLACE)
		return err;
	delta->removed = delta->before - delta->changed - delta->kept;
	if (lines->is_dry_run || delta->added + delta->changed + delta->removed == 0)
		return ERR_OK;
	return write_all(loader);
}

static enum err put_audit(struct loader *loader)
{
	const struct registry_lines *lines = loader->lines;
	const struct registry_delta *delta = loader->delta;
	char before[32], after[32], detail[128];

	snprintf(before, sizeof(before), "%llu", (unsigned long long)delta->before);
	snprintf(after, sizeof(after), "%llu",
		(unsigned long long)(delta->before + delta->added - delta->removed));
	snprintf(detail, sizeof(detail), "%llu added, %llu removed, %llu changed",
		(unsigned long long)delta->added, (unsigned long long)delta->removed,
		(unsigned long long)delta->changed);
	return registry_audit_put(loader->registry,
		&(struct audit_entry){
			.at = lines->now,
			.uid = lines->actor.uid,
			.actor = lines->actor.name,
			.action = lines->list == REGISTRY_TENANTS ? TEXT("load --tenants")
								  : TEXT("load --accounts"),
			.before = text_of(before),
			.after = text_of(after),
			.detail = text_of(detail),
		});
}

static enum err look_only(struct loader *loader)
{
	enum err err = registry_look(loader->registry);

	if (err != ERR_OK)
		return err;
	err = apply_lines(loader);
	registry_end(loader->registry);
	return err;
}

enum err registry_load_lines(
	struct registry *registry, const struct registry_lines *lines, struct registry_delta *delta)
{
	struct loader loader = {
		.registry = registry, .lines = lines, .delta = delta, .db = db_of(lines->list)};
	enum err err;

	memset(delta, 0, sizeof(*delta));
	if (lines->is_dry_run)
		return look_only(&loader);
	err = registry_write_begin(registry);
	if (err != ERR_OK)
		return err;
	err = apply_lines(&loader);
	if (err == ERR_OK)
		err = put_audit(&loader);
	return registry_write_end(registry, err);
}

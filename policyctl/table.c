/*
 * Opening the table, see table.h. Must not know what is done with it.
 */
#include "policyctl/table.h"

#include "policyctl/output.h"

static enum table_state open_handle(const struct config *config, bool is_writable,
	struct authz **out, char error[AUTHZ_ERROR_MAX])
{
	enum err err = authz_open(
		out, config->state_dir, config->table_max_mb, !is_writable, error, AUTHZ_ERROR_MAX);

	if (err != ERR_OK)
		*out = NULL;
	if (err == ERR_ABSENT)
		return TABLE_EMPTY;
	return err == ERR_OK ? TABLE_READY : TABLE_UNREADABLE;
}

enum table_state table_open(const struct config *config, bool is_writable, struct authz **out,
	char error[AUTHZ_ERROR_MAX])
{
	char scratch[AUTHZ_ERROR_MAX];
	enum err verified;
	enum table_state state;

	*out = NULL;
	error[0] = '\0';
	verified = authz_verify_in_child(config->state_dir, config->table_max_mb, -1, error);
	if (verified == ERR_DAMAGED && !is_writable)
		return TABLE_BROKEN;
	if (verified != ERR_OK && verified != ERR_ABSENT && verified != ERR_DAMAGED)
		return TABLE_UNREADABLE;
	state = open_handle(config, is_writable, out, verified == ERR_DAMAGED ? scratch : error);
	if (state != TABLE_READY)
		return verified == ERR_DAMAGED ? TABLE_BROKEN : state;
	if (verified == ERR_DAMAGED)
		return TABLE_BROKEN;
	return verified == ERR_ABSENT ? TABLE_EMPTY : TABLE_READY;
}

void table_close(struct authz *authz)
{
	if (authz)
		authz_close(authz);
}

struct authz *table_open_to_read(const struct config *config, bool *none)
{
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;
	enum table_state state = table_open(config, false, &authz, error);

	*none = state == TABLE_EMPTY;
	switch (state) {
	case TABLE_READY:
		return authz;
	case TABLE_EMPTY:
		complain("no table was ever loaded into %s; load one with `policyctl load FILE`",
			config->state_dir);
		break;
	case TABLE_BROKEN:
	case TABLE_UNREADABLE:
		complain("%s", error);
		break;
	}
	table_close(authz);
	return NULL;
}

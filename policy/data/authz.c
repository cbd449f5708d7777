/*
 * The handle of the authorization table: open, look begun and ended, scan, figures.
 *
 * Knows where the env lies and what its databases are called; rows are read by authz_cursor.c and
 * authz_find.c. Every failure leaves a sentence in authz_error() that names the folder and the
 * cure.
 */
#include "policy/data/authz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "policy/data/authz_private.h"

#define PATH_LEN 4096

const char *authz_error(const struct authz *authz)
{
	return authz->error;
}

enum err authz_fail_store(struct authz *authz, enum err err)
{
	if (err != ERR_OK)
		snprintf(authz->error, sizeof(authz->error), "%s", store_error(authz->store));
	return err;
}

enum err authz_report(char error[AUTHZ_ERROR_MAX], enum err err, const char *why)
{
	snprintf(error, AUTHZ_ERROR_MAX, "%s", why);
	return err;
}

/* Keys hold separators and hashes: what does not print becomes `.`. */
enum lookup authz_fail_row(struct authz *authz, struct text key, const char *what)
{
	char printable[129];
	size_t len = key.len < sizeof(printable) - 1 ? key.len : sizeof(printable) - 1;

	for (size_t i = 0; i < len; i++)
		printable[i] = key.ptr[i] > 32 && key.ptr[i] < 127 ? key.ptr[i] : '.';
	printable[len] = '\0';
	snprintf(authz->error, sizeof(authz->error),
		"%s/table: damaged %s, key \"%s\": load the table again, or `policyctl rollback`",
		authz->state_dir, what, printable);
	return LOOKUP_FAILED;
}

enum lookup authz_get(
	struct authz *authz, unsigned db, struct text key, struct text *payload, uint8_t *flags)
{
	struct text value;
	enum lookup status = store_get(authz->store, db, key, &value);

	if (status == LOOKUP_FAILED)
		authz_fail_store(authz, ERR_DAMAGED);
	if (status != LOOKUP_FOUND)
		return status;
	if (!row_value_open(key, value, payload, flags))
		return authz_fail_row(authz, key, "value (checksum)");
	return LOOKUP_FOUND;
}

static enum err make_dir(const char *path, char *error, size_t error_cap)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return ERR_OK;
	snprintf(error, error_cap, "%s: cannot make this folder: %s", path, strerror(errno));
	return errno == ENOSPC ? ERR_FULL : ERR_IO;
}

enum err authz_make_dirs(const char *state_dir, char *error, size_t error_cap)
{
	char path[PATH_LEN];
	enum err err = make_dir(state_dir, error, error_cap);

	if (err != ERR_OK)
		return err;
	snprintf(path, sizeof(path), "%s/table", state_dir);
	return make_dir(path, error, error_cap);
}

static enum err open_store(struct authz *authz, bool is_walk, char *error, size_t error_cap)
{
	char path[PATH_LEN];
	struct store_options options = {
		.dir = path,
		.map_bytes = (size_t)authz->map_mb << 20,
		.map_option = "table_max_mb",
		.dbs = {"meta", "gen0", "gen1", "undo"},
		.is_read_only = authz->is_read_only,
		.is_walk = is_walk,
	};
	enum err err = ERR_OK;

	snprintf(path, sizeof(path), "%s/table", authz->state_dir);
	if (!authz->is_read_only)
		err = authz_make_dirs(authz->state_dir, error, error_cap);
	return err != ERR_OK ? err : store_open(&authz->store, &options, error, error_cap);
}

/* A table of another format is refused at once: nothing may be written into it. */
static enum err check_meta(struct authz *authz, char *error, size_t error_cap)
{
	struct authz_meta meta;
	enum lookup status = authz_begin(authz, &meta);

	if (status != LOOKUP_FAILED) {
		authz_end(authz);
		return ERR_OK;
	}
	snprintf(error, error_cap, "%s", authz->error);
	return authz->is_other_format ? ERR_VERSION : ERR_DAMAGED;
}

static enum err open_handle(
	struct authz **out, struct authz options, bool is_walk, char *error, size_t error_cap)
{
	struct authz *authz = malloc(sizeof(*authz));
	enum err err = ERR_NOMEM;

	*out = NULL;
	snprintf(error, error_cap, "out of memory");
	if (!authz)
		return ERR_NOMEM;
	*authz = options;
	authz->state_dir = strdup(options.state_dir);
	if (authz->state_dir)
		err = open_store(authz, is_walk, error, error_cap);
	if (err == ERR_OK)
		err = check_meta(authz, error, error_cap);
	if (err == ERR_OK)
		*out = authz;
	else
		authz_close(authz);
	return err;
}

enum err authz_open(struct authz **out, const char *state_dir, unsigned map_mb, bool is_read_only,
	char *error, size_t error_cap)
{
	return open_handle(out,
		(struct authz){.state_dir = (char *)(uintptr_t)state_dir,
			.map_mb = map_mb,
			.is_read_only = is_read_only},
		false, error, error_cap);
}

enum err authz_open_walk(
	struct authz **out, const char *state_dir, unsigned map_mb, char *error, size_t error_cap)
{
	return open_handle(out,
		(struct authz){.state_dir = (char *)(uintptr_t)state_dir,
			.map_mb = map_mb,
			.is_read_only = true},
		true, error, error_cap);
}

void authz_close(struct authz *authz)
{
	if (!authz)
		return;
	store_close(authz->store);
	free(authz->state_dir);
	free(authz);
}

/* Equal change numbers mean equal contents: the record is read once a change, not once a decision.
 */
enum lookup authz_begin(struct authz *authz, struct authz_meta *meta)
{
	if (authz_fail_store(authz, store_read_begin(authz->store)) != ERR_OK)
		return LOOKUP_FAILED;
	if (!authz->has_meta || authz->meta_id != store_read_id(authz->store)) {
		authz->meta_status = authz_meta_read(authz, &authz->meta);
		authz->has_meta = authz->meta_status != LOOKUP_FAILED;
		authz->meta_id = store_read_id(authz->store);
	}
	*meta = authz->meta;
	if (authz->meta_status == LOOKUP_FAILED) {
		store_read_end(authz->store);
		return LOOKUP_FAILED;
	}
	return meta->is_loaded ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

void authz_end(struct authz *authz)
{
	store_read_end(authz->store);
}

enum lookup authz_scan(
	struct authz *authz, bool (*visit)(void *ctx, const struct pair *pair), void *ctx)
{
	struct row_cursor cursor = {.authz = authz, .db = authz_db_of(authz->meta.current)};
	struct pair pair;
	enum lookup status;

	while ((status = row_cursor_next(&cursor, &pair)) == LOOKUP_FOUND)
		if (!visit(ctx, &pair))
			break;
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

enum err authz_stat(
	struct authz *authz, uint64_t *used_bytes, uint64_t *map_bytes, unsigned *readers)
{
	struct store_stat stat;
	enum err err = authz_fail_store(authz, store_stat(authz->store, &stat));

	*used_bytes = stat.used_bytes;
	*map_bytes = stat.map_bytes;
	*readers = stat.readers;
	return err;
}

int authz_reader_check(struct authz *authz)
{
	return store_reader_check(authz->store);
}

/*
 * The handle of the ownership register: open, look begun and ended, values got and put.
 *
 * Knows where the env lies, what its databases are called and that each value is sealed; what
 * stands in them is known to the other registry_*.c. Every failure leaves a sentence in
 * registry_error() that names the folder and the cure.
 */
#include "policy/data/registry.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/data/registry_private.h"

#define PRINTED_KEY_MAX 96
#define CURE            REGISTRY_CURE
#define MARK            "register.made"

const char *registry_error(const struct registry *registry)
{
	return registry->error;
}

enum err registry_fail(struct registry *registry, enum err err, const char *format, ...)
{
	int len = snprintf(
		registry->error, sizeof(registry->error), "%s/register: ", registry->state_dir);
	size_t used = len > 0 && (size_t)len < sizeof(registry->error) ? (size_t)len : 0;
	va_list args;

	va_start(args, format);
	vsnprintf(registry->error + used, sizeof(registry->error) - used, format, args);
	va_end(args);
	return err;
}

/* The store's own cures are those of the table, which can be loaded again. */
enum err registry_fail_store(struct registry *registry, enum err err)
{
	switch (err) {
	case ERR_OK:
		return ERR_OK;
	case ERR_DAMAGED:
		return registry_fail(registry, err, "data.mdb is damaged: " CURE);
	case ERR_VERSION:
		return registry_fail(registry, err,
			"data.mdb is no database of this LMDB: probably written by another LMDB "
			"release, else damaged: use the release that wrote it, or " CURE);
	case ERR_NOMEM:
	case ERR_IO:
	case ERR_FULL:
	case ERR_BUSY:
	case ERR_INVALID:
	case ERR_ABSENT:
		break;
	}
	snprintf(registry->error, sizeof(registry->error), "%s", store_error(registry->store));
	return err;
}

/* Keys hold separators and hashes: what does not print becomes `.`. */
enum lookup registry_fail_value(struct registry *registry, struct text key, const char *what)
{
	char printable[PRINTED_KEY_MAX + 1];
	size_t len = key.len < PRINTED_KEY_MAX ? key.len : PRINTED_KEY_MAX;

	for (size_t i = 0; i < len; i++)
		printable[i] = key.ptr[i] > 32 && key.ptr[i] < 127 ? key.ptr[i] : '.';
	printable[len] = '\0';
	(void)registry_fail(
		registry, ERR_DAMAGED, "damaged %s, key \"%s\": " CURE, what, printable);
	return LOOKUP_FAILED;
}

struct text registry_clip(struct text text, size_t max)
{
	size_t len = text.len < max ? text.len : max;

	while (len > 0 && len < text.len && ((uint8_t)text.ptr[len] & 0xc0) == 0x80)
		len--;
	return text_head(text, len);
}

static enum lookup open_value(
	struct registry *registry, struct text key, struct text value, struct text *payload)
{
	uint8_t flags;

	if (!seal_open(REGISTRY_VERSION, key, value, payload, &flags) || flags != 0)
		return registry_fail_value(registry, key, "value (checksum)");
	return LOOKUP_FOUND;
}

enum lookup registry_get(
	struct registry *registry, enum registry_db db, struct text key, struct text *payload)
{
	struct text value;
	enum lookup status = store_get(registry->store, db, key, &value);

	if (status == LOOKUP_FAILED)
		(void)registry_fail_store(registry, ERR_DAMAGED);
	return status == LOOKUP_FOUND ? open_value(registry, key, value, payload) : status;
}

enum err registry_put(
	struct registry *registry, enum registry_db db, struct text key, size_t payload_len)
{
	struct text value = {(const char *)registry->value, SEAL_SIZE + payload_len};

	seal_close(REGISTRY_VERSION, 0, key, registry->value, payload_len);
	return registry_fail_store(registry, store_put(registry->store, db, key, value));
}

enum err registry_delete(struct registry *registry, enum registry_db db, struct text key)
{
	enum err err = store_delete(registry->store, db, key);

	if (err == ERR_ABSENT) {
		(void)registry_fail_value(registry, key, "database (entry missing)");
		return ERR_DAMAGED;
	}
	return registry_fail_store(registry, err);
}

static int compare_keys(struct text a, struct text b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* A step from the key itself, not from where a cursor may be by now. */
static enum lookup step(struct registry_walk *walk, struct text *key, struct text *value)
{
	struct store *store = walk->registry->store;
	struct text from = registry_key_text(&walk->key);
	enum lookup status;

	*key = from;
	status = store_seek(store, walk->db, key, value);
	if (status == LOOKUP_FOUND && walk->has_begun && text_equal(*key, from))
		status = store_next(store, walk->db, key, value);
	walk->has_begun = true;
	return status;
}

enum lookup registry_walk_next(struct registry_walk *walk)
{
	bool has_begun = walk->has_begun;
	struct text key, value;
	enum lookup status = step(walk, &key, &value);
	int order;

	if (status == LOOKUP_FAILED)
		(void)registry_fail_store(walk->registry, ERR_DAMAGED);
	if (status != LOOKUP_FOUND)
		return status;
	order = compare_keys(key, registry_key_text(&walk->key));
	if (key.len > sizeof(walk->key.bytes) || order < 0 || (has_begun && order == 0))
		return registry_fail_value(walk->registry, key, "order of keys");
	memcpy(walk->key.bytes, key.ptr, key.len);
	walk->key.len = key.len;
	return open_value(walk->registry, key, value, &walk->payload);
}

enum lookup registry_walk_under(struct registry_walk *walk, const struct registry_key *prefix)
{
	enum lookup status;

	if (!walk->has_begun)
		walk->key = *prefix;
	status = registry_walk_next(walk);
	if (status == LOOKUP_FOUND &&
		(walk->key.len < prefix->len ||
			memcmp(walk->key.bytes, prefix->bytes, prefix->len) != 0))
		return LOOKUP_ABSENT;
	return status;
}

/* 1: made now, 0: was there, -1: errno. */
static int make_dir(const char *path)
{
	if (mkdir(path, 0700) == 0)
		return 1;
	return errno == EEXIST ? 0 : -1;
}

/* A name in a folder is durable once the folder is. */
static bool sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_done = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return is_done;
}

static enum err make_dirs(struct registry *registry, const char *path)
{
	if (make_dir(registry->state_dir) < 0 || make_dir(path) < 0)
		return registry_fail(registry, errno == ENOSPC ? ERR_FULL : ERR_IO,
			"cannot make this folder: %s", strerror(errno));
	return ERR_OK;
}

static void mark_path(const char *state_dir, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/" MARK, state_dir);
}

bool registry_was_made(const char *state_dir)
{
	char path[PATH_MAX];
	struct stat file;

	mark_path(state_dir, path);
	return lstat(path, &file) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static bool mark_made(const struct registry *registry)
{
	char path[PATH_MAX];
	int fd;

	mark_path(registry->state_dir, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* A register that was there and is not is never an empty one: claims would be forgotten. */
enum err registry_fail_absent(struct registry *registry)
{
	if (!registry->was_made)
		return registry_fail(registry, ERR_ABSENT, "no register was made here yet");
	return registry_fail(registry, ERR_DAMAGED,
		"the register that was here is gone, or empty: stop policyd and put a backup of "
		"this "
		"folder back; or, to begin with an empty one, without any claim, remove %s/" MARK,
		registry->state_dir);
}

static bool has_file(const char *path)
{
	char name[PATH_MAX];
	struct stat file;
	int len = snprintf(name, sizeof(name), "%s/data.mdb", path);

	if (len < 0 || (size_t)len >= sizeof(name))
		return false;
	return stat(name, &file) == 0 ? file.st_size > 0 : errno != ENOENT && errno != ENOTDIR;
}

static enum err open_store(struct registry *registry)
{
	char path[PATH_MAX], error[REGISTRY_ERROR_MAX] = "";
	struct store_options options = {
		.dir = path,
		.map_bytes = (size_t)registry->map_mb << 20,
		.map_option = "register_max_mb",
		.dbs = {"meta", "claims", "senders", "due", "tenants", "accounts", "audit"},
		.is_read_only = registry->is_read_only,
		.is_walk = registry->is_walk,
	};
	enum err err = ERR_OK;

	snprintf(path, sizeof(path), "%s/register", registry->state_dir);
	if (registry->was_made && !has_file(path))
		return registry_fail_absent(registry);
	if (!registry->is_read_only)
		err = make_dirs(registry, path);
	if (err != ERR_OK)
		return err;
	err = store_open(&registry->store, &options, error, sizeof(error));
	if (err == ERR_DAMAGED || err == ERR_VERSION)
		return registry_fail_store(registry, err);
	if (err == ERR_ABSENT)
		return registry_fail_absent(registry);
	if (err != ERR_OK)
		snprintf(registry->error, sizeof(registry->error), "%s", error);
	return err;
}

/* A file whose databases were made and nothing else is no register yet. */
static enum err check_meta(struct registry *registry)
{
	bool is_other_format = false;
	enum lookup status;
	enum err err = registry_look(registry);

	if (err != ERR_OK)
		return err;
	status = registry_meta_check(registry, &is_other_format);
	registry_end(registry);
	switch (status) {
	case LOOKUP_FOUND:
		return ERR_OK;
	case LOOKUP_FAILED:
		return is_other_format ? ERR_VERSION : ERR_DAMAGED;
	case LOOKUP_ABSENT:
		break;
	}
	return registry_fail_absent(registry);
}

static enum err make_register(struct registry *registry)
{
	char path[PATH_MAX];
	enum err err = registry_meta_init(registry);

	snprintf(path, sizeof(path), "%s/register", registry->state_dir);
	if (err == ERR_OK && !mark_made(registry))
		err = registry_fail(registry, errno == ENOSPC ? ERR_FULL : ERR_IO,
			"cannot make %s/" MARK ": %s", registry->state_dir, strerror(errno));
	if (err == ERR_OK && (!sync_dir(path) || !sync_dir(registry->state_dir)))
		err = registry_fail(
			registry, ERR_IO, "cannot sync this folder: %s", strerror(errno));
	return err;
}

/* Without memory or random bytes none are kept: it is only slower. */
static void make_memory(struct registry *registry)
{
	struct siphash_key *key = &registry->absent_key;

	if (getrandom(key, sizeof(*key), GRND_NONBLOCK) != (ssize_t)sizeof(*key))
		return;
	registry->absent = calloc(ABSENT_SLOTS, sizeof(*registry->absent));
	registry->tenants = calloc(TENANT_SLOTS, sizeof(*registry->tenants));
	registry->claims = calloc(CLAIM_SLOTS, sizeof(*registry->claims));
}

static enum err open_all(struct registry *registry)
{
	enum err err;

	if (registry->is_read_only)
		make_memory(registry);
	if (!registry->is_read_only) {
		registry->value = malloc(REGISTRY_VALUE_MAX);
		registry->payload = malloc(REGISTRY_VALUE_MAX);
		if (!registry->value || !registry->payload)
			return registry_fail(registry, ERR_NOMEM, "out of memory");
	}
	/* Before the look: another process may be making it now. */
	registry->was_made = registry_was_made(registry->state_dir);
	err = open_store(registry);
	if (err == ERR_OK)
		err = check_meta(registry);
	if (err == ERR_ABSENT && !registry->is_read_only)
		return make_register(registry);
	/* Of a process that ended in between. Where it cannot be, the next one tries. */
	if (err == ERR_OK && !registry->is_read_only && !registry->was_made)
		(void)mark_made(registry);
	return err;
}

static enum err open_handle(struct registry **out, struct registry options, char *error)
{
	struct registry *registry = malloc(sizeof(*registry));
	enum err err = ERR_NOMEM;

	*out = NULL;
	snprintf(error, REGISTRY_ERROR_MAX, "out of memory");
	if (!registry)
		return ERR_NOMEM;
	*registry = options;
	registry->state_dir = strdup(options.state_dir);
	if (registry->state_dir)
		err = open_all(registry);
	if (err == ERR_OK) {
		*out = registry;
		return ERR_OK;
	}
	if (registry->error[0])
		snprintf(error, REGISTRY_ERROR_MAX, "%s", registry->error);
	registry_close(registry);
	return err;
}

enum err registry_open(struct registry **out, const char *state_dir, unsigned map_mb,
	bool is_read_only, char *error)
{
	return open_handle(out,
		(struct registry){.state_dir = (char *)(uintptr_t)state_dir,
			.map_mb = map_mb,
			.is_read_only = is_read_only},
		error);
}

enum err registry_open_walk(
	struct registry **out, const char *state_dir, unsigned map_mb, char *error)
{
	return open_handle(out,
		(struct registry){.state_dir = (char *)(uintptr_t)state_dir,
			.map_mb = map_mb,
			.is_read_only = true,
			.is_walk = true},
		error);
}

void registry_close(struct registry *registry)
{
	if (!registry)
		return;
	store_close(registry->store);
	free(registry->absent);
	free(registry->tenants);
	free(registry->claims);
	free(registry->value);
	free(registry->payload);
	free(registry->state_dir);
	free(registry);
}

enum err registry_look(struct registry *registry)
{
	enum err err;

	assert(!registry->is_reading);
	err = registry_fail_store(registry, store_read_begin(registry->store));
	registry->is_reading = err == ERR_OK;
	return err;
}

bool registry_begin(struct registry *registry)
{
	return registry_look(registry) == ERR_OK;
}

void registry_end(struct registry *registry)
{
	store_read_end(registry->store);
	registry->is_reading = false;
}

enum err registry_write_begin(struct registry *registry)
{
	assert(!registry->is_read_only && !registry->is_reading);
	return registry_fail_store(registry, store_write_begin(registry->store));
}

enum err registry_write_end(struct registry *registry, enum err err)
{
	if (err == ERR_OK)
		return registry_fail_store(registry, store_write_commit(registry->store));
	store_write_abort(registry->store);
	return err;
}

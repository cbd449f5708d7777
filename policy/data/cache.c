/*
 * The DNS cache over store.h: two databases in one environment.
 *
 *   entries   name -> end(8), then what cache_codec.h draws
 *   ends      end(8) name -> nothing: which entry ended longest ago
 *
 * `end` is the moment in milliseconds, big-endian, at which an answer stops being fresh. Must not
 * know what records mean or who asks. Every failure is an empty cache: a get finds nothing, a put
 * is lost; only a flush reports it. Once LMDB calls the file damaged this handle stays empty, and
 * the next process that is alone with the folder starts anew.
 */
#include "policy/data/cache.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/data/cache_folder.h"
#include "policy/data/store.h"

#define DB_ENTRIES 0
#define DB_ENDS    1
#define END_LEN    8

/* While there is too much, each put takes out twice what it brings in, in bytes and in entries, as
 * far as EVICTIONS_MAX allows: every one may copy a page, and pages get free only late. */
#define EVICTIONS_MIN  2
#define EVICTIONS_MAX  16
#define ROOM_SHARE     512
#define VERIFY_LIMIT_S 5 /* longer means that damaged pages lead in a circle */

struct cache {
	struct store *store;
	struct cache_folder folder;
	char *dir;
	uint64_t live_max;   /* bytes of pages with rows; the rest is for copies on write */
	uint64_t unmeasured; /* bytes that may still be put before they are counted again */
	uint64_t evicted;
	bool is_broken;
	uint8_t value[END_LEN + CACHE_ENTRY_MAX];
};

struct end_key {
	char bytes[END_LEN + DNS_NAME_MAX];
	size_t len;
};

int64_t cache_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct text key_text(const struct end_key *key)
{
	return (struct text){key->bytes, key->len};
}

static void end_key_of(const char *end, struct text name, struct end_key *out)
{
	memcpy(out->bytes, end, END_LEN);
	memcpy(out->bytes + END_LEN, name.ptr, name.len);
	out->len = END_LEN + name.len;
}

static void put_end(const struct cache_entry *entry, uint8_t *out)
{
	uint64_t end_ms = (uint64_t)entry->stored_ms + (uint64_t)entry->lifetime_s * 1000;

	for (unsigned i = 0; i < END_LEN; i++)
		out[i] = (uint8_t)(end_ms >> (8 * (END_LEN - 1 - i)));
}

static bool is_name(struct text name)
{
	return name.len > 0 && name.len <= DNS_NAME_MAX;
}

static enum lookup decode(
	const uint8_t boot_id[16], struct text name, struct text value, struct cache_entry *entry)
{
	if (value.len < END_LEN)
		return LOOKUP_FAILED;
	return cache_entry_decode(name, text_tail(value, END_LEN), boot_id, entry);
}

/* Every row once. In a child of its own: a page that is not there ends that alone. */
static bool verify(const struct store_options *options, const uint8_t boot_id[16])
{
	struct store_options walk = *options;
	struct text key = {NULL, 0}, value;
	struct cache_entry entry;
	struct store *store;
	enum lookup status;

	walk.is_walk = true;
	if (store_open(&store, &walk, NULL, 0) != ERR_OK || store_read_begin(store) != ERR_OK)
		return false;
	status = store_seek(store, DB_ENTRIES, &key, &value);
	while (status == LOOKUP_FOUND && decode(boot_id, key, value, &entry) == LOOKUP_FOUND)
		status = store_next(store, DB_ENTRIES, &key, &value);
	return status == LOOKUP_ABSENT;
}

static void die_of_signals(void)
{
	static const int deadly[] = {SIGBUS, SIGSEGV, SIGABRT, SIGALRM};
	static const struct rlimit no_core = {0, 0};
	sigset_t none;

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		(void)signal(deadly[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	alarm(VERIFY_LIMIT_S);
}

static bool verify_in_child(const struct store_options *options, const uint8_t boot_id[16])
{
	pid_t child = fork();
	pid_t ended;
	int status = 0;

	if (child == 0) {
		die_of_signals();
		_exit(verify(options, boot_id) ? 0 : 1);
	}
	do
		ended = child > 0 ? waitpid(child, &status, 0) : -1;
	while (child > 0 && ended < 0 && errno == EINTR);
	return ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static enum err open_reserved(
	struct cache *cache, const struct store_options *options, char *error, size_t error_cap)
{
	if (cache->folder.is_alone && cache_folder_reserve(&cache->folder) != ERR_OK) {
		snprintf(error, error_cap,
			"%s: there is no room for the DNS cache, or it cannot be written",
			cache->dir);
		return ERR_IO;
	}
	return store_open(&cache->store, options, error, error_cap);
}

static enum err open_store(struct cache *cache, unsigned max_mb, char *error, size_t error_cap)
{
	struct store_options options = {.dir = cache->dir,
		.map_bytes = (size_t)max_mb << 20,
		.dbs = {"entries", "ends"},
		.map_option = "cache_max_mb",
		.is_disposable = true};
	const struct cache_folder *folder = &cache->folder;
	enum err err;

	if (folder->is_alone && cache_folder_has_files(folder) &&
		!verify_in_child(&options, folder->boot_id))
		cache_folder_remove_files(folder);
	err = open_reserved(cache, &options, error, error_cap);
	if (err != ERR_OK && err != ERR_NOMEM && folder->is_alone) {
		cache_folder_remove_files(folder);
		err = open_reserved(cache, &options, error, error_cap);
	}
	return err == ERR_OK || err == ERR_NOMEM ? err : ERR_IO;
}

enum err cache_open(
	struct cache **out, const char *dir, unsigned max_mb, char *error, size_t error_cap)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	enum err err = ERR_NOMEM;

	*out = NULL;
	snprintf(error, error_cap, "out of memory");
	if (!cache)
		return ERR_NOMEM;
	cache->folder.mark = -1;
	cache->live_max = ((uint64_t)max_mb << 20) / 4 * 3;
	cache->dir = strdup(dir);
	if (!cache->dir)
		goto out;
	err = cache_folder_take(&cache->folder, cache->dir, error, error_cap);
	if (err != ERR_OK)
		goto out;
	err = open_store(cache, max_mb, error, error_cap);
out:
	if (err != ERR_OK) {
		cache_close(cache);
		return err;
	}
	cache_folder_share(&cache->folder);
	*out = cache;
	return ERR_OK;
}

void cache_close(struct cache *cache)
{
	if (!cache)
		return;
	store_close(cache->store);
	cache_folder_release(&cache->folder);
	free(cache->dir);
	free(cache);
}

static void break_off(struct cache *cache)
{
	cache->is_broken = true;
	cache_folder_distrust(&cache->folder);
}

enum lookup cache_get(struct cache *cache, struct text name, struct cache_entry *entry)
{
	enum lookup status;
	struct text value;

	if (!cache || cache->is_broken || !is_name(name) ||
		store_read_begin(cache->store) != ERR_OK)
		return LOOKUP_ABSENT;
	status = store_get(cache->store, DB_ENTRIES, name, &value);
	if (status == LOOKUP_FAILED)
		break_off(cache);
	if (status == LOOKUP_FOUND)
		status = decode(cache->folder.boot_id, name, value, entry);
	store_read_end(cache->store);
	return status == LOOKUP_FOUND ? LOOKUP_FOUND : LOOKUP_ABSENT;
}

static enum err absent_is_fine(enum err err)
{
	return err == ERR_ABSENT ? ERR_OK : err;
}

/* Takes the name's place in the order of ends, where it has one. */
static enum err delete_end(struct cache *cache, struct text name)
{
	struct end_key key;
	struct text old;

	switch (store_get(cache->store, DB_ENTRIES, name, &old)) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_ABSENT:
		return ERR_OK;
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	}
	if (old.len < END_LEN)
		return ERR_OK;
	end_key_of(old.ptr, name, &key);
	return absent_is_fine(store_delete(cache->store, DB_ENDS, key_text(&key)));
}

/* The entry behind one place in the order, unless it has another place by now. */
static enum err evict_entry(struct cache *cache, const struct end_key *key, size_t *bytes)
{
	struct text name = text_tail(key_text(key), END_LEN);
	struct text value;

	switch (store_get(cache->store, DB_ENTRIES, name, &value)) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_ABSENT:
		return ERR_OK;
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	}
	if (value.len < END_LEN || memcmp(value.ptr, key->bytes, END_LEN) != 0)
		return ERR_OK;
	*bytes += value.len;
	cache->evicted++;
	return store_delete(cache->store, DB_ENTRIES, name);
}

/* What ended longest ago. ERR_ABSENT: nothing is left. */
static enum err evict_first(struct cache *cache, size_t *bytes)
{
	struct text found = {NULL, 0}, value;
	struct end_key key;
	enum err err;

	switch (store_seek(cache->store, DB_ENDS, &found, &value)) {
	case LOOKUP_FOUND:
		break;
	case LOOKUP_ABSENT:
		return ERR_ABSENT;
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	}
	if (found.len <= END_LEN || found.len > sizeof(key.bytes))
		return ERR_DAMAGED;
	end_key_of(found.ptr, text_tail(found, END_LEN), &key);
	err = evict_entry(cache, &key, bytes);
	return err == ERR_OK ? store_delete(cache->store, DB_ENDS, key_text(&key)) : err;
}

static enum err evict(struct cache *cache, size_t bytes_wanted)
{
	enum err err = ERR_OK;
	size_t bytes = 0;

	for (int i = 0; i < EVICTIONS_MAX && err == ERR_OK; i++) {
		if (i >= EVICTIONS_MIN && bytes >= bytes_wanted)
			break;
		err = evict_first(cache, &bytes);
	}
	return absent_is_fine(err);
}

/* Counting costs a tenth of a put, so it is done again only when a part of the room that was left
 * is used up: small enough for pages half full, and for many workers that put at once. */
static enum err trim(struct cache *cache, size_t bytes_put)
{
	struct store_stat stat;
	enum err err;

	if (cache->unmeasured > bytes_put) {
		cache->unmeasured -= bytes_put;
		return ERR_OK;
	}
	cache->unmeasured = 0;
	err = store_stat(cache->store, &stat);
	if (err != ERR_OK)
		return err;
	if (stat.live_bytes > cache->live_max)
		return evict(cache, 2 * bytes_put);
	cache->unmeasured = (cache->live_max - stat.live_bytes) / ROOM_SHARE;
	return ERR_OK;
}

/* Ends the transaction that is open: committed when all went well so far. */
static enum err finish(struct cache *cache, enum err err)
{
	if (err == ERR_OK)
		return store_write_commit(cache->store);
	store_write_abort(cache->store);
	return err;
}

/* value begins with its end. */
static enum err put_value(struct cache *cache, struct text name, struct text value)
{
	struct end_key key;
	enum err err = store_write_begin(cache->store);

	if (err != ERR_OK)
		return err;
	end_key_of(value.ptr, name, &key);
	err = delete_end(cache, name);
	if (err == ERR_OK)
		err = store_put(cache->store, DB_ENTRIES, name, value);
	if (err == ERR_OK)
		err = store_put(cache->store, DB_ENDS, key_text(&key), TEXT(""));
	if (err == ERR_OK)
		err = trim(cache, value.len);
	return finish(cache, err);
}

static enum err flush_one(struct cache *cache, struct text name, uint64_t *removed)
{
	enum err err = delete_end(cache, name);

	if (err == ERR_OK)
		err = store_delete(cache->store, DB_ENTRIES, name);
	*removed = err == ERR_OK;
	return absent_is_fine(err);
}

static enum err flush_all(struct cache *cache, uint64_t *removed)
{
	struct store_stat stat;
	enum err err = store_stat(cache->store, &stat);

	*removed = stat.entries[DB_ENTRIES];
	if (err == ERR_OK)
		err = store_empty(cache->store, DB_ENTRIES);
	if (err == ERR_OK)
		err = store_empty(cache->store, DB_ENDS);
	return err;
}

static enum err empty(struct cache *cache)
{
	uint64_t removed;
	enum err err = store_write_begin(cache->store);

	return err == ERR_OK ? finish(cache, flush_all(cache, &removed)) : err;
}

/* The map or the disk is full. Readers that died may hold pages; where they do not, eviction has no
 * room for its copies either, so all goes, and the bound becomes what the file could grow to. */
static enum err put_without_room(struct cache *cache, struct text name, struct text value)
{
	struct store_stat stat;
	enum err err = ERR_FULL;

	if (store_reader_check(cache->store) > 0)
		err = put_value(cache, name, value);
	if (err != ERR_FULL)
		return err;
	err = store_stat(cache->store, &stat);
	if (err == ERR_OK)
		err = empty(cache);
	if (err != ERR_OK)
		return err;
	if (stat.file_bytes / 4 * 3 < cache->live_max)
		cache->live_max = stat.file_bytes / 4 * 3;
	cache->unmeasured = 0;
	return put_value(cache, name, value);
}

void cache_put(struct cache *cache, struct text name, const struct cache_entry *entry)
{
	struct text value;
	size_t len;
	enum err err;

	if (!cache || cache->is_broken || !is_name(name))
		return;
	len = cache_entry_encode(
		entry, name, cache->folder.boot_id, cache->value + END_LEN, CACHE_ENTRY_MAX);
	if (len == 0)
		return;
	put_end(entry, cache->value);
	value = (struct text){(const char *)cache->value, END_LEN + len};
	err = put_value(cache, name, value);
	if (err == ERR_FULL)
		err = put_without_room(cache, name, value);
	if (err == ERR_DAMAGED)
		break_off(cache);
}

enum err cache_flush(struct cache *cache, struct text name, uint64_t *removed)
{
	enum err err;

	*removed = 0;
	if (!cache)
		return ERR_ABSENT;
	if (cache->is_broken)
		return ERR_DAMAGED;
	if (name.len > DNS_NAME_MAX)
		return ERR_OK;
	err = store_write_begin(cache->store);
	if (err != ERR_OK)
		return err;
	err = name.len > 0 ? flush_one(cache, name, removed) : flush_all(cache, removed);
	err = finish(cache, err);
	if (err != ERR_OK)
		*removed = 0;
	return err;
}

static void count_entry(const struct cache_entry *entry, int64_t now_ms,
	const struct cache_rules *rules, struct cache_stat *out)
{
	enum freshness freshness = cache_entry_freshness(entry, now_ms, rules);

	switch (entry->answer.status) {
	case LOOKUP_FOUND:
		out->found++;
		break;
	case LOOKUP_ABSENT:
		out->absent++;
		break;
	case LOOKUP_FAILED:
		out->failed++;
		break;
	}
	if (freshness == STALE || freshness == STALE_TRIED)
		out->stale++;
}

static enum err count_entries(
	struct cache *cache, const struct cache_rules *rules, struct cache_stat *out)
{
	struct text key = {NULL, 0}, value;
	enum lookup status = store_seek(cache->store, DB_ENTRIES, &key, &value);
	int64_t now_ms = cache_now_ms();
	struct cache_entry entry;

	for (; status == LOOKUP_FOUND;
		status = store_next(cache->store, DB_ENTRIES, &key, &value)) {
		out->entries++;
		if (decode(cache->folder.boot_id, key, value, &entry) == LOOKUP_FOUND)
			count_entry(&entry, now_ms, rules, out);
	}
	return status == LOOKUP_ABSENT ? ERR_OK : ERR_DAMAGED;
}

enum err cache_stat(struct cache *cache, const struct cache_rules *rules, struct cache_stat *out)
{
	struct store_stat stat;
	enum err err;

	*out = (struct cache_stat){0};
	if (!cache)
		return ERR_ABSENT;
	err = store_read_begin(cache->store);
	if (err != ERR_OK)
		return err;
	err = store_stat(cache->store, &stat);
	if (err == ERR_OK)
		err = count_entries(cache, rules, out);
	store_read_end(cache->store);
	out->used_bytes = stat.live_bytes;
	out->max_bytes = stat.map_bytes;
	out->evicted = cache->evicted;
	return err;
}

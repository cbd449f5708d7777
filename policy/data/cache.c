/*
 * The DNS cache over store.h: opening it, reading it. What changes it is cache_write.c; the two
 * databases are drawn in cache_private.h.
 *
 * Must not know what records mean or who asks. Every failure is an empty cache: a get finds
 * nothing. Once LMDB calls the file damaged this handle stays empty, and the next process that is
 * alone with the folder starts anew.
 */
#include "policy/data/cache_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VERIFY_LIMIT_S 5 /* longer means that damaged pages lead in a circle */

int64_t cache_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
	cache->recent = cache_recent_new();
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
	cache_settle(cache);
	store_close(cache->store);
	cache_folder_release(&cache->folder);
	cache_recent_free(cache->recent);
	free(cache->dir);
	free(cache);
}

void cache_break_off(struct cache *cache)
{
	cache->is_broken = true;
	cache_folder_distrust(&cache->folder);
}

/* Bytes that were checked when they came here. */
static enum lookup read_own(struct text value, struct cache_entry *entry)
{
	return cache_entry_read(text_tail(value, END_LEN), entry);
}

/* Equal ends and checksums: equal values, and the row's was checked. */
static bool is_same(const struct recent_row *row, struct text value)
{
	struct text kept = recent_row_value(row);

	return kept.len == value.len && kept.len >= VALUE_HEAD_LEN &&
	       memcmp(kept.ptr, value.ptr, VALUE_HEAD_LEN) == 0;
}

static enum lookup read_stored(struct cache *cache, struct text name, struct text value,
	struct recent_row *row, struct cache_entry *entry)
{
	uint64_t change = store_read_id(cache->store);
	enum lookup status;

	if (row && is_same(row, value)) {
		row->change = change;
		return read_own(recent_row_value(row), entry);
	}
	status = decode(cache->folder.boot_id, name, value, entry);
	if (status == LOOKUP_FOUND)
		cache_recent_keep(cache->recent, name, value, change);
	return status;
}

static enum lookup get_stored(
	struct cache *cache, struct text name, struct recent_row *row, struct cache_entry *entry)
{
	enum lookup status;
	struct text value;

	if (store_read_begin(cache->store) != ERR_OK)
		return LOOKUP_ABSENT;
	status = store_get(cache->store, DB_ENTRIES, name, &value);
	if (status == LOOKUP_FAILED)
		cache_break_off(cache);
	if (status == LOOKUP_FOUND)
		status = read_stored(cache, name, value, row, entry);
	store_read_end(cache->store);
	return status;
}

/* What was put and not written yet comes first, then what was read since the last change. */
enum lookup cache_get(struct cache *cache, struct text name, struct cache_entry *entry)
{
	struct recent_row *row;
	enum lookup status;
	struct text value;

	if (!cache || cache->is_broken || !cache_is_name(name))
		return LOOKUP_ABSENT;
	row = cache_recent_find(cache->recent, name);
	if (cache->pending.count > 0 && cache_find_pending(cache, name, &value))
		status = read_own(value, entry);
	else if (row && row->change == store_last_change(cache->store))
		status = read_own(recent_row_value(row), entry);
	else
		status = get_stored(cache, name, row, entry);
	return status == LOOKUP_FOUND ? LOOKUP_FOUND : LOOKUP_ABSENT;
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
	cache_settle(cache);
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

/*
 * Putting into the DNS cache, taking out of it, keeping it within its bounds.
 *
 * Must not know what records mean or who asks. A put is kept in this process until it is settled:
 * all that are kept then go into one transaction, which is begun and ended in one call, so nobody
 * waits for a lock that an idle process holds. Every failure loses puts and nothing else; only a
 * flush reports it.
 */
#include "policy/data/cache_private.h"

/* While there is too much, each put takes out twice what it brings in, in bytes and in entries, as
 * far as EVICTIONS_MAX allows: every one may copy a page, and pages get free only late. */
#define EVICTIONS_MIN 2
#define EVICTIONS_MAX 16
#define ROOM_SHARE    512

struct end_key {
	char bytes[END_LEN + DNS_NAME_MAX];
	size_t len;
};

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

static enum err put_one(struct cache *cache, const struct pending_put *put)
{
	struct end_key key;
	enum err err;

	end_key_of(put->value.ptr, put->name, &key);
	err = delete_end(cache, put->name);
	if (err == ERR_OK)
		err = store_put(cache->store, DB_ENTRIES, put->name, put->value);
	if (err == ERR_OK)
		err = store_put(cache->store, DB_ENDS, key_text(&key), TEXT(""));
	return err == ERR_OK ? trim(cache, put->value.len) : err;
}

/* All of them in one transaction, or none. */
static enum err put_all(struct cache *cache, const struct pending_put *puts, size_t count)
{
	uint64_t evicted = cache->evicted;
	enum err err = store_write_begin(cache->store);

	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = put_one(cache, &puts[i]);
	err = finish(cache, err);
	if (err != ERR_OK)
		cache->evicted = evicted;
	return err;
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
static enum err put_without_room(struct cache *cache, const struct pending_put *put)
{
	struct store_stat stat;
	enum err err = ERR_FULL;

	if (store_reader_check(cache->store) > 0)
		err = put_all(cache, put, 1);
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
	return put_all(cache, put, 1);
}

/* Many at once need more pages for copies than one: there may be room for each alone. */
static enum err put_each(struct cache *cache, const struct pending_put *puts, size_t count)
{
	enum err err = ERR_FULL;

	for (size_t i = 0; i < count; i++) {
		err = count > 1 ? put_all(cache, &puts[i], 1) : ERR_FULL;
		if (err == ERR_FULL)
			err = put_without_room(cache, &puts[i]);
		if (err == ERR_DAMAGED)
			break;
	}
	return err;
}

void cache_settle(struct cache *cache)
{
	struct cache_pending *pending;
	enum err err = ERR_OK;

	if (!cache || cache->pending.count == 0)
		return;
	pending = &cache->pending;
	if (!cache->is_broken)
		err = put_all(cache, pending->puts, pending->count);
	if (err == ERR_FULL)
		err = put_each(cache, pending->puts, pending->count);
	if (err == ERR_DAMAGED)
		cache_break_off(cache);
	pending->count = 0;
	pending->used = 0;
}

void cache_batch(struct cache *cache, bool is_on)
{
	if (!cache)
		return;
	cache->is_batching = is_on;
	if (!is_on)
		cache_settle(cache);
}

bool cache_find_pending(const struct cache *cache, struct text name, struct text *value)
{
	const struct cache_pending *pending = &cache->pending;

	for (size_t i = pending->count; i > 0; i--) {
		if (!text_equal(pending->puts[i - 1].name, name))
			continue;
		*value = pending->puts[i - 1].value;
		return true;
	}
	return false;
}

/* There is room for it. */
static void add_pending(struct cache *cache, struct text name, const struct cache_entry *entry)
{
	struct cache_pending *pending = &cache->pending;
	uint8_t *at = pending->bytes + pending->used;
	uint8_t *value = at + name.len;
	size_t len = cache_entry_encode(
		entry, name, cache->folder.boot_id, value + END_LEN, CACHE_ENTRY_MAX);

	if (len == 0)
		return;
	memcpy(at, name.ptr, name.len);
	put_end(entry, value);
	len += END_LEN;
	pending->puts[pending->count++] = (struct pending_put){
		.name = {(const char *)at, name.len}, .value = {(const char *)value, len}};
	pending->used += name.len + len;
}

void cache_put(struct cache *cache, struct text name, const struct cache_entry *entry)
{
	if (!cache || cache->is_broken || !cache_is_name(name))
		return;
	if (cache->pending.used + PUT_MAX > PENDING_BYTES)
		cache_settle(cache);
	add_pending(cache, name, entry);
	if (!cache->is_batching || cache->pending.count == CACHE_BATCH_MAX)
		cache_settle(cache);
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
	cache_settle(cache);
	err = store_write_begin(cache->store);
	if (err != ERR_OK)
		return err;
	err = name.len > 0 ? flush_one(cache, name, removed) : flush_all(cache, removed);
	err = finish(cache, err);
	if (err != ERR_OK)
		*removed = 0;
	return err;
}

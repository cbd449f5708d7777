/*
 * Table pairs in memory: an arena of packed records and an index that is sorted.
 *
 * Knows patterns and owners, no file format and no LMDB. Fails with ERR_NOMEM only. Ten million
 * pairs are expected: a record keeps no text twice, and the sort looks at records in passes instead
 * of at random.
 */
#include "policy/data/pairs.h"

#include <stdlib.h>

#include "policy/core/bytes.h"

#define CHUNK_SIZE  ((size_t)1 << 20)
#define INDEX_FIRST 1024

/*
 * A record: flags(1) line(4) row key, member part, pattern, [owner], [expires], [comment]. Row key
 * and member part stand side by side behind their two lengths, so that the member key is one text.
 */
#define RECORD_OWNER_IS_KEY                                                                        \
	0x01u /* the owner as typed is the member part without its two first bytes */
#define RECORD_EXPIRES    0x02u
#define RECORD_DATE       0x04u
#define RECORD_COMMENT    0x08u
#define RECORD_KIND_SHIFT 4
#define RECORD_MAX        (2 * ROW_KEY_MAX + ROW_ENTRY_MAX + 64)
#define MEMBER_MARK_LEN   2

/* Seven bytes of the key at some depth and, below them, how many of these there are (8: more
 * follow). */
struct item {
	uint64_t word;
	const uint8_t *record;
};

struct chunk {
	struct chunk *before;
	uint8_t bytes[];
};

struct pairs {
	struct chunk *chunks;
	size_t chunk_used, chunk_size;
	struct item *items;
	size_t count, cap;
};

enum err pairs_new(struct pairs **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? ERR_OK : ERR_NOMEM;
}

void pairs_free(struct pairs *pairs)
{
	if (!pairs)
		return;
	while (pairs->chunks) {
		struct chunk *before = pairs->chunks->before;

		free(pairs->chunks);
		pairs->chunks = before;
	}
	free(pairs->items);
	free(pairs);
}

static uint8_t *arena_take(struct pairs *pairs, size_t len)
{
	uint8_t *bytes;

	if (pairs->chunk_size - pairs->chunk_used < len) {
		struct chunk *chunk = malloc(sizeof(*chunk) + CHUNK_SIZE);

		if (!chunk)
			return NULL;
		chunk->before = pairs->chunks;
		pairs->chunks = chunk;
		pairs->chunk_size = CHUNK_SIZE;
		pairs->chunk_used = 0;
	}
	bytes = pairs->chunks->bytes + pairs->chunk_used;
	pairs->chunk_used += len;
	return bytes;
}

static bool index_reserve(struct pairs *pairs)
{
	size_t cap = pairs->cap ? pairs->cap + pairs->cap / 2 : INDEX_FIRST;
	struct item *items;

	if (pairs->count < pairs->cap)
		return true;
	items = realloc(pairs->items, cap * sizeof(*items));
	if (!items)
		return false;
	pairs->items = items;
	pairs->cap = cap;
	return true;
}

static unsigned record_flags(
	enum pattern_kind kind, bool is_owner_key, const struct row_entry *entry)
{
	unsigned flags = (unsigned)kind << RECORD_KIND_SHIFT;

	if (is_owner_key)
		flags |= RECORD_OWNER_IS_KEY;
	if (entry->expires.until != 0)
		flags |= RECORD_EXPIRES;
	if (entry->expires.is_date)
		flags |= RECORD_DATE;
	if (entry->comment.len > 0)
		flags |= RECORD_COMMENT;
	return flags;
}

static size_t record_write(uint8_t *out, unsigned flags, uint32_t line,
	const struct row_entry *entry, const struct row_key *key, size_t row_len)
{
	uint8_t *at = out;

	*at++ = (uint8_t)flags;
	memcpy(at, &line, sizeof(line));
	at += sizeof(line);
	at += put_varint(at, row_len);
	at += put_varint(at, key->len - row_len);
	memcpy(at, key->bytes, key->len);
	at += key->len;
	at += put_text(at, entry->pattern);
	if (!(flags & RECORD_OWNER_IS_KEY))
		at += put_text(at, entry->owner);
	if (flags & RECORD_EXPIRES) {
		put_le64(at, (uint64_t)entry->expires.until);
		at += 8;
	}
	if (flags & RECORD_COMMENT)
		at += put_text(at, entry->comment);
	return (size_t)(at - out);
}

enum err pairs_add(struct pairs *pairs, const struct pattern *pattern, const struct owner *owner,
	const struct row_entry *entry, uint32_t line)
{
	uint8_t record[RECORD_MAX];
	struct row_key key;
	struct text part;
	size_t row_len, len;
	uint8_t *bytes;

	row_key_of(pattern->kind, pattern->domain, pattern->local, &key);
	row_len = key.len;
	row_key_add_member(&key, owner->key);
	part = (struct text){(const char *)key.bytes + row_len + MEMBER_MARK_LEN,
		key.len - row_len - MEMBER_MARK_LEN};
	len = record_write(record,
		record_flags(pattern->kind, text_equal(part, entry->owner), entry), line, entry,
		&key, row_len);
	bytes = index_reserve(pairs) ? arena_take(pairs, len) : NULL;
	if (!bytes)
		return ERR_NOMEM;
	memcpy(bytes, record, len);
	pairs->items[pairs->count++] = (struct item){0, bytes};
	return ERR_OK;
}

/* The arena holds what record_write wrote: lengths need no check. */
static size_t read_varint(const uint8_t **at)
{
	size_t value = 0;

	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
}

static struct text read_bytes(const uint8_t **at, size_t len)
{
	struct text text = {(const char *)*at, len};

	*at += len;
	return text;
}

static struct text read_text(const uint8_t **at)
{
	size_t len = read_varint(at);

	return read_bytes(at, len);
}

static void record_read(const uint8_t *record, struct pair *out)
{
	const uint8_t *at = record;
	unsigned flags = *at++;
	size_t row_len, part_len;

	memset(out, 0, sizeof(*out));
	memcpy(&out->line, at, sizeof(out->line));
	at += sizeof(out->line);
	row_len = read_varint(&at);
	part_len = read_varint(&at);
	out->kind = (enum pattern_kind)(flags >> RECORD_KIND_SHIFT);
	out->member_key = read_bytes(&at, row_len + part_len);
	out->row_key = text_head(out->member_key, row_len);
	out->entry.pattern = read_text(&at);
	if (flags & RECORD_OWNER_IS_KEY)
		out->entry.owner = text_tail(out->member_key, row_len + MEMBER_MARK_LEN);
	else
		out->entry.owner = read_text(&at);
	out->entry.expires.is_date = flags & RECORD_DATE;
	if (flags & RECORD_EXPIRES)
		out->entry.expires.until = (int64_t)get_le64(read_bytes(&at, 8).ptr);
	if (flags & RECORD_COMMENT)
		out->entry.comment = read_text(&at);
}

size_t pairs_count(const struct pairs *pairs)
{
	return pairs->count;
}

void pairs_at(const struct pairs *pairs, size_t index, struct pair *out)
{
	record_read(pairs->items[index].record, out);
}

static int text_compare(struct text a, struct text b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int pair_compare(const struct pair *a, const struct pair *b)
{
	int order = text_compare(a->member_key, b->member_key);

	if (order == 0)
		order = text_compare(a->entry.pattern, b->entry.pattern);
	return order != 0 ? order : text_compare(a->entry.owner, b->entry.owner);
}

static int compare_records(const void *a, const void *b)
{
	struct pair x, y;
	int order;

	record_read(((const struct item *)a)->record, &x);
	record_read(((const struct item *)b)->record, &y);
	order = pair_compare(&x, &y);
	return order != 0 ? order : (x.line > y.line) - (x.line < y.line);
}

static int compare_words(const void *a, const void *b)
{
	uint64_t x = ((const struct item *)a)->word, y = ((const struct item *)b)->word;

	return (x > y) - (x < y);
}

#define WORD_BYTES         7
#define WORD_GOES_ON(word) (((word)&0xff) > WORD_BYTES)

static uint64_t word_at(const uint8_t *record, size_t depth)
{
	const uint8_t *at = record + 1 + sizeof(uint32_t);
	size_t row_len = read_varint(&at);
	size_t left = row_len + read_varint(&at);
	uint64_t word = 0;

	at += depth;
	left -= depth;
	for (size_t i = 0; i < WORD_BYTES; i++)
		word = word << 8 | (i < left ? at[i] : 0);
	return word << 8 | (left > WORD_BYTES ? WORD_BYTES + 1 : left);
}

static void swap_items(struct item *a, struct item *b)
{
	struct item held = *a;

	*a = *b;
	*b = held;
}

#define RUN_SMALL 16

static void sort_words_small(struct item *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = i; j > 0 && items[j - 1].word > items[j].word; j--)
			swap_items(&items[j - 1], &items[j]);
}

static uint64_t middle(uint64_t a, uint64_t b, uint64_t c)
{
	if (a > b) {
		uint64_t held = a;

		a = b;
		b = held;
	}
	return c <= a ? a : c >= b ? b : c;
}

static uint64_t pivot_of(const struct item *items, size_t count)
{
	size_t step = count / 9;
	uint64_t thirds[3];

	for (size_t i = 0; i < 3; i++) {
		const struct item *three = items + 3 * i * step;

		thirds[i] = middle(three[0].word, three[step].word, three[2 * step].word);
	}
	return middle(thirds[0], thirds[1], thirds[2]);
}

/* Quicksort in three parts; `budget` partitions, then the library's sort, which has no bad case. */
static void sort_words(struct item *items, size_t count, unsigned budget)
{
	while (count > RUN_SMALL) {
		uint64_t pivot = pivot_of(items, count);
		size_t below = 0, at = 0, above = count;

		if (budget-- == 0) {
			qsort(items, count, sizeof(*items), compare_words);
			return;
		}
		while (at < above) {
			if (items[at].word < pivot)
				swap_items(&items[below++], &items[at++]);
			else if (items[at].word > pivot)
				swap_items(&items[at], &items[--above]);
			else
				at++;
		}
		if (below < count - above) {
			sort_words(items, below, budget);
			items += above;
			count -= above;
		} else {
			sort_words(items + above, count - above, budget);
			count = below;
		}
	}
	sort_words_small(items, count);
}

/* All keys of items agree before `depth`. Each level reads every record once, in one pass that the
 * memory can keep up with, and compares words it holds in the index. */
static void sort_range(struct item *items, size_t count, size_t depth)
{
	unsigned budget = 0;

	if (count <= RUN_SMALL) {
		qsort(items, count, sizeof(*items), compare_records);
		return;
	}
	for (size_t i = 0; i < count; i++)
		items[i].word = word_at(items[i].record, depth);
	for (size_t n = count; n > 0; n >>= 1)
		budget += 2;
	sort_words(items, count, budget);
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from + 1; to < count && items[to].word == items[from].word; to++)
			;
		if (to - from > 1 && WORD_GOES_ON(items[from].word))
			sort_range(items + from, to - from, depth + WORD_BYTES);
		else if (to - from > 1)
			qsort(items + from, to - from, sizeof(*items), compare_records);
	}
}

static bool is_sorted(const struct pairs *pairs)
{
	for (size_t i = 1; i < pairs->count; i++)
		if (compare_records(&pairs->items[i - 1], &pairs->items[i]) > 0)
			return false;
	return true;
}

enum err pairs_sort(struct pairs *pairs)
{
	if (!is_sorted(pairs))
		sort_range(pairs->items, pairs->count, 0);
	return ERR_OK;
}

static bool is_conflict(const struct row_entry *a, const struct row_entry *b)
{
	return a->expires.until != b->expires.until || a->expires.is_date != b->expires.is_date ||
	       !text_equal(a->comment, b->comment);
}

size_t pairs_unique(struct pairs *pairs,
	void (*on_conflict)(void *ctx, const struct pair *first, const struct pair *other),
	void *ctx)
{
	size_t kept = 0, before = pairs->count;
	struct pair first, other;

	for (size_t i = 0; i < before; i++) {
		pairs_at(pairs, i, &other);
		if (kept > 0 && pair_compare(&first, &other) == 0) {
			if (on_conflict && is_conflict(&first.entry, &other.entry))
				on_conflict(ctx, &first, &other);
			continue;
		}
		pairs->items[kept++] = pairs->items[i];
		first = other;
	}
	pairs->count = kept;
	return before - kept;
}

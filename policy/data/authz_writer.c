/*
 * Rows as stored: inline where they are short, spilled into members where they are not.
 *
 * Knows the bytes through authz_codec, not what changes or why. Fails with ERR_NOMEM or what the
 * store says; the caller aborts its transaction then.
 */
#include <stdlib.h>

#include "policy/core/bytes.h"
#include "policy/data/authz_private.h"

#define SLICE_VALUES                                                                               \
	5000 /* a commit so often: no other writer or reader waits long (library-facts) */

bool byte_buffer_reserve(struct byte_buffer *buffer, size_t more)
{
	size_t cap = buffer->cap ? buffer->cap : ROW_INLINE_MAX;
	uint8_t *ptr;

	if (buffer->cap - buffer->len >= more)
		return true;
	while (cap - buffer->len < more)
		cap *= 2;
	ptr = realloc(buffer->ptr, cap);
	if (!ptr)
		return false;
	buffer->ptr = ptr;
	buffer->cap = cap;
	return true;
}

bool byte_buffer_set(struct byte_buffer *buffer, struct text bytes)
{
	buffer->len = 0;
	if (!byte_buffer_reserve(buffer, bytes.len + 1))
		return false;
	if (bytes.len > 0)
		memcpy(buffer->ptr, bytes.ptr, bytes.len);
	buffer->len = bytes.len;
	return true;
}

bool byte_buffer_add_entry(
	struct byte_buffer *buffer, const struct row_entry *entry, const struct row_entry *previous)
{
	size_t len;

	if (!byte_buffer_reserve(buffer, ROW_ENTRY_MAX))
		return false;
	len = row_entry_encode(entry, previous, buffer->ptr + buffer->len, ROW_ENTRY_MAX);
	buffer->len += len;
	return len > 0;
}

bool entry_list_add(struct entry_list *list, const struct row_entry *entry)
{
	size_t cap = list->cap ? list->cap * 2 : 16;
	struct row_entry *items;

	if (list->count == list->cap) {
		items = realloc(list->items, cap * sizeof(*items));
		if (!items)
			return false;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = *entry;
	return true;
}

static void extend(struct expires *expires, struct expires other)
{
	if (expires->until != 0 && (other.until == 0 || other.until > expires->until))
		*expires = other;
}

static bool is_same_summary(const struct row_entry *a, const struct row_entry *b)
{
	return text_equal(a->owner, b->owner) && text_equal(a->pattern, b->pattern);
}

/* Nearly every row has one pattern as typed, so the last two items nearly always hold it already.
 */
bool spill_summary_add(struct entry_list *summary, const struct row_entry *entry)
{
	struct row_entry item = {
		.pattern = entry->pattern,
		.owner = entry->owner.ptr[0] == '!' ? TEXT("!*") : TEXT("*"),
		.expires = {.until = entry->expires.until},
	};

	for (size_t i = summary->count; i > 0 && i + 2 > summary->count; i--) {
		if (is_same_summary(&summary->items[i - 1], &item)) {
			extend(&summary->items[i - 1].expires, item.expires);
			return true;
		}
	}
	return entry_list_add(summary, &item);
}

static int compare_texts(struct text a, struct text b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_summaries(const void *a, const void *b)
{
	const struct row_entry *x = a, *y = b;
	int order = compare_texts(x->pattern, y->pattern);

	return order != 0 ? order : compare_texts(x->owner, y->owner);
}

static void sort_summary(struct entry_list *summary)
{
	size_t kept = 0;

	qsort(summary->items, summary->count, sizeof(*summary->items), compare_summaries);
	for (size_t i = 0; i < summary->count; i++) {
		struct row_entry *item = &summary->items[i];

		if (kept > 0 && is_same_summary(&summary->items[kept - 1], item))
			extend(&summary->items[kept - 1].expires, item->expires);
		else
			summary->items[kept++] = *item;
	}
	summary->count = kept;
}

bool spill_summary_encode(struct entry_list *summary, uint64_t count, struct byte_buffer *out)
{
	out->len = 0;
	if (!byte_buffer_reserve(out, ROW_HEADER_SIZE + VARINT_MAX))
		return false;
	out->len = ROW_HEADER_SIZE;
	out->len += spilled_count_encode(count, out->ptr + out->len, VARINT_MAX);
	sort_summary(summary);
	for (size_t i = 0; i < summary->count; i++)
		if (!byte_buffer_add_entry(
			    out, &summary->items[i], i > 0 ? &summary->items[i - 1] : NULL))
			return false;
	return true;
}

static enum err end_slice(struct row_writer *writer)
{
	struct authz *authz = writer->authz;
	enum err err;

	if (!writer->is_append || ++writer->in_slice < SLICE_VALUES)
		return ERR_OK;
	writer->in_slice = 0;
	err = authz_fail_store(authz, store_write_commit(authz->store));
	return err != ERR_OK ? err : authz_fail_store(authz, store_write_begin(authz->store));
}

static enum err put_bytes(struct row_writer *writer, struct text key, struct text value)
{
	struct authz *authz = writer->authz;
	enum err err = writer->is_append ? store_append(authz->store, writer->db, key, value)
					 : store_put(authz->store, writer->db, key, value);

	return err != ERR_OK ? authz_fail_store(authz, err) : end_slice(writer);
}

enum err row_writer_put_value(struct row_writer *writer, struct text key, uint8_t flags)
{
	struct byte_buffer *value = &writer->value;

	row_value_seal(key, flags, value->ptr, value->len - ROW_HEADER_SIZE);
	return put_bytes(writer, key, (struct text){(const char *)value->ptr, value->len});
}

static enum err fail_memory(struct row_writer *writer)
{
	return authz_report(writer->authz->error, ERR_NOMEM, "out of memory");
}

enum err row_writer_put_member(struct row_writer *writer, struct text member_key,
	const struct row_entry *entries, size_t count)
{
	struct byte_buffer *value = &writer->value;

	value->len = 0;
	if (!byte_buffer_reserve(value, ROW_HEADER_SIZE))
		return fail_memory(writer);
	value->len = ROW_HEADER_SIZE;
	for (size_t i = 0; i < count; i++)
		if (!byte_buffer_add_entry(value, &entries[i], i > 0 ? &entries[i - 1] : NULL))
			return fail_memory(writer);
	return row_writer_put_value(writer, member_key, 0);
}

enum err row_writer_put_domain(
	struct row_writer *writer, struct text domain_key, const struct domain_counts *counts)
{
	uint8_t value[ROW_HEADER_SIZE + 4 * VARINT_MAX];
	size_t len = domain_counts_encode(
		counts, value + ROW_HEADER_SIZE, sizeof(value) - ROW_HEADER_SIZE);

	row_value_seal(domain_key, 0, value, len);
	return put_bytes(
		writer, domain_key, (struct text){(const char *)value, ROW_HEADER_SIZE + len});
}

static bool encode_inline(
	const struct entry_list *entries, uint8_t value[ROW_INLINE_MAX], size_t *len)
{
	*len = ROW_HEADER_SIZE;
	for (size_t i = 0; i < entries->count; i++) {
		size_t added = row_entry_encode(&entries->items[i],
			i > 0 ? &entries->items[i - 1] : NULL, value + *len, ROW_INLINE_MAX - *len);

		if (added == 0)
			return false;
		*len += added;
	}
	return true;
}

static enum err put_spilled_row(
	struct row_writer *writer, struct text row_key, const struct entry_list *entries)
{
	writer->summary.count = 0;
	for (size_t i = 0; i < entries->count; i++)
		if (!spill_summary_add(&writer->summary, &entries->items[i]))
			return fail_memory(writer);
	if (!spill_summary_encode(&writer->summary, entries->count, &writer->value))
		return fail_memory(writer);
	return row_writer_put_value(writer, row_key, ROW_FLAG_SPILLED);
}

static enum err put_members(
	struct row_writer *writer, struct text row_key, const struct entry_list *entries)
{
	struct row_key keys[2];
	size_t from = 0;
	enum err err = ERR_OK;

	for (size_t i = 0; i < entries->count; i++) {
		struct row_key *key = &keys[i % 2], *before = &keys[(i + 1) % 2];

		if (!authz_member_key(row_key, entries->items[i].owner, key))
			return authz_report(
				writer->authz->error, ERR_INVALID, "an owner that does not parse");
		if (i > 0 && !text_equal(row_key_text(key), row_key_text(before))) {
			err = row_writer_put_member(
				writer, row_key_text(before), entries->items + from, i - from);
			from = i;
		}
		if (err == ERR_OK && i + 1 == entries->count)
			err = row_writer_put_member(
				writer, row_key_text(key), entries->items + from, i + 1 - from);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

enum err row_writer_put(
	struct row_writer *writer, struct text row_key, const struct entry_list *entries)
{
	uint8_t value[ROW_INLINE_MAX];
	size_t len;
	enum err err;

	if (encode_inline(entries, value, &len)) {
		row_value_seal(row_key, 0, value, len - ROW_HEADER_SIZE);
		return put_bytes(writer, row_key, (struct text){(const char *)value, len});
	}
	err = put_spilled_row(writer, row_key, entries);
	return err != ERR_OK ? err : put_members(writer, row_key, entries);
}

void row_writer_deinit(struct row_writer *writer)
{
	free(writer->value.ptr);
	free(writer->summary.items);
}

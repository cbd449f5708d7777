/*
 * Encoder and decoder of the authorization table's bytes, drawn in authz_codec.h.
 *
 * Pure; knows neither LMDB nor what a row decides. Encoders trust their caller's bounds
 * (pattern_parse, owner_parse), decoders trust nothing: whatever no encoder writes is refused.
 */
#include "policy/core/authz_codec.h"

#include "policy/core/bytes.h"
#include "policy/core/siphash.h"

#define LOCAL_KEY_MAX  180
#define OWNER_PART_MAX 48
#define HASH_MARK      0xff /* begins no UTF-8 text */
#define HASH_PART_LEN  17
#define KIND_RECORD    1

#define ENTRY_PATTERN 1u
#define ENTRY_EXPIRES 2u
#define ENTRY_DATE    4u
#define ENTRY_COMMENT 8u

static const struct siphash_key text_key = {0x706f6c6963796420ULL, 0x6c6f6e6720746578ULL};
static const struct siphash_key digest_key = {0x706f6c6963796420ULL, 0x7461626c65206467ULL};

static void key_add_byte(struct row_key *key, uint8_t byte)
{
	key->bytes[key->len++] = byte;
}

static void key_add_text(struct row_key *key, struct text text, size_t max)
{
	if (text.len > max) {
		key_add_byte(key, HASH_MARK);
		siphash128(&text_key, text.ptr, text.len, key->bytes + key->len);
		key->len += HASH_PART_LEN - 1;
	} else if (text.len > 0) {
		memcpy(key->bytes + key->len, text.ptr, text.len);
		key->len += text.len;
	}
}

void row_key_of_kind(enum pattern_kind kind, struct text domain, struct row_key *out)
{
	out->len = 0;
	key_add_text(out, domain, DOMAIN_MAX);
	key_add_byte(out, 0);
	key_add_byte(out, (uint8_t)kind);
}

void row_key_of(enum pattern_kind kind, struct text domain, struct text local, struct row_key *out)
{
	row_key_of_kind(kind, domain, out);
	key_add_text(out, local, LOCAL_KEY_MAX);
}

void row_key_of_domain(struct text domain, struct row_key *out)
{
	out->len = 0;
	key_add_text(out, domain, DOMAIN_MAX);
	key_add_byte(out, 0);
	key_add_byte(out, KIND_RECORD);
}

void row_key_add_member(struct row_key *key, struct text owner_key)
{
	key_add_byte(key, 0);
	key_add_byte(key, 1);
	key_add_text(key, owner_key, OWNER_PART_MAX);
}

bool row_key_is_hashed(struct text domain, struct text local)
{
	return domain.len > DOMAIN_MAX || local.len > LOCAL_KEY_MAX;
}

/* Length of the text or hash that `rest` begins with: it ends at a NUL or with `rest`. */
static size_t part_len(struct text rest)
{
	if (rest.len >= HASH_PART_LEN && (uint8_t)rest.ptr[0] == HASH_MARK)
		return HASH_PART_LEN;
	return text_find(rest, '\0');
}

size_t row_key_domain_len(struct text key)
{
	return part_len(key);
}

static bool is_kind(uint8_t byte)
{
	return byte >= PATTERN_DOMAIN && byte <= PATTERN_EXACT;
}

enum row_class row_key_class(const uint8_t *key, size_t len, enum pattern_kind *kind)
{
	struct text rest = {(const char *)key, len};
	size_t local;
	uint8_t byte;

	rest = text_tail(rest, row_key_domain_len(rest));
	if (rest.len < 2 || rest.ptr[0] != 0)
		return ROW_CLASS_UNKNOWN;
	byte = (uint8_t)rest.ptr[1];
	rest = text_tail(rest, 2);
	if (byte == KIND_RECORD)
		return rest.len == 0 ? ROW_CLASS_DOMAIN : ROW_CLASS_UNKNOWN;
	if (!is_kind(byte))
		return ROW_CLASS_UNKNOWN;
	*kind = (enum pattern_kind)byte;
	local = part_len(rest);
	if (local > 0 && (*kind == PATTERN_DOMAIN || *kind == PATTERN_SUBDOMAINS))
		return ROW_CLASS_UNKNOWN;
	rest = text_tail(rest, local);
	if (rest.len == 0)
		return ROW_CLASS_ROW;
	if (rest.len < 3 || rest.ptr[0] != 0 || rest.ptr[1] != 1)
		return ROW_CLASS_UNKNOWN;
	rest = text_tail(rest, 2);
	return part_len(rest) == rest.len ? ROW_CLASS_MEMBER : ROW_CLASS_UNKNOWN;
}

bool row_value_open(struct text key, struct text value, struct text *payload, uint8_t *flags)
{
	return seal_open(ROW_VERSION, key, value, payload, flags);
}

void row_value_seal(struct text key, uint8_t flags, uint8_t *value, size_t payload_len)
{
	seal_close(ROW_VERSION, flags, key, value, payload_len);
}

static size_t varint_len(uint64_t value)
{
	size_t len = 1;

	for (; value > 0x7f; value >>= 7)
		len++;
	return len;
}

static size_t text_size(struct text text)
{
	return varint_len(text.len) + text.len;
}

static uint8_t entry_flags(const struct row_entry *entry, const struct row_entry *previous)
{
	unsigned flags = 0;

	if (!previous || !text_equal(previous->pattern, entry->pattern))
		flags |= ENTRY_PATTERN;
	if (entry->expires.until != 0)
		flags |= entry->expires.is_date ? ENTRY_EXPIRES | ENTRY_DATE : ENTRY_EXPIRES;
	if (entry->comment.len > 0)
		flags |= ENTRY_COMMENT;
	return (uint8_t)flags;
}

size_t row_entry_encode(
	const struct row_entry *entry, const struct row_entry *previous, uint8_t *out, size_t cap)
{
	uint8_t flags = entry_flags(entry, previous);
	size_t need = 1 + text_size(entry->owner);
	uint8_t *at = out;

	need += flags & ENTRY_PATTERN ? text_size(entry->pattern) : 0;
	need += flags & ENTRY_EXPIRES ? 8 : 0;
	need += flags & ENTRY_COMMENT ? text_size(entry->comment) : 0;
	if (need > cap)
		return 0;
	*at++ = flags;
	if (flags & ENTRY_PATTERN)
		at += put_text(at, entry->pattern);
	at += put_text(at, entry->owner);
	if (flags & ENTRY_EXPIRES) {
		put_le64(at, (uint64_t)entry->expires.until);
		at += 8;
	}
	if (flags & ENTRY_COMMENT)
		at += put_text(at, entry->comment);
	return (size_t)(at - out);
}

static bool take_pattern(struct text *in, uint8_t flags, struct text *pattern)
{
	struct text typed;

	if (!(flags & ENTRY_PATTERN))
		return pattern->len > 0;
	if (!take_text(in, PATTERN_MAX, &typed) || typed.len == 0 || text_equal(typed, *pattern))
		return false;
	*pattern = typed;
	return true;
}

static bool take_expires(struct text *in, uint8_t flags, struct expires *out)
{
	uint64_t until = 0;

	*out = (struct expires){0};
	if (!(flags & ENTRY_EXPIRES))
		return !(flags & ENTRY_DATE);
	if (!take_le64(in, &until) || until == 0)
		return false;
	out->until = (int64_t)until;
	out->is_date = flags & ENTRY_DATE;
	return true;
}

static bool take_comment(struct text *in, uint8_t flags, struct text *out)
{
	*out = (struct text){NULL, 0};
	if (!(flags & ENTRY_COMMENT))
		return true;
	return take_text(in, ROW_COMMENT_MAX, out) && out->len > 0;
}

enum lookup row_entry_decode(struct text *payload, struct row_entry *entry)
{
	uint8_t flags;

	if (!take_byte(payload, &flags))
		return LOOKUP_ABSENT;
	if (flags & ~(ENTRY_PATTERN | ENTRY_EXPIRES | ENTRY_DATE | ENTRY_COMMENT))
		return LOOKUP_FAILED;
	if (!take_pattern(payload, flags, &entry->pattern))
		return LOOKUP_FAILED;
	if (!take_text(payload, OWNER_MAX, &entry->owner) || entry->owner.len == 0)
		return LOOKUP_FAILED;
	if (!take_expires(payload, flags, &entry->expires))
		return LOOKUP_FAILED;
	return take_comment(payload, flags, &entry->comment) ? LOOKUP_FOUND : LOOKUP_FAILED;
}

size_t domain_counts_encode(const struct domain_counts *counts, uint8_t *out, size_t cap)
{
	size_t len = 0;

	for (int kind = PATTERN_DOMAIN; kind <= PATTERN_EXACT; kind++) {
		if (cap - len < varint_len(counts->of_kind[kind]))
			return 0;
		len += put_varint(out + len, counts->of_kind[kind]);
	}
	return len;
}

bool domain_counts_decode(struct text payload, struct domain_counts *out)
{
	memset(out, 0, sizeof(*out));
	for (int kind = PATTERN_DOMAIN; kind <= PATTERN_EXACT; kind++)
		if (!take_varint(&payload, &out->of_kind[kind]))
			return false;
	return payload.len == 0;
}

size_t spilled_count_encode(uint64_t count, uint8_t *out, size_t cap)
{
	return varint_len(count) <= cap ? put_varint(out, count) : 0;
}

bool spilled_count_decode(struct text payload, uint64_t *count, struct text *summary)
{
	*summary = payload;
	return take_varint(summary, count) && *count > 0;
}

uint64_t row_entry_digest(const struct row_entry *entry)
{
	uint8_t bytes[ROW_ENTRY_MAX];
	size_t len = row_entry_encode(entry, NULL, bytes, sizeof(bytes));

	return siphash64(&digest_key, bytes, len);
}

/*
 * The meta record: which generation is in force, what both hold, and the version of the whole
 * format.
 *
 *   format(1) current(1) undo kind(1) undo entries(8) sequence(8), then for each generation
 *   state(1) pairs(8) digest(8) rows of kind 2..5 (4 x 8) domains(8) loaded at(8); little-endian,
 * sealed as a row
 *
 * Knows no rows. A record that fails its checksum or has another format is FAILED, and the error
 * says which.
 */
#include <stdio.h>

#include "policy/core/bytes.h"
#include "policy/data/authz_private.h"

#define META_FORMAT 1
#define META_KEY    TEXT("table")
#define META_MAX    256

static bool take_generation(struct text *in, struct generation *out)
{
	uint64_t loaded_at;
	uint8_t state;
	bool ok =
		take_byte(in, &state) && take_le64(in, &out->pairs) && take_le64(in, &out->digest);

	for (int kind = PATTERN_DOMAIN; kind <= PATTERN_EXACT; kind++)
		ok = ok && take_le64(in, &out->rows.of_kind[kind]);
	ok = ok && take_le64(in, &out->domains) && take_le64(in, &loaded_at);
	if (!ok || state > GENERATION_COMPLETE)
		return false;
	out->state = (enum generation_state)state;
	out->loaded_at = (int64_t)loaded_at;
	return true;
}

static bool take_meta(struct text in, struct authz_meta *out)
{
	uint8_t current, undo;

	if (!take_byte(&in, &current) || !take_byte(&in, &undo) || current > 1 || undo > UNDO_LIST)
		return false;
	if (!take_le64(&in, &out->undo_entries) || !take_le64(&in, &out->sequence))
		return false;
	if (!take_generation(&in, &out->generation[0]) ||
		!take_generation(&in, &out->generation[1]))
		return false;
	out->current = current;
	out->undo = (enum undo_kind)undo;
	out->is_loaded = out->generation[current].state == GENERATION_COMPLETE;
	return in.len == 0;
}

static enum lookup fail_damaged(struct authz *authz)
{
	snprintf(authz->error, sizeof(authz->error),
		"%s/table: the meta record is damaged: move the folder away and load the table "
		"again",
		authz->state_dir);
	return LOOKUP_FAILED;
}

static enum lookup fail_format(struct authz *authz, unsigned format)
{
	authz->is_other_format = true;
	snprintf(authz->error, sizeof(authz->error),
		"%s/table: the table has format %u, this program knows format %d: probably written "
		"by "
		"another version of policyd; take it out with `policyctl dump` of that version, "
		"move "
		"the folder away and load it again",
		authz->state_dir, format, META_FORMAT);
	return LOOKUP_FAILED;
}

enum lookup authz_meta_read(struct authz *authz, struct authz_meta *meta)
{
	struct text value, payload;
	uint8_t flags, format;
	enum lookup status = store_get(authz->store, DB_META, META_KEY, &value);

	memset(meta, 0, sizeof(*meta));
	if (status == LOOKUP_FAILED)
		authz_fail_store(authz, ERR_DAMAGED);
	if (status != LOOKUP_FOUND)
		return status;
	if (!row_value_open(META_KEY, value, &payload, &flags) || !take_byte(&payload, &format))
		return fail_damaged(authz);
	if (format != META_FORMAT)
		return fail_format(authz, format);
	if (flags != 0 || !take_meta(payload, meta))
		return fail_damaged(authz);
	return LOOKUP_FOUND;
}

static uint8_t *put_generation(uint8_t *at, const struct generation *generation)
{
	uint64_t words[8] = {generation->pairs, generation->digest};

	for (int kind = PATTERN_DOMAIN; kind <= PATTERN_EXACT; kind++)
		words[kind] = generation->rows.of_kind[kind];
	words[6] = generation->domains;
	words[7] = (uint64_t)generation->loaded_at;
	*at++ = (uint8_t)generation->state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++, at += 8)
		put_le64(at, words[i]);
	return at;
}

enum err authz_meta_write(struct authz *authz, const struct authz_meta *meta)
{
	uint8_t value[META_MAX], *at = value + ROW_HEADER_SIZE;

	*at++ = META_FORMAT;
	*at++ = (uint8_t)meta->current;
	*at++ = (uint8_t)meta->undo;
	put_le64(at, meta->undo_entries);
	put_le64(at + 8, meta->sequence);
	at = put_generation(at + 16, &meta->generation[0]);
	at = put_generation(at, &meta->generation[1]);
	row_value_seal(META_KEY, 0, value, (size_t)(at - value) - ROW_HEADER_SIZE);
	return authz_fail_store(
		authz, store_put(authz->store, DB_META, META_KEY,
			       (struct text){(const char *)value, (size_t)(at - value)}));
}

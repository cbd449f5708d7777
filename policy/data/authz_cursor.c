/*
 * One pair of a generation after the other, whichever way its row is stored.
 *
 * Knows the bytes through authz_codec alone. Whatever does not check, decode or follow in order is
 * FAILED.
 */
#include "policy/data/authz_private.h"

bool authz_row_key(struct text pattern, struct row_key *out)
{
	struct pattern parsed;

	if (pattern_parse(&unicode_ops, pattern, &parsed) != NULL)
		return false;
	row_key_of(parsed.kind, parsed.domain, parsed.local, out);
	return true;
}

bool authz_member_key(struct text row_key, struct text owner, struct row_key *out)
{
	struct owner parsed;

	if (owner_parse(&unicode_ops, owner, &parsed) != NULL)
		return false;
	memcpy(out->bytes, row_key.ptr, row_key.len);
	out->len = row_key.len;
	row_key_add_member(out, parsed.key);
	return true;
}

enum err authz_add_pair(struct authz *authz, struct pairs *pairs, const struct row_entry *entry)
{
	struct pattern pattern;
	struct owner owner;
	enum err err;

	if (pattern_parse(&unicode_ops, entry->pattern, &pattern) != NULL ||
		owner_parse(&unicode_ops, entry->owner, &owner) != NULL) {
		authz_fail_row(authz, entry->pattern, "row (its text does not parse)");
		return ERR_DAMAGED;
	}
	err = pairs_add(pairs, &pattern, &owner, entry, 0);
	return err == ERR_OK ? ERR_OK : authz_report(authz->error, err, "out of memory");
}

void authz_domain_key(struct text key, struct row_key *out)
{
	size_t len = row_key_domain_len(key);

	row_key_of_domain((struct text){NULL, 0}, out);
	memmove(out->bytes + len, out->bytes, out->len);
	memcpy(out->bytes, key.ptr, len);
	out->len += len;
}

struct text authz_key_domain(struct text key)
{
	size_t len = row_key_domain_len(key);

	return len > 0 && (uint8_t)key.ptr[0] == 0xff ? TEXT("a domain that is none")
						      : text_head(key, len);
}

/* A member must stand behind the spilled row it belongs to. */
static enum lookup open_value(struct row_cursor *cursor, struct text value)
{
	struct text key = cursor->key, summary;
	uint64_t count;
	uint8_t flags;

	if (!row_value_open(key, value, &cursor->payload, &flags))
		return authz_fail_row(cursor->authz, key, "value (checksum)");
	switch (row_key_class((const uint8_t *)key.ptr, key.len, &cursor->kind)) {
	case ROW_CLASS_ROW:
		cursor->row_len = key.len;
		cursor->spilled_len = flags & ROW_FLAG_SPILLED ? key.len : 0;
		if (!(flags & ROW_FLAG_SPILLED))
			return LOOKUP_FOUND;
		if (!spilled_count_decode(cursor->payload, &count, &summary))
			break;
		cursor->payload.len = 0;
		return LOOKUP_FOUND;
	case ROW_CLASS_MEMBER:
		cursor->row_len = cursor->spilled_len;
		if (cursor->spilled_len > 0 && cursor->spilled_len < key.len)
			return LOOKUP_FOUND;
		break;
	case ROW_CLASS_DOMAIN:
		cursor->payload.len = 0;
		return LOOKUP_FOUND;
	case ROW_CLASS_UNKNOWN:
		break;
	}
	return authz_fail_row(cursor->authz, key, "row");
}

static enum lookup next_value(struct row_cursor *cursor)
{
	struct store *store = cursor->authz->store;
	struct text value;
	enum lookup status;

	if (cursor->has_begun)
		status = store_next(store, cursor->db, &cursor->key, &value);
	else
		status = store_seek(store, cursor->db, &cursor->key, &value);
	cursor->has_begun = true;
	memset(&cursor->entry, 0, sizeof(cursor->entry));
	if (status == LOOKUP_FAILED)
		authz_fail_store(cursor->authz, ERR_DAMAGED);
	return status == LOOKUP_FOUND ? open_value(cursor, value) : status;
}

enum lookup row_cursor_next(struct row_cursor *cursor, struct pair *out)
{
	enum lookup status;

	while ((status = row_entry_decode(&cursor->payload, &cursor->entry)) == LOOKUP_ABSENT) {
		status = next_value(cursor);
		if (status != LOOKUP_FOUND)
			return status;
	}
	out->row_key = text_head(cursor->key, cursor->row_len);
	if (status == LOOKUP_FAILED ||
		!authz_member_key(out->row_key, cursor->entry.owner, &cursor->member))
		return authz_fail_row(cursor->authz, cursor->key, "row");
	out->member_key = row_key_text(&cursor->member);
	out->kind = cursor->kind;
	out->entry = cursor->entry;
	out->line = 0;
	return LOOKUP_FOUND;
}

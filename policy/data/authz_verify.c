/*
 * Walks a whole generation and says whether it is what was written: every checksum, the order of
 * keys and entries, each key against the texts below it, every count, the digest; and that each key
 * is found from the root of the tree.
 *
 * Knows nothing of decisions. A truncated file is SIGBUS here, so the walk belongs into a child:
 * authz_verify_in_child.
 */
#include <stdio.h>
#include <stdlib.h>

#include "policy/data/authz_private.h"
#include "policy/data/in_child.h"

_Static_assert(IN_CHILD_ERROR_MAX == AUTHZ_ERROR_MAX, "a child's sentence is ours");

struct walk {
	struct authz *authz;
	unsigned db;
	struct generation seen;
	/* Keys and payloads stay valid: the whole walk is one read transaction. */
	struct text key;                      /* the one before */
	struct text domain;                   /* prefix of the keys below the last domain record */
	struct domain_counts promised, found; /* for that domain */
	/* the spilled row whose members are read */
	struct text spilled; /* its key; empty: none */
	struct text spilled_payload;
	uint64_t spilled_pairs, member_pairs;
	struct entry_list summary;
	struct byte_buffer encoded;
	bool is_out_of_memory;
};

static enum lookup fail(struct walk *walk, const char *what)
{
	return authz_fail_row(walk->authz, walk->key, what);
}

/* Says nothing about the table. */
static enum lookup fail_memory(struct walk *walk)
{
	walk->is_out_of_memory = true;
	authz_report(walk->authz->error, ERR_NOMEM, "out of memory while verifying the table");
	return LOOKUP_FAILED;
}

static int compare_texts(struct text a, struct text b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 && a.ptr && b.ptr ? memcmp(a.ptr, b.ptr, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_prefix(struct text prefix, struct text text)
{
	return prefix.len <= text.len && text_equal(prefix, text_head(text, prefix.len));
}

/* What the entries of one value have in common. */
struct value_walk {
	struct text row_key, member_key; /* member_key is empty for inline rows */
	struct row_key owner_keys[2];    /* of this entry and the one before */
	struct row_entry before;
	size_t count;
};

static bool is_in_order(
	const struct value_walk *v, const struct row_entry *entry, struct text owner_key)
{
	int order = compare_texts(row_key_text(&v->owner_keys[(v->count + 1) % 2]), owner_key);

	if (v->count == 0)
		return true;
	if (order == 0)
		order = compare_texts(v->before.pattern, entry->pattern);
	if (order == 0)
		order = compare_texts(v->before.owner, entry->owner);
	return order < 0;
}

static enum lookup check_entry(
	struct walk *walk, struct value_walk *v, const struct row_entry *entry)
{
	struct row_key *owner_key = &v->owner_keys[v->count % 2], row_key;

	/* An entry without a pattern of its own borrows the one before, which was checked. */
	if (v->count == 0 || entry->pattern.ptr != v->before.pattern.ptr)
		if (!authz_row_key(entry->pattern, &row_key) ||
			!text_equal(row_key_text(&row_key), v->row_key))
			return fail(walk, "row (another pattern's)");
	if (!authz_member_key(v->row_key, entry->owner, owner_key))
		return fail(walk, "row (owner)");
	if (v->member_key.len > 0 && !text_equal(row_key_text(owner_key), v->member_key))
		return fail(walk, "row (another owner's)");
	if (!is_in_order(v, entry, row_key_text(owner_key)))
		return fail(walk, "row (order)");
	walk->seen.digest += row_entry_digest(entry);
	v->before = *entry;
	v->count++;
	return LOOKUP_FOUND;
}

static enum lookup check_entries(struct walk *walk, struct value_walk *v, struct text payload)
{
	struct row_entry entry = {0};
	enum lookup status;

	while ((status = row_entry_decode(&payload, &entry)) == LOOKUP_FOUND) {
		if (check_entry(walk, v, &entry) == LOOKUP_FAILED)
			return LOOKUP_FAILED;
		if (v->member_key.len > 0 && !spill_summary_add(&walk->summary, &entry))
			return fail_memory(walk);
	}
	if (status == LOOKUP_FAILED || v->count == 0)
		return fail(walk, "row (entries)");
	walk->seen.pairs += v->count;
	walk->member_pairs += v->member_key.len > 0 ? v->count : 0;
	return LOOKUP_FOUND;
}

/* The members of a spilled row have all been read: do they agree with what it says of them? */
static enum lookup end_spilled(struct walk *walk)
{
	struct text encoded;

	if (walk->spilled.len == 0)
		return LOOKUP_FOUND;
	walk->spilled.len = 0;
	if (!spill_summary_encode(&walk->summary, walk->spilled_pairs, &walk->encoded))
		return fail_memory(walk);
	walk->summary.count = 0;
	encoded = (struct text){(const char *)walk->encoded.ptr, walk->encoded.len};
	if (walk->member_pairs != walk->spilled_pairs ||
		!text_equal(text_tail(encoded, ROW_HEADER_SIZE), walk->spilled_payload))
		return fail(walk, "rows before this (members of a row missing)");
	return LOOKUP_FOUND;
}

static enum lookup end_domain(struct walk *walk)
{
	if (end_spilled(walk) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	if (memcmp(&walk->promised, &walk->found, sizeof(walk->found)) != 0)
		return fail(walk, "rows before this (rows of a domain missing)");
	return LOOKUP_FOUND;
}

static enum lookup check_domain(struct walk *walk, struct text payload, uint8_t flags)
{
	if (end_domain(walk) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	memset(&walk->found, 0, sizeof(walk->found));
	if (flags != 0 || !domain_counts_decode(payload, &walk->promised))
		return fail(walk, "domain record");
	if (memcmp(&walk->promised, &walk->found, sizeof(walk->found)) == 0)
		return fail(walk, "domain record");
	walk->domain = text_head(walk->key, row_key_domain_len(walk->key) + 1);
	walk->seen.domains++;
	return LOOKUP_FOUND;
}

static enum lookup check_row(
	struct walk *walk, struct text payload, uint8_t flags, enum pattern_kind kind)
{
	struct value_walk v = {.row_key = walk->key};
	struct text summary;

	if (end_spilled(walk) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	if (walk->domain.len == 0 || !is_prefix(walk->domain, walk->key))
		return fail(walk, "row (no domain record)");
	walk->found.of_kind[kind]++;
	walk->seen.rows.of_kind[kind]++;
	if (flags == 0)
		return check_entries(walk, &v, payload);
	if (flags != ROW_FLAG_SPILLED ||
		!spilled_count_decode(payload, &walk->spilled_pairs, &summary))
		return fail(walk, "row (spilled)");
	walk->spilled = walk->key;
	walk->spilled_payload = payload;
	walk->member_pairs = 0;
	return LOOKUP_FOUND;
}

static enum lookup check_member(struct walk *walk, struct text payload, uint8_t flags)
{
	struct value_walk v = {.row_key = walk->spilled, .member_key = walk->key};

	if (flags != 0 || walk->spilled.len == 0 || !is_prefix(walk->spilled, walk->key))
		return fail(walk, "row (a member of none)");
	return check_entries(walk, &v, payload);
}

/* A damaged inner page can hide a key that the walk along the leaves still meets. */
static enum lookup check_reachable(struct walk *walk, struct text value)
{
	struct text found;

	if (store_get(walk->authz->store, walk->db, walk->key, &found) != LOOKUP_FOUND ||
		found.ptr != value.ptr)
		return fail(walk, "tree (key not found from the root)");
	return LOOKUP_FOUND;
}

static enum lookup check_value(struct walk *walk, struct text value)
{
	struct text payload;
	enum pattern_kind kind;
	uint8_t flags;

	if (check_reachable(walk, value) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	if (!row_value_open(walk->key, value, &payload, &flags))
		return fail(walk, "value (checksum)");
	switch (row_key_class((const uint8_t *)walk->key.ptr, walk->key.len, &kind)) {
	case ROW_CLASS_ROW:
		return check_row(walk, payload, flags, kind);
	case ROW_CLASS_MEMBER:
		return check_member(walk, payload, flags);
	case ROW_CLASS_DOMAIN:
		return check_domain(walk, payload, flags);
	case ROW_CLASS_UNKNOWN:
		break;
	}
	return fail(walk, "key");
}

static enum lookup walk_all(struct walk *walk)
{
	struct text key = {NULL, 0}, value;
	struct store *store = walk->authz->store;
	enum lookup status = store_seek(store, walk->db, &key, &value);

	while (status == LOOKUP_FOUND) {
		if (key.len > ROW_KEY_MAX || compare_texts(walk->key, key) >= 0)
			return fail(walk, "order of keys after this");
		walk->key = key;
		if (check_value(walk, value) == LOOKUP_FAILED)
			return LOOKUP_FAILED;
		status = store_next(store, walk->db, &key, &value);
	}
	if (status == LOOKUP_FAILED)
		authz_fail_store(walk->authz, ERR_DAMAGED);
	return status == LOOKUP_FAILED ? LOOKUP_FAILED : end_domain(walk);
}

static bool is_as_recorded(const struct generation *seen, const struct generation *recorded)
{
	return seen->pairs == recorded->pairs && seen->digest == recorded->digest &&
	       seen->domains == recorded->domains &&
	       memcmp(&seen->rows, &recorded->rows, sizeof(seen->rows)) == 0;
}

static enum err verify(struct authz *authz, int generation, uint64_t *sequence)
{
	struct walk walk = {.authz = authz};
	struct authz_meta meta;
	enum lookup status = authz_begin(authz, &meta);
	unsigned which = generation < 0 ? meta.current : (unsigned)generation & 1;

	if (status == LOOKUP_FAILED)
		return ERR_DAMAGED;
	*sequence = meta.sequence;
	if (status == LOOKUP_ABSENT && generation < 0) {
		authz_end(authz);
		return authz_report(authz->error, ERR_ABSENT, "no table was ever loaded");
	}
	walk.db = authz_db_of(which);
	status = walk_all(&walk);
	if (status != LOOKUP_FAILED && !is_as_recorded(&walk.seen, &meta.generation[which])) {
		snprintf(authz->error, sizeof(authz->error),
			"%s/table: damaged: %llu pairs found, %llu recorded, or the digest "
			"differs: load "
			"the table again, or `policyctl rollback`",
			authz->state_dir, (unsigned long long)walk.seen.pairs,
			(unsigned long long)meta.generation[which].pairs);
		status = LOOKUP_FAILED;
	}
	authz_end(authz);
	free(walk.summary.items);
	free(walk.encoded.ptr);
	if (status != LOOKUP_FAILED)
		return ERR_OK;
	return walk.is_out_of_memory ? ERR_NOMEM : ERR_DAMAGED;
}

enum err authz_verify(
	const char *state_dir, unsigned map_mb, int generation, uint64_t *sequence, char *error)
{
	struct authz *authz = NULL;
	enum err err = authz_open_walk(&authz, state_dir, map_mb, error, AUTHZ_ERROR_MAX);

	*sequence = 0;
	if (err == ERR_OK) {
		err = verify(authz, generation, sequence);
		if (err != ERR_OK)
			authz_report(error, err, authz->error);
	}
	authz_close(authz);
	return err;
}

struct place {
	const char *state_dir;
	unsigned map_mb;
	int generation;
};

static enum err verify_place(void *ctx, char *error)
{
	const struct place *place = ctx;
	uint64_t sequence;

	return authz_verify(place->state_dir, place->map_mb, place->generation, &sequence, error);
}

enum err authz_verify_in_child(
	const char *state_dir, unsigned map_mb, int generation, char error[AUTHZ_ERROR_MAX])
{
	struct place place = {state_dir, map_mb, generation};
	char death[32];
	enum err err = in_child(verify_place, &place, error, death);

	if (death[0])
		snprintf(error, AUTHZ_ERROR_MAX,
			"%s/table: the program that walked the table died (%s): the file is "
			"damaged or "
			"truncated: move the folder away and load the table again",
			state_dir, death);
	return err;
}

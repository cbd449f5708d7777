/*
 * What the files of the authorization table share: the handle, the meta record, rows read one by
 * one, rows written. Only policy/data/authz*.c include it.
 */
#ifndef POLICY_DATA_AUTHZ_PRIVATE_H
#define POLICY_DATA_AUTHZ_PRIVATE_H

#include "policy/data/authz.h"
#include "policy/data/store.h"
#include "policy/data/unicode.h"

enum authz_db { DB_META, DB_GENERATION_0, DB_GENERATION_1, DB_UNDO };

struct authz {
	struct store *store;
	char *state_dir;
	unsigned map_mb;
	bool is_read_only;
	bool has_meta; /* meta is that of change number meta_id */
	uint64_t meta_id;
	enum lookup meta_status;
	bool is_other_format; /* the meta record was written by another version of policyd */
	struct authz_meta meta;
	char error[AUTHZ_ERROR_MAX];
};

static inline unsigned authz_db_of(unsigned generation)
{
	return DB_GENERATION_0 + (generation & 1);
}

static inline struct text row_key_text(const struct row_key *key)
{
	return (struct text){(const char *)key->bytes, key->len};
}

/* STATE_DIR/table and above it, 0700, where they are missing. */
POLICY_CHECKED enum err authz_make_dirs(const char *state_dir, char *error, size_t error_cap);

/* authz_open for walking: read-ahead, and each get from the root. */
POLICY_CHECKED enum err authz_open_walk(
	struct authz **out, const char *state_dir, unsigned map_mb, char *error, size_t error_cap);

/* In the transaction that is open. ABSENT: none was ever written, *meta is zeroed. */
enum lookup authz_meta_read(struct authz *authz, struct authz_meta *meta);
POLICY_CHECKED enum err authz_meta_write(struct authz *authz, const struct authz_meta *meta);

/* Takes over store_error as the handle's error. */
enum err authz_fail_store(struct authz *authz, enum err err);
/* Says that the value behind key is damaged; always LOOKUP_FAILED. */
enum lookup authz_fail_row(struct authz *authz, struct text key, const char *what);

/* Gets and checks one value. */
enum lookup authz_get(
	struct authz *authz, unsigned db, struct text key, struct text *payload, uint8_t *flags);

/* Recomputes the key an entry belongs under. False: the pattern or owner does not parse. */
POLICY_CHECKED bool authz_row_key(struct text pattern, struct row_key *out);
POLICY_CHECKED bool authz_member_key(struct text row_key, struct text owner, struct row_key *out);

/* Adds an entry that was read from the table. ERR_DAMAGED: it does not parse; authz->error. */
POLICY_CHECKED enum err authz_add_pair(
	struct authz *authz, struct pairs *pairs, const struct row_entry *entry);

/* The pairs of one generation, one after the other. Zero it and set authz and db. */
struct row_cursor {
	struct authz *authz;
	unsigned db;
	bool has_begun;
	struct text key, payload;
	struct row_entry entry;
	enum pattern_kind kind;
	size_t row_len; /* of key: its row part */
	size_t spilled_len;
	struct row_key member;
};

/* FOUND: *out is set, its texts are valid until the next call or write. ABSENT: the end. FAILED:
 * authz->error. */
enum lookup row_cursor_next(struct row_cursor *cursor, struct pair *out);

/* Growing bytes and entries; both start zeroed and are freed by their owner. */
struct byte_buffer {
	uint8_t *ptr;
	size_t len, cap;
};

struct entry_list {
	struct row_entry *items;
	size_t count, cap;
};

POLICY_CHECKED bool byte_buffer_reserve(struct byte_buffer *buffer, size_t more);
POLICY_CHECKED bool byte_buffer_set(struct byte_buffer *buffer, struct text bytes);
POLICY_CHECKED bool byte_buffer_add_entry(struct byte_buffer *buffer, const struct row_entry *entry,
	const struct row_entry *previous);
POLICY_CHECKED bool entry_list_add(struct entry_list *list, const struct row_entry *entry);

/* The summary of a spilled row (authz_codec.h): add each entry, then encode once; texts are
 * borrowed until then. The payload goes behind ROW_HEADER_SIZE bytes that are left free. */
POLICY_CHECKED bool spill_summary_add(struct entry_list *summary, const struct row_entry *entry);
POLICY_CHECKED bool spill_summary_encode(
	struct entry_list *summary, uint64_t count, struct byte_buffer *out);

/* Writes rows into a generation inside write transactions. Zeroed but for the first three members.
 */
struct row_writer {
	struct authz *authz;
	unsigned db;
	bool is_append;  /* keys come in order into an empty db; commits every so often */
	size_t in_slice; /* values since the last commit */
	struct byte_buffer value;
	struct entry_list summary;
};

/* Writes all entries of a row (sorted, at least one), inline or spilled. */
POLICY_CHECKED enum err row_writer_put(
	struct row_writer *writer, struct text row_key, const struct entry_list *entries);
/* Seals and writes writer->value, whose payload stands behind ROW_HEADER_SIZE bytes. */
POLICY_CHECKED enum err row_writer_put_value(
	struct row_writer *writer, struct text key, uint8_t flags);
/* One member: entries of one owner key, in order. */
POLICY_CHECKED enum err row_writer_put_member(struct row_writer *writer, struct text member_key,
	const struct row_entry *entries, size_t count);
POLICY_CHECKED enum err row_writer_put_domain(
	struct row_writer *writer, struct text domain_key, const struct domain_counts *counts);
void row_writer_deinit(struct row_writer *writer);

/* The key of the domain record in whose domain `key` lies. */
void authz_domain_key(struct text key, struct row_key *out);
/* The domain of a key in letters, for messages: hashed ones are "a domain that is none". */
struct text authz_key_domain(struct text key);

/* Too many glob rows in the domain of a key: the sentence, and ERR_INVALID. */
enum err authz_fail_globs(struct text domain_key, char error[AUTHZ_ERROR_MAX]);

/* Whether expires and comment are the same. */
bool authz_same_remarks(const struct row_entry *a, const struct row_entry *b);

/* A look at the meta record alone. */
POLICY_CHECKED enum err authz_read_meta(struct authz *authz, struct authz_meta *meta);

/* What going from one generation to the other changes; in the transaction that is open. */
struct authz_delta;
enum lookup authz_diff_generations(
	struct authz *authz, unsigned from, unsigned to, struct authz_delta *delta);

/* An edit of the generation in force, in the write transaction that is open (none for a dry run,
 * which only counts). Zeroed but for the first members. */
struct edit {
	struct authz *authz;
	struct authz_meta *meta; /* counts and digest are kept current */
	struct authz_delta *delta;
	bool is_dry_run;
	void (*missing)(void *ctx, const struct pair *pair);
	void *ctx;
	/* private to authz_edit.c */
	struct row_writer writer;
	struct entry_list entries;
	struct byte_buffer before, undo;
	uint64_t undo_count;
};

/* Empties the undo list and readies the edit. */
POLICY_CHECKED enum err edit_begin(struct edit *edit);
/* Puts the pairs in, or takes them out; may be called again. authz->error. */
POLICY_CHECKED enum err edit_apply(struct edit *edit, const struct pairs *pairs, bool is_delete);
/* Writes the meta record with the next sequence and the undo list's size. */
POLICY_CHECKED enum err edit_finish(struct edit *edit, int64_t now);
void edit_deinit(struct edit *edit);

/* Reads the undo list: what to take out and what to put in to go back. */
POLICY_CHECKED enum err edit_read_undo(
	struct authz *authz, uint64_t count, struct pairs *removes, struct pairs *puts);

/* The error sentence of a step that failed: what, and why. Returns err. */
enum err authz_report(char error[AUTHZ_ERROR_MAX], enum err err, const char *why);

#endif

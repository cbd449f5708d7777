/*
 * The text of a Postfix look-up table (postmap(1)), as sites with smtpd_sender_login_maps have it:
 *
 *   # comment
 *   pattern   owner, owner owner
 *             owner             a line that starts with white space continues the one before;
 * comments and empty lines between do not end it (readllines(3))
 *
 * Rows of any length: owners are handed in one by one. Of keys that are equal but for case the
 * first counts, as in postmap. Must not know what a pattern is. Bad rows are told and skipped.
 */
#include "policyctl/import/import_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/core/siphash.h"
#include "policyctl/import/import_key.h"

/* Keys seen, as an open hash of their hashes. */
struct seen_key {
	uint64_t hash[2];
	uint32_t line; /* 0: free */
};

struct import_keys {
	struct seen_key *slots;
	size_t count, size;
};

#define COMMENT_RULE                                                                               \
	"an owner, and so is what follows, as in Postfix; a comment wants a line of its own"

struct postfix_file {
	struct import *in;
	struct import_keys keys;
	bool is_first;
	uint32_t line; /* of the row's key */
	struct import_field key;
	char key_bytes[IMPORT_KEY_MAX];
};

static const struct siphash_key hash_key = {0x706f6c6963796374, 0x6c20696d706f7274};

static struct seen_key *keys_slot(const struct import_keys *keys, const uint64_t hash[2])
{
	size_t at = hash[0] & (keys->size - 1);

	while (keys->slots[at].line != 0 && memcmp(keys->slots[at].hash, hash, 16) != 0)
		at = (at + 1) & (keys->size - 1);
	return &keys->slots[at];
}

static enum err keys_grow(struct import_keys *keys)
{
	struct import_keys bigger = {.size = keys->size ? 2 * keys->size : 1024};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return ERR_NOMEM;
	for (size_t i = 0; i < keys->size; i++)
		if (keys->slots[i].line != 0)
			*keys_slot(&bigger, keys->slots[i].hash) = keys->slots[i];
	bigger.count = keys->count;
	free(keys->slots);
	*keys = bigger;
	return ERR_OK;
}

/* The line an equal key has already, or 0 and the key is noted. */
static uint32_t key_note(struct postfix_file *file, struct text key)
{
	char folded[3 * PATTERN_MAX];
	size_t len = text_fold(file->in->options->unicode, key, false, folded, sizeof(folded));
	struct seen_key new = {.line = file->line};
	struct seen_key *slot;

	if (2 * file->keys.count >= file->keys.size && keys_grow(&file->keys) != ERR_OK) {
		file->in->failure = ERR_NOMEM;
		return 0;
	}
	siphash128(&hash_key, len ? folded : key.ptr, len ? len : key.len, (uint8_t *)new.hash);
	slot = keys_slot(&file->keys, new.hash);
	if (slot->line != 0)
		return slot->line;
	*slot = new;
	file->keys.count++;
	return 0;
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next byte of the logical line: a blank where it goes on in another physical line, '\n' (not
 * taken) at its end. Without `start` the reader stands behind the first byte of a line. */
static int logical_next(struct import *in)
{
	int c = import_next(in);

	if (c != '\n')
		return c;
	for (c = import_peek(in); c == '#' || c == '\n' || is_blank(c); c = import_peek(in)) {
		while (is_blank(c)) {
			import_next(in);
			c = import_peek(in);
		}
		if (c == '#' || c == '\n')
			import_skip_line(in);
		else if (c != IMPORT_END)
			return ' ';
	}
	return '\n';
}

static bool ends(int c)
{
	return c == '\n' || c == IMPORT_END;
}

static void logical_skip(struct import *in, int c)
{
	while (!ends(c))
		c = logical_next(in);
}

/* Reads the key into file->key; returns the byte that ended it. False in *closed: a quote was not.
 */
static int key_read(struct postfix_file *file, bool *closed)
{
	bool quoted = false;
	int c;

	import_field_clear(&file->key);
	for (c = logical_next(file->in); !ends(c) && (quoted || !is_blank(c));
		c = logical_next(file->in)) {
		import_field_add(&file->key, (char)c);
		if (c == '"')
			quoted = !quoted;
		if (c != '\\')
			continue;
		c = logical_next(file->in);
		if (ends(c))
			break;
		import_field_add(&file->key, (char)c);
	}
	*closed = !quoted;
	return c;
}

/* What to tell somebody who gave another format to this importer. */
static const char *other_format(struct text key)
{
	if (key.len > 0 && memchr(key.ptr, '\0', key.len))
		return "no text; a compiled map is read with `postmap -s hash:FILE | policyctl "
		       "load -`";
	if (key.len >= 12 && memcmp(key.ptr, "sender,owner", 12) == 0)
		return "a key without owners; this looks like csv: use --format csv";
	if (key.len >= 1 && key.ptr[0] == '{')
		return "a key without owners; this looks like JSON Lines: use --format jsonl";
	return NULL;
}

/* Puts the key in its internal form into the sender column. False: refused, or a duplicate. */
static bool key_take(struct postfix_file *file)
{
	char bytes[IMPORT_KEY_MAX], reason[100];
	struct import_field *sender = &file->in->column[COLUMN_SENDER];
	bool is_needless;
	struct text typed = import_field_text(&file->key);
	struct text key = import_key_internal(typed, bytes, &is_needless);
	uint32_t first;

	if (file->key.is_long || key.len > sender->cap) {
		import_error(file->in, file->line, typed, import_long_reason(COLUMN_SENDER));
		return false;
	}
	if (is_needless)
		import_warn(file->in, file->line, typed,
			"Postfix quotes this address otherwise and never finds the row; write it "
			"without quotes");
	first = key_note(file, key);
	if (first != 0) {
		snprintf(reason, sizeof(reason),
			"the same key as line %u; the first counts, as in postmap",
			(unsigned)first);
		import_warn(file->in, file->line, typed, reason);
		return false;
	}
	memcpy(sender->bytes, key.ptr, key.len);
	sender->len = key.len;
	sender->is_long = false;
	return file->in->failure == ERR_OK;
}

static bool separates(int c)
{
	return c == ' ' || c == ',' || c == '\t' || c == '\r';
}

/* Hands in one row for each owner. A pattern that is wrong is told once. */
static void owners_take(struct postfix_file *file, int c)
{
	struct import *in = file->in;
	struct import_field *owner = &in->column[COLUMN_OWNER];
	size_t owners = 0;
	bool good = true;

	while (!ends(c) && good) {
		uint32_t line = in->line;

		import_field_clear(owner);
		for (; !ends(c) && !separates(c); c = logical_next(in))
			import_field_add(owner, (char)c);
		if (owner->len > 0) {
			if (owners++ > 0 && owner->bytes[0] == '#')
				import_warn(in, line, import_field_text(owner), COMMENT_RULE);
			good = import_row(in, line) || !in->pattern_fault;
		}
		while (separates(c))
			c = logical_next(in);
	}
	logical_skip(in, c);
	if (owners == 0)
		import_error(in, file->line, import_field_text(&file->key),
			"a key without owners; a row is `pattern owner[, owner ...]`");
}

/* False: this is no such file at all, nothing more is worth reading. */
static bool logical_line_read(struct postfix_file *file)
{
	struct import *in = file->in;
	const char *hint;
	bool closed;
	int c;

	file->line = in->line;
	c = key_read(file, &closed);
	hint = file->is_first ? other_format(import_field_text(&file->key)) : NULL;
	file->is_first = false;
	if (hint) {
		import_error(in, file->line, import_field_text(&file->key), hint);
		return false;
	}
	if (!closed) {
		import_error(in, file->line, import_field_text(&file->key),
			"a quote that is not closed");
		logical_skip(in, c);
	} else if (key_take(file)) {
		owners_take(file, c);
	} else {
		logical_skip(in, c);
	}
	return true;
}

/* Comments, empty lines and, wrongly, a continuation before the first row. */
static void preamble_skip(struct import *in)
{
	for (int c = import_peek(in); c == '#' || c == '\n' || is_blank(c); c = import_peek(in)) {
		uint32_t line = in->line;

		while (is_blank(c)) {
			import_next(in);
			c = import_peek(in);
		}
		if (c != '#' && !ends(c))
			import_error(in, line, TEXT(""),
				"starts with white space, but there is no row before it to "
				"continue");
		import_skip_line(in);
	}
}

void import_postfix(struct import *in)
{
	struct postfix_file *file = calloc(1, sizeof(*file));

	if (!file) {
		in->failure = ERR_NOMEM;
		return;
	}
	file->in = in;
	file->is_first = true;
	file->key = (struct import_field){.bytes = file->key_bytes, .cap = sizeof(file->key_bytes)};
	preamble_skip(in);
	while (import_peek(in) != IMPORT_END && in->failure == ERR_OK && logical_line_read(file))
		continue;
	free(file->keys.slots);
	free(file);
}

/*
 * The importers' common half: reads the source, checks rows, settles what appears twice.
 *
 * Must not know how a format is written (import_*.c do). Fails by telling on_error and going on;
 * only a source that cannot be read and lack of memory end a run early.
 */
#include "policyctl/import/import_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "policyctl/import/utf8.h"

static const struct {
	const char *name;
	void (*run)(struct import *in);
} formats[] = {
	[IMPORT_POSTFIX] = {"postfix", import_postfix},
	[IMPORT_CSV] = {"csv", import_csv},
	[IMPORT_JSONL] = {"jsonl", import_jsonl},
};

static const struct {
	const char *name, *too_long;
} columns[] = {
	[COLUMN_SENDER] = {"sender", "a pattern of more than 2048 bytes"},
	[COLUMN_OWNER] = {"owner", "an owner of more than 9216 bytes"},
	[COLUMN_EXPIRES] = {"expires",
		"not a time: 2026-12-31 (through that day, UTC) or 2026-12-31T23:59:59Z is "
		"allowed, or nothing"},
	[COLUMN_COMMENT] = {"comment", "a comment of more than 1024 bytes"},
};
_Static_assert(PATTERN_MAX == 2048 && OWNER_MAX == 9216 && ROW_COMMENT_MAX == 1024,
	"the messages above name the bounds");

bool import_format_of(const char *name, enum import_format *out)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i].name, name) == 0) {
			*out = (enum import_format)i;
			return true;
		}
	}
	return false;
}

const char *import_long_reason(enum import_column column)
{
	return columns[column].too_long;
}

const char *import_column_name(enum import_column column)
{
	return columns[column].name;
}

enum import_column import_column_of(struct text name)
{
	size_t i = 0;

	while (i < COLUMN_COUNT_ && !text_equal(name, text_of(columns[i].name)))
		i++;
	return (enum import_column)i;
}

/* Fills the whole buffer where it can, so that a byte order mark arrives in one piece. */
bool import_fill(struct import *in)
{
	size_t have = 0;

	if (in->failure != ERR_OK)
		return false;
	while (have < IMPORT_BUFFER) {
		ssize_t n = in->options->read(
			in->options->ctx, in->buffer + have, IMPORT_BUFFER - have);

		if (n < 0)
			in->failure = ERR_IO;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	in->at = in->buffer;
	in->end = in->buffer + have;
	in->consumed += have;
	if (in->options->on_progress)
		in->options->on_progress(in->options->ctx, in->consumed);
	return have > 0;
}

void import_skip_line(struct import *in)
{
	int c = import_next(in);

	while (c != '\n' && c != IMPORT_END)
		c = import_next(in);
}

void import_error(struct import *in, uint32_t line, struct text value, const char *reason)
{
	const struct import_finding finding = {line, value, reason};

	in->totals->errors++;
	in->options->on_error(in->options->ctx, &finding);
}

void import_warn(struct import *in, uint32_t line, struct text value, const char *reason)
{
	const struct import_finding finding = {line, value, reason};

	in->totals->warnings++;
	in->options->on_warning(in->options->ctx, &finding);
}

/* Line breaks and tabs may stand in a comment; they survive csv and jsonl. */
static const char *comment_fault(struct text comment)
{
	if (!utf8_is_valid(comment))
		return "not valid UTF-8";
	for (size_t i = 0; i < comment.len; i++) {
		unsigned char c = (unsigned char)comment.ptr[i];

		if (c == 127 || (c < ' ' && c != '\t' && c != '\n' && c != '\r'))
			return "a control byte in a comment; only tab and line breaks are allowed";
	}
	return NULL;
}

static void warn_never(struct import *in, uint32_t line, struct text typed)
{
	char reason[200];
	const char *why = in->pattern.never;

	if (typed.ptr[0] == '/')
		why = "a rule of a regexp or pcre table; rows are addresses";
	snprintf(reason, sizeof(reason), "%s; no sender matches this row", why);
	import_warn(in, line, typed, reason);
}

static bool pattern_take(struct import *in, uint32_t line)
{
	struct text typed = import_field_text(&in->column[COLUMN_SENDER]);

	if (!in->pattern_typed.ptr || !text_equal(typed, in->pattern_typed)) {
		memcpy(in->pattern_bytes, typed.ptr, typed.len);
		in->pattern_typed = (struct text){in->pattern_bytes, typed.len};
		in->pattern_fault =
			pattern_parse(in->options->unicode, in->pattern_typed, &in->pattern);
		if (!in->pattern_fault && in->pattern.never)
			warn_never(in, line, typed);
	}
	if (in->pattern_fault)
		import_error(in, line, typed, in->pattern_fault);
	return !in->pattern_fault;
}

static bool columns_fit(struct import *in, uint32_t line)
{
	bool fit = true;

	for (size_t i = 0; i < COLUMN_COUNT_; i++) {
		if (in->column[i].is_long) {
			import_error(in, line, import_field_text(&in->column[i]),
				import_long_reason((enum import_column)i));
			fit = false;
		}
	}
	return fit;
}

static bool row_check(struct import *in, uint32_t line, struct row_entry *entry)
{
	const char *fault;
	bool good = columns_fit(in, line);

	if (!good)
		return false;
	*entry = (struct row_entry){
		.pattern = import_field_text(&in->column[COLUMN_SENDER]),
		.owner = import_field_text(&in->column[COLUMN_OWNER]),
		.comment = import_field_text(&in->column[COLUMN_COMMENT]),
	};
	good = pattern_take(in, line);
	fault = owner_parse(in->options->unicode, entry->owner, &in->owner);
	if (fault) {
		import_error(in, line, entry->owner, fault);
		good = false;
	}
	if (!expires_parse(import_field_text(&in->column[COLUMN_EXPIRES]), &entry->expires)) {
		import_error(in, line, import_field_text(&in->column[COLUMN_EXPIRES]),
			import_long_reason(COLUMN_EXPIRES));
		good = false;
	}
	fault = comment_fault(entry->comment);
	if (fault) {
		import_error(in, line, entry->comment, fault);
		good = false;
	}
	return good;
}

bool import_row(struct import *in, uint32_t line)
{
	struct row_entry entry;

	if (!row_check(in, line, &entry))
		return false;
	if (pairs_add(in->pairs, &in->pattern, &in->owner, &entry, line) != ERR_OK)
		in->failure = ERR_NOMEM;
	return true;
}

static void on_conflict(void *ctx, const struct pair *first, const struct pair *other)
{
	struct import *in = ctx;
	char reason[200], one[EXPIRES_TEXT_MAX], two[EXPIRES_TEXT_MAX];

	if (first->entry.expires.until == other->entry.expires.until &&
		first->entry.expires.is_date == other->entry.expires.is_date) {
		snprintf(reason, sizeof(reason),
			"the same sender and owner as line %u with another comment; the first "
			"counts",
			(unsigned)first->line);
		import_warn(in, other->line, other->entry.owner, reason);
		return;
	}
	expires_format(&first->entry.expires, one);
	expires_format(&other->entry.expires, two);
	snprintf(reason, sizeof(reason),
		"the same sender and owner as line %u, but it expires \"%s\" there and \"%s\" "
		"here; keep one of them",
		(unsigned)first->line, one, two);
	import_error(in, other->line, other->entry.pattern, reason);
}

static void import_init(struct import *in, const struct import_options *options)
{
	*in = (struct import){.options = options, .line = 1};
	in->column[COLUMN_SENDER] =
		(struct import_field){.bytes = in->sender_bytes, .cap = PATTERN_MAX};
	in->column[COLUMN_OWNER] =
		(struct import_field){.bytes = in->owner_bytes, .cap = OWNER_MAX};
	in->column[COLUMN_EXPIRES] =
		(struct import_field){.bytes = in->expires_bytes, .cap = IMPORT_EXPIRES_MAX};
	in->column[COLUMN_COMMENT] =
		(struct import_field){.bytes = in->comment_bytes, .cap = ROW_COMMENT_MAX};
}

static void skip_byte_order_mark(struct import *in)
{
	if (import_peek(in) == 0xef && in->end - in->at >= 3 &&
		memcmp(in->at, "\xef\xbb\xbf", 3) == 0)
		in->at += 3;
}

enum err import_run(
	const struct import_options *options, struct pairs *pairs, struct import_totals *totals)
{
	struct import *in = malloc(sizeof(*in));
	enum err err;

	*totals = (struct import_totals){0};
	if (!in)
		return ERR_NOMEM;
	import_init(in, options);
	in->pairs = pairs;
	in->totals = totals;
	skip_byte_order_mark(in);
	formats[options->format].run(in);
	err = in->failure;
	if (err == ERR_OK)
		err = pairs_sort(pairs);
	if (err == ERR_OK)
		pairs_unique(pairs, on_conflict, in);
	if (err == ERR_OK && totals->errors > 0)
		err = ERR_INVALID;
	free(in);
	return err;
}

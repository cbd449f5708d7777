/*
 * CSV (RFC 4180): a header that names the columns, then one pair a record.
 *
 *   sender,owner,expires,comment
 *   ceo@example.com,alice,2026-12-31,"in force, so far"
 *
 * `sender` and `owner` are needed, the columns may stand in any order. A line feed inside quotes is
 * part of the field, so a record's line is where it begins. Must not know what a pattern is. Bad
 * records are told and skipped.
 */
#include "policyctl/import/import_internal.h"

#include <stdio.h>

#define HEADER_RULE                                                                                \
	"the first line names the columns: sender,owner and, if wanted, expires,comment, each "    \
	"once"

enum csv_end { CSV_FIELD, CSV_RECORD, CSV_BROKEN };

struct csv_layout {
	enum import_column at[COLUMN_COUNT_];
	size_t count;
};

/* Whether the record ends at c; takes the line feed behind a carriage return. */
static bool ends_record(struct import *in, int c)
{
	if (c == '\r' && import_peek(in) == '\n')
		c = import_next(in);
	return c == '\n' || c == IMPORT_END;
}

static enum csv_end broken(
	struct import *in, uint32_t line, const struct import_field *field, const char *reason)
{
	import_error(in, line, import_field_text(field), reason);
	return CSV_BROKEN;
}

static enum csv_end quoted_read(struct import *in, struct import_field *field)
{
	uint32_t line = in->line;

	for (;;) {
		int c = import_next(in);

		if (c == IMPORT_END)
			return broken(in, line, field, "a quote that is never closed");
		if (c != '"') {
			import_field_add(field, (char)c);
			continue;
		}
		if (import_peek(in) == '"') {
			import_field_add(field, (char)import_next(in));
			continue;
		}
		c = import_next(in);
		if (c == ',')
			return CSV_FIELD;
		if (ends_record(in, c))
			return CSV_RECORD;
		import_skip_line(in);
		return broken(in, line, field,
			"text behind a closing quote; a quote inside a quoted field is written "
			"\"\"");
	}
}

static enum csv_end field_read(struct import *in, struct import_field *field)
{
	uint32_t line = in->line;

	import_field_clear(field);
	if (import_peek(in) == '"') {
		import_next(in);
		return quoted_read(in, field);
	}
	for (;;) {
		int c = import_next(in);

		if (c == ',')
			return CSV_FIELD;
		if (c == '\n' || c == IMPORT_END || (c == '\r' && ends_record(in, c)))
			return CSV_RECORD;
		if (c == '"') {
			import_skip_line(in);
			return broken(in, line, field,
				"a quote inside a field; such a field is put in quotes and the "
				"quote doubled");
		}
		import_field_add(field, (char)c);
	}
}

static bool header_read(struct import *in, struct csv_layout *layout)
{
	struct import_field *field = &in->column[COLUMN_SENDER];
	enum csv_end end = CSV_FIELD;
	unsigned seen = 0;

	layout->count = 0;
	while (end == CSV_FIELD) {
		enum import_column column;

		end = field_read(in, field);
		if (end == CSV_BROKEN)
			return false;
		column = import_column_of(import_field_text(field));
		if (column == COLUMN_COUNT_ || (seen & 1U << column)) {
			import_error(in, 1, import_field_text(field), HEADER_RULE);
			return false;
		}
		seen |= 1U << column;
		layout->at[layout->count++] = column;
	}
	if (!(seen & 1U << COLUMN_SENDER) || !(seen & 1U << COLUMN_OWNER)) {
		import_error(in, 1, import_field_text(field), HEADER_RULE);
		return false;
	}
	return true;
}

static void count_error(struct import *in, uint32_t line, size_t fields, size_t named)
{
	char reason[100];

	snprintf(reason, sizeof(reason), "%zu field%s, but the header names %zu", fields,
		fields == 1 ? "" : "s", named);
	import_error(in, line, import_field_text(&in->column[COLUMN_SENDER]), reason);
}

/* Fields beyond the header's are only counted. */
static void record_read(struct import *in, const struct csv_layout *layout)
{
	uint32_t line = in->line;
	enum csv_end end = CSV_FIELD;
	size_t fields = 0;
	char surplus_bytes[1];

	for (size_t i = 0; i < COLUMN_COUNT_; i++)
		import_field_clear(&in->column[i]);
	while (end == CSV_FIELD) {
		struct import_field surplus = {
			.bytes = surplus_bytes, .cap = sizeof(surplus_bytes)};

		end = field_read(
			in, fields < layout->count ? &in->column[layout->at[fields]] : &surplus);
		fields++;
	}
	if (end == CSV_BROKEN)
		return;
	if (fields == layout->count)
		import_row(in, line);
	else if (fields > 1 || in->column[layout->at[0]].len > 0) /* not an empty line */
		count_error(in, line, fields, layout->count);
}

void import_csv(struct import *in)
{
	struct csv_layout layout;

	if (import_peek(in) == IMPORT_END) {
		if (in->failure == ERR_OK)
			import_error(in, 1, TEXT(""), HEADER_RULE);
		return;
	}
	if (!header_read(in, &layout))
		return;
	while (import_peek(in) != IMPORT_END && in->failure == ERR_OK)
		record_read(in, &layout);
}

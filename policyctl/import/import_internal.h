/*
 * What the three importers share: a byte at a time with its line, bounded fields, one way to hand
 * in a row and one to complain. Private to import*.c.
 */
#ifndef POLICYCTL_IMPORT_INTERNAL_H
#define POLICYCTL_IMPORT_INTERNAL_H

#include "policyctl/import/import.h"

#define IMPORT_BUFFER 65536
#define IMPORT_END    (-1)
#define IMPORT_EXPIRES_MAX                                                                         \
	64 /* bytes kept of an `expires` column, for the message when it is wrong */

/* Bytes of one column. What is over its bound is read but not kept. */
struct import_field {
	char *bytes;
	size_t len, cap;
	bool is_long;
};

enum import_column { COLUMN_SENDER, COLUMN_OWNER, COLUMN_EXPIRES, COLUMN_COMMENT, COLUMN_COUNT_ };

struct import {
	const struct import_options *options;
	struct pairs *pairs;
	struct import_totals *totals;
	enum err failure; /* sticky: the source or the memory gave out; nothing more is read */
	uint64_t consumed;
	uint32_t line; /* of the next byte, from 1 */
	const char *at, *end;
	struct import_field column[COLUMN_COUNT_];

	/* The row before is kept parsed: sorted files repeat their patterns. */
	const char *pattern_fault;
	struct text pattern_typed;
	struct pattern pattern;
	struct owner owner;

	char buffer[IMPORT_BUFFER];
	char sender_bytes[PATTERN_MAX], owner_bytes[OWNER_MAX];
	char expires_bytes[IMPORT_EXPIRES_MAX], comment_bytes[ROW_COMMENT_MAX];
	char pattern_bytes[PATTERN_MAX];
};

/* Reads on; false at the end. */
bool import_fill(struct import *in);

static inline int import_peek(struct import *in)
{
	if (in->at == in->end && !import_fill(in))
		return IMPORT_END;
	return (unsigned char)*in->at;
}

static inline int import_next(struct import *in)
{
	int c = import_peek(in);

	if (c == IMPORT_END)
		return c;
	in->at++;
	if (c == '\n')
		in->line++;
	return c;
}

static inline void import_field_add(struct import_field *field, char c)
{
	if (field->len < field->cap)
		field->bytes[field->len++] = c;
	else
		field->is_long = true;
}

static inline void import_field_clear(struct import_field *field)
{
	field->len = 0;
	field->is_long = false;
}

static inline struct text import_field_text(const struct import_field *field)
{
	return (struct text){field->bytes, field->len};
}

/* Skips what is left of the physical line, its line feed too. */
void import_skip_line(struct import *in);

void import_error(struct import *in, uint32_t line, struct text value, const char *reason);
void import_warn(struct import *in, uint32_t line, struct text value, const char *reason);

/* Takes the four columns as one row of that line: checks each, adds the pair. False: refused, and
 * said so. */
bool import_row(struct import *in, uint32_t line);

/* "longer than N bytes" for a column. */
const char *import_long_reason(enum import_column column);
/* "sender", ... */
const char *import_column_name(enum import_column column);
/* COLUMN_COUNT_: no such column. */
enum import_column import_column_of(struct text name);

void import_postfix(struct import *in);
void import_csv(struct import *in);
void import_jsonl(struct import *in);

#endif

/*
 * JSON Lines: one object a line (RFC 8259, UTF-8), all values strings.
 *
 *   {"sender":"ceo@example.com","owner":"alice","expires":"2026-12-31","comment":"may be null or
 * left out"}
 *
 * Stricter than JSON asks: no member twice, no member but these four. Must not know what a pattern
 * is. A bad line is told and skipped up to its line feed, which JSON never has inside a string.
 */
#include "policyctl/import/import_internal.h"

#define MEMBER_RULE "no such member; sender, owner, expires and comment are allowed"

enum { MEMBER_NAME_MAX = 64 };

/* One line under way. reason: what is wrong with it, NULL so far. */
struct json_line {
	struct import *in;
	uint32_t line;
	struct import_field *value; /* what an error is about */
	const char *reason;
};

static bool fail(struct json_line *json, const char *reason)
{
	json->reason = reason;
	return false;
}

static int skip_blanks(struct import *in)
{
	int c = import_peek(in);

	while (c == ' ' || c == '\t' || c == '\r') {
		import_next(in);
		c = import_peek(in);
	}
	return c;
}

static bool expect(struct json_line *json, char wanted, const char *reason)
{
	if (skip_blanks(json->in) != (unsigned char)wanted)
		return fail(json, reason);
	import_next(json->in);
	return true;
}

static bool hex_read(struct json_line *json, unsigned *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		int c = import_peek(json->in);
		int lower = c | 0x20;

		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (unsigned)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			*unit = *unit << 4 | (unsigned)(lower - 'a' + 10);
		else
			return fail(json, "\\u wants four hexadecimal digits");
		import_next(json->in);
	}
	return true;
}

static void add_utf8(struct import_field *field, unsigned point)
{
	if (point < 0x80) {
		import_field_add(field, (char)point);
		return;
	}
	if (point < 0x800) {
		import_field_add(field, (char)(0xc0 | point >> 6));
	} else if (point < 0x10000) {
		import_field_add(field, (char)(0xe0 | point >> 12));
		import_field_add(field, (char)(0x80 | (point >> 6 & 0x3f)));
	} else {
		import_field_add(field, (char)(0xf0 | point >> 18));
		import_field_add(field, (char)(0x80 | (point >> 12 & 0x3f)));
		import_field_add(field, (char)(0x80 | (point >> 6 & 0x3f)));
	}
	import_field_add(field, (char)(0x80 | (point & 0x3f)));
}

static bool escape_u_read(struct json_line *json, struct import_field *field)
{
	static const char alone[] =
		"half of a surrogate pair; \\ud800 to \\udbff and \\udc00 to \\udfff go together";
	unsigned high, low;

	if (!hex_read(json, &high))
		return false;
	if (high >= 0xdc00 && high <= 0xdfff)
		return fail(json, alone);
	if (high < 0xd800 || high > 0xdbff) {
		add_utf8(field, high);
		return true;
	}
	if (import_peek(json->in) != '\\')
		return fail(json, alone);
	import_next(json->in);
	if (import_peek(json->in) != 'u')
		return fail(json, alone);
	import_next(json->in);
	if (!hex_read(json, &low))
		return false;
	if (low < 0xdc00 || low > 0xdfff)
		return fail(json, alone);
	add_utf8(field, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
	return true;
}

static bool escape_read(struct json_line *json, struct import_field *field)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = import_peek(json->in);
	const char *hit;

	if (c == 'u') {
		import_next(json->in);
		return escape_u_read(json, field);
	}
	hit = c > 0 ? strchr(from, c) : NULL;
	if (!hit)
		return fail(json, "a backslash is followed by one of \" \\ / b f n r t u");
	import_next(json->in);
	import_field_add(field, to[hit - from]);
	return true;
}

/* The string whose opening quote is the next byte. */
static bool string_read(struct json_line *json, struct import_field *field)
{
	import_field_clear(field);
	import_next(json->in);
	for (;;) {
		int c = import_peek(json->in);

		if (c == IMPORT_END || c == '\n')
			return fail(json, "a string that is not closed");
		if (c < ' ')
			return fail(json, "a control byte in a string; it is written \\u00XX");
		import_next(json->in);
		if (c == '"')
			return true;
		if (c != '\\')
			import_field_add(field, (char)c);
		else if (!escape_read(json, field))
			return false;
	}
}

static bool null_read(struct json_line *json)
{
	for (const char *p = "null"; *p; p++) {
		if (import_peek(json->in) != *p)
			return fail(json, "not a string; the four values are strings (null for no "
					  "expires or comment)");
		import_next(json->in);
	}
	return true;
}

static bool value_read(struct json_line *json, enum import_column column)
{
	struct import_field *field = &json->in->column[column];

	if (skip_blanks(json->in) == '"') {
		json->value = field;
		return string_read(json, field);
	}
	if (!null_read(json))
		return false;
	return column == COLUMN_EXPIRES || column == COLUMN_COMMENT ||
	       fail(json, "null; sender and owner are needed");
}

/* "name": value */
static bool member_read(struct json_line *json, struct import_field *name, unsigned *seen)
{
	enum import_column column;

	json->value = name;
	if (skip_blanks(json->in) != '"')
		return fail(json, "a member begins with its name in quotes");
	if (!string_read(json, name))
		return false;
	column = import_column_of(import_field_text(name));
	if (column == COLUMN_COUNT_ || name->is_long)
		return fail(json, MEMBER_RULE);
	if (*seen & 1U << column)
		return fail(json, "a member given twice");
	*seen |= 1U << column;
	return expect(json, ':', "no `:` behind a member's name") && value_read(json, column);
}

/* What stands there in place of an object, for the complaint. False. */
static bool start_of_line(struct json_line *json, struct import_field *name)
{
	int c = import_peek(json->in);

	while (c != '\n' && c != IMPORT_END && name->len < name->cap) {
		import_field_add(name, (char)c);
		import_next(json->in);
		c = import_peek(json->in);
	}
	return false;
}

static bool object_read(struct json_line *json, struct import_field *name)
{
	unsigned seen = 0;
	int c;

	if (!expect(json, '{', "not a JSON object; a line is {\"sender\":...,\"owner\":...}"))
		return start_of_line(json, name);
	if (skip_blanks(json->in) != '}') {
		if (!member_read(json, name, &seen))
			return false;
		while (skip_blanks(json->in) == ',') {
			import_next(json->in);
			if (!member_read(json, name, &seen))
				return false;
		}
	}
	if (!expect(json, '}', "no `,` or `}` behind a value"))
		return false;
	c = skip_blanks(json->in);
	if (c != '\n' && c != IMPORT_END)
		return fail(json, "text behind the object; one object a line");
	if (!(seen & 1U << COLUMN_SENDER) || !(seen & 1U << COLUMN_OWNER))
		return fail(json, "no sender or no owner; both are needed");
	return true;
}

static void line_read(struct import *in)
{
	char name_bytes[MEMBER_NAME_MAX];
	struct import_field name = {.bytes = name_bytes, .cap = sizeof(name_bytes)};
	struct json_line json = {.in = in, .line = in->line, .value = &name};
	bool good;

	for (size_t i = 0; i < COLUMN_COUNT_; i++)
		import_field_clear(&in->column[i]);
	good = object_read(&json, &name);
	if (!good)
		import_error(in, json.line, import_field_text(json.value), json.reason);
	import_skip_line(in);
	if (good)
		import_row(in, json.line);
}

void import_jsonl(struct import *in)
{
	while (in->failure == ERR_OK) {
		int c = skip_blanks(in);

		if (c == IMPORT_END)
			break;
		if (c == '\n')
			import_next(in);
		else
			line_read(in);
	}
}

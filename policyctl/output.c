/*
 * Printing, see output.h. Must not know what it prints.
 */
#include "policyctl/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "policyctl/arena.h"
#include "policyctl/import/import_write.h"
#include "policyctl/import/utf8.h"

enum { GRID_WIDTH_MAX = 48, GRID_CELL_MAX = 4096 };

struct grid {
	size_t columns, cells, cells_cap;
	size_t width[GRID_COLUMNS_MAX];
	struct text *cell;
	struct arena arena;
};

void complain(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("policyctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
}

/* Bytes to print as they stand, 0 where the next byte must be escaped. The C1 controls are two
 * bytes and none to a terminal. */
static size_t printable_length(struct text t)
{
	unsigned char c = (unsigned char)t.ptr[0];
	size_t len = utf8_length(t);

	if (c < ' ' || c == 127)
		return 0;
	if (c == 0xc2 && len == 2 && (unsigned char)t.ptr[1] < 0xa0)
		return 0;
	return len;
}

char *output_escape(struct text in, char *out, size_t cap)
{
	size_t at = 0, fits = 0; /* fits: up to where "..." still has room */

	while (in.len > 0) {
		size_t len = printable_length(in);
		size_t wide = len ? len : 4;

		if (at + wide + 1 > cap) {
			memcpy(out + fits, "...", 4);
			return out;
		}
		if (len > 0)
			memcpy(out + at, in.ptr, len);
		else
			snprintf(out + at, 5, "\\x%02x", (unsigned char)in.ptr[0]);
		at += wide;
		if (at + 4 <= cap)
			fits = at;
		in = text_tail(in, len ? len : 1);
	}
	out[at] = '\0';
	return out;
}

bool output_finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	complain("cannot write to standard output: %s", strerror(errno));
	return false;
}

bool output_keep(struct output_kept *kept)
{
	*kept = (struct output_kept){0};
	kept->out = open_memstream(&kept->bytes, &kept->len);
	if (!kept->out)
		complain("out of memory");
	return kept->out != NULL;
}

bool output_let_go(struct output_kept *kept)
{
	bool is_whole;

	if (!kept->out)
		return false;
	is_whole = !ferror(kept->out);
	if (fclose(kept->out) != 0)
		is_whole = false;
	kept->out = NULL;
	if (is_whole)
		fwrite(kept->bytes, 1, kept->len, stdout);
	else
		complain("out of memory");
	free(kept->bytes);
	return is_whole && !ferror(stdout);
}

static void json_lead(struct json *json, const char *name)
{
	if (json->follows)
		putc(',', json->out);
	json->follows = true;
	if (!name)
		return;
	import_write_json_string(json->out, text_of(name));
	putc(':', json->out);
}

void json_open(struct json *json, const char *name, char open)
{
	json_lead(json, name);
	putc(open, json->out);
	json->follows = false;
}

void json_close(struct json *json, char close, bool is_last)
{
	putc(close, json->out);
	json->follows = !is_last;
	if (is_last)
		putc('\n', json->out);
}

void json_text(struct json *json, const char *name, struct text value)
{
	json_lead(json, name);
	import_write_json_string(json->out, value);
}

void json_string(struct json *json, const char *name, const char *value)
{
	json_lead(json, name);
	if (value)
		import_write_json_string(json->out, text_of(value));
	else
		fputs("null", json->out);
}

void json_number(struct json *json, const char *name, uint64_t value)
{
	json_lead(json, name);
	fprintf(json->out, "%llu", (unsigned long long)value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	json_lead(json, name);
	fputs(value ? "true" : "false", json->out);
}

enum err grid_new(struct grid **out, size_t columns)
{
	struct grid *grid = calloc(1, sizeof(*grid));

	*out = grid;
	if (!grid)
		return ERR_NOMEM;
	grid->columns = columns;
	return ERR_OK;
}

void grid_free(struct grid *grid)
{
	if (!grid)
		return;
	arena_drop(&grid->arena);
	free(grid->cell);
	free(grid);
}

/* Characters, near enough: bytes that begin one. */
static size_t display_width(const char *s)
{
	size_t width = 0;

	for (; *s; s++)
		width += ((unsigned char)*s & 0xc0) != 0x80;
	return width;
}

static enum err cell_add(struct grid *grid, size_t column, struct text text)
{
	char escaped[GRID_CELL_MAX];
	struct text copy =
		arena_copy(&grid->arena, text_of(output_escape(text, escaped, sizeof(escaped))));
	size_t width;

	if (!copy.ptr || !array_reserve((void **)&grid->cell, grid->cells, &grid->cells_cap,
				 sizeof(*grid->cell)))
		return ERR_NOMEM;
	grid->cell[grid->cells++] = copy;
	width = display_width(copy.ptr);
	if (width > grid->width[column])
		grid->width[column] = width < GRID_WIDTH_MAX ? width : GRID_WIDTH_MAX;
	return ERR_OK;
}

enum err grid_add(struct grid *grid, const struct text *cells)
{
	for (size_t i = 0; i < grid->columns; i++)
		if (cell_add(grid, i, cells[i]) != ERR_OK)
			return ERR_NOMEM;
	return ERR_OK;
}

static void row_print(const struct grid *grid, const struct text *cells, FILE *out)
{
	size_t pending = 0; /* blanks owed before the next cell that is not empty */

	for (size_t i = 0; i < grid->columns; i++) {
		size_t width = display_width(cells[i].ptr);

		if (width > 0) {
			fprintf(out, "%*s%s", (int)pending, "", cells[i].ptr);
			pending = 0;
		}
		if (grid->width[i] > 0)
			pending += (width < grid->width[i] ? grid->width[i] - width : 0) + 2;
	}
	putc('\n', out);
}

void grid_print(const struct grid *grid, const char *indent, FILE *out)
{
	for (size_t i = 0; i + grid->columns <= grid->cells; i += grid->columns) {
		fputs(indent, out);
		row_print(grid, grid->cell + i, out);
	}
}

size_t grid_rows(const struct grid *grid)
{
	return grid->cells / grid->columns;
}

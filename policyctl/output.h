/*
 * What policyctl prints: JSON, aligned tables, complaints. Nothing from outside reaches a terminal
 * unescaped.
 *
 * Streams remember their own failure; output_finish() asks them once.
 */
#ifndef POLICYCTL_OUTPUT_H
#define POLICYCTL_OUTPUT_H

#include <stdio.h>

#include "policy/core/base.h"

/* One line on stderr: "policyctl: ...". Arguments from outside go through output_escape first. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define OUTPUT_SHORT 256 /* enough for a value in a message */

/* For a terminal: control bytes and what is not UTF-8 become \xHH (a backslash stays, patterns hold
 * them); what does not fit ends in "...". Returns out, NUL-terminated; cap is at least 8. */
char *output_escape(struct text in, char *out, size_t cap);

/* Flushes stdout; false, with a complaint, where something was lost. */
POLICY_CHECKED bool output_finish(void);

/* Output that is kept back while something is held that a slow reader must not hold with it: a
 * look at the register. */
struct output_kept {
	FILE *out; /* what is printed goes here */
	char *bytes;
	size_t len;
};
/* False: out of memory, complained. */
POLICY_CHECKED bool output_keep(struct output_kept *kept);
/* Now it goes to stdout. False: some of it was lost, complained. Where output_keep failed nothing is
 * done. */
POLICY_CHECKED bool output_let_go(struct output_kept *kept);

/* JSON, one value after the other; commas are its own affair. */
struct json {
	FILE *out;
	bool follows; /* a value stands before, in the same object or array */
};

/* name is NULL inside arrays and at the top. open: '{' or '['. */
void json_open(struct json *json, const char *name, char open);
/* At the top a line feed follows where is_last. */
void json_close(struct json *json, char close, bool is_last);
void json_text(struct json *json, const char *name, struct text value);
void json_string(struct json *json, const char *name, const char *value); /* NULL: null */
void json_number(struct json *json, const char *name, uint64_t value);
void json_bool(struct json *json, const char *name, bool value);

/* Columns as wide as their widest cell (up to 48), two blanks between. */
#define GRID_COLUMNS_MAX 8
struct grid;
POLICY_CHECKED enum err grid_new(struct grid **out, size_t columns);
void grid_free(struct grid *grid);
/* Copies and escapes one row of cells. ERR_NOMEM. */
POLICY_CHECKED enum err grid_add(struct grid *grid, const struct text *cells);
void grid_print(const struct grid *grid, const char *indent, FILE *out);
size_t grid_rows(const struct grid *grid);

#endif

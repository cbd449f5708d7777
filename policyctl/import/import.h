/*
 * Table text to pairs: the three formats that `policyctl load` and `diff` read.
 *
 * A file is judged as a whole: every bad row is told to on_error and the rest is still looked at,
 * so that one run shows all there is to repair. Knows patterns and owners, not the table in force,
 * and links without main.c.
 */
#ifndef POLICYCTL_IMPORT_H
#define POLICYCTL_IMPORT_H

#include <sys/types.h>

#include "policy/data/pairs.h"

enum import_format { IMPORT_POSTFIX, IMPORT_CSV, IMPORT_JSONL };

/* False: no such format. */
POLICY_CHECKED bool import_format_of(const char *name, enum import_format *out);

/* Something to say about one line. value: the text it is about, as it stands in the file (not
 * escaped). */
struct import_finding {
	uint32_t line;
	struct text value;
	const char *reason; /* what is wrong with it and what is allowed */
};

struct import_options {
	enum import_format format;
	const struct unicode_ops *unicode;
	/* As read(2): bytes, 0 at the end, -1 with errno. */
	ssize_t (*read)(void *ctx, void *buf, size_t cap);
	void (*on_error)(void *ctx, const struct import_finding *finding);
	void (*on_warning)(void *ctx, const struct import_finding *finding);
	void (*on_progress)(void *ctx, uint64_t bytes); /* now and then; may be NULL */
	void *ctx;
};

struct import_totals {
	uint64_t errors, warnings;
};

/* Reads everything and adds it to `pairs`, which is sorted and unique afterwards. ERR_INVALID: at
 * least one error was told. ERR_IO: the source failed, errno tells. ERR_NOMEM. */
POLICY_CHECKED enum err import_run(
	const struct import_options *options, struct pairs *pairs, struct import_totals *totals);

#endif

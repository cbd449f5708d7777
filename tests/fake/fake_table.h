/*
 * A table in memory for tests: answers a decision's candidates as data/authz would, and fails where
 * it is told to.
 */
#ifndef TESTS_FAKE_FAKE_TABLE_H
#define TESTS_FAKE_FAKE_TABLE_H

#include "policy/core/decision.h"

#define FAKE_ROWS_MAX 64

struct fake_table {
	enum lookup state; /* ABSENT: never loaded; FAILED: damaged as a whole */
	size_t count;
	struct {
		struct row_entry entry;
		bool is_damaged; /* the look-up of this pattern fails */
	} rows[FAKE_ROWS_MAX];
	size_t text_used;
	char text[8192]; /* what the entries point into */
};

/* Reads `pattern owner[, owner]... [until DATE]; pattern ...`, `-` for an empty table, `no table`,
 * `damaged table`; an owner `damaged` makes the look-up fail. \xHH stands for a byte. NULL, or what
 * is wrong. */
const char *fake_table_parse(struct fake_table *table, struct text source);

/* Fills facts for decision->candidates. */
void fake_table_find(
	const struct fake_table *table, const struct decision *decision, struct table_facts *facts);

/* Copies text to out, \xHH turned into its byte; returns the length. */
size_t fake_unescape(struct text in, char *out);

#endif

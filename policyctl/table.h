/*
 * Opens the table for a command: the file is first walked in a child process, so that a damaged one
 * ends in a sentence and not in SIGBUS or a half-true answer.
 */
#ifndef POLICYCTL_TABLE_H
#define POLICYCTL_TABLE_H

#include "policy/data/authz_load.h"
#include "policy/engine/config.h"

enum table_state {
	TABLE_READY, /* open; it holds a table */
	TABLE_EMPTY, /* none was ever loaded; *out may be NULL where not even the files are there */
	TABLE_BROKEN,     /* the file or a row is damaged: error says what; *out is open when
			     is_writable */
	TABLE_UNREADABLE, /* could not be opened: error */
};

/* The caller closes *out (NULL is fine for authz_close through table_close). */
POLICY_CHECKED enum table_state table_open(const struct config *config, bool is_writable,
	struct authz **out, char error[AUTHZ_ERROR_MAX]);
void table_close(struct authz *authz);

/* For commands that only read: complains and returns NULL unless a table is there; *none tells
 * ABSENT from trouble. */
struct authz *table_open_to_read(const struct config *config, bool *none);

#endif

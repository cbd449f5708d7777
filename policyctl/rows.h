/*
 * The rows behind a decision as they were typed: what explain and who show.
 *
 * The decision itself says which keys it looks up and what an entry of them counts for; here the
 * table is walked for the entries. Nothing is decided here.
 */
#ifndef POLICYCTL_ROWS_H
#define POLICYCTL_ROWS_H

#include "policyctl/arena.h"
#include "policyctl/command.h"

#include "policy/data/authz.h"

enum rows_says {
	ROWS_ALLOWS,
	ROWS_DENIES,
	ROWS_OUTRANKED, /* would allow or deny, but the same row names the login more exactly */
	ROWS_ENDED,     /* would say something had it not expired */
	ROWS_OTHERS,    /* is about other logins */
	ROWS_IGNORED /* does not count: typed otherwise than local_part = keep or first-hit want it
		      */
};

const char *rows_says_name(enum rows_says says);

/* One key that is looked up. */
struct rows_key {
	size_t reading;
	struct text text; /* "ceo@example.com", "@.example", "globs of example.com" */
	size_t found;     /* entries */
};

struct rows_line {
	size_t key; /* index into keys */
	struct text row_key;
	struct text pattern, owner, comment;
	struct expires expires;
	enum rows_says says;
	enum owner_kind kind;
	bool deny;
};

struct rows {
	struct arena arena;
	struct rows_key *keys;
	struct rows_line *lines; /* in the order of keys */
	struct text *readings;   /* the sender and what Postfix may make of it */
	struct text address;     /* what a row has to name for this sender alone; empty: nothing */
	size_t key_count, key_cap, line_count, line_cap, reading_count, reading_cap;
};

struct rows_question {
	struct text login; /* empty: lines say what they say to their owner */
	struct text sender;
	size_t readings_max; /* 0: as many as there may be */
};

/* False: could not be read, complained. rows is zeroed by the caller and freed in any case. */
POLICY_CHECKED bool rows_collect(struct rows *rows, const struct ctl *ctl, struct authz *authz,
	const struct rows_question *question);
void rows_free(struct rows *rows);

#endif

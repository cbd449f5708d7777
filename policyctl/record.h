/*
 * What is wrong with a published lockdown record, in plain words, and what to publish.
 *
 * What matches is the core's business (lockdown.h); here people are told why.
 */
#ifndef POLICYCTL_RECORD_H
#define POLICYCTL_RECORD_H

#include <stdio.h>

#include "policyctl/command.h"

#define RECORD_NOTE_MAX 512

enum record_kind {
	RECORD_COUNTS, /* one of ours */
	RECORD_FAULTY, /* meant to be one of ours, and does not count: note says why */
	RECORD_OTHER,  /* another provider's, or of something else */
};

struct record_look {
	enum record_kind kind;
	char note[RECORD_NOTE_MAX]; /* "" where there is nothing to say; not escaped */
};

void record_look(
	const struct lockdown_settings *lockdown, struct text txt, struct record_look *out);
const char *record_kind_name(enum record_kind kind);

struct field_look {
	struct lockdown_field field; /* texts borrowed from the record */
	bool names_us;               /* holds one of our accounts */
	bool may_match;              /* some login */
	bool matches;                /* the login asked for */
	char note[RECORD_NOTE_MAX];  /* for whom it is, or why for nobody; not escaped */
};

/* login: NULL where none was asked for. out->field is set by the caller. */
void field_look(const struct ctl *ctl, const struct login *login, struct field_look *out);

/* The line of a zone file that lets our accounts send: `auth`, or with a login `senderid` for it
 * alone. Writes nothing and returns false where there is no such record: no account is configured,
 * or the login cannot stand in one. */
bool record_write_zone_line(
	FILE *out, const struct ctl *ctl, struct text name, const struct login *login);

#endif

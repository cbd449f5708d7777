/*
 * The FILE of `load --tenants` and `load --accounts`: reads it, brings logins into canonical form,
 * tells what is wrong with it.
 *
 *   tenants    LOGIN TENANT, or @DOMAIN TENANT for every login there
 *   accounts   LOGIN
 *
 * One a line, blanks or tabs between; `#` begins a comment at the start of a word. UTF-8; LF or
 * CRLF.
 */
#ifndef POLICYCTL_LINES_H
#define POLICYCTL_LINES_H

#include "policyctl/arena.h"
#include "policyctl/command.h"
#include "policyctl/output.h"

#define LINES_SHOWN_MAX  20                /* errors told one by one */
#define LINES_FILE_MAX   ((size_t)1 << 30) /* bytes */
#define LINES_REASON_MAX 320

/* One thing that is wrong. Texts live in the arena. */
struct line_fault {
	size_t line;
	struct text value, reason;
};

struct lines {
	struct registry_line *lines; /* sorted, unique by key */
	size_t count, cap;
	size_t fault_count; /* of all; the first of them are in faults */
	struct line_fault faults[LINES_SHOWN_MAX];
	struct arena arena;
	char *bytes; /* the file */
	size_t len;
};

/* Reads ctl->input. CTL_YES: every line is good. CTL_NO: some are not, each said on stderr.
 * CTL_UNKNOWN: could not read, complained. lines_free in any case. */
enum ctl_exit lines_read(struct lines *lines, const struct ctl *ctl, enum registry_list list);
void lines_free(struct lines *lines);

#endif

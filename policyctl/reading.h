/*
 * Reads the FILE of load and diff into pairs and tells what is wrong with it, bounded.
 */
#ifndef POLICYCTL_READING_H
#define POLICYCTL_READING_H

#include "policyctl/command.h"
#include "policyctl/output.h"
#include "policyctl/progress.h"

#define READING_SHOWN_MAX 20 /* errors and warnings that are told one by one, of each */

struct reading {
	const struct ctl *ctl;
	struct pairs *pairs; /* sorted, unique; the caller's until reading_free */
	struct import_totals totals;
	struct progress progress;
	uint64_t size; /* of the input, 0 where unknown */
	/* --json: what stderr was told, kept as a JSON array without brackets */
	FILE *findings;
	char *findings_json;
	size_t findings_len;
	bool has_findings;
};

/* CTL_YES: every row is good. CTL_NO: rows were refused, each said on stderr. CTL_UNKNOWN: could
 * not read. */
enum ctl_exit reading_run(struct reading *reading, const struct ctl *ctl);
void reading_free(struct reading *reading);

/* "findings": [{"line":..,"kind":"error","value":..,"reason":..}, ...] into an open object. */
void reading_write_json(struct reading *reading, struct json *json);

#endif

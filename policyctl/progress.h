/*
 * A progress bar on stderr, drawn only where that is a terminal.
 */
#ifndef POLICYCTL_PROGRESS_H
#define POLICYCTL_PROGRESS_H

#include "policy/core/base.h"

struct progress {
	bool is_shown;
	const char *what; /* "reading", "writing" */
	unsigned drawn;   /* percent on the screen, 101: nothing yet */
};

void progress_init(struct progress *progress, const char *what);
/* of = 0: the end is not known, nothing is drawn. */
void progress_tick(struct progress *progress, uint64_t done, uint64_t of);
/* Takes the bar off the screen, so that messages have the line. */
void progress_clear(struct progress *progress);

#endif

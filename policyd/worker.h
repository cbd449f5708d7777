/*
 * A worker process: answers requests until it is told to stop.
 *
 * Forked by the supervisor after privileges were dropped; opens the table itself, after the fork,
 * and reads it only while the keeper's verdict in shared memory allows. Writes nothing durable.
 * What fails inside a request is an answer that defers; what fails at start ends the process, and
 * the supervisor starts another.
 */
#ifndef POLICYD_WORKER_H
#define POLICYD_WORKER_H

#include "policyd/child.h"

/* Returns the process's exit code. */
int worker_run(const struct child_start *start);

/* How the limit of open files is shared between connections and DNS queries in flight. */
struct descriptor_plan {
	unsigned connections, in_flight;
};

/* At most what the configuration wants; where not all of it fits, DNS queries get at most a
 * quarter. */
struct descriptor_plan worker_plan_descriptors(const struct config *config, size_t listen_count);

#endif

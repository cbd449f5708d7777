/*
 * The daemon's first process: binds, drops privileges, forks keeper and workers, restarts what
 * dies, reloads, ends.
 *
 * Parses nothing that a client sent and never opens the table: whatever those do to a process, this
 * one lives on. What fails at the start is logged and is the exit code; what fails at a reload
 * leaves everything as it was.
 */
#ifndef POLICYD_SUPERVISOR_H
#define POLICYD_SUPERVISOR_H

#include "policy/engine/config.h"

/* Runs the daemon until SIGTERM or SIGINT; returns the exit code. `config` was read from `source`
 * and is the supervisor's from now on. */
int supervisor_run(struct config *config, const struct config_source *source);

#endif

/*
 * The keeper process: walks table and ownership register and says in shared memory whether they may
 * be read, re-checks claims, runs hooks, serves the control socket. The daemon's only durable
 * writer.
 *
 * The walks happen in children of its own, so that a lost page (SIGBUS) ends such a child and not
 * the keeper. It answers no policy requests. When it cannot find out, the verdict stays what it was
 * and it tries again.
 */
#ifndef POLICYD_KEEPER_H
#define POLICYD_KEEPER_H

#include "policyd/child.h"

/* Returns the process's exit code. start's listeners (closed already) and slot are not used. */
int keeper_run(const struct child_start *start);

#endif

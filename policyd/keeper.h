/*
 * The keeper process: walks the table and says in shared memory whether it may be read.
 *
 * The walk happens in a child of its own, so that a lost page (SIGBUS) ends that child and not the
 * keeper. It does not answer requests. When it cannot find out, the verdict stays what it was and
 * it tries again.
 */
#ifndef POLICYD_KEEPER_H
#define POLICYD_KEEPER_H

#include "policyd/child.h"

/* Returns the process's exit code. start's listeners (closed already) and slot are not used. */
int keeper_run(const struct child_start *start);

#endif

/*
 * Whether a worker's DNS cache is still the one that its path leads to; opens it anew where not.
 *
 * Knows what a path leads to, nothing of what is in a cache. While it cannot be opened it is done
 * without, and tried again when its folder has changed.
 */
#ifndef POLICYD_CACHE_WATCH_H
#define POLICYD_CACHE_WATCH_H

#include "policy/data/cache_folder.h"
#include "policy/engine/dns_stack.h"

struct cache_watch {
	struct dns_stack *dns;
	struct log *log;
	struct cache_folder_view opened; /* when it was opened, or could not be */
	struct cache_folder_view last;   /* a tick ago */
	bool is_due;
};

/* After dns opened its cache, or could not. */
void cache_watch_begin(struct cache_watch *watch);

/* Once a second. What was removed or replaced is noticed with the second tick that sees the same:
 * then nobody is removing or copying it any more. Where another process is opening the cache, this
 * may wait for it as cache_open does. */
void cache_watch_tick(struct cache_watch *watch, const struct config *config);

#endif

/*
 * Cache, resolver and TXT source of one process, put together as the configuration says.
 *
 * Knows which options go where, nothing of questions or answers. A cache that cannot be opened is
 * done without (said in the log); without memory there is no stack.
 */
#ifndef POLICY_ENGINE_DNS_STACK_H
#define POLICY_ENGINE_DNS_STACK_H

#include "policy/engine/config.h"
#include "policy/engine/txt_source.h"

struct dns_stack {
	struct ev_loop *loop;
	struct log *log;
	/* Set before the first open where the cache is not to be where the configuration of the day
	 * says. */
	const char *cache_dir; /* NULL: as the configuration says */
	unsigned cache_max_mb;
	bool makes_no_cache; /* set before: only a cache that is there already is used */
	struct cache *cache; /* NULL: done without */
	ev_prepare settle;   /* private: before the loop waits */
	struct resolver *resolver;
	struct txt_source *txt; /* what the session asks; NULL: lockdown is off */
};

/* Opens what `config` needs: nothing when lockdown is off. Zeroed before. ERR_NOMEM, ERR_IO (no
 * random numbers, or resolv_conf cannot be read). */
POLICY_CHECKED enum err dns_stack_open(struct dns_stack *stack, const struct config *config,
	struct ev_loop *loop, struct log *log);
/* A new configuration: what waits goes on, what begins from now on follows it. The cache stays
 * where it is; its folder and size change with a restart. On an error the old settings stay. */
POLICY_CHECKED enum err dns_stack_configure(struct dns_stack *stack, const struct config *config);
void dns_stack_close(struct dns_stack *stack);

/* How the resolver asks, as configured; borrows from it. */
struct resolver_options dns_stack_options(const struct config *config);

#endif

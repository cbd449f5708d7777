/*
 * TXT records by name, from the cache or the DNS: what the session (and `policyctl lockdown`) asks
 * for a fact.
 *
 * Cache first; then the login's token bucket; then the resolver, whose answer goes into the cache.
 * Stale answers only while the DNS fails. Refreshes what is about to end without making anybody
 * wait. A cache that fails is an empty one.
 */
#ifndef POLICY_ENGINE_TXT_SOURCE_H
#define POLICY_ENGINE_TXT_SOURCE_H

#include "policy/core/bucket.h"
#include "policy/data/cache.h"
#include "policy/engine/resolver.h"

/* A fact as the decision takes it. */
struct txt_fact {
	struct dns_answer answer; /* FAILED only when there is no stale one either */
	bool is_cached, is_stale;
	uint32_t ttl_left_s;
};

struct txt_source;

/* Borrowed until the next configure or free. The clock is passed in, so that tests have their
 * own. */
struct txt_source_parts {
	struct resolver
		*resolver;   /* NULL: the cache alone; what is not there is FAILED (network) */
	struct cache *cache; /* NULL: none */
	int64_t (*now_ms)(void *ctx); /* CLOCK_BOOTTIME milliseconds */
	void *clock_ctx;
	struct cache_rules rules;
	struct bucket_rule new_domains; /* a login */
};
POLICY_CHECKED enum err txt_source_new(
	struct txt_source **out, const struct txt_source_parts *parts);
/* Before its resolver is freed and after every wait was answered or cancelled; never from
 * on_fact. NULL is fine. */
void txt_source_free(struct txt_source *source);
/* With another resolver: before the old one is freed. Waits go on where they asked. */
void txt_source_configure(struct txt_source *source, const struct txt_source_parts *parts);

/* Embedded in its owner, zeroed before the first use; one question at a time. */
struct txt_wait {
	void (*on_fact)(struct txt_wait *wait, const struct txt_fact *fact);
	void *owner;
	struct resolver_waiter waiter; /* private */
	struct txt_source *source;     /* private */
	int64_t asked_ms;              /* private */
	char name[DNS_NAME_MAX + 1];   /* private */
};

/* True: *fact is set at once. False: the fact comes to wait->on_fact later, never before this
 * returns, unless txt_cancel. name: canonical, at most DNS_NAME_MAX bytes. The login pays for every
 * question that has to go to the DNS on its behalf, one that others wait for already included
 * (empty login: nobody pays); over its limit the fact is FAILED (limit), at once, even if a stale
 * answer is there: nobody may switch lockdown off or freeze a record by using up a limit. */
POLICY_CHECKED bool txt_ask(struct txt_source *source, struct text name, struct text login,
	struct txt_wait *wait, struct txt_fact *fact);
/* Its time is up: calls on_fact at once, as if the DNS had failed so (TIMEOUT: a stale answer may
 * help) or as if it was our own limit (LIMIT). Only while it waits. */
void txt_give_up(struct txt_wait *wait, enum dns_failure failure);
/* Fine when it does not wait. */
void txt_cancel(struct txt_wait *wait);

#endif

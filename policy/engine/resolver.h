/*
 * Asks the DNS for TXT records without blocking: libev moves the bytes, dnswire reads them.
 *
 * Every try has a connected UDP socket of its own with a fresh port and a random id; an answer must
 * match address, port, id and question, and after a wrong packet it keeps listening. TC means TCP
 * with a deadline of its own; FORMERR or NOTIMP once more without EDNS, even as a bare header.
 * Servers with the fewest recent failures first, a failed one is tried again now and then;
 * an ICMP error only passes the turn on, with a pause once all had theirs. One query in flight a
 * name: others wait for it. At most max_in_flight queries, the rest queue (bounded); past that,
 * and past deadline_ms from the first ask, the answer is FAILED. Knows no cache, no login, no
 * meaning of records.
 */
#ifndef POLICY_ENGINE_RESOLVER_H
#define POLICY_ENGINE_RESOLVER_H

#include <ev.h>

#include "policy/core/dns.h"
#include "policy/engine/log.h"
#include "policy/engine/resolv_conf.h"

struct resolver;

struct resolver_options {
	const char *resolv_conf;           /* watched for changes; ignored when servers.count > 0 */
	const struct nameservers *servers; /* of policyd.ini; count 0: resolv_conf */
	uint32_t timeout_ms;               /* of one try */
	unsigned attempts;                 /* over all servers */
	uint32_t deadline_ms;              /* of a question, all in all */
	unsigned max_in_flight;
	unsigned max_queued; /* names waiting for a place; more is FAILED (limit) at once */
};

POLICY_CHECKED enum err resolver_new(struct resolver **out, struct ev_loop *loop, struct log *log,
	const struct resolver_options *options);
/* Cancels everything; no callback is called any more. */
void resolver_free(struct resolver *resolver);
/* New options for queries that begin from now on. */
POLICY_CHECKED enum err resolver_configure(
	struct resolver *resolver, const struct resolver_options *options);

/* One that waits for an answer: embedded in its owner, zeroed before the first use. */
struct resolver_waiter {
	void (*on_answer)(struct resolver_waiter *waiter, const struct dns_answer *answer);
	void *owner;
	struct resolver_waiter *next, **link; /* private */
	struct resolver_query *query;         /* private; NULL when it does not wait */
};

/* Asks for TXT records of name. on_answer is called exactly once, never before this returns, with
 * an answer that is valid during the call. The waiter may ask or cancel others in its callback. */
void resolver_ask(struct resolver *resolver, struct text name, struct resolver_waiter *waiter);
/* No callback any more; the query ends when nobody waits. Fine when it does not wait. */
void resolver_cancel(struct resolver_waiter *waiter);

struct resolver_stat {
	uint64_t queries, tcp, timeouts, mismatched, dropped, coalesced, refused_by_limit;
	unsigned in_flight, queued, names_waited_for;
};
void resolver_stat(const struct resolver *resolver, struct resolver_stat *out);

#endif

/*
 * A resolver without a network for tests: takes the place of policy/engine/resolver.c by being
 * linked before the archive. Counts what it is asked, answers when it is told to.
 *
 *   fake_resolver_script(resolver, "_l.example", &answer);   what the next questions will get
 *   fake_resolver_run(resolver);                             answers everything that has a script
 *   fake_resolver_answer(resolver, "_l.example", &answer);   this one, now
 *
 * As the real one: one query a name, others join it; no callback before the ask returns; a query
 * ends when nobody waits. Aborts where a test misuses it.
 */
#ifndef TESTS_FAKE_FAKE_RESOLVER_H
#define TESTS_FAKE_FAKE_RESOLVER_H

#include "policy/engine/resolver.h"

/* resolver_new() without the parts that a fake does not need; resolver_free() frees it. */
struct resolver *fake_resolver_new(void);

/* Kept (copied) for the name, "*" for every name without one of its own, until replaced. */
void fake_resolver_script(
	struct resolver *resolver, const char *name, const struct dns_answer *answer);

/* Answers every query under way that has a script, and those that the callbacks begin; returns how
 * many callbacks were called. */
unsigned fake_resolver_run(struct resolver *resolver);

/* Answers all who wait for the name; returns how many. */
unsigned fake_resolver_answer(
	struct resolver *resolver, const char *name, const struct dns_answer *answer);

/* Queries begun so far for a name, NULL for any; those that joined one are not counted. */
unsigned fake_resolver_asks(const struct resolver *resolver, const char *name);
/* How many wait for the name now, NULL for any. */
unsigned fake_resolver_waiting(const struct resolver *resolver, const char *name);

/* Answers to script. */
void fake_answer_found(struct dns_answer *answer, uint32_t ttl_s, const char *txt);
void fake_answer_absent(struct dns_answer *answer, uint32_t ttl_s);
void fake_answer_failed(struct dns_answer *answer, enum dns_failure failure, uint8_t rcode);

#endif

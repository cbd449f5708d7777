/*
 * Asks the DNS for several names at once, past the cache, on a loop of its own, with the resolver
 * and the options of the daemon.
 */
#ifndef POLICYCTL_DNS_NOW_H
#define POLICYCTL_DNS_NOW_H

#include "policy/core/dns.h"
#include "policyctl/command.h"

#define DNS_NOW_MAX 8

struct dns_now_question {
	struct text name;         /* canonical */
	struct dns_answer answer; /* FAILED, too, where nobody could be asked */
};

/* Waits for all answers, at most [dns] deadline_ms. False: the resolver cannot start, complained.
 * count is at most DNS_NOW_MAX. */
POLICY_CHECKED bool dns_now_ask(
	const struct config *config, struct dns_now_question *questions, size_t count);

#endif

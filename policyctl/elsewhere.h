/*
 * A proof that does not stand where it belongs: the places where people put it by mistake.
 */
#ifndef POLICYCTL_ELSEWHERE_H
#define POLICYCTL_ELSEWHERE_H

#include "policyctl/claimable.h"
#include "policyctl/dns_now.h"

struct elsewhere {
	size_t count;
	struct dns_now_question questions[DNS_NOW_MAX];
	char names[DNS_NOW_MAX][DNS_NAME_MAX + 1];
};

/* Asks the DNS. False: complained; count is 0. */
POLICY_CHECKED bool elsewhere_ask(
	const struct ctl *ctl, const struct claimable *domain, struct elsewhere *out);
/* Where the proof with this token is, or something much like it; empty: nowhere. */
struct text elsewhere_find(
	const struct ctl *ctl, const struct elsewhere *elsewhere, struct text token);

#endif

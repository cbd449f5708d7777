/*
 * Takes tokens out of what the DNS showed, before it is printed.
 */
#ifndef POLICYCTL_CLAIM_MASK_H
#define POLICYCTL_CLAIM_MASK_H

#include "policyctl/command.h"

#define CLAIM_MASKED_MAX ((size_t)2 * CLAIM_SEEN_MAX)

/* Tokens of these claims, and whatever stands behind our prefix, become "...". except: the tenant
 * whose token may be seen, empty for nobody. Returns out, NUL-terminated. */
const char *claim_mask(const struct ctl *ctl, struct text text, const struct claim *claims,
	size_t count, struct text except, char out[CLAIM_MASKED_MAX]);
/* Whether a text may hold a token at all. */
bool claim_may_hold_token(const struct ctl *ctl, struct text text);

/* Reason and last answer of a claim, for people. */
struct claim_masked {
	char reason[CLAIM_MASKED_MAX], seen[CLAIM_MASKED_MAX];
};
/* claims: all of the domain. */
void claim_mask_all(const struct ctl *ctl, const struct claim *claim, const struct claim *claims,
	size_t count, struct claim_masked *out);

#endif

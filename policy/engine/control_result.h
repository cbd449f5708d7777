/*
 * What came of a look for proofs (prover.h) as attributes of a control message, both ways.
 *
 * A group begins with tenant= and holds finding, changed, before, after, holder, expected, seen,
 * differs_at, sentence, since, proved_at, checked_at, next_check. Not the token by itself: it is
 * in `expected`.
 */
#ifndef POLICY_ENGINE_CONTROL_RESULT_H
#define POLICY_ENGINE_CONTROL_RESULT_H

#include "policy/engine/control.h"
#include "policy/engine/prover.h"

/* Appends one group. False: no room; the message may hold a part of it. */
POLICY_CHECKED bool control_add_result(
	struct control_message *message, const struct prover_result *result);

/* The groups of an answer, zeroed but for what they hold. Returns how many (at most cap). What is
 * no number is zero, what is no known name CHALLENGE_UNKNOWN, CLAIM_IMPOSSIBLE, CLAIM_NONE. */
size_t control_read_results(
	const struct control_message *message, struct prover_result *out, size_t cap);

#endif

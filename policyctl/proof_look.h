/*
 * A look for the proofs of a domain's claims now: by the daemon where one runs, else by this
 * process, with the daemon's resolver and rules.
 */
#ifndef POLICYCTL_PROOF_LOOK_H
#define POLICYCTL_PROOF_LOOK_H

#include "policy/engine/prover.h"
#include "policyctl/command.h"

struct proof_look {
	bool by_daemon;
	char server[64]; /* who answered last; "" not known */
	char answer[32]; /* "NOERROR", or why there is none: "timeout"; "" not known */
	size_t count;    /* 0: a look means nothing for these claims */
	struct prover_result results[CLAIMS_PER_DOMAIN];
};

/* tenant: empty for every claim. CTL_UNKNOWN: it came to nothing, complained. The outcome of each
 * claim is durable when this returns. */
enum ctl_exit proof_look(
	const struct ctl *ctl, struct text domain, struct text tenant, struct proof_look *out);

#endif

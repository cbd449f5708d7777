/*
 * What a look for a claim's proof found, as people and programs read it: what was expected, what is
 * there, where they differ, what to do.
 */
#ifndef POLICYCTL_PROOF_TEXT_H
#define POLICYCTL_PROOF_TEXT_H

#include "policy/engine/prover.h"
#include "policyctl/claim_text.h"

struct proof_text {
	const struct ctl *ctl;
	const struct prover_result *result; /* NULL: this claim is not looked at */
	const struct claim *claim;          /* as it is afterwards */
	const struct claim *claims;         /* all of the domain, for what must not be seen */
	size_t count;
	bool shows_value;      /* the token of this claim may be seen */
	struct text name;      /* where the record belongs */
	struct text elsewhere; /* where it is instead; empty: nowhere */
};

void proof_text_print(const struct proof_text *text);
/* One object. */
void proof_text_write(const struct proof_text *text, struct json *json);

#endif

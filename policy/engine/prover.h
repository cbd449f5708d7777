/*
 * Looks for the proofs of claims in the DNS and writes down what came of it: the keeper's re-checks
 * and `policyctl domain check`.
 *
 * Asks the resolver directly, past every cache. One question a domain serves all of its claims; at
 * most PROVER_IN_FLIGHT domains at a time, and what came in is written in batches
 * (registry_change_all), so that a round over 100,000 domains costs few transactions. Knows the
 * DNS's answers only through challenge_judge and no rule of a claim's life (claim_step has them). A
 * register that cannot be written is logged and asked again later; nothing is lost but time.
 */
#ifndef POLICY_ENGINE_PROVER_H
#define POLICY_ENGINE_PROVER_H

#include "policy/data/registry.h"
#include "policy/engine/config.h"
#include "policy/engine/resolver.h"

#define PROVER_IN_FLIGHT 64
#define PROVER_BATCH     256

struct prover;

/* Borrowed until the next configure or free. */
struct prover_parts {
	struct resolver *resolver;
	struct registry *registry;
	const struct ownership_config *ownership;
	struct log *log;
	int64_t (*unix_s)(void *ctx);
	int64_t (*steady_ms)(void *ctx); /* what nobody can set: for pauses */
	void *clock_ctx;
	struct registry_actor actor; /* of audit lines: "policyd", or who runs policyctl */
};
POLICY_CHECKED enum err prover_new(struct prover **out, const struct prover_parts *parts);
/* Every look of a person was answered or cancelled before. NULL is fine. */
void prover_free(struct prover *prover);
void prover_configure(struct prover *prover, const struct prover_parts *parts);

/* Once a second: begins looks at what is due. Bounded work a call. */
void prover_tick(struct prover *prover);

/* What came of one claim of a look. */
struct prover_result {
	char tenant[TENANT_MAX + 1];
	struct registry_outcome outcome;
	enum challenge_word word;
	char expected[CHALLENGE_VALUE_MAX + 1]; /* the value looked for */
	char seen[CLAIM_SEEN_MAX + 1];          /* escaped; "" nothing */
	size_t differs_at;
	char sentence[CLAIM_REASON_MAX + 1];
};

/* A look on demand. Embedded in its owner, zeroed before. */
struct prover_look {
	/* Called once, after everything is durable. err: ERR_OK; ERR_ABSENT: no such claim; else the
	 * register could not be read or written (logged). `answer` is what the DNS said (NULL on an
	 * error), of the name LABEL.DOMAIN. All valid during the call. */
	void (*on_done)(struct prover_look *look, enum err err, const struct dns_answer *answer,
		const struct prover_result *results, size_t count);
	void *owner;
	/* Who asks, for the audit lines; lent until the call. Without a name it is parts.actor. */
	struct registry_actor actor;
	void *place; /* private; NULL when it does not wait */
};
/* tenant empty: every claim on the domain that a look means something for (not hosted, pinned,
 * removed). Never calls back before it returns. ERR_NOMEM: no look, no call. */
POLICY_CHECKED enum err prover_check(
	struct prover *prover, struct text domain, struct text tenant, struct prover_look *look);
void prover_cancel(struct prover_look *look); /* fine when it does not wait */

/* LABEL.DOMAIN; false: a domain that cannot have the record. out has DNS_NAME_MAX + 1 bytes. */
POLICY_CHECKED bool prover_name(
	const struct ownership_config *ownership, struct text domain, char *out, struct text *name);

#endif

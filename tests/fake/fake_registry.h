/*
 * An ownership register in memory for tests: answers a decision's question as data/registry would,
 * and makes a real one that says the same.
 */
#ifndef TESTS_FAKE_FAKE_REGISTRY_H
#define TESTS_FAKE_FAKE_REGISTRY_H

#include "policy/data/registry.h"

#define FAKE_CLAIMS_MAX  32
#define FAKE_SENDERS_MAX 32
#define FAKE_TENANTS_MAX 32

struct fake_claim {
	char domain[DOMAIN_MAX + 1], tenant[TENANT_MAX + 1];
	enum claim_state state;
	bool is_tombstone;
};

struct fake_sender {
	char domain[DOMAIN_MAX + 1], tenant[TENANT_MAX + 1];
	char login[256], local[256];
	bool is_pending;
};

struct fake_tenant {
	char key[256], tenant[TENANT_MAX + 1]; /* login or @login-domain */
};

struct fake_registry {
	bool is_damaged;
	size_t claim_count, sender_count, tenant_count;
	struct fake_claim claims[FAKE_CLAIMS_MAX];
	struct fake_sender senders[FAKE_SENDERS_MAX];
	struct fake_tenant tenants[FAKE_TENANTS_MAX];
};

/* One directive:
 *   claim DOMAIN TENANT STATE [again]               again: claimed again after it was removed
 *   allow DOMAIN TENANT LOGIN[ LOCAL] [pending]     LOGIN may be @login-domain
 *   tenant LOGIN TENANT                              likewise
 *   register damaged | empty
 * False: it is none of these. *wrong: what is wrong with it, or NULL. Everything is canonical. */
POLICY_CHECKED bool fake_registry_read(
	struct fake_registry *registry, const char *line, const char **wrong);

/* Fills the fact for a question. */
void fake_registry_find(const struct fake_registry *registry,
	const struct ownership_question *question, struct ownership_fact *fact);

/* Makes an empty real register hold the same, by the events that lead to each state. NULL, or what
 * is wrong. */
const char *fake_registry_store(
	const struct fake_registry *registry, struct registry *real, int64_t now);

#endif

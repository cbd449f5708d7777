/*
 * The register's side of who and senders: the entries of `domain allow` that count or wait, and who
 * holds a domain.
 *
 * Nothing is decided here. Everything is copied, so that the engine can be asked about it.
 */
#ifndef POLICYCTL_ALLOWED_H
#define POLICYCTL_ALLOWED_H

#include "policyctl/arena.h"
#include "policyctl/command.h"

struct allowed_entry {
	struct text domain, tenant, login;
	struct text local;   /* empty: the whole domain */
	struct text address; /* "sales@example.com", "@example.com" */
	bool is_pending;
};

struct allowed {
	struct arena arena;
	struct allowed_entry *entries; /* of claims in force alone */
	size_t count, cap;
};

struct allowed_question {
	struct text domain;        /* canonical; empty: every domain */
	const struct login *login; /* only entries that mean it; NULL: all */
};

/* False: could not be read, complained. allowed is zeroed by the caller and freed in any case.
 * registry may be NULL: there is none. */
POLICY_CHECKED bool allowed_collect(struct allowed *allowed, struct registry *registry,
	const struct allowed_question *question);
void allowed_free(struct allowed *allowed);

/* Whether an entry is about the sender with this canonical local part. */
bool allowed_is_about(
	const struct allowed_entry *entry, struct text local, struct text recipient_delimiter);

/* The claim that speaks for a domain, whoever asks: the one in force, else a removed one, else a
 * revoked one; CLAIM_NONE: every tenant is free. */
struct holding {
	enum claim_state state;
	char tenant[TENANT_MAX + 1];
};
POLICY_CHECKED bool holding_read(
	struct holding *holding, struct registry *registry, struct text domain);

/* Step 8 for a login and every sender of a domain: false, *why is the reason, where it refuses.
 * registry may be NULL. */
bool allowed_holds(struct registry *registry, const struct settings *settings,
	const struct ownership_question *question, enum reason *why);

#endif

/*
 * What the ownership register says to one sender and login: the fact that step 8 of the decision
 * works with. Made by data/registry, judged by rules_ownership.c.
 *
 * Plain data; nothing here fails.
 */
#ifndef POLICY_CORE_OWNERSHIP_H
#define POLICY_CORE_OWNERSHIP_H

#include "policy/core/address.h"
#include "policy/core/claim.h"

/* [ownership] required. */
enum ownership_required {
	OWNERSHIP_CLAIMED, /* domains that somebody claimed are judged, all others pass */
	OWNERSHIP_ALL,     /* a domain without a claim in force is refused */
	OWNERSHIP_NO,      /* the register is not asked */
};

/* Whether `domain allow` entries of the claim in force name this login for this sender. */
enum sender_word {
	SENDER_NOT_NAMED,
	SENDER_UNAPPROVED, /* only entries that wait for approval */
	SENDER_ALLOWED,
};

struct ownership_question {
	struct text domain; /* of the sender, canonical */
	struct text local;  /* of the sender, canonical */
	const struct login *login;
	struct text recipient_delimiter; /* an entry for an address holds for its extensions */
	bool wants_sender; /* `sender` below is wanted; else it stays SENDER_NOT_NAMED */
};

struct ownership_fact {
	enum lookup status;     /* FOUND: somebody claimed the domain (or did once); ABSENT: nobody;
				   FAILED: the register cannot be read */
	enum claim_state force; /* of the claim in force, CLAIM_NONE: there is none */
	enum claim_state own;   /* of the claim that the login's tenant has, CLAIM_NONE: none */
	bool is_revoked;        /* there is a claim in that state */
	bool is_removed; /* likewise, or one that another tenant than the login's claimed again
			    after it was removed, and that has not been in force since */
	bool is_claimed_again; /* the claim that decides is such a one */
	bool names_senders;    /* the claim in force has approved entries */
	enum sender_word sender;
	int64_t since; /* of the claim that decides: the one in force, else removed, revoked, own */
	char holder[TENANT_MAX + 1];       /* tenant of the claim that decides, "" none */
	char tenant[TENANT_MAX + 1];       /* of the login, "" none; looked up only where a claim or
					OWNERSHIP_ALL makes it matter */
	char reason[CLAIM_REASON_MAX + 1]; /* of the claim that decides */
};

#endif

/*
 * The proof of a claim: LABEL.DOMAIN TXT "PREFIX" followed by the claim's token.
 *
 * Pure. Reads what the DNS answered to one question and says whether the proof is in it, and if
 * not, what the owner of the domain did instead. Blanks around the value and the case of its letters
 * do not count, everything else does. A claim without a token of CLAIM_TOKEN_LEN is never proved.
 */
#ifndef POLICY_CORE_CHALLENGE_H
#define POLICY_CORE_CHALLENGE_H

#include "policy/core/claim.h"
#include "policy/core/dns.h"

struct challenge {
	struct text label;     /* [ownership] label, canonical */
	struct text prefix;    /* [ownership] prefix */
	struct text token;     /* in force */
	struct text old_token; /* the one before it, or empty */
};

enum challenge_word {
	CHALLENGE_PROVED,
	CHALLENGE_ABSENT,      /* no record there: NXDOMAIN or no TXT */
	CHALLENGE_NO_MATCH,    /* records, none of them like ours */
	CHALLENGE_QUOTED,      /* the value, with quotes (and blanks) that are part of it */
	CHALLENGE_NO_PREFIX,   /* the token, not behind our prefix */
	CHALLENGE_OLD_TOKEN,   /* the token of an earlier claim */
	CHALLENGE_OTHER_TOKEN, /* our prefix, a token that is not this claim's */
	CHALLENGE_BLANKS,      /* white space inside the value */
	CHALLENGE_CUT,         /* a beginning of the value, or the value with more around it */
	CHALLENGE_UNKNOWN,     /* the answer FAILED */
};

struct challenge_finding {
	enum challenge_word word;
	struct text seen;  /* the record that word speaks of, without the blanks around it; from
			      the answer. Empty: ABSENT, UNKNOWN */
	size_t differs_at; /* bytes of seen and of the value that are the same, from the first on */
};

/* What an answer to LABEL.DOMAIN says. The nearest record counts where there are several: PROVED,
 * QUOTED, BLANKS, CUT, NO_PREFIX, OLD_TOKEN, OTHER_TOKEN, NO_MATCH; then the one whose beginning
 * agrees longest. */
void challenge_judge(const struct challenge *challenge, const struct dns_answer *answer,
	struct challenge_finding *out);

/* CHALLENGE_PROVED is CLAIM_PROVED, CHALLENGE_UNKNOWN is CLAIM_UNKNOWN, the others CLAIM_UNPROVED. */
enum claim_event challenge_event(enum challenge_word word);

/* PREFIX (at most 128 bytes) and token, into out with NUL: what is to be published. Returns the
 * length. */
#define CHALLENGE_VALUE_MAX (128 + CLAIM_TOKEN_LEN)
size_t challenge_value(const struct challenge *challenge, char out[CHALLENGE_VALUE_MAX + 1]);

/* One sentence of printable ASCII for people, without any token: "no TXT record at NAME", "SERVFAIL
 * from SERVER for NAME", "found ... instead at NAME" (a record is shown only if it is none of ours).
 * Cut at CLAIM_REASON_MAX. */
void challenge_explain(const struct challenge_finding *finding, const struct dns_answer *answer,
	struct text name, char out[CLAIM_REASON_MAX + 1]);

/* 20 random bytes as CLAIM_TOKEN_LEN characters of RFC 4648 base32, lower case, with NUL. */
void challenge_token(const uint8_t random[20], char out[CLAIM_TOKEN_LEN + 1]);

#endif

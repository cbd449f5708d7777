/*
 * What a TXT question ended in, as plain data: made by dnswire, kept by the cache, read by
 * lockdown.
 *
 * Pure: no packet, no socket, no clock. Names are text in canonical form (lower-case A-labels
 * without the root dot).
 */
#ifndef POLICY_CORE_DNS_H
#define POLICY_CORE_DNS_H

#include "policy/core/base.h"

#define DNS_NAME_MAX    253   /* bytes of a name as text */
#define DNS_RECORDS_MAX 64    /* TXT records of one answer */
#define DNS_TEXT_MAX    4096  /* bytes of one TXT record, its strings joined */
#define DNS_BYTES_MAX   16384 /* of all texts of an answer together */
#define DNS_CHAIN_MAX   8     /* CNAME links followed inside one answer */

#define DNS_RCODE_NOERROR  0
#define DNS_RCODE_FORMERR  1
#define DNS_RCODE_SERVFAIL 2
#define DNS_RCODE_NXDOMAIN 3
#define DNS_RCODE_NOTIMP   4
#define DNS_RCODE_REFUSED  5

/* Why there is no answer; names for logs and `explain` in dns_failure_text. */
enum dns_failure {
	DNS_FAILURE_NONE,
	DNS_FAILURE_RCODE,     /* SERVFAIL, REFUSED, ...: see rcode */
	DNS_FAILURE_TIMEOUT,   /* no server answered in time */
	DNS_FAILURE_NETWORK,   /* no server could be reached */
	DNS_FAILURE_MALFORMED, /* an answer that cannot be read, or past our bounds */
	DNS_FAILURE_CHAIN,     /* too many CNAME links, a loop, or one the server left unfinished */
	DNS_FAILURE_LIMIT,     /* our own: queue full, max_in_flight, token bucket */
	DNS_FAILURE_MEMORY,    /* out of memory */
};

/* FOUND: TXT records. ABSENT: NXDOMAIN or no TXT there. FAILED: unknown, `failure` says why. */
struct dns_answer {
	enum lookup status;
	enum dns_failure failure;
	uint8_t rcode;
	bool is_authentic; /* AD, from a server that may say so */
	uint32_t ttl_s;    /* FOUND: the least of the chain and the records; ABSENT: RFC 2308 */
	size_t strings;    /* the most character-strings one record came in */
	size_t count;
	struct text txt[DNS_RECORDS_MAX]; /* point into bytes: do not copy by assignment */
	size_t used;
	char bytes[DNS_BYTES_MAX];
	char server[64]; /* "192.0.2.1:53", whoever answered last; "" for the cache or nobody */
};

/* Empties it: FAILED with the failure given. */
void dns_answer_clear(struct dns_answer *answer, enum dns_failure failure);
/* Adds one record's text. False: no room. */
POLICY_CHECKED bool dns_answer_add(struct dns_answer *answer, struct text txt);
void dns_answer_copy(struct dns_answer *to, const struct dns_answer *from);

/* "SERVFAIL", "NXDOMAIN", "RCODE23". out has 16 bytes. */
const char *dns_rcode_text(uint8_t rcode, char out[16]);
const char *dns_failure_text(enum dns_failure failure);
/* What an answer ended in: its rcode, or where there is no answer the name of the failure. */
const char *dns_outcome_text(const struct dns_answer *answer, char out[16]);

/* Whether it is a name in the form above: labels of 1 to 63 letters, digits, `-` and `_`. */
POLICY_CHECKED bool dns_is_name(struct text name);

/* `label.domain` into out[DNS_NAME_MAX + 1] with NUL. False: a domain that cannot have such a name
 * (empty, an address literal, too long). */
POLICY_CHECKED bool dns_name_below(
	struct text label, struct text domain, char *out, struct text *name);

#endif

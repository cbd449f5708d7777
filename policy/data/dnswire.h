/*
 * The only file with ldns: a TXT question to bytes, bytes to a plain answer.
 *
 * Moves no bytes and knows no clock. ldns never sees a packet that the bounded scan
 * (core/wire_scan) did not pass (library limits: it allocates without measure for odd TXT and SPF
 * records, leaks on several TSIG): at most DNSWIRE_MAX bytes, one question which is ours, at most
 * 64 records, 64 strings and 4,096 bytes in a TXT; in the copy it reads ARCOUNT is 0 and a record
 * of a type that is none of ours has a type it does not interpret.
 */
#ifndef POLICY_DATA_DNSWIRE_H
#define POLICY_DATA_DNSWIRE_H

#include "policy/core/dns.h"

#define DNSWIRE_MAX       16384 /* bytes of an answer */
#define DNSWIRE_QUERY_MAX 512
#define DNSWIRE_EDNS_SIZE 1232

/* A TXT query for name (as text) with RD, EDNS when with_edns (payload 1232, DO off, AD set in the
 * header to ask for it). Returns the length, 0 when the name is none. */
size_t dnswire_query(struct text name, uint16_t id, bool with_edns, uint8_t out[DNSWIRE_QUERY_MAX]);

enum dnswire_match {
	DNSWIRE_OURS,         /* id and question match: read it */
	DNSWIRE_HINT_NO_EDNS, /* no answer, but a reason to ask once more without EDNS */
	DNSWIRE_NOT_OURS,     /* something else: keep listening (never a reason to give up) */
};
/* Whether a packet is a response (QR) to this query: id, opcode, exactly our question, its name
 * compared without case. To a query with EDNS, a bare header of that id with FORMERR or NOTIMP and
 * no question (RFC 6891, 7) is a hint. */
enum dnswire_match dnswire_is_ours(struct text packet, struct text query);

enum dnswire_result {
	DNSWIRE_ANSWER,    /* *answer is FOUND or ABSENT, or FAILED by rcode, malformed or chain */
	DNSWIRE_TRUNCATED, /* TC: ask by TCP */
	DNSWIRE_NO_EDNS,   /* FORMERR or NOTIMP to a query with EDNS: ask once more without */
};
/* Reads a packet that is ours. CNAME links inside the answer are followed, at most DNS_CHAIN_MAX; a
 * chain that ends outside the answer without TXT is FAILED (chain), for the resolver should have
 * completed it, and so is a referral, or absence without a SOA said by a server that is neither
 * authoritative (AA) nor recursive (RA). NXDOMAIN and a SOA are about the last name of the chain;
 * NXDOMAIN together with TXT records of that name is FAILED (malformed).
 * Negative TTL: min(SOA TTL, SOA MINIMUM), 60 s where no SOA of a zone with that name came; never
 * more than the links' TTLs. TTLs with the top bit set are 0. rcode holds OPT's upper bits too, at
 * most 255. TRUNCATED and NO_EDNS leave a FAILED answer. The server is the caller's to fill in.
 * `dropped` (may be NULL) counts packets that the scan refused: FAILED (malformed). */
enum dnswire_result dnswire_read(struct text packet, struct text query, bool had_edns,
	struct dns_answer *answer, uint64_t *dropped);

#endif

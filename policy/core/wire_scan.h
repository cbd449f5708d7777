/*
 * A DNS packet measured before any library reads it: sound in shape and within our bounds, or not.
 *
 * Pure: takes no memory, follows nothing that a packet can make long. Knows the forms of RFC 1035
 * and of OPT (RFC 6891), not what an answer means. False means: keep the packet from everybody.
 */
#ifndef POLICY_CORE_WIRE_SCAN_H
#define POLICY_CORE_WIRE_SCAN_H

#include "policy/core/base.h"

#define WIRE_MAX         16384  /* bytes of a packet */
#define WIRE_HEADER      12     /* bytes of its header */
#define WIRE_RECORDS_MAX 64     /* of all three sections together */
#define WIRE_STRINGS_MAX 64     /* character-strings of one TXT record */
#define WIRE_TEXT_MAX    4096   /* bytes of one TXT record, its strings joined */
#define WIRE_NAME_MAX    255    /* bytes of a name, root included */
#define WIRE_OPAQUE      0xff00 /* a type for private use, which no library interprets */
#define WIRE_HOPS_MAX    127 /* compression pointers of one name: as many as it can have labels */

struct wire_head {
	uint16_t id;
	uint8_t opcode;
	uint8_t rcode; /* lower four bits */
	bool is_response, is_authoritative, is_truncated, is_authentic;
	struct text question; /* name, type and class as they stand in the packet */
};

/* Header and question. False: less than that, not exactly one question, or a question whose name is
 * compressed. */
POLICY_CHECKED bool wire_head_read(struct text packet, struct wire_head *head);
/* A header that says itself that nothing follows, and nothing does; the question is empty. */
POLICY_CHECKED bool wire_head_bare(struct text packet, struct wire_head *head);

/* Whether two uncompressed names, or questions, are the same: letters without case. */
bool wire_name_equal(struct text a, struct text b);
/* Whether an uncompressed name is `zone` or below it. */
bool wire_name_is_within(struct text name, struct text zone);

/* A TXT record as it stands in the packet: character-strings, each behind its length. */
struct wire_txt {
	uint32_t ttl;
	struct text strings;
};

struct wire_facts {
	unsigned rcode; /* of the header, with the upper eight bits from OPT records (12 bits) */
	size_t end;     /* of the authority section */
	/* The answer section where it holds nothing but TXT records of the name asked for, their
	 * owner a pointer to it; otherwise none. */
	size_t plain_count;
	struct wire_txt plain[WIRE_RECORDS_MAX];
};

/* Walks every record. True: the counts hold and are within WIRE_RECORDS_MAX; names end, point only
 * backward and are no longer than WIRE_NAME_MAX; rdata lies in the packet, and that of TXT, CNAME,
 * SOA and NS of class IN in answer and authority is exactly what its type says, TXT within its
 * bounds. What stands behind the last record is nobody's business.
 *
 * Writes to the packet: other records in answer and authority take the type WIRE_OPAQUE, ARCOUNT
 * becomes 0, so that nobody interprets what was not looked at. */
POLICY_CHECKED bool wire_scan(uint8_t *packet, size_t len, struct wire_facts *facts);

#endif

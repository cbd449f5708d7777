/*
 * Questions and answers of the DNS on the wire, where it takes a library by ldns.
 *
 * Knows no socket, no clock, no meaning of a text, and never asks ldns for a random number. A
 * question, and an answer of nothing but TXT records of the name asked for, need no ldns; of the
 * rest ldns reads the copy that wire_scan passed, cut behind the authority section. Fails as MALFORMED on
 * what cannot be read, as MEMORY where ldns got none; nothing of ldns outlives a call.
 */
#include "policy/data/dnswire.h"

#include <ldns/ldns.h>

#include "policy/core/wire_scan.h"

#define NEGATIVE_TTL_S 60 /* where no SOA came (RFC 2308 has none to offer) */
#define TTL_MAX        0x7fffffffu
#define SOA_MINIMUM    6 /* position among the SOA's fields */
#define FLAG_RD        0x0100u
#define FLAG_AD        0x0020u
#define QDCOUNT_LOW    5 /* of the header's bytes */
#define ARCOUNT_LOW    11

_Static_assert(DNSWIRE_MAX == WIRE_MAX, "the scan's bound is the contract's");
_Static_assert(DNS_RECORDS_MAX >= WIRE_RECORDS_MAX && DNS_TEXT_MAX >= WIRE_TEXT_MAX &&
		       DNS_BYTES_MAX >= WIRE_MAX,
	"what passes the scan fits an answer");

static void put_u16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The labels of a name that is one, each behind its length, and the root; returns the bytes. */
static size_t put_name(uint8_t *at, struct text name)
{
	size_t len_at = 0;

	memcpy(at + 1, name.ptr, name.len);
	for (size_t i = 1; i <= name.len; i++) {
		if (at[i] != '.')
			continue;
		at[len_at] = (uint8_t)(i - len_at - 1);
		len_at = i;
	}
	at[len_at] = (uint8_t)(name.len - len_at);
	at[name.len + 1] = 0;
	return name.len + 2;
}

size_t dnswire_query(struct text name, uint16_t id, bool with_edns, uint8_t out[DNSWIRE_QUERY_MAX])
{
	static const uint8_t tail[] = {0, LDNS_RR_TYPE_TXT, 0, LDNS_RR_CLASS_IN};
	static const uint8_t opt[] = {0, 0, LDNS_RR_TYPE_OPT, DNSWIRE_EDNS_SIZE >> 8,
		DNSWIRE_EDNS_SIZE & 0xff, 0, 0, 0, 0, 0, 0};
	size_t len = WIRE_HEADER;

	if (!dns_is_name(name))
		return 0;
	memset(out, 0, WIRE_HEADER);
	put_u16(out, id);
	put_u16(out + 2, with_edns ? FLAG_RD | FLAG_AD : FLAG_RD);
	out[QDCOUNT_LOW] = 1;
	len += put_name(out + len, name);
	memcpy(out + len, tail, sizeof(tail));
	len += sizeof(tail);
	if (with_edns) {
		out[ARCOUNT_LOW] = 1;
		memcpy(out + len, opt, sizeof(opt));
		len += sizeof(opt);
	}
	return len;
}

/* Whether the two heads are query and response. The query's type and class hold no letters, so
 * comparing without case is exact there. */
static bool heads_match(const struct wire_head *response, const struct wire_head *query)
{
	return response->is_response && response->id == query->id &&
	       response->opcode == query->opcode &&
	       wire_name_equal(response->question, query->question);
}

/* What old servers say to a question that they could not read for its OPT. */
static bool is_hint(const struct wire_head *response, const struct wire_head *query)
{
	return response->is_response && response->id == query->id &&
	       response->opcode == query->opcode &&
	       (response->rcode == DNS_RCODE_FORMERR || response->rcode == DNS_RCODE_NOTIMP);
}

static enum dnswire_match match(struct text packet, struct text query, struct wire_head *theirs)
{
	struct wire_head ours;

	if (!wire_head_read(query, &ours))
		return DNSWIRE_NOT_OURS;
	if (wire_head_read(packet, theirs))
		return heads_match(theirs, &ours) ? DNSWIRE_OURS : DNSWIRE_NOT_OURS;
	if (query.ptr[ARCOUNT_LOW] != 0 && wire_head_bare(packet, theirs) && is_hint(theirs, &ours))
		return DNSWIRE_HINT_NO_EDNS;
	return DNSWIRE_NOT_OURS;
}

enum dnswire_match dnswire_is_ours(struct text packet, struct text query)
{
	struct wire_head theirs;

	return match(packet, query, &theirs);
}

static struct text rdf_text(const ldns_rdf *rdf)
{
	return (struct text){(const char *)ldns_rdf_data(rdf), ldns_rdf_size(rdf)};
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* RFC 2181, 8: with the top bit set it is 0. */
static uint32_t ttl_of(uint32_t wire)
{
	return wire > TTL_MAX ? 0 : wire;
}

static bool is_type(const ldns_rr *rr, ldns_rr_type type)
{
	return ldns_rr_get_type(rr) == type && ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN;
}

/* Where the CNAME links lead. The name lies in the query or in the ldns packet. */
struct chain {
	struct text name;
	unsigned links;
	uint32_t ttl_s; /* the least of the links */
};

static const ldns_rr *find_cname(const ldns_rr_list *list, struct text name)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);

		if (is_type(rr, LDNS_RR_TYPE_CNAME) &&
			wire_name_equal(rdf_text(ldns_rr_owner(rr)), name))
			return rr;
	}
	return NULL;
}

/* False: too many links; a loop is that too. */
static bool follow(const ldns_rr_list *list, struct chain *chain)
{
	const ldns_rr *rr = find_cname(list, chain->name);

	for (; rr != NULL; rr = find_cname(list, chain->name)) {
		if (++chain->links > DNS_CHAIN_MAX)
			return false;
		chain->ttl_s = least(chain->ttl_s, ttl_of(ldns_rr_ttl(rr)));
		chain->name = rdf_text(ldns_rr_rdf(rr, 0));
	}
	return true;
}

/* The character-strings of one record as they stand in a packet that passed the scan, joined. */
static bool add_strings(struct text rdata, struct dns_answer *answer)
{
	char joined[DNS_TEXT_MAX];
	size_t strings = 0, len = 0;

	for (; rdata.len > 0; strings++) {
		struct text string = text_head(text_tail(rdata, 1), (uint8_t)rdata.ptr[0]);

		if (string.len > sizeof(joined) - len)
			return false;
		memcpy(joined + len, string.ptr, string.len);
		len += string.len;
		rdata = text_tail(rdata, 1 + string.len);
	}
	if (strings > answer->strings)
		answer->strings = strings;
	return dns_answer_add(answer, (struct text){joined, len});
}

/* The same of a record that ldns read. */
static bool add_txt(const ldns_rr *rr, struct dns_answer *answer)
{
	char joined[DNS_TEXT_MAX];
	size_t strings = ldns_rr_rd_count(rr), len = 0;

	for (size_t i = 0; i < strings; i++) {
		struct text string = text_tail(rdf_text(ldns_rr_rdf(rr, i)), 1);

		if (string.len > sizeof(joined) - len)
			return false;
		memcpy(joined + len, string.ptr, string.len);
		len += string.len;
	}
	if (strings > answer->strings)
		answer->strings = strings;
	return dns_answer_add(answer, (struct text){joined, len});
}

/* The TXT records at the end of the chain; answer->count says how many. */
static bool collect(const ldns_rr_list *list, const struct chain *chain, struct dns_answer *answer)
{
	answer->ttl_s = chain->ttl_s;
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);

		if (!is_type(rr, LDNS_RR_TYPE_TXT) ||
			!wire_name_equal(rdf_text(ldns_rr_owner(rr)), chain->name))
			continue;
		answer->ttl_s = least(answer->ttl_s, ttl_of(ldns_rr_ttl(rr)));
		if (!add_txt(rr, answer))
			return false;
	}
	return true;
}

/* What the authority section says of a name without records. */
struct authority {
	bool has_soa; /* of a zone that holds the name */
	bool has_ns;
	uint32_t ttl_s; /* RFC 2308, 5 */
};

static struct authority read_authority(const ldns_rr_list *list, struct text name)
{
	struct authority found = {.ttl_s = NEGATIVE_TTL_S};

	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);

		found.has_ns |= is_type(rr, LDNS_RR_TYPE_NS);
		if (found.has_soa || !is_type(rr, LDNS_RR_TYPE_SOA) ||
			!wire_name_is_within(name, rdf_text(ldns_rr_owner(rr))))
			continue;
		found.has_soa = true;
		found.ttl_s = least(ttl_of(ldns_rr_ttl(rr)),
			ttl_of(ldns_rdf2native_int32(ldns_rr_rdf(rr, SOA_MINIMUM))));
	}
	return found;
}

/* No TXT at the end of the chain: ABSENT only where the server says so of that very name. A chain
 * that it did not follow to the end, a referral, or a server that has neither the zone nor asked
 * anybody who has, says nothing. */
static void conclude_without(const ldns_pkt *packet, const struct chain *chain, bool is_nxdomain,
	struct dns_answer *answer)
{
	struct authority authority = read_authority(ldns_pkt_authority(packet), chain->name);
	bool is_referral = authority.has_ns && !ldns_pkt_aa(packet);
	bool is_hearsay = !ldns_pkt_aa(packet) && !ldns_pkt_ra(packet);
	bool is_open = !is_nxdomain && (chain->links > 0 || is_referral);

	if (!authority.has_soa && (is_open || is_hearsay)) {
		answer->failure = DNS_FAILURE_CHAIN;
		return;
	}
	answer->status = LOOKUP_ABSENT;
	answer->failure = DNS_FAILURE_NONE;
	answer->ttl_s = least(chain->ttl_s, authority.ttl_s);
}

/* Of a packet with NOERROR or NXDOMAIN, which is about the last name of the chain (RFC 6604). */
static void conclude(const ldns_pkt *packet, struct chain *chain, struct dns_answer *answer)
{
	const ldns_rr_list *list = ldns_pkt_answer(packet);
	bool is_nxdomain = answer->rcode == DNS_RCODE_NXDOMAIN;

	if (!follow(list, chain)) {
		answer->failure = DNS_FAILURE_CHAIN;
		return;
	}
	if (!collect(list, chain, answer))
		return;
	/* "There is no such name, and here are its records": nobody knows which of the two. */
	if (is_nxdomain && answer->count > 0) {
		dns_answer_clear(answer, DNS_FAILURE_MALFORMED);
		return;
	}
	if (answer->count == 0) {
		answer->ttl_s = 0;
		conclude_without(packet, chain, is_nxdomain, answer);
		return;
	}
	answer->status = LOOKUP_FOUND;
	answer->failure = DNS_FAILURE_NONE;
}

/* The common answer, which the scan has read already: ldns would only say the same. */
static void read_plain(const struct wire_facts *facts, struct dns_answer *answer)
{
	answer->ttl_s = TTL_MAX;
	for (size_t i = 0; i < facts->plain_count; i++) {
		answer->ttl_s = least(answer->ttl_s, ttl_of(facts->plain[i].ttl));
		if (!add_strings(facts->plain[i].strings, answer))
			return;
	}
	answer->status = LOOKUP_FOUND;
	answer->failure = DNS_FAILURE_NONE;
}

static void read_records(
	const uint8_t *packet, size_t len, struct text question, struct dns_answer *answer)
{
	struct chain chain = {.name = text_head(question, question.len - 4), .ttl_s = TTL_MAX};
	ldns_pkt *parsed = NULL;
	ldns_status status = ldns_wire2pkt(&parsed, packet, len);

	if (status == LDNS_STATUS_OK)
		conclude(parsed, &chain, answer);
	else if (status == LDNS_STATUS_MEM_ERR)
		answer->failure = DNS_FAILURE_MEMORY;
	ldns_pkt_free(parsed);
}

static void drop(uint64_t *dropped)
{
	if (dropped != NULL)
		++*dropped;
}

enum dnswire_result dnswire_read(struct text packet, struct text query, bool had_edns,
	struct dns_answer *answer, uint64_t *dropped)
{
	uint8_t copy[DNSWIRE_MAX];
	struct wire_head head;
	struct wire_facts facts;

	dns_answer_clear(answer, DNS_FAILURE_MALFORMED);
	if (packet.len > DNSWIRE_MAX || match(packet, query, &head) != DNSWIRE_OURS) {
		drop(dropped);
		return DNSWIRE_ANSWER;
	}
	/* Before the records are looked at: those of a truncated packet may end anywhere. */
	if (head.is_truncated)
		return DNSWIRE_TRUNCATED;
	answer->rcode = head.rcode;
	if (had_edns && (head.rcode == DNS_RCODE_FORMERR || head.rcode == DNS_RCODE_NOTIMP))
		return DNSWIRE_NO_EDNS;
	memcpy(copy, packet.ptr, packet.len);
	if (!wire_scan(copy, packet.len, &facts)) {
		drop(dropped);
		return DNSWIRE_ANSWER;
	}
	answer->is_authentic = head.is_authentic;
	answer->rcode = facts.rcode > UINT8_MAX ? UINT8_MAX : (uint8_t)facts.rcode;
	if (facts.rcode == DNS_RCODE_NOERROR && facts.plain_count > 0)
		read_plain(&facts, answer);
	else if (facts.rcode == DNS_RCODE_NOERROR || facts.rcode == DNS_RCODE_NXDOMAIN)
		read_records(copy, facts.end, head.question, answer);
	else
		answer->failure = DNS_FAILURE_RCODE;
	return DNSWIRE_ANSWER;
}

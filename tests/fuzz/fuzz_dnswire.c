/*
 * Any bytes as an answer of the DNS: MODE (1 byte), then by its bits
 *
 *   1 the query had EDNS    2 the rest is the whole packet    4 the rest is a name to ask for
 *   else: flags (2 bytes), ANCOUNT, NSCOUNT, ARCOUNT (1 byte each), records; id and question are
 *   ours
 *
 * What holds: an answer is whole and within the bounds of the header, or FAILED with a reason; what
 * the scan passes ldns reads; the records that the scan calls plain are those that ldns finds; the
 * case of the question changes nothing; a query is one packet with one question that matches itself
 * once it is a response; what is ours is no hint.
 */
#include "policy/core/wire_scan.h"
#include "policy/data/dnswire.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#define ID 0x4d43

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static struct text text_at(const uint8_t *bytes, size_t len)
{
	return (struct text){(const char *)bytes, len};
}

static void check_found(const struct dns_answer *answer)
{
	size_t used = 0;

	must(answer->rcode == DNS_RCODE_NOERROR);
	must(answer->count > 0 && answer->count <= DNS_RECORDS_MAX);
	must(answer->strings > 0 && answer->strings <= WIRE_STRINGS_MAX);
	for (size_t i = 0; i < answer->count; i++) {
		must(answer->txt[i].len <= DNS_TEXT_MAX);
		must(answer->txt[i].ptr == answer->bytes + used);
		used += answer->txt[i].len;
	}
	must(used == answer->used && used <= sizeof(answer->bytes));
}

static void check_answer(const struct dns_answer *answer, uint64_t dropped)
{
	must((answer->status == LOOKUP_FAILED) == (answer->failure != DNS_FAILURE_NONE));
	must(dropped == 0 || answer->failure == DNS_FAILURE_MALFORMED);
	must(answer->ttl_s <= INT32_MAX);
	if (answer->status == LOOKUP_FOUND)
		check_found(answer);
	else
		must(answer->count == 0 && answer->used == 0);
	if (answer->status == LOOKUP_ABSENT)
		must(answer->rcode == DNS_RCODE_NOERROR || answer->rcode == DNS_RCODE_NXDOMAIN);
}

static void check_same(const struct dns_answer *a, const struct dns_answer *b)
{
	must(a->status == b->status && a->failure == b->failure && a->rcode == b->rcode);
	must(a->ttl_s == b->ttl_s && a->count == b->count && a->used == b->used);
	must(a->is_authentic == b->is_authentic && a->strings == b->strings);
	for (size_t i = 0; i < a->count; i++)
		must(text_equal(a->txt[i], b->txt[i]));
}

static enum dnswire_result read_once(
	struct text packet, struct text query, bool had_edns, struct dns_answer *answer)
{
	uint64_t dropped = 0;
	enum dnswire_result result = dnswire_read(packet, query, had_edns, answer, &dropped);

	must(dropped <= 1);
	if (result == DNSWIRE_ANSWER)
		check_answer(answer, dropped);
	else
		must(dropped == 0 && answer->status == LOOKUP_FAILED);
	/* The scan's own, or NXDOMAIN together with records. */
	must(answer->failure != DNS_FAILURE_MALFORMED || dropped == 1 || result != DNSWIRE_ANSWER ||
		(packet.ptr[3] & 0xf) == DNS_RCODE_NXDOMAIN);
	must(result != DNSWIRE_TRUNCATED || (packet.ptr[2] & 0x02));
	must(result != DNSWIRE_NO_EDNS || had_edns);
	return result;
}

static void check_record(const ldns_rr *rr, const struct wire_txt *plain)
{
	struct text rest = plain->strings;

	must(ldns_rr_get_type(rr) == LDNS_RR_TYPE_TXT);
	must(ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN && ldns_rr_ttl(rr) == plain->ttl);
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		struct text string = text_at(
			ldns_rdf_data(ldns_rr_rdf(rr, i)), ldns_rdf_size(ldns_rr_rdf(rr, i)));

		must(string.len <= rest.len && text_equal(text_head(rest, string.len), string));
		rest = text_tail(rest, string.len);
	}
	must(rest.len == 0);
}

/* What dnswire reads off a packet without ldns, ldns reads off it too. */
static void check_plain(const uint8_t *packet, size_t len)
{
	uint8_t copy[WIRE_MAX];
	struct wire_facts facts;
	struct wire_head head;
	ldns_pkt *parsed = NULL;
	ldns_rr_list *list;

	if (len > sizeof(copy))
		return;
	memcpy(copy, packet, len);
	if (!wire_scan(copy, len, &facts) || facts.plain_count == 0)
		return;
	must(wire_head_read(text_at(copy, len), &head));
	must(ldns_wire2pkt(&parsed, copy, facts.end) == LDNS_STATUS_OK);
	list = ldns_pkt_answer(parsed);
	must(ldns_rr_list_rr_count(list) == facts.plain_count);
	for (size_t i = 0; i < facts.plain_count; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		const ldns_rdf *owner = ldns_rr_owner(rr);

		must(wire_name_equal(text_at(ldns_rdf_data(owner), ldns_rdf_size(owner)),
			text_head(head.question, head.question.len - 4)));
		check_record(rr, &facts.plain[i]);
	}
	ldns_pkt_free(parsed);
}

static void check_hint(struct text packet, struct text query)
{
	enum dnswire_match match = dnswire_is_ours(packet, query);

	if (match == DNSWIRE_HINT_NO_EDNS)
		must(packet.len == WIRE_HEADER && query.ptr[WIRE_HEADER - 1] != 0);
}

static void check_packet(uint8_t *packet, size_t len, struct text query, bool had_edns)
{
	static struct dns_answer answer, again;
	enum dnswire_result result = read_once(text_at(packet, len), query, had_edns, &answer);

	check_plain(packet, len);
	check_hint(text_at(packet, len), query);
	dns_answer_copy(&again, &answer);
	check_same(&answer, &again);
	if (answer.status != LOOKUP_FOUND)
		return;
	for (size_t i = WIRE_HEADER; packet[i] != 0; i++)
		if (packet[i] >= 'a' && packet[i] <= 'z')
			packet[i] ^= 0x20;
	must(read_once(text_at(packet, len), query, had_edns, &again) == result);
	check_same(&answer, &again);
}

static void check_name(struct text name)
{
	uint8_t query[DNSWIRE_QUERY_MAX];
	struct wire_head head;
	size_t len = dnswire_query(name, ID, true, query);

	must((len > 0) == dns_is_name(name));
	if (len == 0)
		return;
	must(wire_head_read(text_at(query, len), &head));
	must(head.id == ID && head.question.len == name.len + 6);
	must(dnswire_is_ours(text_at(query, len), text_at(query, len)) == DNSWIRE_NOT_OURS);
	query[2] |= 0x80;
	must(dnswire_is_ours(text_at(query, len), text_at(query, len)) == DNSWIRE_OURS);
}

/* Header and question of an answer to query; rest: flags, three counts, records. */
static size_t build(uint8_t *packet, struct text question, const uint8_t *rest, size_t size)
{
	const uint8_t head[WIRE_HEADER] = {ID >> 8, ID & 0xff, rest[0] | 0x80, rest[1], 0, 1, 0,
		rest[2], 0, rest[3], 0, rest[4]};

	memcpy(packet, head, sizeof(head));
	memcpy(packet + WIRE_HEADER, question.ptr, question.len);
	memcpy(packet + WIRE_HEADER + question.len, rest + 5, size - 5);
	return WIRE_HEADER + question.len + size - 5;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t query[DNSWIRE_QUERY_MAX];
	struct wire_head head;
	struct text asked;
	uint8_t *packet;
	size_t len;

	if (size < 6)
		return 0;
	if (data[0] & 4) {
		check_name(text_at(data + 1, size - 1));
		return 0;
	}
	asked = text_at(query, dnswire_query(TEXT("_mc.example.com"), ID, data[0] & 1, query));
	must(wire_head_read(asked, &head));
	packet = malloc(size + asked.len);
	if (packet == NULL)
		return 0;
	len = size - 1;
	if (data[0] & 2)
		memcpy(packet, data + 1, len);
	else
		len = build(packet, head.question, data + 1, len);
	packet = realloc(packet, len);
	must(packet != NULL);
	check_packet(packet, len, asked, data[0] & 1);
	free(packet);
	return 0;
}

/*
 * What answers mean: TXT records, chains, absence, rcodes. Packets made by hand, and by ldns as
 * another implementation.
 */
#include "tests/unit/dns_packet.h"

#include <ldns/ldns.h>

/* TXT records. */

static void test_found(void **state)
{
	(void)state;
	begin(FLAGS);
	put_txt(Q, 300, "v=mc1 auth=acme");
	expect_found(1, 300);
	expect_text(0, "v=mc1 auth=acme");
	assert_int_equal(answer.strings, 1);
	assert_int_equal(answer.rcode, 0);
	assert_false(answer.is_authentic);
	assert_string_equal(answer.server, "");
	begin(FLAGS | AD);
	put_txt(Q, 300, "v=mc1");
	expect_found(1, 300);
	assert_true(answer.is_authentic);
}

static void test_strings_are_joined(void **state)
{
	(void)state;
	begin(FLAGS);
	put_txt(Q, 10, "one");
	put_record(ANSWER, Q, TXT, 10,
		TEXT("\4v=mc\0\6"
		     "1 auth\0\5=acme"));
	put_record(ANSWER, Q, TXT, 10, TEXT("\0"));
	put_record(ANSWER, Q, TXT, 10, TEXT("\3a\0\xff"));
	expect_found(4, 10);
	expect_text(0, "one");
	expect_text(1, "v=mc1 auth=acme");
	expect_text(2, "");
	assert_true(text_equal(answer.txt[3], TEXT("a\0\xff")));
	assert_int_equal(answer.strings, 5);
}

/* An owner spelled out goes another way (ldns) than a pointer to the question. */
static void test_both_ways_say_the_same(void **state)
{
	const struct text owners[] = {Q, TEXT("\3_mc\7example\3com\0"), TEXT("\3_MC\xc0\x10")};
	static struct dns_answer first;

	(void)state;
	for (size_t i = 0; i < COUNT(owners); i++) {
		begin(FLAGS | AA | AD);
		put_record(ANSWER, owners[i], TXT, 90,
			TEXT("\4v=mc\0\6"
			     "1 auth\0\5=acme"));
		put_record(ANSWER, owners[i], TXT, 70, TEXT("\0"));
		put_record(ANSWER, Q, TXT, 80, TEXT("\3a\0\xff"));
		put_record(AUTHORITY, ZONE, NS, 5, TEXT("\2ns\xc0\x10"));
		put_record(ADDITIONAL, ROOT, OPT, 0, TEXT(""));
		expect_found(3, 70);
		if (i == 0)
			dns_answer_copy(&first, &answer);
		assert_int_equal(answer.strings, first.strings);
		assert_int_equal(answer.is_authentic, first.is_authentic);
		assert_int_equal(answer.used, first.used);
		assert_memory_equal(answer.bytes, first.bytes, first.used);
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(answer.txt[k].len, first.txt[k].len);
	}
}

static void test_owner_without_case(void **state)
{
	(void)state;
	begin(FLAGS);
	put_txt(TEXT("\3_MC\7Example\3COM"), 10, "x");
	expect_failed(DNS_FAILURE_MALFORMED); /* no root label */
	begin(FLAGS);
	put_txt(TEXT("\3_MC\7Example\3COM\0"), 10, "x");
	expect_found(1, 10);
}

static void test_others_do_not_count(void **state)
{
	(void)state;
	begin(FLAGS);
	put_txt(ZONE, 1, "parent");
	put_txt(TEXT("\1x\xc0\x0c"), 1, "child");
	put_txt(TEXT("\3_mc\7example\3net\0"), 1, "other");
	put_record(ANSWER, Q, SPF, 1, TEXT("\3spf"));
	put_record(ANSWER, Q, 46, 1, TEXT("signature"));
	put_record(ANSWER, Q, TXT, 1, TEXT("\5chaos"));
	packet.bytes[packet.len - 6 - 7] = CH;
	put_txt(Q, 20, "mine");
	put_record(AUTHORITY, Q, TXT, 1, TEXT("\1a"));
	put_record(ADDITIONAL, Q, TXT, 1, TEXT("\1b"));
	expect_found(1, 20);
	expect_text(0, "mine");
	begin(FLAGS);
	put_record(AUTHORITY, Q, TXT, 1, TEXT("\1a"));
	put_record(ADDITIONAL, Q, TXT, 1, TEXT("\1b"));
	expect_absent(60);
}

static void test_ttl(void **state)
{
	(void)state;
	begin(FLAGS);
	put_txt(Q, 300, "a");
	put_txt(Q, 30, "b");
	put_txt(Q, 90, "c");
	expect_found(3, 30);
	begin(FLAGS);
	put_txt(Q, 0x7fffffff, "a");
	expect_found(1, 0x7fffffff);
	begin(FLAGS);
	put_txt(Q, 0x80000000, "a");
	expect_found(1, 0);
}

/* Chains. */

static void test_chain(void **state)
{
	char end[3];

	(void)state;
	for (unsigned links = 0; links <= 12; links++) {
		begin(FLAGS);
		put_txt(put_chain(links, end), 200, "v=mc1");
		if (links <= DNS_CHAIN_MAX)
			expect_found(1, links ? 101 - links : 200);
		else
			expect_failed(DNS_FAILURE_CHAIN);
	}
}

static void test_chain_in_any_order(void **state)
{
	(void)state;
	begin(FLAGS);
	put_txt(TEXT("\1b\0"), 50, "end");
	put_txt(Q, 1, "not at the end");
	put_record(ANSWER, TEXT("\1A\0"), CNAME, 60, TEXT("\1B\0"));
	put_record(ANSWER, Q, CNAME, 70, TEXT("\1a\0"));
	put_record(ANSWER, TEXT("\1z\0"), CNAME, 2, TEXT("\1y\0")); /* of nobody's concern */
	expect_found(1, 50);
	expect_text(0, "end");
}

static void test_chain_loops(void **state)
{
	(void)state;
	begin(FLAGS);
	put_record(ANSWER, Q, CNAME, 70, Q);
	put_txt(Q, 70, "x");
	expect_failed(DNS_FAILURE_CHAIN);
	begin(FLAGS);
	put_record(ANSWER, Q, CNAME, 70, TEXT("\1a\0"));
	put_record(ANSWER, TEXT("\1a\0"), CNAME, 70, TEXT("\1b\0"));
	put_record(ANSWER, TEXT("\1b\0"), CNAME, 70, TEXT("\1a\0"));
	put_soa(ROOT, 1, 1);
	expect_failed(DNS_FAILURE_CHAIN);
	packet.bytes[3] |= DNS_RCODE_NXDOMAIN;
	expect_failed(DNS_FAILURE_CHAIN);
}

static void test_chain_without_txt(void **state)
{
	char end[3];

	(void)state;
	begin(FLAGS); /* the server did not follow it */
	put_chain(1, end);
	expect_failed(DNS_FAILURE_CHAIN);
	put_soa(ZONE, 30, 30); /* of a zone that does not hold the last name */
	expect_failed(DNS_FAILURE_CHAIN);
	begin(FLAGS);
	put_chain(2, end);
	put_soa(TEXT("\1b\0"), 30, 600);
	expect_absent(30);
	begin(FLAGS);
	put_chain(2, end);
	put_soa(ROOT, 600, 600);
	expect_absent(99); /* the second link ends sooner */
	begin(FLAGS | DNS_RCODE_NXDOMAIN);
	put_chain(1, end);
	expect_absent(60);
}

/* Absent. */

static void test_absent(void **state)
{
	/* TTL of the SOA, its MINIMUM, what follows. */
	static const uint32_t rows[][3] = {{600, 120, 120}, {120, 600, 120}, {0, 600, 0},
		{600, 0, 0}, {0x80000000, 600, 0}, {600, 0xffffffff, 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		begin(FLAGS | (i % 2 ? DNS_RCODE_NXDOMAIN : 0u));
		put_soa(ZONE, rows[i][0], rows[i][1]);
		expect_absent(rows[i][2]);
		assert_int_equal(answer.rcode, i % 2 ? DNS_RCODE_NXDOMAIN : 0);
	}
	begin(FLAGS);
	expect_absent(60);
	begin(FLAGS | AD | DNS_RCODE_NXDOMAIN);
	expect_absent(60);
	assert_true(answer.is_authentic);
}

static void test_which_soa(void **state)
{
	(void)state;
	begin(FLAGS);
	put_soa(TEXT("\7example\3net\0"), 10, 10);
	expect_absent(60);
	put_soa(TEXT("\3COM\0"), 20, 20);
	put_soa(ZONE, 30, 30);
	expect_absent(20);
	begin(FLAGS);
	put_soa(TEXT("\1x\xc0\x0c"), 10, 10); /* below the name */
	expect_absent(60);
}

/* A zone that is the end of the name's bytes, not of its labels: '0' read as a length is 48. */
static void test_soa_of_half_a_label(void **state)
{
#define B48 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	(void)state;
	begin(FLAGS);
	put_record(ANSWER, Q, CNAME, 70,
		TEXT("\x34"
		     "aaa0" B48 "\3com\0"));
	put_soa(TEXT("0" B48 "\3com\0"), 10, 10);
	expect_failed(DNS_FAILURE_CHAIN);
	put_soa(TEXT("\3com\0"), 10, 10);
	expect_absent(10);
}

static void test_referral_says_nothing(void **state)
{
	(void)state;
	begin(FLAGS);
	put_record(AUTHORITY, ZONE, NS, 300, TEXT("\2ns\xc0\x10"));
	expect_failed(DNS_FAILURE_CHAIN);
	begin(FLAGS | AA);
	put_record(AUTHORITY, ZONE, NS, 300, TEXT("\2ns\xc0\x10"));
	expect_absent(60);
	begin(FLAGS);
	put_record(AUTHORITY, ZONE, NS, 300, TEXT("\2ns\xc0\x10"));
	put_soa(ZONE, 30, 30);
	expect_absent(30);
}

/* A server that neither holds the zone nor asks for others: its empty answer is not theirs. */
static void test_absence_by_hearsay(void **state)
{
	(void)state;
	for (unsigned rcode = 0; rcode <= DNS_RCODE_NXDOMAIN; rcode += DNS_RCODE_NXDOMAIN) {
		begin((FLAGS & ~RA) | rcode);
		expect_failed(DNS_FAILURE_CHAIN);
		put_soa(TEXT("\7example\3net\0"), 30, 30);
		expect_failed(DNS_FAILURE_CHAIN);
		put_soa(ZONE, 30, 30);
		expect_absent(30);
		begin((FLAGS & ~RA) | AA | rcode);
		expect_absent(60);
	}
}

static void test_nxdomain_with_records(void **state)
{
	(void)state;
	begin(FLAGS | DNS_RCODE_NXDOMAIN);
	put_txt(Q, 300, "v=mc1");
	put_soa(ZONE, 30, 30);
	assert_int_equal(read_packet(false), DNSWIRE_ANSWER);
	assert_int_equal(answer.status, LOOKUP_FAILED);
	assert_int_equal(answer.failure, DNS_FAILURE_MALFORMED);
	assert_int_equal(answer.count, 0);
}

/* Rcodes, TC, EDNS. */

static void test_rcodes(void **state)
{
	(void)state;
	for (unsigned rcode = 1; rcode < 16; rcode++) {
		if (rcode == DNS_RCODE_NXDOMAIN)
			continue;
		begin(FLAGS | rcode);
		put_txt(Q, 300, "v=mc1");
		put_soa(ZONE, 30, 30);
		expect_failed(DNS_FAILURE_RCODE);
		assert_int_equal(answer.rcode, rcode);
	}
}

static void test_rcode_of_opt(void **state)
{
	(void)state;
	begin(FLAGS); /* BADVERS: 16, of which the header has the lower four bits */
	put_record(ADDITIONAL, ROOT, OPT, 0x01000000, TEXT(""));
	expect_failed(DNS_FAILURE_RCODE);
	assert_int_equal(answer.rcode, 16);
	begin(FLAGS | 7);
	put_record(ADDITIONAL, ROOT, OPT, 0x01008000, TEXT(""));
	expect_failed(DNS_FAILURE_RCODE);
	assert_int_equal(answer.rcode, 23);
	begin(FLAGS | DNS_RCODE_NXDOMAIN);
	put_record(ADDITIONAL, ROOT, OPT, 0xff000000, TEXT(""));
	expect_failed(DNS_FAILURE_RCODE);
	assert_int_equal(answer.rcode, 255);
}

static void test_no_edns(void **state)
{
	(void)state;
	begin(FLAGS | DNS_RCODE_FORMERR);
	assert_int_equal(read_packet(true), DNSWIRE_NO_EDNS);
	assert_int_equal(answer.status, LOOKUP_FAILED);
	expect_failed(DNS_FAILURE_RCODE);
	begin(FLAGS | DNS_RCODE_NOTIMP);
	put(TEXT("\xff")); /* whatever follows */
	packet.bytes[7] = 9;
	assert_int_equal(read_packet(true), DNSWIRE_NO_EDNS);
	begin(FLAGS | DNS_RCODE_REFUSED);
	assert_int_equal(read_packet(true), DNSWIRE_ANSWER);
	assert_int_equal(answer.failure, DNS_FAILURE_RCODE);
}

static void test_truncated(void **state)
{
	(void)state;
	begin(FLAGS | TC);
	assert_int_equal(read_packet(false), DNSWIRE_TRUNCATED);
	assert_int_equal(answer.status, LOOKUP_FAILED);
	put_txt(Q, 300, "v=mc1");
	assert_int_equal(read_packet(true), DNSWIRE_TRUNCATED);
	packet.len -= 3; /* in the middle of a record */
	assert_int_equal(read_packet(false), DNSWIRE_TRUNCATED);
	assert_int_equal(dropped, 0);
	assert_int_equal(answer.status, LOOKUP_FAILED);
	packet.bytes[2] &= 0xfd;
	expect_failed(DNS_FAILURE_MALFORMED);
}

/* What another implementation writes. */

static void push(ldns_pkt *pkt, ldns_pkt_section section, const char *line)
{
	ldns_rr *rr = NULL;

	assert_int_equal(ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL), LDNS_STATUS_OK);
	assert_true(ldns_pkt_push_rr(pkt, section, rr));
}

static ldns_pkt *reply_of_ldns(void)
{
	ldns_pkt *pkt = NULL;
	struct text t = query(true);

	assert_int_equal(ldns_wire2pkt(&pkt, (const uint8_t *)t.ptr, t.len), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_edns_udp_size(pkt), DNSWIRE_EDNS_SIZE);
	assert_false(ldns_pkt_edns_do(pkt));
	assert_true(ldns_pkt_ad(pkt) && ldns_pkt_rd(pkt));
	ldns_pkt_set_qr(pkt, true);
	return pkt;
}

static void pack(ldns_pkt *pkt)
{
	uint8_t *wire = NULL;
	size_t len = 0;

	assert_int_equal(ldns_pkt2wire(&wire, pkt, &len), LDNS_STATUS_OK);
	packet.len = 0;
	put((struct text){(const char *)wire, len});
	free(wire);
	ldns_pkt_free(pkt);
}

static void test_packets_of_ldns(void **state)
{
	ldns_pkt *pkt = reply_of_ldns();

	(void)state;
	push(pkt, LDNS_SECTION_ANSWER, NAME ". 300 IN CNAME mc.provider.example.");
	push(pkt, LDNS_SECTION_ANSWER, "mc.provider.example. 200 IN CNAME x.mc.provider.example.");
	push(pkt, LDNS_SECTION_ANSWER,
		"x.mc.provider.example. 100 IN TXT \"v=mc1 \" \"auth=acme\"");
	push(pkt, LDNS_SECTION_ANSWER, "x.mc.provider.example. 90 IN TXT \"v=spf1 -all\"");
	push(pkt, LDNS_SECTION_AUTHORITY, "provider.example. 10 IN NS ns1.provider.example.");
	push(pkt, LDNS_SECTION_ADDITIONAL, "ns1.provider.example. 10 IN A 192.0.2.1");
	pack(pkt);
	expect_found(2, 90);
	expect_text(0, "v=mc1 auth=acme");
	expect_text(1, "v=spf1 -all");
	assert_int_equal(answer.strings, 2);
	assert_true(answer.is_authentic);
	pkt = reply_of_ldns();
	ldns_pkt_set_rcode(pkt, LDNS_RCODE_NXDOMAIN);
	push(pkt, LDNS_SECTION_AUTHORITY,
		"example.com. 3600 IN SOA ns1.example.com. root.example.com. 1 7200 900 1209600 "
		"86");
	push(pkt, LDNS_SECTION_AUTHORITY, "_a.example.com. 86 IN NSEC example.com. TXT RRSIG NSEC");
	pack(pkt);
	expect_absent(86);
}

static void test_dropped_may_be_null(void **state)
{
	(void)state;
	begin(FLAGS);
	packet.bytes[7] = 1;
	assert_int_equal(dnswire_read((struct text){(const char *)packet.bytes, packet.len},
				 query(true), true, &answer, NULL),
		DNSWIRE_ANSWER);
	assert_int_equal(answer.failure, DNS_FAILURE_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_strings_are_joined),
		cmocka_unit_test(test_both_ways_say_the_same),
		cmocka_unit_test(test_owner_without_case),
		cmocka_unit_test(test_others_do_not_count),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_chain_in_any_order),
		cmocka_unit_test(test_chain_loops),
		cmocka_unit_test(test_chain_without_txt),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_which_soa),
		cmocka_unit_test(test_soa_of_half_a_label),
		cmocka_unit_test(test_referral_says_nothing),
		cmocka_unit_test(test_absence_by_hearsay),
		cmocka_unit_test(test_nxdomain_with_records),
		cmocka_unit_test(test_rcodes),
		cmocka_unit_test(test_rcode_of_opt),
		cmocka_unit_test(test_no_edns),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_packets_of_ldns),
		cmocka_unit_test(test_dropped_may_be_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

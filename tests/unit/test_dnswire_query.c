/*
 * Questions on the wire, and whose answer a packet is. ldns as another implementation.
 */
#include "tests/unit/dns_packet.h"

#include <ldns/ldns.h>

/* The question. */

static void test_query_bytes(void **state)
{
	static const char plain[] = "\x4d\x43\1\0\0\1\0\0\0\0\0\0" QUESTION;
	static const char edns[] =
		"\x4d\x43\1\x20\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\0";

	(void)state;
	assert_true(text_equal(query(false), TEXT(plain)));
	assert_true(text_equal(query(true), TEXT(edns)));
}

static void test_query_as_ldns_writes_it(void **state)
{
	static const char *const names[] = {"a", "a.b", "_mc.example.com", "x--y.Z_9.test",
		"a2345678901234567890123456789012345678901234567890123456789012.c.d"};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(names); i++) {
		bool with_edns = i % 2;
		uint8_t ours[DNSWIRE_QUERY_MAX];
		uint8_t *theirs = NULL;
		size_t len = 0;
		ldns_pkt *pkt = NULL;

		assert_int_equal(ldns_pkt_query_new_frm_str(&pkt, names[i / 2], LDNS_RR_TYPE_TXT,
					 LDNS_RR_CLASS_IN, LDNS_RD),
			LDNS_STATUS_OK);
		ldns_pkt_set_id(pkt, ID);
		ldns_pkt_set_ad(pkt, with_edns);
		if (with_edns)
			ldns_pkt_set_edns_udp_size(pkt, DNSWIRE_EDNS_SIZE);
		assert_int_equal(ldns_pkt2wire(&theirs, pkt, &len), LDNS_STATUS_OK);
		assert_int_equal(dnswire_query(text_of(names[i / 2]), ID, with_edns, ours), len);
		assert_memory_equal(ours, theirs, len);
		free(theirs);
		ldns_pkt_free(pkt);
	}
}

static void test_query_refuses(void **state)
{
	static const char *const bad[] = {"", ".", "a..b", ".a", "a.", "a b", "a\\.b", "a\\", "(a)",
		"a\tb", "\"a\"", "@",
		"a23456789012345678901234567890123456789012345678901234567890123b.c"};
	uint8_t out[DNSWIRE_QUERY_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (dnswire_query(text_of(bad[i]), ID, true, out) != 0)
			fail_msg("a query for '%s'", bad[i]);
	assert_int_equal(dnswire_query(TEXT("a\0b"), ID, true, out), 0);
}

static void test_query_longest(void **state)
{
	uint8_t out[DNSWIRE_QUERY_MAX];
	char name[DNS_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(dnswire_query((struct text){name, 253}, ID, true, out), 12 + 255 + 4 + 11);
	assert_int_equal(dnswire_query((struct text){name, 255}, ID, true, out), 0);
}

/* Whose answer it is. */

static enum dnswire_match match_with(bool edns)
{
	struct text t = {(const char *)packet.bytes, packet.len};

	return dnswire_is_ours(t, query(edns));
}

static bool is_ours(void)
{
	return match_with(true) == DNSWIRE_OURS;
}

static void test_is_ours(void **state)
{
	(void)state;
	begin(FLAGS);
	assert_true(is_ours());
	memcpy(packet.bytes + 12, "\3_Mc\7EXAMPLE\3coM", 16);
	assert_true(is_ours());
	put_txt(Q, 1, "x");
	assert_true(is_ours());
}

static void test_is_not_ours(void **state)
{
	/* Offset and byte that make it another's: id, QR, opcode, QDCOUNT, name, type, class. */
	static const uint8_t changes[][2] = {{0, 0x4e}, {1, 0x42}, {2, 0x01}, {2, 0x91}, {5, 0},
		{5, 2}, {4, 1}, {14, 'n'}, {12, 2}, {12, 0xc0}, {29, 1}, {30, 0x11}, {31, 1},
		{32, 3}};

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		begin(FLAGS);
		packet.bytes[changes[i][0]] = changes[i][1];
		if (is_ours())
			fail_msg("with byte %d = %d", changes[i][0], changes[i][1]);
		assert_int_equal(read_packet(false), DNSWIRE_ANSWER);
		assert_int_equal(answer.failure, DNS_FAILURE_MALFORMED);
		assert_int_equal(dropped, 1);
	}
	for (size_t len = 0; len < 12 + sizeof(QUESTION) - 1; len++) {
		begin(FLAGS);
		packet.len = len;
		assert_false(is_ours());
		expect_failed(DNS_FAILURE_MALFORMED);
	}
}

/* A bare header is an answer to nothing, and of these two rcodes a hint. */
static void test_hint(void **state)
{
	(void)state;
	for (unsigned rcode = 0; rcode < 16; rcode++) {
		bool is_hint = rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_NOTIMP;

		packet.len = 0;
		put_u16(ID);
		put_u16(FLAGS | rcode);
		put(TEXT("\0\0\0\0\0\0\0\0"));
		assert_int_equal(
			match_with(true), is_hint ? DNSWIRE_HINT_NO_EDNS : DNSWIRE_NOT_OURS);
		assert_int_equal(match_with(false), DNSWIRE_NOT_OURS);
		assert_int_equal(read_packet(true), DNSWIRE_ANSWER);
		assert_int_equal(answer.failure, DNS_FAILURE_MALFORMED);
	}
}

static void test_no_hint(void **state)
{
	/* Offset and byte: id, QR, opcode, each count. */
	static const uint8_t changes[][2] = {{0, 0x4e}, {1, 0x42}, {2, 0x01}, {2, 0x91}, {5, 1},
		{4, 1}, {7, 1}, {9, 1}, {11, 1}, {10, 1}};

	(void)state;
	for (size_t i = 0; i < COUNT(changes) + 2; i++) {
		packet.len = 0;
		put_u16(ID);
		put_u16(FLAGS | DNS_RCODE_FORMERR);
		put(TEXT("\0\0\0\0\0\0\0\0\0"));
		packet.len = i == COUNT(changes) ? 11 : i > COUNT(changes) ? 13 : 12;
		if (i < COUNT(changes))
			packet.bytes[changes[i][0]] = changes[i][1];
		if (match_with(true) != DNSWIRE_NOT_OURS)
			fail_msg("change %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query_bytes),
		cmocka_unit_test(test_query_as_ldns_writes_it),
		cmocka_unit_test(test_query_refuses),
		cmocka_unit_test(test_query_longest),
		cmocka_unit_test(test_is_ours),
		cmocka_unit_test(test_is_not_ours),
		cmocka_unit_test(test_hint),
		cmocka_unit_test(test_no_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

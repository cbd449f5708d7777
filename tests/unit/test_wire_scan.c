/*
 * What keeps a packet away from ldns: counts, sizes, rdata and names, each at its bound and one
 * past it.
 */
#include "policy/core/wire_scan.h"
#include "tests/unit/dns_packet.h"

/* Bounds. */

static void test_records_bound(void **state)
{
	(void)state;
	begin(FLAGS);
	for (int i = 0; i < 64; i++)
		put_txt(Q, 300, "v=mc1");
	expect_found(64, 300);
	put_record(ADDITIONAL, ROOT, OPT, 0, TEXT(""));
	expect_failed(DNS_FAILURE_MALFORMED);
	begin(FLAGS);
	for (int i = 0; i < 65; i++)
		put_txt(Q, 300, "v=mc1");
	expect_failed(DNS_FAILURE_MALFORMED);
	begin(FLAGS);
	memset(packet.bytes + 6, 0xff, 6);
	expect_failed(DNS_FAILURE_MALFORMED);
}

static void put_long_txt(size_t strings, size_t each, size_t last)
{
	static const char bytes[256];

	put_record_head(ANSWER, Q, TXT, 5);
	put_u16(strings * (each + 1) + last + 1);
	for (size_t i = 0; i <= strings; i++) {
		size_t len = i < strings ? each : last;
		const char head = (char)len;

		put((struct text){&head, 1});
		put((struct text){bytes, len});
	}
}

static void test_txt_bounds(void **state)
{
	(void)state;
	begin(FLAGS);
	put_long_txt(63, 0, 0);
	expect_found(1, 5);
	assert_int_equal(answer.strings, 64);
	begin(FLAGS);
	put_long_txt(64, 0, 0);
	expect_failed(DNS_FAILURE_MALFORMED);
	begin(FLAGS);
	put_long_txt(16, 255, 16);
	expect_found(1, 5);
	assert_int_equal(answer.txt[0].len, DNS_TEXT_MAX);
	begin(FLAGS);
	put_long_txt(16, 255, 17);
	expect_failed(DNS_FAILURE_MALFORMED);
	begin(FLAGS); /* what makes ldns take 1.6 GiB */
	put_long_txt(65000, 0, 0);
	expect_failed(DNS_FAILURE_MALFORMED);
}

static void test_size_bound(void **state)
{
	(void)state;
	begin(FLAGS);
	for (int i = 0; i < 3; i++)
		put_long_txt(16, 255, 16);
	put_long_txt(15, 255, 79);
	memset(packet.bytes + packet.len, 0, 200);
	packet.len = DNSWIRE_MAX; /* what stands behind the records is not looked at */
	expect_found(4, 5);
	packet.len++;
	expect_failed(DNS_FAILURE_MALFORMED);
}

static void test_rdata(void **state)
{
	static const struct {
		unsigned type;
		struct text rdata;
	} bad[] = {
		{TXT, {"", 0}},
		{TXT, {"\4abc", 4}},
		{TXT, {"\1a\2b", 4}},
		{CNAME, {"", 0}},
		{CNAME, {"\1a", 2}},
		{CNAME, {"\xc0", 1}},
		{CNAME, {"\1a\0\0", 4}},
		{NS, {"\1a\0\0", 4}},
		{SOA, {"\0\0"
		       "0123456789012345678",
			      21}},
		{SOA, {"\0\0"
		       "012345678901234567890",
			      23}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin(FLAGS);
		put_record(ANSWER, Q, bad[i].type, 5, bad[i].rdata);
		expect_failed(DNS_FAILURE_MALFORMED);
	}
	begin(FLAGS); /* the same bytes beyond the rdata would do */
	put_record_head(ANSWER, Q, TXT, 5);
	put_u16(3);
	put(TEXT("\3abc"));
	expect_failed(DNS_FAILURE_MALFORMED);
}

static void test_every_cut(void **state)
{
	size_t whole;

	(void)state;
	begin(FLAGS);
	put_record(ANSWER, Q, CNAME, 5, TEXT("\1a\xc0\x10"));
	put_txt(TEXT("\1a\xc0\x10"), 5, "v=mc1");
	put_soa(ZONE, 5, 5);
	put_record(ADDITIONAL, ROOT, OPT, 0, TEXT("\0\3\0\2ab"));
	expect_found(1, 5);
	whole = packet.len;
	for (packet.len = 0; packet.len < whole; packet.len++)
		expect_failed(DNS_FAILURE_MALFORMED);
}

/* Names. */

static void test_bad_names(void **state)
{
	/* The record begins at offset 33. */
	static const struct text bad[] = {
		{"\xc0\x21", 2},                /* itself */
		{"\1a\xc0\x21", 4},             /* its own beginning */
		{"\xc0\x23\1a", 4},             /* forward */
		{"\xff\xff", 2},                /* far forward */
		{"\xc0\x00", 2},                /* the header */
		{"\xc0\x0b", 2},                /* the header */
		{"\xc0\x20", 2},                /* a label that runs into the name itself */
		{"\x40", 1},                    /* label types that nobody uses */
		{"\x80\1", 2}, {"\xc0\x0d", 2}, /* into a label: '_' is none */
	};

	static const char zeros[200];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin(FLAGS);
		assert_int_equal(packet.len, 33);
		put_txt(bad[i], 5, "x");
		put(TEXT(zeros)); /* a record that does for what is read wrongly */
		expect_failed(DNS_FAILURE_MALFORMED);
	}
}

/* Offset 32 holds a label of one byte, the first of the name itself; the second, 32, is a label's
 * length again, and where that ends a root stands. */
static void test_name_through_itself(void **state)
{
	(void)state;
	begin(FLAGS);
	put_record(ANSWER, TEXT("\xc0\x20"), TXT, 5,
		TEXT("\x1e"
		     "aaaaaaaaaaaaaaaaaaaaa\0aaaaaaaa"));
	assert_int_equal(packet.bytes[67], 0);
	expect_failed(DNS_FAILURE_MALFORMED);
}

/* So many labels of one byte and perhaps a root or a pointer behind them. */
static struct text labels(size_t count, struct text end, char out[600])
{
	for (size_t i = 0; i < 2 * count; i++)
		out[i] = i % 2 ? 'a' : 1;
	memcpy(out + 2 * count, end.ptr, end.len);
	return (struct text){out, 2 * count + end.len};
}

static void test_long_names(void **state)
{
	char bytes[600];

	(void)state;
	begin(FLAGS);
	put_txt(labels(127, ROOT, bytes), 5, "x"); /* 255 bytes */
	expect_absent(60);
	begin(FLAGS);
	put_txt(labels(126, TEXT("\2aa\0"), bytes), 5, "x"); /* 256 */
	expect_failed(DNS_FAILURE_MALFORMED);
	begin(FLAGS);
	put_txt(labels(119, Q, bytes), 5, "x"); /* 255 with the 17 of the question */
	expect_absent(60);
	begin(FLAGS);
	put_txt(labels(120, Q, bytes), 5, "x");
	expect_failed(DNS_FAILURE_MALFORMED);
}

/* A TXT of so many pointers, each to the one before it, and an owner that enters the last one. */
static void put_pointers(size_t count)
{
	size_t first;

	put_record_head(ANSWER, ROOT, 999, 5);
	put_u16(2 * count);
	first = packet.len;
	put(Q);
	for (size_t i = 1; i < count; i++)
		put_u16(0xc000 | (first + 2 * (i - 1)));
	put_u16(0xc000 | (first + 2 * (count - 1)));
	put_u16(TXT);
	put_u16(IN);
	put_u32(5);
	put_u16(2);
	put(TEXT("\1x"));
	packet.bytes[7]++;
}

static void test_pointers_to_pointers(void **state)
{
	(void)state;
	begin(FLAGS);
	put_pointers(126);
	expect_found(1, 5);
	begin(FLAGS);
	put_pointers(127);
	expect_failed(DNS_FAILURE_MALFORMED);
	begin(FLAGS);
	put_pointers(7000);
	expect_failed(DNS_FAILURE_MALFORMED);
}

/* A name that points at the type of a record which the scan renames: read as it stands then. */
static void test_name_into_a_type(void **state)
{
	(void)state;
	begin(FLAGS);
	put_record(ANSWER, Q, 0x0001, 5, TEXT("\0abc"));
	put_txt(TEXT("\xc0\x23"), 5, "x"); /* at the type of the record before: \0, the root */
	expect_failed(DNS_FAILURE_MALFORMED);
}

/* What ldns must not be shown. */

static void test_additional_is_harmless(void **state)
{
	static const char tsig[] = "\x0bhmac-sha256\0\0\0\0\0\0\0\1\x2c\0\4abcd\0\1\0\0\0\0";

	(void)state;
	begin(FLAGS);
	put_txt(Q, 300, "v=mc1");
	for (int i = 0; i < 5; i++) {
		put_record(ADDITIONAL, TEXT("\1k\0"), TSIG, 0, TEXT(tsig));
		put_record(ADDITIONAL, ROOT, OPT, 0, TEXT("\0\xff"));
		put_record(ADDITIONAL, ROOT, TXT, 0, TEXT("\xff"));
	}
	expect_found(1, 300);
}

static void test_other_types_are_opaque(void **state)
{
	static const char empty[4000];

	(void)state;
	begin(FLAGS); /* ldns reads SPF like TXT, without measure */
	put_record(ANSWER, Q, SPF, 5, TEXT(empty));
	put_record(ANSWER, Q, TSIG, 5, TEXT("x"));
	put_record(ANSWER, Q, 1, 5, TEXT("no address"));
	put_record(ANSWER, Q, TXT, 5, TEXT("\xff"));
	packet.bytes[packet.len - 8] = CH;
	put_txt(Q, 300, "v=mc1");
	put_record(AUTHORITY, Q, OPT, 5, TEXT("\1\2\3"));
	expect_found(1, 300);
}

/* The plain records of a packet; they lie in the copy. */
static struct wire_facts facts;
static uint8_t scanned[sizeof(packet.bytes)];

static size_t plain_of_packet(void)
{
	memcpy(scanned, packet.bytes, packet.len);
	assert_true(wire_scan(scanned, packet.len, &facts));
	return facts.plain_count;
}

static void test_plain(void **state)
{
	(void)state;
	begin(FLAGS);
	assert_int_equal(plain_of_packet(), 0);
	put_record(ANSWER, Q, TXT, 0x80000000, TEXT("\1a\0"));
	put_record(ANSWER, Q, TXT, 7, TEXT("\2bc"));
	put_record(AUTHORITY, ZONE, NS, 5, TEXT("\2ns\xc0\x10"));
	put_record(AUTHORITY, Q, TXT, 5, TEXT("\1x"));
	put_record(ADDITIONAL, Q, TXT, 5, TEXT("\1y"));
	assert_int_equal(plain_of_packet(), 2);
	assert_true(text_equal(facts.plain[0].strings, TEXT("\1a\0")));
	assert_true(text_equal(facts.plain[1].strings, TEXT("\2bc")));
	assert_int_equal(facts.plain[0].ttl, 0x80000000);
	assert_int_equal(facts.plain[1].ttl, 7);
	assert_true(facts.plain[0].strings.ptr > (const char *)scanned);
	begin(FLAGS);
	for (int i = 0; i < 64; i++)
		put_txt(Q, 300, "v=mc1");
	assert_int_equal(plain_of_packet(), 64);
}

/* One record of another kind among them, before or behind, and none is plain. */
static void test_not_plain(void **state)
{
	(void)state;
	for (int i = 0; i < 14; i++) {
		begin(FLAGS);
		if (i % 2)
			put_txt(Q, 300, "v=mc1");
		switch (i / 2) {
		case 0:
			put_record(ANSWER, Q, CNAME, 60, TEXT("\1a\0"));
			break;
		case 1:
			put_txt(ZONE, 60, "of the parent");
			break;
		case 2:
			put_txt(TEXT("\1x\xc0\x0c"), 60, "of a child");
			break;
		case 3:
			put_txt(TEXT("\3_mc\7example\3com\0"), 60, "spelled out");
			break;
		case 4:
			put_record(ANSWER, Q, SPF, 60, TEXT("\3spf"));
			break;
		case 5:
			put_record(ANSWER, Q, 46, 60, TEXT("signature"));
			break;
		case 6:
			put_record(ANSWER, Q, TXT, 60, TEXT("\5chaos"));
			packet.bytes[packet.len - 6 - 7] = CH;
			break;
		}
		if (i % 2 == 0)
			put_txt(Q, 300, "v=mc1");
		if (plain_of_packet() != 0)
			fail_msg("case %d", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_not_plain),
		cmocka_unit_test(test_records_bound),
		cmocka_unit_test(test_txt_bounds),
		cmocka_unit_test(test_size_bound),
		cmocka_unit_test(test_rdata),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_name_through_itself),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_pointers_to_pointers),
		cmocka_unit_test(test_name_into_a_type),
		cmocka_unit_test(test_additional_is_harmless),
		cmocka_unit_test(test_other_types_are_opaque),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

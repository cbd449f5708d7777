/*
 * DNS packets made by hand, byte by byte, and what reading one must end in.
 *
 * Most packets answer the question that QUESTION holds; the owner name Q points to it (offset 12),
 * ZONE to its "example.com" (offset 16).
 */
#ifndef TESTS_UNIT_DNS_PACKET_H
#define TESTS_UNIT_DNS_PACKET_H

#include "policy/data/dnswire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ID           0x4d43
#define NAME         "_mc.example.com"
#define QUESTION     "\3_mc\7example\3com\0\0\x10\0\1"
#define Q            TEXT("\xc0\x0c")
#define ZONE         TEXT("\xc0\x10")
#define ROOT         TEXT("\0")

enum { TXT = 16, CNAME = 5, SOA = 6, NS = 2, SPF = 99, OPT = 41, TSIG = 250 };
enum { IN = 1, CH = 3 };

/* Flags of an answer: QR, RD, RA. */
#define FLAGS 0x8180u
#define AA    0x0400u
#define TC    0x0200u
#define AD    0x0020u
#define RA    0x0080u

enum section { ANSWER, AUTHORITY, ADDITIONAL };

struct packet {
	uint8_t bytes[70000];
	size_t len;
};

static struct packet packet;
static struct dns_answer answer;
static uint64_t dropped;
static uint8_t query_bytes[DNSWIRE_QUERY_MAX];

static inline void put(struct text t)
{
	assert_true(t.len <= sizeof(packet.bytes) - packet.len);
	memcpy(packet.bytes + packet.len, t.ptr, t.len);
	packet.len += t.len;
}

static inline void put_u16(size_t value)
{
	const char bytes[2] = {(char)(value >> 8), (char)value};

	put((struct text){bytes, 2});
}

static inline void put_u32(uint32_t value)
{
	put_u16(value >> 16);
	put_u16(value & 0xffff);
}

static inline void begin(unsigned flags)
{
	packet.len = 0;
	put_u16(ID);
	put_u16(flags);
	put(TEXT("\0\1\0\0\0\0\0\0" QUESTION));
}

static inline void put_record_head(
	enum section section, struct text owner, unsigned type, uint32_t ttl)
{
	put(owner);
	put_u16(type);
	put_u16(IN);
	put_u32(ttl);
	packet.bytes[7 + 2 * section]++;
}

static inline void put_record(
	enum section section, struct text owner, unsigned type, uint32_t ttl, struct text rdata)
{
	put_record_head(section, owner, type, ttl);
	put_u16(rdata.len);
	put(rdata);
}

static inline void put_txt(struct text owner, uint32_t ttl, const char *string)
{
	char rdata[256];
	size_t len = strlen(string);

	rdata[0] = (char)len;
	memcpy(rdata + 1, string, len);
	put_record(ANSWER, owner, TXT, ttl, (struct text){rdata, len + 1});
}

static inline void put_soa(struct text owner, uint32_t ttl, uint32_t minimum)
{
	put_record_head(AUTHORITY, owner, SOA, ttl);
	put_u16(4 + 20);
	put(TEXT("\xc0\x10\xc0\x10"));
	for (uint32_t i = 1; i < 5; i++)
		put_u32(i);
	put_u32(minimum);
}

/* Names "a", "b", ... as they stand in a packet. */
static inline struct text nth(unsigned n, char name[3])
{
	name[0] = 1;
	name[1] = (char)('a' + n);
	name[2] = 0;
	return (struct text){name, 3};
}

/* From the question over so many CNAME links, of TTL 100, 99, ...; returns where it ends. */
static inline struct text put_chain(unsigned links, char end[3])
{
	char owner[3];

	for (unsigned i = 0; i < links; i++)
		put_record(ANSWER, i == 0 ? Q : nth(i - 1, owner), CNAME, 100 - i, nth(i, end));
	return links == 0 ? Q : (struct text){end, 3};
}

static inline struct text query(bool with_edns)
{
	size_t len = dnswire_query(text_of(NAME), ID, with_edns, query_bytes);

	assert_true(len > 0);
	return (struct text){(const char *)query_bytes, len};
}

/* An exact copy on the heap, so that a sanitizer sees a read past the end. */
static inline enum dnswire_result read_packet(bool had_edns)
{
	uint8_t *exact = malloc(packet.len > 0 ? packet.len : 1);
	enum dnswire_result result;

	assert_non_null(exact);
	memcpy(exact, packet.bytes, packet.len);
	dropped = 0;
	result = dnswire_read((struct text){(const char *)exact, packet.len}, query(had_edns),
		had_edns, &answer, &dropped);
	assert_memory_equal(exact, packet.bytes, packet.len);
	free(exact);
	return result;
}

static inline void expect_found(size_t count, uint32_t ttl_s)
{
	assert_int_equal(read_packet(false), DNSWIRE_ANSWER);
	assert_int_equal(answer.status, LOOKUP_FOUND);
	assert_int_equal(answer.failure, DNS_FAILURE_NONE);
	assert_int_equal(answer.count, count);
	assert_int_equal(answer.ttl_s, ttl_s);
	assert_int_equal(dropped, 0);
}

static inline void expect_absent(uint32_t ttl_s)
{
	assert_int_equal(read_packet(false), DNSWIRE_ANSWER);
	assert_int_equal(answer.status, LOOKUP_ABSENT);
	assert_int_equal(answer.failure, DNS_FAILURE_NONE);
	assert_int_equal(answer.count, 0);
	assert_int_equal(answer.ttl_s, ttl_s);
	assert_int_equal(dropped, 0);
}

static inline void expect_failed(enum dns_failure failure)
{
	assert_int_equal(read_packet(false), DNSWIRE_ANSWER);
	assert_int_equal(answer.status, LOOKUP_FAILED);
	assert_int_equal(answer.failure, failure);
	assert_int_equal(answer.count, 0);
	assert_int_equal(dropped, failure == DNS_FAILURE_MALFORMED);
}

static inline void expect_text(size_t i, const char *wanted)
{
	assert_int_equal(answer.txt[i].len, strlen(wanted));
	assert_memory_equal(answer.txt[i].ptr, wanted, answer.txt[i].len);
}

#endif

/*
 * The bytes of a cached DNS answer, and for how long it may be used.
 *
 *   key     the name, lower-case
 *   value   version(1) checksum(8) boot id(16)
 *           status(1) failure(1) rcode(1) flags(1) stored_ms(8)
 *           failures(1) failed_why(1) failed_rcode(1) failed_ms(8)
 *           varint lifetime_s, varint ttl_s, varint strings, varint count
 *           each text: varint length, bytes
 *
 * The checksum covers the key and what stands behind it; numbers are little-endian.
 *
 * Pure: the caller brings now_ms (CLOCK_BOOTTIME, milliseconds, not negative) and the boot id; an
 * entry of another boot is no entry. Rules: FOUND by its TTL, ABSENT by its negative TTL
 * (RFC 2308), FAILED briefly with back-off (RFC 9520). TTLs are at least CACHE_MIN_TTL_S and at
 * most what struct cache_rules says. After its end an entry is stale for stale_s and may be used
 * while the DNS fails (RFC 8767).
 */
#ifndef POLICY_CORE_CACHE_CODEC_H
#define POLICY_CORE_CACHE_CODEC_H

#include "policy/core/dns.h"

#define CACHE_CHECKED_FROM 9  /* bytes before what the checksum covers */
#define CACHE_HEAD_MAX     80 /* bytes before the texts */
#define CACHE_ENTRY_MAX    (DNS_BYTES_MAX + 2 * DNS_RECORDS_MAX + CACHE_HEAD_MAX)
#define CACHE_MIN_TTL_S    5 /* TTL 0 is for one transaction: a mail asks once for each recipient */
#define CACHE_FAILED_S     5 /* the first failure is kept so long, doubled each time after ... */
#define CACHE_FAILED_MAX   300 /* ... up to this (RFC 9520) */
#define CACHE_RETRY_S      30  /* a stale answer is refreshed at most so often (RFC 8767) */

struct cache_rules {
	uint32_t max_ttl_s, negative_max_ttl_s, stale_s;
};

enum freshness {
	FRESH,       /* use it */
	FRESH_AGING, /* use it and ask again: the last tenth of its time */
	STALE,       /* only while the DNS fails */
	STALE_TRIED, /* the same, and a refresh failed less than CACHE_RETRY_S ago: do not ask now */
	EXPIRED,     /* no entry */
};

/* One entry: the last answer that was one (FOUND or ABSENT), and what was tried since. */
struct cache_entry {
	struct dns_answer answer; /* FAILED: there never was one */
	int64_t stored_ms;        /* when the answer came */
	int64_t failed_ms;        /* when a refresh last failed; 0: not since */
	uint8_t failures;         /* in a row */
	uint8_t failed_rcode;
	enum dns_failure failed_why;
	uint32_t lifetime_s; /* clamped TTL; of a FAILED answer its back-off */
};

/* The entry an answer makes: `before` (NULL: none; may be `entry` itself) keeps its answer when the
 * new one FAILED. A failure of our own (limit, memory) is not counted: it says nothing about the
 * name. */
void cache_entry_update(struct cache_entry *entry, const struct cache_entry *before,
	const struct dns_answer *answer, int64_t now_ms, const struct cache_rules *rules);

/* FRESH, too, in the last tenth while a refresh that failed is younger than CACHE_RETRY_S. EXPIRED
 * for an entry without an answer. */
enum freshness cache_entry_freshness(
	const struct cache_entry *entry, int64_t now_ms, const struct cache_rules *rules);
/* Whether the last failure is younger than its back-off, so that without a usable answer the DNS is
 * not asked again yet. */
bool cache_entry_failure_is_fresh(const struct cache_entry *entry, int64_t now_ms);
/* Seconds the answer is fresh for still, rounded up; 0 when it is not. */
uint32_t cache_entry_ttl_left_s(const struct cache_entry *entry, int64_t now_ms);

/* Into out[cap]; CACHE_ENTRY_MAX always suffices. Returns the length, 0 when it may not fit. */
size_t cache_entry_encode(const struct cache_entry *entry, struct text key,
	const uint8_t boot_id[16], uint8_t *out, size_t cap);
/* FOUND; ABSENT: of another boot or version; FAILED: damaged (the cache treats both as empty). The
 * answer's server is empty then. */
enum lookup cache_entry_decode(
	struct text key, struct text value, const uint8_t boot_id[16], struct cache_entry *out);
/* The same for a copy of a value that was encoded or decoded in this process: its checksum and boot
 * are known to be right. */
enum lookup cache_entry_read(struct text value, struct cache_entry *out);

#endif

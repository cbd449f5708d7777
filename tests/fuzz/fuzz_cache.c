/*
 * Any bytes as a value of the DNS cache: as they are, and with the checksum that they should have,
 * so that the decoder is reached behind it.
 *
 * What holds: what decodes encodes to the same bytes; its texts lie in its own buffer within the
 * bounds of dns.h; its age can be told at any time; a failure after it keeps its answer.
 */
#include "policy/core/bytes.h"
#include "policy/core/cache_codec.h"
#include "policy/core/siphash.h"

#include <stdlib.h>

#define VALUE_MAX   (2 * CACHE_ENTRY_MAX)
#define BODY_AT     9
#define BOOT_AT     BODY_AT
#define CHECKSUM_AT 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct text key = {"_mc.x.example", 13};
static const struct cache_rules rules = {3600, 300, 86400};
static const uint8_t boot[16] = {'b', 'o', 'o', 't'};
/* As in cache_codec.c; check_key fails when they part. */
static const struct siphash_key checksum_key = {0x706f6c6963796420ULL, 0x646e732063616368ULL};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void seal(uint8_t *value, size_t len)
{
	value[0] = 1;
	memcpy(value + BOOT_AT, boot, sizeof(boot));
	put_le64(value + CHECKSUM_AT,
		siphash13_pair(&checksum_key, key,
			(struct text){(const char *)value + BODY_AT, len - BODY_AT}));
}

static void check_key(void)
{
	static struct cache_entry entry;
	static uint8_t value[CACHE_ENTRY_MAX];
	uint8_t first;
	size_t len;

	dns_answer_clear(&entry.answer, DNS_FAILURE_TIMEOUT);
	len = cache_entry_encode(&entry, key, boot, value, sizeof(value));
	first = value[CHECKSUM_AT];
	seal(value, len);
	must(len > 0 && value[CHECKSUM_AT] == first);
}

static void check_answer(const struct dns_answer *answer)
{
	must(answer->count <= DNS_RECORDS_MAX && answer->used <= DNS_BYTES_MAX);
	must((answer->count > 0) == (answer->status == LOOKUP_FOUND));
	for (size_t i = 0; i < answer->count; i++) {
		must(answer->txt[i].ptr >= answer->bytes && answer->txt[i].len <= DNS_TEXT_MAX);
		must(answer->txt[i].ptr + answer->txt[i].len <= answer->bytes + answer->used);
	}
}

static void check_ages(const struct cache_entry *entry)
{
	static const int64_t nows_ms[] = {0, 1, 1000, INT32_MAX, INT64_MAX / 8, INT64_MAX / 4};

	for (size_t i = 0; i < sizeof(nows_ms) / sizeof(nows_ms[0]); i++) {
		enum freshness freshness = cache_entry_freshness(entry, nows_ms[i], &rules);
		uint32_t left_s = cache_entry_ttl_left_s(entry, nows_ms[i]);

		must((left_s > 0) == (freshness == FRESH || freshness == FRESH_AGING));
		must(entry->answer.status != LOOKUP_FAILED || freshness == EXPIRED);
		(void)!cache_entry_failure_is_fresh(entry, nows_ms[i]);
	}
}

static void check_update(const struct cache_entry *entry)
{
	static struct cache_entry after;
	static struct dns_answer failed;

	dns_answer_clear(&failed, DNS_FAILURE_NETWORK);
	cache_entry_update(&after, entry, &failed, INT32_MAX, &rules);
	must(after.answer.status == entry->answer.status && after.failures > 0);
	must(after.answer.count == entry->answer.count);
	must(cache_entry_failure_is_fresh(&after, INT32_MAX));
}

static void check_value(struct text value)
{
	static struct cache_entry entry;
	static uint8_t again[CACHE_ENTRY_MAX];

	if (cache_entry_decode(key, value, boot, &entry) != LOOKUP_FOUND)
		return;
	must(cache_entry_encode(&entry, key, boot, again, sizeof(again)) == value.len);
	must(memcmp(again, value.ptr, value.len) == 0);
	check_answer(&entry.answer);
	check_ages(&entry);
	check_update(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t value[VALUE_MAX];

	if (size > sizeof(value))
		return 0;
	check_key();
	check_value((struct text){(const char *)data, size});
	if (size < BODY_AT + sizeof(boot))
		return 0;
	memcpy(value, data, size);
	seal(value, size);
	check_value((struct text){(const char *)value, size});
	return 0;
}

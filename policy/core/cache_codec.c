/*
 * Encoder and decoder of a cached answer, drawn in cache_codec.h, and the rules of its age.
 *
 * Pure; knows neither LMDB nor a clock. The encoder trusts its caller, the decoder trusts nothing:
 * whatever no encoder writes is FAILED.
 */
#include "policy/core/cache_codec.h"

#include "policy/core/bytes.h"
#include "policy/core/siphash.h"

#define VERSION        1
#define CHECKSUM_AT    1
#define BODY_AT        CACHE_CHECKED_FROM
#define STATE_AT       (BODY_AT + 16)
#define FIXED_LEN      23 /* from status to failed_ms */
#define FLAG_AUTHENTIC 1u
#define FAILURES_MAX   255
#define MOMENT_MAX     ((uint64_t)INT64_MAX / 4) /* sums of moments do not overflow */
#define CLOCK_SKEW_MS  60000 /* a worker's idea of now may be a little older than another's entry */

static const struct siphash_key checksum_key = {0x706f6c6963796420ULL, 0x646e732063616368ULL};

static bool has_answer(const struct cache_entry *entry)
{
	return entry->answer.status != LOOKUP_FAILED;
}

static uint32_t clamp_ttl(const struct dns_answer *answer, const struct cache_rules *rules)
{
	/* RFC 2181 section 8: a TTL with the top bit set is 0. */
	uint32_t ttl_s = answer->ttl_s > INT32_MAX ? 0 : answer->ttl_s;
	uint32_t max_s =
		answer->status == LOOKUP_FOUND ? rules->max_ttl_s : rules->negative_max_ttl_s;

	if (ttl_s < CACHE_MIN_TTL_S)
		ttl_s = CACHE_MIN_TTL_S;
	return ttl_s < max_s ? ttl_s : max_s;
}

static uint32_t back_off_s(uint8_t failures)
{
	uint32_t wait_s = CACHE_FAILED_S;

	for (uint8_t i = 1; i < failures && wait_s < CACHE_FAILED_MAX; i++)
		wait_s *= 2;
	return wait_s < CACHE_FAILED_MAX ? wait_s : CACHE_FAILED_MAX;
}

/* Failures in a row, this one included. Those of long ago say nothing about the DNS of today. */
static uint8_t count_failures(const struct cache_entry *before, int64_t now_ms)
{
	if (!before || now_ms - before->failed_ms > (int64_t)CACHE_FAILED_MAX * 2 * 1000)
		return 1;
	return before->failures < FAILURES_MAX ? (uint8_t)(before->failures + 1) : FAILURES_MAX;
}

/* Failures of the DNS count; what we refused ourselves says nothing about the name. */
static bool is_ours(enum dns_failure failure)
{
	return failure == DNS_FAILURE_LIMIT || failure == DNS_FAILURE_MEMORY;
}

static void copy_entry(struct cache_entry *to, const struct cache_entry *from)
{
	if (to == from)
		return;
	dns_answer_copy(&to->answer, &from->answer);
	to->stored_ms = from->stored_ms;
	to->failed_ms = from->failed_ms;
	to->failures = from->failures;
	to->failed_rcode = from->failed_rcode;
	to->failed_why = from->failed_why;
	to->lifetime_s = from->lifetime_s;
}

static void forget_failures(struct cache_entry *entry)
{
	entry->failed_ms = 0;
	entry->failures = 0;
	entry->failed_rcode = 0;
	entry->failed_why = DNS_FAILURE_NONE;
}

static void count_failure(struct cache_entry *entry, const struct dns_answer *answer,
	uint8_t failures, int64_t now_ms)
{
	entry->failed_ms = now_ms;
	entry->failures = failures;
	entry->failed_rcode = answer->rcode;
	entry->failed_why = answer->failure;
}

static void update_failed(struct cache_entry *entry, const struct cache_entry *before,
	const struct dns_answer *answer, int64_t now_ms)
{
	uint8_t failures = count_failures(before, now_ms);

	if (before) {
		copy_entry(entry, before);
	} else {
		dns_answer_copy(&entry->answer, answer);
		forget_failures(entry);
		entry->stored_ms = now_ms;
		entry->lifetime_s = 0;
	}
	if (is_ours(answer->failure))
		return;
	count_failure(entry, answer, failures, now_ms);
	if (has_answer(entry))
		return;
	dns_answer_copy(&entry->answer, answer);
	entry->stored_ms = now_ms;
	entry->lifetime_s = back_off_s(failures);
}

void cache_entry_update(struct cache_entry *entry, const struct cache_entry *before,
	const struct dns_answer *answer, int64_t now_ms, const struct cache_rules *rules)
{
	if (answer->status == LOOKUP_FAILED) {
		update_failed(entry, before, answer, now_ms);
		return;
	}
	dns_answer_copy(&entry->answer, answer);
	entry->stored_ms = now_ms;
	entry->lifetime_s = clamp_ttl(answer, rules);
	forget_failures(entry);
}

/* False: stored in what is the future, so its age is unknown. */
static bool get_age(const struct cache_entry *entry, int64_t now_ms, int64_t *age_ms)
{
	*age_ms = now_ms - entry->stored_ms;
	if (*age_ms >= 0)
		return true;
	if (*age_ms < -CLOCK_SKEW_MS)
		return false;
	*age_ms = 0;
	return true;
}

static bool failed_within(const struct cache_entry *entry, int64_t now_ms, uint32_t span_s)
{
	int64_t since_ms = now_ms - entry->failed_ms;

	return entry->failures > 0 && since_ms >= -CLOCK_SKEW_MS &&
	       since_ms < (int64_t)span_s * 1000;
}

enum freshness cache_entry_freshness(
	const struct cache_entry *entry, int64_t now_ms, const struct cache_rules *rules)
{
	int64_t lifetime_ms = (int64_t)entry->lifetime_s * 1000;
	bool was_tried = failed_within(entry, now_ms, CACHE_RETRY_S);
	int64_t age_ms;

	if (!has_answer(entry) || !get_age(entry, now_ms, &age_ms))
		return EXPIRED;
	if (age_ms < lifetime_ms)
		return age_ms * 10 < lifetime_ms * 9 || was_tried ? FRESH : FRESH_AGING;
	if (age_ms < lifetime_ms + (int64_t)rules->stale_s * 1000)
		return was_tried ? STALE_TRIED : STALE;
	return EXPIRED;
}

bool cache_entry_failure_is_fresh(const struct cache_entry *entry, int64_t now_ms)
{
	return failed_within(entry, now_ms, back_off_s(entry->failures));
}

uint32_t cache_entry_ttl_left_s(const struct cache_entry *entry, int64_t now_ms)
{
	int64_t lifetime_ms = (int64_t)entry->lifetime_s * 1000;
	int64_t age_ms;

	if (!has_answer(entry) || !get_age(entry, now_ms, &age_ms) || age_ms >= lifetime_ms)
		return 0;
	return (uint32_t)((lifetime_ms - age_ms + 999) / 1000);
}

static uint64_t checksum_of(struct text key, struct text body)
{
	return siphash13_pair(&checksum_key, key, body);
}

static uint8_t *put_byte(uint8_t *at, unsigned byte)
{
	*at = (uint8_t)byte;
	return at + 1;
}

static uint8_t *put_moment(uint8_t *at, int64_t moment_ms)
{
	put_le64(at, (uint64_t)moment_ms);
	return at + 8;
}

static uint8_t *put_state(uint8_t *at, const struct cache_entry *entry)
{
	const struct dns_answer *answer = &entry->answer;

	at = put_byte(at, answer->status);
	at = put_byte(at, answer->failure);
	at = put_byte(at, answer->rcode);
	at = put_byte(at, answer->is_authentic ? FLAG_AUTHENTIC : 0);
	at = put_moment(at, entry->stored_ms);
	at = put_byte(at, entry->failures);
	at = put_byte(at, entry->failed_why);
	at = put_byte(at, entry->failed_rcode);
	at = put_moment(at, entry->failed_ms);
	at += put_varint(at, entry->lifetime_s);
	at += put_varint(at, answer->ttl_s);
	at += put_varint(at, answer->strings);
	return at + put_varint(at, answer->count);
}

/* No more than cache_entry_encode writes; a bound, so that the writing needs no checks. */
static size_t size_bound(const struct dns_answer *answer)
{
	size_t size = CACHE_HEAD_MAX;

	for (size_t i = 0; i < answer->count; i++)
		size += answer->txt[i].len + 2;
	return size;
}

size_t cache_entry_encode(const struct cache_entry *entry, struct text key,
	const uint8_t boot_id[16], uint8_t *out, size_t cap)
{
	uint8_t *at = out + BODY_AT;

	if (size_bound(&entry->answer) > cap)
		return 0;
	out[0] = VERSION;
	memcpy(at, boot_id, 16);
	at = put_state(at + 16, entry);
	for (size_t i = 0; i < entry->answer.count; i++)
		at += put_text(at, entry->answer.txt[i]);
	put_le64(out + CHECKSUM_AT, checksum_of(key, (struct text){(const char *)out + BODY_AT,
							     (size_t)(at - out) - BODY_AT}));
	return (size_t)(at - out);
}

/* Spelled out, so that compilers make one load of it. */
static uint64_t load_le64(const char *at)
{
	const uint8_t *in = (const uint8_t *)at;

	return (uint64_t)in[0] | (uint64_t)in[1] << 8 | (uint64_t)in[2] << 16 |
	       (uint64_t)in[3] << 24 | (uint64_t)in[4] << 32 | (uint64_t)in[5] << 40 |
	       (uint64_t)in[6] << 48 | (uint64_t)in[7] << 56;
}

/* Most are one byte. */
static inline bool take_number(struct text *in, uint64_t max, uint64_t *out)
{
	if (in->len == 0 || (uint8_t)in->ptr[0] > 0x7f)
		return take_varint(in, out) && *out <= max;
	*out = (uint8_t)in->ptr[0];
	*in = text_tail(*in, 1);
	return *out <= max;
}

/* The fixed part, in the order of put_state. */
static bool take_fixed(struct text *in, struct cache_entry *out)
{
	struct dns_answer *answer = &out->answer;
	const uint8_t *at = (const uint8_t *)in->ptr;
	uint64_t stored_ms, failed_ms;

	if (in->len < FIXED_LEN)
		return false;
	stored_ms = load_le64(in->ptr + 4);
	failed_ms = load_le64(in->ptr + 15);
	if (at[0] > LOOKUP_FAILED || at[1] > DNS_FAILURE_MEMORY || at[3] & ~FLAG_AUTHENTIC ||
		stored_ms > MOMENT_MAX || at[13] > DNS_FAILURE_MEMORY || failed_ms > MOMENT_MAX)
		return false;
	answer->status = (enum lookup)at[0];
	answer->failure = (enum dns_failure)at[1];
	answer->rcode = at[2];
	answer->is_authentic = at[3] & FLAG_AUTHENTIC;
	out->stored_ms = (int64_t)stored_ms;
	out->failures = at[12];
	out->failed_why = (enum dns_failure)at[13];
	out->failed_rcode = at[14];
	out->failed_ms = (int64_t)failed_ms;
	*in = text_tail(*in, FIXED_LEN);
	return true;
}

static bool take_numbers(struct text *in, struct cache_entry *out, uint64_t *count)
{
	uint64_t lifetime_s, ttl_s, strings;

	if (!take_number(in, UINT32_MAX, &lifetime_s) || !take_number(in, UINT32_MAX, &ttl_s) ||
		!take_number(in, DNS_TEXT_MAX, &strings) ||
		!take_number(in, DNS_RECORDS_MAX, count))
		return false;
	out->lifetime_s = (uint32_t)lifetime_s;
	out->answer.ttl_s = (uint32_t)ttl_s;
	out->answer.strings = (size_t)strings;
	return true;
}

static bool take_answer(struct text in, struct cache_entry *out)
{
	uint64_t count = 0;
	struct text txt;

	if (!take_fixed(&in, out) || !take_numbers(&in, out, &count))
		return false;
	if ((count > 0) != (out->answer.status == LOOKUP_FOUND))
		return false;
	for (; count > 0; count--)
		if (!take_text(&in, DNS_TEXT_MAX, &txt) || !dns_answer_add(&out->answer, txt))
			return false;
	return in.len == 0;
}

enum lookup cache_entry_read(struct text value, struct cache_entry *out)
{
	if (value.len < STATE_AT)
		return LOOKUP_FAILED;
	dns_answer_clear(&out->answer, DNS_FAILURE_NONE);
	return take_answer(text_tail(value, STATE_AT), out) ? LOOKUP_FOUND : LOOKUP_FAILED;
}

enum lookup cache_entry_decode(
	struct text key, struct text value, const uint8_t boot_id[16], struct cache_entry *out)
{
	struct text body;

	if (value.len == 0)
		return LOOKUP_FAILED;
	if ((uint8_t)value.ptr[0] != VERSION)
		return LOOKUP_ABSENT;
	if (value.len < STATE_AT)
		return LOOKUP_FAILED;
	body = text_tail(value, BODY_AT);
	if (load_le64(value.ptr + CHECKSUM_AT) != checksum_of(key, body))
		return LOOKUP_FAILED;
	if (memcmp(body.ptr, boot_id, 16) != 0)
		return LOOKUP_ABSENT;
	return cache_entry_read(value, out);
}

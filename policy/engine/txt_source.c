/*
 * See txt_source.h. To ask: look into the cache, let the login pay, ask the resolver. When the
 * answer comes: look into the cache again, for another worker or a flush may have been there
 * meanwhile, keep what the DNS said, tell the one who waits.
 *
 * Nothing is held between the two but a name and a time. A failure of the DNS is kept and may be
 * bridged by a stale answer; a failure of our own (limit, memory) is neither.
 *
 * Knows nothing of records' meaning, of packets and of files. What fails becomes a FAILED fact.
 */
#include "policy/engine/txt_source.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

/* More names than this are not refreshed ahead at a time; their time ends, and who asks then
 * waits. */
#define REFRESHES_MAX 64

struct txt_source {
	struct txt_source_parts parts;
	struct buckets buckets;
	struct txt_wait refreshes[REFRESHES_MAX]; /* free: on_fact is NULL */
};

static int64_t time_ms(const struct txt_source *source)
{
	return source->parts.now_ms(source->parts.clock_ctx);
}

static void fact_fail(struct txt_fact *fact, enum dns_failure failure, uint8_t rcode)
{
	dns_answer_clear(&fact->answer, failure);
	fact->answer.rcode = rcode;
	fact->is_cached = fact->is_stale = false;
	fact->ttl_left_s = 0;
}

static void fact_take(struct txt_fact *fact, const struct dns_answer *answer, uint32_t ttl_left_s)
{
	dns_answer_copy(&fact->answer, answer);
	fact->is_cached = fact->is_stale = false;
	fact->ttl_left_s = ttl_left_s;
}

/* The entry's answer where it may be used; *fact stays as it is where not. A stale one may be
 * used only while the DNS fails: the caller's business. */
static bool fact_take_cached(struct txt_fact *fact, const struct cache_entry *entry,
	enum freshness freshness, int64_t now_ms)
{
	if (freshness == EXPIRED)
		return false;
	fact_take(fact, &entry->answer, cache_entry_ttl_left_s(entry, now_ms));
	fact->is_cached = true;
	fact->is_stale = freshness == STALE || freshness == STALE_TRIED;
	return true;
}

/* Whether the DNS failed, and not we. */
static bool is_dns_failure(const struct dns_answer *answer)
{
	return answer->status == LOOKUP_FAILED && answer->failure != DNS_FAILURE_LIMIT &&
	       answer->failure != DNS_FAILURE_MEMORY;
}

/* Whether an answer of this kind was kept after we asked: of 1,000 that wait for one name the
 * first writes, and one failure counts once in the back-off. */
static bool is_kept_since(
	const struct cache_entry *entry, const struct dns_answer *answer, int64_t asked_ms)
{
	if (answer->status == LOOKUP_FAILED)
		return entry->failures > 0 && entry->failed_ms >= asked_ms;
	return entry->answer.status != LOOKUP_FAILED && entry->stored_ms >= asked_ms;
}

/* Keeps what the DNS said; *entry is what the cache holds then. */
static void keep(
	const struct txt_wait *wait, const struct dns_answer *answer, struct cache_entry *entry)
{
	const struct txt_source *source = wait->source;
	struct text name = text_of(wait->name);
	struct cache_entry before;
	bool has_before = cache_get(source->parts.cache, name, &before) == LOOKUP_FOUND;

	cache_entry_update(
		entry, has_before ? &before : NULL, answer, time_ms(source), &source->parts.rules);
	if (has_before && is_kept_since(&before, answer, wait->asked_ms))
		return;
	cache_put(source->parts.cache, name, entry);
}

static void on_answer(struct resolver_waiter *waiter, const struct dns_answer *answer)
{
	struct txt_wait *wait = waiter->owner;
	struct txt_source *source = wait->source;
	int64_t now_ms = time_ms(source);
	struct cache_entry entry;
	struct txt_fact fact;

	if (answer->status != LOOKUP_FAILED) {
		keep(wait, answer, &entry);
		fact_take(&fact, answer, cache_entry_ttl_left_s(&entry, now_ms));
	} else {
		fact_take(&fact, answer, 0);
		if (is_dns_failure(answer)) {
			keep(wait, answer, &entry);
			(void)fact_take_cached(&fact, &entry,
				cache_entry_freshness(&entry, now_ms, &source->parts.rules),
				now_ms);
		}
	}
	wait->on_fact(wait, &fact);
}

static void begin(
	struct txt_source *source, struct text name, int64_t now_ms, struct txt_wait *wait)
{
	assert(name.len <= DNS_NAME_MAX);
	assert(!wait->waiter.query);
	memcpy(wait->name, name.ptr, name.len);
	wait->name[name.len] = '\0';
	wait->source = source;
	wait->asked_ms = now_ms;
	wait->waiter = (struct resolver_waiter){.on_answer = on_answer, .owner = wait};
	resolver_ask(source->parts.resolver, text_of(wait->name), &wait->waiter);
}

/* What came is in the cache; nobody waited for it. */
static void on_refreshed(struct txt_wait *refresh, const struct txt_fact *fact)
{
	(void)fact;
	refresh->on_fact = NULL;
}

/* Asks again for a name whose time is about to end, unless that is under way. Nobody pays for it;
 * so names of a very short life are left out, or a login could keep many of them asked for without
 * end. */
static void refresh_ahead(struct txt_source *source, struct text name,
	const struct cache_entry *entry, int64_t now_ms)
{
	struct txt_wait *place = NULL;

	if (!source->parts.resolver || entry->lifetime_s < CACHE_RETRY_S)
		return;
	for (size_t i = 0; i < REFRESHES_MAX; i++) {
		struct txt_wait *refresh = &source->refreshes[i];
		if (!refresh->on_fact)
			place = refresh;
		else if (text_equal(text_of(refresh->name), name))
			return;
	}
	if (!place)
		return;
	place->on_fact = on_refreshed;
	begin(source, name, now_ms, place);
}

/* Whether the cache alone settles it; without a resolver the DNS counts as failed. */
static bool is_settled_by_cache(
	struct txt_source *source, struct text name, int64_t now_ms, struct txt_fact *fact)
{
	struct cache_entry entry;
	enum freshness freshness;

	if (cache_get(source->parts.cache, name, &entry) != LOOKUP_FOUND)
		return false;
	freshness = cache_entry_freshness(&entry, now_ms, &source->parts.rules);
	if (freshness == FRESH_AGING)
		refresh_ahead(source, name, &entry, now_ms);
	if (freshness == STALE && source->parts.resolver)
		return false;
	if (fact_take_cached(fact, &entry, freshness, now_ms))
		return true;
	if (!cache_entry_failure_is_fresh(&entry, now_ms))
		return false;
	fact_fail(fact, entry.failed_why, entry.failed_rcode);
	fact->is_cached = true;
	return true;
}

bool txt_ask(struct txt_source *source, struct text name, struct text login, struct txt_wait *wait,
	struct txt_fact *fact)
{
	int64_t now_ms = time_ms(source);

	if (is_settled_by_cache(source, name, now_ms, fact))
		return true;
	if (!source->parts.resolver) {
		fact_fail(fact, DNS_FAILURE_NETWORK, 0);
		return true;
	}
	if (login.len && !bucket_take(&source->buckets, login, now_ms, source->parts.new_domains)) {
		fact_fail(fact, DNS_FAILURE_LIMIT, 0);
		return true;
	}
	begin(source, name, now_ms, wait);
	return false;
}

void txt_cancel(struct txt_wait *wait)
{
	resolver_cancel(&wait->waiter);
}

void txt_give_up(struct txt_wait *wait, enum dns_failure failure)
{
	struct dns_answer answer;

	resolver_cancel(&wait->waiter);
	dns_answer_clear(&answer, failure);
	on_answer(&wait->waiter, &answer);
}

static void cancel_refreshes(struct txt_source *source)
{
	for (size_t i = 0; i < REFRESHES_MAX; i++) {
		txt_cancel(&source->refreshes[i]);
		source->refreshes[i].on_fact = NULL;
	}
}

enum err txt_source_new(struct txt_source **out, const struct txt_source_parts *parts)
{
	struct txt_source *source = calloc(1, sizeof(*source));

	if (!source)
		return ERR_NOMEM;
	if (getrandom(source->buckets.hash_key, sizeof(source->buckets.hash_key), 0) !=
		(ssize_t)sizeof(source->buckets.hash_key)) {
		free(source);
		return ERR_IO;
	}
	source->parts = *parts;
	*out = source;
	return ERR_OK;
}

void txt_source_free(struct txt_source *source)
{
	if (!source)
		return;
	cancel_refreshes(source);
	free(source);
}

void txt_source_configure(struct txt_source *source, const struct txt_source_parts *parts)
{
	if (parts->resolver != source->parts.resolver)
		cancel_refreshes(source);
	source->parts = *parts;
}

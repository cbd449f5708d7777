/*
 * Token buckets, see bucket.h.
 *
 * A bucket is the moment at which it will be full again: each token taken puts that off by one
 * interval, and one that lies past is a full bucket, so nothing has to be refilled and a place is
 * free again by itself. Knows nothing of DNS or logins; cannot fail.
 */
#include "policy/core/bucket.h"

#include "policy/core/siphash.h"

#define MINUTE_MS 60000

static uint64_t owner_of(const struct buckets *buckets, struct text login)
{
	struct siphash_key key = {buckets->hash_key[0], buckets->hash_key[1]};
	uint64_t owner = siphash64(&key, login.ptr, login.len);

	return owner ? owner : 1;
}

/* The login's own place, else one that is as good as free, else the shared one. */
static struct bucket *find_bucket(struct buckets *buckets, uint64_t owner, int64_t now_ms)
{
	struct bucket *vacant = NULL;

	for (uint64_t i = 0; i < BUCKET_PROBE; i++) {
		struct bucket *slot = &buckets->slots[(owner + i) % BUCKETS];

		if (slot->owner == owner)
			return slot;
		if (!vacant && (slot->owner == 0 || slot->full_ms <= now_ms))
			vacant = slot;
	}
	if (!vacant)
		return &buckets->shared;
	*vacant = (struct bucket){.owner = owner, .full_ms = now_ms};
	return vacant;
}

bool bucket_take(
	struct buckets *buckets, struct text login, int64_t now_ms, struct bucket_rule rule)
{
	struct bucket *bucket;
	int64_t interval_ms, last_ms;

	if (rule.burst == 0 || rule.per_min == 0)
		return false;
	interval_ms = MINUTE_MS / rule.per_min;
	if (interval_ms == 0)
		interval_ms = 1;
	/* With one token left the bucket is full in burst - 1 intervals. */
	last_ms = now_ms + interval_ms * ((int64_t)rule.burst - 1);
	bucket = find_bucket(buckets, owner_of(buckets, login), now_ms);
	if (bucket->full_ms < now_ms)
		bucket->full_ms = now_ms;
	/* Emptied under a slower rule than the one in force now. */
	if (bucket->full_ms > last_ms + interval_ms)
		bucket->full_ms = last_ms + interval_ms;
	if (bucket->full_ms > last_ms)
		return false;
	bucket->full_ms += interval_ms;
	return true;
}

/*
 * Token buckets, one a login: how many domains that are not in the cache it may make policyd ask
 * about.
 *
 * Pure: the caller brings the storage, zeroed but for hash_key, and the time. The table is fixed in
 * size: a login that finds no place shares one bucket with the others that find none, so a flood of
 * logins is limited, too, and memory stays bounded.
 */
#ifndef POLICY_CORE_BUCKET_H
#define POLICY_CORE_BUCKET_H

#include "policy/core/base.h"

#define BUCKETS      4096
#define BUCKET_PROBE 8

struct bucket {
	uint64_t owner;  /* hash of the login; 0: free */
	int64_t full_ms; /* when it will be full again */
};

struct buckets {
	uint64_t hash_key[2]; /* random, so that nobody aims at a place */
	struct bucket slots[BUCKETS];
	struct bucket shared;
};

struct bucket_rule {
	uint32_t per_min, burst; /* either 0: nothing passes */
};

/* Takes one token of this login. False: none left, and none is taken. now_ms: milliseconds of a
 * clock that never goes back. */
POLICY_CHECKED bool bucket_take(
	struct buckets *buckets, struct text login, int64_t now_ms, struct bucket_rule rule);

#endif

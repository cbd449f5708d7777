/*
 * SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): the checksum of stored
 * rows, the stand-in for texts too long for a key, and the digest of a table. Keys are fixed by the
 * caller: it guards against damage, not against forgery. Cannot fail.
 */
#ifndef POLICY_CORE_SIPHASH_H
#define POLICY_CORE_SIPHASH_H

#include "policy/core/base.h"

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash64(const struct siphash_key *key, const void *data, size_t len);

/* SipHash-1-3 of two texts, each closed by its length: fewer rounds for the checksum that every row
 * of a decision pays. With an empty b it is not the hash of a alone. */
uint64_t siphash13_pair(const struct siphash_key *key, struct text a, struct text b);

/* out takes 16 bytes: the reference implementation's 128-bit output. */
void siphash128(const struct siphash_key *key, const void *data, size_t len, uint8_t out[16]);

#endif

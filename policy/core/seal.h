/*
 * The header in front of every value we keep in LMDB: version(1) flags(1)
 * checksum(8, little-endian) payload.
 *
 * The checksum is SipHash-1-3 of key and payload, its key mixed with version and flags, so a value
 * under a wrong key fails as one with a flipped bit does. Pure.
 */
#ifndef POLICY_CORE_SEAL_H
#define POLICY_CORE_SEAL_H

#include "policy/core/base.h"

#define SEAL_SIZE 10

/* Writes the header in front of a payload that stands at value + SEAL_SIZE. */
void seal_close(
	uint8_t version, uint8_t flags, struct text key, uint8_t *value, size_t payload_len);

/* Checks version and checksum. True: *payload and *flags are set. */
POLICY_CHECKED bool seal_open(
	uint8_t version, struct text key, struct text value, struct text *payload, uint8_t *flags);

#endif

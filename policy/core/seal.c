/*
 * The header of stored values, drawn in seal.h.
 *
 * Pure; knows neither LMDB nor what the payload says. A value that is too short, of another
 * version or not what was sealed under this key is refused.
 */
#include "policy/core/seal.h"

#include "policy/core/bytes.h"
#include "policy/core/siphash.h"

#define FLAGS_AT    1
#define CHECKSUM_AT 2

static const struct siphash_key checksum_key = {0x706f6c6963796420ULL, 0x726f7720636865b5ULL};

static uint64_t checksum(struct text key, uint8_t version, uint8_t flags, struct text payload)
{
	struct siphash_key with_header = {
		checksum_key.k0, checksum_key.k1 ^ ((uint64_t)version << 8 | flags)};

	return siphash13_pair(&with_header, key, payload);
}

void seal_close(uint8_t version, uint8_t flags, struct text key, uint8_t *value, size_t payload_len)
{
	struct text payload = {(const char *)value + SEAL_SIZE, payload_len};

	value[0] = version;
	value[FLAGS_AT] = flags;
	put_le64(value + CHECKSUM_AT, checksum(key, version, flags, payload));
}

bool seal_open(
	uint8_t version, struct text key, struct text value, struct text *payload, uint8_t *flags)
{
	if (value.len < SEAL_SIZE || (uint8_t)value.ptr[0] != version)
		return false;
	*flags = (uint8_t)value.ptr[FLAGS_AT];
	*payload = text_tail(value, SEAL_SIZE);
	return get_le64(value.ptr + CHECKSUM_AT) == checksum(key, version, *flags, *payload);
}

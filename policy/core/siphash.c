/*
 * SipHash-2-4 with 64 and 128 bits of output, as in the reference implementation, and SipHash-1-3
 * of two texts.
 *
 * Knows nothing of what is hashed. Reads bytes one word at a time, little-endian, on every machine.
 * Cannot fail.
 */
#include "policy/core/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t load64(const uint8_t *p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
#else
	uint64_t word = 0;

	for (unsigned i = 0; i < 8; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
#endif
}

static void store64(uint8_t *p, uint64_t word)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(word >> (8 * i));
}

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void one_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

/* `thorough`: two rounds, else one. Known when compiled, so it costs nothing. */
static inline void compress(struct state *s, uint64_t word, bool thorough)
{
	s->v3 ^= word;
	one_round(s);
	if (thorough)
		one_round(s);
	s->v0 ^= word;
}

static inline struct state begin(const struct siphash_key *key)
{
	return (struct state){
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};
}

/* Up to seven bytes as the low end of a word; `has_before`: eight bytes before p may be read. */
static inline uint64_t load_rest(const uint8_t *p, unsigned count, bool has_before)
{
	uint64_t word = 0;

	if (count == 0)
		return 0;
	if (has_before)
		return load64(p + count - 8) >> (8 * (8 - count));
	for (unsigned i = 0; i < count; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

/* Whole words, then the last one: the bytes left over with the length on top. */
static inline void absorb(struct state *s, const void *data, size_t len, bool thorough)
{
	const uint8_t *p = data;

	for (size_t words = len / 8; words > 0; words--, p += 8)
		compress(s, load64(p), thorough);
	compress(s, (uint64_t)len << 56 | load_rest(p, len % 8, len >= 8), thorough);
}

static inline uint64_t fold(const struct state *s)
{
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t finish(struct state *s)
{
	for (int i = 0; i < 4; i++)
		one_round(s);
	return fold(s);
}

uint64_t siphash64(const struct siphash_key *key, const void *data, size_t len)
{
	struct state s = begin(key);

	absorb(&s, data, len, true);
	s.v2 ^= 0xff;
	return finish(&s);
}

uint64_t siphash13_pair(const struct siphash_key *key, struct text a, struct text b)
{
	struct state s = begin(key);

	absorb(&s, a.ptr, a.len, false);
	absorb(&s, b.ptr, b.len, false);
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		one_round(&s);
	return fold(&s);
}

void siphash128(const struct siphash_key *key, const void *data, size_t len, uint8_t out[16])
{
	struct state s = begin(key);

	s.v1 ^= 0xee;
	absorb(&s, data, len, true);
	s.v2 ^= 0xee;
	store64(out, finish(&s));
	s.v1 ^= 0xdd;
	store64(out + 8, finish(&s));
}

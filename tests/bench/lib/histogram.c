/* Logarithmic histogram: each power of two is cut into 32 equal slots.
 *
 *   value < 32:  slot = value
 *   otherwise:   e = position of the highest bit, slot = (e - 4) * 32 + the next five bits
 *
 * Must not know what is counted. Cannot fail. */
#include "histogram.h"

static unsigned slot_of(uint64_t value)
{
	unsigned shift;

	if (value < (1U << HISTOGRAM_SUB_BITS))
		return (unsigned)value;
	shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

static uint64_t slot_end(unsigned slot)
{
	unsigned shift;
	uint64_t top;

	if (slot < (2U << HISTOGRAM_SUB_BITS))
		return slot;
	shift = (slot >> HISTOGRAM_SUB_BITS) - 1;
	top = slot - (shift << HISTOGRAM_SUB_BITS);
	return (top << shift) + ((uint64_t)1 << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->slots[slot_of(value)]++;
	h->total++;
	if (value > h->max)
		h->max = value;
}

uint64_t histogram_quantile(const struct histogram *h, double fraction)
{
	double wanted = fraction * (double)h->total;
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_SLOTS && h->total > 0; i++) {
		seen += h->slots[i];
		if (seen > 0 && (double)seen >= wanted) {
			uint64_t end = slot_end(i);

			return end < h->max ? end : h->max;
		}
	}
	return h->max;
}

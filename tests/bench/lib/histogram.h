#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_SUB_BITS = 5,
	HISTOGRAM_SLOTS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

/* Counts of values of any 64-bit size; a value is kept to within 1/32 of itself.
 * Zero-initialized is empty. */
struct histogram {
	uint64_t total;
	uint64_t max;
	uint64_t slots[HISTOGRAM_SLOTS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* The smallest value that at least `fraction` (0 to 1) of all values do not exceed, rounded up to
 * the end of its slot but never above the largest value added. 0 where nothing was added. */
uint64_t histogram_quantile(const struct histogram *h, double fraction);

#endif

/*
 * See nearest.h. Knows no names. Nothing here fails.
 */
#include "policyctl/nearest.h"

enum { NAME_MAX_COMPARED = 32 };

size_t nearest_distance(struct text a, struct text b)
{
	size_t row[NAME_MAX_COMPARED + 1] = {0};

	if (a.len > NAME_MAX_COMPARED || b.len > NAME_MAX_COMPARED)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.len];
}

/*
 * Matches a local part against a pattern with `*`, see pattern.h.
 *
 * Knows bytes alone: no case, no characters. Cannot fail.
 */
#include "policy/core/pattern.h"

bool glob_matches(struct text glob, struct text local)
{
	size_t g = 0, l = 0;
	size_t behind_star = 0; /* of the last `*` seen; 0: none yet */
	size_t resume = 0;      /* where that `*` ends its run, for now */

	while (l < local.len) {
		bool is_star = g < glob.len && glob.ptr[g] == '*';
		/* A `\` at the very end stands for itself. */
		size_t byte = g + (g + 1 < glob.len && glob.ptr[g] == '\\');

		if (is_star) {
			behind_star = ++g;
			resume = l;
		} else if (byte < glob.len && glob.ptr[byte] == local.ptr[l]) {
			g = byte + 1;
			l++;
		} else if (behind_star > 0) {
			g = behind_star;
			l = ++resume;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.ptr[g] == '*')
		g++;
	return g == glob.len;
}

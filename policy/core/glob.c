/*
 * Matches a local part against a pattern with `*`, see pattern.h.
 *
 * Knows bytes alone: no case, no characters. Cannot fail. Between two `*` the first place is as
 * good as any, so nothing is tried twice: memmem is what a hostile sender costs at worst.
 */
#include "policy/core/pattern.h"

/* What stands before the next `*`, or before the end, with `\` taken out. */
struct piece {
	char bytes[PATTERN_MAX];
	size_t len;
};

/* Takes one piece off the glob, and the `*` behind it. False: there was none, it is the last. */
static bool take_piece(struct text *glob, struct piece *piece)
{
	size_t at = 0;

	for (piece->len = 0; at < glob->len && glob->ptr[at] != '*'; at++) {
		/* A `\` at the very end stands for itself. */
		if (glob->ptr[at] == '\\' && at + 1 < glob->len)
			at++;
		piece->bytes[piece->len++] = glob->ptr[at];
	}
	if (at == glob->len)
		return false;
	*glob = text_tail(*glob, at + 1);
	return true;
}

static bool is_at(struct text text, size_t at, const struct piece *piece)
{
	return piece->len == 0 || memcmp(text.ptr + at, piece->bytes, piece->len) == 0;
}

/* Takes what comes up to the end of the piece's first place off the text. */
static bool skip_past(struct text *text, const struct piece *piece)
{
	const char *hit;

	if (piece->len == 0)
		return true;
	if (piece->len > text->len)
		return false;
	hit = memmem(text->ptr, text->len, piece->bytes, piece->len);
	if (hit)
		*text = text_tail(*text, (size_t)(hit - text->ptr) + piece->len);
	return hit;
}

bool glob_matches(struct text glob, struct text local)
{
	struct piece piece;
	bool has_more;

	if (glob.len > PATTERN_MAX)
		return false;
	has_more = take_piece(&glob, &piece);
	if (piece.len > local.len || !is_at(local, 0, &piece))
		return false;
	if (!has_more)
		return piece.len == local.len;
	local = text_tail(local, piece.len);
	while (take_piece(&glob, &piece))
		if (!skip_past(&local, &piece))
			return false;
	return piece.len <= local.len && is_at(local, local.len - piece.len, &piece);
}

bool glob_matches_sender(struct text glob, struct text local, size_t base_len)
{
	return glob_matches(glob, local) ||
	       (base_len < local.len && glob_matches(glob, text_head(local, base_len)));
}

/*
 * See claim_mask.h. What the DNS shows is anybody's text, and may be another tenant's proof.
 */
#include "policyctl/claim_mask.h"

/* Characters that a mistyped token has in common with the right one, not by accident. */
enum { SAME_MIN = 6 };

static bool is_token_byte(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
}

static size_t run_len(struct text text)
{
	size_t len = 0;

	while (len < text.len && is_token_byte(text.ptr[len]))
		len++;
	return len;
}

static bool begins(struct text text, struct text head)
{
	return head.len > 0 && text.len >= head.len &&
	       text_equal_no_case(text_head(text, head.len), head);
}

/* How many bytes of a beginning of text are a token that may not be seen. */
static size_t known_len(
	struct text text, const struct claim *claims, size_t count, struct text except)
{
	for (size_t i = 0; i < count; i++) {
		if (text_equal(claims[i].tenant, except))
			continue;
		if (begins(text, claims[i].token))
			return claims[i].token.len;
		if (begins(text, claims[i].old_token))
			return claims[i].old_token.len;
	}
	return 0;
}

/* What stands behind our prefix is somebody's token, unless it begins as the one that may be seen
 * does: then it is that one, mistyped. */
static size_t foreign_len(
	struct text behind, const struct claim *claims, size_t count, struct text except)
{
	for (size_t i = 0; i < count; i++)
		if (text_equal(claims[i].tenant, except) && claims[i].token.len > SAME_MIN &&
			begins(behind, text_head(claims[i].token, SAME_MIN)))
			return 0;
	return run_len(behind);
}

const char *claim_mask(const struct ctl *ctl, struct text text, const struct claim *claims,
	size_t count, struct text except, char out[CLAIM_MASKED_MAX])
{
	struct text prefix = ctl->config->ownership.prefix;
	size_t len = 0, hidden = 0;

	while (text.len > 0 && len + prefix.len + 4 < CLAIM_MASKED_MAX) {
		bool has_prefix = begins(text, prefix);

		if (has_prefix) {
			memcpy(out + len, text.ptr, prefix.len);
			len += prefix.len;
			text = text_tail(text, prefix.len);
		}
		hidden = known_len(text, claims, count, except);
		if (hidden == 0 && has_prefix)
			hidden = foreign_len(text, claims, count, except);
		if (hidden > 0) {
			memcpy(out + len, "...", 3);
			len += 3;
			text = text_tail(text, hidden);
		} else if (!has_prefix) {
			out[len++] = text.ptr[0];
			text = text_tail(text, 1);
		}
	}
	out[len] = '\0';
	return out;
}

bool claim_may_hold_token(const struct ctl *ctl, struct text text)
{
	for (; text.len > 0; text = text_tail(text, 1))
		if (begins(text, ctl->config->ownership.prefix) || run_len(text) >= CLAIM_TOKEN_LEN)
			return true;
	return false;
}

void claim_mask_all(const struct ctl *ctl, const struct claim *claim, const struct claim *claims,
	size_t count, struct claim_masked *out)
{
	claim_mask(ctl, claim->reason, claims, count, TEXT(""), out->reason);
	claim_mask(ctl, claim->seen, claims, count, TEXT(""), out->seen);
}

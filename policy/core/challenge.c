/*
 * The proof of a claim, told from what is published in its place.
 *
 * Pure; asks nothing and believes nothing: an answer's texts are anybody's bytes. Each record is
 * put in a class, and the nearest class speaks for the answer. A claim without a whole token is
 * proved by nothing.
 */
#include "policy/core/challenge.h"

#include "policy/core/address.h"

#include <assert.h>
#include <stdio.h>

#define CUT_MIN      8 /* bytes of a beginning that is no accident */
#define RECORD_SHOWN 60

/* What a value may hold too much of. */
enum { BLANKS = 1, QUOTES = 2 };

/* As typed in a form of a DNS host, or pasted from a text processor. */
static const struct {
	unsigned kind;
	struct text bytes;
} extras[] = {
	{BLANKS, {" ", 1}},
	{BLANKS, {"\t", 1}},
	{BLANKS, {"\r", 1}},
	{BLANKS, {"\n", 1}},
	{BLANKS, {"\v", 1}},
	{BLANKS, {"\f", 1}},
	{BLANKS, {"\302\240", 2}},     /* no-break space */
	{BLANKS, {"\342\200\213", 3}}, /* zero width space */
	{BLANKS, {"\357\273\277", 3}}, /* byte order mark */
	{QUOTES, {"\"", 1}},
	{QUOTES, {"'", 1}},
	{QUOTES, {"`", 1}},
	{QUOTES, {"\\", 1}},
	{QUOTES, {"\342\200\230", 3}}, /* single and double quotation marks, curly and low */
	{QUOTES, {"\342\200\231", 3}},
	{QUOTES, {"\342\200\234", 3}},
	{QUOTES, {"\342\200\235", 3}},
	{QUOTES, {"\342\200\236", 3}},
};

static bool begins(struct text text, struct text head)
{
	return text.len >= head.len && text_equal_no_case(text_head(text, head.len), head);
}

/* Bytes of one extra of these kinds that text begins with, 0 none. */
static size_t extra_len(struct text text, unsigned kinds)
{
	for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++)
		if ((extras[i].kind & kinds) && begins(text, extras[i].bytes))
			return extras[i].bytes.len;
	return 0;
}

/* Takes `head` off *text, extras of these kinds skipped. */
static bool take_loosely(struct text *text, struct text head, unsigned kinds)
{
	while (head.len > 0) {
		size_t extra = extra_len(*text, kinds);

		if (extra == 0 && !begins(*text, text_head(head, 1)))
			return false;
		*text = text_tail(*text, extra > 0 ? extra : 1);
		head = text_tail(head, extra > 0 ? 0 : 1);
	}
	return true;
}

/* Whether text is `want` but for extras of these kinds. */
static bool is_loosely(struct text text, struct text want, unsigned kinds)
{
	if (!take_loosely(&text, want, kinds))
		return false;
	while (text.len > 0) {
		size_t extra = extra_len(text, kinds);

		if (extra == 0)
			return false;
		text = text_tail(text, extra);
	}
	return true;
}

/* `want` is not empty. */
static bool contains(struct text text, struct text want)
{
	for (; text.len >= want.len; text = text_tail(text, 1))
		if (begins(text, want))
			return true;
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct text trim(struct text text)
{
	while (text.len > 0 && is_blank(text.ptr[0]))
		text = text_tail(text, 1);
	while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

static size_t same_bytes(struct text a, struct text b)
{
	size_t len = 0;

	while (len < a.len && len < b.len && ascii_lower(a.ptr[len]) == ascii_lower(b.ptr[len]))
		len++;
	return len;
}

static bool is_cut(struct text seen, struct text expected)
{
	return (seen.len >= CUT_MIN && begins(expected, seen)) || contains(seen, expected);
}

/* The class of one record. */
static enum challenge_word classify(
	const struct challenge *challenge, struct text expected, struct text seen)
{
	bool has_token = challenge->token.len == CLAIM_TOKEN_LEN;
	struct text rest = seen;

	if (has_token && text_equal_no_case(seen, expected))
		return CHALLENGE_PROVED;
	if (has_token && is_loosely(seen, expected, BLANKS))
		return CHALLENGE_BLANKS;
	if (has_token && is_loosely(seen, expected, BLANKS | QUOTES))
		return CHALLENGE_QUOTED;
	if (has_token && is_cut(seen, expected))
		return CHALLENGE_CUT;
	if (has_token && (contains(seen, challenge->token) ||
				 is_loosely(seen, challenge->token, BLANKS | QUOTES)))
		return CHALLENGE_NO_PREFIX;
	if (challenge->old_token.len > 0 && contains(seen, challenge->old_token))
		return CHALLENGE_OLD_TOKEN;
	if (challenge->prefix.len > 0 && take_loosely(&rest, challenge->prefix, BLANKS | QUOTES))
		return CHALLENGE_OTHER_TOKEN;
	return CHALLENGE_NO_MATCH;
}

/* How near a record is: more is nearer. */
static unsigned nearness(enum challenge_word word)
{
	switch (word) {
	case CHALLENGE_PROVED:
		return 8;
	case CHALLENGE_QUOTED:
		return 7;
	case CHALLENGE_BLANKS:
		return 6;
	case CHALLENGE_CUT:
		return 5;
	case CHALLENGE_NO_PREFIX:
		return 4;
	case CHALLENGE_OLD_TOKEN:
		return 3;
	case CHALLENGE_OTHER_TOKEN:
		return 2;
	case CHALLENGE_NO_MATCH:
		return 1;
	case CHALLENGE_ABSENT:
	case CHALLENGE_UNKNOWN:
		break;
	}
	return 0;
}

static bool is_nearer(const struct challenge_finding *finding, const struct challenge_finding *than)
{
	unsigned a = nearness(finding->word), b = nearness(than->word);

	return a > b || (a == b && finding->differs_at > than->differs_at);
}

void challenge_judge(const struct challenge *challenge, const struct dns_answer *answer,
	struct challenge_finding *out)
{
	char value[CHALLENGE_VALUE_MAX + 1];
	struct text expected = {value, challenge_value(challenge, value)};

	*out = (struct challenge_finding){.word = CHALLENGE_ABSENT};
	if (answer->status == LOOKUP_FAILED)
		out->word = CHALLENGE_UNKNOWN;
	if (answer->status != LOOKUP_FOUND)
		return;
	for (size_t i = 0; i < answer->count; i++) {
		struct challenge_finding one = {.seen = trim(answer->txt[i])};

		one.word = classify(challenge, expected, one.seen);
		one.differs_at = same_bytes(one.seen, expected);
		if (is_nearer(&one, out))
			*out = one;
	}
}

enum claim_event challenge_event(enum challenge_word word)
{
	if (word == CHALLENGE_PROVED)
		return CLAIM_PROVED;
	return word == CHALLENGE_UNKNOWN ? CLAIM_UNKNOWN : CLAIM_UNPROVED;
}

size_t challenge_value(const struct challenge *challenge, char out[CHALLENGE_VALUE_MAX + 1])
{
	size_t len = challenge->prefix.len + challenge->token.len;

	assert(len <= CHALLENGE_VALUE_MAX);
	if (challenge->prefix.len > 0)
		memcpy(out, challenge->prefix.ptr, challenge->prefix.len);
	if (challenge->token.len > 0)
		memcpy(out + challenge->prefix.len, challenge->token.ptr, challenge->token.len);
	out[len] = '\0';
	return len;
}

/* How many bytes of base32 text begins with. */
static size_t base32_len(struct text text)
{
	size_t len = 0;

	while (len < text.len) {
		char c = ascii_lower(text.ptr[len]);

		if (!((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
			break;
		len++;
	}
	return len;
}

/* The beginning of a record in printable ASCII, with NUL; "..." where there is more of it and for
 * what may be another claim's token. */
static void show_record(struct text seen, char out[RECORD_SHOWN + 8])
{
	size_t len = 0;

	while (seen.len > 0 && len < RECORD_SHOWN) {
		unsigned char c = (unsigned char)seen.ptr[0];
		size_t run = base32_len(seen), taken = 1;

		if (run >= CLAIM_TOKEN_LEN) {
			len += (size_t)snprintf(out + len, 5, "...");
			taken = run;
		} else if (c >= ' ' && c < 127 && c != '\\' && c != '"') {
			out[len++] = (char)c;
		} else {
			len += (size_t)snprintf(out + len, 5, "\\x%02x", c);
		}
		seen = text_tail(seen, taken);
	}
	snprintf(out + len, 5, "%s", seen.len > 0 ? "..." : "");
}

static void explain_unknown(
	const struct dns_answer *answer, struct text name, char out[CLAIM_REASON_MAX + 1])
{
	const char *server = answer->server[0] ? answer->server : "the DNS";
	char rcode[16];

	if (answer->failure == DNS_FAILURE_RCODE)
		snprintf(out, CLAIM_REASON_MAX + 1, "%s from %s for %.*s",
			dns_rcode_text(answer->rcode, rcode), server, TEXT_ARG(name));
	else
		snprintf(out, CLAIM_REASON_MAX + 1, "no answer from %s (%s) for %.*s", server,
			dns_failure_text(answer->failure), TEXT_ARG(name));
}

static void explain_no_match(const struct challenge_finding *finding,
	const struct dns_answer *answer, struct text name, char out[CLAIM_REASON_MAX + 1])
{
	char record[RECORD_SHOWN + 8], others[64] = "";

	show_record(finding->seen, record);
	if (answer->count > 1)
		snprintf(
			others, sizeof(others), ", the nearest of %zu TXT records,", answer->count);
	snprintf(out, CLAIM_REASON_MAX + 1, "found \"%s\" instead%s at %.*s", record, others,
		TEXT_ARG(name));
}

/* What is said of a record of each class, before its name. */
static const char *sentence_of(const struct challenge_finding *finding)
{
	switch (finding->word) {
	case CHALLENGE_PROVED:
		return "found the record";
	case CHALLENGE_QUOTED:
		return "found the value with quotes in it";
	case CHALLENGE_BLANKS:
		return "found the value with white space in it";
	case CHALLENGE_CUT:
		return finding->differs_at == finding->seen.len
			       ? "found the beginning of the value alone"
			       : "found the value with more around it";
	case CHALLENGE_NO_PREFIX:
		return "found the token without its prefix";
	case CHALLENGE_OLD_TOKEN:
		return "found the token of an earlier claim";
	case CHALLENGE_OTHER_TOKEN:
		return "found a token that is not this claim's";
	case CHALLENGE_ABSENT:
	case CHALLENGE_NO_MATCH:
	case CHALLENGE_UNKNOWN:
		break;
	}
	return "no TXT record";
}

void challenge_explain(const struct challenge_finding *finding, const struct dns_answer *answer,
	struct text name, char out[CLAIM_REASON_MAX + 1])
{
	bool is_nxdomain = finding->word == CHALLENGE_ABSENT && answer->rcode == DNS_RCODE_NXDOMAIN;

	if (finding->word == CHALLENGE_UNKNOWN)
		explain_unknown(answer, name, out);
	else if (finding->word == CHALLENGE_NO_MATCH)
		explain_no_match(finding, answer, name, out);
	else
		snprintf(out, CLAIM_REASON_MAX + 1, "%s%s at %.*s", is_nxdomain ? "NXDOMAIN: " : "",
			sentence_of(finding), TEXT_ARG(name));
}

void challenge_token(const uint8_t random[20], char out[CLAIM_TOKEN_LEN + 1])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

	for (size_t i = 0; i < CLAIM_TOKEN_LEN; i++) {
		size_t bit = i * 5, byte = bit / 8;
		unsigned pair = (unsigned)random[byte] << 8;

		if (byte + 1 < 20)
			pair |= random[byte + 1];
		out[i] = digits[pair >> (11 - bit % 8) & 31];
	}
	out[CLAIM_TOKEN_LEN] = '\0';
}

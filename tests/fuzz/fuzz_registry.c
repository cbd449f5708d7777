/*
 * Any bytes as what the register keeps: claims, a sender, an audit line, a line of a list, a key of
 * what is due, a sealed value; then as TXT records, each closed by NUL.
 *
 * What holds: what decodes encodes to the same bytes; a claim that decodes can live through any
 * event; a proof is a record that is the value but for case and blanks around it; no sentence tells
 * a token.
 */
#include "policy/core/address.h"
#include "policy/core/challenge.h"
#include "policy/core/registry_codec.h"
#include "policy/core/seal.h"

#include <stdlib.h>

#define TOKEN "abcdefghijklmnopqrstuvwxyz234567"
#define OLD   "gezdgnbvgy3tqojqgezdgnbvgy3tqojq"
#define VALUE "p=" TOKEN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct challenge challenge = {
	.label = {"l", 1}, .prefix = {"p=", 2}, .token = {TOKEN, 32}, .old_token = {OLD, 32}};
static const struct claim_rules rules = {259200, 86400, 259200};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_equal(struct text in, const uint8_t *out, size_t len)
{
	must(len == in.len && memcmp(in.ptr, out, len) == 0);
}

static void live(const struct claim_life *life)
{
	for (int event = 0; event < CLAIM_EVENTS_; event++) {
		struct claim_life after = *life;

		(void)claim_step(&after, (enum claim_event)event, false, life->since + 1000000,
			&rules, life->looks);
		must(after.state < CLAIM_STATES_ && after.next_check >= 0);
		if (event == CLAIM_UNKNOWN)
			must(claim_is_in_force(after.state) == claim_is_in_force(life->state));
	}
}

static void check_claims(struct text payload)
{
	uint8_t out[REGISTRY_CLAIM_MAX];
	struct claim claim;

	for (;;) {
		struct text before = payload;

		if (claim_decode(&payload, &claim) != LOOKUP_FOUND)
			return;
		must_equal(text_head(before, before.len - payload.len), out,
			claim_encode(&claim, out, sizeof(out)));
		live(&claim.life);
	}
}

static void check_entries(struct text payload)
{
	static uint8_t out[SENDER_ENTRY_MAX];
	struct sender_entry sender;
	struct audit_entry audit;
	struct text login, value;

	if (sender_entry_decode(payload, &sender))
		must_equal(payload, out, sender_entry_encode(&sender, out, sizeof(out)));
	if (audit_entry_decode(payload, &audit))
		must_equal(payload, out, audit_entry_encode(&audit, out, AUDIT_ENTRY_MAX));
	if (list_entry_decode(payload, &login, &value))
		must_equal(payload, out, list_entry_encode(login, value, out, LIST_ENTRY_MAX));
}

static void check_keys(struct text bytes)
{
	struct registry_key key;
	struct text domain, tenant, half = text_head(bytes, bytes.len / 2);
	int64_t at;

	if (registry_key_read_due(bytes, &at, &domain, &tenant)) {
		registry_key_of_due(at, domain, tenant, &key);
		must_equal(bytes, key.bytes, key.len);
	}
	registry_key_of_sender(half, bytes, half, bytes, &key);
	must(key.len <= REGISTRY_KEY_MAX);
	registry_key_of_senders(bytes, half, &key);
	must(key.len <= REGISTRY_KEY_MAX);
	registry_key_of_login(bytes, &key);
	must(key.len <= REGISTRY_KEY_MAX);
}

static void check_seal(struct text value)
{
	struct text payload;
	uint8_t flags;

	if (seal_open(REGISTRY_VERSION, TEXT("k"), value, &payload, &flags))
		must(payload.len == value.len - SEAL_SIZE);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value somewhere, nothing but blanks around it. */
static bool plainly_proves(struct text txt)
{
	static const struct text value = {VALUE, sizeof(VALUE) - 1};

	while (txt.len > 0 && is_blank(txt.ptr[txt.len - 1]))
		txt.len--;
	while (txt.len > 0 && is_blank(txt.ptr[0]))
		txt = text_tail(txt, 1);
	return text_equal_lower(txt, value);
}

static void check_sentence(
	const struct challenge_finding *finding, const struct dns_answer *answer, struct text name)
{
	char out[CLAIM_REASON_MAX + 1];

	challenge_explain(finding, answer, name, out);
	must(memchr(out, 0, sizeof(out)) && out[0]);
	for (char *c = out; *c; c++) {
		must(*c >= ' ' && *c <= '~');
		*c = ascii_lower(*c);
	}
	must(!strstr(out, TOKEN) && !strstr(out, OLD));
}

static void check_answer(const struct dns_answer *answer)
{
	struct challenge no_token = challenge;
	struct challenge_finding finding;
	bool is_proved = false;

	for (size_t i = 0; i < answer->count; i++)
		is_proved = is_proved || plainly_proves(answer->txt[i]);
	challenge_judge(&challenge, answer, &finding);
	must((finding.word == CHALLENGE_PROVED) == is_proved);
	must((finding.word == CHALLENGE_ABSENT) == (answer->count == 0));
	must(finding.differs_at <= finding.seen.len && finding.differs_at < sizeof(VALUE));
	check_sentence(&finding, answer, TEXT("l.example.org"));
	no_token.token = TEXT("");
	challenge_judge(&no_token, answer, &finding);
	must(finding.word != CHALLENGE_PROVED);
	check_sentence(&finding, answer, TEXT("l.example.org"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_answer answer;
	struct text rest = {(const char *)data, size};

	check_claims(rest);
	check_entries(rest);
	check_keys(rest);
	check_seal(rest);
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	while (rest.len > 0) {
		size_t nul = text_find(rest, '\0');

		if (!dns_answer_add(&answer, text_head(rest, nul)))
			break;
		rest = text_tail(rest, nul < rest.len ? nul + 1 : nul);
	}
	answer.status = answer.count > 0 ? LOOKUP_FOUND : LOOKUP_ABSENT;
	check_answer(&answer);
	return 0;
}

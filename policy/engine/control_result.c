/*
 * Results of a look for proofs as attributes. See control_result.h.
 *
 * Must not know sockets or who asks. What cannot be read is zero, or nothing that counts as a proof.
 */
#include "policy/engine/control_result.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const finding_names[] = {
	[CHALLENGE_PROVED] = "proved",
	[CHALLENGE_ABSENT] = "absent",
	[CHALLENGE_NO_MATCH] = "no-match",
	[CHALLENGE_QUOTED] = "quoted",
	[CHALLENGE_NO_PREFIX] = "no-prefix",
	[CHALLENGE_OLD_TOKEN] = "old-token",
	[CHALLENGE_OTHER_TOKEN] = "other-token",
	[CHALLENGE_BLANKS] = "blanks",
	[CHALLENGE_CUT] = "cut",
	[CHALLENGE_UNKNOWN] = "unknown",
};
#define FINDINGS (sizeof(finding_names) / sizeof(finding_names[0]))

static const char *const word_names[] = {
	[CLAIM_CHANGED] = "changed",
	[CLAIM_KEPT] = "kept",
	[CLAIM_HELD] = "held",
	[CLAIM_IMPOSSIBLE] = "impossible",
};
#define WORDS (sizeof(word_names) / sizeof(word_names[0]))

static bool add_number(struct control_message *message, const char *name, int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, number);
	return control_add(message, name, text_of(digits));
}

static bool add_state(struct control_message *message, const char *name, enum claim_state state)
{
	return control_add(
		message, name, state == CLAIM_NONE ? TEXT("") : text_of(claim_state_name(state)));
}

bool control_add_result(struct control_message *message, const struct prover_result *result)
{
	const struct registry_outcome *outcome = &result->outcome;

	return control_add(message, "tenant", text_of(result->tenant)) &&
	       control_add(message, "finding", text_of(finding_names[result->word])) &&
	       control_add(message, "changed", text_of(word_names[outcome->word])) &&
	       add_state(message, "before", outcome->before) &&
	       add_state(message, "after", outcome->after) &&
	       control_add(message, "holder", text_of(outcome->holder)) &&
	       control_add(message, "expected", text_of(result->expected)) &&
	       control_add(message, "seen", text_of(result->seen)) &&
	       add_number(message, "differs_at", (int64_t)result->differs_at) &&
	       control_add(message, "sentence", text_of(result->sentence)) &&
	       add_number(message, "since", outcome->life.since) &&
	       add_number(message, "proved_at", outcome->life.proved_at) &&
	       add_number(message, "checked_at", outcome->life.checked_at) &&
	       add_number(message, "next_check", outcome->life.next_check);
}

static void read_text(struct text value, char *out, size_t size)
{
	size_t len = value.len < size ? value.len : size - 1;

	if (len > 0)
		memcpy(out, value.ptr, len);
	out[len] = '\0';
}

/* Not negative, and nothing but digits. */
static int64_t read_number(struct text value)
{
	int64_t number = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9' || number > INT64_MAX / 10 - 1)
			return 0;
		number = number * 10 + (value.ptr[i] - '0');
	}
	return number;
}

/* What is none of the names is `unknown`: it must never read as a proof. */
static unsigned read_name(
	struct text value, const char *const *names, size_t count, unsigned unknown)
{
	for (size_t i = 0; i < count; i++)
		if (text_equal(value, text_of(names[i])))
			return (unsigned)i;
	return unknown;
}

static enum claim_state read_state(struct text value)
{
	enum claim_state state = claim_state_of(value);

	return state == CLAIM_STATES_ ? CLAIM_NONE : state;
}

static bool is(struct text name, const char *wanted)
{
	return text_equal(name, text_of(wanted));
}

static void read_attr(struct text name, struct text value, struct prover_result *out)
{
	struct registry_outcome *outcome = &out->outcome;

	if (is(name, "finding"))
		out->word = read_name(value, finding_names, FINDINGS, CHALLENGE_UNKNOWN);
	else if (is(name, "changed"))
		outcome->word = read_name(value, word_names, WORDS, CLAIM_IMPOSSIBLE);
	else if (is(name, "before"))
		outcome->before = read_state(value);
	else if (is(name, "after"))
		outcome->after = outcome->life.state = read_state(value);
	else if (is(name, "holder"))
		read_text(value, outcome->holder, sizeof(outcome->holder));
	else if (is(name, "expected"))
		read_text(value, out->expected, sizeof(out->expected));
	else if (is(name, "seen"))
		read_text(value, out->seen, sizeof(out->seen));
	else if (is(name, "differs_at"))
		out->differs_at = (size_t)read_number(value);
	else if (is(name, "sentence"))
		read_text(value, out->sentence, sizeof(out->sentence));
	else if (is(name, "since"))
		outcome->life.since = read_number(value);
	else if (is(name, "proved_at"))
		outcome->life.proved_at = read_number(value);
	else if (is(name, "checked_at"))
		outcome->life.checked_at = read_number(value);
	else if (is(name, "next_check"))
		outcome->life.next_check = read_number(value);
}

size_t control_read_results(
	const struct control_message *message, struct prover_result *out, size_t cap)
{
	size_t count = 0;

	for (size_t i = 0; i < message->count; i++) {
		const struct control_attr *attr = &message->attrs[i];

		if (is(attr->name, "tenant")) {
			if (count == cap)
				break;
			memset(&out[count], 0, sizeof(out[count]));
			out[count].word = CHALLENGE_UNKNOWN;
			out[count].outcome.word = CLAIM_IMPOSSIBLE;
			read_text(attr->value, out[count].tenant, sizeof(out[count].tenant));
			count++;
		} else if (count > 0) {
			read_attr(attr->name, attr->value, &out[count - 1]);
		}
	}
	return count;
}

/*
 * Any bytes as `MODE TEMPLATE LF LOGIN LF SENDER LF ID`: MODE is one byte, the template that of a
 * refusal, of the one that may let the mail go where bit 3 is set.
 *
 * What holds of every answer: `action=`, printable ASCII, two line feeds, at most 502 bytes; a text
 * of more than digits, dots and blanks; the first words are those of the template that was
 * accepted, or the built-in one.
 */
#include "policy/core/reply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static struct text take_line(struct text *rest)
{
	size_t end = text_find(*rest, '\n');
	struct text line = text_head(*rest, end);

	*rest = text_tail(*rest, end < rest->len ? end + 1 : end);
	return line;
}

static bool starts_with(struct text t, struct text with)
{
	return t.len >= with.len && memcmp(t.ptr, with.ptr, with.len) == 0;
}

/* What of an answer Postfix would hand on as text. */
static bool has_text(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.ptr[i] != '.' && t.ptr[i] != ' ' && (t.ptr[i] < '0' || t.ptr[i] > '9'))
			return true;
	return false;
}

static void check_answer(struct text answer, struct text used)
{
	static const struct text prefix = {"action=", 7};
	static const struct text warning = {"WARN policyd would answer: ", 27};
	struct text line = {answer.ptr, answer.len - 2};
	size_t word;

	must(answer.len > prefix.len + 2 && answer.len <= REPLY_MAX);
	must(memcmp(answer.ptr + line.len, "\n\n", 2) == 0);
	for (size_t i = 0; i < line.len; i++)
		must(line.ptr[i] >= ' ' && line.ptr[i] <= '~');
	must(starts_with(line, prefix));
	line = text_tail(line, prefix.len);
	if (text_equal(line, TEXT("DUNNO")))
		return;
	if (starts_with(line, warning))
		line = text_tail(line, warning.len);
	word = text_find(line, ' ');
	must(word < line.len && word == text_find(used, ' '));
	must(memcmp(line.ptr, used.ptr, word) == 0);
	must(has_text(text_tail(line, word)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replies replies = {{NULL}};
	struct verdict verdict = {.action = ACTION_REJECT, .reason = REASON_NOT_OWNED};
	char given[2 * REPLY_TEMPLATE_MAX + 1], out[REPLY_MAX];
	struct text rest = {(const char *)data, size}, typed;
	struct reply_values values;
	enum monitor_action monitor_action;

	if (size == 0)
		return 0;
	verdict.action = data[0] & 1 ? ACTION_DUNNO : ACTION_REJECT;
	verdict.monitored = (data[0] & 2) != 0;
	verdict.reason = data[0] & 8 ? REASON_DOMAIN_UNVERIFIED : REASON_NOT_OWNED;
	monitor_action = data[0] & 4 ? MONITOR_WARN : MONITOR_DUNNO;
	rest = text_tail(rest, 1);
	typed = take_line(&rest);
	values.login = take_line(&rest);
	values.sender = take_line(&rest);
	values.domain = values.sender;
	values.id = rest;
	if (typed.len >= sizeof(given))
		return 0;
	memcpy(given, typed.ptr, typed.len);
	given[typed.len] = '\0';
	replies.of_reason[verdict.reason] = given;
	if (reply_template_check(verdict.reason, text_of(given)) == NULL)
		typed = text_of(given);
	else
		typed = text_of(reply_default(verdict.reason));
	size = reply_format(&replies, &verdict, monitor_action, &values, out);
	check_answer((struct text){out, size}, typed);
	return 0;
}

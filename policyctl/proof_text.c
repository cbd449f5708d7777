/*
 * See proof_text.h. Asks nothing. Another tenant's token never comes out of here, nor this one's
 * unless it may be seen.
 */
#include "policyctl/proof_text.h"

static const struct {
	const char *name, *advice;
} findings[] = {
	[CHALLENGE_PROVED] = {"proved", NULL},
	[CHALLENGE_ABSENT] = {"absent", "publish the record; where that was done already, wait "
					"until the old answer's time is over"},
	[CHALLENGE_NO_MATCH] = {"no-match",
		"publish a TXT record of its own, beside what is there"},
	[CHALLENGE_QUOTED] = {"quoted", "quotes are no part of the value: enter it without them"},
	[CHALLENGE_NO_PREFIX] = {"no-prefix", "publish all of the value, also what stands in front "
					      "of the token"},
	[CHALLENGE_OLD_TOKEN] = {"old-token", "the domain was claimed again since: publish the new "
					      "value instead"},
	[CHALLENGE_OTHER_TOKEN] = {"other-token",
		"the token is another one: compare them, or add the record beside the other"},
	[CHALLENGE_BLANKS] = {"blanks", "take the white space out of the value"},
	[CHALLENGE_CUT] = {"cut", "publish the whole value, and nothing around it"},
	[CHALLENGE_UNKNOWN] = {"unknown",
		"the DNS did not answer: nothing is changed by that; look again later"},
};

static void print_line(const char *name, const char *text)
{
	char escaped[4 * CLAIM_SEEN_MAX];

	printf("%-9s %s\n", name, output_escape(text_of(text), escaped, sizeof(escaped)));
}

/* What may be shown of a text in which tokens may stand. */
static const char *shown(
	const struct proof_text *text, const char *from, char out[CLAIM_MASKED_MAX])
{
	return claim_mask(text->ctl, text_of(from), text->claims, text->count,
		text->shows_value ? text->claim->tenant : TEXT(""), out);
}

static bool is_compared(const struct prover_result *result)
{
	return result->word != CHALLENGE_PROVED && result->word != CHALLENGE_UNKNOWN;
}

/* Both lines, and a mark below the first character that differs. */
static void print_values(const struct proof_text *text)
{
	const struct prover_result *result = text->result;
	char found[CLAIM_MASKED_MAX];

	if (!is_compared(result))
		return;
	if (text->shows_value)
		print_line("expected", result->expected);
	if (!result->seen[0])
		return;
	print_line("found", shown(text, result->seen, found));
	if (text->shows_value && strcmp(found, result->seen) == 0)
		printf("%*s^ %s\n", (int)(10 + result->differs_at), "",
			result->differs_at == strlen(result->seen) ? "ends here"
								   : "differs from here on");
}

static void print_elsewhere(const struct proof_text *text)
{
	if (text->elsewhere.len == 0)
		return;
	printf("%-9s the record is at %.*s\n", "elsewhere", TEXT_ARG(text->elsewhere));
}

static void print_advice(const struct proof_text *text)
{
	const char *advice = findings[text->result->word].advice;

	if (text->elsewhere.len > 0)
		printf("%-9s move it to %.*s\n", "do", TEXT_ARG(text->name));
	else if (advice)
		print_line("do", advice);
}

static void print_end(const struct proof_text *text)
{
	const struct claim_life *life = &text->claim->life;
	int64_t end = claim_ends_at(life, &text->ctl->config->ownership.rules);
	char moment[CLAIM_MOMENT_MAX];

	if (life->state == CLAIM_GRACE)
		printf("%-9s passes until %s, then it is refused unless the record is there\n",
			"mail", claim_moment(end, text->ctl->now, moment));
}

static void print_result(const struct proof_text *text)
{
	const struct prover_result *result = text->result;
	char sentence[CLAIM_MASKED_MAX], moment[CLAIM_MOMENT_MAX];

	print_line("look", shown(text, result->sentence, sentence));
	print_values(text);
	print_elsewhere(text);
	if (result->outcome.word == CLAIM_HELD)
		printf("%-9s the claim of %s is in force; this one waits until that has ended\n",
			"held", result->outcome.holder);
	print_advice(text);
	print_end(text);
	if (text->claim->life.next_check > 0)
		print_line("next look",
			claim_moment(text->claim->life.next_check, text->ctl->now, moment));
}

static const char *state_before(const struct proof_text *text)
{
	return claim_state_name(
		text->result ? text->result->outcome.before : text->claim->life.state);
}

void proof_text_print(const struct proof_text *text)
{
	enum claim_state state = text->claim->life.state;

	printf("%-9s %.*s: ", "tenant", TEXT_ARG(text->claim->tenant));
	if (text->result)
		printf("%s -> ", state_before(text));
	printf("%s, %s\n", claim_state_name(state),
		claim_is_in_force(state) ? "in force" : "not in force");
	if (text->result)
		print_result(text);
	else
		print_line("look", state == CLAIM_REMOVED
					   ? "not looked at: the claim was removed"
					   : "not looked at: it does not depend on the DNS");
}

static void write_result(const struct proof_text *text, struct json *json)
{
	const struct prover_result *result = text->result;
	bool has_values = is_compared(result);
	char sentence[CLAIM_MASKED_MAX], found[CLAIM_MASKED_MAX];

	json_string(json, "finding", findings[result->word].name);
	json_string(json, "look", shown(text, result->sentence, sentence));
	json_string(json, "expected", has_values && text->shows_value ? result->expected : NULL);
	json_string(json, "found",
		has_values && result->seen[0] ? shown(text, result->seen, found) : NULL);
	if (has_values && result->seen[0])
		json_number(json, "differs_at", result->differs_at);
	else
		json_string(json, "differs_at", NULL);
	json_string(json, "holder", result->outcome.holder[0] ? result->outcome.holder : NULL);
}

void proof_text_write(const struct proof_text *text, struct json *json)
{
	const struct claim_life *life = &text->claim->life;

	json_open(json, NULL, '{');
	json_text(json, "tenant", text->claim->tenant);
	json_string(json, "before", state_before(text));
	json_string(json, "state", claim_state_name(life->state));
	json_bool(json, "in_force", claim_is_in_force(life->state));
	json_bool(json, "looked", text->result != NULL);
	if (text->result)
		write_result(text, json);
	if (text->elsewhere.len > 0)
		json_text(json, "elsewhere", text->elsewhere);
	else
		json_string(json, "elsewhere", NULL);
	claim_write_moment(json, "next_check", life->next_check);
	claim_write_moment(
		json, "ends_at", claim_ends_at(life, &text->ctl->config->ownership.rules));
	json_close(json, '}', false);
}

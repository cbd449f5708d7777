/*
 * See inspection.h. Must not know how it is printed.
 */
#include "policyctl/inspection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policyctl/output.h"

#define FAULT_MAX (2 * OUTPUT_SHORT + 2 * RECORD_NOTE_MAX)

static void fault_add(struct inspection *inspection, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fault_add(struct inspection *inspection, const char *format, ...)
{
	char sentence[FAULT_MAX];
	struct text copy;
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	copy = arena_copy(&inspection->arena, text_of(sentence));
	if (!copy.ptr || !array_reserve((void **)&inspection->faults, inspection->fault_count,
				 &inspection->fault_cap, sizeof(*inspection->faults)))
		inspection->failed = true;
	else
		inspection->faults[inspection->fault_count++] = copy;
}

/* The field as it was published; escaped, as all of a sentence will be. */
static const char *field_words(const struct lockdown_field *field, char out[OUTPUT_SHORT])
{
	snprintf(out, OUTPUT_SHORT, "%.*s%s%.*s",
		(int)(field->name.len < 100 ? field->name.len : 100), field->name.ptr,
		field->value.ptr ? "=" : "", (int)(field->value.len < 140 ? field->value.len : 140),
		field->value.ptr ? field->value.ptr : "");
	return out;
}

static void field_add(
	struct inspection *inspection, size_t record, const struct lockdown_field *field)
{
	struct inspection_field *new;
	char words[OUTPUT_SHORT];

	if (!array_reserve((void **)&inspection->fields, inspection->field_count,
		    &inspection->field_cap, sizeof(*inspection->fields))) {
		inspection->failed = true;
		return;
	}
	new = &inspection->fields[inspection->field_count++];
	*new = (struct inspection_field){.record = record, .look.field = *field};
	field_look(inspection->ctl, inspection->login, &new->look);
	field_words(field, words);
	if (field->fault)
		fault_add(inspection, "%s: %s", words, field->fault);
	else if (new->look.names_us && !new->look.may_match)
		fault_add(inspection, "%s: %s", words, new->look.note);
}

static void fields_add(struct inspection *inspection, size_t record)
{
	struct text rest = inspection->question.answer.txt[record];
	struct lockdown_field field;

	while (!inspection->failed && lockdown_next_field(&rest, &field)) {
		if (inspection->field_count == LOCKDOWN_FIELDS_MAX) {
			fault_add(inspection, "more than %d fields: the rest does not count",
				LOCKDOWN_FIELDS_MAX);
			return;
		}
		field_add(inspection, record, &field);
	}
}

static void look_at_records(struct inspection *inspection)
{
	const struct dns_answer *answer = &inspection->question.answer;

	for (size_t i = 0; i < answer->count; i++) {
		struct record_look *look = &inspection->records[i];

		record_look(&inspection->ctl->config->lockdown, answer->txt[i], look);
		if (look->note[0])
			fault_add(inspection, "%s", look->note);
		if (look->kind == RECORD_COUNTS)
			fields_add(inspection, i);
	}
}

static bool has_record(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->question.answer.count; i++)
		if (inspection->records[i].kind == RECORD_COUNTS)
			return true;
	return false;
}

static bool names_us(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->field_count; i++)
		if (inspection->fields[i].look.names_us)
			return true;
	return false;
}

static bool may_pass(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->field_count; i++)
		if (inspection->fields[i].look.may_match)
			return true;
	return false;
}

static void judge(struct inspection *inspection)
{
	const struct lockdown_settings *lockdown = &inspection->ctl->config->lockdown;
	const struct dns_answer *answer = &inspection->question.answer;
	struct lockdown_verdict verdict;

	if (answer->status == LOOKUP_FAILED) {
		inspection->word = INSPECTION_UNKNOWN;
		return;
	}
	if (!has_record(inspection)) {
		inspection->word = INSPECTION_NO_RECORD;
		return;
	}
	inspection->word = INSPECTION_REFUSES;
	if (!inspection->login) {
		if (may_pass(inspection))
			inspection->word = INSPECTION_PASSES;
		return;
	}
	lockdown_judge(lockdown, answer, inspection->login, &verdict);
	if (verdict.word != LOCKDOWN_PASSES)
		return;
	inspection->word = INSPECTION_PASSES;
	/* Name and value stand side by side in the answer, with the `=` between. */
	inspection->passed_by = (struct text){
		verdict.field.name.ptr, verdict.field.name.len + 1 + verdict.field.value.len};
}

/* "a, b, ..." */
static const char *accounts_list(const struct lockdown_settings *lockdown, char out[OUTPUT_SHORT])
{
	size_t len = 0;

	for (size_t i = 0; i < lockdown->account_count && len < OUTPUT_SHORT; i++)
		len += (size_t)snprintf(out + len, OUTPUT_SHORT - len, "%s%.*s", i ? ", " : "",
			TEXT_ARG(lockdown->accounts[i]));
	return out;
}

static void look_at_accounts(struct inspection *inspection)
{
	const struct lockdown_settings *lockdown = &inspection->ctl->config->lockdown;
	char accounts[OUTPUT_SHORT];

	if (lockdown->account_count == 0)
		fault_add(inspection, "no account is configured in [lockdown]: no record can name "
				      "us");
	else if (has_record(inspection) && !names_us(inspection))
		fault_add(inspection, "none of our accounts is named in it: %s",
			accounts_list(lockdown, accounts));
}

/* As long records must be; only where something is wrong may it be the cause. */
static void look_at_strings(struct inspection *inspection)
{
	size_t strings = inspection->question.answer.strings;

	if (strings > 1 && (inspection->fault_count > 0 || !has_record(inspection)))
		fault_add(inspection,
			"a record came in %zu strings, which are joined with nothing between: a "
			"blank must stand inside the quotation marks",
			strings);
}

/* Other names where a record is published by mistake. */
struct elsewhere {
	struct dns_now_question questions[DNS_NOW_MAX];
	const char *why[DNS_NOW_MAX];
	char names[DNS_NOW_MAX][DNS_NAME_MAX + 1];
	size_t count;
};

static void elsewhere_add(
	struct elsewhere *elsewhere, struct text label, struct text domain, const char *why)
{
	struct text *name = &elsewhere->questions[elsewhere->count].name;

	if (!dns_name_below(label, domain, elsewhere->names[elsewhere->count], name))
		return;
	elsewhere->why[elsewhere->count++] = why;
}

static void elsewhere_fill(const struct inspection *inspection, struct elsewhere *elsewhere)
{
	static const struct text common = {"_mailchannels", sizeof("_mailchannels") - 1};
	const struct text label = inspection->ctl->config->lockdown.label;
	const struct text domain = inspection->domain->text;
	size_t dot = text_find(domain, '.');
	char with_underscore[DNS_NAME_MAX + 1];

	elsewhere->questions[elsewhere->count].name = domain;
	elsewhere->why[elsewhere->count++] = "the label is missing";
	if (label.ptr[0] == '_')
		elsewhere_add(elsewhere, text_tail(label, 1), domain, "the underscore is missing");
	else
		elsewhere_add(elsewhere,
			(struct text){with_underscore,
				(size_t)snprintf(with_underscore, sizeof(with_underscore), "_%.*s",
					TEXT_ARG(label))},
			domain, "the underscore is too much");
	elsewhere_add(elsewhere, inspection->domain->name, domain,
		"the domain stands twice: in a zone file a whole name ends in a dot");
	if (!text_equal(label, common))
		elsewhere_add(elsewhere, common, domain, "that is another label");
	if (dot < domain.len && text_find(text_tail(domain, dot + 1), '.') < domain.len - dot - 1)
		elsewhere_add(elsewhere, label, text_tail(domain, dot + 1),
			"a record counts for its own domain alone, not for those below");
}

static void look_elsewhere(
	struct inspection *inspection, const struct elsewhere *elsewhere, size_t at)
{
	const struct dns_answer *answer = &elsewhere->questions[at].answer;
	const struct text name = elsewhere->questions[at].name;

	if (answer->status == LOOKUP_FAILED)
		fault_add(inspection,
			"%.*s could not be looked up (%s), so it is not known whether "
			"a record stands there by mistake",
			TEXT_ARG(name), dns_failure_text(answer->failure));
	for (size_t i = 0; i < answer->count; i++) {
		struct record_look look;
		size_t shown =
			answer->txt[i].len < OUTPUT_SHORT ? answer->txt[i].len : OUTPUT_SHORT;

		record_look(&inspection->ctl->config->lockdown, answer->txt[i], &look);
		if (look.kind != RECORD_OTHER)
			fault_add(inspection,
				"a record stands at %.*s, where it is not looked for "
				"(%s): %.*s",
				TEXT_ARG(name), elsewhere->why[at], (int)shown, answer->txt[i].ptr);
	}
}

/* Only where there is no record at the right name: a wildcard answers for the others, too. */
static bool search_elsewhere(struct inspection *inspection)
{
	struct elsewhere *elsewhere = calloc(1, sizeof(*elsewhere));
	bool done = false;

	if (!elsewhere) {
		inspection->failed = true;
		return true;
	}
	elsewhere_fill(inspection, elsewhere);
	done = dns_now_ask(inspection->ctl->config, elsewhere->questions, elsewhere->count);
	for (size_t i = 0; done && i < elsewhere->count; i++)
		look_elsewhere(inspection, elsewhere, i);
	free(elsewhere);
	return done;
}

static size_t times(const struct dns_answer *answer, struct text txt)
{
	size_t n = 0;

	for (size_t i = 0; i < answer->count; i++)
		n += text_equal(answer->txt[i], txt);
	return n;
}

/* The order of records means nothing. */
static bool is_same(const struct dns_answer *a, const struct dns_answer *b)
{
	if (a->status != b->status || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (times(a, a->txt[i]) != times(b, a->txt[i]))
			return false;
	return true;
}

static void look_into_cache(struct inspection *inspection)
{
	struct cache *cache;

	inspection->kept = kept_open(inspection->ctl->config, &cache, inspection->kept_error);
	if (inspection->kept != LOOKUP_FOUND)
		return;
	inspection->kept = cache_get(cache, inspection->domain->name, &inspection->entry);
	inspection->kept_error[0] = '\0';
	inspection->is_kept_same = inspection->kept == LOOKUP_FOUND &&
				   is_same(&inspection->entry.answer, &inspection->question.answer);
	cache_close(cache);
}

bool inspection_run(struct inspection *inspection)
{
	const struct config *config = inspection->ctl->config;

	inspection->question.name = inspection->domain->name;
	if (!dns_now_ask(config, &inspection->question, 1))
		return false;
	look_at_records(inspection);
	judge(inspection);
	look_at_accounts(inspection);
	look_at_strings(inspection);
	if (inspection->word == INSPECTION_NO_RECORD && !search_elsewhere(inspection))
		return false;
	look_into_cache(inspection);
	if (inspection->failed)
		complain("out of memory");
	return !inspection->failed;
}

void inspection_free(struct inspection *inspection)
{
	free(inspection->fields);
	free(inspection->faults);
	arena_drop(&inspection->arena);
}

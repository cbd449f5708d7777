/*
 * `policyctl lockdown DOMAIN [LOGIN]`: the record that the DNS holds now, past the cache, whom it
 * lets pass, what is wrong with it and what to publish.
 *
 * Needs no table, and works while lockdown is switched off.
 */
#include <stdio.h>
#include <stdlib.h>

#include "policyctl/ask.h"
#include "policyctl/inspection.h"
#include "policyctl/output.h"
#include "policyctl/unanswered.h"

enum { FAULTS_SHOWN_MAX = 20 }; /* without --json */

static void print_line(const char *name, struct text text)
{
	char escaped[4 * DNS_TEXT_MAX + 1];

	printf("%-9s %s\n", name, output_escape(text, escaped, sizeof(escaped)));
}

static void print_answer(const struct inspection *inspection)
{
	const struct dns_answer *answer = &inspection->question.answer;
	char rcode[16];

	printf("%-9s %.*s TXT\n", "asked", TEXT_ARG(inspection->domain->name));
	printf("%-9s ", "answer");
	if (answer->status == LOOKUP_FAILED && answer->failure != DNS_FAILURE_RCODE) {
		printf("none: %s\n", unanswered_sentence(answer->failure));
		return;
	}
	printf("%s from %s, AD %s, TTL %u s, %zu TXT record%s\n",
		dns_rcode_text(answer->rcode, rcode), answer->server,
		answer->is_authentic ? "yes" : "no", answer->ttl_s, answer->count,
		answer->count == 1 ? "" : "s");
}

static void print_field(const struct field_look *look)
{
	char field[4 * DNS_TEXT_MAX + 1], note[4 * RECORD_NOTE_MAX];
	const struct lockdown_field *published = &look->field;
	struct text whole = {published->name.ptr, published->name.len};

	if (published->value.ptr)
		whole.len += 1 + published->value.len;
	printf("%-9s %s", "  field", output_escape(whole, field, sizeof(field)));
	if (look->note[0])
		printf("  %s", output_escape(text_of(look->note), note, sizeof(note)));
	puts(look->matches ? "  <- matches" : "");
}

static void print_records(const struct inspection *inspection)
{
	const struct dns_answer *answer = &inspection->question.answer;

	for (size_t i = 0; i < answer->count; i++) {
		print_line("record", answer->txt[i]);
		for (size_t j = 0; j < inspection->field_count; j++)
			if (inspection->fields[j].record == i)
				print_field(&inspection->fields[j].look);
	}
	for (size_t i = 0; i < inspection->fault_count && i < FAULTS_SHOWN_MAX; i++)
		print_line("fault", inspection->faults[i]);
	if (inspection->fault_count > FAULTS_SHOWN_MAX)
		printf("%-9s ... and %zu more\n", "fault",
			inspection->fault_count - FAULTS_SHOWN_MAX);
}

static bool has_auth(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->field_count; i++)
		if (inspection->fields[i].look.may_match &&
			inspection->fields[i].look.field.kind == FIELD_AUTH)
			return true;
	return false;
}

static void print_verdict(const struct inspection *inspection)
{
	char text[OUTPUT_SHORT];
	const char *login = inspection->login
				    ? output_escape(inspection->login->raw, text, sizeof(text))
				    : NULL;

	printf("%-9s ", "verdict");
	switch (inspection->word) {
	case INSPECTION_NO_RECORD:
		puts("passes: no record, no restriction");
		return;
	case INSPECTION_UNKNOWN:
		puts("not known: the DNS did not say");
		return;
	case INSPECTION_PASSES:
		if (login)
			printf("passes: %s\n", login[0] ? login : "nobody");
		else
			puts(has_auth(inspection)
					? "passes: every login of ours that the table allows"
					: "passes: only the logins named, where the table allows");
		return;
	case INSPECTION_REFUSES:
		break;
	}
	if (login)
		printf("refuses: %s, no field matches\n", login[0] ? login : "nobody");
	else
		puts("refuses: every login of ours");
}

/* NULL: there is no such line. The caller frees it. */
static char *zone_line(const struct inspection *inspection, const struct login *login)
{
	char *line = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);
	bool done;

	if (!out)
		return NULL;
	done = record_write_zone_line(out, inspection->ctl, inspection->domain->name, login);
	if (fclose(out) == 0 && done)
		return line;
	free(line);
	return NULL;
}

static const char *publish_words(const struct inspection *inspection)
{
	if (has_auth(inspection))
		return "nothing more; alone, for every login of ours that the table allows";
	return inspection->field_count > 0
		       ? "beside what is there, for every login of ours that the table allows"
		       : "for every login of ours that the table allows";
}

static void print_publish(const struct inspection *inspection)
{
	char *line = zone_line(inspection, NULL);

	if (line)
		printf("%-9s %s:\n            %s\n", "publish", publish_words(inspection), line);
	free(line);
	if (!inspection->login)
		return;
	line = zone_line(inspection, inspection->login);
	if (line)
		printf("          or for this login alone:\n            %s\n", line);
	free(line);
}

static const char *freshness_name(enum freshness freshness)
{
	switch (freshness) {
	case FRESH:
	case FRESH_AGING:
		return "fresh";
	case STALE:
	case STALE_TRIED:
		return "stale";
	case EXPIRED:
		break;
	}
	return "expired";
}

static enum freshness kept_freshness(const struct inspection *inspection)
{
	return cache_entry_freshness(
		&inspection->entry, cache_now_ms(), &inspection->ctl->config->cache_rules);
}

static void print_kept_entry(const struct inspection *inspection)
{
	const struct dns_answer *answer = &inspection->entry.answer;
	const char *freshness = freshness_name(kept_freshness(inspection));

	printf("%-9s ", "cache");
	if (answer->status == LOOKUP_FAILED)
		printf("a failed look-up (%s)\n", dns_failure_text(answer->failure));
	else
		printf("%s, TTL left %u s, %s\n", freshness,
			cache_entry_ttl_left_s(&inspection->entry, cache_now_ms()),
			inspection->is_kept_same          ? "the same as the DNS says now"
			: answer->status == LOOKUP_ABSENT ? "no TXT record"
							  : "another answer:");
	if (inspection->is_kept_same)
		return;
	for (size_t i = 0; i < answer->count; i++)
		print_line("  kept", answer->txt[i]);
	if (inspection->question.answer.status != LOOKUP_FAILED)
		printf("          what the DNS says now counts at once after: policyctl cache "
		       "flush %.*s\n",
			TEXT_ARG(inspection->domain->text));
}

static void print_kept(const struct inspection *inspection)
{
	switch (inspection->kept) {
	case LOOKUP_FOUND:
		print_kept_entry(inspection);
		break;
	case LOOKUP_ABSENT:
		print_line("cache", text_of(inspection->kept_error[0] ? inspection->kept_error
								      : "holds nothing of it"));
		break;
	case LOOKUP_FAILED:
		print_line("cache", text_of(inspection->kept_error));
		break;
	}
}

static void print_text(const struct inspection *inspection)
{
	print_answer(inspection);
	print_records(inspection);
	print_verdict(inspection);
	print_publish(inspection);
	print_kept(inspection);
	if (!inspection->ctl->config->lockdown.is_enabled)
		print_line(
			"note", TEXT("[lockdown] enabled = no: policyd does not look at records"));
}

static void write_answer(const struct inspection *inspection, struct json *json)
{
	const struct dns_answer *answer = &inspection->question.answer;
	bool is_failed = answer->status == LOOKUP_FAILED;
	bool has_rcode = !is_failed || answer->failure == DNS_FAILURE_RCODE;
	char rcode[16];

	json_text(json, "domain", inspection->domain->text);
	json_text(json, "name", inspection->domain->name);
	json_string(json, "server", answer->server[0] ? answer->server : NULL);
	json_string(json, "rcode", has_rcode ? dns_rcode_text(answer->rcode, rcode) : NULL);
	json_string(json, "failure", is_failed ? dns_failure_text(answer->failure) : NULL);
	json_bool(json, "ad", answer->is_authentic);
	json_number(json, "ttl", answer->ttl_s);
}

static void write_part(struct json *json, const char *name, struct text text)
{
	if (text.ptr)
		json_text(json, name, text);
	else
		json_string(json, name, NULL);
}

static void write_fields(const struct inspection *inspection, size_t record, struct json *json)
{
	json_open(json, "fields", '[');
	for (size_t i = 0; i < inspection->field_count; i++) {
		const struct field_look *look = &inspection->fields[i].look;

		if (inspection->fields[i].record != record)
			continue;
		json_open(json, NULL, '{');
		json_text(json, "name", look->field.name);
		write_part(json, "value", look->field.value);
		json_bool(json, "may_match", look->may_match);
		json_bool(json, "matches", look->matches);
		json_string(json, "note", look->note[0] ? look->note : NULL);
		json_string(json, "fault", look->field.fault);
		json_close(json, '}', false);
	}
	json_close(json, ']', false);
}

static void write_records(const struct inspection *inspection, struct json *json)
{
	const struct dns_answer *answer = &inspection->question.answer;

	json_open(json, "records", '[');
	for (size_t i = 0; i < answer->count; i++) {
		json_open(json, NULL, '{');
		json_text(json, "text", answer->txt[i]);
		json_string(json, "kind", record_kind_name(inspection->records[i].kind));
		write_fields(inspection, i, json);
		json_close(json, '}', false);
	}
	json_close(json, ']', false);
	json_open(json, "faults", '[');
	for (size_t i = 0; i < inspection->fault_count; i++)
		json_text(json, NULL, inspection->faults[i]);
	json_close(json, ']', false);
}

static void write_verdict(const struct inspection *inspection, struct json *json)
{
	static const char *const words[] = {
		[INSPECTION_PASSES] = "passes",
		[INSPECTION_REFUSES] = "refuses",
		[INSPECTION_NO_RECORD] = "no-record",
		[INSPECTION_UNKNOWN] = "unknown",
	};
	char *all = zone_line(inspection, NULL);
	char *one = inspection->login ? zone_line(inspection, inspection->login) : NULL;

	write_part(json, "login", inspection->login ? inspection->login->raw : (struct text){0});
	json_string(json, "verdict", words[inspection->word]);
	write_part(json, "passed_by", inspection->passed_by);
	json_string(json, "publish", all);
	json_string(json, "publish_for_login", one);
	json_bool(json, "enabled", inspection->ctl->config->lockdown.is_enabled);
	free(all);
	free(one);
}

static void write_kept(const struct inspection *inspection, struct json *json)
{
	const struct dns_answer *answer = &inspection->entry.answer;

	if (inspection->kept != LOOKUP_FOUND) {
		json_string(json, "cached", NULL);
		json_string(json, "cache_error",
			inspection->kept_error[0] ? inspection->kept_error : NULL);
		return;
	}
	json_open(json, "cached", '{');
	json_string(json, "freshness", freshness_name(kept_freshness(inspection)));
	json_number(json, "ttl_left", cache_entry_ttl_left_s(&inspection->entry, cache_now_ms()));
	json_string(json, "failure",
		answer->status == LOOKUP_FAILED ? dns_failure_text(answer->failure) : NULL);
	json_bool(json, "same", inspection->is_kept_same);
	json_open(json, "records", '[');
	for (size_t i = 0; i < answer->count; i++)
		json_text(json, NULL, answer->txt[i]);
	json_close(json, ']', false);
	json_close(json, '}', false);
	json_string(json, "cache_error", NULL);
}

static void print_json(const struct inspection *inspection)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	write_answer(inspection, &json);
	write_records(inspection, &json);
	write_verdict(inspection, &json);
	write_kept(inspection, &json);
	json_close(&json, '}', true);
}

static enum ctl_exit exit_of(const struct inspection *inspection)
{
	switch (inspection->word) {
	case INSPECTION_PASSES:
	case INSPECTION_NO_RECORD:
		return CTL_YES;
	case INSPECTION_REFUSES:
		return CTL_NO;
	case INSPECTION_UNKNOWN:
		break;
	}
	return CTL_UNKNOWN;
}

static enum ctl_exit inspect(
	const struct ctl *ctl, const struct domain *domain, const struct login *login)
{
	struct inspection *inspection = calloc(1, sizeof(*inspection));
	enum ctl_exit done = CTL_UNKNOWN;

	if (!inspection) {
		complain("out of memory");
		return done;
	}
	inspection->ctl = ctl;
	inspection->domain = domain;
	inspection->login = login;
	if (inspection_run(inspection)) {
		if (ctl_has(ctl, FLAG_JSON))
			print_json(inspection);
		else
			print_text(inspection);
		done = exit_of(inspection);
	}
	inspection_free(inspection);
	free(inspection);
	return done;
}

/* Nobody is a login that matches nothing. */
static bool login_of(const struct ctl *ctl, struct login *login)
{
	const struct settings *settings = &ctl->config->settings;
	struct text typed = ask_login(ctl->args.operand[1]);
	char escaped[OUTPUT_SHORT];

	*login = (struct login){.raw = typed};
	if (typed.len == 0 || address_login(settings->unicode, typed, settings->login_realm, login))
		return true;
	complain("\"%s\" is no login name that a record could match",
		output_escape(typed, escaped, sizeof(escaped)));
	return false;
}

enum ctl_exit cmd_lockdown(struct ctl *ctl)
{
	bool has_login = ctl->args.operands > 1;
	struct domain domain;
	struct login login;

	if (!domain_of(ctl, ctl->args.operand[0], &domain))
		return CTL_USAGE;
	if (has_login && !login_of(ctl, &login))
		return CTL_NO;
	return inspect(ctl, &domain, has_login ? &login : NULL);
}

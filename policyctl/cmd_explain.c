/*
 * `policyctl explain LOGIN SENDER`: every step of the decision, the register's and the DNS's word,
 * every row that was looked at as it was typed, what decided and what can be done about it.
 */
#include <stdlib.h>

#include "policyctl/ask.h"
#include "policyctl/fix.h"
#include "policyctl/output.h"
#include "policyctl/rows.h"

enum { OTHERS_SHOWN_MAX = 10 }; /* entries of one key that are about other logins */

struct step {
	struct text name, text;
};

struct explain {
	struct ctl *ctl;
	struct ask ask;
	struct session_answer answer;
	struct text login, sender;
	struct rows rows;
	struct fix fix;
	struct arena arena;
	struct step *steps;
	size_t step_count, step_cap;
	size_t readings; /* that were judged */
	bool failed;
};

static void on_note(void *ctx, const char *step, const char *text)
{
	struct explain *explain = ctx;
	struct step new = {arena_copy(&explain->arena, text_of(step)),
		arena_copy(&explain->arena, text_of(text))};

	if (strcmp(step, "sender") == 0)
		explain->readings++;
	if (!new.name.ptr || !new.text.ptr ||
		!array_reserve((void **)&explain->steps, explain->step_count, &explain->step_cap,
			sizeof(new)))
		explain->failed = true;
	else
		explain->steps[explain->step_count++] = new;
}

/* What waited for the DNS is decided again, from the beginning. */
static void on_start(void *ctx)
{
	struct explain *explain = ctx;

	explain->step_count = 0;
	explain->readings = 0;
}

static void print_line(const char *name, struct text text)
{
	char escaped[4096];

	printf("%-9s %s\n", name, output_escape(text, escaped, sizeof(escaped)));
}

static void print_steps(const struct explain *explain)
{
	for (size_t i = 0; i < explain->step_count; i++)
		print_line(explain->steps[i].name.ptr, explain->steps[i].text);
}

static const char *says_sentence(const struct rows_line *line)
{
	switch (line->says) {
	case ROWS_ALLOWS:
		return "allows this login";
	case ROWS_DENIES:
		return "denies this login";
	case ROWS_OUTRANKED:
		return "counts for others: the row names this login";
	case ROWS_ENDED:
		return line->deny ? "denied this login, has expired"
				  : "allowed this login, has expired";
	case ROWS_OTHERS:
		return line->deny ? "denies another login" : "allows another login";
	case ROWS_IGNORED:
		break;
	}
	return "does not count: typed in another case";
}

/* Without a login there is no "this login". */
static const char *says_words(const struct explain *explain, const struct rows_line *line)
{
	if (explain->login.len > 0)
		return says_sentence(line);
	return line->says == ROWS_ENDED ? "has expired" : line->deny ? "denies" : "allows";
}

static enum err key_lines_add(
	const struct explain *explain, size_t key, struct grid *grid, uint64_t *hidden)
{
	size_t others = 0;

	for (size_t i = 0; i < explain->rows.line_count; i++) {
		const struct rows_line *line = &explain->rows.lines[i];
		char until[EXPIRES_TEXT_MAX];

		if (line->key != key)
			continue;
		if ((line->says == ROWS_OTHERS || explain->login.len == 0) &&
			++others > OTHERS_SHOWN_MAX) {
			++*hidden;
			continue;
		}
		expires_format(&line->expires, until);
		if (grid_add(grid, (struct text[]){line->pattern, line->owner, text_of(until),
					   text_of(says_words(explain, line)), line->comment}) !=
			ERR_OK)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static void print_key(const struct explain *explain, size_t key)
{
	const struct rows_key *looked_up = &explain->rows.keys[key];
	char text[OUTPUT_SHORT];
	struct grid *grid;
	uint64_t hidden = 0;

	output_escape(looked_up->text, text, sizeof(text));
	if (looked_up->found == 0) {
		printf("  %s: no row\n", text);
		return;
	}
	printf("  %s:\n", text);
	if (grid_new(&grid, 5) != ERR_OK || key_lines_add(explain, key, grid, &hidden) != ERR_OK)
		complain("out of memory");
	else
		grid_print(grid, "    ", stdout);
	if (grid && hidden > 0)
		printf("    ... and %llu more owners\n", (unsigned long long)hidden);
	grid_free(grid);
}

static void print_rows(const struct explain *explain)
{
	const struct rows *rows = &explain->rows;
	char text[OUTPUT_SHORT];

	for (size_t i = 0; i < rows->key_count; i++) {
		if (i == 0 || rows->keys[i].reading != rows->keys[i - 1].reading)
			printf("looked up for %s:\n",
				output_escape(
					rows->readings[rows->keys[i].reading], text, sizeof(text)));
		print_key(explain, i);
	}
}

static const char *mode_name(const struct explain *explain)
{
	return explain->ctl->config->settings.monitor ? "monitor" : "enforce";
}

static const char *no_row(const struct explain *explain)
{
	switch (explain->answer.verdict->reason) {
	case REASON_SELF:
		return "none: the sender is the login's own address";
	case REASON_ALLOWED:
	case REASON_SENDER_UNAPPROVED:
		return "none: an entry of `domain allow`";
	case REASON_DOMAIN_UNVERIFIED:
	case REASON_DOMAIN_REVOKED:
	case REASON_DOMAIN_REMOVED:
	case REASON_OTHER_TENANT:
	case REASON_REGISTER_DAMAGED:
		return "none: the ownership register";
	default:
		return "none";
	}
}

static void print_text(const struct explain *explain)
{
	const struct fix *fix = &explain->fix;
	char row[OUTPUT_SHORT];

	print_steps(explain);
	print_rows(explain);
	deciding_row_format(&explain->answer.verdict->row, explain->answer.login, row, sizeof(row));
	print_line("decided", text_of(explain->answer.verdict->row.is_set ? row : no_row(explain)));
	printf("%-9s %s (global)\n", "mode", mode_name(explain));
	print_line("answer", ask_action_line(&explain->answer));
	if (!fix->advice)
		return;
	printf("%-9s %s%s\n", "fix", fix->advice, fix->row || fix->command ? ":" : "");
	for (const char *at = fix->row; at && *at;) {
		struct text line = text_head(text_of(at), text_find(text_of(at), '\n'));

		printf("            %.*s\n", TEXT_ARG(line));
		at += line.len + (at[line.len] == '\n');
	}
	if (fix->command)
		print_line("", text_of(fix->command));
}

static void write_rows(const struct explain *explain, struct json *json)
{
	json_open(json, "looked_up", '[');
	for (size_t i = 0; i < explain->rows.key_count; i++) {
		const struct rows_key *key = &explain->rows.keys[i];

		json_open(json, NULL, '{');
		json_text(json, "reading", explain->rows.readings[key->reading]);
		json_text(json, "key", key->text);
		json_number(json, "entries", key->found);
		json_close(json, '}', false);
	}
	json_close(json, ']', false);
	json_open(json, "rows", '[');
	for (size_t i = 0; i < explain->rows.line_count; i++) {
		const struct rows_line *line = &explain->rows.lines[i];
		char until[EXPIRES_TEXT_MAX];

		expires_format(&line->expires, until);
		json_open(json, NULL, '{');
		json_text(json, "key", explain->rows.keys[line->key].text);
		json_text(json, "sender", line->pattern);
		json_text(json, "owner", line->owner);
		json_string(json, "expires", until[0] ? until : NULL);
		json_text(json, "comment", line->comment);
		json_string(json, "says", rows_says_name(line->says));
		json_close(json, '}', false);
	}
	json_close(json, ']', false);
}

static void write_steps(const struct explain *explain, struct json *json)
{
	json_open(json, "steps", '[');
	for (size_t i = 0; i < explain->step_count; i++) {
		json_open(json, NULL, '{');
		json_text(json, "step", explain->steps[i].name);
		json_text(json, "text", explain->steps[i].text);
		json_close(json, '}', false);
	}
	json_close(json, ']', false);
}

static void print_json(const struct explain *explain)
{
	const struct verdict *verdict = explain->answer.verdict;
	struct json json = {.out = stdout};
	char row[OUTPUT_SHORT];

	deciding_row_format(&verdict->row, explain->answer.login, row, sizeof(row));
	json_open(&json, NULL, '{');
	json_text(&json, "login", explain->login);
	json_text(&json, "sender", explain->sender);
	json_text(&json, "answer", ask_action_line(&explain->answer));
	json_string(&json, "verdict", action_name(verdict->action));
	json_string(&json, "reason", reason_name(verdict->reason));
	json_bool(&json, "monitored", verdict->monitored);
	json_string(&json, "mode", mode_name(explain));
	json_string(&json, "row", verdict->row.is_set ? row : NULL);
	write_steps(explain, &json);
	write_rows(explain, &json);
	json_string(&json, "fix", explain->fix.advice);
	json_string(&json, "fix_rows", explain->fix.row);
	json_string(&json, "fix_command", explain->fix.command);
	json_close(&json, '}', true);
}

static bool explain_run(struct explain *explain)
{
	struct request request =
		ask_request(&explain->ctl->config->settings, explain->login, explain->sender);
	const struct trace trace = {on_note, explain};
	struct rows_question question = {explain->login, explain->sender, 0};

	explain->ask.parts.prepare = on_start;
	explain->ask.parts.prepare_ctx = explain;
	ask_question(&explain->ask, &request, &trace, &explain->answer);
	if (explain->failed) {
		complain("out of memory");
		return false;
	}
	question.readings_max = explain->readings;
	if (explain->ask.authz && explain->readings > 0 &&
		!rows_collect(&explain->rows, explain->ctl, explain->ask.authz, &question))
		return false;
	explain->fix =
		fix_of(explain->ctl, &explain->answer, &explain->rows, explain->ask.registry);
	return true;
}

enum ctl_exit cmd_explain(struct ctl *ctl)
{
	struct explain *explain = calloc(1, sizeof(*explain));
	enum ctl_exit done = CTL_UNKNOWN;

	if (!explain) {
		complain("out of memory");
		return done;
	}
	explain->ctl = ctl;
	explain->login = ask_login(ctl->args.operand[0]);
	explain->sender = ask_sender(ctl->args.operand[1]);
	if (ask_open(&explain->ask, ctl)) {
		if (explain_run(explain)) {
			if (ctl_has(ctl, FLAG_JSON))
				print_json(explain);
			else
				print_text(explain);
			done = ask_exit(&explain->answer);
		}
		ask_close(&explain->ask);
	}
	fix_free(&explain->fix);
	rows_free(&explain->rows);
	arena_drop(&explain->arena);
	free(explain->steps);
	free(explain);
	return done;
}

/*
 * The table of roles beside policyctl's own: every command that the daemon is asked to run has a
 * role, every option is known there, with or without a value as policyctl takes it.
 */
#include "policyd/roles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The tables are their files' own. */
#include "policyctl/args.c"     /* NOLINT(bugprone-suspicious-include) */
#include "policyctl/commands.c" /* NOLINT(bugprone-suspicious-include) */

enum { WORDS_MAX = 8 };

struct line {
	struct text words[WORDS_MAX];
	size_t count;
};

static void line_add(struct line *line, struct text word)
{
	assert_true(line->count < WORDS_MAX);
	line->words[line->count++] = word;
}

/* The command's name; of `cache`, whose second word is an operand, one that there is. */
static struct line line_of(const struct command *command)
{
	struct text name = text_of(command->name);
	size_t blank = text_find(name, ' ');
	struct line line = {0};

	line_add(&line, text_head(name, blank));
	if (blank < name.len)
		line_add(&line, text_tail(name, blank + 1));
	if (strcmp(command->name, "cache") == 0)
		line_add(&line, TEXT("stats"));
	return line;
}

static bool is_known(const struct line *line)
{
	return role_of_command(line->words, line->count) != ROLES_ &&
	       role_command_name(line->words, line->count) != NULL;
}

static void assert_known(bool wanted, const struct line *line)
{
	if (is_known(line) == wanted)
		return;
	for (size_t i = 0; i < line->count; i++)
		print_error("%.*s ", TEXT_ARG(line->words[i]));
	fail_msg("is %s in the table of roles", wanted ? "not" : "accepted");
}

static void test_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < COMMANDS; i++) {
		struct line line = line_of(&commands[i]);

		if (!commands[i].is_local)
			assert_known(true, &line);
	}
}

/* What a command takes as FILE the daemon must not open for others; anything else is theirs. */
static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < COMMANDS; i++) {
		struct line line = line_of(&commands[i]);

		line_add(&line, TEXT("/etc/shadow"));
		if (commands[i].operands > 0)
			assert_known(!commands[i].reads_file, &line);
	}
}

/* `--tenant x` and `--tenant=x`, never `--tenant` alone; `--yes`, never `--yes=x`. */
static void check_option(const struct command *command, const struct option_row *row)
{
	struct line bare = line_of(command), valued, joined;
	char with_value[64];

	snprintf(with_value, sizeof(with_value), "%s=x", row->name);
	joined = bare;
	line_add(&bare, text_of(row->name));
	valued = bare;
	line_add(&valued, TEXT("x"));
	line_add(&joined, text_of(with_value));
	assert_known(row->take == NULL, &bare);
	assert_known(row->take != NULL, &joined);
	if (row->take)
		assert_known(true, &valued);
}

static void test_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < COMMANDS; i++)
		for (size_t k = 0; k < OPTION_ROWS; k++)
			if (!commands[i].is_local && (commands[i].flags & option_rows[k].flag))
				check_option(&commands[i], &option_rows[k]);
}

/* An option that no command takes would be looked at by nobody above. */
static void test_no_option_is_left_over(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (size_t i = 0; i < COMMANDS; i++)
		taken |= commands[i].flags;
	for (size_t k = 0; k < OPTION_ROWS; k++)
		assert_true(taken & option_rows[k].flag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_no_option_is_left_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The table of commands, see commands.h. Must not know what a command does. Fails with a complaint
 * that names the command which was probably meant.
 */
#include "policyctl/commands.h"

#include "policyctl/nearest.h"
#include "policyctl/output.h"

static const struct command commands[] = {
	{"load",
		" [--format postfix|csv|jsonl] [--merge|--delete] [--dry-run] [--force]\n"
		"                      [--tenants|--accounts] FILE|-",
		"make FILE the table, or merge it in, or delete its rows",
		"--tenants: FILE says which tenant a login has: `LOGIN TENANT` or `@DOMAIN TENANT` "
		"a line\n"
		"--accounts: FILE holds every login there is, one a line",
		cmd_load,
		FLAG_FORMAT | FLAG_JSON | FLAG_MERGE | FLAG_DELETE | FLAG_DRY_RUN | FLAG_FORCE |
			FLAG_TENANTS | FLAG_ACCOUNTS,
		.operands = 1, .reads_file = true, .makes_state = true},
	{"dump", " [--format postfix|csv|jsonl]", "print the table as load reads it", NULL,
		cmd_dump, FLAG_FORMAT | FLAG_JSON, .operands = 0},
	{"diff", " [--format postfix|csv|jsonl] FILE|-", "show what a load of FILE would change",
		NULL, cmd_diff, FLAG_FORMAT | FLAG_JSON, .operands = 1, .reads_file = true},
	{"rollback", "", "bring back the table before the last load", NULL, cmd_rollback, FLAG_JSON,
		.operands = 0, .makes_state = true},
	{"check", " LOGIN SENDER", "print the answer Postfix would get (LOGIN `-`: nobody)", NULL,
		cmd_check, FLAG_JSON, .operands = 2},
	{"explain", " LOGIN SENDER", "show every step and row behind that answer, and what to do",
		NULL, cmd_explain, FLAG_JSON, .operands = 2},
	{"who", " SENDER", "list who may use a sender", NULL, cmd_who, FLAG_JSON, .operands = 1},
	{"senders", " LOGIN", "list what a login may use", NULL, cmd_senders, FLAG_JSON,
		.operands = 1},
	{"replay", " FILE|-", "answer a transcript of policy requests", NULL, cmd_replay, FLAG_JSON,
		.operands = 1, .reads_file = true},
	{"status", "", "show what is in force and who is writing: table, register, daemon", NULL,
		cmd_status, FLAG_JSON, .operands = 0},
	{"audit", " [--limit N]", "list who changed what, the newest last", NULL, cmd_audit,
		FLAG_JSON | FLAG_LIMIT, .operands = 0},
	{"lockdown", " DOMAIN [LOGIN]",
		"show a domain's lockdown record as the DNS has it now, and its faults", NULL,
		cmd_lockdown, FLAG_JSON, .operands = 1, .needs_no_state = true, .is_local = true,
		.optional = 1},
	{"cache", " stats | flush [DOMAIN]",
		"show how full the DNS cache is, or forget what is in it", NULL, cmd_cache,
		FLAG_JSON, .operands = 1, .needs_no_state = true, .optional = 1},
	{"domain add", " DOMAIN --tenant TENANT [--hosted]",
		"claim a domain for a tenant and print the record to publish", NULL, cmd_domain_add,
		FLAG_JSON | FLAG_TENANT | FLAG_HOSTED, .required = FLAG_TENANT, .operands = 1,
		.makes_state = true},
	{"domain show", " DOMAIN [--tenant TENANT]", "show a domain's claims and who may use it",
		NULL, cmd_domain_show, FLAG_JSON | FLAG_TENANT, .operands = 1},
	{"domain list", " [--tenant TENANT] [--state STATE] [--limit N]", "list claims", NULL,
		cmd_domain_list, FLAG_JSON | FLAG_TENANT | FLAG_STATE | FLAG_LIMIT, .operands = 0},
	{"domain check", " DOMAIN [--tenant TENANT]", "look for the proof in the DNS now", NULL,
		cmd_domain_check, FLAG_JSON | FLAG_TENANT, .operands = 1},
	{"domain instructions", " DOMAIN [--tenant TENANT]",
		"print the record to publish, in words for the domain's owner", NULL,
		cmd_domain_instructions, FLAG_JSON | FLAG_TENANT, .operands = 1},
	{"domain pin", " DOMAIN [--tenant TENANT]",
		"put a claim in force by hand, whatever the DNS says", NULL, cmd_domain_pin,
		FLAG_JSON | FLAG_TENANT, .operands = 1},
	{"domain unpin", " DOMAIN [--tenant TENANT]", "leave a claim to the DNS again", NULL,
		cmd_domain_unpin, FLAG_JSON | FLAG_TENANT, .operands = 1},
	{"domain transfer", " DOMAIN --tenant TENANT [--yes]",
		"give a domain in force to another tenant", NULL, cmd_domain_transfer,
		FLAG_JSON | FLAG_TENANT | FLAG_YES, .required = FLAG_TENANT, .operands = 1},
	{"domain remove", " DOMAIN [--tenant TENANT] [--yes] [--reason TEXT]",
		"end a claim, leaving a tombstone: mail is refused until a claim is in force", NULL,
		cmd_domain_remove, FLAG_JSON | FLAG_TENANT | FLAG_YES | FLAG_REASON, .operands = 1},
	{"domain forget", " DOMAIN [--tenant TENANT] [--yes]",
		"end a claim without leaving a tombstone", NULL, cmd_domain_forget,
		FLAG_JSON | FLAG_TENANT | FLAG_YES, .operands = 1},
	{"domain allow", " DOMAIN LOGIN... [--tenant TENANT] [--sender ADDRESS] [--pending]",
		"let logins use a domain, or one address of it", NULL, cmd_domain_allow,
		FLAG_JSON | FLAG_TENANT | FLAG_SENDER | FLAG_PENDING, .operands = 2,
		.optional = CTL_OPERANDS_MAX - 2},
	{"domain disallow", " DOMAIN LOGIN... [--tenant TENANT] [--sender ADDRESS]",
		"take logins off a domain, or off one address of it", NULL, cmd_domain_disallow,
		FLAG_JSON | FLAG_TENANT | FLAG_SENDER, .operands = 2,
		.optional = CTL_OPERANDS_MAX - 2},
	{"domain approve", " DOMAIN [LOGIN...] [--tenant TENANT] [--sender ADDRESS] [--all]",
		"put in force what was allowed with --pending", NULL, cmd_domain_approve,
		FLAG_JSON | FLAG_TENANT | FLAG_SENDER | FLAG_ALL, .operands = 1,
		.optional = CTL_OPERANDS_MAX - 1},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	const char *word, *summary;
} groups[] = {
	{"domain", "manage claims on external domains; `policyctl domain -h` lists how"},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* What stands behind "WORD " in a name of two words; NULL where it is no such name. */
static const char *behind_group(const char *name, const char *word)
{
	size_t len = strlen(word);

	return strncmp(name, word, len) == 0 && name[len] == ' ' ? name + len + 1 : NULL;
}

bool command_is_group(const char *word)
{
	for (size_t i = 0; i < GROUPS; i++)
		if (strcmp(groups[i].word, word) == 0)
			return true;
	return false;
}

void command_print_group(const char *word, FILE *out)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *second = behind_group(commands[i].name, word);

		if (second)
			fprintf(out, "  %s %-12s  %s\n", word, second, commands[i].summary);
	}
}

static void print_summary(const char *name, const char *summary)
{
	printf("  %-9s %s\n", name, summary);
}

void command_print_all(void)
{
	puts("usage: policyctl [-c policyd.ini] [-o section.key=value]... COMMAND\n");
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strchr(commands[i].name, ' '))
			print_summary(commands[i].name, commands[i].summary);
	for (size_t i = 0; i < GROUPS; i++)
		print_summary(groups[i].word, groups[i].summary);
	puts("\n--json on every command. `policyctl COMMAND --help` shows its options.\n"
	     "Exit: 0 yes or done, 1 no (REJECT, not found, rows refused), 2 usage, 3 could not "
	     "find out.");
}

void command_print_help(const struct command *command)
{
	printf("usage: policyctl %s%s [--json]\n%s\n", command->name, command->synopsis,
		command->summary);
	if (command->more)
		puts(command->more);
}

/* The nearest of all names so far. */
struct guess {
	struct text typed;
	const char *name;
	size_t least;
};

static void guess_try(struct guess *guess, const char *name)
{
	size_t distance = nearest_distance(guess->typed, text_of(name));

	if (distance >= guess->least)
		return;
	guess->least = distance;
	guess->name = name;
}

static void complain_unknown(const char *typed)
{
	struct guess guess = {.typed = text_of(typed), .least = SIZE_MAX};
	char escaped[OUTPUT_SHORT];

	for (size_t i = 0; i < COMMANDS; i++)
		guess_try(&guess, commands[i].name);
	for (size_t i = 0; i < GROUPS; i++)
		guess_try(&guess, groups[i].word);
	output_escape(text_of(typed), escaped, sizeof(escaped));
	if (guess.least <= NEAREST_FAR)
		complain("there is no command \"%s\"; did you mean \"%s\"?", escaped, guess.name);
	else
		complain("there is no command \"%s\"; `policyctl -h` lists them", escaped);
}

/* second: what was typed behind the group's word, NULL nothing. */
static void complain_of_group(const char *word, const char *second)
{
	struct guess guess = {.least = SIZE_MAX};
	char escaped[OUTPUT_SHORT];

	if (!second) {
		complain("%s needs one more word:", word);
		command_print_group(word, stderr);
		return;
	}
	guess.typed = text_of(second);
	for (size_t i = 0; i < COMMANDS; i++)
		if (behind_group(commands[i].name, word))
			guess_try(&guess, behind_group(commands[i].name, word));
	output_escape(guess.typed, escaped, sizeof(escaped));
	if (guess.least <= NEAREST_FAR) {
		complain("there is no command \"%s %s\"; did you mean \"%s %s\"?", word, escaped,
			word, guess.name);
		return;
	}
	complain("there is no command \"%s %s\"; there are:", word, escaped);
	command_print_group(word, stderr);
}

/* second: NULL for a command of one word. */
static bool is_called(const struct command *command, const char *first, const char *second)
{
	const char *behind = behind_group(command->name, first);

	if (!second)
		return strcmp(command->name, first) == 0 && !strchr(first, ' ');
	return behind && strcmp(behind, second) == 0;
}

const struct command *command_find(char *const *argv, size_t *words)
{
	bool is_group = command_is_group(argv[0]);
	const char *second = is_group ? argv[1] : NULL;

	*words = is_group ? 2 : 1;
	for (size_t i = 0; i < COMMANDS; i++)
		if (is_called(&commands[i], argv[0], second))
			return &commands[i];
	if (is_group)
		complain_of_group(argv[0], second);
	else
		complain_unknown(argv[0]);
	return NULL;
}

/*
 * policyctl: loads and examines policyd's table.
 *
 * Here: global options, the table of commands, their command lines. What a command does is in
 * cmd_*.c. The order of things matters: the configuration and the input are opened first, then root
 * becomes policyd's user, then the command runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "policyctl/command.h"
#include "policyctl/output.h"
#include "policyctl/privilege.h"

enum { OVERRIDES_MAX = 64, NAME_MAX_COMPARED = 32 };

struct command {
	const char *name, *synopsis, *summary; /* a synopsis begins with a blank */
	enum ctl_exit (*run)(struct ctl *ctl);
	unsigned flags; /* that it takes */
	size_t operands;
	size_t optional;     /* operands behind those that may be left out */
	bool reads_file;     /* its first operand is FILE|- */
	bool makes_state;    /* may be the first to write into state_dir */
	bool needs_no_state; /* does not look into state_dir */
};

static const struct command commands[] = {
	{"load", " [--format postfix|csv|jsonl] [--merge|--delete] [--dry-run] [--force] FILE|-",
		"make FILE the table, or merge it in, or delete its rows", cmd_load,
		FLAG_FORMAT | FLAG_JSON | FLAG_MERGE | FLAG_DELETE | FLAG_DRY_RUN | FLAG_FORCE,
		.operands = 1, .reads_file = true, .makes_state = true},
	{"dump", " [--format postfix|csv|jsonl]", "print the table as load reads it", cmd_dump,
		FLAG_FORMAT | FLAG_JSON, .operands = 0},
	{"diff", " [--format postfix|csv|jsonl] FILE|-", "what a load of FILE would change",
		cmd_diff, FLAG_FORMAT | FLAG_JSON, .operands = 1, .reads_file = true},
	{"rollback", "", "back to the table before the last load", cmd_rollback, FLAG_JSON,
		.operands = 0, .makes_state = true},
	{"check", " LOGIN SENDER", "the answer Postfix would get (LOGIN `-`: nobody)", cmd_check,
		FLAG_JSON, .operands = 2},
	{"explain", " LOGIN SENDER", "every step and row behind that answer, and what to do",
		cmd_explain, FLAG_JSON, .operands = 2},
	{"who", " SENDER", "who may use this sender", cmd_who, FLAG_JSON, .operands = 1},
	{"senders", " LOGIN", "what this login may use", cmd_senders, FLAG_JSON, .operands = 1},
	{"replay", " FILE|-", "answer a transcript of policy requests", cmd_replay, FLAG_JSON,
		.operands = 1, .reads_file = true},
	{"status", "", "the table in force, its file, who is writing", cmd_status, FLAG_JSON,
		.operands = 0},
	{"lockdown", " DOMAIN [LOGIN]",
		"a domain's lockdown record as the DNS has it now, and its faults", cmd_lockdown,
		FLAG_JSON, .operands = 1, .needs_no_state = true, .optional = 1},
	{"cache", " stats | flush [DOMAIN]", "the DNS cache: how full, or forget it", cmd_cache,
		FLAG_JSON, .operands = 1, .needs_no_state = true, .optional = 1},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	const char *name;
	unsigned flag;
} flag_names[] = {
	{"--format", FLAG_FORMAT},
	{"--json", FLAG_JSON},
	{"--merge", FLAG_MERGE},
	{"--delete", FLAG_DELETE},
	{"--dry-run", FLAG_DRY_RUN},
	{"--force", FLAG_FORCE},
};
#define FLAG_NAMES (sizeof(flag_names) / sizeof(flag_names[0]))

static void print_help(void)
{
	puts("usage: policyctl [-c policyd.ini] [-o section.key=value]... COMMAND\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].summary);
	puts("\n--json on every command. `policyctl COMMAND --help` shows its options.\n"
	     "Exit: 0 yes or done, 1 no (REJECT, not found, rows refused), 2 usage, 3 could not "
	     "find out.");
}

static void print_command_help(const struct command *command)
{
	printf("usage: policyctl %s%s [--json]\n%s\n", command->name, command->synopsis,
		command->summary);
}

/* Levenshtein distance, of names up to NAME_MAX_COMPARED bytes. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1] = {0}, len = strlen(b);

	if (strlen(a) > NAME_MAX_COMPARED || len > NAME_MAX_COMPARED)
		return SIZE_MAX;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[len];
}

static const struct command *command_find(const char *name)
{
	size_t nearest = 0, least = SIZE_MAX;
	char escaped[OUTPUT_SHORT];

	for (size_t i = 0; i < COMMANDS; i++) {
		size_t d = distance(name, commands[i].name);

		if (d == 0)
			return &commands[i];
		if (d < least) {
			least = d;
			nearest = i;
		}
	}
	output_escape(text_of(name), escaped, sizeof(escaped));
	if (least <= 3)
		complain("there is no command \"%s\"; did you mean \"%s\"?", escaped,
			commands[nearest].name);
	else
		complain("there is no command \"%s\"; `policyctl -h` lists them", escaped);
	return NULL;
}

static unsigned flag_find(const struct command *command, const char *name)
{
	size_t nearest = FLAG_NAMES, least = SIZE_MAX;
	char escaped[OUTPUT_SHORT];

	for (size_t i = 0; i < FLAG_NAMES; i++) {
		size_t d = distance(name, flag_names[i].name);

		if (!(command->flags & flag_names[i].flag))
			continue;
		if (d == 0)
			return flag_names[i].flag;
		if (d < least) {
			least = d;
			nearest = i;
		}
	}
	output_escape(text_of(name), escaped, sizeof(escaped));
	if (least <= 3)
		complain("%s takes no option %s; did you mean %s?", command->name, escaped,
			flag_names[nearest].name);
	else
		complain("%s takes no option %s; usage: policyctl %s%s [--json]", command->name,
			escaped, command->name, command->synopsis);
	return 0;
}

/* argv[*at] begins with "--"; --format takes the next argument, or what follows its `=`. */
static bool take_option(const struct command *command, char **argv, int *at, struct args *args)
{
	char *equals = strchr(argv[*at], '=');
	const char *value = equals ? equals + 1 : NULL;
	unsigned flag;

	if (equals)
		*equals = '\0';
	flag = flag_find(command, argv[*at]);
	if (flag == 0)
		return false;
	args->flags |= flag;
	if (flag != FLAG_FORMAT) {
		if (value)
			complain("%s takes no value", argv[*at]);
		return !value;
	}
	if (!value)
		value = argv[*at + 1] ? argv[++*at] : "";
	if (import_format_of(value, &args->format))
		return true;
	complain("--format is postfix, csv or jsonl");
	return false;
}

static bool operand_add(struct args *args, const char *operand)
{
	if (args->operands < CTL_OPERANDS_MAX)
		args->operand[args->operands] = operand;
	return args->operands++ < CTL_OPERANDS_MAX;
}

static bool args_parse(const struct command *command, char **argv, struct args *args)
{
	bool options = true;

	*args = (struct args){.format = IMPORT_POSTFIX, .operand = {"", ""}};
	for (int i = 1; argv[i]; i++) {
		bool is_option = options && argv[i][0] == '-' && argv[i][1] != '\0';

		if (is_option && strcmp(argv[i], "--") == 0)
			options = false;
		else if (is_option && !take_option(command, argv, &i, args))
			return false;
		else if (!is_option && !operand_add(args, argv[i]))
			break;
	}
	if (args->operands < command->operands ||
		args->operands > command->operands + command->optional) {
		complain("usage: policyctl %s%s [--json]", command->name, command->synopsis);
		return false;
	}
	if ((args->flags & FLAG_MERGE) && (args->flags & FLAG_DELETE)) {
		complain("--merge adds rows and --delete takes them out: give one of them");
		return false;
	}
	return true;
}

static bool wants_help(char **argv)
{
	for (int i = 1; argv[i] && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

static void on_config_error(void *ctx, const char *sentence)
{
	(void)ctx;
	complain("%s", sentence);
}

static bool input_open(struct ctl *ctl)
{
	const char *path = ctl->args.operand[0];
	char escaped[OUTPUT_SHORT];

	ctl->input = STDIN_FILENO;
	ctl->input_name = "standard input";
	if (strcmp(path, "-") == 0)
		return true;
	ctl->input_name = path;
	ctl->input = open(path, O_RDONLY | O_CLOEXEC);
	if (ctl->input < 0)
		complain("%s: %s", output_escape(text_of(path), escaped, sizeof(escaped)),
			strerror(errno));
	return ctl->input >= 0;
}

static enum ctl_exit command_run(
	const struct command *command, struct ctl *ctl, const struct config_source *source)
{
	struct config *config = NULL;
	enum ctl_exit done = CTL_UNKNOWN;
	bool makes_state = command->makes_state && !ctl_has(ctl, FLAG_DRY_RUN);

	if (config_read(&config, source) != ERR_OK)
		return CTL_UNKNOWN;
	ctl->config = config;
	ctl->source = source;
	ctl->now = (int64_t)time(NULL);
	if ((!command->reads_file || input_open(ctl)) &&
		(command->needs_no_state ? privilege_drop(config)
					 : privilege_enter(config, makes_state)))
		done = command->run(ctl);
	config_free(config);
	return output_finish() ? done : CTL_UNKNOWN;
}

static enum ctl_exit command_line(char **argv, const struct config_source *source)
{
	const struct command *command;
	struct ctl ctl = {.input = -1};

	if (!argv[0]) {
		complain("no command; `policyctl -h` lists them");
		return CTL_USAGE;
	}
	command = command_find(argv[0]);
	if (!command)
		return CTL_USAGE;
	if (wants_help(argv)) {
		print_command_help(command);
		return output_finish() ? CTL_YES : CTL_UNKNOWN;
	}
	if (!args_parse(command, argv, &ctl.args))
		return CTL_USAGE;
	return command_run(command, &ctl, source);
}

static enum ctl_exit about(bool is_version)
{
	if (is_version)
		puts("policyctl " POLICYD_VERSION);
	else
		print_help();
	return output_finish() ? CTL_YES : CTL_UNKNOWN;
}

/* The global options, up to the command. */
static enum ctl_exit run(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *overrides[OVERRIDES_MAX];
	struct config_source source = {.overrides = overrides, .on_error = on_config_error};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+c:o:hV", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			source.path = optarg;
			break;
		case 'o':
			if (source.override_count == OVERRIDES_MAX) {
				complain("more than %d -o options", OVERRIDES_MAX);
				return CTL_USAGE;
			}
			overrides[source.override_count++] = optarg;
			break;
		case 'h':
		case 'V':
			return about(option == 'V');
		default:
			complain("usage: policyctl [-c policyd.ini] [-o section.key=value]... "
				 "COMMAND; "
				 "`policyctl -h` lists them");
			return CTL_USAGE;
		}
	}
	return command_line(argv + optind, &source);
}

/* LMDB reads and writes the table through a mapping: where the file is shorter than it says, or the
 * disk cannot read, there is no error to return. */
static void on_sigbus(int signal_number)
{
	static const char sentence[] =
		"policyctl: the table's file is cut short, or its disk fails: move the folder "
		"`table` in state_dir away and load the table again\n";

	(void)signal_number;
	if (write(STDERR_FILENO, sentence, sizeof(sentence) - 1) < 0)
		_exit(CTL_UNKNOWN);
	_exit(CTL_UNKNOWN);
}

int main(int argc, char **argv)
{
	const struct sigaction on_bus = {.sa_handler = on_sigbus};

	sigaction(SIGBUS, &on_bus, NULL);
	return (int)run(argc, argv);
}

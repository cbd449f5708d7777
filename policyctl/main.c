/*
 * policyctl: loads and examines policyd's table and its ownership register.
 *
 * Here: global options and the order of things. The configuration and the input are opened first;
 * then root becomes policyd's user and the command runs, or, for anybody who may not open policyd's
 * files, the daemon is asked to run it. What a command does is in cmd_*.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "policyctl/actor.h"
#include "policyctl/args.h"
#include "policyctl/commands.h"
#include "policyctl/output.h"
#include "policyctl/privilege.h"
#include "policyctl/remote.h"

enum { OVERRIDES_MAX = 64 };

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

/* As root or policyd's user. */
static enum ctl_exit command_run_here(const struct command *command, struct ctl *ctl)
{
	bool makes_state = command->makes_state && !ctl_has(ctl, FLAG_DRY_RUN);
	bool may_run;

	actor_find(ctl);
	may_run = command->needs_no_state ? privilege_drop(ctl->config)
					  : privilege_enter(ctl->config, makes_state);
	return may_run ? command->run(ctl) : CTL_UNKNOWN;
}

/* words: the command line from the command's name on. */
static enum ctl_exit command_run(const struct command *command, struct ctl *ctl, char *const *words)
{
	struct config *config = NULL;
	enum ctl_exit done = CTL_UNKNOWN;

	if (config_read(&config, ctl->source) != ERR_OK)
		return CTL_UNKNOWN;
	ctl->config = config;
	ctl->now = (int64_t)time(NULL);
	if (command->reads_file && !input_open(ctl))
		done = CTL_UNKNOWN;
	else if (!command->is_local && privilege_is_foreign(config))
		done = remote_run(ctl, words, command->reads_file);
	else
		done = command_run_here(command, ctl);
	config_free(config);
	return output_finish() ? done : CTL_UNKNOWN;
}

static enum ctl_exit group_help(const char *word)
{
	printf("usage: policyctl %s COMMAND\n\n", word);
	command_print_group(word, stdout);
	printf("\n`policyctl %s COMMAND --help` shows its options.\n", word);
	return output_finish() ? CTL_YES : CTL_UNKNOWN;
}

static bool is_help(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

static enum ctl_exit command_line(char *const *argv, const struct config_source *source)
{
	struct ctl ctl = {.input = -1, .source = source};
	const struct command *command;
	size_t words;

	if (!argv[0]) {
		complain("no command; `policyctl -h` lists them");
		return CTL_USAGE;
	}
	if (command_is_group(argv[0]) && argv[1] && is_help(argv[1]))
		return group_help(argv[0]);
	command = command_find(argv, &words);
	if (!command)
		return CTL_USAGE;
	if (args_want_help(argv + words)) {
		command_print_help(command);
		return output_finish() ? CTL_YES : CTL_UNKNOWN;
	}
	if (!args_parse(command, argv + words, &ctl.args))
		return CTL_USAGE;
	return command_run(command, &ctl, argv);
}

static enum ctl_exit about(bool is_version)
{
	if (is_version)
		puts("policyctl " POLICYD_VERSION);
	else
		command_print_all();
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

/* LMDB reads and writes through a mapping: where the file is shorter than it says, or the disk
 * cannot read, there is no error to return. The table is walked in a child before it is used, so
 * this is most often the register. */
static void on_sigbus(int signal_number)
{
	static const char sentence[] =
		"policyctl: a file in state_dir is cut short, or its disk fails: `policyctl "
		"status` says which; move the folder `table` away and load the table again, or "
		"put the folder `register` back from a backup\n";

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

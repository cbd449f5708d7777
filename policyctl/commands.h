/*
 * The table of commands, and finding the one that is meant.
 */
#ifndef POLICYCTL_COMMANDS_H
#define POLICYCTL_COMMANDS_H

#include <stdio.h>

#include "policyctl/command.h"

struct command {
	const char *name;     /* one word, or two: "domain add" */
	const char *synopsis; /* of options and operands; begins with a blank */
	const char *summary;  /* one line */
	const char *more;     /* behind it in its own help; NULL nothing */
	enum ctl_exit (*run)(struct ctl *ctl);
	unsigned flags;    /* that it takes */
	unsigned required; /* of those: that must be given */
	size_t operands;
	size_t optional;     /* operands behind those that may be left out */
	bool reads_file;     /* its first operand is FILE|- */
	bool makes_state;    /* may be the first to write into state_dir */
	bool needs_no_state; /* works where there is no state_dir */
	bool is_local;       /* anybody's: reads no file of policyd's */
};

/* The command whose name the words begin with; *words: how many of them are its name. NULL:
 * complained, with the one that was probably meant. argv holds a word at least. */
const struct command *command_find(char *const *argv, size_t *words);

/* Whether commands of two words begin with this one. */
bool command_is_group(const char *word);
/* The commands of a group, one a line. */
void command_print_group(const char *word, FILE *out);

void command_print_all(void);
void command_print_help(const struct command *command);

#endif

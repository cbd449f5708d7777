/*
 * The command line behind a command's name: its options and operands.
 */
#ifndef POLICYCTL_ARGS_H
#define POLICYCTL_ARGS_H

#include "policyctl/commands.h"

/* argv: what stands behind the name, up to NULL; lent to *args, unchanged. Options may stand
 * anywhere before `--`. False: complained; the command line is wrong. */
POLICY_CHECKED bool args_parse(const struct command *command, char *const *argv, struct args *args);

/* Whether -h or --help is among them. */
bool args_want_help(char *const *argv);

#endif

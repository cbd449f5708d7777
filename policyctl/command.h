/*
 * What every command is given and what it may answer. main.c holds the table of commands.
 */
#ifndef POLICYCTL_COMMAND_H
#define POLICYCTL_COMMAND_H

#include "policy/engine/config.h"
#include "policyctl/import/import.h"

enum ctl_exit {
	CTL_YES = 0,     /* yes, or done */
	CTL_NO = 1,      /* no: REJECT, not found, rows refused */
	CTL_USAGE = 2,   /* the command line is wrong */
	CTL_UNKNOWN = 3, /* could not find out */
};

enum ctl_flag {
	FLAG_FORMAT = 1,
	FLAG_JSON = 2,
	FLAG_MERGE = 4,
	FLAG_DELETE = 8,
	FLAG_DRY_RUN = 16,
	FLAG_FORCE = 32,
};

#define CTL_OPERANDS_MAX 2

struct args {
	unsigned flags;
	enum import_format format;
	const char *operand[CTL_OPERANDS_MAX];
	size_t operands;
};

struct ctl {
	const struct config *config;
	const struct config_source *source; /* what config was read from: -c and -o */
	struct args args;
	int input; /* of commands that read FILE; opened before privileges were dropped */
	const char *input_name; /* for messages: "-" reads "standard input" */
	int64_t now;            /* Unix seconds */
};

static inline bool ctl_has(const struct ctl *ctl, enum ctl_flag flag)
{
	return (ctl->args.flags & flag) != 0;
}

enum ctl_exit cmd_load(struct ctl *ctl);
enum ctl_exit cmd_dump(struct ctl *ctl);
enum ctl_exit cmd_diff(struct ctl *ctl);
enum ctl_exit cmd_rollback(struct ctl *ctl);
enum ctl_exit cmd_check(struct ctl *ctl);
enum ctl_exit cmd_explain(struct ctl *ctl);
enum ctl_exit cmd_who(struct ctl *ctl);
enum ctl_exit cmd_senders(struct ctl *ctl);
enum ctl_exit cmd_replay(struct ctl *ctl);
enum ctl_exit cmd_status(struct ctl *ctl);
enum ctl_exit cmd_lockdown(struct ctl *ctl);
enum ctl_exit cmd_cache(struct ctl *ctl);

#endif

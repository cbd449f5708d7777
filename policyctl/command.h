/*
 * What every command is given and what it may answer. commands.c holds the table of commands.
 */
#ifndef POLICYCTL_COMMAND_H
#define POLICYCTL_COMMAND_H

#include "policy/data/registry.h"
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
	FLAG_YES = 64,
	FLAG_HOSTED = 128,
	FLAG_PENDING = 256,
	FLAG_ALL = 512,
	FLAG_TENANT = 1024, /* options with a value: given */
	FLAG_SENDER = 2048,
	FLAG_STATE = 4096,
	FLAG_TENANTS = 8192,
	FLAG_ACCOUNTS = 16384,
	FLAG_LIMIT = 32768,
	FLAG_REASON = 65536,
};

#define CTL_OPERANDS_MAX 1024

struct args {
	unsigned flags;
	enum import_format format;
	const char *tenant, *sender, *state, *reason; /* "" : not given */
	unsigned limit;                               /* 0: not given */
	const char *operand[CTL_OPERANDS_MAX];
	size_t operands;
};

struct ctl {
	const struct config *config;
	const struct config_source *source; /* what config was read from: -c and -o */
	struct args args;
	int input; /* of commands that read FILE; opened before privileges were dropped */
	const char *input_name;      /* for messages: "-" reads "standard input" */
	int64_t now;                 /* Unix seconds */
	struct registry_actor actor; /* who runs this, for audit lines; name is actor_name */
	char actor_name[REGISTRY_ACTOR_MAX + 1];
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
enum ctl_exit cmd_audit(struct ctl *ctl);
enum ctl_exit cmd_load_lines(struct ctl *ctl); /* load --tenants, --accounts */
enum ctl_exit cmd_domain_add(struct ctl *ctl);
enum ctl_exit cmd_domain_show(struct ctl *ctl);
enum ctl_exit cmd_domain_list(struct ctl *ctl);
enum ctl_exit cmd_domain_check(struct ctl *ctl);
enum ctl_exit cmd_domain_instructions(struct ctl *ctl);
enum ctl_exit cmd_domain_pin(struct ctl *ctl);
enum ctl_exit cmd_domain_unpin(struct ctl *ctl);
enum ctl_exit cmd_domain_transfer(struct ctl *ctl);
enum ctl_exit cmd_domain_remove(struct ctl *ctl);
enum ctl_exit cmd_domain_forget(struct ctl *ctl);
enum ctl_exit cmd_domain_allow(struct ctl *ctl);
enum ctl_exit cmd_domain_disallow(struct ctl *ctl);
enum ctl_exit cmd_domain_approve(struct ctl *ctl);

#endif

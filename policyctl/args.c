/*
 * Options and operands, see args.h. Values are judged as far as that needs no configuration. Must
 * not know what a command does with them.
 */
#include "policyctl/args.h"

#include <stdlib.h>

#include "policyctl/nearest.h"
#include "policyctl/output.h"

#define LIMIT_MAX 1000000000

static bool take_format(const char *value, struct args *args)
{
	if (import_format_of(value, &args->format))
		return true;
	complain("--format is postfix, csv or jsonl");
	return false;
}

static bool take_tenant(const char *value, struct args *args)
{
	char escaped[OUTPUT_SHORT];

	args->tenant = value;
	if (tenant_is_valid(text_of(value)))
		return true;
	complain("--tenant: \"%s\" cannot be the name of a tenant: 1 to %d letters, digits and "
		 "- _ . @ + are allowed",
		output_escape(text_of(value), escaped, sizeof(escaped)), TENANT_MAX);
	return false;
}

static bool take_sender(const char *value, struct args *args)
{
	args->sender = value;
	if (value[0])
		return true;
	complain("--sender is an address of the domain");
	return false;
}

static bool take_state(const char *value, struct args *args)
{
	char states[OUTPUT_SHORT] = "", escaped[OUTPUT_SHORT];

	args->state = value;
	for (enum claim_state state = CLAIM_PENDING; state < CLAIM_STATES_; state++) {
		const char *name = claim_state_name(state);
		size_t len = strlen(states);

		if (strcmp(name, value) == 0)
			return true;
		snprintf(states + len, sizeof(states) - len, "%s%s", len ? ", " : "", name);
	}
	complain("--state: \"%s\" is not one of %s",
		output_escape(text_of(value), escaped, sizeof(escaped)), states);
	return false;
}

static bool take_limit(const char *value, struct args *args)
{
	char *end;
	unsigned long limit = strtoul(value, &end, 10);

	args->limit = (unsigned)limit;
	if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && limit > 0 && limit <= LIMIT_MAX)
		return true;
	complain("--limit is a number from 1 to %d", LIMIT_MAX);
	return false;
}

static bool take_reason(const char *value, struct args *args)
{
	args->reason = value;
	if (strlen(value) <= CLAIM_REASON_MAX && !text_has_control(text_of(value)))
		return true;
	complain("--reason is one line of at most %d bytes", CLAIM_REASON_MAX);
	return false;
}

struct option_row {
	const char *name;
	unsigned flag;
	const char *value; /* what its value is called in complaints; NULL: it takes none */
	bool (*take)(const char *value, struct args *args);
};

static const struct option_row option_rows[] = {
	{"--format", FLAG_FORMAT, "postfix, csv or jsonl", take_format},
	{"--json", FLAG_JSON, NULL, NULL},
	{"--merge", FLAG_MERGE, NULL, NULL},
	{"--delete", FLAG_DELETE, NULL, NULL},
	{"--dry-run", FLAG_DRY_RUN, NULL, NULL},
	{"--force", FLAG_FORCE, NULL, NULL},
	{"--yes", FLAG_YES, NULL, NULL},
	{"--hosted", FLAG_HOSTED, NULL, NULL},
	{"--pending", FLAG_PENDING, NULL, NULL},
	{"--all", FLAG_ALL, NULL, NULL},
	{"--tenant", FLAG_TENANT, "TENANT", take_tenant},
	{"--sender", FLAG_SENDER, "ADDRESS", take_sender},
	{"--state", FLAG_STATE, "STATE", take_state},
	{"--tenants", FLAG_TENANTS, NULL, NULL},
	{"--accounts", FLAG_ACCOUNTS, NULL, NULL},
	{"--limit", FLAG_LIMIT, "N", take_limit},
	{"--reason", FLAG_REASON, "TEXT", take_reason},
};
#define OPTION_ROWS (sizeof(option_rows) / sizeof(option_rows[0]))

static const struct option_row *option_find(const struct command *command, struct text name)
{
	const struct option_row *nearest = NULL;
	size_t least = SIZE_MAX;
	char escaped[OUTPUT_SHORT];

	for (size_t i = 0; i < OPTION_ROWS; i++) {
		size_t distance = nearest_distance(name, text_of(option_rows[i].name));

		if (!(command->flags & option_rows[i].flag))
			continue;
		if (distance == 0)
			return &option_rows[i];
		if (distance < least) {
			least = distance;
			nearest = &option_rows[i];
		}
	}
	output_escape(name, escaped, sizeof(escaped));
	if (nearest && least <= NEAREST_FAR)
		complain("%s takes no option %s; did you mean %s?", command->name, escaped,
			nearest->name);
	else
		complain("%s takes no option %s; usage: policyctl %s%s [--json]", command->name,
			escaped, command->name, command->synopsis);
	return NULL;
}

/* argv[*at] begins with `-`. A value stands behind `=`, or is the next argument. */
static bool take_option(
	const struct command *command, char *const *argv, size_t *at, struct args *args)
{
	struct text word = text_of(argv[*at]);
	size_t name_len = text_find(word, '=');
	const struct option_row *row = option_find(command, text_head(word, name_len));
	const char *value = NULL;

	if (!row)
		return false;
	args->flags |= row->flag;
	if (name_len < word.len)
		value = argv[*at] + name_len + 1;
	if (!row->take && value)
		complain("%s takes no value", row->name);
	if (!row->take)
		return !value;
	if (!value && argv[*at + 1] && strncmp(argv[*at + 1], "--", 2) != 0)
		value = argv[++*at];
	if (value)
		return row->take(value, args);
	complain("%s needs a value: %s", row->name, row->value);
	return false;
}

static bool operand_add(struct args *args, const char *operand)
{
	if (args->operands < CTL_OPERANDS_MAX)
		args->operand[args->operands] = operand;
	return args->operands++ < CTL_OPERANDS_MAX;
}

static bool has_both(const struct args *args, unsigned one, unsigned other)
{
	return (args->flags & one) && (args->flags & other);
}

static bool is_consistent(const struct args *args)
{
	if (has_both(args, FLAG_MERGE, FLAG_DELETE))
		complain("--merge adds rows and --delete takes them out: give one of them");
	else if (has_both(args, FLAG_TENANTS, FLAG_ACCOUNTS))
		complain("--tenants and --accounts are two lists: load one after the other");
	else if (has_both(args, FLAG_FORMAT, FLAG_TENANTS | FLAG_ACCOUNTS))
		complain("--format is that of a table; a list of tenants or accounts has a line "
			 "for each login");
	else
		return true;
	return false;
}

static bool is_complete(const struct command *command, const struct args *args)
{
	unsigned missing = command->required & ~args->flags;

	if (args->operands < command->operands ||
		args->operands > command->operands + command->optional) {
		complain("usage: policyctl %s%s [--json]", command->name, command->synopsis);
		return false;
	}
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		const struct option_row *row = &option_rows[i];

		if (!(missing & row->flag))
			continue;
		complain("%s needs %s %s; usage: policyctl %s%s [--json]", command->name, row->name,
			row->value, command->name, command->synopsis);
		return false;
	}
	return is_consistent(args);
}

bool args_parse(const struct command *command, char *const *argv, struct args *args)
{
	bool options = true;

	*args = (struct args){.format = IMPORT_POSTFIX,
		.tenant = "",
		.sender = "",
		.state = "",
		.reason = "",
		.operand = {"", ""}};
	for (size_t i = 0; argv[i]; i++) {
		bool is_option = options && argv[i][0] == '-' && argv[i][1] != '\0';

		if (is_option && strcmp(argv[i], "--") == 0)
			options = false;
		else if (is_option && !take_option(command, argv, &i, args))
			return false;
		else if (!is_option && !operand_add(args, argv[i]))
			break;
	}
	return is_complete(command, args);
}

bool args_want_help(char *const *argv)
{
	for (size_t i = 0; argv[i] && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

/*
 * Advice for each reason, see fix.h. Knows the table's text formats, not how the verdict was
 * reached.
 */
#include "policyctl/fix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "policyctl/fix_register.h"
#include "policyctl/import/import_key.h"
#include "policyctl/import/import_write.h"
#include "policyctl/shell.h"

#define MERGE      "load --merge FILE"
#define MERGE_CSV  "load --format csv --merge FILE"
#define LOCKDOWN   "lockdown"
#define DELETE_CSV "load --format csv --delete FILE"

/* The advice as it is put together. */
struct draft {
	const struct ctl *ctl;
	const struct rows *rows;
	const char *advice, *command; /* command: policyctl's, or NULL */
	FILE *out;                    /* of the lines to write to a file */
	struct text domain;           /* of the sender */
};

static const struct {
	const char *advice, *command;
} fixes[REASON_COUNT_] = {
	[REASON_NULL_REFUSED] =
		{"`null_sender = permit` in [match] lets logins send with the null sender", NULL},
	[REASON_NOT_LOGGED_IN] =
		{"the client has to log in (SASL); or `unauthenticated = permit` in [match]", NULL},
	[REASON_BAD_SENDER] = {"this is no address that a row could name: correct the sender",
		NULL},
	[REASON_BAD_LOGIN] = {"this is no login name that a row could name: correct the login",
		NULL},
	[REASON_ROUTING_OPERATOR] = {"Postfix may turn this sender into another address; let the "
				     "customer send without %, ! and quoted "
				     "@, load a row for every reading, or set `routing = literal` "
				     "in [match] if this Postfix leaves "
				     "them alone",
		NULL},
	[REASON_NOT_OWNED] = {"to allow it, put this row into a file and load it", MERGE},
	[REASON_DENIED_BY_ROW] =
		{"a row denies this login by name, which beats every allow; to lift "
		 "it, put this into a file and delete the rows",
			DELETE_CSV},
	[REASON_EXPIRED] = {"the row that allowed it has ended; to renew it, put this into a file, "
			    "with a later "
			    "day if wanted, and load it",
		MERGE_CSV},
	[REASON_LOCKED_DOWN] =
		{"the domain's owner publishes who may send for it, and nothing there "
		 "matches this login; for what they would have to publish, see",
			LOCKDOWN},
	[REASON_LOCKDOWN_UNKNOWN] =
		{"the DNS did not answer, and nothing usable is kept from before; for "
		 "what it says now, see",
			LOCKDOWN},
	[REASON_LOCKDOWN_UNKNOWN_REJECT] =
		{"the DNS did not answer; `on_failure = defer` in "
		 "[lockdown] defers such mail; for what it says now, see",
			LOCKDOWN},
	[REASON_DNS_LIMITED] =
		{"too many new domains at once for this login, or the resolver is at its "
		 "limit: it passes with time; see new_domains_per_min and max_in_flight",
			NULL},
	[REASON_REGISTER_DAMAGED] = {"for what is wrong with the ownership register, see",
		"status"},
	[REASON_NO_TABLE] = {"load a table", "load FILE"},
	[REASON_TABLE_DAMAGED] = {"load the table again (or go back to the one before: `policyctl "
				  "rollback`)",
		"load --force FILE"},
};

/* A pattern that means exactly this address: `*` and `\` in the local part are escaped where they
 * count. */
static struct text pattern_for(const struct ctl *ctl, struct text sender, char *out)
{
	struct text local, domain;
	size_t len = 0;

	if (ctl->config->settings.semantics == SEMANTICS_FIRST_HIT)
		return sender;
	address_split(sender, &local, &domain);
	for (size_t i = 0; i < local.len; i++) {
		if (local.ptr[i] == '*' || local.ptr[i] == '\\')
			out[len++] = '\\';
		out[len++] = local.ptr[i];
	}
	memcpy(out + len, sender.ptr + local.len, sender.len - local.len);
	return (struct text){out, len + sender.len - local.len};
}

static void row_to_allow(struct draft *draft)
{
	const struct ctl *ctl = draft->ctl;
	char pattern[2 * SENDER_MAX], key[IMPORT_KEY_MAX];
	struct row_entry entry = {.owner = ask_login(ctl->args.operand[0])};

	entry.pattern = pattern_for(ctl, draft->rows->address, pattern);
	if (!import_postfix_refusal(&entry)) {
		struct text external = import_key_external(entry.pattern, key);

		fprintf(draft->out, "%.*s  %.*s\n", TEXT_ARG(external), TEXT_ARG(entry.owner));
		return;
	}
	draft->command = MERGE_CSV;
	fputs(IMPORT_CSV_HEADER, draft->out);
	import_write_csv(draft->out, &entry);
}

static void rows_that_say(const struct draft *draft, enum rows_says says, bool keep_expires)
{
	const struct rows *rows = draft->rows;

	fputs(IMPORT_CSV_HEADER, draft->out);
	for (size_t i = 0; i < rows->line_count; i++) {
		const struct rows_line *line = &rows->lines[i];
		const struct row_entry entry = {
			.pattern = line->pattern,
			.owner = line->owner,
			.expires = keep_expires ? line->expires : (struct expires){0},
			.comment = line->comment,
		};

		if (line->says == says && line->deny == (says == ROWS_DENIES) &&
			(says == ROWS_ENDED || line->kind == OWNER_LOGIN))
			import_write_csv(draft->out, &entry);
	}
}

/* An owner column with these would mean something else. */
static bool is_plain_login(struct text login)
{
	return login.len > 0 && login.ptr[0] != '!' && login.ptr[0] != '@' &&
	       !text_equal(login, TEXT("*"));
}

static bool is_denied_by_name(const struct rows *rows)
{
	for (size_t i = 0; i < rows->line_count; i++)
		if (rows->lines[i].says == ROWS_DENIES && rows->lines[i].kind == OWNER_LOGIN)
			return true;
	return false;
}

/* A deny of everybody, or of a whole domain, stays: a named owner beats it within its row. */
static void rows_to_except(const struct draft *draft)
{
	const struct rows *rows = draft->rows;

	fputs(IMPORT_CSV_HEADER, draft->out);
	for (size_t i = 0; i < rows->line_count; i++) {
		const struct row_entry entry = {
			.pattern = rows->lines[i].pattern,
			.owner = ask_login(draft->ctl->args.operand[0]),
		};

		if (rows->lines[i].says == ROWS_DENIES)
			import_write_csv(draft->out, &entry);
	}
}

static void rows_to_lift(struct draft *draft)
{
	if (is_denied_by_name(draft->rows)) {
		rows_that_say(draft, ROWS_DENIES, true);
		return;
	}
	draft->advice = "a row denies many logins, this one among them; to except this one, put "
			"this into a file and load it";
	draft->command = MERGE_CSV;
	rows_to_except(draft);
}

static void rows_write(struct draft *draft, enum reason reason)
{
	if (reason == REASON_NOT_OWNED)
		row_to_allow(draft);
	else if (reason == REASON_DENIED_BY_ROW)
		rows_to_lift(draft);
	else
		rows_that_say(draft, ROWS_ENDED, false);
}

/* For the domain that was asked about, and the login where it cannot be taken for an option. */
static void write_lockdown_operands(const struct draft *draft, FILE *out)
{
	const char *login = draft->ctl->args.operand[0];

	fprintf(out, " %.*s", TEXT_ARG(draft->domain));
	if (login[0] == '\0' || login[0] == '-')
		return;
	putc(' ', out);
	shell_word(out, text_of(login));
}

/* As this policyctl was called, with its -c and -o, so that it is about the same table. */
static char *command_format(const struct draft *draft)
{
	const struct config_source *source = draft->ctl->source;
	char *command = NULL;
	size_t len = 0;
	FILE *out = draft->command ? open_memstream(&command, &len) : NULL;

	if (!out)
		return NULL;
	shell_word(out, text_of(program_invocation_name));
	if (source->path) {
		fputs(" -c ", out);
		shell_word(out, text_of(source->path));
	}
	for (size_t i = 0; i < source->override_count; i++) {
		fputs(" -o ", out);
		shell_word(out, text_of(source->overrides[i]));
	}
	fprintf(out, " %s", draft->command);
	if (strcmp(draft->command, LOCKDOWN) == 0)
		write_lockdown_operands(draft, out);
	fclose(out);
	return command;
}

static bool can_be_named(const struct draft *draft)
{
	return is_plain_login(ask_login(draft->ctl->args.operand[0])) &&
	       draft->rows->address.len > 0 && draft->rows->address.len <= PATTERN_MAX / 2;
}

static struct fix fix_of_table(
	const struct ctl *ctl, const struct session_answer *answer, const struct rows *rows)
{
	enum reason reason = answer->verdict->reason;
	struct draft draft = {ctl, rows, fixes[reason].advice, fixes[reason].command, NULL,
		answer->sender_domain};
	bool wants_rows = reason == REASON_NOT_OWNED || reason == REASON_DENIED_BY_ROW ||
			  reason == REASON_EXPIRED;
	struct fix fix = {0};
	size_t len = 0;

	if (reason == REASON_NOT_OWNED && !can_be_named(&draft)) {
		draft.advice = "no row can name exactly this login and sender: one of them means "
			       "something else there";
		draft.command = NULL;
	} else if (wants_rows) {
		draft.out = open_memstream(&fix.row, &len);
		if (draft.out) {
			rows_write(&draft, reason);
			fclose(draft.out);
		}
	}
	fix.advice = draft.advice;
	fix.command = command_format(&draft);
	return fix;
}

struct fix fix_of(const struct ctl *ctl, const struct session_answer *answer,
	const struct rows *rows, struct registry *registry)
{
	struct fix_register found = fix_register_of(ctl, answer, registry);
	struct draft draft = {.ctl = ctl, .command = found.command};
	struct fix fix = {.advice = found.advice, .row = found.row};

	if (!found.advice)
		return fix_of_table(ctl, answer, rows);
	fix.command = command_format(&draft);
	free(found.command);
	return fix;
}

void fix_free(struct fix *fix)
{
	free(fix->command);
	free(fix->row);
}

/*
 * `policyctl who SENDER`: everybody who may use this sender, and the rows that say so.
 *
 * Whether a named login really may is asked from the engine, because rows overrule one another.
 */
#include "policyctl/ask.h"
#include "policyctl/listing.h"
#include "policyctl/rows.h"
#include "policyctl/table.h"

struct who {
	struct ctl *ctl;
	struct ask ask;
	struct text sender;
	struct rows rows;
	struct listing listing;
};

static const char *const names[2] = {"login", "sender"};

static enum reason reason_for(struct who *who, struct text login, enum action *action)
{
	struct request request = ask_request(&who->ctl->config->settings, login, who->sender);
	struct session_answer answer;

	ask_question(&who->ask, &request, NULL, &answer);
	*action = answer.verdict->action;
	return answer.verdict->reason;
}

static struct text owner_note(const struct rows_line *line)
{
	if (line->comment.len > 0)
		return line->comment;
	switch (line->kind) {
	case OWNER_ANY:
		return TEXT("every login");
	case OWNER_DOMAIN:
		return TEXT("every login of that domain");
	case OWNER_LOGIN:
		break;
	}
	return TEXT("");
}

static void add_row(struct who *who, const struct rows_line *row)
{
	struct listing_line line = {
		.word = "may",
		.allows = row->says == ROWS_ALLOWS,
		.subject = row->deny ? text_tail(row->owner, 1) : row->owner,
		.row = row->pattern,
		.expires = row->expires,
		.note = owner_note(row),
	};
	enum action action = ACTION_DUNNO;
	enum reason reason = REASON_ROW;

	if (row->says != ROWS_ALLOWS) {
		line.word = row->says == ROWS_DENIES  ? "may not"
			    : row->says == ROWS_ENDED ? "expired"
						      : "ignored";
	} else if (row->kind == OWNER_LOGIN) {
		reason = reason_for(who, row->owner, &action);
		line.allows = action == ACTION_DUNNO;
	}
	if (action != ACTION_DUNNO) {
		line.word = "overruled";
		line.note = text_of(reason_name(reason));
	}
	listing_add(&who->listing, &line, names);
}

static void add_self(struct who *who, struct text login)
{
	const struct listing_line line = {
		.word = "may",
		.allows = true,
		.subject = login,
		.note = TEXT("the login's own address (allow_self)"),
	};
	enum action action;

	if (reason_for(who, login, &action) == REASON_SELF)
		listing_add(&who->listing, &line, names);
}

/* The login of that name, and the one without the extension. */
static void add_selves(struct who *who)
{
	struct text local, domain;
	char bytes[SENDER_MAX];
	size_t base;

	address_split(who->sender, &local, &domain);
	if (!domain.ptr || who->sender.len > SENDER_MAX)
		return;
	base = address_without_extension(local, who->ctl->config->settings.recipient_delimiter);
	if (base < local.len) {
		memcpy(bytes, local.ptr, base);
		memcpy(bytes + base, domain.ptr - 1, domain.len + 1);
		add_self(who, (struct text){bytes, base + 1 + domain.len});
	}
	add_self(who, who->sender);
}

static void add_unlisted(struct who *who)
{
	const struct listing_line line = {
		.word = "may",
		.allows = true,
		.subject = TEXT("*"),
		.note = TEXT("every login: no row names this sender (unlisted_sender = permit)"),
	};

	if (who->rows.line_count == 0 && who->ctl->config->settings.unlisted_permit)
		listing_add(&who->listing, &line, names);
}

static enum ctl_exit who_run(struct who *who)
{
	const struct rows_question question = {.sender = who->sender};
	bool is_json = ctl_has(who->ctl, FLAG_JSON);
	bool finished;

	if (!listing_init(&who->listing, is_json))
		return CTL_UNKNOWN;
	if (!rows_collect(&who->rows, who->ctl, who->ask.authz, &question)) {
		grid_free(who->listing.grid);
		return CTL_UNKNOWN;
	}
	for (size_t i = 0; i < who->rows.line_count; i++)
		add_row(who, &who->rows.lines[i]);
	add_selves(who);
	add_unlisted(who);
	finished = listing_finish(&who->listing);
	if (!finished)
		return CTL_UNKNOWN;
	if (who->listing.allowed == 0 && !is_json)
		puts("nobody may use this sender");
	return who->listing.allowed > 0 ? CTL_YES : CTL_NO;
}

enum ctl_exit cmd_who(struct ctl *ctl)
{
	struct who who = {.ctl = ctl, .sender = ask_sender(ctl->args.operand[0])};
	enum ctl_exit done = CTL_UNKNOWN;
	bool none;
	struct authz *authz;

	if (who.sender.len == 0) {
		puts("the null sender belongs to nobody; see null_sender in [match]");
		return CTL_NO;
	}
	authz = table_open_to_read(ctl->config, &none);
	if (!authz)
		return none ? CTL_NO : CTL_UNKNOWN;
	if (ask_open_on(&who.ask, ctl, authz)) {
		who.ask.authz = authz;
		done = who_run(&who);
		rows_free(&who.rows);
		session_free(who.ask.session);
	}
	table_close(authz);
	return done;
}

/*
 * `policyctl who SENDER`: everybody who may use this sender, and the rows and entries that say so.
 *
 * Whether a named login really may is asked from the engine, because rows overrule one another and
 * the domain may be another tenant's.
 */
#include "policyctl/allowed.h"
#include "policyctl/ask.h"
#include "policyctl/listing.h"
#include "policyctl/rows.h"
#include "policyctl/table.h"

struct who {
	struct ctl *ctl;
	struct ask ask;
	struct text sender;
	struct rows rows;
	struct allowed allowed;
	struct address address; /* canonical; empty where there is none */
	struct holding holding; /* of its domain */
	char held[TENANT_MAX + 64];
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

/* Why no login at all may use the domain; NULL: some may. */
static const char *refusal_of_all(const struct who *who)
{
	enum ownership_required required = who->ctl->config->settings.ownership;

	if (required == OWNERSHIP_NO || claim_is_in_force(who->holding.state) ||
		who->address.domain.len == 0)
		return NULL;
	if (who->holding.state == CLAIM_REMOVED)
		return reason_name(REASON_DOMAIN_REMOVED);
	if (who->holding.state == CLAIM_REVOKED)
		return reason_name(REASON_DOMAIN_REVOKED);
	return required == OWNERSHIP_ALL ? reason_name(REASON_DOMAIN_UNVERIFIED) : NULL;
}

static bool is_held(const struct who *who)
{
	return who->ctl->config->settings.ownership != OWNERSHIP_NO &&
	       claim_is_in_force(who->holding.state);
}

static struct text owner_note(struct who *who, const struct rows_line *line)
{
	if (line->kind != OWNER_LOGIN && !line->deny && is_held(who)) {
		snprintf(who->held, sizeof(who->held), "of these only logins of tenant %s",
			who->holding.tenant);
		return text_of(who->held);
	}
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

/* refusal NULL: nothing overrules it. */
static void overrule(struct listing_line *line, const char *refusal)
{
	if (!refusal)
		return;
	line->word = "overruled";
	line->allows = false;
	line->note = text_of(refusal);
}

static void add_row(struct who *who, const struct rows_line *row)
{
	struct listing_line line = {
		.word = "may",
		.allows = row->says == ROWS_ALLOWS,
		.subject = row->deny ? text_tail(row->owner, 1) : row->owner,
		.row = row->pattern,
		.expires = row->expires,
		.note = owner_note(who, row),
	};
	const char *refusal = NULL;
	enum action action;
	enum reason reason;

	if (row->says != ROWS_ALLOWS) {
		line.word = row->says == ROWS_DENIES  ? "may not"
			    : row->says == ROWS_ENDED ? "expired"
						      : "ignored";
	} else if (row->kind == OWNER_LOGIN) {
		reason = reason_for(who, row->owner, &action);
		refusal = action == ACTION_DUNNO ? NULL : reason_name(reason);
	} else {
		refusal = refusal_of_all(who);
	}
	overrule(&line, refusal);
	listing_add(&who->listing, &line, names);
}

static void add_entry(struct who *who, const struct allowed_entry *entry)
{
	bool is_domain = entry->login.ptr[0] == '@';
	struct listing_line line = {
		.word = entry->is_pending ? "waits" : "may",
		.allows = !entry->is_pending,
		.subject = entry->login,
		.row = entry->address,
		.is_register = true,
		.note = entry->is_pending ? TEXT("for `policyctl domain approve`")
			: is_domain       ? TEXT("every login of that domain, of this tenant")
					  : TEXT(""),
	};
	enum action action = ACTION_DUNNO;
	enum reason reason = REASON_ALLOWED;

	if (!entry->is_pending && !is_domain)
		reason = reason_for(who, entry->login, &action);
	overrule(&line, action == ACTION_DUNNO ? NULL : reason_name(reason));
	listing_add(&who->listing, &line, names);
}

static void add_entries(struct who *who)
{
	struct text delimiter = who->ctl->config->settings.recipient_delimiter;

	for (size_t i = 0; i < who->allowed.count; i++)
		if (allowed_is_about(&who->allowed.entries[i], who->address.local, delimiter))
			add_entry(who, &who->allowed.entries[i]);
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

static bool names_senders(const struct who *who)
{
	for (size_t i = 0; i < who->allowed.count; i++)
		if (!who->allowed.entries[i].is_pending)
			return true;
	return false;
}

static void add_unlisted(struct who *who)
{
	struct listing_line line = {
		.word = "may",
		.allows = true,
		.subject = TEXT("*"),
		.note = TEXT("every login: no row names this sender (unlisted_sender = permit)"),
	};

	if (who->rows.line_count == 0 && who->ctl->config->settings.unlisted_permit &&
		!names_senders(who)) {
		overrule(&line, refusal_of_all(who));
		if (line.allows && is_held(who))
			line.note = TEXT("every login of the tenant that holds the domain: no row "
					 "names this sender (unlisted_sender = permit)");
		listing_add(&who->listing, &line, names);
	}
}

/* What the register says about the sender's domain; a sender without a canonical form has none. */
static bool register_read(struct who *who)
{
	const struct settings *settings = &who->ctl->config->settings;
	struct allowed_question question;

	if (settings->ownership == OWNERSHIP_NO ||
		!address_sender(
			settings->unicode, who->sender, settings->append_domain, &who->address) ||
		who->address.domain.len == 0)
		return true;
	question = (struct allowed_question){.domain = who->address.domain};
	return holding_read(&who->holding, who->ask.registry, who->address.domain) &&
	       allowed_collect(&who->allowed, who->ask.registry, &question);
}

static enum ctl_exit who_run(struct who *who)
{
	const struct rows_question question = {.sender = who->sender};
	bool is_json = ctl_has(who->ctl, FLAG_JSON);
	bool finished;

	if (!listing_init(&who->listing, is_json))
		return CTL_UNKNOWN;
	if (!rows_collect(&who->rows, who->ctl, who->ask.authz, &question) || !register_read(who)) {
		grid_free(who->listing.grid);
		return CTL_UNKNOWN;
	}
	for (size_t i = 0; i < who->rows.line_count; i++)
		add_row(who, &who->rows.lines[i]);
	add_entries(who);
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
	if (!ask_open_on(&who.ask, ctl, authz))
		return done;
	done = who_run(&who);
	rows_free(&who.rows);
	allowed_free(&who.allowed);
	ask_close(&who.ask);
	return done;
}

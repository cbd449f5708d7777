/*
 * `policyctl senders LOGIN`: what this login may use, in the table's order, then the register's, and
 * what is denied to it, has expired or waits.
 *
 * Plain addresses are asked from the engine, because rows overrule one another; of domains and globs
 * only whose they are.
 */
#include <stdlib.h>

#include "policyctl/allowed.h"
#include "policyctl/arena.h"
#include "policyctl/ask.h"
#include "policyctl/listing.h"
#include "policyctl/table.h"

struct found {
	enum pattern_kind kind;
	struct text pattern, owner, comment;
	struct expires expires;
	bool deny;
};

struct senders {
	struct ctl *ctl;
	struct ask ask;
	struct text login;
	struct login canonical;
	struct listing listing;
	struct arena arena;
	struct allowed allowed;
	struct found *found;
	size_t count, cap;
	bool failed;
};

static const char *const names[2] = {"sender", "owner"};

static bool owner_is(const struct senders *senders, struct text owner, bool *deny)
{
	const struct settings *settings = &senders->ctl->config->settings;
	char folded[3 * OWNER_MAX];
	enum owner_kind kind;
	size_t len;

	*deny = false;
	if (settings->semantics == SEMANTICS_UNION)
		return owner_matches(settings->unicode, owner, &senders->canonical, &kind, deny);
	len = text_fold(settings->unicode, owner, false, folded, sizeof(folded));
	return text_equal((struct text){folded, len}, senders->canonical.folded);
}

static bool on_pair(void *ctx, const struct pair *pair)
{
	struct senders *senders = ctx;
	struct found new = {.kind = pair->kind, .expires = pair->entry.expires};

	if (!owner_is(senders, pair->entry.owner, &new.deny))
		return true;
	new.pattern = arena_copy(&senders->arena, pair->entry.pattern);
	new.owner = arena_copy(&senders->arena, pair->entry.owner);
	new.comment = arena_copy(&senders->arena, pair->entry.comment);
	if (!new.pattern.ptr || !new.owner.ptr || !new.comment.ptr ||
		!array_reserve(
			(void **)&senders->found, senders->count, &senders->cap, sizeof(new))) {
		senders->failed = true;
		return false;
	}
	senders->found[senders->count++] = new;
	return true;
}

static enum reason reason_for(struct senders *senders, struct text sender, enum action *action)
{
	struct request request =
		ask_request(&senders->ctl->config->settings, senders->login, sender);
	struct session_answer answer;

	ask_question(&senders->ask, &request, NULL, &answer);
	*action = answer.verdict->action;
	return answer.verdict->reason;
}

/* NULL: the domain is nobody's, or its tenant is the login's. */
static const char *refusal_of_domain(const struct senders *senders, struct text domain)
{
	const struct ownership_question question = {.domain = domain, .login = &senders->canonical};
	enum reason why;

	return allowed_holds(
		       senders->ask.registry, &senders->ctl->config->settings, &question, &why)
		       ? NULL
		       : reason_name(why);
}

/* What overrules a pattern that allows; NULL: nothing. */
static const char *refusal_of_pattern(struct senders *senders, const struct found *found)
{
	struct pattern pattern;
	enum action action;
	enum reason reason;

	if (found->kind == PATTERN_EXACT) {
		reason = reason_for(senders, found->pattern, &action);
		return action == ACTION_DUNNO ? NULL : reason_name(reason);
	}
	if (found->kind == PATTERN_SUBDOMAINS ||
		pattern_parse(senders->ctl->config->settings.unicode, found->pattern, &pattern))
		return NULL;
	return refusal_of_domain(senders, pattern.domain);
}

static void overrule(struct listing_line *line, const char *refusal)
{
	if (!refusal)
		return;
	line->word = "overruled";
	line->allows = false;
	line->note = text_of(refusal);
}

static void add_found(struct senders *senders, const struct found *found)
{
	bool has_ended = found->expires.until != 0 && found->expires.until <= senders->ctl->now;
	struct listing_line line = {
		.word = has_ended     ? "expired"
			: found->deny ? "may not"
				      : "may",
		.allows = !has_ended && !found->deny,
		.subject = found->pattern,
		.row = found->owner,
		.expires = found->expires,
		.note = found->comment,
	};
	if (line.allows)
		overrule(&line, refusal_of_pattern(senders, found));
	listing_add(&senders->listing, &line, names);
}

static void add_entry(struct senders *senders, const struct allowed_entry *entry)
{
	struct listing_line line = {
		.word = entry->is_pending ? "waits" : "may",
		.allows = !entry->is_pending,
		.subject = entry->address,
		.row = entry->login,
		.is_register = true,
		.note = entry->is_pending ? TEXT("for `policyctl domain approve`") : TEXT(""),
	};
	enum action action;
	enum reason reason;

	if (line.allows && entry->local.len > 0) {
		reason = reason_for(senders, entry->address, &action);
		overrule(&line, action == ACTION_DUNNO ? NULL : reason_name(reason));
	} else if (line.allows) {
		overrule(&line, refusal_of_domain(senders, entry->domain));
	}
	listing_add(&senders->listing, &line, names);
}

/* False: the register could not be read, complained. */
static bool scan_register(struct senders *senders)
{
	const struct allowed_question question = {.login = &senders->canonical};

	if (senders->ctl->config->settings.ownership == OWNERSHIP_NO)
		return true;
	return allowed_collect(&senders->allowed, senders->ask.registry, &question);
}

static void add_self(struct senders *senders)
{
	const struct listing_line line = {
		.word = "may",
		.allows = true,
		.subject = senders->canonical.full,
		.note = TEXT("its own address, with any extension (allow_self)"),
	};
	enum action action;

	if (senders->canonical.domain.len > 0 &&
		reason_for(senders, senders->canonical.full, &action) == REASON_SELF)
		listing_add(&senders->listing, &line, names);
}

static bool scan(struct senders *senders)
{
	struct authz *authz = senders->ask.authz;
	struct authz_meta meta;
	bool good = false;

	switch (authz_begin(authz, &meta)) {
	case LOOKUP_FAILED:
		complain("%s", authz_error(authz));
		return false;
	case LOOKUP_FOUND:
		good = authz_scan(authz, on_pair, senders) == LOOKUP_FOUND;
		break;
	case LOOKUP_ABSENT:
		good = true;
		break;
	}
	if (!good)
		complain("%s", authz_error(authz));
	else if (senders->failed)
		complain("out of memory");
	authz_end(authz);
	return good && !senders->failed;
}

static enum ctl_exit senders_run(struct senders *senders)
{
	if (!scan(senders) || !scan_register(senders) ||
		!listing_init(&senders->listing, ctl_has(senders->ctl, FLAG_JSON)))
		return CTL_UNKNOWN;
	add_self(senders);
	for (size_t i = 0; i < senders->count; i++)
		add_found(senders, &senders->found[i]);
	for (size_t i = 0; i < senders->allowed.count; i++)
		add_entry(senders, &senders->allowed.entries[i]);
	if (!listing_finish(&senders->listing))
		return CTL_UNKNOWN;
	if (senders->listing.allowed == 0 && !ctl_has(senders->ctl, FLAG_JSON))
		puts("this login may use no sender");
	return senders->listing.allowed > 0 ? CTL_YES : CTL_NO;
}

static bool is_login(const struct senders *senders)
{
	if (senders->login.len == 0)
		complain("`-` is nobody, and rows are about logins; `unauthenticated` in [match] "
			 "says what nobody may use");
	else if (senders->canonical.full.len == 0)
		complain("this is no login name: it is over-long, or holds control bytes or "
			 "invalid UTF-8");
	return senders->canonical.full.len > 0;
}

/* authz is closed. */
static enum ctl_exit senders_list(struct ctl *ctl, struct authz *authz)
{
	const struct settings *settings = &ctl->config->settings;
	struct senders *senders = calloc(1, sizeof(*senders));
	enum ctl_exit done = CTL_UNKNOWN;

	if (!senders) {
		complain("out of memory");
		table_close(authz);
		return done;
	}
	senders->ctl = ctl;
	senders->login = ask_login(ctl->args.operand[0]);
	if (senders->login.len > 0 && !address_login(settings->unicode, senders->login,
					      settings->login_realm, &senders->canonical))
		senders->canonical.full.len = 0;
	if (!is_login(senders)) {
		done = CTL_NO;
		table_close(authz);
	} else if (ask_open_on(&senders->ask, ctl, authz)) {
		done = senders_run(senders);
		ask_close(&senders->ask);
	}
	arena_drop(&senders->arena);
	allowed_free(&senders->allowed);
	free(senders->found);
	free(senders);
	return done;
}

enum ctl_exit cmd_senders(struct ctl *ctl)
{
	bool none;
	struct authz *authz = table_open_to_read(ctl->config, &none);

	if (!authz)
		return none ? CTL_NO : CTL_UNKNOWN;
	return senders_list(ctl, authz);
}

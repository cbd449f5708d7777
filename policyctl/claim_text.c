/*
 * See claim_text.h. Reads no register. Must not know tokens.
 */
#include "policyctl/claim_text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define MINUTE_S INT64_C(60)
#define HOUR_S   INT64_C(3600)
#define DAY_S    INT64_C(86400)

enum { REFUSAL_MAX = 1024 };

const char *span_format(int64_t seconds, char out[SPAN_MAX])
{
	if (seconds < 2 * MINUTE_S)
		snprintf(out, SPAN_MAX, "%lld s", (long long)seconds);
	else if (seconds < 2 * HOUR_S)
		snprintf(out, SPAN_MAX, "%lld min", (long long)(seconds / MINUTE_S));
	else if (seconds < 2 * DAY_S)
		snprintf(out, SPAN_MAX, "%lld h", (long long)(seconds / HOUR_S));
	else
		snprintf(out, SPAN_MAX, "%lld d", (long long)(seconds / DAY_S));
	return out;
}

const char *claim_moment(int64_t at, int64_t now, char out[CLAIM_MOMENT_MAX])
{
	char moment[MOMENT_MAX], span[SPAN_MAX];

	if (at == 0)
		return "never";
	moment_format(at, moment);
	if (at > now)
		snprintf(out, CLAIM_MOMENT_MAX, "%s (in %s)", moment, span_format(at - now, span));
	else
		snprintf(out, CLAIM_MOMENT_MAX, "%s (%s ago)", moment, span_format(now - at, span));
	return out;
}

void claim_write_moment(struct json *json, const char *name, int64_t at)
{
	char moment[MOMENT_MAX];

	json_string(json, name, at == 0 ? NULL : moment_format(at, moment));
}

int64_t claim_ends_at(const struct claim_life *life, const struct claim_rules *rules)
{
	if (life->state == CLAIM_PENDING)
		return life->since + rules->pending_expires_s;
	return life->state == CLAIM_GRACE ? life->since + rules->grace_s : 0;
}

bool claim_is_unseen(const struct claim_life *life)
{
	return life->state == CLAIM_GRACE && life->checked_at < life->since;
}

static void say_grace(
	const struct ctl *ctl, const struct claim_life *life, char out[CLAIM_MEANING_MAX])
{
	bool is_unseen = claim_is_unseen(life);
	char ends[CLAIM_MOMENT_MAX];

	snprintf(out, CLAIM_MEANING_MAX,
		"in force, but %s: mail is refused from %s on unless it %s",
		is_unseen ? "nobody has seen the record yet" : "the record is missing",
		claim_moment(claim_ends_at(life, &ctl->config->ownership.rules), ctl->now, ends),
		is_unseen ? "is found" : "is back");
}

/* Of states that refuse everybody where no claim is in force. */
static const char *meaning_beside(
	enum claim_state state, struct text holder, char out[CLAIM_MEANING_MAX])
{
	snprintf(out, CLAIM_MEANING_MAX,
		state == CLAIM_REMOVED
			? "a tombstone without effect: the claim of %.*s is in force, and mail of "
			  "its logins passes"
			: "not in force: the claim of %.*s is, and mail of its logins passes; the "
			  "record is looked for now and then",
		TEXT_ARG(holder));
	return out;
}

static void say_pending(const struct ctl *ctl, const struct claim_life *life, bool is_refusing,
	char out[CLAIM_MEANING_MAX])
{
	char ends[CLAIM_MOMENT_MAX];

	snprintf(out, CLAIM_MEANING_MAX,
		"not in force: policyd looks for the record again and again; the claim expires %s "
		"unless it is found%s",
		claim_moment(claim_ends_at(life, &ctl->config->ownership.rules), ctl->now, ends),
		is_refusing ? "; it was removed before: everybody's mail is refused until a claim "
			      "is in force"
			    : "");
}

const char *claim_meaning(const struct ctl *ctl, const struct claim_life *life, struct text holder,
	char out[CLAIM_MEANING_MAX])
{
	bool is_refusing = life->is_tombstone && holder.len == 0;

	if (holder.len > 0 && (life->state == CLAIM_REMOVED || life->state == CLAIM_REVOKED))
		return meaning_beside(life->state, holder, out);
	switch (life->state) {
	case CLAIM_PENDING:
		say_pending(ctl, life, is_refusing, out);
		return out;
	case CLAIM_VERIFIED:
		return "in force; policyd looks now and then whether the record is still there";
	case CLAIM_GRACE:
		say_grace(ctl, life, out);
		return out;
	case CLAIM_REVOKED:
		return "not in force, mail is refused: once the record is back the next look "
		       "verifies it";
	case CLAIM_EXPIRED:
		return is_refusing ? "not in force and not looked at any more; it was removed "
				     "before: everybody's mail is refused until a claim is in force"
				   : "not in force and not looked at any more: publish the record, "
				     "then `policyctl domain check`";
	case CLAIM_HOSTED:
		return "in force by hand: the provider's own, its logins are this tenant's";
	case CLAIM_PINNED:
		return "in force by hand, whatever the DNS says";
	case CLAIM_REMOVED:
		return "a tombstone: mail is refused until a claim on the domain is in force, or "
		       "this one is forgotten";
	case CLAIM_NONE:
	case CLAIM_STATES_:
		break;
	}
	return "";
}

bool claim_has_colours(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (!no_color || !no_color[0]) && term &&
	       strcmp(term, "dumb") != 0;
}

const char *claim_colour(enum claim_state state)
{
	if (state == CLAIM_REVOKED || state == CLAIM_REMOVED || state == CLAIM_EXPIRED)
		return "\033[31m";
	if (state == CLAIM_PENDING || state == CLAIM_GRACE)
		return "\033[33m";
	return "\033[32m";
}

void claim_write(const struct ctl *ctl, struct json *json, struct text domain,
	const struct claim *claim, const struct claim_masked *masked)
{
	const struct claim_life *life = &claim->life;

	json_text(json, "domain", domain);
	json_text(json, "tenant", claim->tenant);
	json_string(json, "state", claim_state_name(life->state));
	json_bool(json, "in_force", claim_is_in_force(life->state));
	json_bool(json, "tombstone", life->state == CLAIM_REMOVED || life->is_tombstone);
	claim_write_moment(json, "created_at", life->created_at);
	claim_write_moment(json, "since", life->since);
	claim_write_moment(json, "proved_at", life->proved_at);
	claim_write_moment(json, "checked_at", life->checked_at);
	claim_write_moment(json, "next_check", life->next_check);
	claim_write_moment(json, "ends_at", claim_ends_at(life, &ctl->config->ownership.rules));
	json_string(json, "reason", masked->reason);
	json_string(json, "seen", masked->seen);
	json_number(json, "senders", claim->senders);
	json_number(json, "senders_pending", claim->senders_pending);
}

enum ctl_exit claim_refuse(
	const struct ctl *ctl, struct text domain, enum ctl_exit code, const char *format, ...)
{
	char sentence[REFUSAL_MAX];
	struct json json = {.out = stdout};
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	complain("%s", sentence);
	if (!ctl_has(ctl, FLAG_JSON))
		return code;
	json_open(&json, NULL, '{');
	json_text(&json, "domain", domain);
	json_bool(&json, "done", false);
	json_string(&json, "error", sentence);
	json_close(&json, '}', true);
	return code;
}

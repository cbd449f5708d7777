/*
 * Builds the answer's bytes, see reply.h.
 *
 * Knows no decision rule and no socket. Every byte of every value is made harmless here, and a
 * template that would not do is replaced by the built-in one. Cannot fail.
 */
#include "policy/core/reply.h"

#define NOT_OWNED    "REJECT 5.7.1 Sender address rejected: not owned by user %u"
#define TROUBLE      "DEFER 4.3.0 Temporary lookup failure"
#define PREFIX       "action="
#define WARN_PREFIX  "action=WARN policyd would answer: "
#define DUNNO_ANSWER "action=DUNNO\n\n"

const char *reply_default(enum reason reason)
{
	switch (reason) {
	case REASON_NOT_POLICY:
	case REASON_STATE:
	case REASON_NULL_SENDER:
	case REASON_NO_LOGIN:
	case REASON_ROW:
	case REASON_SELF:
	case REASON_UNLISTED:
	case REASON_GRANTED:
	case REASON_ALLOWED:
	case REASON_COUNT_:
		return NULL;
	case REASON_BAD_SENDER:
	case REASON_BAD_LOGIN:
	case REASON_ROUTING_OPERATOR:
	case REASON_NOT_OWNED:
	case REASON_DENIED_BY_ROW:
	case REASON_EXPIRED:
	case REASON_OTHER_TENANT:
		return NOT_OWNED;
	case REASON_NULL_REFUSED:
		return "REJECT 5.7.1 Sender address rejected: null sender not allowed for user %u";
	case REASON_NOT_LOGGED_IN:
		return "REJECT 5.7.1 Sender address rejected: not logged in";
	case REASON_SENDER_UNAPPROVED:
		return NOT_OWNED " (approval is pending)";
	case REASON_DOMAIN_UNVERIFIED:
		return NOT_OWNED " (%d is not verified)";
	case REASON_DOMAIN_REVOKED:
		return NOT_OWNED " (%d is not verified any more)";
	case REASON_DOMAIN_REMOVED:
		return NOT_OWNED " (%d was removed)";
	case REASON_LOCKED_DOWN:
		return NOT_OWNED " (%d is locked down)";
	case REASON_LOCKDOWN_UNKNOWN:
		return "DEFER 4.7.1 Sender address rejected: lockdown record of %d could not be "
		       "looked up, try again later";
	case REASON_LOCKDOWN_UNKNOWN_REJECT:
		return "REJECT 5.7.1 Sender address rejected: lockdown record of %d could not be "
		       "looked up";
	case REASON_DNS_LIMITED:
		return "DEFER 4.7.1 Sender address rejected: too many new sender domains, try "
		       "again later";
	case REASON_NO_TABLE:
	case REASON_TABLE_DAMAGED:
	case REASON_REGISTER_DAMAGED:
		return TROUBLE;
	}
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of one to three digits followed by `end`, or 0. */
static size_t digits_before(struct text t, char end)
{
	size_t len = 0;

	while (len < t.len && len < 3 && is_digit(t.ptr[len]))
		len++;
	return len > 0 && len < t.len && t.ptr[len] == end ? len : 0;
}

/* Length of the enhanced status code (RFC 3463) that Postfix would take off t, or 0. */
static size_t enhanced_code(struct text t)
{
	size_t subject, detail = 0;

	if (t.len < 5 || (t.ptr[0] != '2' && t.ptr[0] != '4' && t.ptr[0] != '5') || t.ptr[1] != '.')
		return 0;
	subject = digits_before(text_tail(t, 2), '.');
	if (subject == 0)
		return 0;
	t = text_tail(t, 3 + subject);
	while (detail < t.len && detail < 3 && is_digit(t.ptr[detail]))
		detail++;
	if (detail == 0 || (detail < t.len && t.ptr[detail] != ' '))
		return 0;
	return 3 + subject + detail;
}

static size_t skip_blanks(struct text t, size_t at)
{
	while (at < t.len && t.ptr[at] == ' ')
		at++;
	return at;
}

/* The class of enhanced codes that fit the first word: '4', '5', or 0 for a word that is none of
 * ours. */
static char action_class(struct text word)
{
	if (text_equal(word, TEXT("REJECT")))
		return '5';
	if (text_equal(word, TEXT("DEFER")) || text_equal(word, TEXT("DEFER_IF_PERMIT")))
		return '4';
	if (word.len == 3 && (word.ptr[0] == '4' || word.ptr[0] == '5') && is_digit(word.ptr[1]) &&
		is_digit(word.ptr[2]))
		return word.ptr[0];
	return 0;
}

static const char *check_text(struct text t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.ptr[i] != '%')
			continue;
		if (++i == t.len || memchr("usdi%", t.ptr[i], 5) == NULL)
			return "'%' must be one of %u %s %d %i %%";
	}
	return NULL;
}

/* A template in two: what comes before the text, blanks included, and the text. */
struct parts {
	struct text head, text;
	bool has_code;
};

static const char *split(struct text template_text, struct parts *out)
{
	size_t word = text_find(template_text, ' ');
	size_t at = skip_blanks(template_text, word);
	char class = action_class(text_head(template_text, word));
	size_t code = enhanced_code(text_tail(template_text, at));

	if (class == 0)
		return "must begin with REJECT, DEFER, DEFER_IF_PERMIT, 4xx or 5xx";
	if (code > 0 && template_text.ptr[at] != class)
		return "the enhanced code must be 5.x.x behind REJECT and 5xx, 4.x.x behind the "
		       "others";
	out->has_code = code > 0;
	at = skip_blanks(template_text, at + code);
	if (at == template_text.len)
		return "needs a text behind the code: Postfix answers nonsense without one";
	out->head = text_head(template_text, at);
	out->text = text_tail(template_text, at);
	return check_text(out->text);
}

static bool is_one_of(struct text t, const char *bytes)
{
	for (size_t i = 0; i < t.len; i++)
		if (strchr(bytes, t.ptr[i]) == NULL)
			return false;
	return t.len > 0;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* `[host]`, `[host]:port`, `host:port`, `host`, or a path: what a transport of Postfix goes by. */
static bool is_destination(struct text t)
{
	size_t open = text_find(t, '['), close = text_find(t, ']');

	if (!is_one_of(t, LETTERS "._-:/[]"))
		return false;
	if (open == t.len && close == t.len)
		return true;
	if (open != 0 || close == t.len || close == 1 || text_rfind(t, '[') != 0 ||
		text_rfind(t, ']') != close)
		return false;
	return close + 1 == t.len || (t.ptr[close + 1] == ':' && close + 2 < t.len);
}

static const char *check_filter(struct text t)
{
	size_t colon = text_find(t, ':');

	if (text_find(t, '%') < t.len)
		return "FILTER has a fixed destination: no % in it";
	if (!is_one_of(text_head(t, colon), LETTERS "._-") || colon == t.len ||
		!is_destination(text_tail(t, colon + 1)))
		return "FILTER needs transport:destination and nothing else, as in "
		       "FILTER smtp:[relay.example.net]:587";
	return NULL;
}

/* The actions that let the mail go on. */
static bool is_passing(struct text word)
{
	return text_equal(word, TEXT("FILTER")) || text_equal(word, TEXT("HOLD"));
}

static const char *split_passing(struct text template_text, struct parts *out)
{
	size_t word = text_find(template_text, ' ');
	size_t at = skip_blanks(template_text, word);

	out->has_code = false;
	out->head = text_head(template_text, at);
	out->text = text_tail(template_text, at);
	if (text_equal(text_head(template_text, word), TEXT("FILTER")))
		return check_filter(out->text);
	return at == template_text.len ? "needs a text behind HOLD" : check_text(out->text);
}

static const char *split_for(enum reason reason, struct text template_text, struct parts *out)
{
	struct text word = text_head(template_text, text_find(template_text, ' '));
	bool may_pass = reason == REASON_DOMAIN_UNVERIFIED;

	if (may_pass && !is_passing(word) && action_class(word) == 0)
		return "must begin with REJECT, DEFER, DEFER_IF_PERMIT, 4xx, 5xx, FILTER or HOLD";
	if (!is_passing(word))
		return split(template_text, out);
	return may_pass ? split_passing(template_text, out)
			: "FILTER and HOLD let the mail go, and only domain_unverified may";
}

const char *reply_template_check(enum reason reason, struct text template_text)
{
	struct parts parts;

	if (template_text.len > REPLY_TEMPLATE_MAX)
		return "longer than 300 bytes";
	for (size_t i = 0; i < template_text.len; i++)
		if (template_text.ptr[i] < ' ' || template_text.ptr[i] > '~')
			return "only printable ASCII is allowed";
	return split_for(reason, template_text, &parts);
}

/* The line under construction. */
struct line {
	char *out;
	size_t len;
};

static void put(struct line *line, struct text t, size_t most)
{
	size_t room = REPLY_LINE_MAX - line->len;
	size_t len = t.len < most ? t.len : most;

	if (len > room)
		len = room;
	for (size_t i = 0; i < len; i++) {
		char c = t.ptr[i];

		line->out[line->len++] = c < ' ' || c > '~' ? '?' : c;
	}
}

static struct text value_of(const struct reply_values *values, char letter)
{
	switch (letter) {
	case 'u':
		return values->login;
	case 's':
		return values->sender;
	case 'd':
		return values->domain;
	case 'i':
		return values->id;
	default:
		return TEXT("%");
	}
}

/* How many bytes a text takes besides login, sender and domain: those are cut first. */
static size_t fixed_length(struct text t, const struct reply_values *values)
{
	size_t len = 0;

	for (size_t i = 0; i < t.len; i++) {
		if (t.ptr[i] != '%') {
			len++;
			continue;
		}
		i++;
		if (t.ptr[i] == 'i')
			len += values->id.len;
		else if (t.ptr[i] == '%')
			len++;
	}
	return len;
}

static void put_value(
	struct line *line, char letter, struct text behind, const struct reply_values *values)
{
	struct text value = value_of(values, letter);
	size_t most = REPLY_LINE_MAX - line->len;
	size_t rest = 0;

	if (letter != 'i' && letter != '%')
		rest = fixed_length(behind, values);
	put(line, value, most > rest ? most - rest : 0);
}

static void put_text(struct line *line, struct text t, const struct reply_values *values)
{
	for (;;) {
		size_t literal = text_find(t, '%');

		put(line, text_head(t, literal), literal);
		if (literal == t.len)
			return;
		put_value(line, t.ptr[literal + 1], text_tail(t, literal + 2), values);
		t = text_tail(t, literal + 2);
	}
}

/* Whether Postfix would find no text in this, or take an enhanced code off it that no template had.
 */
static bool needs_dash(struct text t, bool has_code)
{
	size_t plain = 0;

	while (plain < t.len &&
		(is_digit(t.ptr[plain]) || t.ptr[plain] == '.' || t.ptr[plain] == ' '))
		plain++;
	return plain == t.len || (!has_code && enhanced_code(text_tail(t, skip_blanks(t, 0))) > 0);
}

static void put_dash(struct line *line, size_t at)
{
	size_t len = line->len - at;

	if (len > REPLY_LINE_MAX - at - 2)
		len = REPLY_LINE_MAX - at - 2;
	memmove(line->out + at + 2, line->out + at, len);
	memcpy(line->out + at, "- ", 2);
	line->len = at + 2 + len;
}

/* The template that counts for this verdict: one that would not do counts as not given. */
static const char *choose(const struct replies *replies, enum reason reason)
{
	const char *given = (unsigned)reason < REASON_COUNT_ ? replies->of_reason[reason] : NULL;
	const char *built_in = reply_default(reason);

	if (given != NULL && reply_template_check(reason, text_of(given)) == NULL)
		return given;
	return built_in != NULL ? built_in : TROUBLE;
}

static size_t dunno(char *out)
{
	memcpy(out, DUNNO_ANSWER, sizeof(DUNNO_ANSWER) - 1);
	return sizeof(DUNNO_ANSWER) - 1;
}

size_t reply_format(const struct replies *replies, const struct verdict *verdict,
	enum monitor_action monitor_action, const struct reply_values *values, char out[REPLY_MAX])
{
	struct line line = {out, 0};
	struct parts parts = {0};
	size_t text_at;

	if (verdict->action == ACTION_DUNNO ||
		(verdict->monitored && monitor_action == MONITOR_DUNNO))
		return dunno(out);
	/* Checked, or built in: it splits. */
	(void)split_for(verdict->reason, text_of(choose(replies, verdict->reason)), &parts);
	put(&line, verdict->monitored ? TEXT(WARN_PREFIX) : TEXT(PREFIX), REPLY_LINE_MAX);
	put(&line, parts.head, parts.head.len);
	text_at = line.len;
	put_text(&line, parts.text, values);
	if (needs_dash((struct text){out + text_at, line.len - text_at}, parts.has_code))
		put_dash(&line, text_at);
	memcpy(out + line.len, "\n\n", 2);
	return line.len + 2;
}

bool reply_takes_mail(struct text answer)
{
	struct text prefix = TEXT(PREFIX), word;

	if (answer.len < prefix.len || !text_equal(text_head(answer, prefix.len), prefix))
		return false;
	word = text_tail(answer, prefix.len);
	word = text_head(word, text_find(word, '\n'));
	word = text_head(word, text_find(word, ' '));
	return text_equal(word, TEXT("DUNNO")) || text_equal(word, TEXT("WARN")) ||
	       is_passing(word);
}

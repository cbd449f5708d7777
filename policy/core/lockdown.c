/*
 * Reads lockdown records and judges a login by them, see lockdown.h.
 *
 * Must not know where an answer came from or what becomes of the verdict. Cannot fail: a field that
 * cannot be understood matches nothing. Takes no memory; its time is linear in the bytes of the
 * answer and, for each `sidw`, of the login.
 *
 * No case means: ASCII letters are folded on both sides, every other byte stands for itself. A
 * login is folded and in NFC when it comes, so an identity with other letters has to be published
 * in that form.
 */
#include "policy/core/lockdown.h"

#include <assert.h>

#define IDENTITY_MAX (LOGIN_MAX + DOMAIN_MAX + 1)

static const char fault_no_equals[] = "no `=`: a field is NAME=VALUE, without blanks";
static const char fault_no_name[] = "nothing before the `=`: a field is NAME=VALUE, without blanks";
static const char fault_no_value[] = "nothing behind the `=`";
static const char fault_unknown[] = "unknown: the fields are auth=, senderid= and sidw=";
static const char fault_control[] = "a control byte";
static const char fault_comma[] = "a comma: fields are separated by blanks, with one value each";
static const char fault_semicolon[] = "a semicolon: fields are separated by blanks";
static const char fault_quote[] = "a quotation mark: values stand without any";
static const char fault_joined[] =
	"a second `=`: a blank is missing between two fields (several strings of one record are "
	"joined with nothing between)";
static const char fault_parts[] = "must be ACCOUNT|TYPE|IDENTITY, with none of them empty";
static const char fault_bar[] = "a third `|`: no login that holds one ever matches";
static const char fault_star[] = "`*` has a meaning in sidw= alone";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct text skip_blanks(struct text t)
{
	size_t i = 0;

	while (i < t.len && is_blank(t.ptr[i]))
		i++;
	return text_tail(t, i);
}

/* Takes the word up to the next blank off *rest. Empty: none is left. */
static struct text take_word(struct text *rest)
{
	struct text word = skip_blanks(*rest);
	size_t len = 0;

	while (len < word.len && !is_blank(word.ptr[len]))
		len++;
	*rest = text_tail(word, len);
	return text_head(word, len);
}

static bool is_version_word(struct text word)
{
	return word.len >= 2 && ascii_lower(word.ptr[0]) == 'v' && word.ptr[1] == '=';
}

/* No case. Published as configured, as nearly always, it is one comparison. */
static bool is_value(struct text t, struct text value)
{
	return text_equal(t, value) || text_equal_no_case(t, value);
}

/* Takes the version off *txt. The word need not be found to its end when it is another one. */
static bool take_version(struct text *txt, struct text version)
{
	struct text rest = skip_blanks(*txt);
	size_t len = 2 + version.len;

	if (!is_version_word(rest) || rest.len < len ||
		!is_value((struct text){rest.ptr + 2, version.len}, version))
		return false;
	*txt = text_tail(rest, len);
	return txt->len == 0 || is_blank(txt->ptr[0]);
}

bool lockdown_is_record(struct text txt, struct text version)
{
	return take_version(&txt, version);
}

static bool has_byte(struct text t, char c)
{
	return text_find(t, c) < t.len;
}

/* What separates fields elsewhere and is taken for a part of the value here. */
static const char *separator_fault(struct text value)
{
	if (has_byte(value, ','))
		return fault_comma;
	if (has_byte(value, ';'))
		return fault_semicolon;
	if (has_byte(value, '"'))
		return fault_quote;
	return has_byte(value, '=') ? fault_joined : NULL;
}

/* A login may hold any of these bytes, so only what looks like another field is a fault. */
static const char *identity_fault(struct text identity)
{
	char last = identity.ptr[identity.len - 1];

	if (has_byte(identity, '|'))
		return fault_bar;
	if (last == ',' || last == ';' || last == '"')
		return separator_fault(text_tail(identity, identity.len - 1));
	return has_byte(identity, '=') ? separator_fault(identity) : NULL;
}

static const char *parts_fault(const struct lockdown_field *field)
{
	const char *fault;

	if (field->account.len == 0 || field->type.len == 0 || field->identity.len == 0)
		return fault_parts;
	fault = separator_fault(field->account);
	if (!fault)
		fault = separator_fault(field->type);
	if (!fault)
		fault = identity_fault(field->identity);
	if (!fault && field->kind == FIELD_SENDERID && has_byte(field->identity, '*'))
		fault = fault_star;
	return fault;
}

/* ACCOUNT|TYPE|IDENTITY; what is missing stays NULL. Bars from the third on belong to the identity,
 * where they match no login. */
static void split_parts(struct lockdown_field *field)
{
	struct text rest = field->value;
	size_t bar = text_find(rest, '|');

	field->account = text_head(rest, bar);
	if (bar == rest.len)
		return;
	rest = text_tail(rest, bar + 1);
	bar = text_find(rest, '|');
	field->type = text_head(rest, bar);
	if (bar < rest.len)
		field->identity = text_tail(rest, bar + 1);
}

static enum lockdown_field_kind kind_of(const struct lockdown_field *field)
{
	if (field->value.len == 0)
		return FIELD_NO_VALUE;
	switch (field->name.len) {
	case 4:
		if (text_equal_lower(field->name, TEXT("auth")))
			return FIELD_AUTH;
		return text_equal_lower(field->name, TEXT("sidw")) ? FIELD_SIDW : FIELD_UNKNOWN;
	case 8:
		return text_equal_lower(field->name, TEXT("senderid")) ? FIELD_SENDERID
								       : FIELD_UNKNOWN;
	}
	return FIELD_UNKNOWN;
}

static const char *fault_of(const struct lockdown_field *field)
{
	switch (field->kind) {
	case FIELD_AUTH:
		return separator_fault(field->value);
	case FIELD_SENDERID:
	case FIELD_SIDW:
		return parts_fault(field);
	case FIELD_UNKNOWN:
		return field->name.len > 0 ? fault_unknown : fault_no_name;
	case FIELD_NO_VALUE:
		return field->value.ptr ? fault_no_value : fault_no_equals;
	}
	return NULL;
}

/* The next field, which is `word`, without its fault: who matches does not need that. */
static bool next_field(struct text *rest, struct lockdown_field *field, struct text *word)
{
	size_t equals;

	do
		*word = take_word(rest);
	while (is_version_word(*word));
	if (word->len == 0)
		return false;
	*field = (struct lockdown_field){0};
	equals = text_find(*word, '=');
	field->name = text_head(*word, equals);
	if (equals < word->len)
		field->value = text_tail(*word, equals + 1);
	field->kind = kind_of(field);
	if (field->kind == FIELD_SENDERID || field->kind == FIELD_SIDW)
		split_parts(field);
	return true;
}

bool lockdown_next_field(struct text *rest, struct lockdown_field *field)
{
	struct text word;

	if (!next_field(rest, field, &word))
		return false;
	field->fault = text_has_control(word) ? fault_control : fault_of(field);
	return true;
}

/* Where a `*` that begins at `from` has to end at the latest. */
static size_t run_end(struct text identity, size_t from)
{
	while (from < identity.len && identity.ptr[from] != '@' && identity.ptr[from] != '|')
		from++;
	return from;
}

static bool begins_with(struct text t, struct text head)
{
	return t.len >= head.len && text_equal(text_head(t, head.len), head);
}

/* Both folded; identity is not empty. Each piece between two `*` is taken at its first place: a
 * later one leaves less for the pieces that follow. */
static bool glob_identity(struct text pattern, struct text identity)
{
	struct text piece = text_head(pattern, text_find(pattern, '*'));
	size_t at = piece.len;
	size_t end;

	if (piece.len == pattern.len)
		return text_equal(pattern, identity);
	if (!begins_with(identity, piece))
		return false;
	end = run_end(identity, at);
	for (;;) {
		const char *hit;
		size_t reach;

		pattern = text_tail(pattern, piece.len + 1);
		piece = text_head(pattern, text_find(pattern, '*'));
		if (piece.len == pattern.len)
			break;
		reach = piece.len < identity.len - end ? end + piece.len : identity.len;
		hit = memmem(identity.ptr + at, reach - at, piece.ptr, piece.len);
		if (!hit)
			return false;
		at = (size_t)(hit - identity.ptr) + piece.len;
		if (at > end)
			end = run_end(identity, at);
	}
	return identity.len - at >= piece.len && identity.len - piece.len <= end &&
	       text_equal(piece, text_tail(identity, identity.len - piece.len));
}

static struct text fold_ascii(struct text t, char *out)
{
	for (size_t i = 0; i < t.len; i++)
		out[i] = ascii_lower(t.ptr[i]);
	return (struct text){out, t.len};
}

/* identity is folded. */
static bool pattern_matches_folded(struct text pattern, struct text identity)
{
	char folded[DNS_TEXT_MAX];

	if (identity.len == 0 || pattern.len == 0 || pattern.len > sizeof(folded))
		return false;
	return glob_identity(fold_ascii(pattern, folded), identity);
}

bool lockdown_pattern_matches(struct text pattern, struct text identity)
{
	char folded[IDENTITY_MAX];

	if (identity.len > sizeof(folded))
		return false;
	return pattern_matches_folded(pattern, fold_ascii(identity, folded));
}

static bool is_one_of(struct text id, const struct text *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (id.len > 0 && is_value(id, ids[i]))
			return true;
	return false;
}

static bool is_identity(const struct lockdown_field *field, struct text login)
{
	if (login.len == 0)
		return false;
	if (field->kind == FIELD_SENDERID)
		return text_equal_no_case(field->identity, login);
	return pattern_matches_folded(field->identity, login);
}

static bool field_matches(const struct lockdown_settings *settings,
	const struct lockdown_field *field, const struct login *login)
{
	switch (field->kind) {
	case FIELD_AUTH:
		return is_one_of(field->value, settings->accounts, settings->account_count);
	case FIELD_SENDERID:
	case FIELD_SIDW:
		return is_one_of(field->account, settings->accounts, settings->account_count) &&
		       is_one_of(field->type, settings->types, settings->type_count) &&
		       (is_identity(field, login->full) || is_identity(field, login->bare));
	case FIELD_UNKNOWN:
	case FIELD_NO_VALUE:
		return false;
	}
	return false;
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Whether any byte of the word is below `limit` (at most 128). */
static uint64_t any_below(uint64_t word, unsigned limit)
{
	return (word - EACH_BYTE(limit)) & ~word & EACH_BYTE(0x80);
}

static uint64_t any_unspeakable(uint64_t word)
{
	return any_below(word, ' ' + 1) | any_below(word ^ EACH_BYTE('|'), 1) |
	       any_below(word ^ EACH_BYTE(0x7f), 1);
}

/* Such a login could pass for a part of a record that it is not. Eight bytes at a time: it is
 * looked at for every record. */
static bool is_unspeakable(struct text login)
{
	uint64_t word, found = login.len == 0;

	for (; login.len >= sizeof(word); login = text_tail(login, sizeof(word))) {
		memcpy(&word, login.ptr, sizeof(word));
		found |= any_unspeakable(word);
	}
	word = EACH_BYTE('a');
	for (size_t i = 0; i < login.len; i++)
		word = word << 8 | (uint8_t)login.ptr[i];
	return (found | any_unspeakable(word)) != 0;
}

/* The fields of one record, until one may grant. False: the rest of the answer no longer counts. */
static bool judge_record(const struct lockdown_settings *settings, struct text record,
	const struct login *login, size_t *fields_left, struct lockdown_verdict *verdict)
{
	struct lockdown_field field;
	struct text word;

	while (next_field(&record, &field, &word)) {
		if ((*fields_left)-- == 0)
			return false;
		if (!field_matches(settings, &field, login))
			continue;
		if (field.kind == FIELD_AUTH && verdict->word == LOCKDOWN_PASSES)
			continue;
		verdict->word = LOCKDOWN_PASSES;
		verdict->field = field;
		verdict->is_grant = field.kind != FIELD_AUTH;
		if (verdict->is_grant)
			return false;
	}
	return true;
}

void lockdown_judge(const struct lockdown_settings *settings, const struct dns_answer *answer,
	const struct login *login, struct lockdown_verdict *verdict)
{
	bool matches_nothing = is_unspeakable(login->full);
	size_t fields_left = LOCKDOWN_FIELDS_MAX;

	assert(answer->status != LOOKUP_FAILED);
	*verdict = (struct lockdown_verdict){.word = LOCKDOWN_NO_RECORD};
	for (size_t i = 0; i < answer->count; i++) {
		struct text record = answer->txt[i];

		if (!take_version(&record, settings->version))
			continue;
		if (verdict->word == LOCKDOWN_NO_RECORD)
			verdict->word = LOCKDOWN_REFUSES;
		if (matches_nothing ||
			!judge_record(settings, record, login, &fields_left, verdict))
			return;
	}
}

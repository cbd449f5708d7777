/*
 * See record.h.
 */
#include "policyctl/record.h"

static bool begins_with(struct text t, struct text head)
{
	return t.len >= head.len && text_equal_no_case(text_head(t, head.len), head);
}

static bool holds(struct text t, const char *word)
{
	for (size_t i = 0; i < t.len; i++)
		if (begins_with(text_tail(t, i), text_of(word)))
			return true;
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct text take_word(struct text *rest)
{
	size_t from = 0, end;

	while (from < rest->len && is_blank(rest->ptr[from]))
		from++;
	for (end = from; end < rest->len && !is_blank(rest->ptr[end]);)
		end++;
	*rest = (struct text){rest->ptr ? rest->ptr + end : NULL, rest->len - end};
	return (struct text){rest->ptr ? rest->ptr - (end - from) : NULL, end - from};
}

/* One byte more, less, another, or two swapped. */
static bool is_one_slip(struct text a, struct text b)
{
	size_t head = 0, tail = 0, shorter = a.len < b.len ? a.len : b.len;

	while (head < shorter && ascii_lower(a.ptr[head]) == ascii_lower(b.ptr[head]))
		head++;
	while (tail < shorter - head &&
		ascii_lower(a.ptr[a.len - 1 - tail]) == ascii_lower(b.ptr[b.len - 1 - tail]))
		tail++;
	a = text_head(text_tail(a, head), a.len - head - tail);
	b = text_head(text_tail(b, head), b.len - head - tail);
	if (a.len <= 1 && b.len <= 1)
		return true;
	return a.len == 2 && b.len == 2 && ascii_lower(a.ptr[0]) == ascii_lower(b.ptr[1]) &&
	       ascii_lower(a.ptr[1]) == ascii_lower(b.ptr[0]);
}

static bool is_version_word(struct text word)
{
	return begins_with(word, TEXT("v="));
}

/* The first word v=... behind the first one; empty where there is none. */
static struct text later_version(struct text txt, struct text except)
{
	struct text word;

	(void)take_word(&txt);
	while ((word = take_word(&txt)).len > 0)
		if (is_version_word(word) && !text_equal_no_case(text_tail(word, 2), except))
			return word;
	return TEXT("");
}

static bool holds_version(struct text txt, struct text version)
{
	struct text word;

	while ((word = take_word(&txt)).len > 0)
		if (is_version_word(word) && text_equal_no_case(text_tail(word, 2), version))
			return true;
	return false;
}

static void look_at_ours(struct text version, struct text txt, struct record_look *out)
{
	struct text other = later_version(txt, version);

	if (other.len > 0)
		snprintf(out->note, sizeof(out->note),
			"%.*s stands inside: the fields behind it count as fields of this record; "
			"records of two providers want a TXT record each",
			TEXT_ARG(other));
}

/* It begins with another v= token than ours. */
static void look_at_version(
	struct text version, struct text typed, bool has_fields, struct record_look *out)
{
	if (begins_with(typed, version) && typed.len > version.len) {
		out->kind = RECORD_FAULTY;
		snprintf(out->note, sizeof(out->note),
			"a blank is missing behind v=%.*s: it does not count", TEXT_ARG(version));
	} else if (has_fields || is_one_slip(typed, version)) {
		out->kind = is_one_slip(typed, version) ? RECORD_FAULTY : RECORD_OTHER;
		snprintf(out->note, sizeof(out->note),
			"v=%.*s is not v=%.*s (another provider's%s): nothing in it counts here",
			TEXT_ARG(typed), TEXT_ARG(version),
			out->kind == RECORD_FAULTY ? ", or a slip" : "");
	}
}

void record_look(const struct lockdown_settings *lockdown, struct text txt, struct record_look *out)
{
	struct text rest = txt, word = take_word(&rest), version = lockdown->version;
	bool has_fields = holds(txt, "auth=") || holds(txt, "senderid=") || holds(txt, "sidw=");

	*out = (struct record_look){.kind = RECORD_OTHER};
	if (lockdown_is_record(txt, version)) {
		out->kind = RECORD_COUNTS;
		look_at_ours(version, txt, out);
	} else if (is_version_word(word) && !holds_version(rest, version)) {
		look_at_version(version, text_tail(word, 2), has_fields, out);
	} else if (has_fields || holds_version(txt, version)) {
		out->kind = RECORD_FAULTY;
		snprintf(out->note, sizeof(out->note),
			word.len > 0 && word.ptr[0] == '"'
				? "it begins with a quotation mark that is published, too, and not "
				  "with v=%.*s: it does not count"
				: "it does not begin with v=%.*s: it does not count",
			TEXT_ARG(version));
	}
}

const char *record_kind_name(enum record_kind kind)
{
	switch (kind) {
	case RECORD_COUNTS:
		return "counts";
	case RECORD_FAULTY:
		return "faulty";
	case RECORD_OTHER:
		break;
	}
	return "other";
}

static bool is_one_of(struct text id, const struct text *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (text_equal_no_case(id, ids[i]))
			return true;
	return false;
}

/* The form in which a login is compared, as far as it can be told of a pattern. */
static size_t canonical(const struct unicode_ops *ops, struct text identity, char *out, size_t cap)
{
	struct text local, domain, form;
	char domain_bytes[DOMAIN_MAX];
	size_t len;

	address_split(identity, &local, &domain);
	len = text_fold(ops, local, true, out, cap);
	if (!domain.ptr || len == 0 || len + 1 + DOMAIN_MAX > cap)
		return domain.ptr ? 0 : len;
	out[len++] = '@';
	if (!address_domain(ops, domain, domain_bytes, &form))
		return 0;
	memcpy(out + len, form.ptr, form.len);
	return len + form.len;
}

/* NULL, or why no login is ever like that. ASCII matches as it is; a `*` has no other form. */
static bool never_matches(const struct ctl *ctl, struct field_look *out)
{
	const struct lockdown_field *field = &out->field;
	char form[DNS_TEXT_MAX + DOMAIN_MAX + 2];
	size_t len;

	if (text_find(field->identity, '|') < field->identity.len ||
		text_has_control(field->identity)) {
		snprintf(out->note, sizeof(out->note),
			"no login that holds `|` or a control byte ever matches");
		return true;
	}
	if (text_is_ascii(field->identity))
		return false;
	len = canonical(ctl->config->settings.unicode, field->identity, form, sizeof(form));
	if (len > 0 && text_equal_no_case(field->identity, (struct text){form, len}))
		return false;
	snprintf(out->note, sizeof(out->note),
		"never matches: logins are compared in lower case, NFC, with the domain as an "
		"A-label%s%.*s",
		len > 0 ? "; publish " : "", (int)len, form);
	return true;
}

static void look_at_parts(const struct ctl *ctl, struct field_look *out)
{
	const struct lockdown_settings *lockdown = &ctl->config->lockdown;
	const struct lockdown_field *field = &out->field;

	if (field->account.len == 0 || field->type.len == 0 || field->identity.len == 0)
		return;
	out->names_us = is_one_of(field->account, lockdown->accounts, lockdown->account_count);
	if (!out->names_us) {
		snprintf(out->note, sizeof(out->note), "%.*s is no account of ours",
			TEXT_ARG(field->account));
	} else if (!is_one_of(field->type, lockdown->types, lockdown->type_count)) {
		snprintf(out->note, sizeof(out->note),
			"never matches: %.*s is not a sender_id_type of [lockdown]",
			TEXT_ARG(field->type));
	} else if (!never_matches(ctl, out)) {
		out->may_match = true;
		snprintf(out->note, sizeof(out->note), "%s %.*s",
			field->kind == FIELD_SIDW ? "our logins like" : "our login",
			TEXT_ARG(field->identity));
	}
}

static bool judge_alone(
	const struct ctl *ctl, const struct login *login, const struct field_look *look)
{
	const struct lockdown_settings *lockdown = &ctl->config->lockdown;
	const struct lockdown_field *field = &look->field;
	char text[DNS_TEXT_MAX + 256];
	struct lockdown_verdict verdict;
	struct dns_answer answer;
	int len = snprintf(text, sizeof(text), "v=%.*s %.*s=%.*s", TEXT_ARG(lockdown->version),
		TEXT_ARG(field->name), TEXT_ARG(field->value));

	if (len < 0 || (size_t)len >= sizeof(text))
		return false;
	dns_answer_clear(&answer, DNS_FAILURE_NONE);
	answer.status = LOOKUP_FOUND;
	answer.count = 1;
	answer.txt[0] = (struct text){text, (size_t)len};
	lockdown_judge(lockdown, &answer, login, &verdict);
	return verdict.word == LOCKDOWN_PASSES;
}

void field_look(const struct ctl *ctl, const struct login *login, struct field_look *out)
{
	const struct lockdown_settings *lockdown = &ctl->config->lockdown;
	const struct lockdown_field *field = &out->field;

	switch (field->kind) {
	case FIELD_AUTH:
		out->names_us = out->may_match =
			is_one_of(field->value, lockdown->accounts, lockdown->account_count);
		if (out->names_us)
			snprintf(out->note, sizeof(out->note),
				"every login of ours that the table allows");
		else
			snprintf(out->note, sizeof(out->note), "%.*s is no account of ours",
				TEXT_ARG(field->value));
		break;
	case FIELD_SENDERID:
	case FIELD_SIDW:
		look_at_parts(ctl, out);
		break;
	case FIELD_UNKNOWN:
	case FIELD_NO_VALUE:
		break;
	}
	out->matches = login && out->may_match && judge_alone(ctl, login, out);
}

/* A TXT record's text as a zone file wants it: strings of at most 255 bytes. */
static void write_strings(FILE *out, struct text text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (i % 255 == 0)
			fputs(i == 0 ? "\"" : "\" \"", out);
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(out, "\\%03u", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

static bool can_stand_in_a_record(struct text login)
{
	return login.len > 0 && login.len <= 1024 && text_find(login, '|') == login.len &&
	       text_find(login, ' ') == login.len && !text_has_control(login);
}

bool record_write_zone_line(
	FILE *out, const struct ctl *ctl, struct text name, const struct login *login)
{
	const struct lockdown_settings *lockdown = &ctl->config->lockdown;
	char text[DNS_TEXT_MAX];
	size_t len, cap = sizeof(text);

	if (lockdown->account_count == 0 || (login && !can_stand_in_a_record(login->full)))
		return false;
	len = (size_t)snprintf(text, cap, "v=%.*s", TEXT_ARG(lockdown->version));
	if (login)
		len += (size_t)snprintf(text + len, cap - len, " senderid=%.*s|%.*s|%.*s",
			TEXT_ARG(lockdown->accounts[0]), TEXT_ARG(lockdown->types[0]),
			TEXT_ARG(login->full));
	for (size_t i = 0; !login && i < lockdown->account_count; i++)
		if (len + sizeof(" auth=") + lockdown->accounts[i].len < cap)
			len += (size_t)snprintf(text + len, cap - len, " auth=%.*s",
				TEXT_ARG(lockdown->accounts[i]));
	fprintf(out, "%.*s. IN TXT ", TEXT_ARG(name));
	write_strings(out, (struct text){text, len});
	return true;
}

/*
 * The values of policyd.ini: text in, a checked field of struct config out.
 *
 * Knows neither files nor lines nor which options exist: the row says where the field is and what
 * it may be. A value that cannot be is ERR_INVALID with the reason and what is allowed in
 * reader->why; nothing is stored then.
 */
#include "policy/data/unicode.h"
#include "policy/engine/config_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES_MAX 1024
#define ACCOUNT_MAX    255
#define DELIMITERS_MAX 32

_Static_assert(
	sizeof(enum semantics) == sizeof(unsigned) && sizeof(enum log_level) == sizeof(unsigned),
	"value_choice stores an enum as an unsigned");

enum err value_refuse(struct value_reader *reader, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reader->why, sizeof(reader->why), format, args);
	va_end(args);
	return ERR_INVALID;
}

void *value_field(const struct value_reader *reader)
{
	return (char *)reader->config + reader->option->offset;
}

enum err value_keep_string(struct value_reader *reader, struct text value)
{
	char *copy = config_keep(reader->config, value.ptr, value.len);
	if (!copy)
		return ERR_NOMEM;
	memcpy(value_field(reader), &copy, sizeof(copy));
	return ERR_OK;
}

enum err value_keep_text(struct value_reader *reader, struct text kept)
{
	char *copy = config_keep(reader->config, kept.ptr, kept.len);
	if (!copy)
		return ERR_NOMEM;
	*(struct text *)value_field(reader) = (struct text){copy, kept.len};
	return ERR_OK;
}

const char *config_excerpt(struct text value, char out[CONFIG_EXCERPT_SIZE])
{
	bool is_cut = value.len > CONFIG_VALUE_CUT;
	size_t len = log_escape(
		is_cut ? text_head(value, CONFIG_VALUE_CUT) : value, out, CONFIG_EXCERPT_SIZE - 3);
	if (is_cut)
		memcpy(out + len, "...", 4);
	return out;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct text text_trim(struct text t)
{
	while (t.len && is_blank(t.ptr[0]))
		t = text_tail(t, 1);
	while (t.len && is_blank(t.ptr[t.len - 1]))
		t.len--;
	return t;
}

bool value_has_blank(struct text t)
{
	return text_find(t, ' ') < t.len || text_find(t, '\t') < t.len;
}

bool value_equal_nocase(struct text a, const char *b)
{
	size_t i = 0;
	while (i < a.len && b[i] && ascii_lower(a.ptr[i]) == ascii_lower(b[i]))
		i++;
	return i == a.len && !b[i];
}

static enum err refuse_choice(struct value_reader *reader, struct text value)
{
	char names[256] = "";
	struct nearest nearest = {.typed = value};
	for (const char *const *name = reader->option->choices; *name; name++) {
		size_t len = strlen(names);
		snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", *name);
		nearest_try(&nearest, *name);
	}
	if (nearest.best)
		return value_refuse(
			reader, "is not one of %s (did you mean %s?)", names, nearest.best);
	return value_refuse(reader, "is not one of %s", names);
}

static bool choice_index(const struct option *option, struct text value, unsigned *index)
{
	for (*index = 0; option->choices[*index]; ++*index)
		if (value_equal_nocase(value, option->choices[*index]))
			return true;
	return false;
}

enum err value_choice(struct value_reader *reader, struct text value)
{
	unsigned index;
	if (!choice_index(reader->option, value, &index))
		return refuse_choice(reader, value);
	memcpy(value_field(reader), &index, sizeof(index));
	return ERR_OK;
}

enum err value_switch(struct value_reader *reader, struct text value)
{
	unsigned index;
	if (!choice_index(reader->option, value, &index))
		return refuse_choice(reader, value);
	*(bool *)value_field(reader) = index != 0;
	return ERR_OK;
}

bool value_digits(struct text value, unsigned base, unsigned max, unsigned *out)
{
	uint64_t number = 0;
	for (size_t i = 0; i < value.len; i++) {
		unsigned digit = (unsigned)(unsigned char)value.ptr[i] - '0';
		if (digit >= base)
			return false;
		number = number * base + digit;
		if (number > max)
			return false;
	}
	*out = (unsigned)number;
	return value.len > 0;
}

static bool number_read(struct value_reader *reader, struct text value)
{
	unsigned number;
	if (!value_digits(value, 10, reader->option->max, &number) || number < reader->option->min)
		return false;
	*(unsigned *)value_field(reader) = number;
	return true;
}

enum err value_number(struct value_reader *reader, struct text value)
{
	const struct option *option = reader->option;
	if (!number_read(reader, value))
		return value_refuse(reader, "is not a number from %u to %u%s%s", option->min,
			option->max, option->hint ? ": " : "", option->hint ? option->hint : "");
	return ERR_OK;
}

enum err value_workers(struct value_reader *reader, struct text value)
{
	const struct option *option = reader->option;
	if (number_read(reader, value))
		return ERR_OK;
	if (!value_equal_nocase(value, "auto"))
		return value_refuse(reader, "is neither auto nor a number from %u to %u",
			option->min, option->max);
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned workers = online < (long)option->min ? option->min : option->max;
	if (online >= (long)option->min && online < (long)option->max)
		workers = (unsigned)online;
	*(unsigned *)value_field(reader) = workers;
	return ERR_OK;
}

enum err value_mode(struct value_reader *reader, struct text value)
{
	unsigned mode;
	if (!value_digits(value, 8, 07777, &mode) || (mode & ~0666U) || !(mode & 0222U))
		return value_refuse(reader,
			"is not a mode of a socket: octal, from the bits of 0666, at least one of "
			"them for writing (0660 lets user and group connect)");
	*(unsigned *)value_field(reader) = mode;
	return ERR_OK;
}

enum err value_account(struct value_reader *reader, struct text value)
{
	bool is_bad = value.len > ACCOUNT_MAX || value_has_blank(value) || text_has_control(value);
	if (is_bad || text_find(value, ':') < value.len || text_find(value, '/') < value.len)
		return value_refuse(reader, "is not the name of a user or group");
	return value_keep_string(reader, value);
}

enum err value_path(struct value_reader *reader, struct text value)
{
	if (value.len == 0 || value.ptr[0] != '/' || value.len > PATH_BYTES_MAX)
		return value_refuse(
			reader, "is not an absolute path of at most %d bytes", PATH_BYTES_MAX);
	return value_keep_string(reader, value);
}

/* Takes the next word of a list split at commas and blanks; false: there is none. */
static bool list_next(struct text *rest, struct text *word)
{
	size_t start = 0;
	while (start < rest->len && (is_blank(rest->ptr[start]) || rest->ptr[start] == ','))
		start++;
	size_t end = start;
	while (end < rest->len && !is_blank(rest->ptr[end]) && rest->ptr[end] != ',')
		end++;
	*word = text_head(text_tail(*rest, start), end - start);
	*rest = text_tail(*rest, end);
	return word->len > 0;
}

static enum protocol_state state_of(struct text word)
{
	for (unsigned state = 0; state < STATE_COUNT_; state++)
		if (value_equal_nocase(word, protocol_state_name((enum protocol_state)state)))
			return (enum protocol_state)state;
	return STATE_COUNT_;
}

static enum err refuse_state(struct value_reader *reader, struct text word)
{
	char names[256] = "", shown[CONFIG_EXCERPT_SIZE];
	struct nearest nearest = {.typed = word};
	for (unsigned state = 0; state < STATE_COUNT_; state++) {
		size_t len = strlen(names);
		const char *name = protocol_state_name((enum protocol_state)state);
		snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", name);
		nearest_try(&nearest, name);
	}
	config_excerpt(word, shown);
	if (nearest.best)
		return value_refuse(reader,
			"names \"%s\", which is not one of %s (did you mean %s?)", shown, names,
			nearest.best);
	return value_refuse(reader, "names \"%s\", which is not one of %s", shown, names);
}

enum err value_states(struct value_reader *reader, struct text value)
{
	unsigned states = 0;
	struct text word;
	while (list_next(&value, &word)) {
		enum protocol_state state = state_of(word);
		if (state == STATE_COUNT_)
			return refuse_state(reader, word);
		states |= 1U << state;
	}
	if (!states)
		return value_refuse(reader, "names no state: policyd would judge nothing");
	*(unsigned *)value_field(reader) = states;
	return ERR_OK;
}

/* The delimiters are bytes, so a character of several bytes would split an address inside a letter.
 */
enum err value_delimiter(struct value_reader *reader, struct text value)
{
	bool is_bad = value.len > DELIMITERS_MAX || !text_is_ascii(value);
	if (is_bad || value_has_blank(value) || text_has_control(value) ||
		text_find(value, '@') < value.len)
		return value_refuse(reader,
			"is not a set of at most %d ASCII characters without @, blanks and "
			"control characters",
			DELIMITERS_MAX);
	return value_keep_text(reader, value);
}

enum err value_domain(struct value_reader *reader, struct text value)
{
	char bytes[DOMAIN_MAX];
	struct text domain = {bytes, 0};
	if (value.len == 0)
		return value_keep_text(reader, value);
	if (value.ptr[0] == '[' || !address_domain(&unicode_ops, value, bytes, &domain))
		return value_refuse(
			reader, "is not a domain (write it without @ and without brackets)");
	return value_keep_text(reader, domain);
}

static enum err local_domain_add(struct value_reader *reader, struct text word)
{
	struct config *config = reader->config;
	size_t *count = &config->settings.local_domain_count;
	char bytes[DOMAIN_MAX], shown[CONFIG_EXCERPT_SIZE];
	struct text domain;
	if (!address_domain(&unicode_ops, word, bytes, &domain))
		return value_refuse(reader,
			"names \"%s\", which is not a domain or address literal",
			config_excerpt(word, shown));
	if (*count == CONFIG_LOCAL_DOMAINS_MAX)
		return value_refuse(reader, "makes more than %d domains", CONFIG_LOCAL_DOMAINS_MAX);
	char *copy = config_keep(config, domain.ptr, domain.len);
	if (!copy)
		return ERR_NOMEM;
	config->own->local_domains[(*count)++] = (struct text){copy, domain.len};
	return ERR_OK;
}

enum err value_domains(struct value_reader *reader, struct text value)
{
	struct text word;
	if (reader->replace)
		reader->config->settings.local_domain_count = 0;
	reader->config->settings.local_domains = reader->config->own->local_domains;
	while (list_next(&value, &word)) {
		enum err err = local_domain_add(reader, word);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* Which reason's answer an option is: its place among them. */
static enum reason reason_of(const struct option *option)
{
	return (enum reason)((option->offset - offsetof(struct config, replies.of_reason)) /
			     sizeof(const char *));
}

enum err value_reply(struct value_reader *reader, struct text value)
{
	if (value.len == 0) {
		*(const char **)value_field(reader) = NULL;
		return ERR_OK;
	}
	const char *fault = reply_template_check(reason_of(reader->option), value);
	if (fault)
		return value_refuse(reader, "cannot be an answer: %s", fault);
	return value_keep_string(reader, value);
}

/*
 * Reading a list of tenants or accounts, see lines.h. Must not know what it is compared with.
 * Everything wrong is told with its line, up to LINES_SHOWN_MAX; a list with one bad line is no
 * list.
 */
#include "policyctl/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORDS_MAX = 3, READ_FIRST = 65536 };

struct lines_reader {
	struct lines *lines;
	const struct ctl *ctl;
	enum registry_list list;
	size_t line;
	bool failed;        /* out of memory */
	struct login login; /* scratch */
};

static void tell(struct lines_reader *reader, size_t line, struct text value, const char *reason)
{
	struct lines *lines = reader->lines;
	char name[OUTPUT_SHORT], escaped[OUTPUT_SHORT];
	struct line_fault *fault;

	if (lines->fault_count++ >= LINES_SHOWN_MAX)
		return;
	fault = &lines->faults[lines->fault_count - 1];
	*fault = (struct line_fault){
		line, arena_copy(&lines->arena, value), arena_copy(&lines->arena, text_of(reason))};
	reader->failed = reader->failed || !fault->value.ptr || !fault->reason.ptr;
	fprintf(stderr, "%s:%zu: \"%s\": %s\n",
		output_escape(text_of(reader->ctl->input_name), name, sizeof(name)), line,
		output_escape(value, escaped, sizeof(escaped)), reason);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word of a line, taken off it; empty at its end or where a comment begins. */
static struct text word_take(struct text *line)
{
	struct text word;
	size_t len = 0;

	while (line->len > 0 && is_blank(line->ptr[0]))
		*line = text_tail(*line, 1);
	if (line->len > 0 && line->ptr[0] == '#')
		*line = text_head(*line, 0);
	while (len < line->len && !is_blank(line->ptr[len]))
		len++;
	word = text_head(*line, len);
	*line = text_tail(*line, len);
	return word;
}

/* "@domain"; the key is a copy in the arena. */
static bool key_of_domain(struct lines_reader *reader, struct text typed, struct text *key)
{
	const struct settings *settings = &reader->ctl->config->settings;
	char bytes[DOMAIN_MAX + 1] = "@";
	struct text domain;

	if (!address_domain(settings->unicode, text_tail(typed, 1), bytes + 1, &domain)) {
		tell(reader, reader->line, typed, "what stands behind the @ is not a domain");
		return false;
	}
	memmove(bytes + 1, domain.ptr, domain.len);
	*key = arena_copy(&reader->lines->arena, (struct text){bytes, domain.len + 1});
	return true;
}

static bool key_of_login(struct lines_reader *reader, struct text typed, struct text *key)
{
	const struct settings *settings = &reader->ctl->config->settings;

	if (!address_login(settings->unicode, typed, settings->login_realm, &reader->login)) {
		tell(reader, reader->line, typed,
			"this is no login name: it is over-long, or holds control bytes or invalid "
			"UTF-8");
		return false;
	}
	*key = arena_copy(&reader->lines->arena, reader->login.full);
	return true;
}

static bool key_of(struct lines_reader *reader, struct text typed, struct text *key)
{
	if (strchr(":,;=", typed.ptr[typed.len - 1])) {
		tell(reader, reader->line, typed,
			reader->list == REGISTRY_TENANTS
				? "ends in punctuation; write the login, a blank and the tenant"
				: "ends in punctuation; write one login a line");
		return false;
	}
	if (typed.ptr[0] != '@')
		return key_of_login(reader, typed, key);
	if (reader->list == REGISTRY_TENANTS)
		return key_of_domain(reader, typed, key);
	tell(reader, reader->line, typed, "is a domain; a list of accounts holds logins");
	return false;
}

static void line_keep(struct lines_reader *reader, struct text key, struct text value)
{
	struct lines *lines = reader->lines;

	if (!key.ptr || !array_reserve((void **)&lines->lines, lines->count, &lines->cap,
				sizeof(*lines->lines)))
		reader->failed = true;
	else
		lines->lines[lines->count++] = (struct registry_line){key, value, reader->line};
}

/* What is wrong with the number of words; NULL where it is right. */
static const char *words_fault(const struct lines_reader *reader, const struct text *words)
{
	if (reader->list == REGISTRY_ACCOUNTS)
		return words[1].len ? "more than one word; write one login a line" : NULL;
	if (!words[1].len)
		return "no tenant behind it; write LOGIN TENANT or @DOMAIN TENANT";
	return words[2].len ? "more than two words; write LOGIN TENANT or @DOMAIN TENANT" : NULL;
}

static void line_read(struct lines_reader *reader, struct text line)
{
	struct text words[WORDS_MAX], whole = line, key = {0};
	const char *fault;

	for (size_t i = 0; i < WORDS_MAX; i++)
		words[i] = word_take(&line);
	if (words[0].len == 0)
		return;
	fault = words_fault(reader, words);
	if (fault)
		tell(reader, reader->line, whole, fault);
	else if (words[1].len && !tenant_is_valid(words[1]))
		tell(reader, reader->line, words[1],
			"cannot be the name of a tenant: 1 to 64 letters, digits and - _ . @ + are "
			"allowed");
	else if (key_of(reader, words[0], &key))
		line_keep(reader, key, words[1]);
}

static void lines_split(struct lines_reader *reader)
{
	struct text rest = {reader->lines->bytes, reader->lines->len};

	if (rest.len >= 3 && memcmp(rest.ptr, "\xef\xbb\xbf", 3) == 0)
		rest = text_tail(rest, 3);
	while (rest.len > 0 && !reader->failed) {
		size_t len = text_find(rest, '\n');
		struct text line = text_head(rest, len);

		rest = text_tail(rest, len < rest.len ? len + 1 : len);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		reader->line++;
		line_read(reader, line);
	}
}

static int line_compare(const void *a, const void *b)
{
	const struct registry_line *one = a, *other = b;
	size_t len = one->key.len < other->key.len ? one->key.len : other->key.len;
	int order = memcmp(one->key.ptr, other->key.ptr, len);

	if (order != 0)
		return order;
	if (one->key.len != other->key.len)
		return one->key.len < other->key.len ? -1 : 1;
	return one->line < other->line ? -1 : one->line > other->line;
}

/* One line a key; twice with the same tenant is once. */
static void lines_merge(struct lines_reader *reader)
{
	struct lines *lines = reader->lines;
	size_t kept = 0;

	if (lines->count > 0)
		qsort(lines->lines, lines->count, sizeof(*lines->lines), line_compare);
	for (size_t i = 0; i < lines->count; i++) {
		const struct registry_line *line = &lines->lines[i], *before = line;
		char reason[LINES_REASON_MAX];

		if (kept > 0)
			before = &lines->lines[kept - 1];
		if (before == line || !text_equal(before->key, line->key)) {
			lines->lines[kept++] = *line;
			continue;
		}
		if (text_equal(before->value, line->value))
			continue;
		snprintf(reason, sizeof(reason), "tenant %.*s here, but %.*s in line %zu",
			TEXT_ARG(line->value), TEXT_ARG(before->value), before->line);
		tell(reader, line->line, line->key, reason);
	}
	lines->count = kept;
}

static bool room_make(struct lines *lines, size_t *cap)
{
	size_t new = *cap ? 2 * *cap : READ_FIRST;
	char *bytes;

	if (lines->len < *cap)
		return true;
	bytes = realloc(lines->bytes, new);
	if (!bytes)
		return false;
	lines->bytes = bytes;
	*cap = new;
	return true;
}

static bool file_read(struct lines *lines, const struct ctl *ctl)
{
	char name[OUTPUT_SHORT];
	size_t cap = 0;
	ssize_t n = 1;

	output_escape(text_of(ctl->input_name), name, sizeof(name));
	while (n != 0) {
		if (lines->len > LINES_FILE_MAX || !room_make(lines, &cap)) {
			complain("%s does not fit into memory", name);
			return false;
		}
		n = read(ctl->input, lines->bytes + lines->len, cap - lines->len);
		if (n > 0)
			lines->len += (size_t)n;
		if (n < 0 && errno != EINTR) {
			complain("cannot read %s: %s", name, strerror(errno));
			return false;
		}
	}
	return true;
}

static enum ctl_exit conclude(const struct lines_reader *reader)
{
	const size_t count = reader->lines->fault_count;
	char name[OUTPUT_SHORT];

	if (reader->failed) {
		complain("out of memory");
		return CTL_UNKNOWN;
	}
	if (count == 0)
		return CTL_YES;
	output_escape(text_of(reader->ctl->input_name), name, sizeof(name));
	if (count > LINES_SHOWN_MAX)
		complain("%s: %zu more errors", name, count - LINES_SHOWN_MAX);
	complain("%s: %zu error%s, so nothing was changed", name, count, count == 1 ? "" : "s");
	return CTL_NO;
}

enum ctl_exit lines_read(struct lines *lines, const struct ctl *ctl, enum registry_list list)
{
	struct lines_reader *reader;
	enum ctl_exit done;

	*lines = (struct lines){0};
	if (!file_read(lines, ctl))
		return CTL_UNKNOWN;
	reader = calloc(1, sizeof(*reader));
	if (!reader) {
		complain("out of memory");
		return CTL_UNKNOWN;
	}
	reader->lines = lines;
	reader->ctl = ctl;
	reader->list = list;
	lines_split(reader);
	if (!reader->failed)
		lines_merge(reader);
	done = conclude(reader);
	free(reader);
	return done;
}

void lines_free(struct lines *lines)
{
	free(lines->lines);
	free(lines->bytes);
	arena_drop(&lines->arena);
}

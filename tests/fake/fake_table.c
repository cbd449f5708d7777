/*
 * See fake_table.h. Slow and plain on purpose: every entry is looked at for every candidate, so
 * that it shares no shortcut with the real table.
 */
#include "tests/fake/fake_table.h"

#include "policy/data/unicode.h"

#include <stdlib.h>

static struct text trim(struct text t)
{
	while (t.len && (t.ptr[0] == ' ' || t.ptr[0] == '\t'))
		t = text_tail(t, 1);
	while (t.len && (t.ptr[t.len - 1] == ' ' || t.ptr[t.len - 1] == '\t'))
		t.len--;
	return t;
}

size_t fake_unescape(struct text in, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] == '\\' && i + 3 < in.len && in.ptr[i + 1] == 'x') {
			char hex[3] = {in.ptr[i + 2], in.ptr[i + 3], 0};
			out[n++] = (char)strtol(hex, NULL, 16);
			i += 3;
		} else {
			out[n++] = in.ptr[i];
		}
	}
	return n;
}

/* Splits off what stands before the first `mark`; *rest is what stands behind it. */
static struct text cut(struct text *rest, char mark)
{
	size_t at = text_find(*rest, mark);
	struct text head = text_head(*rest, at);

	*rest = at < rest->len ? text_tail(*rest, at + 1) : text_tail(*rest, at);
	return trim(head);
}

/* The word with its escapes taken out, kept in the table. */
static struct text keep(struct fake_table *table, struct text word)
{
	char *out = table->text + table->text_used;
	size_t len = fake_unescape(word, out);

	table->text_used += len;
	return (struct text){out, len};
}

static const char *parse_row(struct fake_table *table, struct text row)
{
	struct text pattern = keep(table, cut(&row, ' '));
	struct expires expires = {0};

	for (size_t i = 0; i + 7 <= row.len; i++)
		if (memcmp(row.ptr + i, " until ", 7) == 0) {
			if (!expires_parse(trim(text_tail(row, i + 7)), &expires))
				return "a bad date behind `until`";
			row.len = i;
			break;
		}
	while (row.len) {
		struct text owner = cut(&row, ',');
		if (table->count == FAKE_ROWS_MAX)
			return "too many rows";
		table->rows[table->count].is_damaged = text_equal(owner, TEXT("damaged"));
		table->rows[table->count++].entry = (struct row_entry){
			.pattern = pattern, .owner = keep(table, owner), .expires = expires};
	}
	return NULL;
}

const char *fake_table_parse(struct fake_table *table, struct text source)
{
	struct text rest;

	memset(table, 0, sizeof(*table));
	if (source.len >= sizeof(table->text))
		return "too long";
	rest = source;
	if (text_equal(rest, TEXT("no table")))
		table->state = LOOKUP_ABSENT;
	else if (text_equal(rest, TEXT("damaged table")))
		table->state = LOOKUP_FAILED;
	else if (!text_equal(rest, TEXT("-")))
		while (rest.len) {
			const char *wrong = parse_row(table, cut(&rest, ';'));
			if (wrong)
				return wrong;
		}
	return NULL;
}

/* Whether the pattern's key is one that the candidate asks for. */
static bool is_asked(const struct candidate *candidate, const struct pattern *pattern)
{
	if (pattern->kind != candidate->kind || !text_equal(pattern->domain, candidate->domain))
		return false;
	if (pattern->kind == PATTERN_GLOB && !candidate->literal)
		return glob_matches_sender(pattern->local, candidate->local, candidate->base_len);
	return pattern->kind == PATTERN_DOMAIN || pattern->kind == PATTERN_SUBDOMAINS ||
	       text_equal(pattern->local, candidate->local);
}

static void add_fact(struct table_facts *facts, size_t candidate, enum lookup status,
	const struct row_fact *row, struct text glob)
{
	struct table_fact *fact = &facts->facts[facts->count++];

	*fact = (struct table_fact){.status = status, .candidate = candidate, .row = *row};
	memcpy(facts->arena + facts->arena_used, glob.ptr, glob.len);
	fact->glob = (struct text){facts->arena + facts->arena_used, glob.len};
	facts->arena_used += glob.len;
}

/* Every entry whose pattern has the same key as rows[first] is one row. */
static void read_row(const struct fake_table *table, size_t first, const struct decision *decision,
	size_t index, struct table_facts *facts)
{
	static struct pattern key, other;
	const struct row_entry *previous = NULL;
	struct row_question question = decision->question;
	struct row_fact row = {0};
	uint8_t payload[8192];
	size_t used = 0;
	bool is_damaged = false;

	if (pattern_parse(&unicode_ops, table->rows[first].entry.pattern, &key))
		return;
	for (size_t i = 0; i < table->count; i++) {
		if (pattern_parse(&unicode_ops, table->rows[i].entry.pattern, &other) ||
			other.kind != key.kind || !text_equal(other.domain, key.domain) ||
			!text_equal(other.local, key.local))
			continue;
		if (i < first)
			return; /* was read with that one */
		is_damaged |= table->rows[i].is_damaged;
		used += row_entry_encode(
			&table->rows[i].entry, previous, payload + used, sizeof(payload) - used);
		previous = &table->rows[i].entry;
	}
	question.want = decision->candidates[index].want;
	question.want_base_len = decision->candidates[index].want_base_len;
	question.is_glob = key.kind == PATTERN_GLOB && !decision->candidates[index].literal;
	if (!is_damaged &&
		row_read((struct text){(char *)payload, used}, &question, &row) == LOOKUP_FOUND) {
		if (row.named)
			add_fact(facts, index, LOOKUP_FOUND, &row, key.local);
	} else {
		add_fact(facts, index, LOOKUP_FAILED, &row, key.local);
	}
}

void fake_table_find(
	const struct fake_table *table, const struct decision *decision, struct table_facts *facts)
{
	static struct pattern pattern;

	facts->count = 0;
	facts->arena_used = 0;
	for (size_t c = 0; c < decision->candidate_count; c++)
		for (size_t i = 0; i < table->count; i++)
			if (!pattern_parse(&unicode_ops, table->rows[i].entry.pattern, &pattern) &&
				is_asked(&decision->candidates[c], &pattern))
				read_row(table, i, decision, c, facts);
}

/*
 * Finds the typed rows behind a decision, see rows.h. Fails only with the table or the memory,
 * complained.
 */
#include "policyctl/rows.h"

#include <stdlib.h>

#include "policyctl/ask.h"
#include "policyctl/output.h"

/* A key as it is looked for in the scan. */
struct wanted {
	size_t key; /* index into rows->keys */
	bool is_glob;
	struct row_key bytes; /* the row; of globs the prefix */
};

struct search {
	struct rows *rows;
	const struct ctl *ctl;
	struct text login;
	struct decision *decision;
	struct wanted *wanted;
	size_t count;
	bool failed;
};

const char *rows_says_name(enum rows_says says)
{
	static const char *const names[] = {
		[ROWS_ALLOWS] = "allow",
		[ROWS_DENIES] = "deny",
		[ROWS_OUTRANKED] = "outranked",
		[ROWS_ENDED] = "expired",
		[ROWS_OTHERS] = "others",
		[ROWS_IGNORED] = "ignored",
	};

	return names[says];
}

static bool key_add(struct search *search, const struct candidate *candidate)
{
	struct rows *rows = search->rows;
	struct wanted *wanted = &search->wanted[search->count++];
	char text[SENDER_MAX + DOMAIN_MAX + 16];
	struct rows_key *key;
	int len;

	wanted->is_glob = candidate->kind == PATTERN_GLOB && !candidate->literal;
	wanted->key = rows->key_count;
	if (wanted->is_glob)
		row_key_of_kind(PATTERN_GLOB, candidate->domain, &wanted->bytes);
	else
		row_key_of(candidate->kind, candidate->domain, candidate->local, &wanted->bytes);
	if (!array_reserve(
		    (void **)&rows->keys, rows->key_count, &rows->key_cap, sizeof(*rows->keys)))
		return false;
	if (wanted->is_glob)
		len = snprintf(text, sizeof(text), "globs of %.*s", TEXT_ARG(candidate->domain));
	else
		len = snprintf(text, sizeof(text), "%.*s%s%.*s", TEXT_ARG(candidate->local),
			candidate->kind == PATTERN_SUBDOMAINS ? "@."
			: candidate->domain.len               ? "@"
							      : "",
			TEXT_ARG(candidate->domain));
	key = &rows->keys[rows->key_count++];
	*key = (struct rows_key){.reading = rows->reading_count - 1};
	key->text = arena_copy(&rows->arena, (struct text){text, (size_t)len});
	return key->text.ptr != NULL;
}

/* In first-hit the address after Postfix's rewriting, the first that is looked up. */
static bool address_set(struct search *search, struct text raw)
{
	const struct settings *settings = &search->ctl->config->settings;
	const struct candidate *first = search->decision->candidates;
	struct text parts[3] = {raw, {0}, {0}};
	struct text local, domain;
	char bytes[SENDER_MAX + 2 + DOMAIN_MAX];
	size_t len = 0;

	if (settings->semantics == SEMANTICS_FIRST_HIT && search->decision->candidate_count > 0)
		parts[0] = first->want;
	address_split(parts[0], &local, &domain);
	if (!domain.ptr && settings->append_domain.len > 0) {
		parts[1] = TEXT("@");
		parts[2] = settings->append_domain;
	}
	for (size_t i = 0; i < 3; i++) {
		if (parts[i].len > 0)
			memcpy(bytes + len, parts[i].ptr, parts[i].len);
		len += parts[i].len;
	}
	search->rows->address = arena_copy(&search->rows->arena, (struct text){bytes, len});
	return search->rows->address.ptr != NULL;
}

/* The keys of one reading, asked from the decision. */
static bool reading_add(struct search *search, struct text raw)
{
	struct rows *rows = search->rows;
	struct settings settings = search->ctl->config->settings;
	struct request request =
		ask_request(&settings, search->login.len ? search->login : TEXT("x"), raw);

	settings.routing_literal = true;
	if (!array_reserve((void **)&rows->readings, rows->reading_count, &rows->reading_cap,
		    sizeof(*rows->readings)))
		return false;
	rows->readings[rows->reading_count] = arena_copy(&rows->arena, raw);
	if (!rows->readings[rows->reading_count++].ptr)
		return false;
	search->count = 0;
	if (decision_start(search->decision, &settings, &request, search->ctl->now, NULL) !=
		NEED_TABLE)
		return true;
	if (rows->reading_count == 1 && !address_set(search, raw))
		return false;
	for (size_t i = 0; i < search->decision->candidate_count; i++)
		if (!key_add(search, &search->decision->candidates[i]))
			return false;
	return true;
}

static bool glob_fits(const struct search *search, const struct pair *pair, size_t index)
{
	const struct candidate *candidate = &search->decision->candidates[index];
	struct pattern pattern;

	return pattern_parse(search->ctl->config->settings.unicode, pair->entry.pattern,
		       &pattern) == NULL &&
	       pattern.kind == PATTERN_GLOB &&
	       glob_matches_sender(pattern.local, candidate->local, candidate->base_len);
}

static bool key_fits(const struct search *search, const struct pair *pair, size_t index)
{
	const struct wanted *wanted = &search->wanted[index];

	if (pair->row_key.len < wanted->bytes.len ||
		memcmp(pair->row_key.ptr, wanted->bytes.bytes, wanted->bytes.len) != 0)
		return false;
	if (wanted->is_glob)
		return glob_fits(search, pair, index);
	return pair->row_key.len == wanted->bytes.len;
}

/* What the entry alone says, in the words of the decision's own reader. */
static bool entry_judge(
	const struct search *search, const struct pair *pair, size_t index, struct rows_line *line)
{
	uint8_t bytes[ROW_ENTRY_MAX];
	const struct candidate *candidate = &search->decision->candidates[index];
	struct row_question question = search->decision->question;
	int64_t now = search->ctl->now, end = pair->entry.expires.until;
	struct row_fact fact = {0};
	size_t len = row_entry_encode(&pair->entry, NULL, bytes, sizeof(bytes));

	question.want = candidate->want;
	question.want_base_len = candidate->want_base_len;
	question.is_glob = candidate->kind == PATTERN_GLOB && !candidate->literal;
	if (search->login.len == 0)
		question.login = NULL;
	if (len == 0 ||
		row_read((struct text){(char *)bytes, len}, &question, &fact) != LOOKUP_FOUND)
		return false;
	line->says = end != 0 && end <= now ? ROWS_ENDED : line->deny ? ROWS_DENIES : ROWS_ALLOWS;
	if (!fact.named)
		line->says = ROWS_IGNORED;
	else if (search->login.len && fact.until[OWNER_LOGIN][line->deny] == 0 &&
		 fact.until[OWNER_DOMAIN][line->deny] == 0 &&
		 fact.until[OWNER_ANY][line->deny] == 0)
		line->says = ROWS_OTHERS;
	return true;
}

static void owner_describe(
	const struct search *search, const struct pair *pair, struct rows_line *line)
{
	const struct settings *settings = &search->ctl->config->settings;
	struct owner owner;

	line->kind = OWNER_LOGIN;
	line->deny = false;
	if (settings->semantics == SEMANTICS_FIRST_HIT ||
		owner_parse(settings->unicode, pair->entry.owner, &owner) != NULL)
		return;
	line->kind = owner.kind;
	line->deny = owner.deny;
}

static bool line_add(struct search *search, const struct pair *pair, size_t index)
{
	struct rows *rows = search->rows;
	struct rows_line line = {.key = search->wanted[index].key, .expires = pair->entry.expires};

	line.row_key = arena_copy(&rows->arena, pair->row_key);
	line.pattern = arena_copy(&rows->arena, pair->entry.pattern);
	line.owner = arena_copy(&rows->arena, pair->entry.owner);
	line.comment = arena_copy(&rows->arena, pair->entry.comment);
	owner_describe(search, pair, &line);
	if (!line.row_key.ptr || !line.pattern.ptr || !line.owner.ptr || !line.comment.ptr ||
		!entry_judge(search, pair, index, &line) ||
		!array_reserve(
			(void **)&rows->lines, rows->line_count, &rows->line_cap, sizeof(line)))
		return false;
	rows->lines[rows->line_count++] = line;
	rows->keys[line.key].found++;
	return true;
}

static bool on_pair(void *ctx, const struct pair *pair)
{
	struct search *search = ctx;

	for (size_t i = 0; i < search->count && !search->failed; i++)
		if (key_fits(search, pair, i))
			search->failed = !line_add(search, pair, i);
	return !search->failed;
}

static bool same_row(const struct rows_line *a, const struct rows_line *b)
{
	return a->key == b->key && text_equal(a->row_key, b->row_key);
}

static int line_order(const void *a, const void *b)
{
	const struct rows_line *one = a, *two = b;
	size_t shorter = one->row_key.len < two->row_key.len ? one->row_key.len : two->row_key.len;
	int order = memcmp(one->row_key.ptr, two->row_key.ptr, shorter);

	if (one->key != two->key)
		return one->key < two->key ? -1 : 1;
	if (!same_row(one, two))
		return order ? order : one->row_key.len < two->row_key.len ? -1 : 1;
	order = strcmp(one->pattern.ptr, two->pattern.ptr);
	return order ? order : strcmp(one->owner.ptr, two->owner.ptr);
}

/* In one row a named login beats `@login-domain` beats `*`. */
static void row_rank(struct rows_line *lines, size_t count)
{
	enum owner_kind best = OWNER_ANY;

	for (size_t i = 0; i < count; i++)
		if ((lines[i].says == ROWS_ALLOWS || lines[i].says == ROWS_DENIES) &&
			lines[i].kind > best)
			best = lines[i].kind;
	for (size_t i = 0; i < count; i++)
		if ((lines[i].says == ROWS_ALLOWS || lines[i].says == ROWS_DENIES) &&
			lines[i].kind < best)
			lines[i].says = ROWS_OUTRANKED;
}

static void lines_settle(struct rows *rows, bool has_login)
{
	size_t start = 0;

	if (rows->line_count > 1)
		qsort(rows->lines, rows->line_count, sizeof(*rows->lines), line_order);
	for (size_t i = 1; has_login && i <= rows->line_count; i++) {
		if (i < rows->line_count && same_row(&rows->lines[start], &rows->lines[i]))
			continue;
		row_rank(rows->lines + start, i - start);
		start = i;
	}
}

static enum err readings_search(
	struct search *search, struct authz *authz, const struct rows_question *question)
{
	const struct settings *settings = &search->ctl->config->settings;
	size_t max = question->readings_max ? question->readings_max : READINGS_MAX + 1;
	char bytes[2][SENDER_MAX] = {{0}};
	struct text raw = question->sender;

	if (settings->semantics == SEMANTICS_FIRST_HIT || settings->routing_literal)
		max = 1;
	for (size_t i = 0; i < max && raw.len > 0 && raw.len <= SENDER_MAX; i++) {
		if (!reading_add(search, raw))
			return ERR_NOMEM;
		if (authz_scan(authz, on_pair, search) == LOOKUP_FAILED)
			return ERR_DAMAGED;
		if (search->failed)
			return ERR_NOMEM;
		raw = (struct text){bytes[i % 2], address_rewrite(raw, bytes[i % 2])};
	}
	return ERR_OK;
}

bool rows_collect(struct rows *rows, const struct ctl *ctl, struct authz *authz,
	const struct rows_question *question)
{
	struct search search = {.rows = rows, .ctl = ctl, .login = question->login};
	struct authz_meta meta;
	enum err err = ERR_NOMEM;

	search.decision = malloc(sizeof(*search.decision));
	search.wanted = calloc(CANDIDATES_MAX, sizeof(*search.wanted));
	if (!search.decision || !search.wanted)
		goto out;
	switch (authz_begin(authz, &meta)) {
	case LOOKUP_FAILED:
		err = ERR_DAMAGED;
		goto out;
	case LOOKUP_FOUND:
		err = readings_search(&search, authz, question);
		break;
	case LOOKUP_ABSENT:
		err = ERR_OK;
		break;
	}
	authz_end(authz);
	lines_settle(rows, question->login.len > 0);
out:
	if (err != ERR_OK)
		complain("%s", err == ERR_DAMAGED ? authz_error(authz) : "out of memory");
	free(search.wanted);
	free(search.decision);
	return err == ERR_OK;
}

void rows_free(struct rows *rows)
{
	arena_drop(&rows->arena);
	free(rows->keys);
	free(rows->lines);
	free(rows->readings);
}

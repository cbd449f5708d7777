/*
 * Looks up the candidates of one decision: a few gets, whatever the size of the table.
 *
 * Knows where a row lies and how much of it a login concerns, not what follows from it. A failed
 * get, a checksum, bytes that do not decode, or rows that the domain's record promises and that are
 * not there make a fact FAILED.
 */
#include "policy/data/authz.h"

#include "policy/data/authz_private.h"

struct finder {
	struct authz *authz;
	unsigned db;
	const struct decision *decision;
	struct table_facts *facts;
	struct row_question question; /* for the candidate at hand */
	size_t candidate;
	/* the record of the domain looked at last */
	bool has_domain;
	struct text domain;
	enum lookup domain_status;
	struct domain_counts counts;
};

/* The last place is kept for saying that there was no room. */
static struct table_fact *add_fact(struct finder *f, enum lookup status)
{
	bool is_full = f->facts->count + 1 >= FACTS_MAX;
	struct table_fact *fact = &f->facts->facts[is_full ? FACTS_MAX - 1 : f->facts->count];

	f->facts->count = is_full ? FACTS_MAX : f->facts->count + 1;
	memset(fact, 0, sizeof(*fact));
	fact->status = is_full ? LOOKUP_FAILED : status;
	fact->candidate = f->candidate;
	return fact;
}

static void add_failed(struct finder *f)
{
	add_fact(f, LOOKUP_FAILED);
}

static void add_found(struct finder *f, const struct row_fact *row, struct text glob)
{
	struct table_facts *facts = f->facts;
	struct table_fact *fact = add_fact(f, LOOKUP_FOUND);
	size_t left = sizeof(facts->arena) - facts->arena_used;
	size_t len = glob.len < left ? glob.len : left;

	fact->row = *row;
	if (len == 0 || !glob.ptr)
		return;
	memcpy(facts->arena + facts->arena_used, glob.ptr, len);
	fact->glob = (struct text){facts->arena + facts->arena_used, len};
	facts->arena_used += len;
}

static enum lookup read_member(
	struct finder *f, struct text row_key, struct text owner_key, struct row_fact *fact)
{
	struct row_key key;
	struct text payload;
	enum lookup status;
	uint8_t flags;

	memcpy(key.bytes, row_key.ptr, row_key.len);
	key.len = row_key.len;
	row_key_add_member(&key, owner_key);
	status = authz_get(f->authz, f->db, row_key_text(&key), &payload, &flags);
	if (status != LOOKUP_FOUND)
		return status;
	status = flags == 0 ? row_read(payload, &f->question, fact) : LOOKUP_FAILED;
	return status == LOOKUP_FAILED ? authz_fail_row(f->authz, row_key_text(&key), "row")
				       : status;
}

/* first-hit: `!` and `*` are letters like others, and the one key is that of the login's text. */
static enum lookup read_literal_member(struct finder *f, struct text row_key, struct row_fact *fact)
{
	struct owner owner;

	if (owner_parse(&unicode_ops, f->question.login->folded, &owner) != NULL)
		return LOOKUP_ABSENT; /* no such owner was ever loaded */
	return read_member(f, row_key, owner.key, fact);
}

static enum lookup read_members(struct finder *f, struct text row_key, struct row_fact *fact)
{
	const struct login *login = f->question.login;
	char at_domain[LOGIN_MAX + DOMAIN_MAX + 2];
	struct text keys[4];
	size_t count = 0;

	if (f->question.mode == FILTER_LITERAL)
		return read_literal_member(f, row_key, fact);
	keys[count++] = login->full;
	if (login->bare.len > 0)
		keys[count++] = login->bare;
	if (login->domain.len > 0) {
		at_domain[0] = '@';
		memcpy(at_domain + 1, login->domain.ptr, login->domain.len);
		keys[count++] = (struct text){at_domain, login->domain.len + 1};
	}
	keys[count++] = TEXT("*");
	for (size_t i = 0; i < count; i++)
		if (read_member(f, row_key, keys[i], fact) == LOOKUP_FAILED)
			return LOOKUP_FAILED;
	return LOOKUP_FOUND;
}

/* The summary answers what concerns nobody in particular; the members of this login's own keys the
 * rest. */
static enum lookup read_spilled(
	struct finder *f, struct text row_key, struct text summary, struct row_fact *fact)
{
	struct row_question anybody = f->question;

	anybody.login = NULL;
	if (row_read(summary, &anybody, fact) == LOOKUP_FAILED)
		return authz_fail_row(f->authz, row_key, "row");
	if (!fact->named || !f->question.login)
		return LOOKUP_FOUND;
	return read_members(f, row_key, fact) == LOOKUP_FAILED ? LOOKUP_FAILED : LOOKUP_FOUND;
}

/* Where the key holds a hash, the entries tell whether they are meant. `local` is set to the text
 * behind it. */
static enum lookup check_hashed(
	struct text entries, struct text domain, struct text *local, struct pattern *pattern)
{
	struct row_entry entry = {0};

	if (row_entry_decode(&entries, &entry) != LOOKUP_FOUND)
		return LOOKUP_FAILED;
	if (pattern_parse(&unicode_ops, entry.pattern, pattern) != NULL)
		return LOOKUP_FAILED;
	if (!text_equal(pattern->domain, domain))
		return LOOKUP_ABSENT;
	if (local->ptr && !text_equal(pattern->local, *local))
		return LOOKUP_ABSENT;
	*local = pattern->local;
	return LOOKUP_FOUND;
}

/* A row value that was got: the entries to start from, and whether they are a summary. */
static enum lookup open_row(struct finder *f, struct text key, struct text value,
	struct text *entries, bool *is_spilled)
{
	uint64_t count;
	uint8_t flags;

	if (!row_value_open(key, value, entries, &flags))
		return authz_fail_row(f->authz, key, "value (checksum)");
	*is_spilled = flags & ROW_FLAG_SPILLED;
	if (flags & ~ROW_FLAG_SPILLED)
		return authz_fail_row(f->authz, key, "row");
	if (*is_spilled && !spilled_count_decode(*entries, &count, entries))
		return authz_fail_row(f->authz, key, "row");
	return LOOKUP_FOUND;
}

/* Adds the fact of an opened row, if it has anything to say. */
static void add_row(
	struct finder *f, struct text key, struct text entries, bool is_spilled, struct text glob)
{
	struct row_fact row = {0};
	enum lookup status = is_spilled ? read_spilled(f, key, entries, &row)
					: row_read(entries, &f->question, &row);

	if (status == LOOKUP_FAILED) {
		authz_fail_row(f->authz, key, "row");
		add_failed(f);
	} else if (row.named) {
		add_found(f, &row, glob);
	}
}

/* The one row of a key. ABSENT: there is none (of this text). */
static enum lookup find_row(struct finder *f, const struct candidate *candidate)
{
	struct text local = candidate->local, value, entries;
	struct pattern pattern;
	struct row_key key;
	enum lookup status;
	bool is_spilled = false;

	row_key_of(candidate->kind, candidate->domain, local, &key);
	status = store_get(f->authz->store, f->db, row_key_text(&key), &value);
	if (status == LOOKUP_FAILED)
		authz_fail_store(f->authz, ERR_DAMAGED);
	if (status == LOOKUP_FOUND)
		status = open_row(f, row_key_text(&key), value, &entries, &is_spilled);
	if (status == LOOKUP_FOUND && row_key_is_hashed(candidate->domain, local))
		status = check_hashed(entries, candidate->domain, &local, &pattern);
	if (status == LOOKUP_FOUND)
		add_row(f, row_key_text(&key), entries, is_spilled,
			candidate->kind == PATTERN_GLOB ? local : TEXT(""));
	else if (status == LOOKUP_FAILED)
		add_failed(f);
	return status;
}

/* One glob row, met while scanning. */
static void judge_glob(struct finder *f, struct text key, struct text value, size_t prefix_len)
{
	const struct candidate *candidate = &f->decision->candidates[f->candidate];
	struct text glob = text_tail(key, prefix_len), entries;
	struct pattern pattern;
	enum lookup status;
	bool is_spilled = false;

	status = open_row(f, key, value, &entries, &is_spilled);
	if (status == LOOKUP_FOUND && glob.len > 0 && (uint8_t)glob.ptr[0] == 0xff) {
		glob = (struct text){NULL, 0};
		status = check_hashed(entries, candidate->domain, &glob, &pattern);
	}
	if (status != LOOKUP_FOUND)
		add_failed(f);
	else if (glob_matches_sender(glob, candidate->local, candidate->base_len))
		add_row(f, key, entries, is_spilled, glob);
}

static enum lookup skip_members(struct finder *f, struct text *key, struct text *value)
{
	struct row_key behind;

	memcpy(behind.bytes, key->ptr, key->len);
	behind.bytes[key->len] = 0;
	behind.bytes[key->len + 1] = 2;
	behind.len = key->len + 2;
	*key = row_key_text(&behind);
	return store_seek(f->authz->store, f->db, key, value);
}

/* `sought` of them must be there: a glob that cannot be read might have been the one that denies.
 */
static void find_globs(struct finder *f, const struct candidate *candidate, uint64_t sought)
{
	struct row_key prefix;
	struct text key, value;
	enum lookup status;
	uint64_t seen = 0;

	row_key_of_kind(PATTERN_GLOB, candidate->domain, &prefix);
	key = row_key_text(&prefix);
	status = store_seek(f->authz->store, f->db, &key, &value);
	while (status == LOOKUP_FOUND && seen < sought && key.len >= prefix.len &&
		key.len <= ROW_KEY_MAX - 2 && memcmp(key.ptr, prefix.bytes, prefix.len) == 0) {
		struct row_key held = {.len = key.len};

		memcpy(held.bytes, key.ptr, key.len);
		seen++;
		judge_glob(f, row_key_text(&held), value, prefix.len);
		key = row_key_text(&held);
		status = skip_members(f, &key, &value);
	}
	if (status == LOOKUP_FAILED || seen < sought) {
		authz_fail_row(f->authz, row_key_text(&prefix), "domain (globs missing)");
		add_failed(f);
	}
}

static enum lookup read_domain(struct finder *f, struct text domain)
{
	struct row_key key;
	struct text payload;
	uint8_t flags;

	if (f->has_domain && text_equal(f->domain, domain))
		return f->domain_status;
	row_key_of_domain(domain, &key);
	f->has_domain = true;
	f->domain = domain;
	f->domain_status = authz_get(f->authz, f->db, row_key_text(&key), &payload, &flags);
	if (f->domain_status == LOOKUP_FOUND &&
		(flags != 0 || !domain_counts_decode(payload, &f->counts)))
		f->domain_status = authz_fail_row(f->authz, row_key_text(&key), "domain record");
	return f->domain_status;
}

/* The domain row and the globs of a domain, which its record counts: what it promises must be
 * there. */
static void find_counted(struct finder *f, const struct candidate *candidate)
{
	uint64_t rows;

	switch (read_domain(f, candidate->domain)) {
	case LOOKUP_ABSENT:
		return;
	case LOOKUP_FAILED:
		add_failed(f);
		return;
	case LOOKUP_FOUND:
		break;
	}
	rows = f->counts.of_kind[candidate->kind];
	if (rows == 0)
		return;
	if (candidate->kind == PATTERN_GLOB)
		find_globs(f, candidate, rows);
	else if (find_row(f, candidate) == LOOKUP_ABSENT)
		add_failed(f);
}

/* A row of one address or of sub-domains is asked for at once: the record would cost as much as
 * the row. */
static void find_candidate(struct finder *f, const struct candidate *candidate)
{
	const struct domain_counts *all = &f->authz->meta.generation[f->authz->meta.current].rows;

	if (all->of_kind[candidate->kind] == 0)
		return;
	switch (candidate->kind) {
	case PATTERN_EXACT:
	case PATTERN_SUBDOMAINS:
		(void)find_row(f, candidate);
		return;
	case PATTERN_GLOB:
	case PATTERN_DOMAIN:
		break;
	}
	if (candidate->literal && candidate->kind == PATTERN_GLOB)
		(void)find_row(f, candidate);
	else
		find_counted(f, candidate);
}

static void ask_candidate(struct finder *f, const struct candidate *candidate)
{
	f->question.want = candidate->want;
	f->question.want_base_len = candidate->want_base_len;
	f->question.is_glob = candidate->kind == PATTERN_GLOB && !candidate->literal;
	f->question.mode = f->decision->question.mode;
	/* Patterns without a local part have no case to keep. */
	if (f->question.mode == FILTER_KEEP &&
		(candidate->kind == PATTERN_DOMAIN || candidate->kind == PATTERN_SUBDOMAINS))
		f->question.mode = FILTER_ALL;
}

void authz_find(struct authz *authz, const struct decision *decision, struct table_facts *facts)
{
	struct finder f = {
		.authz = authz,
		.db = authz_db_of(authz->meta.current),
		.decision = decision,
		.facts = facts,
		.question = decision->question,
	};

	facts->count = 0;
	facts->arena_used = 0;
	for (; f.candidate < decision->candidate_count; f.candidate++) {
		const struct candidate *candidate = &decision->candidates[f.candidate];

		ask_candidate(&f, candidate);
		find_candidate(&f, candidate);
	}
}

enum lookup authz_count_domain(struct authz *authz, struct text domain, struct domain_counts *out)
{
	struct finder finder = {.authz = authz, .db = authz_db_of(authz->meta.current)};
	enum lookup status = read_domain(&finder, domain);

	*out = status == LOOKUP_FOUND ? finder.counts : (struct domain_counts){{0}};
	return status;
}

/*
 * What the tests of the table share: a state folder of their own, pairs from lines of text, and the
 * question of one login about one sender as the decision would put it.
 */
#ifndef TESTS_UNIT_TABLE_FIXTURE_H
#define TESTS_UNIT_TABLE_FIXTURE_H

#include <ftw.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/data/authz_load.h"
#include "policy/data/unicode.h"

#define FIXTURE_MAP_MB 64

static inline void assert_string_equal_text(struct text text, const char *expected)
{
	if (!text_equal(text, text_of(expected)))
		fail_msg("\"%.*s\" instead of \"%s\"", TEXT_ARG(text), expected);
}

static inline void fixture_make_dir(char path[64])
{
	snprintf(path, 64, "/tmp/policyd-test-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static inline int fixture_unlink(
	const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void fixture_remove_dir(const char *path)
{
	assert_int_equal(nftw(path, fixture_unlink, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void fixture_add_entry(
	struct pairs *pairs, const struct row_entry *entry, uint32_t line)
{
	struct pattern pattern;
	struct owner owner;

	assert_null(pattern_parse(&unicode_ops, entry->pattern, &pattern));
	assert_null(owner_parse(&unicode_ops, entry->owner, &owner));
	assert_int_equal(pairs_add(pairs, &pattern, &owner, entry, line), ERR_OK);
}

static inline void fixture_add(
	struct pairs *pairs, const char *pattern, const char *owner, int64_t until)
{
	struct row_entry entry = {
		.pattern = text_of(pattern), .owner = text_of(owner), .expires = {.until = until}};

	fixture_add_entry(pairs, &entry, (uint32_t)pairs_count(pairs) + 1);
}

/* "pattern owner\n" lines; sorted. */
static inline struct pairs *fixture_pairs(const char *lines)
{
	struct pairs *pairs;
	char pattern[256], owner[256];
	int used;

	assert_int_equal(pairs_new(&pairs), ERR_OK);
	for (; sscanf(lines, "%255s %255s%n", pattern, owner, &used) == 2; lines += used)
		fixture_add(pairs, pattern, owner, 0);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	return pairs;
}

static inline struct authz *fixture_open(const char *dir, bool is_read_only)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz *authz;

	if (authz_open(&authz, dir, FIXTURE_MAP_MB, is_read_only, error, sizeof(error)) != ERR_OK)
		fail_msg("%s", error);
	return authz;
}

static inline void fixture_replace(struct authz *authz, struct pairs *pairs)
{
	char error[AUTHZ_ERROR_MAX] = "";

	if (authz_replace(authz, pairs, 1000, NULL, error) != ERR_OK)
		fail_msg("%s", error);
	pairs_free(pairs);
}

/* Large, so one of each for a whole program. */
struct fixture_question {
	struct decision decision;
	struct login login;
	struct pattern sender;
	struct table_facts facts;
};

static inline struct candidate *fixture_candidate(
	struct fixture_question *q, enum pattern_kind kind)
{
	struct candidate *candidate = &q->decision.candidates[q->decision.candidate_count++];

	*candidate = (struct candidate){.kind = kind, .domain = q->sender.domain};
	return candidate;
}

/* Candidates of `union`: the address, globs, its domain, the parents. login may be NULL. */
static inline void fixture_ask(struct fixture_question *q, const char *login, const char *sender)
{
	struct candidate *candidate;
	struct text parent;

	memset(&q->decision, 0, sizeof(q->decision));
	q->decision.question.ops = &unicode_ops;
	if (login) {
		assert_true(address_login(
			&unicode_ops, text_of(login), (struct text){NULL, 0}, &q->login));
		q->decision.question.login = &q->login;
	}
	assert_null(pattern_parse(&unicode_ops, text_of(sender), &q->sender));
	candidate = fixture_candidate(q, PATTERN_EXACT);
	candidate->local = q->sender.local;
	candidate = fixture_candidate(q, PATTERN_GLOB);
	candidate->local = q->sender.local;
	fixture_candidate(q, PATTERN_DOMAIN);
	for (parent = q->sender.domain; text_find(parent, '.') < parent.len;) {
		parent = text_tail(parent, text_find(parent, '.') + 1);
		fixture_candidate(q, PATTERN_SUBDOMAINS)->domain = parent;
	}
}

static inline const struct table_facts *fixture_find(
	struct authz *authz, struct fixture_question *q, const char *login, const char *sender)
{
	struct authz_meta meta;

	fixture_ask(q, login, sender);
	assert_int_equal(authz_begin(authz, &meta), LOOKUP_FOUND);
	authz_find(authz, &q->decision, &q->facts);
	authz_end(authz);
	return &q->facts;
}

static inline int fixture_setup(void **state)
{
	char *dir = malloc(64);

	assert_non_null(dir);
	fixture_make_dir(dir);
	*state = dir;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	fixture_remove_dir(*state);
	free(*state);
	return 0;
}

static inline void expect_whole(const char *dir)
{
	char error[AUTHZ_ERROR_MAX] = "";

	if (authz_verify_in_child(dir, FIXTURE_MAP_MB, -1, error) != ERR_OK)
		fail_msg("%s", error);
}

static inline void expect_meta(struct authz *authz, enum lookup status, struct authz_meta *meta)
{
	enum lookup found = authz_begin(authz, meta);

	assert_int_equal(found, status);
	authz_end(authz);
}

static inline void expect_delta(const struct authz_delta *delta, uint64_t added, uint64_t removed,
	uint64_t updated, uint64_t kept)
{
	assert_int_equal(delta->added, added);
	assert_int_equal(delta->removed, removed);
	assert_int_equal(delta->updated, updated);
	assert_int_equal(delta->kept, kept);
}

static inline const struct table_fact *expect_one(struct authz *authz,
	struct fixture_question *question, const char *login, const char *sender)
{
	const struct table_facts *facts = fixture_find(authz, question, login, sender);

	assert_int_equal(facts->count, 1);
	assert_int_equal(facts->facts[0].status, LOOKUP_FOUND);
	return &facts->facts[0];
}

/* One row of very many owners, and one beside it. */
#define MANY 100000

static inline struct pairs *many_owners(void)
{
	struct pairs *pairs = fixture_pairs("");

	for (int i = 0; i < MANY; i++) {
		char owner[64];

		snprintf(owner, sizeof(owner), "%slogin%d@x.example", i % 10 == 9 ? "!" : "", i);
		fixture_add(
			pairs, i % 2 ? "list@b.example" : "List@b.example", owner, 100 + i % 1000);
	}
	fixture_add(pairs, "list@b.example", "@y.example", 0);
	fixture_add(pairs, "other@b.example", "x", 0);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	return pairs;
}

/* For tests with a state folder of their own. */
#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif

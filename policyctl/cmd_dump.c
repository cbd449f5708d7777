/*
 * `policyctl dump`: the table as load reads it.
 *
 * csv and jsonl are written as the scan goes. The postfix format has one line a pattern and holds
 * less than the table may: a first scan finds out whether this table fits, so that nothing is
 * printed of one that does not.
 */
#include <stdio.h>
#include <stdlib.h>

#include "policy/data/unicode.h"
#include "policyctl/arena.h"
#include "policyctl/command.h"
#include "policyctl/import/import_key.h"
#include "policyctl/import/import_write.h"
#include "policyctl/output.h"
#include "policyctl/table.h"

/* One pair of the row under way. */
struct member {
	struct text folded, pattern, owner;
	size_t order;
};

struct postfix_dump {
	bool is_checking; /* the first scan: prints nothing */
	struct arena arena;
	struct text row_key;
	struct member *members;
	size_t count, cap;
	enum ctl_exit done;
};

static enum ctl_exit refuse(const char *why, struct text pattern, struct text owner)
{
	char sender[OUTPUT_SHORT], name[OUTPUT_SHORT];

	complain("the postfix format does not hold the row of \"%s\" with owner \"%s\": %s; use "
		 "--format csv "
		 "or jsonl",
		output_escape(pattern, sender, sizeof(sender)),
		output_escape(owner, name, sizeof(name)), why);
	return CTL_NO;
}

static int text_order(struct text a, struct text b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int member_order(const void *a, const void *b)
{
	const struct member *one = a, *two = b;
	int order = text_order(one->folded, two->folded);

	if (order == 0)
		order = text_order(one->pattern, two->pattern);
	return order ? order : (one->order > two->order) - (one->order < two->order);
}

static void print_member(const struct member *member, bool is_new)
{
	char bytes[IMPORT_KEY_MAX];

	if (is_new) {
		struct text key = import_key_external(member->pattern, bytes);

		fwrite(key.ptr, 1, key.len, stdout);
		putchar('\t');
	} else {
		fputs(", ", stdout);
	}
	fwrite(member->owner.ptr, 1, member->owner.len, stdout);
}

/* One row of the table is complete: a line for each pattern as typed. */
static void row_flush(struct postfix_dump *dump)
{
	const struct member *m = dump->members;

	if (dump->count > 1)
		qsort(dump->members, dump->count, sizeof(*dump->members), member_order);
	for (size_t i = 0; i < dump->count && dump->done == CTL_YES; i++) {
		bool is_new = i == 0 || !text_equal(m[i].pattern, m[i - 1].pattern);

		if (dump->is_checking && is_new && i > 0 &&
			text_equal(m[i].folded, m[i - 1].folded))
			dump->done = refuse("its pattern is there twice, in upper and lower case",
				m[i].pattern, m[i].owner);
		if (dump->is_checking)
			continue;
		if (is_new && i > 0)
			putchar('\n');
		print_member(&m[i], is_new);
	}
	if (dump->count > 0 && !dump->is_checking)
		putchar('\n');
	dump->count = 0;
	arena_drop(&dump->arena);
	dump->row_key = (struct text){NULL, 0};
}

static struct text fold_copy(struct postfix_dump *dump, struct text pattern)
{
	char folded[3 * PATTERN_MAX];
	size_t len = text_fold(&unicode_ops, pattern, false, folded, sizeof(folded));

	return arena_copy(&dump->arena, len ? (struct text){folded, len} : pattern);
}

static bool member_add(struct postfix_dump *dump, const struct row_entry *entry)
{
	struct member *last = dump->count ? &dump->members[dump->count - 1] : NULL;
	struct member new = {.order = dump->count};

	if (last && text_equal(last->pattern, entry->pattern)) {
		new.pattern = last->pattern;
		new.folded = last->folded;
	} else {
		new.pattern = arena_copy(&dump->arena, entry->pattern);
		new.folded = fold_copy(dump, entry->pattern);
	}
	new.owner = arena_copy(&dump->arena, entry->owner);
	if (!new.pattern.ptr || !new.folded.ptr || !new.owner.ptr ||
		!array_reserve((void **)&dump->members, dump->count, &dump->cap, sizeof(new)))
		return false;
	dump->members[dump->count++] = new;
	return true;
}

static bool on_postfix_pair(void *ctx, const struct pair *pair)
{
	struct postfix_dump *dump = ctx;
	const char *why = dump->is_checking ? import_postfix_refusal(&pair->entry) : NULL;

	if (why) {
		dump->done = refuse(why, pair->entry.pattern, pair->entry.owner);
		return false;
	}
	if (dump->row_key.ptr && !text_equal(dump->row_key, pair->row_key))
		row_flush(dump);
	if (!dump->row_key.ptr)
		dump->row_key = arena_copy(&dump->arena, pair->row_key);
	if (!dump->row_key.ptr || !member_add(dump, &pair->entry)) {
		complain("out of memory");
		dump->done = CTL_UNKNOWN;
	}
	return dump->done == CTL_YES;
}

static enum lookup postfix_scan(struct postfix_dump *dump, struct authz *authz, bool is_checking)
{
	enum lookup scanned;

	dump->is_checking = is_checking;
	scanned = authz_scan(authz, on_postfix_pair, dump);
	if (scanned == LOOKUP_FOUND && dump->done == CTL_YES)
		row_flush(dump);
	return scanned;
}

static enum lookup dump_postfix(struct authz *authz, enum ctl_exit *done)
{
	struct postfix_dump dump = {.done = CTL_YES};
	enum lookup scanned = postfix_scan(&dump, authz, true);

	if (scanned == LOOKUP_FOUND && dump.done == CTL_YES)
		scanned = postfix_scan(&dump, authz, false);
	*done = dump.done;
	arena_drop(&dump.arena);
	free(dump.members);
	return scanned;
}

static bool on_csv_pair(void *ctx, const struct pair *pair)
{
	(void)ctx;
	import_write_csv(stdout, &pair->entry);
	return !ferror(stdout);
}

static bool on_jsonl_pair(void *ctx, const struct pair *pair)
{
	(void)ctx;
	import_write_jsonl(stdout, &pair->entry);
	return !ferror(stdout);
}

static enum lookup dump_as(struct authz *authz, enum import_format format, enum ctl_exit *done)
{
	*done = CTL_YES;
	switch (format) {
	case IMPORT_POSTFIX:
		break;
	case IMPORT_CSV:
		fputs(IMPORT_CSV_HEADER, stdout);
		return authz_scan(authz, on_csv_pair, NULL);
	case IMPORT_JSONL:
		return authz_scan(authz, on_jsonl_pair, NULL);
	}
	return dump_postfix(authz, done);
}

enum ctl_exit cmd_dump(struct ctl *ctl)
{
	enum import_format format = ctl_has(ctl, FLAG_JSON) ? IMPORT_JSONL : ctl->args.format;
	enum ctl_exit done = CTL_UNKNOWN;
	struct authz_meta meta;
	bool none;
	struct authz *authz = table_open_to_read(ctl->config, &none);

	if (!authz)
		return none ? CTL_NO : CTL_UNKNOWN;
	if (authz_begin(authz, &meta) == LOOKUP_FOUND) {
		if (dump_as(authz, format, &done) == LOOKUP_FAILED) {
			complain("%s", authz_error(authz));
			done = CTL_UNKNOWN;
		}
		authz_end(authz);
	} else {
		complain("%s", authz_error(authz));
	}
	table_close(authz);
	return done;
}

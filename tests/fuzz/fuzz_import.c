/*
 * Any bytes as table text: the first byte picks the importer. What csv and jsonl accept, printed in
 * either format and read again, is the same set of pairs; and a key that the postfix format can
 * hold reads back as itself.
 */
#include <stdlib.h>

#include "policy/data/unicode.h"
#include "policyctl/import/import.h"
#include "policyctl/import/import_key.h"
#include "policyctl/import/import_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	const uint8_t *at;
	size_t left;
	uint64_t errors, warnings;
};

static ssize_t on_read(void *ctx, void *buf, size_t cap)
{
	struct source *source = ctx;
	size_t n = source->left < cap ? source->left : cap;

	if (n > 0)
		memcpy(buf, source->at, n);
	source->at += n;
	source->left -= n;
	return (ssize_t)n;
}

static void check_finding(const struct import_finding *finding)
{
	if (finding->line == 0 || !finding->reason || finding->reason[0] == '\0')
		abort();
}

static void on_error(void *ctx, const struct import_finding *finding)
{
	struct source *source = ctx;

	check_finding(finding);
	source->errors++;
}

static void on_warning(void *ctx, const struct import_finding *finding)
{
	struct source *source = ctx;

	check_finding(finding);
	source->warnings++;
}

static struct pairs *import(enum import_format format, const void *data, size_t size)
{
	struct source source = {.at = data, .left = size};
	const struct import_options options = {
		.format = format,
		.unicode = &unicode_ops,
		.read = on_read,
		.on_error = on_error,
		.on_warning = on_warning,
		.ctx = &source,
	};
	struct import_totals totals;
	struct pairs *pairs;
	enum err err;

	if (pairs_new(&pairs) != ERR_OK)
		abort();
	err = import_run(&options, pairs, &totals);
	if (totals.errors != source.errors || totals.warnings != source.warnings)
		abort();
	if ((err == ERR_OK) != (totals.errors == 0) || (err != ERR_OK && err != ERR_INVALID))
		abort();
	if (err == ERR_OK)
		return pairs;
	pairs_free(pairs);
	return NULL;
}

static void check_same(const struct pairs *a, const struct pairs *b)
{
	if (!b || pairs_count(a) != pairs_count(b))
		abort();
	for (size_t i = 0; i < pairs_count(a); i++) {
		struct pair one, two;

		pairs_at(a, i, &one);
		pairs_at(b, i, &two);
		if (pair_compare(&one, &two) != 0 ||
			!text_equal(one.entry.comment, two.entry.comment) ||
			one.entry.expires.until != two.entry.expires.until ||
			one.entry.expires.is_date != two.entry.expires.is_date)
			abort();
	}
}

static void check_round_trip(const struct pairs *pairs, enum import_format format)
{
	char *bytes = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&bytes, &len);
	struct pairs *again;

	if (!out)
		abort();
	if (format == IMPORT_CSV)
		fputs(IMPORT_CSV_HEADER, out);
	for (size_t i = 0; i < pairs_count(pairs); i++) {
		struct pair pair;

		pairs_at(pairs, i, &pair);
		if (format == IMPORT_CSV)
			import_write_csv(out, &pair.entry);
		else
			import_write_jsonl(out, &pair.entry);
	}
	fclose(out);
	again = import(format, bytes, len);
	check_same(pairs, again);
	pairs_free(again);
	free(bytes);
}

static void check_keys(const struct pairs *pairs)
{
	for (size_t i = 0; i < pairs_count(pairs); i++) {
		char written[IMPORT_KEY_MAX], read[IMPORT_KEY_MAX];
		struct text external;
		struct pair pair;
		bool is_needless;

		pairs_at(pairs, i, &pair);
		external = import_key_external(pair.entry.pattern, written);
		if (external.len > 0 &&
			!text_equal(import_key_internal(external, read, &is_needless),
				pair.entry.pattern))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum import_format format = size > 0 ? (enum import_format)(data[0] % 3) : IMPORT_CSV;
	struct pairs *pairs;

	if (size == 0)
		return 0;
	pairs = import(format, data + 1, size - 1);
	if (!pairs)
		return 0;
	check_keys(pairs);
	check_round_trip(pairs, IMPORT_CSV);
	check_round_trip(pairs, IMPORT_JSONL);
	pairs_free(pairs);
	return 0;
}

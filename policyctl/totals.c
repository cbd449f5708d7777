/*
 * Counts, see totals.h.
 */
#include "policyctl/totals.h"

typedef unsigned long long count;

const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

struct totals totals_of(const struct generation *generation)
{
	struct totals totals = {.rows = generation->pairs, .domains = generation->domains};

	for (size_t i = 0; i <= PATTERN_EXACT; i++)
		totals.patterns += generation->rows.of_kind[i];
	return totals;
}

bool totals_read(struct authz *authz, struct totals *out)
{
	struct authz_meta meta;
	enum lookup found = authz_begin(authz, &meta);

	*out = (struct totals){0};
	switch (found) {
	case LOOKUP_FAILED:
		complain("%s", authz_error(authz));
		return false;
	case LOOKUP_FOUND:
		*out = totals_of(&meta.generation[meta.current]);
		break;
	case LOOKUP_ABSENT:
		break;
	}
	authz_end(authz);
	return true;
}

void totals_print_delta(const struct authz_delta *delta)
{
	printf("%llu row%s added, %llu removed, %llu updated, %llu kept\n", (count)delta->added,
		plural(delta->added), (count)delta->removed, (count)delta->updated,
		(count)delta->kept);
}

void totals_print(const struct totals *totals)
{
	printf("the table holds %llu row%s: %llu sender%s in %llu domain%s\n", (count)totals->rows,
		plural(totals->rows), (count)totals->patterns, plural(totals->patterns),
		(count)totals->domains, plural(totals->domains));
}

void totals_write_delta(struct json *json, const struct authz_delta *delta)
{
	json_number(json, "added", delta->added);
	json_number(json, "removed", delta->removed);
	json_number(json, "updated", delta->updated);
	json_number(json, "kept", delta->kept);
}

void totals_write(struct json *json, const struct totals *totals)
{
	json_number(json, "rows", totals->rows);
	json_number(json, "patterns", totals->patterns);
	json_number(json, "domains", totals->domains);
}

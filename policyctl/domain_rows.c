/*
 * See domain_rows.h. Must not know whom the rows let pass.
 */
#include "policyctl/domain_rows.h"

#include "policy/data/authz.h"
#include "policyctl/output.h"

static enum lookup count_own(struct authz *authz, struct text domain, struct domain_rows *rows)
{
	struct domain_counts counts;
	enum lookup status = authz_count_domain(authz, domain, &counts);

	rows->addresses = counts.of_kind[PATTERN_EXACT];
	rows->globs = counts.of_kind[PATTERN_GLOB];
	rows->whole = counts.of_kind[PATTERN_DOMAIN];
	return status;
}

static enum lookup count_above(struct authz *authz, struct text domain, struct domain_rows *rows)
{
	enum lookup status = LOOKUP_ABSENT;
	struct domain_counts counts;

	for (size_t dot; status != LOOKUP_FAILED && (dot = text_find(domain, '.')) < domain.len;) {
		domain = text_tail(domain, dot + 1);
		status = authz_count_domain(authz, domain, &counts);
		rows->above += counts.of_kind[PATTERN_SUBDOMAINS];
	}
	return status;
}

static enum lookup count_all(struct authz *authz, struct text domain, struct domain_rows *rows)
{
	struct authz_meta meta;
	enum lookup begun = authz_begin(authz, &meta), status = begun;

	if (begun == LOOKUP_FOUND && (count_own(authz, domain, rows) == LOOKUP_FAILED ||
					     count_above(authz, domain, rows) == LOOKUP_FAILED))
		status = LOOKUP_FAILED;
	if (status == LOOKUP_FAILED)
		complain("the rows of the table cannot be counted: %s", authz_error(authz));
	if (begun != LOOKUP_FAILED)
		authz_end(authz);
	return status;
}

/* Not walked first: a few gets, each with its own checksum, in a table of any size. */
struct domain_rows domain_rows_count(const struct ctl *ctl, struct text domain)
{
	const struct config *config = ctl->config;
	struct domain_rows rows = {.status = LOOKUP_FAILED};
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;

	switch (authz_open(
		&authz, config->state_dir, config->table_max_mb, true, error, sizeof(error))) {
	case ERR_OK:
		rows.status = count_all(authz, domain, &rows);
		authz_close(authz);
		break;
	case ERR_ABSENT:
		rows.status = LOOKUP_ABSENT;
		break;
	default:
		complain("the rows of the table cannot be counted: %s", error);
		break;
	}
	return rows;
}

uint64_t domain_rows_sum(const struct domain_rows *rows)
{
	return rows->addresses + rows->globs + rows->whole + rows->above;
}

/* ", 3 globs" behind what stands in out. */
static void add_kind(char *out, uint64_t n, const char *one, const char *many)
{
	size_t len = strlen(out);

	if (n > 0)
		snprintf(out + len, DOMAIN_ROWS_TEXT - len, "%s%llu %s",
			out[len - 1] == '(' ? "" : ", ", (unsigned long long)n,
			n == 1 ? one : many);
}

const char *domain_rows_text(const struct domain_rows *rows, char out[DOMAIN_ROWS_TEXT])
{
	uint64_t sum = domain_rows_sum(rows);
	size_t len;

	if (rows->status == LOOKUP_FAILED)
		return "not known: the table cannot be read";
	if (sum == 0)
		return "none";
	snprintf(out, DOMAIN_ROWS_TEXT, "%llu (", (unsigned long long)sum);
	add_kind(out, rows->addresses, "address", "addresses");
	add_kind(out, rows->globs, "glob", "globs");
	add_kind(out, rows->whole, "for the whole domain", "for the whole domain");
	add_kind(out, rows->above, "for a parent's sub-domains", "for a parent's sub-domains");
	len = strlen(out);
	snprintf(out + len, DOMAIN_ROWS_TEXT - len, ")");
	return out;
}

void domain_rows_write(const struct domain_rows *rows, struct json *json)
{
	if (rows->status == LOOKUP_FAILED) {
		json_string(json, "rows", NULL);
		return;
	}
	json_open(json, "rows", '{');
	json_number(json, "addresses", rows->addresses);
	json_number(json, "globs", rows->globs);
	json_number(json, "whole", rows->whole);
	json_number(json, "above", rows->above);
	json_number(json, "all", domain_rows_sum(rows));
	json_close(json, '}', false);
}

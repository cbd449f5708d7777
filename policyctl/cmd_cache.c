/*
 * `policyctl cache stats` and `policyctl cache flush [DOMAIN]`: the DNS answers that all workers
 * share.
 */
#include <inttypes.h>
#include <stdio.h>

#include "policyctl/domain.h"
#include "policyctl/kept.h"
#include "policyctl/note.h"
#include "policyctl/output.h"
#include "policyctl/totals.h"

static void print_stats(const struct config *config, const struct cache_stat *stat)
{
	printf("cache      %s\n", config->cache_dir);
	printf("names      %" PRIu64 ": %" PRIu64 " with TXT records, %" PRIu64 " without, %" PRIu64
	       " that could not be looked up\n",
		stat->entries, stat->found, stat->absent, stat->failed);
	printf("stale      %" PRIu64 " of them: past their time, used while the DNS fails\n",
		stat->stale);
	printf("size       %" PRIu64 " KiB of %" PRIu64 " KiB\n", stat->used_bytes >> 10,
		stat->max_bytes >> 10);
}

static void write_stats(const struct config *config, const struct cache_stat *stat)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "cache_dir", config->cache_dir);
	json_number(&json, "names", stat->entries);
	json_number(&json, "found", stat->found);
	json_number(&json, "absent", stat->absent);
	json_number(&json, "failed", stat->failed);
	json_number(&json, "stale", stat->stale);
	json_number(&json, "used_bytes", stat->used_bytes);
	json_number(&json, "max_bytes", stat->max_bytes);
	json_close(&json, '}', true);
}

static enum ctl_exit stats(const struct ctl *ctl, struct cache *cache)
{
	struct cache_stat stat;

	if (cache_stat(cache, &ctl->config->cache_rules, &stat) != ERR_OK) {
		complain("the DNS cache %s is damaged; policyd treats it as empty, and makes it "
			 "anew when it restarts",
			ctl->config->cache_dir);
		return CTL_UNKNOWN;
	}
	if (ctl_has(ctl, FLAG_JSON))
		write_stats(ctl->config, &stat);
	else
		print_stats(ctl->config, &stat);
	return CTL_YES;
}

static void print_flushed(const struct ctl *ctl, struct text name, uint64_t removed)
{
	struct json json = {.out = stdout};

	if (ctl_has(ctl, FLAG_JSON)) {
		json_open(&json, NULL, '{');
		if (name.len > 0)
			json_text(&json, "name", name);
		else
			json_string(&json, "name", NULL);
		json_number(&json, "removed", removed);
		json_close(&json, '}', true);
	} else if (name.len == 0) {
		printf("%" PRIu64 " name%s forgotten, by every worker\n", removed, plural(removed));
	} else if (removed > 0) {
		printf("%.*s is forgotten, by every worker\n", TEXT_ARG(name));
	} else {
		printf("%.*s was not in the cache\n", TEXT_ARG(name));
	}
}

static void note(const struct ctl *ctl, struct text name, uint64_t removed)
{
	size_t below = ctl->config->lockdown.label.len + 1; /* name is LABEL.DOMAIN, or empty */
	char detail[OUTPUT_SHORT];

	snprintf(detail, sizeof(detail), "%" PRIu64 " name%s forgotten", removed, plural(removed));
	note_done(ctl, (struct audit_entry){
			       .action = TEXT("cache flush"),
			       .domain = name.len > below ? text_tail(name, below) : name,
			       .detail = text_of(detail),
		       });
}

static enum ctl_exit flush(const struct ctl *ctl, struct cache *cache, struct text name)
{
	uint64_t removed;
	enum err err = cache_flush(cache, name, &removed);

	if (err != ERR_OK) {
		complain("the DNS cache %s cannot be flushed: %s", ctl->config->cache_dir,
			err == ERR_DAMAGED ? "it is damaged; policyd treats it as empty, and makes "
					     "it anew when it restarts"
					   : "its disk is full or failing");
		return CTL_UNKNOWN;
	}
	note(ctl, name, removed);
	print_flushed(ctl, name, removed);
	return CTL_YES;
}

/* Of a cache that was opened or not. */
static enum ctl_exit run(const struct ctl *ctl, bool is_flush, struct text name)
{
	char error[KEPT_ERROR_MAX];
	enum ctl_exit done = CTL_UNKNOWN;
	struct cache *cache;

	switch (kept_open(ctl->config, &cache, error)) {
	case LOOKUP_FOUND:
		done = is_flush ? flush(ctl, cache, name) : stats(ctl, cache);
		break;
	case LOOKUP_ABSENT:
		complain("%s", error);
		done = CTL_NO;
		break;
	case LOOKUP_FAILED:
		complain("%s", error);
		break;
	}
	cache_close(cache);
	return done;
}

enum ctl_exit cmd_cache(struct ctl *ctl)
{
	const struct args *args = &ctl->args;
	bool is_flush = strcmp(args->operand[0], "flush") == 0;
	struct domain domain = {0};

	if (!is_flush && (strcmp(args->operand[0], "stats") != 0 || args->operands > 1)) {
		complain("usage: policyctl cache stats [--json], or policyctl cache flush [DOMAIN] "
			 "[--json]");
		return CTL_USAGE;
	}
	if (args->operands > 1 && !domain_of(ctl, args->operand[1], &domain))
		return CTL_USAGE;
	return run(ctl, is_flush, domain.name);
}

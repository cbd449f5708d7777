/*
 * The register's figures and the daemon's sign of life, see standing.h.
 */
#include "policyctl/standing.h"

#include <inttypes.h>

#include "policyctl/daemon.h"
#include "policyctl/registry_open.h"
#include "policyctl/totals.h"

enum { PING_TIMEOUT_MS = 2000, FULL_WARNING_PERCENT = 80 };

static bool register_read(const struct ctl *ctl, struct standing *out)
{
	struct registry *registry;
	bool good = true;

	switch (registry_open_to_read(ctl, &registry)) {
	case LOOKUP_FOUND:
		out->has_register = true;
		good = registry_stat(registry, &out->stat) == LOOKUP_FOUND;
		if (!good)
			complain("%s", registry_error(registry));
		break;
	case LOOKUP_ABSENT:
		break;
	case LOOKUP_FAILED:
		good = false;
		break;
	}
	registry_close_read(registry);
	return good;
}

bool standing_read(const struct ctl *ctl, struct standing *out)
{
	const struct config *config = ctl->config;
	char error[REGISTRY_ERROR_MAX] = "";
	enum err err = registry_verify_in_child(config->state_dir, config->register_max_mb, error);

	*out = (struct standing){.daemon = daemon_ask(config, "ping", PING_TIMEOUT_MS)};
	if (err == ERR_OK)
		return register_read(ctl, out);
	if (err == ERR_ABSENT)
		return true;
	complain("%s", error);
	return false;
}

static uint64_t claims_of(const struct registry_stat *stat)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < CLAIM_STATES_; i++)
		sum += stat->claims[i];
	return sum;
}

/* ": 2 pending, 1 verified" */
static void print_states(const struct registry_stat *stat)
{
	const char *lead = ": ";

	for (enum claim_state state = CLAIM_PENDING; state < CLAIM_STATES_; state++) {
		if (stat->claims[state] == 0)
			continue;
		printf("%s%" PRIu64 " %s", lead, stat->claims[state], claim_state_name(state));
		lead = ", ";
	}
	putchar('\n');
}

static void print_register(const struct ctl *ctl, const struct registry_stat *stat)
{
	uint64_t claims = claims_of(stat);
	/* Pages that were freed are used again before the file grows. */
	unsigned percent =
		stat->map_bytes
			? (unsigned)((double)stat->live_bytes / (double)stat->map_bytes * 100)
			: 0;

	printf("register   %s/register\n", ctl->config->state_dir);
	printf("claims     %" PRIu64 " on %" PRIu64 " domain%s", claims, stat->domains,
		plural(stat->domains));
	print_states(stat);
	printf("allowed    %" PRIu64 " sender%s by `domain allow`, %" PRIu64
	       " more wait for approval\n",
		stat->senders, plural(stat->senders), stat->senders_pending);
	printf("tenants    %" PRIu64 " line%s\n", stat->tenants, plural(stat->tenants));
	if (stat->has_accounts)
		printf("accounts   %" PRIu64 " login%s\n", stat->accounts, plural(stat->accounts));
	else
		puts("accounts   no list was loaded: any login may be allowed");
	printf("file       %" PRIu64 " MiB of %" PRIu64 " MiB (%u %%)%s\n", stat->live_bytes >> 20,
		stat->map_bytes >> 20, percent,
		percent > FULL_WARNING_PERCENT ? ": raise register_max_mb and restart policyd"
					       : "");
}

static void print_daemon(const struct config *config, enum err daemon)
{
	char cause[DAEMON_TEXT];

	printf("daemon     %s at %s\n", daemon == ERR_OK ? "answers" : "does not answer",
		config->control_path);
	if (daemon == ERR_BUSY)
		printf("           it took the question: %s\n", daemon_busy_cause(config, cause));
}

void standing_print(const struct ctl *ctl, const struct standing *standing)
{
	if (standing->has_register)
		print_register(ctl, &standing->stat);
	else
		puts("register   none: no domain was ever claimed");
	print_daemon(ctl->config, standing->daemon);
}

static void write_register(const struct registry_stat *stat, struct json *json)
{
	json_open(json, "register", '{');
	json_number(json, "domains", stat->domains);
	json_open(json, "claims", '{');
	for (enum claim_state state = CLAIM_PENDING; state < CLAIM_STATES_; state++)
		json_number(json, claim_state_name(state), stat->claims[state]);
	json_close(json, '}', false);
	json_number(json, "senders", stat->senders);
	json_number(json, "senders_pending", stat->senders_pending);
	json_number(json, "tenants", stat->tenants);
	json_bool(json, "has_accounts", stat->has_accounts);
	json_number(json, "accounts", stat->accounts);
	json_number(json, "last_audit", stat->last_audit);
	json_number(json, "used_bytes", stat->used_bytes);
	json_number(json, "live_bytes", stat->live_bytes);
	json_number(json, "map_bytes", stat->map_bytes);
	json_close(json, '}', false);
}

void standing_write(const struct standing *standing, struct json *json)
{
	if (standing->has_register)
		write_register(&standing->stat, json);
	else
		json_string(json, "register", NULL);
	json_bool(json, "daemon_answers", standing->daemon == ERR_OK);
}

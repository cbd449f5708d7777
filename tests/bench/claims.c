/*
 * The ownership register of `make bench`: fills one, and watches a round of re-checks over it.
 *
 *   claims STATE_DIR fill COUNT ZONE AGE   d<2i>.ZONE for tenant t<i mod 1000>, and probe.ZONE for the
 *                                          tenant `other`: claimed and proved AGE seconds ago. One
 *                                          "DOMAIN TOKEN" a line. Those that are there are proved
 *                                          again.
 *   claims STATE_DIR round LIMIT           waits until every claim that is due now was looked at by
 *                                          somebody else: "READY", then
 *                                          "seconds=" since the first of them
 *
 * Knows the register, nothing of the DNS. Fails with a sentence: status 1, usage 2.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/data/registry.h"

#define MAP_MB   1024
#define TENANTS  1000
#define BATCH    500
#define NAME_MAX 64
#define PAUSE_NS 20000000 /* between two looks at what is due */

static const struct claim_rules rules = {
	.pending_expires_s = 259200, .recheck_s = 86400, .grace_s = 259200};

static _Noreturn void die(const char *why)
{
	fprintf(stderr, "claims: %s\n", why);
	exit(1);
}

static struct registry *open_register(const char *dir, bool is_read_only)
{
	char error[REGISTRY_ERROR_MAX];
	struct registry *registry;

	if (registry_open(&registry, dir, MAP_MB, is_read_only, error) != ERR_OK)
		die(error);
	return registry;
}

/* ---- fill ---- */

struct fill {
	struct registry *registry;
	const char *zone;
	unsigned count;
	int64_t at;
	char domains[BATCH][NAME_MAX], tenants[BATCH][NAME_MAX];
	struct registry_change changes[BATCH];
	struct registry_outcome outcomes[BATCH];
};

static void set_change(struct fill *fill, unsigned number, unsigned i)
{
	if (number < fill->count) {
		snprintf(fill->domains[i], NAME_MAX, "d%u.%s", 2 * number, fill->zone);
		snprintf(fill->tenants[i], NAME_MAX, "t%u", number % TENANTS);
	} else {
		snprintf(fill->domains[i], NAME_MAX, "probe.%s", fill->zone);
		snprintf(fill->tenants[i], NAME_MAX, "other");
	}
	fill->changes[i] = (struct registry_change){
		.event = CLAIM_ADD,
		.domain = text_of(fill->domains[i]),
		.tenant = text_of(fill->tenants[i]),
		.action = "bench",
		.now = fill->at,
		.rules = &rules,
	};
}

static void change_all(struct fill *fill, unsigned count)
{
	if (registry_change_all(fill->registry, fill->changes, count, fill->outcomes) != ERR_OK)
		die(registry_error(fill->registry));
}

static void fill_batch(struct fill *fill, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		set_change(fill, first + i, i);
	change_all(fill, count);
	for (unsigned i = 0; i < count; i++)
		fill->changes[i].event = CLAIM_PROVED;
	change_all(fill, count);
	for (unsigned i = 0; i < count; i++) {
		if (fill->outcomes[i].after != CLAIM_VERIFIED)
			die("a claim is not verified");
		printf("%s %s\n", fill->domains[i], fill->outcomes[i].token);
	}
}

/* The daemon is not to tell of what was done here. */
static void follow_all(struct registry *registry)
{
	uint64_t last;
	bool is_read =
		registry_begin(registry) && registry_last_audit(registry, &last) == LOOKUP_FOUND;

	registry_end(registry);
	if (!is_read || registry_follow_set(registry, last) != ERR_OK)
		die(registry_error(registry));
}

static int run_fill(const char *dir, unsigned count, const char *zone, unsigned age_s)
{
	struct fill *fill = calloc(1, sizeof(*fill));
	unsigned all = count + 1;

	if (!fill)
		die("out of memory");
	fill->registry = open_register(dir, false);
	fill->zone = zone;
	fill->count = count;
	fill->at = (int64_t)time(NULL) - age_s;
	for (unsigned first = 0; first < all; first += BATCH)
		fill_batch(fill, first, all - first < BATCH ? all - first : BATCH);
	follow_all(fill->registry);
	registry_close(fill->registry);
	free(fill);
	return 0;
}

/* ---- round ---- */

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* False: nothing is due any more. */
static bool next_due(struct registry *registry, int64_t due_at, struct due_claim *first)
{
	struct due_list list = {.now = due_at, .horizon = INT64_MAX, .claims = first, .cap = 1};

	if (!registry_begin(registry) || registry_due(registry, &list) == LOOKUP_FAILED)
		die(registry_error(registry));
	registry_end(registry);
	return list.count > 0;
}

static bool is_same(const struct due_claim *a, const struct due_claim *b)
{
	return a->at == b->at && strcmp(a->domain, b->domain) == 0 &&
	       strcmp(a->tenant, b->tenant) == 0;
}

static int run_round(const char *dir, unsigned limit_s)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct registry *registry = open_register(dir, true);
	int64_t due_at = (int64_t)time(NULL);
	double end = now_s() + limit_s, begun = 0;
	struct due_claim first, now;

	if (!next_due(registry, due_at, &first))
		die("nothing is due");
	puts("READY");
	fflush(stdout);
	while (next_due(registry, due_at, &now)) {
		if (begun == 0 && !is_same(&first, &now))
			begun = now_s();
		if (now_s() > end)
			die("the round did not end in time");
		nanosleep(&pause, NULL);
	}
	printf("seconds=%.3f\n", begun == 0 ? 0 : now_s() - begun);
	registry_close(registry);
	return 0;
}

/* ---- the command line ---- */

static bool parse_number(const char *text, unsigned max, unsigned *out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	*out = (unsigned)value;
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value <= max;
}

int main(int argc, char **argv)
{
	unsigned count, seconds;

	if (argc == 6 && strcmp(argv[2], "fill") == 0 && parse_number(argv[3], 10000000, &count) &&
		strlen(argv[4]) < NAME_MAX / 2 && parse_number(argv[5], 100000000, &seconds))
		return run_fill(argv[1], count, argv[4], seconds);
	if (argc == 4 && strcmp(argv[2], "round") == 0 && parse_number(argv[3], 86400, &seconds))
		return run_round(argv[1], seconds);
	fputs("usage: claims STATE_DIR fill COUNT ZONE AGE | claims STATE_DIR round LIMIT\n",
		stderr);
	return 2;
}

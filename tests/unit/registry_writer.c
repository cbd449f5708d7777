/*
 * A process that changes the ownership register until it is killed: what
 * tests/blackbox/crash_registry.py kills.
 *
 *   registry_writer DIR write SEED   random changes for ever; "try DOMAIN" before each, "ok LINE"
 *                                    once it is acknowledged
 *   registry_writer DIR show         walks the register, then one LINE a domain, and "last NUMBER"
 *                                    of the audit
 *   LINE: DOMAIN TENANT:STATE:SENDERS:PENDING:NEXT_CHECK:TOKEN ...
 *
 * Knows nothing of what is expected. Exit 1 and a sentence when anything fails.
 */
#include <stdio.h>
#include <stdlib.h>

#include "policy/data/registry.h"

#define MAP_MB  64
#define DOMAINS 40
#define TENANTS 3

static const struct claim_rules rules = {
	.pending_expires_s = 1000, .recheck_s = 500, .grace_s = 300};

static _Noreturn void die(const char *why)
{
	fprintf(stderr, "registry_writer: %s\n", why);
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

static void print_claim(const struct claim *claim)
{
	printf(" %.*s:%s:%u:%u:%lld:%.*s", TEXT_ARG(claim->tenant),
		claim_state_name(claim->life.state), claim->senders, claim->senders_pending,
		(long long)claim->life.next_check, TEXT_ARG(claim->token));
}

static void print_domain(struct registry *registry, struct text domain)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	size_t count;

	if (!registry_begin(registry) ||
		registry_claims(registry, domain, claims, &count) == LOOKUP_FAILED)
		die(registry_error(registry));
	printf("%.*s", TEXT_ARG(domain));
	for (size_t i = 0; i < count; i++)
		print_claim(&claims[i]);
	printf("\n");
	registry_end(registry);
}

/* What one step works on. */
struct target {
	struct registry *registry;
	char domain[32], tenant[8], other[8];
	int64_t now;
};

static void expect(struct target *target, enum err err)
{
	if (err != ERR_OK && err != ERR_ABSENT)
		die(registry_error(target->registry));
}

static void change_claim(struct target *target, int roll)
{
	struct registry_change change = {
		.event = (enum claim_event)(roll % CLAIM_EVENTS_),
		.domain = text_of(target->domain),
		.tenant = text_of(target->tenant),
		.action = "crash",
		.now = target->now,
		.rules = &rules,
	};
	struct registry_outcome outcome;

	if (change.event == CLAIM_TAKE_OVER)
		change.event = CLAIM_PROVED;
	if (change.event == CLAIM_GIVE_AWAY)
		change.to_tenant = text_of(target->other);
	if (roll % 41 == 0)
		expect(target, registry_forget(target->registry, &change, &outcome));
	else
		expect(target, registry_change(target->registry, &change, &outcome));
}

static void change_senders(struct target *target, int roll)
{
	char logins[3][32];
	struct sender_entry entries[3];
	struct registry_sender_change change = {
		.edit = roll % 4 == 0   ? SENDER_TAKE_OUT
			: roll % 4 == 1 ? SENDER_APPROVE
					: SENDER_ADD,
		.domain = text_of(target->domain),
		.tenant = text_of(target->tenant),
		.entries = entries,
		.count = roll % 4 == 1 ? 0 : 3,
		.now = target->now,
	};
	struct registry_sender_outcome outcome;

	for (int i = 0; i < 3; i++) {
		snprintf(
			logins[i], sizeof(logins[i]), "login%d@x.example", (roll / 4 + i * 7) % 50);
		entries[i] = (struct sender_entry){
			.login = text_of(logins[i]), .is_pending = (roll + i) % 2};
	}
	expect(target, registry_change_senders(target->registry, &change, &outcome));
}

static void write_for_ever(const char *dir, unsigned seed)
{
	struct target target = {.registry = open_register(dir, false), .now = 1000000};

	srand(seed);
	for (;;) {
		int roll = rand();

		snprintf(
			target.domain, sizeof(target.domain), "domain%d.example", rand() % DOMAINS);
		snprintf(target.tenant, sizeof(target.tenant), "t%d", roll % TENANTS);
		snprintf(target.other, sizeof(target.other), "t%d", (roll + 1) % TENANTS);
		target.now += rand() % 100;
		printf("try %s\n", target.domain);
		fflush(stdout);
		if (rand() % 3 == 0)
			change_senders(&target, rand());
		else
			change_claim(&target, rand());
		printf("ok ");
		print_domain(target.registry, text_of(target.domain));
		fflush(stdout);
	}
}

static void show(const char *dir)
{
	char error[REGISTRY_ERROR_MAX], domain[32];
	struct registry *registry;
	uint64_t last;

	if (registry_verify(dir, MAP_MB, error) != ERR_OK)
		die(error);
	registry = open_register(dir, true);
	for (int i = 0; i < DOMAINS; i++) {
		snprintf(domain, sizeof(domain), "domain%d.example", i);
		print_domain(registry, text_of(domain));
	}
	if (!registry_begin(registry) || registry_last_audit(registry, &last) != LOOKUP_FOUND)
		die(registry_error(registry));
	printf("last %llu\n", (unsigned long long)last);
	registry_close(registry);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[2], "write") == 0)
		write_for_ever(argv[1], (unsigned)strtoul(argv[3], NULL, 10));
	if (argc != 3 || strcmp(argv[2], "show") != 0)
		die("usage: registry_writer DIR write SEED | registry_writer DIR show");
	show(argv[1]);
	return 0;
}

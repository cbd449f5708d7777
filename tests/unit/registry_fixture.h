/*
 * What the tests of the ownership register share: a register in a folder of its own, one change in
 * one line, the fact about one login and sender.
 */
#ifndef TESTS_UNIT_REGISTRY_FIXTURE_H
#define TESTS_UNIT_REGISTRY_FIXTURE_H

#include "policy/data/registry.h"
#include "tests/unit/table_fixture.h"

#define REGISTRY_MAP_MB 64
#define NOW             1000000

static const struct claim_rules fixture_rules = {
	.pending_expires_s = 259200, .recheck_s = 86400, .grace_s = 259200};

static inline struct registry *registry_fixture_open(const char *dir, bool is_read_only)
{
	char error[REGISTRY_ERROR_MAX] = "";
	struct registry *registry;

	if (registry_open(&registry, dir, REGISTRY_MAP_MB, is_read_only, error) != ERR_OK)
		fail_msg("%s", error);
	return registry;
}

static inline struct registry_change fixture_change(
	enum claim_event event, const char *domain, const char *tenant)
{
	return (struct registry_change){
		.event = event,
		.domain = text_of(domain),
		.tenant = text_of(tenant),
		.actor = {.uid = 1000, .name = TEXT("alice")},
		.action = "test",
		.now = NOW,
		.rules = &fixture_rules,
	};
}

/* One event; fails the test where the transaction fails. */
static inline struct registry_outcome fixture_event(
	struct registry *registry, enum claim_event event, const char *domain, const char *tenant)
{
	struct registry_change change = fixture_change(event, domain, tenant);
	struct registry_outcome outcome;

	if (registry_change(registry, &change, &outcome) != ERR_OK)
		fail_msg("%s", registry_error(registry));
	return outcome;
}

/* Entries "login" or "login local" of `domain allow`. */
static inline struct registry_sender_outcome fixture_senders(struct registry *registry,
	enum sender_edit edit, const char *domain, const char *tenant, const char *login,
	const char *local, bool is_pending)
{
	struct sender_entry entry = {
		.login = text_of(login), .local = text_of(local), .is_pending = is_pending};
	struct registry_sender_change change = {
		.edit = edit,
		.domain = text_of(domain),
		.tenant = text_of(tenant),
		.entries = &entry,
		.count = login[0] ? 1 : 0,
		.actor = {.uid = 1000, .name = TEXT("alice")},
		.now = NOW,
	};
	struct registry_sender_outcome outcome;

	if (registry_change_senders(registry, &change, &outcome) != ERR_OK)
		fail_msg("%s", registry_error(registry));
	return outcome;
}

static inline struct registry_sender_outcome fixture_allow(
	struct registry *registry, const char *domain, const char *tenant, const char *login)
{
	return fixture_senders(registry, SENDER_ADD, domain, tenant, login, "", false);
}

/* The tenant's claim, CLAIM_NONE: it has none. Its texts are not kept. */
static inline struct claim fixture_claim(
	struct registry *registry, const char *domain, const char *tenant)
{
	struct claim claims[CLAIMS_PER_DOMAIN], found = {.life = {.state = CLAIM_NONE}};
	size_t count;

	assert_true(registry_begin(registry));
	if (registry_claims(registry, text_of(domain), claims, &count) == LOOKUP_FAILED)
		fail_msg("%s", registry_error(registry));
	for (size_t i = 0; i < count; i++)
		if (text_equal(claims[i].tenant, text_of(tenant)))
			found = claims[i];
	registry_end(registry);
	return found;
}

static inline enum claim_state fixture_state(
	struct registry *registry, const char *domain, const char *tenant)
{
	return fixture_claim(registry, domain, tenant).life.state;
}

/* What step 8 is told of login and sender (local@domain). A look that fails is FAILED: also for
 * children, which must not fail a test of their parent. */
static inline struct ownership_fact fixture_fact(
	struct registry *registry, const char *login, const char *sender)
{
	struct ownership_question question = {
		.recipient_delimiter = TEXT("+"), .wants_sender = true};
	static struct login parsed;
	struct ownership_fact fact = {.status = LOOKUP_FAILED};

	address_split(text_of(sender), &question.local, &question.domain);
	assert_true(address_login(&unicode_ops, text_of(login), (struct text){NULL, 0}, &parsed));
	question.login = &parsed;
	if (!registry_begin(registry))
		return fact;
	registry_find(registry, &question, &fact);
	registry_end(registry);
	return fact;
}

static inline void fixture_load(struct registry *registry, enum registry_list list,
	enum registry_load how, const char *lines, struct registry_delta *delta)
{
	struct registry_line parsed[16];
	struct registry_lines load = {.list = list,
		.how = how,
		.lines = parsed,
		.actor = {.uid = 1000, .name = TEXT("alice")},
		.now = NOW};
	char words[16][2][160];
	int used;

	for (; sscanf(lines, "%159s %159s%n", words[load.count][0], words[load.count][1], &used) ==
		2;
		lines += used, load.count++)
		parsed[load.count] = (struct registry_line){.key = text_of(words[load.count][0]),
			.value = list == REGISTRY_TENANTS ? text_of(words[load.count][1])
							  : TEXT("")};
	if (registry_load_lines(registry, &load, delta) != ERR_OK)
		fail_msg("%s", registry_error(registry));
}

static inline void expect_registry_whole(const char *dir)
{
	char error[REGISTRY_ERROR_MAX] = "";

	if (registry_verify_in_child(dir, REGISTRY_MAP_MB, error) != ERR_OK)
		fail_msg("%s", error);
}

static inline struct registry_stat fixture_stat(struct registry *registry)
{
	struct registry_stat stat;

	assert_true(registry_begin(registry));
	assert_int_equal(registry_stat(registry, &stat), LOOKUP_FOUND);
	registry_end(registry);
	return stat;
}

#endif

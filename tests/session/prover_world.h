/*
 * What the tests of the prover share: a clock of the test's own, a scripted resolver, a real register
 * in a folder of its own. Nothing sleeps.
 */
#ifndef TESTS_SESSION_PROVER_WORLD_H
#define TESTS_SESSION_PROVER_WORLD_H
#include "policy/engine/prover.h"

#include <fcntl.h>

#include "tests/fake/fake_resolver.h"
#include "tests/unit/registry_fixture.h"

#define PREFIX  "policyd-verification="
#define MINUTE  60
#define HOUR    3600
#define DAY     86400
#define PAUSE_S 60
#define CROWD   1000

struct world {
	char dir[64];
	char log_path[96];
	int stderr_before;
	int64_t now_s, jumped_s; /* how far the wall clock was set, since the start */
	struct registry *registry;
	struct resolver *resolver;
	struct prover *prover;
	struct ownership_config ownership;
	struct log log;
	struct dns_answer script; /* room for the one that is said next */
};

static inline int64_t read_clock(void *ctx)
{
	return ((const struct world *)ctx)->now_s;
}

static inline int64_t read_steady_clock(void *ctx)
{
	const struct world *world = ctx;

	return (world->now_s - world->jumped_s) * 1000;
}

/* Somebody sets the wall clock. */
static inline void set_clock(struct world *world, int64_t by_s)
{
	world->now_s += by_s;
	world->jumped_s += by_s;
}

static inline struct prover_parts parts_of(struct world *world)
{
	return (struct prover_parts){.resolver = world->resolver,
		.registry = world->registry,
		.ownership = &world->ownership,
		.log = &world->log,
		.unix_s = read_clock,
		.steady_ms = read_steady_clock,
		.clock_ctx = world,
		.actor = {AUDIT_UID_POLICYD, TEXT("policyd")}};
}

/* From here on what the prover logs comes into a file. */
static inline void catch_log(struct world *world)
{
	int fd;

	snprintf(world->log_path, sizeof(world->log_path), "%s/log", world->dir);
	fd = open(world->log_path, O_CREAT | O_RDWR | O_APPEND, 0600);
	assert_true(fd >= 0);
	fflush(stderr);
	world->stderr_before = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* How often it says so. */
static inline unsigned logged(const struct world *world, const char *words)
{
	static char text[65536];
	unsigned times = 0;
	int fd = open(world->log_path, O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	assert_true(len >= 0);
	text[len] = '\0';
	close(fd);
	for (const char *at = text; (at = strstr(at, words)); at++)
		times++;
	return times;
}

static inline int make_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct prover_parts parts;

	assert_non_null(world);
	fixture_make_dir(world->dir);
	log_init(&world->log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "test");
	world->stderr_before = -1;
	world->now_s = NOW;
	world->ownership = (struct ownership_config){
		.label = TEXT("_check"), .prefix = TEXT(PREFIX), .rules = fixture_rules};
	world->registry = registry_fixture_open(world->dir, false);
	world->resolver = fake_resolver_new();
	parts = parts_of(world);
	assert_int_equal(prover_new(&world->prover, &parts), ERR_OK);
	*state = world;
	return 0;
}

static inline int end_world(void **state)
{
	struct world *world = *state;

	if (world->stderr_before >= 0) {
		dup2(world->stderr_before, STDERR_FILENO);
		close(world->stderr_before);
	}
	prover_free(world->prover);
	assert_int_equal(fake_resolver_waiting(world->resolver, NULL), 0);
	resolver_free(world->resolver);
	registry_close(world->registry);
	fixture_remove_dir(world->dir);
	free(world);
	return 0;
}

/* ---- claims ---- */

static inline struct registry_outcome happen(
	struct world *world, enum claim_event event, const char *domain, const char *tenant)
{
	struct registry_change change = fixture_change(event, domain, tenant);
	struct registry_outcome outcome;

	change.now = world->now_s;
	if (registry_change(world->registry, &change, &outcome) != ERR_OK)
		fail_msg("%s", registry_error(world->registry));
	return outcome;
}

static inline struct registry_outcome claim(
	struct world *world, const char *domain, const char *tenant)
{
	return happen(world, CLAIM_ADD, domain, tenant);
}

static inline void assert_state(
	struct world *world, const char *domain, const char *tenant, enum claim_state state)
{
	assert_string_equal(claim_state_name(fixture_state(world->registry, domain, tenant)),
		claim_state_name(state));
}

static inline struct claim_life life_of(struct world *world, const char *domain, const char *tenant)
{
	return fixture_claim(world->registry, domain, tenant).life;
}

static inline void assert_same_life(const struct claim_life *one, const struct claim_life *other)
{
	assert_int_equal(one->state, other->state);
	assert_int_equal(one->created_at, other->created_at);
	assert_int_equal(one->since, other->since);
	assert_int_equal(one->proved_at, other->proved_at);
	assert_int_equal(one->checked_at, other->checked_at);
	assert_int_equal(one->next_check, other->next_check);
	assert_int_equal(one->looks, other->looks);
	assert_int_equal(one->is_tombstone, other->is_tombstone);
}

/* A text of the claim: as in the register, while a look lasts. */
static inline void assert_texts(struct world *world, const char *domain, const char *tenant,
	const char *reason, const char *seen)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	size_t count, found = 0;

	assert_true(registry_begin(world->registry));
	assert_int_equal(
		registry_claims(world->registry, text_of(domain), claims, &count), LOOKUP_FOUND);
	for (size_t i = 0; i < count; i++) {
		if (!text_equal(claims[i].tenant, text_of(tenant)))
			continue;
		assert_string_equal_text(claims[i].reason, reason);
		assert_string_equal_text(claims[i].seen, seen);
		found++;
	}
	registry_end(world->registry);
	assert_int_equal(found, 1);
}

/* ---- the DNS ---- */

static inline const char *name_of(const char *domain)
{
	static char name[DNS_NAME_MAX + 1];

	snprintf(name, sizeof(name), "_check.%.240s", domain);
	return name;
}

static inline void publish(struct world *world, const char *domain, const char *token)
{
	char value[CHALLENGE_VALUE_MAX + 1];

	snprintf(value, sizeof(value), PREFIX "%s", token);
	fake_answer_found(&world->script, 300, value);
	fake_resolver_script(world->resolver, name_of(domain), &world->script);
}

static inline void withdraw(struct world *world, const char *domain)
{
	fake_answer_absent(&world->script, 300);
	fake_resolver_script(world->resolver, name_of(domain), &world->script);
}

static inline void let_fail(struct world *world, const char *domain, enum dns_failure why)
{
	fake_answer_failed(&world->script, why, DNS_RCODE_SERVFAIL);
	fake_resolver_script(world->resolver, name_of(domain), &world->script);
}

static inline unsigned asks(const struct world *world, const char *domain)
{
	return fake_resolver_asks(world->resolver, domain ? name_of(domain) : NULL);
}

static inline unsigned waiting(const struct world *world)
{
	return fake_resolver_waiting(world->resolver, NULL);
}

static inline void answer_now(struct world *world, const char *domain)
{
	assert_int_equal(fake_resolver_answer(world->resolver, name_of(domain), &world->script), 1);
}

/* ---- time ---- */

static inline void tick(struct world *world)
{
	prover_tick(world->prover);
	fake_resolver_run(world->resolver);
}

static inline void pass(struct world *world, int64_t seconds)
{
	for (int64_t end = world->now_s + seconds; world->now_s < end;) {
		world->now_s += end - world->now_s < MINUTE ? end - world->now_s : MINUTE;
		tick(world);
	}
}

/* To when it is looked at next, no question asked. */
static inline void wait_until_due(struct world *world, const char *domain, const char *tenant)
{
	int64_t at = life_of(world, domain, tenant).next_check;

	assert_true(at > 0);
	if (world->now_s < at)
		world->now_s = at;
}

static inline void claim_many(struct world *world)
{
	static struct registry_change changes[CROWD];
	static struct registry_outcome outcomes[CROWD];
	static char domains[CROWD][24];

	for (size_t i = 0; i < CROWD; i++) {
		snprintf(domains[i], sizeof(domains[i]), "d%zu.example", i);
		changes[i] = fixture_change(CLAIM_ADD, domains[i], "acme");
		changes[i].now = world->now_s;
	}
	assert_int_equal(registry_change_all(world->registry, changes, CROWD, outcomes), ERR_OK);
	for (size_t i = 0; i < CROWD; i++)
		publish(world, domains[i], outcomes[i].token);
}

/* ---- looks on demand ---- */

struct looking {
	struct prover_look look;
	unsigned calls;
	enum err err;
	bool has_answer;
	size_t count;
	struct prover_result results[4];
};

static inline void on_looked(struct prover_look *look, enum err err,
	const struct dns_answer *answer, const struct prover_result *results, size_t count)
{
	struct looking *looking = look->owner;

	assert_null(look->place);
	looking->calls++;
	looking->err = err;
	looking->has_answer = answer != NULL;
	looking->count = count;
	assert_true(count <= 4);
	for (size_t i = 0; i < count; i++)
		looking->results[i] = results[i];
}

static inline void look_begin(
	struct world *world, const char *domain, const char *tenant, struct looking *looking)
{
	*looking = (struct looking){.look = {.on_done = on_looked, .owner = looking}};
	assert_int_equal(
		prover_check(world->prover, text_of(domain), text_of(tenant), &looking->look),
		ERR_OK);
	assert_int_equal(looking->calls, 0);
}

static inline void look(
	struct world *world, const char *domain, const char *tenant, struct looking *looking)
{
	look_begin(world, domain, tenant, looking);
	fake_resolver_run(world->resolver);
	assert_int_equal(looking->calls, 1);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

#endif

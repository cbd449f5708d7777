/*
 * What the tests of the TXT source share: a clock of the test's own, a scripted resolver, the real
 * cache in a folder of its own. Nothing sleeps.
 */
#ifndef TESTS_SESSION_TXT_WORLD_H
#define TESTS_SESSION_TXT_WORLD_H

#include "policy/engine/txt_source.h"
#include "tests/fake/fake_resolver.h"
#include "tests/unit/table_fixture.h"

#define NAME   "_l.example.com"
#define RECORD "v=mc1 auth=acct"
#define S      1000 /* milliseconds */

static const struct cache_rules rules = {
	.max_ttl_s = 3600, .negative_max_ttl_s = 300, .stale_s = 86400};

struct world {
	char dir[64];
	int64_t now_ms;
	struct cache *cache;
	struct resolver *resolver;
	struct txt_source *source;
	struct dns_answer script; /* room for the one that is said next */
	struct txt_fact fact;     /* the last, at once or later */
	unsigned facts;           /* that came later */
};

static inline int64_t read_clock(void *ctx)
{
	return ((const struct world *)ctx)->now_ms;
}

static inline struct txt_source_parts parts_of(struct world *world)
{
	return (struct txt_source_parts){.resolver = world->resolver,
		.cache = world->cache,
		.now_ms = read_clock,
		.clock_ctx = world,
		.rules = rules,
		.new_domains = {.per_min = 30, .burst = 20}};
}

static inline struct cache *open_cache(const struct world *world)
{
	struct cache *cache = NULL;
	char error[512] = "";

	if (cache_open(&cache, world->dir, 4, error, sizeof(error)) != ERR_OK)
		fail_msg("%s", error);
	return cache;
}

static inline int make_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct txt_source_parts parts;

	assert_non_null(world);
	fixture_make_dir(world->dir);
	world->now_ms = cache_now_ms();
	world->cache = open_cache(world);
	world->resolver = fake_resolver_new();
	parts = parts_of(world);
	assert_int_equal(txt_source_new(&world->source, &parts), ERR_OK);
	*state = world;
	return 0;
}

static inline int end_world(void **state)
{
	struct world *world = *state;

	fixture_remove_dir(world->dir);
	/* Waits live on the stack of a test that failed: nothing more can be freed then. */
	assert_int_equal(fake_resolver_waiting(world->resolver, NULL), 0);
	txt_source_free(world->source);
	resolver_free(world->resolver);
	cache_close(world->cache);
	free(world);
	return 0;
}

static inline void pass(struct world *world, int64_t ms)
{
	world->now_ms += ms;
}

static inline void copy_fact(struct txt_fact *to, const struct txt_fact *from)
{
	dns_answer_copy(&to->answer, &from->answer);
	to->is_cached = from->is_cached;
	to->is_stale = from->is_stale;
	to->ttl_left_s = from->ttl_left_s;
}

static inline void on_fact(struct txt_wait *wait, const struct txt_fact *fact)
{
	struct world *world = wait->owner;

	copy_fact(&world->fact, fact);
	world->facts++;
}

static inline bool ask_as(
	struct world *world, const char *name, const char *login, struct txt_wait *wait)
{
	*wait = (struct txt_wait){.on_fact = on_fact, .owner = world};
	return txt_ask(world->source, text_of(name), text_of(login), wait, &world->fact);
}

static inline void wait_for(struct world *world, struct txt_wait *wait)
{
	assert_false(ask_as(world, NAME, "alice", wait));
}

/* Asks, and the fact is there without a question to the DNS. */
static inline void ask_now(struct world *world)
{
	struct txt_wait wait;

	assert_true(ask_as(world, NAME, "alice", &wait));
}

/* Asks, and the DNS says what the world's script holds. */
static inline void ask_dns(struct world *world)
{
	struct txt_wait wait;

	wait_for(world, &wait);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
}

static inline void learn(struct world *world, uint32_t ttl_s)
{
	fake_answer_found(&world->script, ttl_s, RECORD);
	ask_dns(world);
}

static inline void let_fail(struct world *world)
{
	fake_answer_failed(&world->script, DNS_FAILURE_RCODE, DNS_RCODE_SERVFAIL);
}

static inline unsigned asks(const struct world *world)
{
	return fake_resolver_asks(world->resolver, NULL);
}

static inline void assert_record(
	const struct world *world, const char *txt, bool is_cached, bool is_stale)
{
	assert_int_equal(world->fact.answer.status, LOOKUP_FOUND);
	assert_int_equal(world->fact.answer.count, 1);
	assert_string_equal_text(world->fact.answer.txt[0], txt);
	assert_int_equal(world->fact.is_cached, is_cached);
	assert_int_equal(world->fact.is_stale, is_stale);
}

static inline void assert_failed(const struct world *world, enum dns_failure why, bool is_cached)
{
	assert_int_equal(world->fact.answer.status, LOOKUP_FAILED);
	assert_int_equal(world->fact.answer.failure, why);
	assert_int_equal(world->fact.is_cached, is_cached);
	assert_false(world->fact.is_stale);
	assert_int_equal(world->fact.ttl_left_s, 0);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

#endif

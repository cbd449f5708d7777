/* TXT records where something is used up, missing, damaged or taken away meanwhile. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/session/txt_world.h"

static void test_our_own_failures_are_not_kept(void **state)
{
	struct world *world = *state;
	static const enum dns_failure ours[] = {DNS_FAILURE_LIMIT, DNS_FAILURE_MEMORY};

	for (size_t i = 0; i < 2; i++) {
		fake_answer_failed(&world->script, ours[i], 0);
		ask_dns(world);
		assert_failed(world, ours[i], false);
	}
	/* a stale answer does not stand in for them either */
	learn(world, 100);
	pass(world, 101 * S);
	for (size_t i = 0; i < 2; i++) {
		fake_answer_failed(&world->script, ours[i], 0);
		ask_dns(world);
		assert_failed(world, ours[i], false);
	}
	let_fail(world);
	ask_dns(world);
	assert_record(world, RECORD, true, true);
}

/* A login that has used up its tokens with names of its own. */
static void exhaust(struct world *world, const char *login)
{
	struct txt_wait wait;
	char name[32];
	unsigned asked = 0;

	for (; asked < 100; asked++) {
		snprintf(name, sizeof(name), "_l.new%u.example", asked);
		if (ask_as(world, name, login, &wait))
			break;
		txt_cancel(&wait);
	}
	assert_int_equal(asked, 20);
	assert_failed(world, DNS_FAILURE_LIMIT, false);
}

static void test_login_pays_for_new_names(void **state)
{
	struct world *world = *state;
	struct txt_wait wait;
	struct cache_entry entry;

	learn(world, 100); /* alice paid for this one ... */
	pass(world, 60 * S);
	exhaust(world, "alice");
	ask_now(world); /* ... which costs nothing any more */
	assert_record(world, RECORD, true, false);
	assert_true(ask_as(world, "_l.one-more.example", "alice", &wait));
	assert_failed(world, DNS_FAILURE_LIMIT, false);
	assert_int_equal(fake_resolver_asks(world->resolver, "_l.one-more.example"), 0);
	assert_int_equal(
		cache_get(world->cache, TEXT("_l.one-more.example"), &entry), LOOKUP_ABSENT);
	/* others go on */
	assert_false(ask_as(world, "_l.one-more.example", "bob", &wait));
	txt_cancel(&wait);
	assert_false(ask_as(world, "_l.one-more.example", "", &wait));
	txt_cancel(&wait);
	/* 30 a minute: the next one after two seconds */
	pass(world, 2 * S + 10);
	assert_false(ask_as(world, "_l.one-more.example", "alice", &wait));
	txt_cancel(&wait);
	assert_true(ask_as(world, "_l.two-more.example", "alice", &wait));
	assert_failed(world, DNS_FAILURE_LIMIT, false);
}

static void test_joining_a_query_is_paid_for(void **state)
{
	struct world *world = *state;
	struct txt_wait first, second;

	exhaust(world, "alice");
	assert_false(ask_as(world, NAME, "bob", &first));
	assert_true(ask_as(world, NAME, "alice", &second));
	assert_failed(world, DNS_FAILURE_LIMIT, false);
	fake_answer_found(&world->script, 100, RECORD);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	ask_now(world);
	assert_record(world, RECORD, true, false);
}

static void test_kept_failure_costs_nothing(void **state)
{
	struct world *world = *state;

	let_fail(world);
	ask_dns(world);
	exhaust(world, "bob");
	for (unsigned i = 0; i < 100; i++) {
		struct txt_wait wait;
		assert_true(ask_as(world, NAME, "bob", &wait));
		assert_failed(world, DNS_FAILURE_RCODE, true);
	}
}

/* The limit is no way round the record: stale is for a DNS that fails. */
static void test_over_the_limit_stale_does_not_help(void **state)
{
	struct world *world = *state;
	struct txt_wait wait;

	learn(world, 100);
	pass(world, 101 * S);
	exhaust(world, "alice");
	ask_now(world);
	assert_failed(world, DNS_FAILURE_LIMIT, false);
	let_fail(world);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 0);
	/* once the DNS is known to fail, it needs no query and no token */
	assert_false(ask_as(world, NAME, "bob", &wait));
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	assert_record(world, RECORD, true, true);
	ask_now(world);
	assert_record(world, RECORD, true, true);
}

static void test_limit_of_zero(void **state)
{
	struct world *world = *state;
	struct txt_source_parts parts = parts_of(world);

	parts.new_domains = (struct bucket_rule){0};
	txt_source_configure(world->source, &parts);
	ask_now(world);
	assert_failed(world, DNS_FAILURE_LIMIT, false);
	assert_int_equal(asks(world), 0);
}

static void test_cancel(void **state)
{
	struct world *world = *state;
	struct txt_wait first, second;

	wait_for(world, &first);
	wait_for(world, &second);
	txt_cancel(&first);
	txt_cancel(&first);
	assert_int_equal(fake_resolver_waiting(world->resolver, NAME), 1);
	fake_answer_found(&world->script, 100, RECORD);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	txt_cancel(&second);
	assert_int_equal(world->facts, 1);
	ask_now(world);
	txt_cancel(&(struct txt_wait){0});
	/* the last one takes the query along */
	pass(world, 101 * S);
	wait_for(world, &first);
	txt_cancel(&first);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 0);
	assert_int_equal(world->facts, 1);
}

/* Whoever cancels does not take a refresh along. */
static void test_cancel_leaves_the_refresh(void **state)
{
	struct world *world = *state;
	struct txt_wait wait;

	learn(world, 100);
	pass(world, 95 * S);
	ask_now(world);
	pass(world, 10 * S);
	wait_for(world, &wait);
	txt_cancel(&wait);
	assert_int_equal(asks(world), 2);
	fake_answer_found(&world->script, 100, "v=mc1 auth=next");
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	ask_now(world);
	assert_record(world, "v=mc1 auth=next", true, false);
}

static void on_fact_ask_again(struct txt_wait *wait, const struct txt_fact *fact)
{
	struct world *world = wait->owner;

	assert_int_equal(fact->answer.status, LOOKUP_FOUND);
	wait->on_fact = on_fact;
	assert_false(
		txt_ask(world->source, TEXT("_l.next.example"), TEXT("alice"), wait, &world->fact));
}

/* The other readings of a sender are asked for from within the callback, with the same wait. */
static void test_asks_again_in_the_callback(void **state)
{
	struct world *world = *state;
	struct txt_wait wait;

	fake_answer_found(&world->script, 100, RECORD);
	wait_for(world, &wait);
	wait.on_fact = on_fact_ask_again;
	fake_resolver_script(world->resolver, "*", &world->script);
	assert_int_equal(fake_resolver_run(world->resolver), 2);
	assert_int_equal(world->facts, 1);
	assert_record(world, RECORD, false, false);
	assert_int_equal(fake_resolver_asks(world->resolver, "_l.next.example"), 1);
}

static void test_without_a_cache(void **state)
{
	struct world *world = *state;
	struct txt_source_parts parts = parts_of(world);

	parts.cache = NULL;
	txt_source_configure(world->source, &parts);
	learn(world, 100);
	assert_record(world, RECORD, false, false);
	assert_int_equal(world->fact.ttl_left_s, 100);
	learn(world, 100);
	let_fail(world);
	ask_dns(world);
	assert_failed(world, DNS_FAILURE_RCODE, false);
	ask_dns(world);
	assert_int_equal(asks(world), 4);
}

static void test_without_a_resolver(void **state)
{
	struct world *world = *state;
	struct txt_source_parts parts = parts_of(world);

	learn(world, 100);
	pass(world, 95 * S);
	ask_now(world); /* a refresh is under way, and ends with its resolver */
	parts.resolver = NULL;
	txt_source_configure(world->source, &parts);
	assert_int_equal(fake_resolver_waiting(world->resolver, NULL), 0);
	ask_now(world);
	assert_record(world, RECORD, true, false);
	pass(world, 10 * S);
	ask_now(world);
	assert_record(world, RECORD, true, true);
	pass(world, (int64_t)rules.stale_s * S);
	for (unsigned i = 0; i < 100; i++) {
		ask_now(world);
		assert_failed(world, DNS_FAILURE_NETWORK, false);
	}
}

/* Its place is free for the new resolver. */
static void test_refresh_after_another_resolver(void **state)
{
	struct world *world = *state;
	struct txt_source_parts parts = parts_of(world);
	struct resolver *old = world->resolver;

	learn(world, 100);
	pass(world, 95 * S);
	ask_now(world);
	world->resolver = parts.resolver = fake_resolver_new();
	txt_source_configure(world->source, &parts);
	resolver_free(old);
	ask_now(world);
	assert_int_equal(fake_resolver_waiting(world->resolver, NAME), 1);
	fake_answer_found(&world->script, 100, RECORD);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
}

static void use_cache(struct world *world, struct cache *cache)
{
	struct txt_source_parts parts;

	world->cache = cache;
	parts = parts_of(world);
	txt_source_configure(world->source, &parts);
}

/* One bit of the record in the file; the env is closed meanwhile. */
static void damage_record(struct world *world)
{
	static char bytes[8 << 20];
	char path[96];
	unsigned hits = 0;
	ssize_t len;
	int fd;

	cache_close(world->cache);
	snprintf(path, sizeof(path), "%s/data.mdb", world->dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	len = read(fd, bytes, sizeof(bytes));
	for (ssize_t i = 0; i + (ssize_t)sizeof(RECORD) - 1 <= len; i++)
		if (memcmp(bytes + i, RECORD, sizeof(RECORD) - 1) == 0) {
			assert_int_equal(pwrite(fd, "V", 1, i), 1);
			hits++;
		}
	close(fd);
	assert_true(hits > 0);
	use_cache(world, open_cache(world));
}

static void test_damaged_entry_is_none(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	damage_record(world);
	fake_answer_found(&world->script, 100, "v=mc1 auth=other");
	ask_dns(world);
	assert_record(world, "v=mc1 auth=other", false, false);
	ask_now(world);
	assert_record(world, "v=mc1 auth=other", true, false);
}

static void test_damaged_entry_is_not_stale_either(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	pass(world, 101 * S);
	damage_record(world);
	let_fail(world);
	ask_dns(world);
	assert_failed(world, DNS_FAILURE_RCODE, false);
}

static void test_cache_that_takes_nothing(void **state)
{
	struct world *world = *state;
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct txt_wait wait;
		fake_answer_found(&world->script, 100, RECORD);
		bool is_at_once = ask_as(world, NAME, "alice", &wait);
		unsigned answered = fake_resolver_answer(world->resolver, NAME, &world->script);
		if (is_at_once || answered != 1) {
			(void)setrlimit(RLIMIT_FSIZE, &before);
			fail_msg("the DNS was not asked");
		}
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_record(world, RECORD, false, false);
	assert_int_equal(world->fact.ttl_left_s, 100);
	learn(world, 100);
	ask_now(world);
	assert_record(world, RECORD, true, false);
}

static void flush(struct world *world, const char *name)
{
	uint64_t removed = 0;

	assert_int_equal(cache_flush(world->cache, text_of(name), &removed), ERR_OK);
	assert_int_equal(removed, 1);
}

static void test_flush(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	flush(world, NAME);
	fake_answer_found(&world->script, 100, "v=mc1 auth=other");
	ask_dns(world);
	assert_record(world, "v=mc1 auth=other", false, false);
	flush(world, "");
	learn(world, 100);
	assert_int_equal(asks(world), 3);
}

/* What was flushed does not come back as a stale answer, and the answer under way is kept. */
static void test_flush_while_a_query_is_in_flight(void **state)
{
	struct world *world = *state;
	struct txt_wait wait;

	learn(world, 100);
	pass(world, 101 * S);
	wait_for(world, &wait);
	flush(world, NAME);
	let_fail(world);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	assert_failed(world, DNS_FAILURE_RCODE, false);
	pass(world, CACHE_FAILED_S * S + 10);
	wait_for(world, &wait);
	flush(world, "");
	fake_answer_found(&world->script, 100, "v=mc1 auth=other");
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	assert_record(world, "v=mc1 auth=other", false, false);
	ask_now(world);
	assert_record(world, "v=mc1 auth=other", true, false);
}

/* Another worker had an answer while our query failed. */
static void test_answer_of_another_worker(void **state)
{
	struct world *world = *state;
	struct cache_entry entry;
	struct txt_wait wait;

	wait_for(world, &wait);
	pass(world, 1 * S);
	fake_answer_found(&world->script, 100, RECORD);
	cache_entry_update(&entry, NULL, &world->script, world->now_ms, &rules);
	cache_put(world->cache, TEXT(NAME), &entry);
	pass(world, 1 * S);
	let_fail(world);
	assert_int_equal(fake_resolver_answer(world->resolver, NAME, &world->script), 1);
	assert_record(world, RECORD, true, false);
	assert_int_equal(world->fact.ttl_left_s, 99);
}

static void test_free_with_a_refresh_under_way(void **state)
{
	struct world *world = *state;

	learn(world, 100);
	pass(world, 95 * S);
	ask_now(world);
	txt_source_free(world->source);
	world->source = NULL;
	assert_int_equal(fake_resolver_waiting(world->resolver, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_our_own_failures_are_not_kept),
		WORLD(test_login_pays_for_new_names),
		WORLD(test_joining_a_query_is_paid_for),
		WORLD(test_kept_failure_costs_nothing),
		WORLD(test_over_the_limit_stale_does_not_help),
		WORLD(test_limit_of_zero),
		WORLD(test_cancel),
		WORLD(test_cancel_leaves_the_refresh),
		WORLD(test_asks_again_in_the_callback),
		WORLD(test_without_a_cache),
		WORLD(test_without_a_resolver),
		WORLD(test_refresh_after_another_resolver),
		WORLD(test_damaged_entry_is_none),
		WORLD(test_damaged_entry_is_not_stale_either),
		WORLD(test_cache_that_takes_nothing),
		WORLD(test_flush),
		WORLD(test_flush_while_a_query_is_in_flight),
		WORLD(test_answer_of_another_worker),
		WORLD(test_free_with_a_refresh_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The prover's looks on demand, what changes while it asks, and a register that fails. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "policy/data/store.h"
#include "tests/session/prover_world.h"

/* ---- looks on demand ---- */

static void test_look_at_a_domain(void **state)
{
	struct world *world = *state;
	struct registry_outcome acme = claim(world, "one.example", "acme");
	struct looking looking;

	claim(world, "one.example", "beta");
	happen(world, CLAIM_HOST, "two.example", "acme");
	publish(world, "one.example", acme.token);
	look(world, "one.example", "", &looking);
	assert_int_equal(looking.err, ERR_OK);
	assert_true(looking.has_answer);
	assert_int_equal(looking.count, 2);
	assert_string_equal(looking.results[0].tenant, "acme");
	assert_int_equal(looking.results[0].word, CHALLENGE_PROVED);
	assert_int_equal(looking.results[0].outcome.before, CLAIM_PENDING);
	assert_int_equal(looking.results[0].outcome.after, CLAIM_VERIFIED);
	assert_string_equal(looking.results[1].tenant, "beta");
	assert_int_equal(looking.results[1].word, CHALLENGE_OTHER_TOKEN);
	assert_int_equal(looking.results[1].outcome.after, CLAIM_PENDING);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
}

static void test_look_at_one_tenant(void **state)
{
	struct world *world = *state;
	struct claim_life acme, after;
	struct looking looking;

	claim(world, "one.example", "acme");
	publish(world, "one.example", claim(world, "one.example", "beta").token);
	acme = life_of(world, "one.example", "acme");
	look(world, "one.example", "beta", &looking);
	assert_int_equal(looking.count, 1);
	assert_string_equal(looking.results[0].tenant, "beta");
	assert_state(world, "one.example", "beta", CLAIM_VERIFIED);
	after = life_of(world, "one.example", "acme");
	assert_same_life(&after, &acme);
}

static void test_look_at_what_the_dns_has_no_say_in(void **state)
{
	struct world *world = *state;
	struct looking looking;

	fake_answer_absent(&world->script, 60);
	fake_resolver_script(world->resolver, "*", &world->script);
	claim(world, "one.example", "acme");
	happen(world, CLAIM_HOST, "hosted.example", "acme");
	happen(world, CLAIM_PIN, "pinned.example", "acme");
	claim(world, "removed.example", "acme");
	happen(world, CLAIM_REMOVE, "removed.example", "acme");
	look(world, "none.example", "", &looking);
	assert_int_equal(looking.err, ERR_ABSENT);
	look(world, "one.example", "beta", &looking);
	assert_int_equal(looking.err, ERR_ABSENT);
	look(world, "hosted.example", "", &looking);
	assert_int_equal(looking.err, ERR_ABSENT);
	look(world, "pinned.example", "acme", &looking);
	assert_int_equal(looking.err, ERR_ABSENT);
	look(world, "removed.example", "", &looking);
	assert_int_equal(looking.err, ERR_ABSENT);
	assert_false(looking.has_answer);
	assert_int_equal(looking.count, 0);
	assert_state(world, "removed.example", "acme", CLAIM_REMOVED);
}

struct audited {
	char actor[32];
	uint32_t uid;
};

static bool on_newest(void *ctx, const struct audit_entry *entry)
{
	struct audited *audited = ctx;

	snprintf(audited->actor, sizeof(audited->actor), "%.*s", TEXT_ARG(entry->actor));
	audited->uid = entry->uid;
	return false;
}

static struct audited newest_audit(struct world *world)
{
	struct audited audited = {.uid = 0};

	assert_true(registry_begin(world->registry));
	assert_int_equal(
		registry_scan_audit(world->registry, 0, true, on_newest, &audited), LOOKUP_FOUND);
	registry_end(world->registry);
	return audited;
}

/* Whoever asked for the look has done what came of it; of a round it is the daemon. */
static void test_who_did_it(void **state)
{
	struct world *world = *state;
	struct looking looking = {.look = {.on_done = on_looked,
					  .owner = &looking,
					  .actor = {.uid = 1001, .name = TEXT("mary")}}};

	publish(world, "one.example", claim(world, "one.example", "acme").token);
	publish(world, "two.example", claim(world, "two.example", "acme").token);
	assert_int_equal(
		prover_check(world->prover, TEXT("one.example"), TEXT(""), &looking.look), ERR_OK);
	fake_resolver_run(world->resolver);
	assert_string_equal(newest_audit(world).actor, "mary");
	assert_int_equal(newest_audit(world).uid, 1001);
	pass(world, 2 * MINUTE);
	assert_state(world, "two.example", "acme", CLAIM_VERIFIED);
	assert_string_equal(newest_audit(world).actor, "policyd");
	assert_true(newest_audit(world).uid == AUDIT_UID_POLICYD);
}

/* It says so where a limit of ours ends it: nothing was found out, and nothing is the domain's. */
static void test_look_that_finds_out_nothing(void **state)
{
	struct world *world = *state;
	struct looking looking;

	claim(world, "one.example", "acme");
	let_fail(world, "one.example", DNS_FAILURE_TIMEOUT);
	look(world, "one.example", "acme", &looking);
	assert_int_equal(looking.err, ERR_OK);
	assert_int_equal(looking.results[0].word, CHALLENGE_UNKNOWN);
	assert_int_equal(looking.results[0].outcome.word, CLAIM_KEPT);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
}

static void test_cancel(void **state)
{
	struct world *world = *state;
	struct looking first, second;

	publish(world, "one.example", claim(world, "one.example", "acme").token);
	look_begin(world, "one.example", "", &first);
	look_begin(world, "one.example", "", &second);
	prover_cancel(&first.look);
	prover_cancel(&first.look);
	fake_resolver_run(world->resolver);
	assert_int_equal(first.calls, 0);
	assert_int_equal(second.calls, 1);
	prover_cancel(&second.look);
}

static void test_free_in_flight(void **state)
{
	struct world *world = *state;
	struct looking looking;

	claim(world, "one.example", "acme");
	claim(world, "two.example", "acme");
	look_begin(world, "one.example", "", &looking);
	prover_cancel(&looking.look);
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	assert_int_equal(waiting(world), 2);
	prover_free(world->prover);
	world->prover = NULL;
	assert_int_equal(waiting(world), 0);
	fake_resolver_run(world->resolver);
}

/* A look goes beside a round for the same name and neither spoils the other. */
static void test_look_beside_a_round(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");
	struct looking looking;

	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	look_begin(world, "one.example", "", &looking);
	assert_int_equal(asks(world, NULL), 1);
	publish(world, "one.example", added.token);
	fake_resolver_run(world->resolver);
	assert_int_equal(looking.calls, 1);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
	assert_int_equal(waiting(world), 0);
}

static void test_another_label(void **state)
{
	struct world *world = *state;
	struct prover_parts parts;

	claim(world, "one.example", "acme");
	world->ownership.label = TEXT("_other");
	parts = parts_of(world);
	prover_configure(world->prover, &parts);
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	assert_int_equal(fake_resolver_asks(world->resolver, "_other.one.example"), 1);
}

/* ---- what changes meanwhile ---- */

/* Two of a round: the first is answered and judged, and waits for the second to be written. */
static void begin_two(struct world *world, const char *first_token)
{
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	assert_int_equal(waiting(world), 2);
	publish(world, "one.example", first_token);
	answer_now(world, "one.example");
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
}

static void end_two(struct world *world, const char *second_token)
{
	publish(world, "two.example", second_token);
	answer_now(world, "two.example");
	assert_state(world, "two.example", "acme", CLAIM_VERIFIED);
}

static void test_token_changed_meanwhile(void **state)
{
	struct world *world = *state;
	struct registry_outcome one = claim(world, "one.example", "acme");
	struct registry_outcome two = claim(world, "two.example", "acme");
	struct claim_life anew;
	struct claim_life after;

	catch_log(world);
	begin_two(world, one.token);
	happen(world, CLAIM_REMOVE, "one.example", "acme");
	assert_string_not_equal(claim(world, "one.example", "acme").token, one.token);
	anew = life_of(world, "one.example", "acme");
	end_two(world, two.token);
	after = life_of(world, "one.example", "acme");
	assert_same_life(&after, &anew);
	assert_int_equal(logged(world, "error"), 0);
}

static void test_forgotten_meanwhile(void **state)
{
	struct world *world = *state;
	struct registry_outcome one = claim(world, "one.example", "acme");
	struct registry_outcome two = claim(world, "two.example", "acme");
	struct registry_change change = fixture_change(CLAIM_REMOVE, "one.example", "acme");
	struct registry_outcome outcome;

	catch_log(world);
	begin_two(world, one.token);
	assert_int_equal(registry_forget(world->registry, &change, &outcome), ERR_OK);
	end_two(world, two.token);
	assert_state(world, "one.example", "acme", CLAIM_NONE);
	assert_int_equal(logged(world, "error"), 0);
}

/* As a person's command does while the answer is on its way. */
static void test_removed_before_the_answer(void **state)
{
	struct world *world = *state;
	struct registry_outcome one = claim(world, "one.example", "acme");

	publish(world, "one.example", one.token);
	world->now_s += 2 * MINUTE;
	prover_tick(world->prover);
	happen(world, CLAIM_REMOVE, "one.example", "acme");
	fake_resolver_run(world->resolver);
	assert_state(world, "one.example", "acme", CLAIM_REMOVED);
	pass(world, HOUR);
	assert_int_equal(asks(world, NULL), 1);
}

/* ---- a register that fails ---- */

/* No file may grow past a page: the log can be written, the register cannot. */
static void let_writes_fail(bool is_on)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_on ? 4096 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_cannot_be_written(void **state)
{
	struct world *world = *state;
	struct registry_outcome added = claim(world, "one.example", "acme");
	struct looking looking;

	catch_log(world);
	publish(world, "one.example", added.token);
	let_writes_fail(true);
	world->now_s += 2 * MINUTE;
	tick(world);
	assert_int_equal(asks(world, NULL), 1);
	assert_int_equal(logged(world, "re-checks of domains stand still for 60 seconds: "), 1);
	world->now_s += PAUSE_S - 1;
	tick(world);
	assert_int_equal(asks(world, NULL), 1);
	look(world, "one.example", "", &looking);
	assert_true(looking.err != ERR_OK && looking.err != ERR_ABSENT);
	assert_false(looking.has_answer);
	assert_int_equal(logged(world, "the look at one.example came to nothing: "), 1);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
	let_writes_fail(false);
	world->now_s++;
	tick(world);
	assert_state(world, "one.example", "acme", CLAIM_VERIFIED);
}

/* Whatever becomes of the wall clock: the pause is as long as it was to be. */
static void test_pause_and_the_clock(void **state)
{
	struct world *world = *state;
	static const int64_t jumps[] = {-10 * DAY, 1000 * DAY};

	catch_log(world);
	publish(world, "one.example", claim(world, "one.example", "acme").token);
	world->now_s += 2 * MINUTE;
	for (unsigned i = 0; i < 2; i++) {
		let_writes_fail(true);
		tick(world);
		let_writes_fail(false);
		assert_int_equal(logged(world, "stand still"), i + 1);
		assert_int_equal(asks(world, NULL), i + 1);
		set_clock(world, jumps[i]);
		world->now_s += PAUSE_S - 1;
		tick(world);
		assert_int_equal(asks(world, NULL), i + 1);
		world->now_s++;
		if (i == 0)
			continue;
		tick(world);
		assert_int_equal(asks(world, NULL), i + 2);
	}
}

/* Claims until nothing fits any more: so many. */
static int fill_up(struct world *world)
{
	int count = 0;
	char domain[32];
	struct registry_change change;
	struct registry_outcome outcome;

	registry_close(world->registry);
	world->registry = NULL;
	assert_int_equal(registry_open(&world->registry, world->dir, 1, false,
				 (char[REGISTRY_ERROR_MAX]){""}),
		ERR_OK);
	do {
		snprintf(domain, sizeof(domain), "d%d.example", count++);
		change = fixture_change(CLAIM_ADD, domain, "acme");
	} while (registry_change(world->registry, &change, &outcome) == ERR_OK);
	return count - 1;
}

/* What does not find room together may find it one by one. */
static void test_near_full(void **state)
{
	struct world *world = *state;
	int count = fill_up(world);
	struct prover_parts parts = parts_of(world);
	unsigned checked = 0;
	char domain[32];

	prover_configure(world->prover, &parts);
	catch_log(world);
	assert_true(count > PROVER_BATCH);
	for (int i = 0; i < count; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		fake_answer_absent(&world->script, 300);
		fake_resolver_script(world->resolver, name_of(domain), &world->script);
	}
	world->now_s += 2 * MINUTE;
	tick(world);
	for (int i = 0; i < count; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		checked += life_of(world, domain, "acme").checked_at == world->now_s;
	}
	assert_true(checked > 0);
	assert_int_equal(logged(world, "no room for"), 1);
	/* The next round's found none at all. */
	assert_int_equal(logged(world, "stand still"), 1);
}

/* Another process writes nonsense behind a key: claims are database 1, those due 3. */
static void damage_at(const struct world *world, unsigned db, const struct registry_key *key)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store_options options = {.map_bytes = (size_t)REGISTRY_MAP_MB << 20,
			.dbs = {"meta", "claims", "senders", "due", "tenants", "accounts",
				"audit"}};
		struct store *store;
		char path[96];

		snprintf(path, sizeof(path), "%s/register", world->dir);
		options.dir = path;
		if (store_open(&store, &options, NULL, 0) != ERR_OK ||
			store_write_begin(store) != ERR_OK ||
			store_put(store, db, (struct text){(const char *)key->bytes, key->len},
				TEXT("no encoder wrote this")) != ERR_OK ||
			store_write_commit(store) != ERR_OK)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void damage(const struct world *world, const char *domain)
{
	struct registry_key key;

	registry_key_of_domain(text_of(domain), &key);
	damage_at(world, 1, &key);
}

/* Nobody can say whose claim it is; the others do not wait for it. */
static void test_damaged_place_among_those_due(void **state)
{
	struct world *world = *state;
	struct registry_key key;
	struct claim_life one;

	catch_log(world);
	publish(world, "one.example", claim(world, "one.example", "acme").token);
	publish(world, "two.example", claim(world, "two.example", "acme").token);
	one = life_of(world, "one.example", "acme");
	registry_key_of_due(one.next_check, TEXT("one.example"), TEXT("acme"), &key);
	damage_at(world, 3, &key);
	pass(world, HOUR);
	assert_state(world, "two.example", "acme", CLAIM_VERIFIED);
	assert_state(world, "one.example", "acme", CLAIM_PENDING);
	assert_int_equal(logged(world, "stand still"), 0);
	assert_int_equal(logged(world, "places among those due: 1 cannot be read"), 1);
}

static void test_damaged_before_the_answer(void **state)
{
	struct world *world = *state;
	struct registry_outcome two = claim(world, "two.example", "acme");

	catch_log(world);
	publish(world, "one.example", claim(world, "one.example", "acme").token);
	publish(world, "two.example", two.token);
	damage(world, "one.example");
	world->now_s += 2 * MINUTE;
	tick(world);
	assert_state(world, "two.example", "acme", CLAIM_VERIFIED);
	assert_int_equal(logged(world, "the claims on one.example are not re-checked"), 1);
	assert_int_equal(logged(world, "stand still"), 0);
	/* It stays due, and is not asked about each second for ever. */
	world->now_s++;
	tick(world);
	assert_int_equal(asks(world, "one.example"), 1);
	world->now_s += PAUSE_S;
	tick(world);
	assert_int_equal(asks(world, "one.example"), 2);
	assert_int_equal(asks(world, "two.example"), 1);
}

static void test_damaged_before_it_was_written(void **state)
{
	struct world *world = *state;
	struct registry_outcome one = claim(world, "one.example", "acme");
	struct registry_outcome two = claim(world, "two.example", "acme");

	catch_log(world);
	begin_two(world, one.token);
	damage(world, "one.example");
	end_two(world, two.token);
	assert_int_equal(logged(world, "the claims on one.example are not re-checked"), 1);
	assert_int_equal(logged(world, "stand still"), 0);
	pass(world, HOUR);
	assert_in_range(asks(world, "one.example"), 30, 62);
}

static void test_look_at_a_damaged_one(void **state)
{
	struct world *world = *state;
	struct looking looking;

	catch_log(world);
	publish(world, "one.example", claim(world, "one.example", "acme").token);
	damage(world, "one.example");
	look(world, "one.example", "", &looking);
	assert_int_equal(looking.err, ERR_DAMAGED);
	assert_int_equal(logged(world, "the look at one.example came to nothing: "), 1);
}

/* More damaged ones than a round holds do not keep the others out for ever, nor are they asked
 * about without end. */
static void test_many_with_damaged_ones(void **state)
{
	struct world *world = *state;

	catch_log(world);
	claim_many(world);
	damage(world, "d7.example");
	damage(world, "d500.example");
	world->now_s += 2 * MINUTE;
	tick(world);
	assert_int_equal(fake_resolver_waiting(world->resolver, NULL), 0);
	assert_in_range(asks(world, NULL), CROWD, CROWD + 2 * CROWD / PROVER_BATCH);
	for (int i = 0; i < CROWD; i++) {
		char domain[24];

		if (i == 7 || i == 500)
			continue;
		snprintf(domain, sizeof(domain), "d%d.example", i);
		assert_state(world, domain, "acme", CLAIM_VERIFIED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_look_at_a_domain),
		WORLD(test_look_at_one_tenant),
		WORLD(test_look_at_what_the_dns_has_no_say_in),
		WORLD(test_look_that_finds_out_nothing),
		WORLD(test_who_did_it),
		WORLD(test_cancel),
		WORLD(test_free_in_flight),
		WORLD(test_look_beside_a_round),
		WORLD(test_another_label),
		WORLD(test_token_changed_meanwhile),
		WORLD(test_forgotten_meanwhile),
		WORLD(test_removed_before_the_answer),
		WORLD(test_cannot_be_written),
		WORLD(test_pause_and_the_clock),
		WORLD(test_near_full),
		WORLD(test_damaged_place_among_those_due),
		WORLD(test_damaged_before_the_answer),
		WORLD(test_damaged_before_it_was_written),
		WORLD(test_look_at_a_damaged_one),
		WORLD(test_many_with_damaged_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

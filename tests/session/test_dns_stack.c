/* Cache, resolver and source put together: what one turn of the loop put is written before the loop
 * waits, and for one who asks question by question at once. */
#include <sys/wait.h>

#include "policy/engine/dns_stack.h"
#include "tests/fake/fake_resolver.h"
#include "tests/unit/table_fixture.h"

struct stack {
	char dir[64], cache[80];
	struct config config;
	struct ev_loop *loop;
	struct log log;
	struct dns_stack dns;
};

static int setup(void **state)
{
	struct stack *stack = calloc(1, sizeof(*stack));

	assert_non_null(stack);
	fixture_make_dir(stack->dir);
	snprintf(stack->cache, sizeof(stack->cache), "%s/cache", stack->dir);
	stack->config.lockdown.is_enabled = true;
	stack->config.cache_dir = stack->cache;
	stack->config.cache_max_mb = 1;
	stack->config.cache_rules = (struct cache_rules){3600, 300, 86400};
	stack->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(stack->loop);
	*state = stack;
	return 0;
}

static int teardown(void **state)
{
	struct stack *stack = *state;

	dns_stack_close(&stack->dns);
	ev_loop_destroy(stack->loop);
	fixture_remove_dir(stack->dir);
	free(stack);
	return 0;
}

static void open_stack(struct stack *stack)
{
	assert_int_equal(
		dns_stack_open(&stack->dns, &stack->config, stack->loop, &stack->log), ERR_OK);
	assert_non_null(stack->dns.cache);
}

static void put(struct stack *stack, const char *name)
{
	static struct cache_entry entry;
	static struct dns_answer answer;

	fake_answer_found(&answer, 100, "v=mc1 auth=acct");
	cache_entry_update(&entry, NULL, &answer, cache_now_ms(), &stack->config.cache_rules);
	cache_put(stack->dns.cache, text_of(name), &entry);
}

static bool another_sees(const struct stack *stack, const char *name)
{
	static struct cache_entry entry;
	struct cache *cache;
	char error[512];
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(cache_open(&cache, stack->cache, 1, error, sizeof(error)) == ERR_OK &&
					cache_get(cache, text_of(name), &entry) == LOOKUP_FOUND
				? 0
				: 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_written_before_the_loop_waits(void **state)
{
	struct stack *stack = *state;

	open_stack(stack);
	put(stack, "_l.a.example");
	assert_false(another_sees(stack, "_l.a.example"));
	ev_run(stack->loop, EVRUN_NOWAIT);
	assert_true(another_sees(stack, "_l.a.example"));
}

/* The owner of the stack put another cache in its place. */
static void test_another_cache(void **state)
{
	struct stack *stack = *state;
	char error[512];

	open_stack(stack);
	cache_close(stack->dns.cache);
	stack->dns.cache = NULL;
	assert_int_equal(dns_stack_configure(&stack->dns, &stack->config), ERR_OK);
	ev_run(stack->loop, EVRUN_NOWAIT);
	assert_int_equal(
		cache_open(&stack->dns.cache, stack->cache, 1, error, sizeof(error)), ERR_OK);
	assert_int_equal(dns_stack_configure(&stack->dns, &stack->config), ERR_OK);
	put(stack, "_l.a.example");
	assert_false(another_sees(stack, "_l.a.example"));
	ev_run(stack->loop, EVRUN_NOWAIT);
	assert_true(another_sees(stack, "_l.a.example"));
}

/* Nothing here keeps a loop running that has nothing else to do. */
static void test_keeps_no_loop_alive(void **state)
{
	struct stack *stack = *state;

	open_stack(stack);
	put(stack, "_l.a.example");
	alarm(30); /* a loop that is kept running never ends */
	ev_run(stack->loop, 0);
	dns_stack_close(&stack->dns);
	open_stack(stack);
	put(stack, "_l.b.example");
	dns_stack_close(&stack->dns);
	assert_true(another_sees(stack, "_l.a.example"));
	assert_true(another_sees(stack, "_l.b.example"));
	ev_run(stack->loop, 0);
	alarm(0);
}

static void test_written_at_once_by_one_who_makes_no_cache(void **state)
{
	struct stack *stack = *state;

	open_stack(stack);
	dns_stack_close(&stack->dns);
	stack->dns.makes_no_cache = true;
	open_stack(stack);
	put(stack, "_l.a.example");
	assert_true(another_sees(stack, "_l.a.example"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_written_before_the_loop_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keeps_no_loop_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_written_at_once_by_one_who_makes_no_cache, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

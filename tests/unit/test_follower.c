/* The follower and the programs it runs: a register in a folder of its own, hooks that are small
 * scripts, libev's real loop. What the follower logs comes into a file, what a hook is told too. */
#include "policyd/follower.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/unit/registry_fixture.h"

#define PREFIX    "policyd-verification="
#define LONGEST_S 20 /* until a test that waits for something has failed */
#define BYTES     65536

struct world {
	char dir[64];
	int stderr_before;
	struct ev_loop *loop;
	struct log log;
	struct registry *registry;
	struct follower *follower;
	char hook[128];
	char text[BYTES]; /* of the file read last */
};

static const char *path_in(const struct world *world, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	return path;
}

/* What the file of that name holds, "" when it is not there. */
static const char *file_text(struct world *world, const char *name)
{
	int fd = open(path_in(world, name), O_RDONLY);
	ssize_t len = fd >= 0 ? read(fd, world->text, BYTES - 1) : 0;

	if (fd >= 0)
		close(fd);
	world->text[len > 0 ? len : 0] = '\0';
	return world->text;
}

static unsigned times_in(struct world *world, const char *name, const char *words)
{
	unsigned times = 0;

	for (const char *at = file_text(world, name); (at = strstr(at, words)); at++)
		times++;
	return times;
}

static void script_at(
	char *path, size_t size, const struct world *world, const char *name, const char *lines)
{
	FILE *file = fopen(path_in(world, name), "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\ncd %s || exit 99\n%s\n", world->dir, lines);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path_in(world, name), 0700), 0);
	if (path)
		snprintf(path, size, "%s", path_in(world, name));
}

/* The lines run in the world's folder for each change. */
static void set_hook(struct world *world, const char *lines, unsigned max_s)
{
	script_at(world->hook, sizeof(world->hook), world, "hook", lines);
	follower_set_hook(world->follower, world->hook, max_s);
}

static void follow_anew(struct world *world)
{
	assert_int_equal(
		follower_new(&world->follower, world->loop, &world->log, world->registry), ERR_OK);
}

static int make_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	int fd;

	assert_non_null(world);
	fixture_make_dir(world->dir);
	fd = open(path_in(world, "log"), O_CREAT | O_WRONLY | O_APPEND, 0600);
	world->stderr_before = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_init(&world->log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "test");
	world->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	world->registry = registry_fixture_open(world->dir, false);
	follow_anew(world);
	*state = world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;

	follower_free(world->follower);
	registry_close(world->registry);
	ev_loop_destroy(world->loop);
	dup2(world->stderr_before, STDERR_FILENO);
	close(world->stderr_before);
	fixture_remove_dir(world->dir);
	free(world);
	return 0;
}

static void wake(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

/* Runs the loop until the file holds the words so many times. */
static void wait_for(struct world *world, const char *name, const char *words, unsigned times)
{
	time_t end = time(NULL) + LONGEST_S;
	ev_timer timer;

	ev_timer_init(&timer, wake, 0.01, 0.01);
	ev_timer_start(world->loop, &timer);
	while (times_in(world, name, words) < times && time(NULL) < end)
		ev_run(world->loop, EVRUN_ONCE);
	ev_timer_stop(world->loop, &timer);
	/* On stdout, for stderr is the log. */
	if (times_in(world, name, words) != times)
		print_message(
			"%s %u times in %s? It holds:\n%s\n", words, times, name, world->text);
	assert_int_equal(times_in(world, name, words), times);
}

/* As wait_for; then whether more of them come, which would be told of by the last change. */
static void expect_hooks(struct world *world, unsigned times)
{
	wait_for(world, "told", "\n", times);
	fixture_event(world->registry, CLAIM_HOST, "last.example", "acme");
	follower_look(world->follower);
	wait_for(world, "told", "last.example", 1);
	assert_int_equal(times_in(world, "told", "\n"), times + 1);
}

/* ---- the log ---- */

static void test_a_line_for_each_change(void **state)
{
	struct world *world = *state;

	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	fixture_event(world->registry, CLAIM_PIN, "one.example", "acme");
	fixture_allow(world->registry, "one.example", "acme", "joe@x.example");
	follower_look(world->follower);
	follower_look(world->follower);
	assert_int_equal(times_in(world, "log", "register "), 3);
	assert_int_equal(times_in(world, "log",
				 "actor=alice domain=one.example tenant=acme before=none "
				 "after=pending detail=claimed"),
		1);
	assert_int_equal(times_in(world, "log", "before=pending after=pinned"), 1);
}

static void test_goes_on_where_it_was(void **state)
{
	struct world *world = *state;

	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	follower_free(world->follower);
	fixture_event(world->registry, CLAIM_ADD, "two.example", "acme");
	follow_anew(world);
	follower_look(world->follower);
	assert_int_equal(times_in(world, "log", "one.example"), 1);
	assert_int_equal(times_in(world, "log", "two.example"), 1);
}

/* A flood is told of in parts; the rest follows with the next looks. */
static void test_many_changes(void **state)
{
	struct world *world = *state;
	char domain[32];

	for (int i = 0; i < 300; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		fixture_event(world->registry, CLAIM_ADD, domain, "acme");
	}
	follower_look(world->follower);
	assert_int_equal(times_in(world, "log", "d0.example"), 1);
	assert_int_equal(times_in(world, "log", "d299.example"), 0);
	follower_look(world->follower);
	follower_look(world->follower);
	assert_int_equal(times_in(world, "log", "d299.example"), 1);
	assert_int_equal(times_in(world, "log", "register "), 300);
}

/* ---- the hook ---- */

static void test_told_once_of_each_state(void **state)
{
	struct world *world = *state;

	set_hook(world, "echo $POLICYD_DOMAIN $POLICYD_BEFORE $POLICYD_AFTER >>told", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme"); /* no new state */
	fixture_allow(world->registry, "one.example", "acme", "joe@x.example");
	fixture_event(world->registry, CLAIM_PIN, "one.example", "acme");
	fixture_event(world->registry, CLAIM_REMOVE, "one.example", "acme");
	follower_look(world->follower);
	expect_hooks(world, 3);
	assert_string_equal(file_text(world, "told"),
		"one.example none pending\none.example pending pinned\none.example pinned removed\n"
		"last.example none hosted\n");
}

static void test_told_of_what_happened_while_it_was_down(void **state)
{
	struct world *world = *state;

	follower_free(world->follower);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	fixture_event(world->registry, CLAIM_ADD, "two.example", "acme");
	follow_anew(world);
	set_hook(world, "echo $POLICYD_DOMAIN >>told", 10);
	follower_look(world->follower);
	expect_hooks(world, 2);
}

static void test_environment(void **state)
{
	struct world *world = *state;
	struct registry_outcome outcome;
	char expected[1024];

	setenv("SECRET", "not for hooks", 1);
	outcome = fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	assert_int_equal(strlen(outcome.token), CLAIM_TOKEN_LEN);
	/* env(1) alone: a shell adds variables of its own. */
	script_at(world->hook, sizeof(world->hook), world, "hook", "");
	FILE *file = fopen(world->hook, "w");
	fprintf(file,
		"#!/usr/bin/python3\nimport os, sys\nopen('%s/env', 'w').write(''.join(sorted("
		"f'{k}={v}\\n' for k, v in os.environ.items() if k != 'LC_CTYPE')) + "
		"f'{sys.argv[1:]} {os.getsid(0) == os.getpid()} ' + "
		"' '.join(os.readlink(f'/proc/self/fd/{i}') for i in (0, 1)) + '\\n')\n",
		world->dir);
	fclose(file);
	follower_set_hook(world->follower, world->hook, 10);
	follower_look(world->follower);
	wait_for(world, "env", "/dev/null\n", 1);
	snprintf(expected, sizeof(expected), "%s",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin\nPOLICYD_ACTOR=alice\n"
		"POLICYD_AFTER=pending\nPOLICYD_BEFORE=none\nPOLICYD_DOMAIN=one.example\n"
		"POLICYD_NUMBER=1\nPOLICYD_REASON=claimed\nPOLICYD_TENANT=acme\n"
		"POLICYD_TIME=1970-01-12T13:46:40Z\n[] True /dev/null /dev/null\n");
	assert_string_equal(file_text(world, "env"), expected);
	assert_int_equal(times_in(world, "env", outcome.token), 0);
	assert_int_equal(times_in(world, "log", outcome.token), 0);
}

static void test_stderr_is_the_daemons(void **state)
{
	struct world *world = *state;

	set_hook(world, "echo nobody reads this; echo a hook complains >&2", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	wait_for(world, "log", "a hook complains\n", 1);
	assert_int_equal(times_in(world, "log", "nobody reads"), 0);
}

static void test_one_at_a_time(void **state)
{
	struct world *world = *state;

	set_hook(world,
		"mkdir busy || echo two at once >>told\nsleep 0.2\nrmdir busy\n"
		"echo $POLICYD_DOMAIN >>told",
		10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	fixture_event(world->registry, CLAIM_ADD, "two.example", "acme");
	follower_look(world->follower);
	follower_look(world->follower);
	expect_hooks(world, 2);
}

static void test_one_that_fails_is_not_repeated(void **state)
{
	struct world *world = *state;

	set_hook(world, "echo $POLICYD_DOMAIN >>told\nexit 3", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	wait_for(world, "log", "told of change 1: exit status 3; it is not run again for it", 1);
	follower_look(world->follower);
	follower_free(world->follower);
	follow_anew(world);
	follower_set_hook(world->follower, world->hook, 10);
	follower_look(world->follower);
	expect_hooks(world, 1);
}

static void test_one_that_is_killed(void **state)
{
	struct world *world = *state;

	set_hook(world, "kill -SEGV $$", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	wait_for(world, "log", "ended by signal 11", 1);
}

static void test_one_that_cannot_be_started(void **state)
{
	struct world *world = *state;

	follower_set_hook(world->follower, "/nowhere/hook", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	wait_for(world, "log",
		"hook /nowhere/hook, told of change 1: could not be started, or exit status 127",
		1);
	set_hook(world, "echo $POLICYD_DOMAIN >>told", 10);
	follower_look(world->follower);
	expect_hooks(world, 0);
}

/* The process whose pid the file holds is dead, reaped or not. */
static void assert_gone(struct world *world, const char *name)
{
	char path[64], state = 'R';
	long pid;

	pid = strtol(file_text(world, name), NULL, 10);
	assert_true(pid > 1);
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	for (int i = 0; i < 5000 && state != 'Z'; i++) {
		FILE *file = fopen(path, "r");

		if (!file)
			return;
		if (fscanf(file, "%*d %*s %c", &state) != 1)
			state = 'Z';
		fclose(file);
		usleep(1000);
	}
	assert_int_equal(state, 'Z');
}

/* What it started does not outlive it. */
static void test_leaves_nothing_behind(void **state)
{
	struct world *world = *state;

	set_hook(world,
		"case $POLICYD_DOMAIN in one*) sleep 300 & echo $! >child ;; esac\n"
		"echo $POLICYD_DOMAIN >>told",
		10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	expect_hooks(world, 1);
	assert_gone(world, "child");
}

/* SIGTERM means nothing to it, and what it started goes with it. */
static void test_time_limit(void **state)
{
	struct world *world = *state;

	set_hook(world,
		"case $POLICYD_DOMAIN in one*) ;; *) echo $POLICYD_DOMAIN >>told; exit 0 ;; esac\n"
		"trap '' TERM INT HUP\nsleep 300 &\necho $! >child\nwait\nsleep 300",
		1);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	wait_for(world, "log", "told of change 1: killed, for it took longer than seconds: 1;", 1);
	expect_hooks(world, 0);
	assert_gone(world, "child");
	/* Said once. */
	assert_int_equal(times_in(world, "log", "[ownership] hook"), 1);
	assert_int_equal(times_in(world, "log", "signal"), 0);
}

static void test_removed_by_a_reload(void **state)
{
	struct world *world = *state;

	set_hook(world, "echo $POLICYD_DOMAIN >>told; sleep 0.2; exit 4", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	follower_set_hook(world->follower, "", 10);
	fixture_event(world->registry, CLAIM_ADD, "two.example", "acme");
	follower_look(world->follower);
	/* The one that ran is named by what it was. */
	wait_for(world, "log", "/hook, told of change 1: exit status 4", 1);
	wait_for(world, "log", "domain=two.example", 1);
	assert_string_equal(file_text(world, "told"), "one.example\n");
	set_hook(world, "echo $POLICYD_DOMAIN >>told", 10);
	follower_look(world->follower);
	expect_hooks(world, 1);
}

/* The daemon's end kills it; the next start tells of that change again. */
static void test_end_while_it_runs(void **state)
{
	struct world *world = *state;

	set_hook(world, "echo began >>started\nsleep 300\necho $POLICYD_DOMAIN >>told", 10);
	fixture_event(world->registry, CLAIM_ADD, "one.example", "acme");
	follower_look(world->follower);
	wait_for(world, "started", "began", 1);
	follower_free(world->follower);
	follow_anew(world);
	set_hook(world, "echo $POLICYD_DOMAIN >>told", 10);
	follower_look(world->follower);
	expect_hooks(world, 1);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(test_a_line_for_each_change),
		WORLD(test_goes_on_where_it_was),
		WORLD(test_many_changes),
		WORLD(test_told_once_of_each_state),
		WORLD(test_told_of_what_happened_while_it_was_down),
		WORLD(test_environment),
		WORLD(test_stderr_is_the_daemons),
		WORLD(test_one_at_a_time),
		WORLD(test_one_that_fails_is_not_repeated),
		WORLD(test_one_that_is_killed),
		WORLD(test_one_that_cannot_be_started),
		WORLD(test_leaves_nothing_behind),
		WORLD(test_time_limit),
		WORLD(test_removed_by_a_reload),
		WORLD(test_end_while_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

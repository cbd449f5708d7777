/*
 * Time and order of client connections (policyd/conn.c), with a clock of ticks instead of waiting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policyd/conn.h"

#define REQUEST "request=smtpd_access_policy\n\n"
#define IDLE_S  1000

struct world {
	struct conns conns;
	struct log log;
	int client;
	struct conn *waiting; /* a request that `answer` put off */
	bool puts_off;
	unsigned cancelled, closed;
	char later; /* stands for what is waited for */
};

static size_t answer(void *ctx, struct conn *conn, const struct request *request,
	char out[REPLY_MAX], void **later)
{
	struct world *world = ctx;

	(void)request;
	if (world->puts_off) {
		world->puts_off = false;
		world->waiting = conn;
		*later = &world->later;
		return 0;
	}
	memcpy(out, "action=DUNNO\n\n", 14);
	return 14;
}

static void cancel(void *ctx, void *later)
{
	struct world *world = ctx;

	assert_ptr_equal(later, &world->later);
	world->cancelled++;
}

static void on_closed(void *ctx)
{
	((struct world *)ctx)->closed++;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	int pair[2];

	assert_non_null(world);
	log_init(&world->log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR, "test");
	world->conns.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	world->conns.log = &world->log;
	world->conns.max = 10;
	world->conns.idle_timeout_s = IDLE_S;
	world->conns.answer = answer;
	world->conns.cancel = cancel;
	world->conns.on_closed = on_closed;
	world->conns.ctx = world;
	conns_init(&world->conns);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(conns_add(&world->conns, pair[0], false), ERR_OK);
	world->client = pair[1];
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	conns_deinit(&world->conns);
	ev_loop_destroy(world->conns.loop);
	close(world->client);
	free(world);
	return 0;
}

static void say(struct world *world, const char *bytes)
{
	assert_int_equal(send(world->client, bytes, strlen(bytes), 0), strlen(bytes));
	ev_run(world->conns.loop, EVRUN_NOWAIT);
}

/* Everything that was answered by now. */
static void expect(struct world *world, const char *bytes)
{
	char got[256];
	ssize_t len = recv(world->client, got, sizeof(got) - 1, MSG_DONTWAIT);

	got[len > 0 ? len : 0] = 0;
	assert_string_equal(got, bytes);
}

static void pass(struct world *world, unsigned seconds)
{
	while (seconds-- > 0)
		conns_tick(&world->conns);
}

static void test_idle_time(void **state)
{
	struct world *world = *state;

	pass(world, IDLE_S);
	say(world, REQUEST);
	expect(world, "action=DUNNO\n\n");
	pass(world, IDLE_S);
	assert_int_equal(world->closed, 0);
	pass(world, 2);
	assert_int_equal(world->closed, 1);
}

static void test_half_a_request(void **state)
{
	struct world *world = *state;

	say(world, "request=");
	pass(world, CONN_REQUEST_MAX_S);
	assert_int_equal(world->closed, 0);
	pass(world, 2);
	assert_int_equal(world->closed, 1);
}

static void test_answers_keep_their_order(void **state)
{
	struct world *world = *state;

	world->puts_off = true;
	say(world, REQUEST REQUEST REQUEST "request=");
	expect(world, "");
	conn_answer(world->waiting, TEXT("action=REJECT first\n\n"));
	ev_run(world->conns.loop, EVRUN_NOWAIT);
	ev_run(world->conns.loop, EVRUN_NOWAIT);
	expect(world, "action=REJECT first\n\naction=DUNNO\n\naction=DUNNO\n\n");
	say(world, "x\n\n");
	expect(world, "action=DUNNO\n\n");
}

/* What comes while an answer is waited for stays with the kernel, and is not forgotten there. */
static void test_heard_after_waiting(void **state)
{
	struct world *world = *state;

	for (int round = 0; round < 2; round++) {
		world->puts_off = true;
		say(world, REQUEST);
		say(world, REQUEST);
		pass(world, 2);
		expect(world, "");
		conn_answer(world->waiting, TEXT("action=REJECT first\n\n"));
		expect(world, "action=REJECT first\n\n");
		ev_run(world->conns.loop, EVRUN_NOWAIT);
		expect(world, "action=DUNNO\n\n");
	}
	assert_int_equal(world->closed, 0);
}

static void test_waiting_is_not_idle(void **state)
{
	struct world *world = *state;

	world->puts_off = true;
	say(world, REQUEST);
	pass(world, 2 * IDLE_S);
	assert_int_equal(world->closed, 0);
	assert_false(conns_evict(&world->conns));
	conn_answer(world->waiting, TEXT("action=DUNNO\n\n"));
	expect(world, "action=DUNNO\n\n");
}

static void test_end_cancels(void **state)
{
	struct world *world = *state;

	world->puts_off = true;
	say(world, REQUEST);
	conns_deinit(&world->conns);
	assert_int_equal(world->cancelled, 1);
	assert_int_equal(world->closed, 1);
}

static void test_drain_waits_for_the_answer(void **state)
{
	struct world *world = *state;

	world->puts_off = true;
	say(world, REQUEST);
	conns_drain(&world->conns);
	assert_int_equal(world->closed, 0);
	conn_answer(world->waiting, TEXT("action=DUNNO\n\n"));
	expect(world, "action=DUNNO\n\n");
	assert_int_equal(world->closed, 1);
}

/* What was asked while nothing was read is answered, too; then it ends. */
static void test_drain_answers_what_is_behind(void **state)
{
	struct world *world = *state;

	world->puts_off = true;
	say(world, REQUEST);
	say(world, REQUEST REQUEST "request=");
	conns_drain(&world->conns);
	conn_answer(world->waiting, TEXT("action=REJECT first\n\n"));
	ev_run(world->conns.loop, EVRUN_NOWAIT);
	expect(world, "action=REJECT first\n\naction=DUNNO\n\naction=DUNNO\n\n");
	assert_int_equal(world->closed, 0);
	say(world, "x\n\n");
	expect(world, "action=DUNNO\n\n");
	assert_int_equal(world->closed, 1);
}

/* Also where one of them has to wait again. */
static void test_drain_waits_again(void **state)
{
	struct world *world = *state;

	world->puts_off = true;
	say(world, REQUEST);
	say(world, REQUEST REQUEST);
	conns_drain(&world->conns);
	world->puts_off = true;
	conn_answer(world->waiting, TEXT("action=REJECT first\n\n"));
	ev_run(world->conns.loop, EVRUN_NOWAIT);
	expect(world, "action=REJECT first\n\n");
	assert_int_equal(world->closed, 0);
	conn_answer(world->waiting, TEXT("action=REJECT second\n\n"));
	ev_run(world->conns.loop, EVRUN_NOWAIT);
	expect(world, "action=REJECT second\n\naction=DUNNO\n\n");
	assert_int_equal(world->closed, 1);
}

#define CONN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONN_TEST(test_idle_time),
		CONN_TEST(test_half_a_request),
		CONN_TEST(test_answers_keep_their_order),
		CONN_TEST(test_heard_after_waiting),
		CONN_TEST(test_waiting_is_not_idle),
		CONN_TEST(test_end_cancels),
		CONN_TEST(test_drain_waits_for_the_answer),
		CONN_TEST(test_drain_answers_what_is_behind),
		CONN_TEST(test_drain_waits_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

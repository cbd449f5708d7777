/*
 * Messages of the control socket: written and read again, bounds, bytes that are none, the client's
 * side over a real socket, descriptors.
 */
#include "policy/engine/control.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct control_message a, b;
	char wire[CONTROL_MAX + 2];
	size_t len;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void assert_text(struct text got, const char *wanted)
{
	assert_non_null(got.ptr);
	assert_int_equal(got.len, strlen(wanted));
	assert_memory_equal(got.ptr, wanted, got.len);
}

/* The bytes of world->a, read into world->b. */
static void cross(struct world *world)
{
	assert_true(control_encode(&world->a, world->wire, CONTROL_MAX, &world->len));
	assert_int_equal(control_frame((struct text){world->wire, world->len}), world->len);
	assert_true(control_parse((struct text){world->wire, world->len}, &world->b));
}

static void test_there_and_back(void **state)
{
	struct world *world = *state;

	control_start(&world->a);
	assert_true(control_add(&world->a, "request", TEXT("policyd_control")));
	assert_true(control_add(&world->a, "arg", TEXT("100% \n\x01\x7f\xc3\xa4=")));
	assert_true(control_add(&world->a, "arg", TEXT("")));
	assert_true(control_add(&world->a, "nul", ((struct text){"a\0b", 3})));
	cross(world);
	assert_int_equal(world->len, strlen("request=policyd_control\narg=100%25 "
					    "%0A%01%7F%C3%A4=\narg=\nnul=a%00b\n\n"));
	assert_int_equal(world->b.count, 4);
	assert_text(control_get(&world->b, "arg"), "100% \n\x01\x7f\xc3\xa4=");
	assert_text(world->b.attrs[2].value, "");
	assert_int_equal(control_get(&world->b, "nul").len, 3);
	assert_null(control_get(&world->b, "args").ptr);
}

static void test_empty_message(void **state)
{
	struct world *world = *state;

	control_start(&world->a);
	cross(world);
	assert_int_equal(world->len, 1);
	assert_int_equal(world->b.count, 0);
}

/* Every byte, and every way that a value may be cut. */
static void test_every_byte(void **state)
{
	struct world *world = *state;
	char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t len = 0; len <= sizeof(all); len++) {
		control_start(&world->a);
		assert_true(control_add(&world->a, "v", (struct text){all, len}));
		cross(world);
		assert_true(text_equal(control_get(&world->b, "v"), (struct text){all, len}));
	}
}

static void test_room(void **state)
{
	struct world *world = *state;
	char *big = malloc(CONTROL_MAX);

	assert_non_null(big);
	memset(big, 'x', CONTROL_MAX);
	control_start(&world->a);
	assert_false(control_add(&world->a, "v", (struct text){big, CONTROL_MAX - 3}));
	assert_int_equal(world->a.count, 0);
	assert_true(control_add(&world->a, "v", (struct text){big, CONTROL_MAX - 4}));
	cross(world);
	assert_int_equal(world->len, CONTROL_MAX);
	assert_false(control_add(&world->a, "w", TEXT("")));
	assert_false(control_encode(&world->a, world->wire, CONTROL_MAX - 1, &world->len));
	/* A byte that takes three. */
	memset(big, '%', CONTROL_MAX);
	control_start(&world->a);
	assert_false(control_add(&world->a, "v", (struct text){big, CONTROL_MAX / 3}));
	assert_true(control_add(&world->a, "v", (struct text){big, CONTROL_MAX / 3 - 1}));
	cross(world);
	free(big);
}

static void test_attributes_are_counted(void **state)
{
	struct world *world = *state;

	control_start(&world->a);
	for (int i = 0; i < CONTROL_ATTRS_MAX; i++)
		assert_true(control_add(&world->a, "a", TEXT("1")));
	assert_false(control_add(&world->a, "a", TEXT("1")));
	cross(world);
	memmove(world->wire + 4, world->wire, world->len);
	assert_false(control_parse((struct text){world->wire, world->len + 4}, &world->b));
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"", "A", "a-b", "a b", "a=b", "a\n", "abcdefghijabcdefghijabcdefghijabc"};
	struct world *world = *state;

	control_start(&world->a);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(control_add(&world->a, bad[i], TEXT("1")));
	assert_true(control_add(&world->a, "abcdefghijabcdefghijabcdefghij_9", TEXT("1")));
	assert_int_equal(world->a.count, 1);
}

static void test_frames(void **state)
{
	(void)state;
	assert_int_equal(control_frame(TEXT("")), 0);
	assert_int_equal(control_frame(TEXT("a=b")), 0);
	assert_int_equal(control_frame(TEXT("a=b\n")), 0);
	assert_int_equal(control_frame(TEXT("a=b\nc=d\n")), 0);
	assert_int_equal(control_frame(TEXT("a=b\n\n")), 5);
	assert_int_equal(control_frame(TEXT("a=b\n\nc=d\n\n")), 5);
	assert_int_equal(control_frame(TEXT("\n")), 1);
	assert_int_equal(control_frame(TEXT("\na=b\n\n")), 1);
}

static void test_what_is_no_message(void **state)
{
	static const char *const bad[] = {"", "a=b\n", "a=b\n\n\n", "a=b\n\nc=d\n\n", "a\n\n",
		"=b\n\n", "A=b\n\n", "a =b\n\n", "a=b\r\n\r\n", "a=\t\n\n", "a=\x7f\n\n",
		"a=\xc3\xa4\n\n", "a=%\n\n", "a=%4\n\n", "a=%4g\n\n", "a=%-1\n\n", "a=% 1\n\n",
		"a=b\n%61=b\n\n"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (control_parse(text_of(bad[i]), &world->b))
			fail_msg("taken for a message: %s", bad[i]);
	assert_false(control_parse(((struct text){"a=\0\n\n", 5}), &world->b));
	assert_true(control_parse(TEXT("a=%4a%4A=\n\n"), &world->b));
	assert_text(control_get(&world->b, "a"), "JJ=");
}

static void test_connect(void **state)
{
	char path[] = "/tmp/test-control-XXXXXX", name[64];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(name, sizeof(name), "%s/sock", path);
	assert_int_equal(control_connect(name, &fd), ERR_ABSENT);
	strcpy(address.sun_path, name);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(control_connect(name, &fd), ERR_ABSENT);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(control_connect(name, &fd), ERR_OK);
	close(fd);
	close(listener);
	assert_int_equal(control_connect(name, &fd), ERR_ABSENT);
	assert_int_equal(fd, -1);
	unlink(name);
	rmdir(path);
	assert_int_equal(control_connect("", &fd), ERR_IO);
	memset(address.sun_path, 'x', sizeof(address.sun_path));
	char longer[200];
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(control_connect(longer, &fd), ERR_IO);
	assert_int_equal(errno, ENAMETOOLONG);
}

static void test_receive(void **state)
{
	struct world *world = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(control_receive(pair[0], &world->b, 20), ERR_BUSY);
	assert_int_equal(write(pair[1], "status=ok\n", 10), 10);
	assert_int_equal(control_receive(pair[0], &world->b, 20), ERR_BUSY);
	assert_int_equal(write(pair[1], "a=1\n\nb", 6), 6);
	assert_int_equal(control_receive(pair[0], &world->b, 20), ERR_INVALID);
	control_start(&world->a);
	assert_true(control_add(&world->a, "status", TEXT("ok")));
	assert_int_equal(control_send(pair[1], &world->a, NULL, 0), ERR_OK);
	assert_int_equal(control_receive(pair[0], &world->b, -1), ERR_OK);
	assert_text(control_get(&world->b, "status"), "ok");
	close(pair[1]);
	assert_int_equal(control_receive(pair[0], &world->b, -1), ERR_ABSENT);
	assert_int_equal(control_send(pair[0], &world->a, NULL, 0), ERR_ABSENT);
	close(pair[0]);
}

static void test_too_long_an_answer(void **state)
{
	struct world *world = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	memset(world->wire, 'a', sizeof(world->wire));
	assert_int_equal(write(pair[1], world->wire, CONTROL_MAX), CONTROL_MAX);
	assert_int_equal(control_receive(pair[0], &world->b, 1000), ERR_INVALID);
	close(pair[0]);
	close(pair[1]);
}

static void test_descriptors_go_along(void **state)
{
	struct world *world = *state;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
	} rights;
	int pair[2], ends[2], fds[CONTROL_FDS], got[CONTROL_FDS];
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr header = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = rights.bytes,
		.msg_controllen = sizeof(rights.bytes)};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(ends), 0);
	fds[0] = ends[0];
	fds[1] = fds[2] = ends[1];
	control_start(&world->a);
	assert_true(control_add(&world->a, "command", TEXT("run")));
	assert_int_equal(control_send(pair[1], &world->a, fds, CONTROL_FDS), ERR_OK);
	assert_int_equal(control_send(pair[1], &world->a, fds, CONTROL_FDS + 1), ERR_INVALID);
	assert_int_equal(recvmsg(pair[0], &header, 0), 1);
	struct cmsghdr *control = CMSG_FIRSTHDR(&header);
	assert_non_null(control);
	assert_int_equal(control->cmsg_len, CMSG_LEN(sizeof(got)));
	memcpy(got, CMSG_DATA(control), sizeof(got));
	for (int i = 0; i < CONTROL_FDS; i++) {
		struct stat mine, theirs;
		assert_int_equal(fstat(fds[i], &mine), 0);
		assert_int_equal(fstat(got[i], &theirs), 0);
		assert_int_equal(mine.st_ino, theirs.st_ino);
		close(got[i]);
	}
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(ends[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_empty_message),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_attributes_are_counted),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_what_is_no_message),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_too_long_an_answer),
		cmocka_unit_test(test_descriptors_go_along),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

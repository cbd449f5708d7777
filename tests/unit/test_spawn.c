/* Programs that are started: their descriptors, signals and end. */
#include "policyd/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/table_fixture.h"

#define LONGEST_S 20 /* until a test that waits for something has failed */

static int make_dir(void **state)
{
	char *dir = malloc(64);

	assert_non_null(dir);
	fixture_make_dir(dir);
	*state = dir;
	return 0;
}

static int end_dir(void **state)
{
	fixture_remove_dir(*state);
	free(*state);
	return 0;
}

static const char *path_in(const char *dir, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const char *file_text(const char *dir, const char *name)
{
	static char text[4096];
	int fd = open(path_in(dir, name), O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	assert_true(len >= 0);
	text[len] = '\0';
	close(fd);
	return text;
}

static int wait_and_reap(struct spawned *spawned)
{
	struct pollfd ended = {.fd = spawned->pidfd, .events = POLLIN};

	assert_int_equal(poll(&ended, 1, LONGEST_S * 1000), 1);
	return spawn_reap(spawned);
}

static int run_to_end(const char *const *argv, const char *const *envp, const int fds[3])
{
	struct spawned spawned;

	assert_int_equal(spawn_start(&spawned, argv, envp, fds), ERR_OK);
	return wait_and_reap(&spawned);
}

/* Descriptors that stand where others have to go change places. */
static void test_descriptors(void **state)
{
	char *dir = *state;
	const char *const envp[] = {NULL};
	const char *const argv[] = {
		"/bin/sh", "-c", "cat; echo err >&2; ls /proc/self/fd | wc -w", NULL};
	int in = open(path_in(dir, "in"), O_CREAT | O_RDWR, 0600);
	int out = open(path_in(dir, "out"), O_CREAT | O_RDWR | O_APPEND, 0600);
	int err = open(path_in(dir, "err"), O_CREAT | O_RDWR | O_APPEND, 0600);
	int leak = open("/dev/null", O_RDONLY);
	int stdout_before = dup(STDOUT_FILENO), stderr_before = dup(STDERR_FILENO), status;

	assert_int_equal(write(in, "hello\n", 6), 6);
	lseek(in, 0, SEEK_SET);
	assert_int_equal(run_to_end(argv, envp, (const int[3]){in, out, err}), 0);
	/* 0, 1, 2 and the one that ls has the folder open with. */
	assert_string_equal(file_text(dir, "out"), "hello\n4\n");
	assert_string_equal(file_text(dir, "err"), "err\n");
	/* The caller's stay open; 1 and 2 change places. */
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(ftruncate(out, 0) | ftruncate(err, 0), 0);
	dup2(err, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	status = run_to_end(argv, envp, (const int[3]){in, STDERR_FILENO, STDOUT_FILENO});
	dup2(stdout_before, STDOUT_FILENO);
	dup2(stderr_before, STDERR_FILENO);
	assert_int_equal(status, 0);
	assert_string_equal(file_text(dir, "out"), "hello\n4\n");
	close(stdout_before);
	close(stderr_before);
	close(leak);
	close(err);
	close(out);
	close(in);
}

/* Signals 32 and 33 are the C library's own: nobody can set them through it, and whoever started
 * this test may have. */
#define OF_THE_LIBRARY 0x180000000ULL

/* The number behind a name in /proc/PID/status. */
static unsigned long long mask_of(const char *status, const char *name)
{
	const char *line = strstr(status, name);
	unsigned long long mask;
	char *end;

	assert_non_null(line);
	mask = strtoull(line + strlen(name), &end, 16);
	assert_int_equal(*end, '\n');
	return mask;
}

static void test_signals_are_default(void **state)
{
	char *dir = *state;
	const char *const envp[] = {NULL};
	const char *const argv[] = {"/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL};
	int out = open(path_in(dir, "out"), O_CREAT | O_RDWR, 0600);
	void (*handler)(int) = signal(SIGTERM, SIG_IGN);
	sigset_t blocked, before;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGHUP);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	assert_int_equal(run_to_end(argv, envp, (const int[3]){-1, out, -1}), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGTERM, handler);
	close(out);
	assert_int_equal(mask_of(file_text(dir, "out"), "SigBlk:"), 0);
	assert_int_equal(mask_of(file_text(dir, "out"), "SigIgn:") & ~OF_THE_LIBRARY, 0);
}

/* The shell heeds no SIGTERM itself, and ends when what it waits for did. */
static void test_signal_to_the_group(void **state)
{
	const char *const envp[] = {NULL};
	const char *const argv[] = {"/bin/sh", "-c",
		"trap : TERM; (trap - TERM; echo ready; exec sleep 300) & while ! wait $!; do "
		"kill -0 $! 2>&- || exit 5; done",
		NULL};
	struct spawned spawned;
	int ready[2], status;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(
		spawn_start(&spawned, argv, envp, (const int[3]){-1, ready[1], -1}), ERR_OK);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	spawn_signal(&spawned, SIGTERM);
	status = wait_and_reap(&spawned);
	close(ready[0]);
	close(ready[1]);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void test_exit_status(void **state)
{
	const char *const envp[] = {NULL};
	const char *const fine[] = {"/bin/sh", "-c", "exit 7", NULL};
	const char *const none[] = {"/nowhere", NULL};
	const int fds[3] = {-1, -1, -1};
	int status;

	(void)state;
	status = run_to_end(fine, envp, fds);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	status = run_to_end(none, envp, fds);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SPAWN_FAILED);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, end_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_descriptors),
		IN_DIR(test_signals_are_default),
		IN_DIR(test_signal_to_the_group),
		IN_DIR(test_exit_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

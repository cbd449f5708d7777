/*
 * fork, a pipe for the report, wait. Knows no check; see in_child.h.
 */
#include "policy/data/in_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child sends when it came to an end. */
struct report {
	enum err err;
	char error[IN_CHILD_ERROR_MAX];
};

/* Locks among them: they must not outlive the parent. What the kernel does not know stays open. */
static void close_all_but(int kept)
{
	if (kept > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)kept - 1, 0);
	(void)close_range((unsigned)kept + 1, ~0U, 0);
}

static void run_child(int out, enum err (*check)(void *ctx, char *error), void *ctx)
{
	struct report report = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_all_but(out);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	report.err = check(ctx, report.error);
	/* A report that does not arrive whole counts as none. */
	_exit(write(out, &report, sizeof(report)) == (ssize_t)sizeof(report) ? 0 : 1);
}

static bool read_report(int in, struct report *report)
{
	char *at = (char *)report;
	size_t len = 0;

	while (len < sizeof(*report)) {
		ssize_t got = read(in, at + len, sizeof(*report) - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		len += (size_t)got;
	}
	return true;
}

static enum err judge(pid_t child, int in, char *error, char death[32])
{
	struct report report;
	bool is_whole = read_report(in, &report);
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (is_whole && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		snprintf(error, IN_CHILD_ERROR_MAX, "%s", report.error);
		return report.err;
	}
	snprintf(death, 32, "%s %d", WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return ERR_DAMAGED;
}

enum err in_child(enum err (*check)(void *ctx, char *error), void *ctx, char *error, char death[32])
{
	int ends[2];
	enum err err = ERR_IO;
	pid_t child;

	error[0] = death[0] = '\0';
	if (pipe(ends) != 0) {
		snprintf(error, IN_CHILD_ERROR_MAX, "%s", strerror(errno));
		return ERR_IO;
	}
	child = fork();
	if (child == 0) {
		close(ends[0]);
		run_child(ends[1], check, ctx);
	}
	close(ends[1]);
	if (child < 0)
		snprintf(error, IN_CHILD_ERROR_MAX, "%s", strerror(errno));
	else
		err = judge(child, ends[0], error, death);
	close(ends[0]);
	return err;
}

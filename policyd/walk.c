/*
 * A walk in a child. See walk.h.
 */
#include "policyd/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's side. What the kernel cannot close in one go stays open: it is not used. */
static _Noreturn void walk_run(const struct walk *walk, int out, pid_t parent)
{
	struct walk_report report = {0};

	/* It ends with its parent, and leaves no core behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	if (out > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)out - 1, 0);
	(void)close_range((unsigned)out + 1, ~0U, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	report.err = walk->verify(walk->state_dir, walk->map_mb, report.error);
	/* A report that does not arrive whole counts as none. */
	_exit(write(out, &report, sizeof(report)) == (ssize_t)sizeof(report) ? 0 : 1);
}

static int walk_reap(struct walk *walk)
{
	int status = 0;

	while (waitpid(walk->pid, &status, 0) < 0 && errno == EINTR)
		;
	walk->pid = 0;
	return status;
}

static void walk_close(struct walk *walk)
{
	ev_io_stop(walk->loop, &walk->readable);
	close(walk->readable.fd);
}

/* A report that came whole stands; else the child's end is one. */
static void walk_judge(struct walk *walk, int status)
{
	struct walk_report *report = &walk->report;
	int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (walk->got == sizeof(*report) && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		report->error[sizeof(report->error) - 1] = '\0';
		return;
	}
	report->has_died = true;
	report->err =
		signal_number == SIGKILL || signal_number == SIGTERM ? ERR_NOMEM : ERR_DAMAGED;
	snprintf(report->error, sizeof(report->error), "the process that walked it %s %d%s",
		signal_number ? "died of signal" : "ended with",
		signal_number ? signal_number : WEXITSTATUS(status),
		report->err == ERR_DAMAGED ? ": the file is damaged or cut short" : "");
}

static void walk_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct walk *walk = watcher->data;
	char *at = (char *)&walk->report + walk->got;

	(void)loop;
	(void)events;
	ssize_t got = walk->got < sizeof(walk->report)
			      ? read(watcher->fd, at, sizeof(walk->report) - walk->got)
			      : 0;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		walk->got += (size_t)got;
		return;
	}
	walk_close(walk);
	walk_judge(walk, walk_reap(walk));
	struct walk_report report = walk->report;
	walk->on_done(walk, &report);
}

enum err walk_start(struct walk *walk)
{
	int ends[2];
	pid_t parent = getpid();

	if (pipe2(ends, O_CLOEXEC) != 0)
		return ERR_IO;
	walk->pid = fork();
	if (walk->pid == 0)
		walk_run(walk, ends[1], parent);
	close(ends[1]);
	if (walk->pid < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
		int error = errno;

		close(ends[0]);
		if (walk->pid > 0)
			(void)walk_reap(walk);
		walk->pid = 0;
		errno = error;
		return ERR_IO;
	}
	walk->report = (struct walk_report){0};
	walk->got = 0;
	ev_io_init(&walk->readable, walk_on_readable, ends[0], EV_READ);
	walk->readable.data = walk;
	ev_io_start(walk->loop, &walk->readable);
	return ERR_OK;
}

bool walk_is_running(const struct walk *walk)
{
	return walk->pid > 0;
}

void walk_stop(struct walk *walk)
{
	if (!walk_is_running(walk))
		return;
	walk_close(walk);
	kill(walk->pid, SIGKILL);
	(void)walk_reap(walk);
}

struct file_print file_print_of(const char *state_dir, const char *name)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/data.mdb", state_dir, name);
	if (stat(path, &st) != 0)
		return (struct file_print){0};
	return (struct file_print){.inode = (uint64_t)st.st_ino,
		.size = (int64_t)st.st_size,
		.changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
}

bool file_print_equal(const struct file_print *a, const struct file_print *b)
{
	return a->inode == b->inode && a->size == b->size && a->changed_ns == b->changed_ns;
}

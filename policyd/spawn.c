/*
 * See spawn.h.
 */
#include "policyd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where memory is short the kernel ends this one, and not the processes that answer Postfix. */
static void offer_to_oom_killer(void)
{
	int fd;

	/* Until execve(2): /proc/self is root's else, after a change of user. */
	prctl(PR_SET_DUMPABLE, 1);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "1000", 4);
	close(fd);
}

/* The child's side. Only what is safe after fork(2). */
static _Noreturn void run(const char *const *argv, const char *const *envp, const int fds[3])
{
	int kept[3];
	sigset_t none;

	setsid();
	offer_to_oom_killer();
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Above 2 first: one of them may stand where another has to go. */
	for (int i = 0; i < 3; i++) {
		int from = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR);

		kept[i] = fcntl(from, F_DUPFD, 3);
	}
	for (int i = 0; i < 3; i++)
		if (kept[i] < 0 || dup2(kept[i], i) < 0)
			_exit(SPAWN_FAILED);
	if (close_range(3, ~0U, 0) == 0)
		execve(argv[0], (char *const *)argv, (char *const *)envp);
	_exit(SPAWN_FAILED);
}

enum err spawn_start(
	struct spawned *out, const char *const *argv, const char *const *envp, const int fds[3])
{
	out->pid = fork();
	if (out->pid == 0)
		run(argv, envp, fds);
	if (out->pid < 0)
		return ERR_IO;
	out->pidfd = pidfd_open(out->pid, 0);
	if (out->pidfd >= 0)
		return ERR_OK;
	kill(out->pid, SIGKILL);
	while (waitpid(out->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ERR_IO;
}

void spawn_signal(const struct spawned *spawned, int signal_number)
{
	kill(spawned->pid, signal_number);
	kill(-spawned->pid, signal_number);
}

int spawn_reap(struct spawned *spawned)
{
	int status = 0;

	kill(-spawned->pid, SIGKILL);
	while (waitpid(spawned->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(spawned->pidfd);
	spawned->pidfd = -1;
	return status;
}

/* Load generator for a policy server: many connections, on each of them one request outstanding,
 * every answer compared with the one that is due.
 *
 * Must not know what a request means. Results: one line of key=value on stdout, the same for
 * people on stderr. Exit 0 all right, 1 a wrong answer, 2 usage or could not start, 3 connections
 * were lost, requests went unanswered or nothing was measured. */
#include "lib/corpus.h"
#include "lib/histogram.h"
#include "lib/load_options.h"
#include "lib/proc_cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_ANSWER = 8192, /* Postfix reads no longer line */
	MAX_EVENTS = 256,
	SHOWN_FAULTS = 5,
	RETRY_MS = 10,
	EXIT_USAGE = 2,
	EXIT_LOST = 3,
};

static const uint64_t second_ns = 1000000000;

struct connection {
	int fd; /* -1: lost, to be opened again */
	bool is_waiting;
	bool wants_write;
	size_t request;
	size_t sent;
	size_t got;
	uint64_t start_ns;
	char answer[MAX_ANSWER];
};

struct run {
	const struct options *options;
	struct corpus corpus;
	struct connection *connections;
	int epoll;
	size_t next_request;
	uint64_t issued;
	uint64_t answered;
	uint64_t wrong;
	uint64_t lost;
	uint64_t timeouts;
	uint64_t refused;
	uint64_t now_ns;
	uint64_t start_ns;
	uint64_t deadline_ns;
	uint64_t last_answer_ns;
	uint64_t next_check_ns;
	struct histogram latency_ns;
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * second_ns + (uint64_t)ts.tv_nsec;
}

static bool may_issue(const struct run *run)
{
	if (run->options->requests != 0)
		return run->issued < run->options->requests;
	return run->now_ns < run->deadline_ns;
}

static void print_escaped(const char *text, size_t len)
{
	for (size_t i = 0; i < len && i < 300; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			fputc(text[i], stderr);
		else
			fprintf(stderr, "\\x%02x", (unsigned)(unsigned char)text[i]);
	}
}

static void report_wrong(struct run *run, const struct connection *conn)
{
	const struct exchange *due = &run->corpus.items[conn->request];

	run->wrong++;
	if (run->wrong > SHOWN_FAULTS)
		return;
	fprintf(stderr, "load: wrong answer to request %zu: \"", conn->request + 1);
	print_escaped(conn->answer, conn->got);
	fputs("\", due was ", stderr);
	if (due->answer == NULL)
		fputs("one line action=TEXT and an empty line", stderr);
	else
		print_escaped(due->answer, due->answer_len);
	fputc('\n', stderr);
}

static void connection_close(struct connection *conn)
{
	close(conn->fd);
	conn->fd = -1;
}

/* Gives up the connection. Its request no longer counts as issued: another takes its place. An
 * answer of which only a part came is a wrong one. */
static void connection_lose(struct run *run, struct connection *conn, uint64_t *counter)
{
	++*counter;
	if (conn->is_waiting) {
		run->issued--;
		if (conn->got > 0)
			report_wrong(run, conn);
	}
	conn->is_waiting = false;
	connection_close(conn);
}

static void want_write(struct run *run, struct connection *conn, bool wanted)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

	if (conn->wants_write == wanted)
		return;
	conn->wants_write = wanted;
	if (wanted)
		event.events |= EPOLLOUT;
	epoll_ctl(run->epoll, EPOLL_CTL_MOD, conn->fd, &event);
}

static void connection_send(struct run *run, struct connection *conn)
{
	const struct exchange *due = &run->corpus.items[conn->request];
	ssize_t n;

	n = send(conn->fd, due->request + conn->sent, due->request_len - conn->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		connection_lose(run, conn, &run->lost);
		return;
	}
	if (n > 0)
		conn->sent += (size_t)n;
	want_write(run, conn, conn->sent < due->request_len);
}

/* Starts the next request of the run on an idle connection, if one is still to be sent. */
static void connection_ask(struct run *run, struct connection *conn)
{
	if (!may_issue(run))
		return;
	conn->request = run->next_request++;
	if (run->next_request == run->corpus.count)
		run->next_request = 0;
	conn->sent = 0;
	conn->got = 0;
	conn->is_waiting = true;
	conn->start_ns = run->now_ns;
	run->issued++;
	connection_send(run, conn);
}

static bool is_well_formed(const char *answer, size_t len)
{
	if (len < sizeof "action=" - 1 + 1 + 2 || memcmp(answer, "action=", 7) != 0)
		return false;
	for (size_t i = 7; i < len - 2; i++)
		if (answer[i] < ' ' || answer[i] > '~')
			return false;
	return memcmp(answer + len - 2, "\n\n", 2) == 0;
}

static bool is_right(const struct exchange *due, const struct connection *conn)
{
	if (conn->sent < due->request_len)
		return false;
	if (due->answer == NULL)
		return is_well_formed(conn->answer, conn->got);
	return conn->got == due->answer_len && memcmp(conn->answer, due->answer, conn->got) == 0;
}

static bool is_complete(const struct connection *conn)
{
	if (conn->got == sizeof conn->answer)
		return true;
	return conn->got >= 2 && memcmp(conn->answer + conn->got - 2, "\n\n", 2) == 0;
}

static void connection_finish(struct run *run, struct connection *conn)
{
	bool right = is_right(&run->corpus.items[conn->request], conn);

	conn->is_waiting = false;
	run->answered++;
	run->last_answer_ns = run->now_ns;
	histogram_add(&run->latency_ns, run->now_ns - conn->start_ns);
	if (right) {
		connection_ask(run, conn);
		return;
	}
	report_wrong(run, conn);
	connection_close(conn);
}

static void connection_receive(struct run *run, struct connection *conn)
{
	ssize_t n = recv(conn->fd, conn->answer + conn->got, sizeof conn->answer - conn->got, 0);

	run->now_ns = clock_ns();
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_lose(run, conn, &run->lost);
		return;
	}
	conn->got += (size_t)n;
	if (!conn->is_waiting) {
		report_wrong(run, conn);
		connection_close(conn);
	} else if (is_complete(conn)) {
		connection_finish(run, conn);
	}
}

/* Connecting blocks, at most for the time-out: a local server's backlog takes it at once. */
static bool connection_open(struct run *run, struct connection *conn)
{
	const struct endpoint *to = &run->options->endpoint;
	const struct timeval limit = {.tv_sec = (time_t)(run->options->timeout_ns / second_ns)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
	int yes = 1;

	conn->fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return false;
	conn->is_waiting = false;
	conn->wants_write = false;
	conn->got = 0;
	setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (to->addr.ss_family != AF_UNIX)
		setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (connect(conn->fd, (const struct sockaddr *)&to->addr, to->len) != 0 ||
		fcntl(conn->fd, F_SETFL, O_NONBLOCK) != 0 ||
		epoll_ctl(run->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
		close(conn->fd);
		conn->fd = -1;
		return false;
	}
	return true;
}

/* Opens lost connections again and gives up requests that nobody answers. */
static void check_connections(struct run *run)
{
	for (size_t i = 0; i < run->options->connections; i++) {
		struct connection *conn = &run->connections[i];

		if (conn->is_waiting && run->now_ns - conn->start_ns > run->options->timeout_ns)
			connection_lose(run, conn, &run->timeouts);
		if (conn->fd >= 0 || !may_issue(run))
			continue;
		if (!connection_open(run, conn)) {
			run->refused++;
			return;
		}
		connection_ask(run, conn);
	}
}

static void on_tick(struct run *run, int ready)
{
	if (ready == 0)
		run->now_ns = clock_ns();
	if (run->now_ns < run->next_check_ns)
		return;
	run->next_check_ns = run->now_ns + RETRY_MS * (second_ns / 1000);
	check_connections(run);
}

static bool is_over(const struct run *run)
{
	if (run->now_ns - run->last_answer_ns > 2 * run->options->timeout_ns)
		return true;
	if (may_issue(run))
		return false;
	for (size_t i = 0; i < run->options->connections; i++)
		if (run->connections[i].is_waiting)
			return false;
	return true;
}

static void on_event(struct run *run, struct connection *conn, uint32_t events)
{
	if ((events & EPOLLOUT) != 0 && conn->is_waiting)
		connection_send(run, conn);
	if (conn->fd >= 0 && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
		connection_receive(run, conn);
}

static bool run_connect(struct run *run)
{
	for (size_t i = 0; i < run->options->connections; i++) {
		if (!connection_open(run, &run->connections[i])) {
			fprintf(stderr, "load: connection %zu to %s: %s\n", i + 1,
				run->options->server, strerror(errno));
			return false;
		}
	}
	return true;
}

static void run_loop(struct run *run)
{
	struct epoll_event events[MAX_EVENTS];

	run->start_ns = run->now_ns = run->last_answer_ns = clock_ns();
	run->deadline_ns = run->start_ns + (uint64_t)(run->options->seconds * (double)second_ns);
	for (size_t i = 0; i < run->options->connections; i++)
		connection_ask(run, &run->connections[i]);
	do {
		int ready = epoll_wait(run->epoll, events, MAX_EVENTS, RETRY_MS);

		for (int i = 0; i < ready; i++)
			on_event(run, events[i].data.ptr, events[i].events);
		on_tick(run, ready);
	} while (!is_over(run));
}

static uint64_t own_cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double quantile_us(const struct run *run, double fraction)
{
	return (double)histogram_quantile(&run->latency_ns, fraction) / 1000;
}

/* server_cpu_us is below zero where it was not asked for or could not be read. */
static void print_result(const struct run *run, double server_cpu_us, double own_us)
{
	const struct options *o = run->options;
	double seconds = (double)(run->last_answer_ns - run->start_ns) / (double)second_ns;
	double answered = run->answered > 0 ? (double)run->answered : 1;
	double rate = seconds > 0 ? (double)run->answered / seconds : 0;
	double busy = seconds > 0 ? own_us / seconds / 10000 : 0;
	double server = server_cpu_us < 0 ? -1 : server_cpu_us / answered;

	printf("server=%s connections=%zu requests=%llu seconds=%.3f rps=%.0f p50_us=%.1f "
	       "p99_us=%.1f p999_us=%.1f max_us=%.1f wrong=%llu lost=%llu timeouts=%llu "
	       "refused=%llu server_cpu_us=%.3f client_cpu_us=%.3f client_busy_pct=%.0f\n",
		o->server, o->connections, (unsigned long long)run->answered, seconds, rate,
		quantile_us(run, 0.5), quantile_us(run, 0.99), quantile_us(run, 0.999),
		(double)run->latency_ns.max / 1000, (unsigned long long)run->wrong,
		(unsigned long long)run->lost, (unsigned long long)run->timeouts,
		(unsigned long long)run->refused, server, own_us / answered, busy);
	fprintf(stderr, "%llu answers in %.2f s over %zu connections: %.0f requests/s\n",
		(unsigned long long)run->answered, seconds, o->connections, rate);
	fprintf(stderr, "latency us: p50 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
		quantile_us(run, 0.5), quantile_us(run, 0.99), quantile_us(run, 0.999),
		(double)run->latency_ns.max / 1000);
	if (server >= 0)
		fprintf(stderr, "CPU per request: server %.2f us, this client %.2f us\n", server,
			own_us / answered);
	if (run->wrong + run->lost + run->timeouts + run->refused > 0)
		fprintf(stderr,
			"%llu wrong answers, %llu lost connections, %llu time-outs, "
			"%llu refused connects\n",
			(unsigned long long)run->wrong, (unsigned long long)run->lost,
			(unsigned long long)run->timeouts, (unsigned long long)run->refused);
}

static int run_measure(struct run *run)
{
	const struct options *o = run->options;
	uint64_t before = 0, after = 0, own = own_cpu_us();
	bool known = o->root_count > 0 && proc_cpu_us(o->roots, o->root_count, &before);

	run_loop(run);
	own = own_cpu_us() - own;
	if (known)
		known = proc_cpu_us(o->roots, o->root_count, &after) && after >= before;
	print_result(run, known ? (double)(after - before) : -1, (double)own);
	if (o->root_count > 0 && !known)
		fputs("load: a process given with -p is gone: no server CPU time\n", stderr);
	if (run->wrong > 0)
		return EXIT_FAILURE;
	if (run->answered == 0 || run->answered < o->requests)
		return EXIT_LOST;
	return run->lost + run->timeouts + run->refused > 0 ? EXIT_LOST : EXIT_SUCCESS;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run_all(const struct options *options)
{
	struct run run = {.options = options, .epoll = -1};
	int status = EXIT_USAGE;

	raise_descriptor_limit();
	run.connections = calloc(options->connections, sizeof *run.connections);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; run.connections != NULL && i < options->connections; i++)
		run.connections[i].fd = -1;
	if (run.connections == NULL || run.epoll < 0) {
		perror("load");
		goto out;
	}
	if (!corpus_load(&run.corpus, options->request_file, options->answer_file))
		goto out;
	if (run_connect(&run))
		status = run_measure(&run);
out:
	for (size_t i = 0; run.connections != NULL && i < options->connections; i++)
		if (run.connections[i].fd >= 0)
			close(run.connections[i].fd);
	if (run.epoll >= 0)
		close(run.epoll);
	free(run.connections);
	corpus_free(&run.corpus);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;

	if (!options_parse(&options, argc, argv))
		return EXIT_USAGE;
	return run_all(&options);
}

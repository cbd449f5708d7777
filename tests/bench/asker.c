/* The least that asking the DNS with a fresh port for each question costs: TXT questions for
 * _mailchannels.d<i>.ZONE, so many at a time, in one loop over epoll. `make bench` measures it
 * beside policyd and dnsperf.
 *
 *   asker [-f] SERVER ZONE COUNT OUTSTANDING      SERVER as inet:HOST:PORT
 *
 * A socket asks again after connecting to nobody and back, which gives it another port; with -f
 * each question has a new socket. Prints rate= and cpu_us= (of a question). Reads of an answer no
 * more than that it is NOERROR to the id. Exit 1: an answer is missing or wrong; 2: usage. */
#include "lib/endpoint.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADER = 12,
	TAIL = 15, /* type, class, OPT */
	WAIT_MS = 2000,
	EVENTS = 64,
	OUTSTANDING_MAX = 1000,
};

struct asking {
	struct endpoint server;
	const char *zone;
	unsigned count, outstanding;
	bool is_fresh;
	int epoll;
	unsigned asked, answered;
};

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static size_t put_label(uint8_t *at, const char *label, size_t len)
{
	at[0] = (uint8_t)len;
	memcpy(at + 1, label, len);
	return len + 1;
}

static size_t put_name(uint8_t *at, const char *name)
{
	size_t used = 0;

	for (size_t len; *name; name += len + (name[len] == '.')) {
		len = strcspn(name, ".");
		used += put_label(at + used, name, len);
	}
	at[used] = 0;
	return used + 1;
}

static size_t write_question(const struct asking *all, unsigned nth, uint8_t out[512])
{
	static const uint8_t head[HEADER] = {0, 0, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1};
	static const uint8_t tail[TAIL] = {0, 16, 0, 1, 0, 0, 41, 0x04, 0xd0};
	char name[256];
	size_t len = HEADER;

	snprintf(name, sizeof(name), "_mailchannels.d%u.%s", nth, all->zone);
	memcpy(out, head, HEADER);
	out[0] = (uint8_t)(nth >> 8);
	out[1] = (uint8_t)nth;
	len += put_name(out + len, name);
	memcpy(out + len, tail, TAIL);
	return len + TAIL;
}

static int open_socket(const struct asking *all)
{
	int fd = socket(all->server.addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0 || epoll_ctl(all->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("socket");
	return fd;
}

static void ask(struct asking *all, int fd)
{
	uint8_t question[512];
	size_t len = write_question(all, all->asked++, question);

	if (connect(fd, (const struct sockaddr *)&all->server.addr, all->server.len) != 0 ||
		send(fd, question, len, 0) != (ssize_t)len)
		fail("send");
}

static int give_port_back(const struct asking *all, int fd)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	uint8_t byte;

	if (all->is_fresh) {
		close(fd);
		return open_socket(all);
	}
	if (connect(fd, &nobody, sizeof(nobody)) != 0 || recv(fd, &byte, sizeof(byte), 0) >= 0)
		fail("a socket that cannot be used again");
	return fd;
}

static void on_answer(struct asking *all, int fd)
{
	uint8_t answer[4096];
	ssize_t got = recv(fd, answer, sizeof(answer), 0);

	if (got < HEADER || (answer[3] & 0xf) != 0)
		fail("an answer that is none");
	all->answered++;
	fd = give_port_back(all, fd);
	if (all->asked < all->count)
		ask(all, fd);
}

static void run(struct asking *all)
{
	struct epoll_event events[EVENTS];

	for (unsigned i = 0; i < all->outstanding && i < all->count; i++)
		ask(all, open_socket(all));
	while (all->answered < all->count) {
		int ready = epoll_wait(all->epoll, events, EVENTS, WAIT_MS);

		if (ready <= 0)
			fail("no answer");
		for (int i = 0; i < ready; i++)
			on_answer(all, events[i].data.fd);
	}
}

static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct asking all = {.is_fresh = argc > 1 && strcmp(argv[1], "-f") == 0};
	double began, cpu;

	argv += all.is_fresh;
	argc -= all.is_fresh;
	if (argc != 5 || !endpoint_parse(argv[1], &all.server) || strlen(argv[2]) > 100) {
		fputs("usage: asker [-f] SERVER ZONE COUNT OUTSTANDING\n", stderr);
		return 2;
	}
	all.zone = argv[2];
	all.count = (unsigned)strtoul(argv[3], NULL, 10);
	all.outstanding = (unsigned)strtoul(argv[4], NULL, 10);
	if (all.count == 0 || all.outstanding == 0 || all.outstanding > OUTSTANDING_MAX)
		return 2;
	all.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (all.epoll < 0)
		fail("epoll");
	began = seconds_of(CLOCK_MONOTONIC);
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	run(&all);
	began = seconds_of(CLOCK_MONOTONIC) - began;
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("rate=%.0f cpu_us=%.2f\n", all.count / began, cpu * 1e6 / all.count);
	return 0;
}

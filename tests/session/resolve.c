/*
 * The resolver on a terminal: commands on stdin, a line for every answer on stdout. For
 * tests/blackbox/test_resolver.py.
 *
 *   resolve [-n SERVER]... [-f RESOLV_CONF] [-t timeout_ms] [-a attempts] [-d deadline_ms] [-m max_in_flight]
 *           [-q max_queued]
 *
 *   ask TAG NAME [COUNT]   COUNT waiters for NAME; each prints TAG, status and fields between tabs
 *   again TAG NAME         asks for NAME again in the callback of its first answer
 *   cancel TAG             everything that waits under this tag
 *   servers SERVER...      resolver_configure with these
 *   stat                   the counters
 *
 * Ends when stdin has ended and everybody has an answer. Knows nothing of what the answers
 * should be. Exit 2: usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "policy/engine/resolver.h"

#define LINE_LEN_MAX 1024
#define WORDS_MAX    (NAMESERVERS_MAX + 2)

struct asker {
	struct resolver_waiter waiter;
	struct driver *driver;
	LIST_ENTRY(asker) place;
	char tag[64];
	char name[DNS_NAME_MAX + 1];
	bool asks_again;
};

LIST_HEAD(asker_list, asker);

struct driver {
	struct ev_loop *loop;
	struct ev_io input;
	struct resolver *resolver;
	struct resolver_options options;
	struct nameservers servers;
	struct log log;
	struct asker_list askers;
	bool is_asking; /* inside resolver_ask: no answer may come now */
	size_t len;
	char line[LINE_LEN_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "resolve: %s\n", what);
	exit(2);
}

static void print_answer(const char *tag, const struct dns_answer *answer)
{
	static const char *const status[] = {
		[LOOKUP_FOUND] = "found", [LOOKUP_ABSENT] = "absent", [LOOKUP_FAILED] = "failed"};
	char rcode[16];
	char shown[4 * DNS_TEXT_MAX + 1];

	printf("%s\t%s\tfailure=%s\trcode=%s\tad=%d\tttl=%u\tstrings=%zu\tserver=%s\tcount=%zu",
		tag, status[answer->status],
		answer->status == LOOKUP_FAILED ? dns_failure_text(answer->failure) : "",
		dns_rcode_text(answer->rcode, rcode), answer->is_authentic, answer->ttl_s,
		answer->strings, answer->server, answer->count);
	for (size_t i = 0; i < answer->count; i++) {
		log_escape(answer->txt[i], shown, sizeof(shown));
		printf("\ttxt=%s", shown);
	}
	putchar('\n');
}

static void asker_ask(struct asker *asker)
{
	asker->driver->is_asking = true;
	resolver_ask(asker->driver->resolver, text_of(asker->name), &asker->waiter);
	asker->driver->is_asking = false;
}

static void on_answer(struct resolver_waiter *waiter, const struct dns_answer *answer)
{
	struct asker *asker = waiter->owner;

	if (asker->driver->is_asking)
		die("an answer came before resolver_ask returned");
	print_answer(asker->tag, answer);
	if (asker->asks_again) {
		asker->asks_again = false;
		asker_ask(asker);
		return;
	}
	LIST_REMOVE(asker, place);
	free(asker);
}

static void ask(struct driver *driver, const char *tag, const char *name, bool asks_again)
{
	struct asker *asker = calloc(1, sizeof(*asker));

	if (!asker)
		die("out of memory");
	snprintf(asker->tag, sizeof(asker->tag), "%s", tag);
	snprintf(asker->name, sizeof(asker->name), "%s", name);
	asker->driver = driver;
	asker->asks_again = asks_again;
	asker->waiter.on_answer = on_answer;
	asker->waiter.owner = asker;
	LIST_INSERT_HEAD(&driver->askers, asker, place);
	asker_ask(asker);
}

static void cancel(struct driver *driver, const char *tag)
{
	struct asker *asker = LIST_FIRST(&driver->askers);

	while (asker) {
		struct asker *next = LIST_NEXT(asker, place);

		if (strcmp(asker->tag, tag) == 0) {
			resolver_cancel(&asker->waiter);
			LIST_REMOVE(asker, place);
			free(asker);
		}
		asker = next;
	}
	printf("%s\tcancelled\n", tag);
}

static void add_server(struct nameservers *servers, const char *typed)
{
	if (servers->count == NAMESERVERS_MAX ||
		!nameserver_parse(text_of(typed), &servers->list[servers->count]))
		die("a nameserver that is none");
	servers->count++;
}

static void configure(struct driver *driver, char *const *words, size_t count)
{
	driver->servers.count = 0;
	for (size_t i = 1; i < count; i++)
		add_server(&driver->servers, words[i]);
	if (resolver_configure(driver->resolver, &driver->options) != ERR_OK)
		die("resolver_configure failed");
	puts("configured");
}

static void print_stat(const struct driver *driver)
{
	struct resolver_stat s;

	resolver_stat(driver->resolver, &s);
	printf("stat\tqueries=%ju\ttcp=%ju\ttimeouts=%ju\tmismatched=%ju\tdropped=%ju\tcoalesced=%"
	       "ju",
		(uintmax_t)s.queries, (uintmax_t)s.tcp, (uintmax_t)s.timeouts,
		(uintmax_t)s.mismatched, (uintmax_t)s.dropped, (uintmax_t)s.coalesced);
	printf("\trefused_by_limit=%ju\tin_flight=%u\tqueued=%u\tnames_waited_for=%u\n",
		(uintmax_t)s.refused_by_limit, s.in_flight, s.queued, s.names_waited_for);
}

static void obey(struct driver *driver, char *line)
{
	char *words[WORDS_MAX] = {NULL};
	size_t count = 0;
	char *save = NULL;

	for (char *word = strtok_r(line, " ", &save); word && count < WORDS_MAX;
		word = strtok_r(NULL, " ", &save))
		words[count++] = word;
	if (count >= 3 && strcmp(words[0], "ask") == 0) {
		long waiters = count > 3 ? strtol(words[3], NULL, 10) : 1;

		for (long i = 0; i < waiters; i++)
			ask(driver, words[1], words[2], false);
	} else if (count == 3 && strcmp(words[0], "again") == 0) {
		ask(driver, words[1], words[2], true);
	} else if (count == 2 && strcmp(words[0], "cancel") == 0) {
		cancel(driver, words[1]);
	} else if (count >= 2 && strcmp(words[0], "servers") == 0) {
		configure(driver, words, count);
	} else if (count == 1 && strcmp(words[0], "stat") == 0) {
		print_stat(driver);
	} else {
		die("a command that is none");
	}
}

/* The whole lines of what was read; the rest waits. */
static void obey_lines(struct driver *driver)
{
	char *start = driver->line;
	char *end = driver->line + driver->len;
	char *feed;

	while ((feed = memchr(start, '\n', (size_t)(end - start))) != NULL) {
		*feed = '\0';
		obey(driver, start);
		start = feed + 1;
	}
	driver->len = (size_t)(end - start);
	memmove(driver->line, start, driver->len);
	if (driver->len == sizeof(driver->line))
		die("a line that is too long");
}

static void on_input(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct driver *driver = watcher->data;
	ssize_t got =
		read(watcher->fd, driver->line + driver->len, sizeof(driver->line) - driver->len);

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		ev_io_stop(loop, watcher);
		return;
	}
	driver->len += (size_t)got;
	obey_lines(driver);
}

static unsigned number(const char *typed)
{
	return (unsigned)strtoul(typed, NULL, 10);
}

static void parse_options(struct driver *driver, int argc, char **argv)
{
	struct resolver_options *options = &driver->options;
	int letter;

	while ((letter = getopt(argc, argv, "n:f:t:a:d:m:q:")) != -1) {
		switch (letter) {
		case 'n':
			add_server(&driver->servers, optarg);
			break;
		case 'f':
			options->resolv_conf = optarg;
			break;
		case 't':
			options->timeout_ms = number(optarg);
			break;
		case 'a':
			options->attempts = number(optarg);
			break;
		case 'd':
			options->deadline_ms = number(optarg);
			break;
		case 'm':
			options->max_in_flight = number(optarg);
			break;
		case 'q':
			options->max_queued = number(optarg);
			break;
		default:
			die("usage: see the top of resolve.c");
		}
	}
}

int main(int argc, char **argv)
{
	static struct driver driver = {
		.options = {.resolv_conf = "/etc/resolv.conf",
			.timeout_ms = 1000,
			.attempts = 3,
			.deadline_ms = 4000,
			.max_in_flight = 1024,
			.max_queued = 65536},
	};

	LIST_INIT(&driver.askers);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	log_init(&driver.log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, "resolve");
	driver.options.servers = &driver.servers;
	parse_options(&driver, argc, argv);
	driver.loop = ev_loop_new(EVFLAG_AUTO);
	if (!driver.loop)
		die("no event loop");
	if (resolver_new(&driver.resolver, driver.loop, &driver.log, &driver.options) != ERR_OK)
		die("no resolver");
	if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0)
		die("stdin");
	ev_io_init(&driver.input, on_input, STDIN_FILENO, EV_READ);
	driver.input.data = &driver;
	ev_io_start(driver.loop, &driver.input);
	puts("ready");
	ev_run(driver.loop, 0);
	resolver_free(driver.resolver);
	ev_loop_destroy(driver.loop);
	return LIST_EMPTY(&driver.askers) ? 0 : 1;
}

/* Command line of the load generator.
 * Must not know how the load is made. Fails with the usage on stderr and false. */
#include "load_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 100000 };

static bool parse_count(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	*out = value;
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value >= 1 &&
	       value <= max;
}

static bool parse_seconds(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out > 0 && *out <= 86400;
}

static bool take_option(struct options *o, int option, const char *value)
{
	uint64_t count = 0;

	switch (option) {
	case 's':
		o->server = value;
		return endpoint_parse(value, &o->endpoint);
	case 'n':
		if (!parse_count(value, MAX_CONNECTIONS, &count))
			return false;
		o->connections = (size_t)count;
		return true;
	case 'd':
		return parse_seconds(value, &o->seconds);
	case 'r':
		return parse_count(value, UINT64_MAX, &o->requests);
	case 'f':
		o->request_file = value;
		return true;
	case 'e':
		o->answer_file = value;
		return true;
	case 't':
		if (!parse_count(value, 86400, &count))
			return false;
		o->timeout_ns = count * 1000000000;
		return true;
	case 'p':
		if (o->root_count == MAX_ROOTS || !parse_count(value, INT_MAX, &count))
			return false;
		o->roots[o->root_count++] = (pid_t)count;
		return true;
	}
	return false;
}

static bool print_usage(void)
{
	fputs("usage: load -s unix:PATH|inet:HOST:PORT -f REQUESTS -d SECONDS|-r COUNT\n"
	      "            [-e ANSWERS] [-n CONNECTIONS] [-p SERVER_PID]... [-t TIMEOUT_S]\n"
	      "REQUESTS: policy requests, separated by empty lines, sent round and round.\n"
	      "ANSWERS: one expected action a line (DUNNO), in the same order; without it every\n"
	      "answer must be one line of printable action= and an empty line.\n",
		stderr);
	return false;
}

bool options_parse(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){.connections = 1, .timeout_ns = 30 * (uint64_t)1000000000};
	while ((option = getopt(argc, argv, "s:n:d:r:f:e:t:p:")) != -1) {
		if (option == '?')
			return print_usage();
		if (!take_option(options, option, optarg)) {
			fprintf(stderr, "load: -%c %s: not a possible value\n", option, optarg);
			return print_usage();
		}
	}
	if (optind != argc || options->server == NULL || options->request_file == NULL ||
		(options->seconds > 0) == (options->requests > 0))
		return print_usage();
	return true;
}

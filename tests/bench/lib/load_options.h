#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include "endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_ROOTS = 16 };

/* What the load generator is to do; strings are those of argv. */
struct options {
	const char *server;
	struct endpoint endpoint;
	size_t connections;
	uint64_t requests; /* 0: as many as fit into `seconds` */
	double seconds;
	const char *request_file;
	const char *answer_file; /* NULL: any well-formed answer is right */
	uint64_t timeout_ns;
	pid_t roots[MAX_ROOTS];
	size_t root_count;
};

/* Reads the command line. False after a message with the usage on stderr. */
bool options_parse(struct options *options, int argc, char **argv);

#endif

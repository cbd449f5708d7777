#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

/* A resolved socket address: what `listen` in policyd.ini names and what a client connects to. */
struct endpoint {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* Reads `unix:PATH` or `inet:HOST:PORT` ([V6]:PORT too). False where the text is neither, the path
 * is too long for a unix socket, or HOST does not resolve; nothing is printed. */
bool endpoint_parse(const char *text, struct endpoint *out);

#endif

#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H

#include <stdbool.h>
#include <stddef.h>

/* One request with its closing empty line, and the exact answer it must get; answer is NULL where
 * any well-formed answer will do. Both point into the corpus. */
struct exchange {
	const char *request;
	size_t request_len;
	const char *answer;
	size_t answer_len;
};

struct corpus {
	struct exchange *items;
	size_t count;
	char *request_text;
	char *answer_text;
};

/* Reads requests (separated by empty lines) and, where answers is not NULL, one expected action a
 * line in the same order (`DUNNO`, without `action=`). False after a message on stderr where a file
 * cannot be read, holds no request, or the two differ in number; corpus_free is due either way. */
bool corpus_load(struct corpus *corpus, const char *requests, const char *answers);

void corpus_free(struct corpus *corpus);

#endif

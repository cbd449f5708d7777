/* The requests that the load generator sends and the answers it insists on.
 * Must not know sockets or time. Fails with one message on stderr and false. */
#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char action_prefix[] = "action=";

/* The whole file with two newlines added, so that the last request or line ends like every other.
 * The caller frees it; NULL after a message. */
static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	long size = -1;

	if (file == NULL) {
		perror(path);
		return NULL;
	}
	if (fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	rewind(file);
	if (size >= 0)
		text = malloc((size_t)size + 3);
	if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) {
		fprintf(stderr, "%s: cannot be read (it must be a regular file)\n", path);
		free(text);
		text = NULL;
		goto out;
	}
	memcpy(text + size, "\n\n", 3);
	*len = (size_t)size + 2;
out:
	fclose(file);
	return text;
}

static size_t next_request(const char *text, size_t len, size_t at, struct exchange *out)
{
	const char *end;

	while (at < len && text[at] == '\n')
		at++;
	end = memmem(text + at, len - at, "\n\n", 2);
	if (end == NULL)
		return 0;
	out->request = text + at;
	out->request_len = (size_t)(end - out->request) + 2;
	return at + out->request_len;
}

static bool split_requests(struct corpus *corpus, size_t len, const char *path)
{
	struct exchange found = {0};
	size_t count = 0;

	for (size_t at = 0; (at = next_request(corpus->request_text, len, at, &found)) != 0;)
		count++;
	if (count == 0) {
		fprintf(stderr, "%s: holds no request\n", path);
		return false;
	}
	corpus->items = calloc(count, sizeof *corpus->items);
	if (corpus->items == NULL) {
		perror(path);
		return false;
	}
	for (size_t at = 0; corpus->count < count; corpus->count++)
		at = next_request(corpus->request_text, len, at, &corpus->items[corpus->count]);
	return true;
}

/* Writes `action=LINE`, empty line for each expected line. Text ends with two newlines of which
 * the first may close an unfinished last line. */
static bool build_answers(struct corpus *corpus, const char *text, size_t len)
{
	size_t room = len + corpus->count * (sizeof action_prefix + 1);
	const char *line = text, *end;
	size_t used = 0, count = 0;

	corpus->answer_text = malloc(room);
	while (corpus->answer_text != NULL && count < corpus->count && *line != '\n') {
		size_t total;

		end = memchr(line, '\n', (size_t)(text + len - line));
		total = (size_t)(end - line) + sizeof action_prefix - 1 + 2;
		corpus->items[count].answer = corpus->answer_text + used;
		corpus->items[count].answer_len = total;
		snprintf(corpus->answer_text + used, room - used, "%s%.*s\n", action_prefix,
			(int)(end - line), line);
		corpus->answer_text[used + total - 1] = '\n';
		used += total;
		count++;
		line = end + 1;
	}
	return corpus->answer_text != NULL && count == corpus->count && *line == '\n';
}

bool corpus_load(struct corpus *corpus, const char *requests, const char *answers)
{
	char *text = NULL;
	size_t len;
	bool ok;

	*corpus = (struct corpus){0};
	corpus->request_text = read_file(requests, &len);
	if (corpus->request_text == NULL || !split_requests(corpus, len, requests))
		return false;
	if (answers == NULL)
		return true;
	text = read_file(answers, &len);
	if (text == NULL)
		return false;
	ok = build_answers(corpus, text, len);
	if (!ok)
		fprintf(stderr, "%s: not one line for each of the %zu requests of %s\n", answers,
			corpus->count, requests);
	free(text);
	return ok;
}

void corpus_free(struct corpus *corpus)
{
	free(corpus->items);
	free(corpus->request_text);
	free(corpus->answer_text);
}

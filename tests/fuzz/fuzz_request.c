/*
 * Any bytes as a stream of policy requests: whatever pieces they come in, the reader says the same.
 *
 * What holds: a request that is complete ends with an empty line, its values lie inside it and hold
 * neither NUL nor line feed.
 */
#include "policy/core/request.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

struct outcome {
	enum request_status status;
	enum request_fault fault;
	size_t used;
	struct request request;
};

/* Piece lengths follow from `seed`. */
static struct outcome read_in_pieces(struct text bytes, unsigned seed)
{
	struct request_reader reader = {0};
	struct outcome outcome = {.status = REQUEST_MORE};
	size_t len = 0;

	while (outcome.status == REQUEST_MORE && len < bytes.len) {
		size_t piece = 1 + seed % 61;

		seed = seed * 1103515245 + 12345;
		len = bytes.len - len > piece ? len + piece : bytes.len;
		outcome.status = request_read(
			&reader, text_head(bytes, len), &outcome.request, &outcome.used);
	}
	outcome.fault = reader.fault;
	return outcome;
}

static struct outcome read_whole(struct text bytes)
{
	struct request_reader reader = {0};
	struct outcome outcome = {0};

	outcome.status = request_read(&reader, bytes, &outcome.request, &outcome.used);
	outcome.fault = reader.fault;
	return outcome;
}

static void check_complete(struct text bytes, const struct outcome *outcome)
{
	size_t used = outcome->used;

	must(used > 0 && used <= bytes.len && used <= REQUEST_MAX && bytes.ptr[used - 1] == '\n');
	must(used == 1 || bytes.ptr[used - 2] == '\n');
	must(text_find(text_head(bytes, used), '\0') == used);
	for (unsigned attr = 0; attr < ATTR_COUNT_; attr++) {
		struct text value = outcome->request.attr[attr];

		must(value.ptr >= bytes.ptr && value.ptr + value.len <= bytes.ptr + used);
		must(text_find(value, '\n') == value.len);
	}
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	must(a->status == b->status && a->fault == b->fault);
	must((a->status == REQUEST_BAD) == (a->fault != FAULT_NONE));
	if (a->status != REQUEST_COMPLETE)
		return;
	must(a->used == b->used);
	for (unsigned attr = 0; attr < ATTR_COUNT_; attr++)
		must(text_equal(a->request.attr[attr], b->request.attr[attr]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text rest = {(const char *)data, size};
	unsigned seed = (unsigned)size;

	while (rest.len > 0) {
		struct outcome whole = read_whole(rest);
		struct outcome pieces = read_in_pieces(rest, seed++);

		check_same(&whole, &pieces);
		if (whole.status != REQUEST_COMPLETE)
			break;
		check_complete(rest, &whole);
		rest = text_tail(rest, whole.used);
	}
	return 0;
}

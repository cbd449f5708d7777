/*
 * The request reader: rows of bytes and what comes of them, each of them whole, byte by byte and
 * cut in two at every position.
 */
#include "policy/core/request.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct outcome {
	enum request_status status;
	enum request_fault fault;
	size_t used;
	struct request request;
};

/* Gives the reader the bytes up to `first`, then `step` more each time. */
static struct outcome read_in_steps(struct text bytes, size_t first, size_t step)
{
	struct request_reader reader = {0};
	struct outcome outcome = {.status = REQUEST_MORE};
	size_t len = first < bytes.len ? first : bytes.len;

	for (;;) {
		outcome.status = request_read(
			&reader, text_head(bytes, len), &outcome.request, &outcome.used);
		if (outcome.status != REQUEST_MORE || len == bytes.len)
			break;
		len = bytes.len - len > step ? len + step : bytes.len;
	}
	outcome.fault = reader.fault;
	return outcome;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->fault, b->fault);
	if (a->status != REQUEST_COMPLETE)
		return;
	assert_int_equal(a->used, b->used);
	for (unsigned attr = 0; attr < ATTR_COUNT_; attr++)
		assert_true(text_equal(a->request.attr[attr], b->request.attr[attr]));
}

/* What the reader makes of the bytes; the same however they come. */
static struct outcome read_every_way(struct text bytes)
{
	struct outcome whole = read_in_steps(bytes, bytes.len, bytes.len);
	struct outcome single = read_in_steps(bytes, 1, 1);

	assert_same(&whole, &single);
	for (size_t cut = 0; cut < bytes.len && bytes.len < 2000; cut++) {
		struct outcome halves = read_in_steps(bytes, cut, bytes.len);

		assert_same(&whole, &halves);
	}
	return whole;
}

static const struct {
	struct text bytes;
	enum request_status status;
	enum request_fault fault;
	size_t used;
	const char *sender, *login;
} rows[] = {
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}
	{BYTES(""), REQUEST_MORE, FAULT_NONE, 0, NULL, NULL},
	{BYTES("request=x"), REQUEST_MORE, FAULT_NONE, 0, NULL, NULL},
	{BYTES("request=x\n"), REQUEST_MORE, FAULT_NONE, 0, NULL, NULL},
	{BYTES("\n"), REQUEST_COMPLETE, FAULT_NONE, 1, "", ""},
	{BYTES("sender=a@b\nsasl_username=c\n\n"), REQUEST_COMPLETE, FAULT_NONE, 28, "a@b", "c"},
	{BYTES("sasl_username=c\nsender=a@b\n\n"), REQUEST_COMPLETE, FAULT_NONE, 28, "a@b", "c"},
	{BYTES("sender=action=OK@x\n\n"), REQUEST_COMPLETE, FAULT_NONE, 20, "action=OK@x", ""},
	{BYTES("sender=\n\nsender=next\n\n"), REQUEST_COMPLETE, FAULT_NONE, 9, "", ""},
	{BYTES("sender=a\n\n\0rest is another's"), REQUEST_COMPLETE, FAULT_NONE, 10, "a", ""},
	{BYTES("Sender=a\nsender1=b\nsende=c\n=d\nsasl_sender=e\n\n"), REQUEST_COMPLETE, FAULT_NONE,
		45, "", ""},
	{BYTES("helo_name=\xff\xfe\r\nsender=j\xc3\xb6s@x\n\n"), REQUEST_COMPLETE, FAULT_NONE, 29,
		"j\xc3\xb6s@x", ""},
	{BYTES("request\n"), REQUEST_BAD, FAULT_NO_EQUALS, 0, NULL, NULL},
	{BYTES("sender=a\n\r\n"), REQUEST_BAD, FAULT_NO_EQUALS, 0, NULL, NULL},
	{BYTES("sender=a\0b"), REQUEST_BAD, FAULT_NUL, 0, NULL, NULL},
	{BYTES("size\0=1\n\n"), REQUEST_BAD, FAULT_NUL, 0, NULL, NULL},
	{BYTES("no equals\0\n"), REQUEST_BAD, FAULT_NUL, 0, NULL, NULL},
	{BYTES("no equals\n\0"), REQUEST_BAD, FAULT_NO_EQUALS, 0, NULL, NULL},
	{BYTES("sender=a\nsender=a\n\n"), REQUEST_BAD, FAULT_TWICE, 0, NULL, NULL},
	{BYTES("sender=\nsender=b\n\n"), REQUEST_BAD, FAULT_TWICE, 0, NULL, NULL},
	{BYTES("size=1\nsize=2\n\n"), REQUEST_COMPLETE, FAULT_NONE, 15, "", ""},
#undef BYTES
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome outcome = read_every_way(rows[i].bytes);

		assert_int_equal(outcome.status, rows[i].status);
		assert_int_equal(outcome.fault, rows[i].fault);
		if (outcome.status != REQUEST_COMPLETE)
			continue;
		assert_int_equal(outcome.used, rows[i].used);
		assert_true(text_equal(outcome.request.attr[ATTR_SENDER], text_of(rows[i].sender)));
		assert_true(text_equal(
			outcome.request.attr[ATTR_SASL_USERNAME], text_of(rows[i].login)));
	}
}

static void test_every_attribute(void **state)
{
	static const char bytes[] = "request=0\nprotocol_state=1\nsender=2\nsasl_username=3\n"
				    "client_address=4\nqueue_id=5\ninstance=6\nrecipient=7\n"
				    "protocol_name=x\nserver_address=x\npolicy_context=x\n"
				    "recipient_count=x\nclient_name=x\n\n";
	struct outcome outcome = read_every_way(text_of(bytes));

	(void)state;
	assert_int_equal(outcome.status, REQUEST_COMPLETE);
	for (unsigned attr = 0; attr < ATTR_COUNT_; attr++) {
		assert_int_equal(outcome.request.attr[attr].len, 1);
		assert_int_equal(outcome.request.attr[attr].ptr[0], '0' + (int)attr);
	}
}

/* Attributes to begin with, a line `x=aaa...` of line_len bytes, the end. The caller frees it. */
static struct text make(unsigned attrs, size_t line_len, const char *end)
{
	size_t cap = attrs * 4 + line_len + strlen(end);
	char *bytes = malloc(cap + 1), *at = bytes;

	assert_non_null(bytes);
	for (unsigned i = 0; i < attrs; i++, at += 4)
		memcpy(at, "a=b\n", 4);
	memset(at, 'a', line_len);
	if (line_len > 1)
		at[1] = '=';
	memcpy(at + line_len, end, strlen(end));
	return (struct text){bytes, cap};
}

static const struct {
	unsigned attrs;
	size_t line_len;
	const char *end;
	enum request_status status;
	enum request_fault fault;
} bounds[] = {
	{0, REQUEST_LINE_MAX, "\n\n", REQUEST_COMPLETE, FAULT_NONE},
	{0, REQUEST_LINE_MAX, "", REQUEST_MORE, FAULT_NONE},
	{0, REQUEST_LINE_MAX + 1, "", REQUEST_BAD, FAULT_LINE_LONG},
	{0, REQUEST_LINE_MAX + 1, "\n\n", REQUEST_BAD, FAULT_LINE_LONG},
	{5, 3 * REQUEST_LINE_MAX, "\n\n", REQUEST_BAD, FAULT_LINE_LONG},
	{REQUEST_ATTRS_MAX, 0, "\n", REQUEST_COMPLETE, FAULT_NONE},
	{REQUEST_ATTRS_MAX - 1, 3, "\n\n", REQUEST_COMPLETE, FAULT_NONE},
	{REQUEST_ATTRS_MAX, 3, "\n\n", REQUEST_BAD, FAULT_MANY_ATTRS},
	{10000, 0, "\n", REQUEST_BAD, FAULT_MANY_ATTRS},
};

static void test_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct text bytes = make(bounds[i].attrs, bounds[i].line_len, bounds[i].end);
		struct outcome outcome = read_every_way(bytes);

		assert_int_equal(outcome.status, bounds[i].status);
		assert_int_equal(outcome.fault, bounds[i].fault);
		free((char *)bytes.ptr);
	}
}

/* A request of exactly `size` bytes in lines of at most 10,000. The caller frees it. */
static struct text make_request(size_t size)
{
	char *bytes = malloc(size);

	assert_non_null(bytes);
	memset(bytes, '=', size);
	for (size_t at = 9999; at + 2 < size; at += 10000)
		bytes[at] = '\n';
	bytes[size - 2] = bytes[size - 1] = '\n';
	return (struct text){bytes, size};
}

static void test_request_bound(void **state)
{
	struct text longest = make_request(REQUEST_MAX), longer = make_request(REQUEST_MAX + 1);
	struct outcome outcome = read_every_way(longest);

	(void)state;
	assert_int_equal(outcome.status, REQUEST_COMPLETE);
	assert_int_equal(outcome.used, REQUEST_MAX);
	outcome = read_every_way(longer);
	assert_int_equal(outcome.fault, FAULT_REQUEST_LONG);
	free((char *)longest.ptr);
	free((char *)longer.ptr);
}

static void test_bad_stays_bad(void **state)
{
	struct request_reader reader = {0};
	struct request request;
	size_t used;

	(void)state;
	assert_int_equal(request_read(&reader, TEXT("x\n"), &request, &used), REQUEST_BAD);
	assert_int_equal(request_read(&reader, TEXT("x\n\n\n"), &request, &used), REQUEST_BAD);
	assert_string_equal(request_fault_text(reader.fault), "a line without '='");
}

/* The buffer may have moved between two calls. */
static void test_buffer_moves(void **state)
{
	static const char first[] = "sender=a@b\nsasl_us",
			  second[] = "sender=a@b\nsasl_username=c\n\n";
	struct request_reader reader = {0};
	struct request request;
	size_t used;

	(void)state;
	assert_int_equal(request_read(&reader, text_of(first), &request, &used), REQUEST_MORE);
	assert_int_equal(request_read(&reader, text_of(second), &request, &used), REQUEST_COMPLETE);
	assert_ptr_equal(request.attr[ATTR_SENDER].ptr, second + 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_every_attribute),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_request_bound),
		cmocka_unit_test(test_bad_stays_bad),
		cmocka_unit_test(test_buffer_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

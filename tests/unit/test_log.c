/*
 * The log: what a line looks like in each form, that hostile bytes never leave their value, that
 * lines are cut where they should be, and that lost lines are counted and told.
 */
#include "policy/engine/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPTURE_MAX 65536

/* stderr, sent into a pipe that holds CAPTURE_MAX bytes. */
struct capture {
	int kept, reading;
	char bytes[CAPTURE_MAX + 1];
	size_t len;
};

static void capture_start(struct capture *capture)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	capture->kept = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	capture->reading = ends[0];
}

static const char *capture_read(struct capture *capture)
{
	ssize_t got = read(capture->reading, capture->bytes, CAPTURE_MAX);
	capture->len = got > 0 ? (size_t)got : 0;
	capture->bytes[capture->len] = '\0';
	return capture->bytes;
}

static const char *capture_stop(struct capture *capture)
{
	dup2(capture->kept, STDERR_FILENO);
	close(capture->kept);
	capture_read(capture);
	close(capture->reading);
	return capture->bytes;
}

/* What syslog(3) was given: these two take the place of libc's. */
static struct {
	int priority;
	char text[LOG_LINE_MAX];
} sent;

void(syslog)(int priority, const char *format, ...) /* in brackets: it may be a macro, too */
{
	va_list args;
	va_start(args, format);
	sent.priority = priority;
	vsnprintf(sent.text, sizeof(sent.text), format, args);
	va_end(args);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list args;
	(void)flag;
	va_start(args, format);
	sent.priority = priority;
	vsnprintf(sent.text, sizeof(sent.text), format, args);
	va_end(args);
}

/* Behind the time stamp, which is checked for its form. */
static const char *behind_stamp(const char *line)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'd')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], form[i]);
	}
	return line + sizeof(form) - 1;
}

static void check_escape(struct text in, const char *expected)
{
	char out[256];
	size_t len = log_escape(in, out, sizeof(out));
	assert_string_equal(out, expected);
	assert_int_equal(len, strlen(expected));
}

static void test_escape(void **state)
{
	(void)state;
	check_escape(TEXT(""), "");
	check_escape(TEXT("plain=\"text\" of 1"), "plain=\"text\" of 1");
	check_escape(TEXT("a\nb\tc\r"), "a\\x0ab\\x09c\\x0d");
	check_escape(TEXT("nul\0"), "nul\\x00");
	check_escape(TEXT("back\\slash\x7f"), "back\\x5cslash\\x7f");
	check_escape(TEXT("j\xc3\xb6s \xe2\x82\xac \xf0\x9f\x90\xb1"),
		"j\xc3\xb6s \xe2\x82\xac \xf0\x9f\x90\xb1");
	check_escape(TEXT("\xf6 \xc3"), "\\xf6 \\xc3");
	check_escape(TEXT("\xc0\xaf"), "\\xc0\\xaf");
	check_escape(TEXT("\xed\xa0\x80"), "\\xed\\xa0\\x80");
	check_escape(TEXT("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
	check_escape(TEXT("\xe0\x80\x80"), "\\xe0\\x80\\x80");
	check_escape(TEXT("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf");
	check_escape(TEXT("\xf0\x8f\xbf\xbf"), "\\xf0\\x8f\\xbf\\xbf");
	check_escape(TEXT("\xd8\x9c"), "\\xd8\\x9c");
	check_escape(TEXT("\xc2\x9b[2J"), "\\xc2\\x9b[2J");
	check_escape(TEXT("\xe2\x80\xae"), "\\xe2\\x80\\xae");
}

static void test_escape_is_cut_between_characters(void **state)
{
	char out[8] = "zzzzzzz";
	(void)state;
	assert_int_equal(log_escape(TEXT("abc"), out, 0), 0);
	assert_int_equal(out[0], 'z');
	assert_int_equal(log_escape(TEXT("abc"), out, 1), 0);
	assert_string_equal(out, "");
	assert_int_equal(log_escape(TEXT("abcdefghi"), out, 8), 7);
	assert_string_equal(out, "abcdefg");
	assert_int_equal(log_escape(TEXT("abcd\n"), out, 8), 4);
	assert_string_equal(out, "abcd");
	assert_int_equal(log_escape(TEXT("abcdef\xc3\xb6"), out, 8), 6);
	assert_string_equal(out, "abcdef");
}

static const struct log_field sample[] = {
	{"id", {"4f2a", 4}},
	{"login", {"joe smith", 9}},
	{"sender", {"a\"b\nc", 5}},
	{"row", {"", 0}},
	{"us", {"12", 2}},
	{"equals", {"a=b", 3}},
};
#define SAMPLE_COUNT (sizeof(sample) / sizeof(sample[0]))

static void test_text_line(void **state)
{
	struct capture capture;
	struct log log;
	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "worker 1");
	log_fields(&log, LOG_LEVEL_INFO, "decision", sample, SAMPLE_COUNT);
	capture_stop(&capture);
	assert_string_equal(behind_stamp(capture.bytes),
		"policyd[worker 1]: info: decision id=4f2a login=\"joe smith\" "
		"sender=\"a\\x22b\\x0ac\" row=\"\" us=12 equals=\"a=b\"\n");
}

/* The plain way to say what test_every_byte expects of `v=` and one odd byte among plain ones. */
static void format_expected(char *out, const char *value, size_t len, size_t at)
{
	unsigned char c = (unsigned char)value[at];
	const char *quote = c == ' ' || c == '"' || c == '=' ? "\"" : "";
	char odd[8];
	bool is_kept = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
	if (is_kept)
		snprintf(odd, sizeof(odd), "%c", c);
	else
		snprintf(odd, sizeof(odd), "\\x%02x", c);
	sprintf(out, "policyd[x]: info: d v=%s%.*s%s%.*s%s\n", quote, (int)at, value, odd,
		(int)(len - at - 1), value + at + 1, quote);
}

static void test_every_byte_at_every_place(void **state)
{
	struct capture capture;
	struct log log;
	char value[20], expected[128];
	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "x");
	for (size_t i = 0; i < 256 * sizeof(value); i++) {
		size_t at = i / 256, len = at + 1 + i % (sizeof(value) - at);
		memset(value, 'a', sizeof(value));
		value[at] = (char)(i % 256);
		format_expected(expected, value, len, at);
		const struct log_field field = {"v", {value, len}};
		log_fields(&log, LOG_LEVEL_INFO, "d", &field, 1);
		assert_string_equal(behind_stamp(capture_read(&capture)), expected);
	}
	capture_stop(&capture);
}

static void test_json_line(void **state)
{
	struct capture capture;
	struct log log;
	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_JSON, LOG_LEVEL_INFO, "worker 1");
	log_fields(&log, LOG_LEVEL_INFO, "decision", sample, 3);
	capture_stop(&capture);
	const char *behind = strstr(capture.bytes, "Z\",");
	assert_memory_equal(capture.bytes, "{\"time\":\"20", 11);
	assert_non_null(behind);
	assert_string_equal(behind + 3,
		"\"level\":\"info\",\"process\":\"worker 1\",\"message\":\"decision\","
		"\"id\":\"4f2a\",\"login\":\"joe smith\",\"sender\":\"a\\u0022b\\u000ac\"}\n");
}

static void test_json_escapes(void **state)
{
	static const struct log_field fields[] = {
		{"x", {"\\ \x7f \xff \xc3\xb6 \xc2\x85 \xe2\x80\xa8", 15}}};
	struct capture capture;
	struct log log;
	(void)state;
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_JSON, LOG_LEVEL_INFO, "keeper");
	log_fields(&log, LOG_LEVEL_ERROR, "x", fields, 1);
	capture_stop(&capture);
	assert_non_null(strstr(
		capture.bytes, "\"x\":\"\\u005c \\u007f \\ufffd \xc3\xb6 \\u0085 \\u2028\"}\n"));
}

static void test_event_and_levels(void **state)
{
	struct capture capture;
	struct log log;
	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, "supervisor");
	log_event(&log, LOG_LEVEL_INFO, "not this");
	log_fields(&log, LOG_LEVEL_DEBUG, "nor this", sample, 1);
	assert_string_equal(capture_read(&capture), "");
	log_event(&log, LOG_LEVEL_WARNING, "worker %d ended\nby itself: a\\x5cb", 3);
	capture_stop(&capture);
	assert_string_equal(behind_stamp(capture.bytes),
		"policyd[supervisor]: warning: worker 3 ended\\x0aby itself: a\\x5cb\n");
}

static void test_journal_only_where_stderr_is_it(void **state)
{
	struct capture capture;
	struct log log;
	struct stat status;
	char stream[64];
	(void)state;
	capture_start(&capture);
	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "keeper");
	log_event(&log, LOG_LEVEL_ERROR, "gone");
	log_event(&log, LOG_LEVEL_INFO, "back");
	assert_string_equal(capture_read(&capture),
		"<3>policyd[keeper]: error: gone\n<6>policyd[keeper]: info: back\n");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "keeper");
	log_event(&log, LOG_LEVEL_ERROR, "gone");
	capture_stop(&capture);
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(behind_stamp(capture.bytes), "policyd[keeper]: error: gone\n");
}

static void test_syslog(void **state)
{
	struct log log;
	(void)state;
	log_init(&log, LOG_TARGET_SYSLOG, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "worker 2");
	log_event(&log, LOG_LEVEL_WARNING, "100%% of %s", "it");
	assert_string_equal(sent.text, "worker 2: warning: 100% of it");
	assert_int_equal(sent.priority, LOG_WARNING);
	log_fields(&log, LOG_LEVEL_INFO, "decision", sample, 1);
	assert_string_equal(sent.text, "worker 2: info: decision id=4f2a");
	log.format = LOG_FORMAT_JSON;
	log_event(&log, LOG_LEVEL_INFO, "up");
	assert_int_equal(sent.text[0], '{');
	assert_int_equal(sent.text[strlen(sent.text) - 1], '}');
}

/* A sender of the largest size must not push the verdict out of the line. */
static void test_long_values_are_cut(void **state)
{
	static char junk[9000];
	struct capture capture;
	struct log log;
	(void)state;
	memset(junk, '\1', sizeof(junk));
	const struct log_field fields[] = {{"login", {junk, sizeof(junk)}},
		{"sender", {junk, 2048}}, {"verdict", {"REJECT", 6}}};
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "worker 1");
	log_fields(&log, LOG_LEVEL_INFO, "decision", fields, 3);
	capture_stop(&capture);
	assert_in_range(capture.len, 2000, LOG_LINE_MAX);
	assert_non_null(strstr(capture.bytes, "\\x01... verdict=REJECT\n"));
}

static void test_long_lines_are_cut(void **state)
{
	static char junk[LOG_LINE_MAX * 2];
	struct log_field fields[40];
	struct capture capture;
	struct log log;
	(void)state;
	memset(junk, 'j', sizeof(junk) - 1);
	for (size_t i = 0; i < 40; i++)
		fields[i] = (struct log_field){"name", {junk, 900 + i * 3}};
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
		capture_start(&capture);
		log_init(&log, LOG_TARGET_STDERR, (enum log_format)format, LOG_LEVEL_INFO, "x");
		log_event(&log, LOG_LEVEL_INFO, "%s", junk);
		log_fields(&log, LOG_LEVEL_INFO, "decision", fields, 40);
		capture_stop(&capture);
		char *second = strchr(capture.bytes, '\n') + 1;
		assert_in_range(second - capture.bytes, LOG_LINE_MAX - 100, LOG_LINE_MAX);
		assert_in_range(strlen(second), LOG_LINE_MAX - 100, LOG_LINE_MAX);
		assert_string_equal(
			second + strlen(second) - (format ? 3 : 1), format ? "\"}\n" : "\n");
	}
}

static void test_lost_lines_are_told(void **state)
{
	static char junk[4000];
	struct capture capture;
	struct log log;
	(void)state;
	unsetenv("JOURNAL_STREAM");
	memset(junk, 'j', sizeof(junk) - 1);
	capture_start(&capture);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "worker 1");
	for (int i = 0; i < 40; i++)
		log_event(&log, LOG_LEVEL_INFO, "%s", junk);
	uint64_t lost = log.dropped;
	assert_in_range(lost, 20, 30);
	capture_read(&capture);
	log_event(&log, LOG_LEVEL_INFO, "through again");
	char expected[128];
	snprintf(expected, sizeof(expected),
		"policyd[worker 1]: warning: %llu lines of the log could not be written before "
		"this one\n",
		(unsigned long long)lost);
	capture_stop(&capture);
	assert_int_equal(log.dropped, 0);
	const char *notice = capture.bytes[0] == '\n' ? capture.bytes + 1 : capture.bytes;
	notice = behind_stamp(notice);
	assert_memory_equal(notice, expected, strlen(expected));
	assert_string_equal(behind_stamp(notice + strlen(expected)),
		"policyd[worker 1]: info: through again\n");
}

static void test_closed_stderr_is_survived(void **state)
{
	struct log log;
	int kept = dup(STDERR_FILENO);
	(void)state;
	close(STDERR_FILENO);
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "worker 1");
	log_event(&log, LOG_LEVEL_INFO, "nobody reads this");
	log_event(&log, LOG_LEVEL_INFO, "nor this");
	dup2(kept, STDERR_FILENO);
	close(kept);
	assert_int_equal(log.dropped, 2);
}

/* Reads one string of a JSON object; NULL when it is none. */
static const char *json_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	while (*p != '"') {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p == '\\') {
			if (p[1] != 'u' || strspn(p + 2, "0123456789abcdef") < 4)
				return NULL;
			p += 5;
		}
		p++;
	}
	return p + 1;
}

static bool is_flat_json(const char *p)
{
	if (*p++ != '{')
		return false;
	for (;;) {
		p = json_string(p);
		if (!p || *p++ != ':')
			return false;
		p = json_string(p);
		if (!p)
			return false;
		if (*p == '}')
			return strcmp(p + 1, "\n") == 0;
		if (*p++ != ',')
			return false;
	}
}

static void test_any_bytes_stay_inside_their_value(void **state)
{
	char bytes[300];
	struct capture capture;
	struct log log;
	uint32_t seed = 1;
	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (char)(seed >> 24);
		}
		struct log_field fields[] = {{"a", {bytes, round % 300}}, {"b", {bytes + 7, 9}}};
		capture_start(&capture);
		log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_JSON, LOG_LEVEL_INFO, "x");
		log_fields(&log, LOG_LEVEL_INFO, "decision", fields, 2);
		log.format = LOG_FORMAT_TEXT;
		assert_true(is_flat_json(capture_read(&capture)));
		log_fields(&log, LOG_LEVEL_INFO, "decision", fields, 2);
		capture_stop(&capture);
		for (size_t i = 0; i + 1 < capture.len; i++)
			assert_true((unsigned char)capture.bytes[i] >= 0x20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_is_cut_between_characters),
		cmocka_unit_test(test_text_line),
		cmocka_unit_test(test_every_byte_at_every_place),
		cmocka_unit_test(test_json_line),
		cmocka_unit_test(test_json_escapes),
		cmocka_unit_test(test_event_and_levels),
		cmocka_unit_test(test_journal_only_where_stderr_is_it),
		cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_long_values_are_cut),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_lost_lines_are_told),
		cmocka_unit_test(test_closed_stderr_is_survived),
		cmocka_unit_test(test_any_bytes_stay_inside_their_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

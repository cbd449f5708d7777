/*
 * The log's lines: built in a buffer of their own, escaped in one pass, out with one write(2) or
 * syslog(3).
 *
 * Knows no event and no decision: names and values come from the caller. A line that cannot be
 * written is counted, never retried: nobody waits for the log. log_fields runs once a decision, so
 * nothing there formats with printf.
 */
#include "policy/engine/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define TAIL_MAX     8  /* `..."}` and the line end */
#define FIELD_EXTRA  16 /* around name and value: blank or comma, quotes, `=` or colon, dots */
#define DROPPED_TEXT "lines of the log could not be written before this one"

enum style {
	STYLE_MESSAGE, /* a sentence whose parts are escaped already: `\` stays */
	STYLE_TEXT,
	STYLE_QUOTED, /* between quotes of a text line */
	STYLE_JSON,
};

/* bytes[0] is a line feed that is only written to end a torn line. */
struct line {
	size_t len;
	char bytes[LOG_LINE_MAX];
};

/* One character in its escaped form. */
struct unit {
	size_t len;
	char bytes[16];
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const int level_priorities[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static const char hex_digits[] = "0123456789abcdef";

#define BIT(c) (UINT64_C(1) << ((c)&63))

/* Bytes that stand for themselves in every style and need no quotes. */
static bool is_plain(unsigned char c)
{
	static const uint64_t plain[4] = {
		(~UINT64_C(0) << 33) & ~BIT('"') & ~BIT('='), ~(BIT('\\') | BIT(127)), 0, 0};
	return plain[c >> 6] >> (c & 63) & 1;
}

#define EACH(c) (UINT64_C(0x0101010101010101) * (unsigned char)(c))

/* The high bit of a byte is set where a byte of `word` is zero (in the lowest such byte for sure).
 */
static uint64_t zero_bytes(uint64_t word)
{
	return (word - EACH(1)) & ~word & EACH(0x80);
}

/* Whether the eight bytes at p are all plain. */
static bool is_plain_word(const char *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof(word));
	uint64_t below = word - EACH(0x21), above = word | (word + EACH(1));
	uint64_t special = zero_bytes(word ^ EACH('"')) | zero_bytes(word ^ EACH('=')) |
			   zero_bytes(word ^ EACH('\\'));
	return !((below | above | special) & EACH(0x80));
}

/* How many plain bytes `in` begins with. Nearly all values are plain to their end, so words are
 * looked at first. */
static size_t plain_run(struct text in)
{
	size_t run = 0;
	while (in.len - run >= 8 && is_plain_word(in.ptr + run))
		run += 8;
	if (in.len >= 8 && in.len - run < 8 && is_plain_word(in.ptr + in.len - 8))
		return in.len;
	while (run < in.len && is_plain((unsigned char)in.ptr[run]))
		run++;
	return run;
}

static uint32_t continued(uint32_t code, unsigned char c)
{
	return code << 6 | (c & 0x3fU);
}

/* Length of the UTF-8 character of two to four bytes at p, 0 where there is none. */
static size_t utf8_decode(const unsigned char *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
		return 0;
	*code = p[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = continued(*code, p[i]);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return len;
}

/* What a terminal obeys, or what makes a line read differently from its bytes. */
static bool is_mark(uint32_t code)
{
	return code < 0xa0 || code == 0x61c || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void unit_copy(struct unit *unit, const unsigned char *p, size_t len)
{
	memcpy(unit->bytes, p, len);
	unit->len = len;
}

static void unit_hex(struct unit *unit, const unsigned char *p, size_t len)
{
	unit->len = len * 4;
	for (size_t i = 0; i < len; i++) {
		unit->bytes[i * 4] = '\\';
		unit->bytes[i * 4 + 1] = 'x';
		unit->bytes[i * 4 + 2] = hex_digits[p[i] >> 4];
		unit->bytes[i * 4 + 3] = hex_digits[p[i] & 15];
	}
}

static void unit_json(struct unit *unit, uint32_t code)
{
	unit->len = 6;
	unit->bytes[0] = '\\';
	unit->bytes[1] = 'u';
	for (unsigned i = 0; i < 4; i++)
		unit->bytes[2 + i] = hex_digits[code >> (12 - 4 * i) & 15];
}

static void unit_ascii(struct unit *unit, const unsigned char *p, enum style style)
{
	bool is_control = *p < 0x20 || *p == 0x7f;
	bool is_special = (*p == '\\' && style != STYLE_MESSAGE) ||
			  (*p == '"' && (style == STYLE_QUOTED || style == STYLE_JSON));
	if (!is_control && !is_special)
		unit_copy(unit, p, 1);
	else if (style == STYLE_JSON)
		unit_json(unit, *p);
	else
		unit_hex(unit, p, 1);
}

/* The escaped form of the character at p; returns how many bytes it took. */
static size_t unit_make(struct unit *unit, const unsigned char *p, size_t left, enum style style)
{
	uint32_t code = 0;
	size_t len = 1;
	if (*p < 0x80) {
		unit_ascii(unit, p, style);
		return 1;
	}
	len = utf8_decode(p, left, &code);
	if (len && !is_mark(code))
		unit_copy(unit, p, len);
	else if (style == STYLE_JSON)
		unit_json(unit, len ? code : 0xfffd);
	else
		unit_hex(unit, p, len ? len : 1);
	return len ? len : 1;
}

/* Into out[cap], never a part of a character. Returns the length; *used is how much of `in` it
 * says. */
static size_t escape(struct text in, enum style style, char *out, size_t cap, size_t *used)
{
	size_t len = 0, at = 0;
	while (at < in.len) {
		size_t run = plain_run(text_tail(in, at));
		if (run > cap - len)
			run = cap - len;
		memcpy(out + len, in.ptr + at, run);
		len += run;
		at += run;
		if (at == in.len)
			break;
		struct unit unit;
		size_t taken =
			unit_make(&unit, (const unsigned char *)in.ptr + at, in.len - at, style);
		if (unit.len > cap - len)
			break;
		memcpy(out + len, unit.bytes, unit.len);
		len += unit.len;
		at += taken;
	}
	*used = at;
	return len;
}

size_t log_escape(struct text in, char *out, size_t cap)
{
	size_t used;
	if (cap == 0)
		return 0;
	size_t len = escape(in, STYLE_TEXT, out, cap - 1, &used);
	out[len] = '\0';
	return len;
}

static size_t line_room(const struct line *line)
{
	size_t limit = LOG_LINE_MAX - TAIL_MAX;
	return line->len < limit ? limit - line->len : 0;
}

/* Only for what is known to fit. */
static void put(struct line *line, const char *bytes, size_t len)
{
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

static void put_string(struct line *line, const char *string)
{
	put(line, string, strlen(string));
}

/* Escaped, at most `max` bytes of it and as many as fit; `...` stands for the rest. */
static void put_escaped(struct line *line, struct text in, enum style style, size_t max)
{
	size_t used, room = line_room(line);
	size_t cap = max < room ? max : room;
	line->len += escape(in, style, line->bytes + line->len, cap, &used);
	if (used < in.len)
		put(line, "...", 3);
}

static void stamp_renew(struct log *log, time_t now)
{
	struct tm utc;
	if (now == log->stamp_s && log->stamp[0])
		return;
	log->stamp_s = now;
	if (!gmtime_r(&now, &utc) ||
		!strftime(log->stamp, sizeof(log->stamp), "%Y-%m-%dT%H:%M:%S", &utc))
		memcpy(log->stamp, "-", 2);
}

static void put_time(struct log *log, struct line *line)
{
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	stamp_renew(log, now.tv_sec);
	unsigned ms = (unsigned)(now.tv_nsec / 1000000);
	char fraction[5] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
		(char)('0' + ms % 10), 'Z'};
	put_string(line, log->stamp);
	put(line, fraction, sizeof(fraction));
}

static void head_json(struct log *log, struct line *line, enum log_level level)
{
	put_string(line, "{\"time\":\"");
	put_time(log, line);
	put_string(line, "\",\"level\":\"");
	put_string(line, level_names[level]);
	put_string(line, "\",\"process\":\"");
	put_escaped(line, text_of(log->process), STYLE_JSON, 64);
	put_string(line, "\",\"message\":\"");
}

static void head_text(struct log *log, struct line *line, enum log_level level)
{
	bool is_stderr = log->target == LOG_TARGET_STDERR;
	if (is_stderr && !log->is_journal) {
		put_time(log, line);
		put(line, " ", 1);
	}
	if (is_stderr)
		put_string(line, "policyd[");
	put_escaped(line, text_of(log->process), STYLE_TEXT, 64);
	put_string(line, is_stderr ? "]: " : ": ");
	put_string(line, level_names[level]);
	put(line, ": ", 2);
}

static void line_start(
	struct log *log, struct line *line, enum log_level level, struct text message)
{
	bool is_json = log->format == LOG_FORMAT_JSON;
	line->len = 1;
	line->bytes[0] = '\n';
	if (log->target == LOG_TARGET_STDERR && log->is_journal) {
		char priority[3] = {'<', (char)('0' + level_priorities[level]), '>'};
		put(line, priority, sizeof(priority));
	}
	if (is_json)
		head_json(log, line, level);
	else
		head_text(log, line, level);
	put_escaped(line, message, is_json ? STYLE_JSON : STYLE_MESSAGE, LOG_LINE_MAX);
	if (is_json)
		put(line, "\"", 1);
}

static bool line_write(struct log *log, const struct line *line)
{
	size_t from = log->is_torn ? 0 : 1;
	ssize_t wrote;
	do
		wrote = write(STDERR_FILENO, line->bytes + from, line->len - from);
	while (wrote < 0 && errno == EINTR);
	if (wrote > 0)
		log->is_torn = (size_t)wrote < line->len - from;
	return wrote > 0 && !log->is_torn;
}

static void line_end(const struct log *log, struct line *line)
{
	if (log->format == LOG_FORMAT_JSON)
		put(line, "}", 1);
	if (log->target == LOG_TARGET_STDERR)
		put(line, "\n", 1);
	else
		put(line, "", 1);
}

static bool dropped_report(struct log *log)
{
	struct line line;
	char message[sizeof(DROPPED_TEXT) + 24];
	int len = snprintf(message, sizeof(message), "%llu %s", (unsigned long long)log->dropped,
		DROPPED_TEXT);
	line_start(log, &line, LOG_LEVEL_WARNING, (struct text){message, (size_t)len});
	line_end(log, &line);
	if (!line_write(log, &line))
		return false;
	log->dropped = 0;
	return true;
}

static void line_send(struct log *log, enum log_level level, struct line *line)
{
	line_end(log, line);
	if (log->target == LOG_TARGET_SYSLOG)
		syslog(level_priorities[level], "%s", line->bytes + 1);
	else if ((log->dropped && !dropped_report(log)) || !line_write(log, line))
		log->dropped++;
}

/* systemd names in JOURNAL_STREAM the device and inode of the stream it handed over; stderr may
 * have been sent elsewhere since. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat status;
	char mine[48];
	if (!stream || fstat(STDERR_FILENO, &status) != 0)
		return false;
	snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino);
	return strcmp(mine, stream) == 0;
}

void log_init(struct log *log, enum log_target target, enum log_format format, enum log_level level,
	const char *process)
{
	*log = (struct log){.target = target, .format = format, .level = level, .process = process};
	if (target == LOG_TARGET_SYSLOG)
		openlog("policyd", LOG_PID | LOG_NDELAY, LOG_MAIL);
	else
		log->is_journal = stderr_is_journal();
}

void log_event(struct log *log, enum log_level level, const char *format, ...)
{
	char message[LOG_LINE_MAX];
	struct line line;
	if (level > log->level)
		return;
	va_list args;
	va_start(args, format);
	int len = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (len < 0)
		return;
	line_start(log, &line, level, text_of(message));
	line_send(log, level, &line);
}

/* From the first byte on that is not plain. */
static bool needs_quotes(struct text value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] == ' ' || value.ptr[i] == '"' || value.ptr[i] == '=')
			return true;
	return false;
}

static void put_text_field(struct line *line, const struct log_field *field)
{
	struct text value = field->value;
	size_t run = plain_run(value), room;
	put(line, " ", 1);
	put_string(line, field->name);
	put(line, "=", 1);
	room = line_room(line);
	if (run && run == value.len && run <= LOG_VALUE_MAX && run <= room) {
		put(line, value.ptr, run);
		return;
	}
	bool is_quoted = value.len == 0 || needs_quotes(text_tail(value, run));
	put(line, "\"", is_quoted ? 1 : 0);
	put_escaped(line, value, is_quoted ? STYLE_QUOTED : STYLE_TEXT, LOG_VALUE_MAX);
	put(line, "\"", is_quoted ? 1 : 0);
}

static void put_json_field(struct line *line, const struct log_field *field)
{
	put(line, ",\"", 2);
	put_string(line, field->name);
	put(line, "\":\"", 3);
	put_escaped(line, field->value, STYLE_JSON, LOG_VALUE_MAX);
	put(line, "\"", 1);
}

void log_fields(struct log *log, enum log_level level, const char *what,
	const struct log_field *fields, size_t count)
{
	struct line line;
	if (level > log->level)
		return;
	line_start(log, &line, level, text_of(what));
	for (size_t i = 0; i < count; i++) {
		if (strlen(fields[i].name) + FIELD_EXTRA > line_room(&line))
			continue;
		if (log->format == LOG_FORMAT_JSON)
			put_json_field(&line, &fields[i]);
		else
			put_text_field(&line, &fields[i]);
	}
	line_send(log, level, &line);
}

/*
 * The log: stderr or syslog, text or JSON, one line an event; nothing from outside reaches it
 * unescaped.
 *
 * Cannot fail for its caller: a line that cannot be written is counted and dropped, the next one
 * that gets through says how many were.
 */
#ifndef POLICY_ENGINE_LOG_H
#define POLICY_ENGINE_LOG_H

#include "policy/core/base.h"

#define LOG_LINE_MAX  8192 /* bytes of a line with its line feed; what is longer is cut */
#define LOG_VALUE_MAX 1024 /* bytes of one escaped value: no sender crowds the verdict out */

enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
	enum log_target target;
	enum log_format format;
	enum log_level level;
	const char *process; /* "supervisor", "worker 1", ...; borrowed */
	uint64_t dropped;

	/* private to log.c */
	bool is_journal; /* stderr is systemd's journal: `<N>` in front, the time is its own */
	bool is_torn;    /* the last write ended inside a line */
	int64_t stamp_s; /* the second that `stamp` shows */
	char stamp[24];  /* "2024-01-31T23:59:59" */
};

/* Opens syslog(3) when needed (ident policyd, facility mail). */
void log_init(struct log *log, enum log_target target, enum log_format format, enum log_level level,
	const char *process);

/* A sentence with its subject and what a person can do next. Arguments from outside must be passed
 * through log_escape first. text: `policyd[worker 1]: warning: ...`, behind a time stamp where
 * nobody else adds one. JSON: {"time":..,"level":..,"process":..,"message":..}. */
void log_event(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* name=value fields of one line (a decision); values are escaped here. text: values that are empty
 * or hold blanks, quotes or `=` are quoted. JSON: the fields follow time, level, process and `what`
 * as message; all are strings. Names are plain ASCII. A value over LOG_VALUE_MAX ends in `...`;
 * fields that do not fit into LOG_LINE_MAX are left out. */
struct log_field {
	const char *name;
	struct text value;
};
void log_fields(struct log *log, enum log_level level, const char *what,
	const struct log_field *fields, size_t count);

/* Printable ASCII and valid UTF-8 stay, `\`, control characters (C1 and Unicode's line and
 * direction marks too) and invalid bytes become \xHH, into out[cap] with NUL; cut to fit, never
 * inside a character. Returns its length. */
size_t log_escape(struct text in, char *out, size_t cap);

#endif

/*
 * Reads one policy request: `name=value` lines ended by an empty line (Postfix
 * SMTPD_POLICY_README).
 *
 * Pure: bytes in, borrowed text out. Knows nothing of sockets; the daemon and `policyctl replay`
 * read with the same code. It fails with a request_fault that says what is wrong with the bytes.
 */
#ifndef POLICY_CORE_REQUEST_H
#define POLICY_CORE_REQUEST_H

#include "policy/core/base.h"

#define REQUEST_LINE_MAX  16384 /* bytes of a line, without its line feed */
#define REQUEST_MAX       65536 /* bytes of a whole request */
#define REQUEST_ATTRS_MAX 128

/* The attributes policyd looks at. */
enum request_attr {
	ATTR_REQUEST,
	ATTR_PROTOCOL_STATE,
	ATTR_SENDER,
	ATTR_SASL_USERNAME,
	ATTR_CLIENT_ADDRESS,
	ATTR_QUEUE_ID,
	ATTR_INSTANCE,
	ATTR_RECIPIENT,
	ATTR_COUNT_
};

/* Values point into the buffer that was read; absent equals empty. */
struct request {
	struct text attr[ATTR_COUNT_];
};

enum request_status { REQUEST_MORE, REQUEST_COMPLETE, REQUEST_BAD };

enum request_fault {
	FAULT_NONE,
	FAULT_NUL,       /* a NUL byte */
	FAULT_NO_EQUALS, /* a line without `=` */
	FAULT_LINE_LONG, /* over REQUEST_LINE_MAX */
	FAULT_REQUEST_LONG,
	FAULT_MANY_ATTRS, /* over REQUEST_ATTRS_MAX */
	FAULT_TWICE,      /* an attribute that policyd looks at, given twice */
};

/* Progress within one request. Zero it before the first byte of each. */
struct request_reader {
	size_t line;    /* where the line that is not complete yet begins */
	size_t scanned; /* bytes looked at, from the start of the buffer */
	unsigned attrs;
	unsigned seen; /* bit 1 << enum request_attr */
	enum request_fault fault;
	size_t start[ATTR_COUNT_]; /* values as offsets, so that the buffer may move */
	size_t length[ATTR_COUNT_];
};

/* Looks at buf[0..len), which begins with the request's first byte and keeps what earlier calls
 * saw. REQUEST_COMPLETE: *out points into buf, *used is how many bytes the request took (more may
 * follow). REQUEST_BAD: reader->fault tells; nothing after it can be trusted, close the connection.
 */
POLICY_CHECKED enum request_status request_read(
	struct request_reader *reader, struct text buf, struct request *out, size_t *used);

/* What a fault means, for the log: "a line without '='". */
const char *request_fault_text(enum request_fault fault);

#endif

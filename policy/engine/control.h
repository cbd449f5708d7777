/*
 * The control socket's messages: the framing of the policy protocol, in both directions.
 *
 *   request=policyd_control
 *   command=NAME
 *   NAME=VALUE ...
 *   (empty line)
 *
 * and the answer likewise, beginning with `status=`. Names are lower-case letters, digits and `_`;
 * values are one line: bytes under 32, 127, `%` and what is not ASCII travel as %XX. A request may
 * bring file descriptors (SCM_RIGHTS), with its first byte. One request a time on a connection: a
 * client that sends more before the answer, or closes its side, is cut off.
 *
 *   command=verify domain=D [tenant=T]   the keeper looks for the proof now (role add); with
 *                                        actor=NAME actor_uid=N on somebody's behalf, as root and
 *                                        policyd's user may say; answers
 *                                        status=ok server=ADDRESS rcode=NAME, then one group for
 *                                        each claim (control_result.h); status=absent: no such
 *                                        claim
 *   command=run [term=TERM] arg=... arg=...
 *                                        runs `policyctl ARG...` as policyd's user with the three
 *                                        descriptors sent along as its standard ones; answers
 *                                        status=done exit=N when it has ended
 *   command=follow                       audit lines were written: have a look; status=ok
 *   command=ping                         status=ok version=V
 *
 * Any answer may be status=refused (role=..., groups=..., text=...), status=error text=...
 *
 * Blocking, for the client; the keeper uses only the parsing. Bounds: CONTROL_MAX bytes a message,
 * CONTROL_ATTRS_MAX attributes.
 */
#ifndef POLICY_ENGINE_CONTROL_H
#define POLICY_ENGINE_CONTROL_H

#include "policy/core/base.h"

#define CONTROL_MAX       65536
#define CONTROL_NAME_MAX  32
#define CONTROL_ATTRS_MAX 1100 /* a command line of policyctl; the claims on a domain */
#define CONTROL_FDS       3

struct control_attr {
	struct text name, value;
};

/* A message under construction, or one that was read. Texts point into bytes. */
struct control_message {
	size_t count;
	struct control_attr attrs[CONTROL_ATTRS_MAX];
	size_t len;  /* of bytes */
	size_t wire; /* what it takes encoded, without the empty line */
	char bytes[CONTROL_MAX];
};

void control_start(struct control_message *message);
/* False: no room; the message is as before. */
POLICY_CHECKED bool control_add(
	struct control_message *message, const char *name, struct text value);
/* The first attribute of that name; NULL ptr: there is none. */
struct text control_get(const struct control_message *message, const char *name);

/* The bytes on the wire, with the empty line. False: no room. */
POLICY_CHECKED bool control_encode(
	const struct control_message *message, char *out, size_t cap, size_t *len);
/* How many bytes of `in` are the first whole message; 0: not whole yet. */
size_t control_frame(struct text in);
/* Reads one whole frame. False: not of this form. */
POLICY_CHECKED bool control_parse(struct text frame, struct control_message *out);

/* ---- the client's side ---- */

/* Connects; ERR_ABSENT: nobody listens there (no daemon runs); ERR_IO: errno tells. */
POLICY_CHECKED enum err control_connect(const char *path, int *fd);
/* Sends the message with fds (count 0 to CONTROL_FDS). */
POLICY_CHECKED enum err control_send(
	int fd, const struct control_message *message, const int *fds, size_t count);
/* Waits for an answer, timeout_ms (-1: for ever). ERR_BUSY: none in time; ERR_ABSENT: the other
 * side closed; ERR_INVALID: no such message; ERR_NOMEM; ERR_IO. */
POLICY_CHECKED enum err control_receive(int fd, struct control_message *out, int timeout_ms);

#endif

/*
 * One question from request to answer: the only place that joins the decision with the table (and
 * later the register, the cache and the resolver). The daemon, `check`, `explain` and `replay` all
 * ask through it.
 *
 * The core says what it needs, the session fetches it. Whatever cannot be fetched is a FAILED fact;
 * never an answer.
 */
#ifndef POLICY_ENGINE_SESSION_H
#define POLICY_ENGINE_SESSION_H

#include "policy/core/reply.h"
#include "policy/data/authz.h"

#define DECISION_ID_MAX 12 /* with NUL */

/* Why the table may not be asked although it opened. */
enum table_trust { TABLE_TRUSTED, TABLE_DAMAGED };

/* Borrowed for the session's life; replaced by session_configure. */
struct session_parts {
	const struct settings *settings;
	const struct replies *replies;
	struct authz *authz; /* NULL: there is no table env yet */
};

struct session;

/* id_salt: random, so that ids of two processes differ. */
POLICY_CHECKED enum err session_new(
	struct session **out, const struct session_parts *parts, uint32_t id_salt);
void session_free(struct session *session);
void session_configure(struct session *session, const struct session_parts *parts);
/* The verification's word on the table, kept until the next call. */
void session_trust_table(struct session *session, enum table_trust trust);

struct session_answer {
	const struct verdict *verdict; /* valid until the next question */
	const struct login *login;     /* canonical; empty texts where nobody is logged in */
	struct text sender_domain;     /* canonical domain of the sender, may be empty */
	char id[DECISION_ID_MAX];
	size_t reply_len;
	char reply[REPLY_MAX];
};

/* Answers one request. now: Unix seconds. trace may be NULL. Cannot fail: what fails inside is a
 * deferral. */
void session_ask(struct session *session, const struct request *request, int64_t now,
	const struct trace *trace, struct session_answer *answer);

#endif

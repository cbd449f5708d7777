/*
 * One question from request to answer: the only place that joins the decision with the table, the
 * ownership register, the cache and the resolver. The daemon, `check`, `explain` and `replay` all
 * ask through it.
 *
 * The core says what it needs, the session fetches it: table and register at once, the DNS perhaps
 * later. A question that waited is decided again from its beginning, so that what it read of table
 * and register is never old. Whatever cannot be fetched is a FAILED fact; never an answer.
 */
#ifndef POLICY_ENGINE_SESSION_H
#define POLICY_ENGINE_SESSION_H

#include "policy/core/reply.h"
#include "policy/data/authz.h"
#include "policy/data/registry.h"
#include "policy/engine/txt_source.h"

#define DECISION_ID_MAX 12 /* with NUL */

/* Why the table may not be asked although it opened. */
enum table_trust { TABLE_TRUSTED, TABLE_DAMAGED };
/* The same of the register. */
enum registry_trust { REGISTRY_TRUSTED, REGISTRY_DAMAGED };

struct session_clock {
	int64_t (*unix_s)(void *ctx);    /* for `expires` */
	int64_t (*steady_ms)(void *ctx); /* for deadlines */
	void *ctx;
};

/* Borrowed for the session's life; replaced by session_configure. */
struct session_parts {
	const struct settings *settings;
	const struct replies *replies;
	struct authz *authz;       /* NULL: there is no table env yet */
	struct registry *registry; /* NULL: there is none, nobody claimed anything */
	struct txt_source *txt;    /* NULL: no DNS; needed when lockdown is enabled */
	uint32_t deadline_ms;      /* waiting for the DNS, all names of one question together */
	/* Watches deadline_ms where a question needs several names. NULL: each name has it to
	 * itself. */
	struct ev_loop *loop;
	struct session_clock clock;
	const struct trace *trace; /* NULL but for `explain` */
	/* Called before each decision, also one that is resumed; may call session_configure and
	 * session_trust_table, session_trust_registry. NULL: nothing. */
	void (*prepare)(void *ctx);
	void *prepare_ctx;
};

struct session;
struct inquiry; /* a question that waits for the DNS */

/* id_salt: random, so that ids of two processes differ. */
POLICY_CHECKED enum err session_new(
	struct session **out, const struct session_parts *parts, uint32_t id_salt);
/* Every inquiry has been answered or cancelled before. */
void session_free(struct session *session);
void session_configure(struct session *session, const struct session_parts *parts);
/* The verification's word on the table, kept until the next call. */
void session_trust_table(struct session *session, enum table_trust trust);
/* Likewise on the register. */
void session_trust_registry(struct session *session, enum registry_trust trust);

struct session_answer {
	const struct verdict *verdict; /* valid until the next question */
	const struct login *login;     /* canonical; empty texts where nobody is logged in */
	struct text sender_domain;     /* canonical domain of the sender, may be empty */
	/* What the register said to the reading judged last; NULL: it was not asked. Valid until
	 * the next question. */
	const struct ownership_fact *ownership;
	char id[DECISION_ID_MAX];
	size_t reply_len;
	char reply[REPLY_MAX];
};

/* Who gets an answer that comes later. on_answer is called once, unless the inquiry is cancelled;
 * `request` is the session's copy of what was asked. Both end with the call. */
struct session_later {
	void (*on_answer)(
		void *ctx, const struct request *request, const struct session_answer *answer);
	void *ctx;
};

/* Answers one request. NULL: *answer is set. Else the answer comes to `later`, and the request's
 * texts are no longer needed. later NULL: it may not wait; what would have to is a deferral. Cannot
 * fail: what fails inside is a deferral. */
struct inquiry *session_ask(struct session *session, const struct request *request,
	const struct session_later *later, struct session_answer *answer);

/* No answer any more. */
void session_cancel(struct inquiry *inquiry);

#endif

/*
 * Joins the decision with its facts. See session.h.
 *
 * The large working state (decision, facts) is allocated once a session; a question that is
 * answered at once allocates nothing. One that has to wait is copied into an inquiry. The DNS fact
 * that it waited for is only borrowed while it is decided again; it is kept when another name has
 * to be waited for, too.
 */
#include "policy/engine/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES_MAX (READINGS_MAX + 1) /* a name for each reading */

/* A fact that an inquiry waited for. */
struct known {
	char name[DNS_NAME_MAX + 1];
	const struct txt_fact *fact; /* NULL: there was no memory to keep it */
	struct txt_fact *kept;       /* the same, or NULL while it is only borrowed */
};

struct inquiry {
	struct session *session;
	struct session_later later;
	struct request request; /* into bytes */
	char *bytes;
	int64_t begun_ms;
	struct txt_wait wait;
	ev_timer deadline; /* of a name after the first: what the others left of the time */
	size_t known_count;
	struct known known[NAMES_MAX]; /* not cleared: past the count there is nothing */
};

struct session {
	struct session_parts parts;
	enum table_trust trust;
	enum registry_trust registry_trust;
	uint32_t id_salt;
	uint32_t id_count;
	struct inquiry *spare; /* for the next question that may have to wait */
	struct decision decision;
	struct table_facts facts;
	struct ownership_fact ownership;
	bool has_ownership; /* the register was asked about the reading judged last */
	struct txt_fact fact;
	struct session_answer answer; /* of a question that waited */
};

enum err session_new(struct session **out, const struct session_parts *parts, uint32_t id_salt)
{
	struct session *session = calloc(1, sizeof(*session));

	*out = session;
	if (!session)
		return ERR_NOMEM;
	session->parts = *parts;
	session->id_salt = id_salt;
	return ERR_OK;
}

static void inquiry_free(struct inquiry *inquiry)
{
	if (!inquiry)
		return;
	if (inquiry->session->parts.loop)
		ev_timer_stop(inquiry->session->parts.loop, &inquiry->deadline);
	for (size_t i = 0; i < inquiry->known_count; i++)
		free(inquiry->known[i].kept);
	free(inquiry->bytes);
	free(inquiry);
}

void session_free(struct session *session)
{
	if (session)
		inquiry_free(session->spare);
	free(session);
}

void session_configure(struct session *session, const struct session_parts *parts)
{
	session->parts = *parts;
}

void session_trust_table(struct session *session, enum table_trust trust)
{
	session->trust = trust;
}

void session_trust_registry(struct session *session, enum registry_trust trust)
{
	session->registry_trust = trust;
}

/* Four characters say which process, the rest counts: short enough to be read out on the
 * telephone. */
static void next_id(struct session *session, char id[DECISION_ID_MAX])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint64_t bits = (uint64_t)(session->id_salt & 0xfffff) << 32 | session->id_count++;

	for (int i = DECISION_ID_MAX - 2; i >= 0; i--) {
		id[i] = digits[bits & 31];
		bits >>= 5;
	}
	id[DECISION_ID_MAX - 1] = 0;
}

/* One run of the decision: its looks at table and register, and who asks. */
struct run {
	struct session *session;
	bool may_wait;
	struct inquiry *inquiry; /* NULL until it waits */
	const struct request *request;
	enum lookup table;
	bool has_table; /* the look is open */
	bool has_looked;
	enum lookup registry; /* ABSENT: not looked at yet, or there is none */
	bool has_registry;    /* the look is open */
};

/* The first question to the table opens one consistent look, which ends with the run. */
static void open_table(struct run *run)
{
	struct session *session = run->session;
	struct authz *authz = session->parts.authz;
	struct authz_meta meta;

	run->has_looked = true;
	run->table = LOOKUP_FAILED;
	if (session->trust == TABLE_DAMAGED)
		return;
	run->table = authz ? authz_begin(authz, &meta) : LOOKUP_ABSENT;
	run->has_table = authz && run->table != LOOKUP_FAILED;
}

static enum need give_table(struct run *run)
{
	struct session *session = run->session;

	if (!run->has_looked)
		open_table(run);
	session->has_ownership = false;
	session->facts.count = 0;
	session->facts.table = run->table;
	if (run->table == LOOKUP_FOUND)
		authz_find(session->parts.authz, &session->decision, &session->facts);
	return decision_give_table(&session->decision, &session->facts);
}

/* One consistent look, as of the table. */
static void open_registry(struct run *run)
{
	struct session *session = run->session;
	struct registry *registry = session->parts.registry;

	if (run->registry != LOOKUP_ABSENT)
		return;
	if (session->registry_trust == REGISTRY_DAMAGED)
		run->registry = LOOKUP_FAILED;
	else if (registry)
		run->registry = registry_begin(registry) ? LOOKUP_FOUND : LOOKUP_FAILED;
	run->has_registry = run->registry == LOOKUP_FOUND;
}

static enum need give_ownership(struct run *run)
{
	struct session *session = run->session;
	struct ownership_fact *fact = &session->ownership;

	open_registry(run);
	*fact = (struct ownership_fact){.status = run->registry};
	if (run->registry != LOOKUP_FAILED)
		registry_find(session->parts.registry, &session->decision.ownership, fact);
	session->has_ownership = true;
	return decision_give_ownership(&session->decision, fact);
}

static void fail_fact(struct txt_fact *fact, enum dns_failure failure)
{
	dns_answer_clear(&fact->answer, failure);
	fact->is_cached = fact->is_stale = false;
	fact->ttl_left_s = 0;
}

/* What the inquiry waited for already; NULL: nothing of that name. */
static const struct known *known_of(const struct inquiry *inquiry, struct text name)
{
	for (size_t i = 0; inquiry && i < inquiry->known_count; i++)
		if (text_equal(text_of(inquiry->known[i].name), name))
			return &inquiry->known[i];
	return NULL;
}

/* The request's texts, copied behind each other: what is returned is the caller's. NULL: no memory. */
static char *keep_request(struct request *kept, const struct request *request)
{
	size_t len = 0, used = 0;
	char *bytes;

	for (size_t i = 0; i < ATTR_COUNT_; i++)
		len += request->attr[i].len;
	bytes = malloc(len + 1);
	if (!bytes)
		return NULL;
	for (size_t i = 0; i < ATTR_COUNT_; i++) {
		struct text from = request->attr[i];

		if (from.len)
			memcpy(bytes + used, from.ptr, from.len);
		kept->attr[i] = (struct text){bytes + used, from.len};
		used += from.len;
	}
	return bytes;
}

static int64_t steady_ms(const struct session *session)
{
	return session->parts.clock.steady_ms(session->parts.clock.ctx);
}

static void on_fact(struct txt_wait *wait, const struct txt_fact *fact);

/* Nobody switches lockdown off with a slow name in front of another: a name that did not have all
 * of deadline_ms failed by our own limit, not the DNS. */
static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct inquiry *inquiry = timer->data;

	(void)loop;
	(void)events;
	txt_give_up(&inquiry->wait, DNS_FAILURE_LIMIT);
}

static struct inquiry *inquiry_new(struct session *session)
{
	struct inquiry *inquiry = malloc(sizeof(*inquiry));

	if (!inquiry)
		return NULL;
	memset(inquiry, 0, offsetof(struct inquiry, known));
	inquiry->session = session;
	inquiry->wait.on_fact = on_fact;
	inquiry->wait.owner = inquiry;
	ev_timer_init(&inquiry->deadline, on_deadline, 0., 0.);
	inquiry->deadline.data = inquiry;
	return inquiry;
}

/* An inquiry to wait in; NULL without memory. */
static struct inquiry *ready_inquiry(struct run *run)
{
	struct session *session = run->session;

	if (run->inquiry)
		return run->inquiry;
	if (!session->spare)
		session->spare = inquiry_new(session);
	return session->spare;
}

/* It waits for another name, for as long as is left. */
static void watch_deadline(struct inquiry *inquiry, uint32_t left_ms)
{
	struct ev_loop *loop = inquiry->session->parts.loop;

	if (!loop)
		return;
	ev_timer_stop(loop, &inquiry->deadline);
	ev_timer_set(&inquiry->deadline, left_ms / 1000., 0.);
	ev_timer_start(loop, &inquiry->deadline);
}

/* The inquiry begins to wait: it takes the request with it. False: no memory for that. */
static bool begin_waiting(struct run *run, struct inquiry *inquiry)
{
	struct session *session = run->session;

	inquiry->bytes = keep_request(&inquiry->request, run->request);
	if (!inquiry->bytes) {
		txt_cancel(&inquiry->wait);
		fail_fact(&session->fact, DNS_FAILURE_MEMORY);
		return false;
	}
	inquiry->begun_ms = steady_ms(session);
	run->inquiry = inquiry;
	session->spare = NULL;
	return true;
}

/* 0: it may not wait for one name more. */
static uint32_t left_ms(const struct inquiry *inquiry)
{
	const struct session *session = inquiry->session;
	int64_t left = inquiry->begun_ms + session->parts.deadline_ms - steady_ms(session);

	return left > 0 && inquiry->known_count < NAMES_MAX ? (uint32_t)left : 0;
}

/* What the cache knows needs no waiting. */
static void fetch_without_waiting(struct session *session)
{
	struct txt_wait wait = {0};

	if (txt_ask(session->parts.txt, session->decision.lockdown_name,
		    session->decision.login.full, &wait, &session->fact))
		return;
	txt_cancel(&wait);
	fail_fact(&session->fact, DNS_FAILURE_MEMORY);
}

/* Sets session->fact. False: it comes later, to the inquiry. */
static bool fetch_fact(struct run *run)
{
	struct session *session = run->session;
	struct decision *decision = &session->decision;
	struct inquiry *inquiry;
	uint32_t left;

	if (!session->parts.txt) {
		fail_fact(&session->fact, DNS_FAILURE_LIMIT);
		return true;
	}
	inquiry = run->may_wait ? ready_inquiry(run) : NULL;
	if (!inquiry) {
		fetch_without_waiting(session);
		return true;
	}
	if (txt_ask(session->parts.txt, decision->lockdown_name, decision->login.full,
		    &inquiry->wait, &session->fact))
		return true;
	if (!run->inquiry)
		return !begin_waiting(run, inquiry);
	left = left_ms(inquiry);
	if (left == 0) {
		txt_cancel(&inquiry->wait);
		fail_fact(&session->fact, DNS_FAILURE_LIMIT);
		return true;
	}
	watch_deadline(inquiry, left);
	return false;
}

static void note_fact(const struct session *session, const struct txt_fact *fact)
{
	const struct trace *trace = session->parts.trace;
	const struct dns_answer *answer = &fact->answer;
	char rcode[16], text[DNS_NAME_MAX + 256];

	if (!trace)
		return;
	snprintf(text, sizeof(text), "%.*s TXT: %s%s%s, %zu record%s, AD %s, TTL %u s, %s%s%s%s",
		TEXT_ARG(session->decision.lockdown_name), dns_rcode_text(answer->rcode, rcode),
		answer->status == LOOKUP_FAILED ? ", failed: " : "",
		answer->status == LOOKUP_FAILED ? dns_failure_text(answer->failure) : "",
		answer->count, answer->count == 1 ? "" : "s", answer->is_authentic ? "yes" : "no",
		fact->ttl_left_s, fact->is_cached ? "from the cache" : "not cached",
		fact->is_stale ? ", stale" : "", answer->server[0] ? ", server " : "",
		answer->server);
	trace->note(trace->ctx, "dns", text);
}

/* False: the answer waits. */
static bool give_lockdown(struct run *run, enum need *need)
{
	struct session *session = run->session;
	const struct known *known = known_of(run->inquiry, session->decision.lockdown_name);
	const struct txt_fact *fact = &session->fact;

	if (known && known->fact)
		fact = known->fact;
	else if (known)
		fail_fact(&session->fact, DNS_FAILURE_MEMORY);
	else if (!fetch_fact(run))
		return false;
	note_fact(session, fact);
	*need = decision_give_lockdown(&session->decision,
		&(struct lockdown_fact){.answer = &fact->answer, .is_stale = fact->is_stale});
	return true;
}

/* Decides from the beginning. False: it waits for the DNS. */
static bool decide(struct run *run)
{
	struct session *session = run->session;
	const struct session_parts *parts = &session->parts;
	enum need need;
	bool is_decided = true;

	if (parts->prepare)
		parts->prepare(parts->prepare_ctx);
	session->has_ownership = false;
	need = decision_start(&session->decision, parts->settings, run->request,
		parts->clock.unix_s(parts->clock.ctx), parts->trace);
	while (is_decided && need != NEED_NOTHING) {
		if (need == NEED_TABLE)
			need = give_table(run);
		else if (need == NEED_OWNERSHIP)
			need = give_ownership(run);
		else
			is_decided = give_lockdown(run, &need);
	}
	if (run->has_registry)
		registry_end(session->parts.registry);
	if (run->has_table)
		authz_end(session->parts.authz);
	return is_decided;
}

static void form_answer(
	struct session *session, const struct request *request, struct session_answer *answer)
{
	static const struct login nobody;
	struct decision *decision = &session->decision;

	next_id(session, answer->id);
	answer->verdict = &decision->verdict;
	answer->login = decision->has_login ? &decision->login : &nobody;
	answer->sender_domain = decision->has_sender ? decision->sender.domain : TEXT("");
	answer->ownership = session->has_ownership ? &session->ownership : NULL;
	answer->reply_len = reply_format(session->parts.replies, &decision->verdict,
		session->parts.settings->monitor_action,
		&(struct reply_values){
			.login = request->attr[ATTR_SASL_USERNAME],
			.sender = request->attr[ATTR_SENDER],
			.domain = answer->sender_domain,
			.id = {answer->id, DECISION_ID_MAX - 1},
		},
		answer->reply);
}

struct inquiry *session_ask(struct session *session, const struct request *request,
	const struct session_later *later, struct session_answer *answer)
{
	struct run run = {.session = session,
		.request = request,
		.may_wait = later != NULL,
		.registry = LOOKUP_ABSENT};

	if (!decide(&run)) {
		assert(later); /* only who may wait does */
		run.inquiry->later = *later;
		return run.inquiry;
	}
	form_answer(session, request, answer);
	return NULL;
}

/* It waits for another name: what came must outlive this call. */
static void keep_fact(struct known *known)
{
	const struct txt_fact *fact = known->fact;

	known->kept = malloc(sizeof(*known->kept));
	known->fact = known->kept;
	if (!known->kept)
		return;
	known->kept->is_cached = fact->is_cached;
	known->kept->is_stale = fact->is_stale;
	known->kept->ttl_left_s = fact->ttl_left_s;
	dns_answer_copy(&known->kept->answer, &fact->answer);
}

/* Decides again: the table may have changed meanwhile. */
static void on_fact(struct txt_wait *wait, const struct txt_fact *fact)
{
	struct inquiry *inquiry = wait->owner;
	struct session *session = inquiry->session;
	struct known *known = &inquiry->known[inquiry->known_count++];
	struct run run = {.session = session,
		.inquiry = inquiry,
		.request = &inquiry->request,
		.may_wait = true,
		.registry = LOOKUP_ABSENT};

	if (session->parts.loop)
		ev_timer_stop(session->parts.loop, &inquiry->deadline);
	memcpy(known->name, wait->name, sizeof(known->name));
	known->fact = fact;
	known->kept = NULL;
	if (!decide(&run)) {
		keep_fact(known);
		return;
	}
	form_answer(session, &inquiry->request, &session->answer);
	inquiry->later.on_answer(inquiry->later.ctx, &inquiry->request, &session->answer);
	inquiry_free(inquiry);
}

void session_cancel(struct inquiry *inquiry)
{
	txt_cancel(&inquiry->wait);
	inquiry_free(inquiry);
}

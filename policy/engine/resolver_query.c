/*
 * One query's life from its place in flight to its end. See resolver_private.h.
 *
 * A try is one server, one fresh socket, one fresh id; TCP and the repetition without EDNS belong
 * to the try they follow. A packet that is not ours is no event: the socket listens on until the
 * try's time is over. An answer that is no use (SERVFAIL, unreadable, ...) takes its server out
 * for this query; silence and ICMP errors do not. The query ends with the first answer of use, when all servers
 * are out, after so many tries, or at its deadline; then it fails with the most telling of what it
 * has seen, and never as if there were no record.
 */
#include "policy/engine/resolver_private.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/socket.h>

#define DEFAULT_TIMEOUT_S 1.0
#define DEFAULT_ATTEMPTS  3
#define TIMER_SLACK_S     0.001 /* the loop's clock and its timers differ by less */
#define PAUSE_FIRST_S     0.1   /* doubled each time */
#define READS_A_WAKE_UP   16    /* a flood at one socket must not starve the others */

static double timeout_of(const struct resolver_query *query)
{
	if (query->resolver->timeout_s > 0)
		return query->resolver->timeout_s;
	if (query->set->known.timeout_ms > 0)
		return query->set->known.timeout_ms / 1000.0;
	return DEFAULT_TIMEOUT_S;
}

static unsigned attempts_of(const struct resolver_query *query)
{
	if (query->resolver->attempts > 0)
		return query->resolver->attempts;
	if (query->set->known.attempts > 0)
		return query->set->known.attempts;
	return DEFAULT_ATTEMPTS;
}

/* ---- what was seen ---- */

/* What a server said outranks silence, silence outranks the want of a way to it. */
static int telling(enum dns_failure failure)
{
	switch (failure) {
	case DNS_FAILURE_NONE:
		return 0;
	case DNS_FAILURE_NETWORK:
		return 1;
	case DNS_FAILURE_TIMEOUT:
		return 2;
	case DNS_FAILURE_RCODE:
	case DNS_FAILURE_MALFORMED:
	case DNS_FAILURE_CHAIN:
		return 3;
	case DNS_FAILURE_LIMIT:
	case DNS_FAILURE_MEMORY:
		return 4;
	}
	return 0;
}

static bool is_said(enum dns_failure failure)
{
	return telling(failure) == telling(DNS_FAILURE_RCODE);
}

static void note(struct resolver_query *query, enum dns_failure failure, uint8_t rcode)
{
	if (telling(failure) < telling(query->failure))
		return;
	query->failure = failure;
	query->rcode = rcode;
	if (is_said(failure))
		query->said_by = &query->set->known.list[query->server];
}

/* Whether it speaks against the server, not against the name: SERVFAIL or bytes that cannot be
 * read may be the work of whoever owns the name. */
static bool is_servers_fault(enum dns_failure failure, uint8_t rcode)
{
	if (failure == DNS_FAILURE_RCODE)
		return rcode == DNS_RCODE_REFUSED || rcode == DNS_RCODE_NOTIMP ||
		       rcode == DNS_RCODE_FORMERR;
	return failure == DNS_FAILURE_TIMEOUT || failure == DNS_FAILURE_NETWORK;
}

/* ---- the exchange ---- */

void query_close(struct resolver_query *query)
{
	if (query->udp)
		udp_give_back(query);
	if (query->tcp)
		tcp_end(query);
}

void query_stop(struct resolver_query *query)
{
	query_close(query);
	ev_timer_stop(query->resolver->loop, &query->timer);
	servers_unref(query->set);
	query->set = NULL;
}

/* False: the kernel has none, which does not happen on a running system. */
static bool take_id(struct resolver *resolver, uint16_t *id)
{
	if (resolver->ids_left == 0) {
		if (getrandom(resolver->ids, sizeof(resolver->ids), 0) !=
			(ssize_t)sizeof(resolver->ids))
			return false;
		resolver->ids_left = IDS_BATCHED;
	}
	*id = resolver->ids[--resolver->ids_left];
	resolver->ids[resolver->ids_left] = 0;
	return true;
}

enum opened query_write(struct resolver_query *query)
{
	uint16_t id;

	if (!take_id(query->resolver, &id))
		return OPEN_EXHAUSTED;
	query->wire_len =
		dnswire_query(query_name(query), id, query->with_edns, query->wire + TCP_PREFIX);
	return query->wire_len > 0 ? OPENED : OPEN_NO_NAME;
}

/* ---- UDP ---- */

/* What the kernel would not take just now is a packet lost on the way. */
static bool is_lost(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS;
}

static enum opened udp_begin(struct resolver_query *query)
{
	struct text wire;
	enum opened opened = query_write(query);

	if (opened == OPENED)
		opened = udp_take(query);
	if (opened != OPENED)
		return opened;
	wire = query_wire(query);
	if (send(query->udp->fd, wire.ptr, wire.len, MSG_NOSIGNAL) < 0 && !is_lost(errno))
		return socket_error(errno);
	query->resolver->stat.queries++;
	return OPENED;
}

/* ---- tries ---- */

/* What cannot be opened ends the try; what we have not enough of, or no words for, ends the
 * query. */
static void note_not_opened(struct resolver_query *query, enum opened opened)
{
	struct resolver *resolver = query->resolver;

	switch (opened) {
	case OPENED:
		break;
	case OPEN_UNREACHABLE:
		note(query, DNS_FAILURE_NETWORK, 0);
		servers_blame(query->set, query->server, ev_now(resolver->loop), resolver->log);
		query->marks.out |= (uint8_t)(1U << query->server);
		break;
	case OPEN_EXHAUSTED:
		note(query, DNS_FAILURE_LIMIT, 0);
		resolver->stat.refused_by_limit++;
		query->marks.out = UINT8_MAX;
		break;
	case OPEN_NO_NAME:
		note(query, DNS_FAILURE_MALFORMED, 0);
		query->said_by = NULL;
		query->marks.out = UINT8_MAX;
		break;
	}
}

/* True: an exchange is under way. */
static bool has_begun(struct resolver_query *query, enum opened opened)
{
	ev_tstamp end = ev_now(query->resolver->loop) + timeout_of(query);

	if (opened == OPENED) {
		query_arm(query, end < query->ends_at ? end : query->ends_at);
		return true;
	}
	query_close(query);
	note_not_opened(query, opened);
	return false;
}

static void next_try(struct resolver_query *query)
{
	ev_tstamp now = ev_now(query->resolver->loop);

	while (query->tries < attempts_of(query) &&
		servers_choose(query->set, &query->marks, now, &query->server)) {
		query->tries++;
		query->try_began = now;
		query->with_edns = true;
		if (has_begun(query, udp_begin(query)))
			return;
		/* Nobody was asked: the servers that are out bound this, not the number of
		 * tries. */
		query->tries--;
	}
	resolver_deliver_failure(query, query->failure, query->rcode);
}

void query_fail_try(struct resolver_query *query, enum dns_failure failure, uint8_t rcode)
{
	struct resolver *resolver = query->resolver;

	query_close(query);
	note(query, failure, rcode);
	if (is_servers_fault(failure, rcode))
		servers_blame(query->set, query->server, ev_now(resolver->loop), resolver->log);
	else
		servers_praise(query->set, query->server, resolver->log);
	if (failure != DNS_FAILURE_TIMEOUT)
		query->marks.out |= (uint8_t)(1U << query->server);
	next_try(query);
}

/* Nobody listens there, or somebody wants us to think so, for an ICMP message is forged without
 * seeing the question. So the server only loses its turn, and once all had theirs there is a pause
 * before the next round: it may be starting just now. */
static void refuse_try(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;
	ev_tstamp now = ev_now(resolver->loop);
	ev_tstamp end;

	query_close(query);
	note(query, DNS_FAILURE_NETWORK, 0);
	servers_blame(query->set, query->server, now, resolver->log);
	if (query->tries >= attempts_of(query) ||
		!servers_had_their_turn(query->set, &query->marks)) {
		next_try(query);
		return;
	}
	end = now + PAUSE_FIRST_S * (double)(1U << query->pauses++);
	query_arm(query, end < query->ends_at ? end : query->ends_at);
}

/* The same server again, in another way. */
static void follow_up(struct resolver_query *query, enum opened (*begin)(struct resolver_query *))
{
	query_close(query);
	if (!has_begun(query, begin(query)))
		next_try(query);
}

static void ask_without_edns(struct resolver_query *query)
{
	query->with_edns = false;
	follow_up(query, udp_begin);
}

static void use_answer(struct resolver_query *query, struct dns_answer *answer)
{
	const struct nameserver *server = &query->set->known.list[query->server];

	answer->is_authentic = answer->is_authentic && server->trusts_ad;
	memcpy(answer->server, server->text, sizeof(answer->server));
	servers_praise(query->set, query->server, query->resolver->log);
	resolver_deliver(query, answer);
}

static void read_ours(struct resolver_query *query, struct text packet, bool is_tcp)
{
	struct resolver *resolver = query->resolver;
	struct dns_answer *answer = &resolver->answer;

	switch (dnswire_read(
		packet, query_wire(query), query->with_edns, answer, &resolver->stat.dropped)) {
	case DNSWIRE_ANSWER:
		if (answer->status == LOOKUP_FAILED)
			query_fail_try(query, answer->failure, answer->rcode);
		else
			use_answer(query, answer);
		return;
	case DNSWIRE_TRUNCATED:
		if (is_tcp)
			query_fail_try(query, DNS_FAILURE_MALFORMED, 0);
		else
			follow_up(query, tcp_begin);
		return;
	case DNSWIRE_NO_EDNS:
		ask_without_edns(query);
		return;
	}
}

bool query_take(struct resolver_query *query, struct text packet, bool is_tcp)
{
	switch (dnswire_is_ours(packet, query_wire(query))) {
	case DNSWIRE_OURS:
		read_ours(query, packet, is_tcp);
		return true;
	case DNSWIRE_HINT_NO_EDNS:
		ask_without_edns(query);
		return true;
	case DNSWIRE_NOT_OURS:
		break;
	}
	query->resolver->stat.mismatched++;
	return false;
}

void query_receive(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;
	int fd = query->udp->fd;

	for (int i = 0; i < READS_A_WAKE_UP; i++) {
		ssize_t got = recv(fd, resolver->packet, sizeof(resolver->packet), 0);
		struct text packet = {(const char *)resolver->packet, got > 0 ? (size_t)got : 0};

		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			refuse_try(query);
			return;
		}
		if (query_take(query, packet, false))
			return;
	}
}

/* ---- time ---- */

/* Nobody switches lockdown off by keeping names in the queue until their time is over: who never
 * had a whole try for want of a place failed by our own limit. */
static enum dns_failure deadline_failure(const struct resolver_query *query, double asked_s)
{
	bool had_its_try = query->tries > 1 || asked_s + TIMER_SLACK_S >= timeout_of(query);

	return query->was_queued && !had_its_try ? DNS_FAILURE_LIMIT : DNS_FAILURE_TIMEOUT;
}

static void on_try_over(struct resolver_query *query, ev_tstamp now)
{
	struct resolver *resolver = query->resolver;
	double asked_s = now - query->try_began;

	resolver->stat.timeouts++;
	if (now + TIMER_SLACK_S < query->ends_at) {
		query_fail_try(query, DNS_FAILURE_TIMEOUT, 0);
		return;
	}
	if (asked_s >= timeout_of(query) / 2)
		servers_blame(query->set, query->server, now, resolver->log);
	note(query, deadline_failure(query, asked_s), 0);
	resolver_deliver_failure(query, query->failure, query->rcode);
}

static void on_pause_over(struct resolver_query *query, ev_tstamp now)
{
	if (now + TIMER_SLACK_S < query->ends_at)
		next_try(query);
	else
		resolver_deliver_failure(query, query->failure, query->rcode);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct resolver_query *query = timer->data;

	(void)events;
	if (query->state == QUERY_QUEUED) {
		query->resolver->stat.refused_by_limit++;
		resolver_deliver_failure(query, DNS_FAILURE_LIMIT, 0);
	} else if (query->udp || query->tcp) {
		on_try_over(query, ev_now(loop));
	} else {
		on_pause_over(query, ev_now(loop));
	}
}

void query_arm(struct resolver_query *query, ev_tstamp at)
{
	struct ev_loop *loop = query->resolver->loop;
	ev_tstamp after = at - ev_now(loop);

	ev_timer_stop(loop, &query->timer);
	ev_timer_init(&query->timer, on_timer, after > 0 ? after : 0, 0);
	query->timer.data = query;
	ev_timer_start(loop, &query->timer);
}

void query_begin(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;

	query->set = servers_ref(resolver->set);
	query->marks.first = resolver->set->known.rotate ? resolver->set->turn++ : 0;
	next_try(query);
}

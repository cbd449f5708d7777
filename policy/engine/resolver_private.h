/*
 * What the resolver_*.c share.
 *
 *   resolver.c          who waits for what: names, places, delivery
 *   resolver_query.c    one query's life: tries, UDP, what an answer means for it
 *   resolver_tcp.c      the same question by TCP
 *   resolver_socket.c   sockets, and those that wait for the next query
 *   resolver_servers.c  which server to ask; the file that names them
 *
 * A query is queued, in flight or done. Whatever ends it goes through resolver_deliver, which no
 * caller of resolver_ask has on its stack: the loop begins queries (on_pump), events and timers
 * end them.
 */
#ifndef POLICY_ENGINE_RESOLVER_PRIVATE_H
#define POLICY_ENGINE_RESOLVER_PRIVATE_H

#include <netinet/in.h>
#include <sys/queue.h>

#include "policy/core/siphash.h"
#include "policy/data/dnswire.h"
#include "policy/engine/resolver.h"

#define TCP_PREFIX  2 /* bytes of length in front of a message */
#define PACKET_MAX  65535
#define IDS_BATCHED 128

/* ---- servers ---- */

struct server_health {
	unsigned failures;  /* in a row */
	ev_tstamp retry_at; /* with failures: not preferred before this */
	ev_tstamp warned_at;
	bool is_warned;
};

/* The servers of one moment. A query keeps the set it began with while the file changes. */
struct server_set {
	unsigned refs;
	unsigned turn; /* rotate: who is first */
	struct nameservers known;
	struct server_health health[NAMESERVERS_MAX];
};

POLICY_CHECKED struct server_set *servers_new(const struct nameservers *known); /* NULL: memory */
struct server_set *servers_ref(struct server_set *set);
void servers_unref(struct server_set *set); /* NULL is fine */

/* What one query has seen of the servers of its set; bit i is server i. */
struct server_marks {
	unsigned first; /* where its turn begins */
	uint8_t out;    /* gave an answer that is no use, or cannot be reached: not again */
	uint8_t tried;
};

/* The server to ask now: not out, not tried while another is not, fewest recent failures. False:
 * all are out. */
POLICY_CHECKED bool servers_choose(
	struct server_set *set, struct server_marks *marks, ev_tstamp now, size_t *chosen);
/* Whether each server that is not out had its turn. */
POLICY_CHECKED bool servers_had_their_turn(
	const struct server_set *set, const struct server_marks *marks);
/* What came of it. The log hears when a server goes silent and when it is back. */
void servers_praise(struct server_set *set, size_t index, struct log *log);
void servers_blame(struct server_set *set, size_t index, ev_tstamp now, struct log *log);

/* ---- queries ---- */

enum query_state { QUERY_QUEUED, QUERY_IN_FLIGHT, QUERY_DONE };

/* A UDP socket: serves one try after the other, each with a port of its own. */
struct udp_socket {
	struct resolver *resolver;
	struct resolver_query *query; /* NULL: idle */
	struct udp_socket *next;      /* among the idle */
	struct ev_io io;              /* always started */
	int family, fd;
};

/* One question by TCP. */
struct tcp_exchange {
	struct ev_io io;
	int fd;
	size_t sent; /* of the prefix and the query */
	size_t have; /* of the prefix and the answer */
	size_t body_len;
	uint8_t prefix[TCP_PREFIX];
	uint8_t body[DNSWIRE_MAX];
};

struct resolver_query {
	struct resolver *resolver;
	struct resolver_query *chain; /* in the table of names, or among the free */
	TAILQ_ENTRY(resolver_query) place;
	struct resolver_waiter *waiters;
	enum query_state state;
	bool was_queued; /* had to wait for a place */
	uint64_t hash;

	ev_tstamp ends_at; /* deadline_ms after the first ask; 0: the loop has not seen it yet */
	struct ev_timer timer;
	/* At most one of the two. None: queued, done, or it pauses between two tries. */
	struct udp_socket *udp;
	struct tcp_exchange *tcp;

	struct server_set *set;
	struct server_marks marks;
	size_t server; /* asked now */
	unsigned tries;
	unsigned pauses;
	ev_tstamp try_began;
	bool with_edns;
	enum dns_failure failure; /* the most telling so far */
	uint8_t rcode;
	const struct nameserver *said_by; /* NULL: nobody said anything */

	size_t wire_len; /* of the query behind the prefix */
	uint8_t wire[TCP_PREFIX + DNSWIRE_QUERY_MAX];
	size_t name_len;
	char name[DNS_NAME_MAX + 1];
};

TAILQ_HEAD(query_list, resolver_query);

/* Queries whose names share a bucket. */
struct query_chain {
	struct resolver_query *first;
};

/* Failures that need no query: who asks is put here until the loop turns. */
enum refusal { REFUSAL_LIMIT, REFUSAL_MEMORY, REFUSAL_NAME, REFUSALS };

struct resolver {
	struct ev_loop *loop;
	struct log *log;

	double timeout_s, deadline_s; /* timeout_s 0: as the file says */
	unsigned attempts;            /* 0: as the file says */
	unsigned max_in_flight, max_queued;

	char *conf_path; /* NULL: the servers are given */
	struct resolv_conf_state conf_state;
	ev_tstamp conf_looked_at;
	bool is_conf_broken; /* or names nobody any more; said so once */
	struct server_set *set;

	struct siphash_key hash_key;
	struct query_chain *buckets;
	size_t bucket_count; /* a power of two */
	size_t named;        /* queries in the table */
	struct query_list queued;
	struct ev_prepare pump; /* never started: fed by pump_soon */
	struct resolver_query *free;
	size_t free_count;
	struct udp_socket *idle[2]; /* IPv4, IPv6 */
	size_t idle_count;
	struct resolver_query refusals[REFUSALS];

	uint16_t ids[IDS_BATCHED];
	size_t ids_left;
	struct resolver_stat stat;
	struct dns_answer answer; /* the one being delivered */
	uint8_t packet[PACKET_MAX];
};

/* resolver.c: the answer goes to all who wait, and the query is no more. */
void resolver_deliver(struct resolver_query *query, const struct dns_answer *answer);
void resolver_deliver_failure(
	struct resolver_query *query, enum dns_failure failure, uint8_t rcode);

/* resolver_servers.c: looks, at most once a second, whether the file is another one by now. */
void resolver_refresh_servers(struct resolver *resolver);

/* resolver_query.c */
void query_begin(struct resolver_query *query); /* may deliver at once */
/* The timer of a query that waits for a place. */
void query_arm(struct resolver_query *query, ev_tstamp at);
/* Socket, timer, buffer, set. */
void query_stop(struct resolver_query *query);
void query_close(struct resolver_query *query); /* the exchange under way, if any */

enum opened {
	OPENED,
	OPEN_UNREACHABLE, /* this server, from here */
	OPEN_EXHAUSTED,   /* our own limit: descriptors, ports, memory */
	OPEN_NO_NAME,     /* no query can be made for such a name */
};
/* Fresh id, the query's bytes in wire behind the prefix. */
POLICY_CHECKED enum opened query_write(struct resolver_query *query);
/* This try is over without an answer; the next one begins, or the query ends. */
void query_fail_try(struct resolver_query *query, enum dns_failure failure, uint8_t rcode);
/* A whole message that came by UDP or TCP. False: it is not ours, and nothing has happened. */
POLICY_CHECKED bool query_take(struct resolver_query *query, struct text packet, bool is_tcp);
/* There is something to read at its UDP socket. */
void query_receive(struct resolver_query *query);

/* resolver_tcp.c */
POLICY_CHECKED enum opened tcp_begin(struct resolver_query *query);
void tcp_end(struct resolver_query *query);

/* resolver_socket.c */
enum opened socket_error(int error); /* what errno means for the query */
POLICY_CHECKED enum opened socket_open(const struct nameserver *server, int type, int *fd);
POLICY_CHECKED enum opened socket_connect(int fd, const struct nameserver *server);
/* A watched socket at a fresh port, connected to the query's server, in query->udp. */
POLICY_CHECKED enum opened udp_take(struct resolver_query *query);
void udp_give_back(struct resolver_query *query);
void udp_close_idle(struct resolver *resolver);

static inline struct text query_name(const struct resolver_query *query)
{
	return (struct text){query->name, query->name_len};
}

static inline struct text query_wire(const struct resolver_query *query)
{
	return (struct text){(const char *)query->wire + TCP_PREFIX, query->wire_len};
}

#endif

/*
 * Who waits for what: one query a name, a place in flight or in the queue, the answer to all who
 * wait. See resolver.h and resolver_private.h.
 *
 * Knows no packet and no server. resolver_ask only takes the question in; the loop does the rest
 * (on_pump), so that no answer comes before it returns. What cannot be taken in fails by our own
 * limit, never as if there were no record.
 */
#include "policy/engine/resolver_private.h"

#include <stdlib.h>
#include <sys/random.h>

#define BUCKETS_FIRST 1024 /* a power of two */

/* ---- the table of names ---- */

static struct resolver_query **bucket_of(struct resolver *resolver, uint64_t hash)
{
	return &resolver->buckets[hash & (resolver->bucket_count - 1)].first;
}

static struct resolver_query *table_find(struct resolver *resolver, struct text name, uint64_t hash)
{
	struct resolver_query *query = *bucket_of(resolver, hash);

	while (query && (query->hash != hash || !text_equal(query_name(query), name)))
		query = query->chain;
	return query;
}

static void table_link(struct resolver *resolver, struct resolver_query *query)
{
	struct resolver_query **bucket = bucket_of(resolver, query->hash);

	query->chain = *bucket;
	*bucket = query;
}

/* Without memory for more buckets the chains grow. */
static void table_grow(struct resolver *resolver)
{
	struct query_chain *old = resolver->buckets;
	size_t old_count = resolver->bucket_count;
	struct query_chain *buckets = calloc(2 * old_count, sizeof(*buckets));

	if (!buckets)
		return;
	resolver->buckets = buckets;
	resolver->bucket_count = 2 * old_count;
	for (size_t i = 0; i < old_count; i++) {
		for (struct resolver_query *query = old[i].first; query;) {
			struct resolver_query *next = query->chain;

			table_link(resolver, query);
			query = next;
		}
	}
	free(old);
}

static void table_add(struct resolver *resolver, struct resolver_query *query)
{
	if (resolver->named >= resolver->bucket_count)
		table_grow(resolver);
	table_link(resolver, query);
	resolver->named++;
}

static void table_remove(struct resolver *resolver, struct resolver_query *query)
{
	struct resolver_query **at = bucket_of(resolver, query->hash);

	while (*at != query)
		at = &(*at)->chain;
	*at = query->chain;
	resolver->named--;
}

/* ---- waiters ---- */

static void waiter_join(struct resolver_waiter *waiter, struct resolver_query *query)
{
	waiter->query = query;
	waiter->next = query->waiters;
	waiter->link = &query->waiters;
	if (waiter->next)
		waiter->next->link = &waiter->next;
	query->waiters = waiter;
}

static void waiter_leave(struct resolver_waiter *waiter)
{
	*waiter->link = waiter->next;
	if (waiter->next)
		waiter->next->link = waiter->link;
	waiter->query = NULL;
}

/* One by one from the head, for a callback may take others out. Who joins meanwhile waits for the
 * next time. */
static void answer_all(struct resolver_query *query, const struct dns_answer *answer)
{
	struct resolver_waiter *waiters = query->waiters;

	query->waiters = NULL;
	if (waiters)
		waiters->link = &waiters;
	while (waiters) {
		struct resolver_waiter *waiter = waiters;

		waiter_leave(waiter);
		waiter->on_answer(waiter, answer);
	}
}

/* ---- queries ---- */

static void pump_soon(struct resolver *resolver)
{
	ev_feed_event(resolver->loop, &resolver->pump, EV_CUSTOM);
}

static struct resolver_query *query_make(struct resolver *resolver)
{
	struct resolver_query *query = resolver->free;

	if (query) {
		resolver->free = query->chain;
		resolver->free_count--;
		memset(query, 0, sizeof(*query));
	} else {
		query = calloc(1, sizeof(*query));
	}
	if (!query)
		return NULL;
	query->resolver = resolver;
	return query;
}

static void query_give_back(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;

	if (resolver->free_count >= resolver->max_in_flight) {
		free(query);
		return;
	}
	query->chain = resolver->free;
	resolver->free = query;
	resolver->free_count++;
}

/* Out of flight, queue and table: nobody joins it any more. */
static void query_end(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;

	if (query->state == QUERY_QUEUED) {
		TAILQ_REMOVE(&resolver->queued, query, place);
		resolver->stat.queued--;
	} else {
		resolver->stat.in_flight--;
		pump_soon(resolver);
	}
	query->state = QUERY_DONE;
	query_stop(query);
	table_remove(resolver, query);
}

void resolver_deliver(struct resolver_query *query, const struct dns_answer *answer)
{
	query_end(query);
	answer_all(query, answer);
	query_give_back(query);
}

void resolver_deliver_failure(struct resolver_query *query, enum dns_failure failure, uint8_t rcode)
{
	struct dns_answer *answer = &query->resolver->answer;

	dns_answer_clear(answer, failure);
	answer->rcode = rcode;
	if (query->said_by)
		memcpy(answer->server, query->said_by->text, sizeof(answer->server));
	resolver_deliver(query, answer);
}

/* The first time that the loop sees it: its clock stands still outside of it and while a callback
 * works. */
static void note_end(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;

	if (query->ends_at == 0)
		query->ends_at = ev_now(resolver->loop) + resolver->deadline_s;
}

static void begin_next(struct resolver *resolver)
{
	struct resolver_query *query = TAILQ_FIRST(&resolver->queued);

	TAILQ_REMOVE(&resolver->queued, query, place);
	resolver->stat.queued--;
	resolver->stat.in_flight++;
	note_end(query);
	query->state = QUERY_IN_FLIGHT;
	query_begin(query);
}

/* Those that came since the last time stand at the end. */
static void arm_queued(struct resolver *resolver)
{
	struct resolver_query *query = TAILQ_LAST(&resolver->queued, query_list);

	for (; query && query->ends_at == 0; query = TAILQ_PREV(query, query_list, place)) {
		note_end(query);
		query_arm(query, query->ends_at);
	}
}

static void answer_refused(struct resolver *resolver)
{
	static const enum dns_failure failures[REFUSALS] = {
		[REFUSAL_LIMIT] = DNS_FAILURE_LIMIT,
		[REFUSAL_MEMORY] = DNS_FAILURE_MEMORY,
		[REFUSAL_NAME] = DNS_FAILURE_MALFORMED,
	};

	for (int i = 0; i < REFUSALS; i++) {
		if (!resolver->refusals[i].waiters)
			continue;
		dns_answer_clear(&resolver->answer, failures[i]);
		answer_all(&resolver->refusals[i], &resolver->answer);
	}
}

static void on_pump(struct ev_loop *loop, struct ev_prepare *watcher, int events)
{
	struct resolver *resolver = watcher->data;

	(void)events;
	ev_now_update(loop);
	answer_refused(resolver);
	if (!TAILQ_EMPTY(&resolver->queued))
		resolver_refresh_servers(resolver);
	while (!TAILQ_EMPTY(&resolver->queued) &&
		resolver->stat.in_flight < resolver->max_in_flight)
		begin_next(resolver);
	arm_queued(resolver);
}

/* ---- asking ---- */

static void query_new(
	struct resolver *resolver, struct text name, uint64_t hash, struct resolver_waiter *waiter)
{
	struct resolver_query *query = query_make(resolver);

	if (!query) {
		waiter_join(waiter, &resolver->refusals[REFUSAL_MEMORY]);
		return;
	}
	memcpy(query->name, name.ptr, name.len);
	query->name_len = name.len;
	query->hash = hash;
	query->state = QUERY_QUEUED;
	query->was_queued =
		resolver->stat.in_flight + resolver->stat.queued >= resolver->max_in_flight;
	TAILQ_INSERT_TAIL(&resolver->queued, query, place);
	resolver->stat.queued++;
	table_add(resolver, query);
	waiter_join(waiter, query);
}

static bool has_room(const struct resolver *resolver)
{
	return (uint64_t)resolver->stat.in_flight + resolver->stat.queued <
	       (uint64_t)resolver->max_in_flight + resolver->max_queued;
}

void resolver_ask(struct resolver *resolver, struct text name, struct resolver_waiter *waiter)
{
	struct resolver_query *query;
	char lower[DNS_NAME_MAX];
	struct text key = {lower, name.len};
	uint64_t hash;

	pump_soon(resolver);
	if (name.len == 0 || name.len > DNS_NAME_MAX) {
		waiter_join(waiter, &resolver->refusals[REFUSAL_NAME]);
		return;
	}
	for (size_t i = 0; i < name.len; i++)
		lower[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20)
								    : name.ptr[i];
	hash = siphash64(&resolver->hash_key, lower, name.len);
	query = table_find(resolver, key, hash);
	if (query) {
		resolver->stat.coalesced++;
		waiter_join(waiter, query);
	} else if (has_room(resolver)) {
		query_new(resolver, key, hash, waiter);
	} else {
		resolver->stat.refused_by_limit++;
		waiter_join(waiter, &resolver->refusals[REFUSAL_LIMIT]);
	}
}

void resolver_cancel(struct resolver_waiter *waiter)
{
	struct resolver_query *query = waiter->query;

	if (!query)
		return;
	waiter_leave(waiter);
	/* A refusal has no resolver, and one that is being delivered is given back there. */
	if (query->waiters || !query->resolver || query->state == QUERY_DONE)
		return;
	query_end(query);
	query_give_back(query);
}

/* ---- life ---- */

static void drop_waiters(struct resolver_query *query)
{
	for (struct resolver_waiter *waiter = query->waiters; waiter; waiter = waiter->next)
		waiter->query = NULL;
}

static void drop_chain(struct resolver_query *query)
{
	while (query) {
		struct resolver_query *next = query->chain;

		drop_waiters(query);
		query_stop(query);
		free(query);
		query = next;
	}
}

static void drop_all(struct resolver *resolver)
{
	for (int i = 0; i < REFUSALS; i++)
		drop_waiters(&resolver->refusals[i]);
	for (size_t i = 0; i < resolver->bucket_count; i++)
		drop_chain(resolver->buckets[i].first);
	drop_chain(resolver->free);
	udp_close_idle(resolver);
}

/* The servers that the options name, or those of the file. */
static enum err read_servers(const struct resolver_options *options, struct nameservers *out,
	struct resolv_conf_state *state)
{
	if (options->servers && options->servers->count > 0) {
		*out = *options->servers;
		memset(state, 0, sizeof(*state));
		return ERR_OK;
	}
	return resolv_conf_read(options->resolv_conf, out, state);
}

enum err resolver_configure(struct resolver *resolver, const struct resolver_options *options)
{
	bool has_file = !options->servers || options->servers->count == 0;
	struct nameservers known;
	struct resolv_conf_state state;
	struct server_set *set;
	char *path = NULL;
	enum err err = read_servers(options, &known, &state);

	if (err != ERR_OK)
		return err;
	set = servers_new(&known);
	if (has_file)
		path = strdup(options->resolv_conf);
	if (!set || (has_file && !path)) {
		free(set);
		free(path);
		return ERR_NOMEM;
	}
	servers_unref(resolver->set);
	free(resolver->conf_path);
	resolver->set = set;
	resolver->conf_path = path;
	resolver->conf_state = state;
	resolver->conf_looked_at = ev_now(resolver->loop);
	resolver->is_conf_broken = false;
	resolver->timeout_s = options->timeout_ms / 1000.0;
	resolver->deadline_s = options->deadline_ms / 1000.0;
	resolver->attempts = options->attempts;
	resolver->max_in_flight = options->max_in_flight;
	resolver->max_queued = options->max_queued;
	pump_soon(resolver);
	return ERR_OK;
}

static enum err resolver_init(struct resolver *resolver)
{
	if (getrandom(&resolver->hash_key, sizeof(resolver->hash_key), 0) !=
		(ssize_t)sizeof(resolver->hash_key))
		return ERR_IO;
	resolver->bucket_count = BUCKETS_FIRST;
	resolver->buckets = calloc(BUCKETS_FIRST, sizeof(*resolver->buckets));
	if (!resolver->buckets)
		return ERR_NOMEM;
	TAILQ_INIT(&resolver->queued);
	ev_init(&resolver->pump, on_pump);
	/* After all else that is pending: questions that leave one behind the other keep the
	 * server awake, which costs less than waking it for each. */
	ev_set_priority(&resolver->pump, EV_MINPRI);
	resolver->pump.data = resolver;
	return ERR_OK;
}

enum err resolver_new(struct resolver **out, struct ev_loop *loop, struct log *log,
	const struct resolver_options *options)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	enum err err;

	*out = NULL;
	if (!resolver)
		return ERR_NOMEM;
	resolver->loop = loop;
	resolver->log = log;
	err = resolver_init(resolver);
	if (err == ERR_OK)
		err = resolver_configure(resolver, options);
	if (err != ERR_OK) {
		free(resolver->buckets);
		free(resolver);
		return err;
	}
	*out = resolver;
	return ERR_OK;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	drop_all(resolver);
	ev_clear_pending(resolver->loop, &resolver->pump);
	servers_unref(resolver->set);
	free(resolver->conf_path);
	free(resolver->buckets);
	free(resolver);
}

void resolver_stat(const struct resolver *resolver, struct resolver_stat *out)
{
	*out = resolver->stat;
	out->names_waited_for = (unsigned)resolver->named;
}

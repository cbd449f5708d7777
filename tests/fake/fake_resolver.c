/*
 * See fake_resolver.h. Lists in the order of the asks, searched from the front: slow and plain.
 */
#include "tests/fake/fake_resolver.h"

#include <stdio.h>
#include <stdlib.h>

struct resolver_query {
	struct resolver *resolver;
	char name[DNS_NAME_MAX + 1];
	struct resolver_waiter *waiters;
	struct resolver_query *next;
	bool is_over; /* is being answered: nobody joins it any more */
};

struct script {
	char name[DNS_NAME_MAX + 1];
	struct dns_answer answer;
	struct script *next;
};

struct count {
	char name[DNS_NAME_MAX + 1];
	unsigned asks;
	struct count *next;
};

struct resolver {
	struct resolver_query *queries;
	struct script *scripts;
	struct count *counts;
	struct resolver_stat stat;
};

static void *get_memory(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

static void copy_name(char *to, struct text name)
{
	if (name.len > DNS_NAME_MAX) {
		fprintf(stderr, "fake_resolver: a name of %zu bytes\n", name.len);
		abort();
	}
	memcpy(to, name.ptr, name.len);
	to[name.len] = '\0';
}

static void link_waiter(struct resolver_query *query, struct resolver_waiter *waiter)
{
	struct resolver_waiter **end = &query->waiters;

	while (*end)
		end = &(*end)->next;
	waiter->query = query;
	waiter->link = end;
	waiter->next = NULL;
	*end = waiter;
}

static void forget_query(struct resolver_waiter *waiter)
{
	waiter->next = NULL;
	waiter->link = NULL;
	waiter->query = NULL;
}

/* The first one, NULL when there is none. */
static struct resolver_waiter *take_waiter(struct resolver_query *query)
{
	struct resolver_waiter *waiter = query->waiters;

	if (!waiter)
		return NULL;
	query->waiters = waiter->next;
	if (waiter->next)
		waiter->next->link = &query->waiters;
	forget_query(waiter);
	return waiter;
}

static struct resolver_query *take_query(struct resolver *resolver, struct resolver_query **at)
{
	struct resolver_query *query = *at;

	*at = query->next;
	resolver->stat.in_flight--;
	return query;
}

/* Where the query stands in the list; the end of the list when there is none. */
static struct resolver_query **find_query(struct resolver *resolver, struct text name)
{
	struct resolver_query **at = &resolver->queries;

	while (*at && !text_equal(text_of((*at)->name), name))
		at = &(*at)->next;
	return at;
}

static struct count *count_of(struct resolver *resolver, struct text name)
{
	struct count *count = resolver->counts;

	while (count && !text_equal(text_of(count->name), name))
		count = count->next;
	if (!count) {
		count = get_memory(sizeof(*count));
		copy_name(count->name, name);
		count->next = resolver->counts;
		resolver->counts = count;
	}
	return count;
}

static void begin_query(struct resolver *resolver, struct text name, struct resolver_query **end)
{
	struct resolver_query *query = get_memory(sizeof(*query));

	copy_name(query->name, name);
	query->resolver = resolver;
	*end = query;
	count_of(resolver, name)->asks++;
	resolver->stat.queries++;
	resolver->stat.in_flight++;
}

/* What resolver.h promises. */

enum err resolver_new(struct resolver **out, struct ev_loop *loop, struct log *log,
	const struct resolver_options *options)
{
	(void)loop;
	(void)log;
	(void)options;
	*out = fake_resolver_new();
	return ERR_OK;
}

enum err resolver_configure(struct resolver *resolver, const struct resolver_options *options)
{
	(void)resolver;
	(void)options;
	return ERR_OK;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	while (resolver->queries) {
		struct resolver_query *query = take_query(resolver, &resolver->queries);
		while (take_waiter(query))
			;
		free(query);
	}
	while (resolver->scripts) {
		struct script *script = resolver->scripts;
		resolver->scripts = script->next;
		free(script);
	}
	while (resolver->counts) {
		struct count *count = resolver->counts;
		resolver->counts = count->next;
		free(count);
	}
	free(resolver);
}

void resolver_ask(struct resolver *resolver, struct text name, struct resolver_waiter *waiter)
{
	struct resolver_query **at = find_query(resolver, name);

	if (waiter->query) {
		fprintf(stderr, "fake_resolver: a waiter that waits already asks for %.*s\n",
			TEXT_ARG(name));
		abort();
	}
	if (*at)
		resolver->stat.coalesced++;
	else
		begin_query(resolver, name, at);
	link_waiter(*at, waiter);
}

void resolver_cancel(struct resolver_waiter *waiter)
{
	struct resolver_query *query = waiter->query;

	if (!query)
		return;
	*waiter->link = waiter->next;
	if (waiter->next)
		waiter->next->link = waiter->link;
	forget_query(waiter);
	if (query->waiters || query->is_over)
		return;
	free(take_query(query->resolver, find_query(query->resolver, text_of(query->name))));
}

void resolver_stat(const struct resolver *resolver, struct resolver_stat *out)
{
	*out = resolver->stat;
	out->names_waited_for = out->in_flight;
}

/* What the test tells it. */

struct resolver *fake_resolver_new(void)
{
	return get_memory(sizeof(struct resolver));
}

void fake_resolver_script(
	struct resolver *resolver, const char *name, const struct dns_answer *answer)
{
	struct script *script = resolver->scripts;

	while (script && strcmp(script->name, name) != 0)
		script = script->next;
	if (!script) {
		script = get_memory(sizeof(*script));
		copy_name(script->name, text_of(name));
		script->next = resolver->scripts;
		resolver->scripts = script;
	}
	dns_answer_copy(&script->answer, answer);
}

static const struct dns_answer *scripted(const struct resolver *resolver, const char *name)
{
	const struct dns_answer *any = NULL;

	for (const struct script *script = resolver->scripts; script; script = script->next) {
		if (strcmp(script->name, name) == 0)
			return &script->answer;
		if (strcmp(script->name, "*") == 0)
			any = &script->answer;
	}
	return any;
}

/* The callbacks may ask and cancel as they like: the query is out of the list already, and the
 * next waiter is looked up anew each time. */
static unsigned answer_query(struct resolver_query *query, const struct dns_answer *answer)
{
	struct resolver_waiter *waiter;
	unsigned called = 0;

	query->is_over = true;
	while ((waiter = take_waiter(query))) {
		called++;
		waiter->on_answer(waiter, answer);
	}
	free(query);
	return called;
}

unsigned fake_resolver_answer(
	struct resolver *resolver, const char *name, const struct dns_answer *answer)
{
	struct resolver_query **at = find_query(resolver, text_of(name));

	return *at ? answer_query(take_query(resolver, at), answer) : 0;
}

unsigned fake_resolver_run(struct resolver *resolver)
{
	struct resolver_query **at = &resolver->queries;
	unsigned called = 0;

	while (*at) {
		const struct dns_answer *answer = scripted(resolver, (*at)->name);
		if (answer) {
			called += answer_query(take_query(resolver, at), answer);
			at = &resolver->queries; /* the callbacks may have ended others */
		} else {
			at = &(*at)->next;
		}
	}
	return called;
}

unsigned fake_resolver_asks(const struct resolver *resolver, const char *name)
{
	unsigned asks = 0;

	for (const struct count *count = resolver->counts; count; count = count->next)
		if (!name || strcmp(count->name, name) == 0)
			asks += count->asks;
	return asks;
}

unsigned fake_resolver_waiting(const struct resolver *resolver, const char *name)
{
	unsigned waiting = 0;

	for (const struct resolver_query *query = resolver->queries; query; query = query->next) {
		if (name && strcmp(query->name, name) != 0)
			continue;
		for (const struct resolver_waiter *at = query->waiters; at; at = at->next)
			waiting++;
	}
	return waiting;
}

void fake_answer_found(struct dns_answer *answer, uint32_t ttl_s, const char *txt)
{
	dns_answer_clear(answer, DNS_FAILURE_NONE);
	answer->status = LOOKUP_FOUND;
	answer->ttl_s = ttl_s;
	answer->strings = 1;
	if (!dns_answer_add(answer, text_of(txt)))
		abort();
}

void fake_answer_absent(struct dns_answer *answer, uint32_t ttl_s)
{
	dns_answer_clear(answer, DNS_FAILURE_NONE);
	answer->status = LOOKUP_ABSENT;
	answer->rcode = DNS_RCODE_NXDOMAIN;
	answer->ttl_s = ttl_s;
}

void fake_answer_failed(struct dns_answer *answer, enum dns_failure failure, uint8_t rcode)
{
	dns_answer_clear(answer, failure);
	answer->rcode = rcode;
}

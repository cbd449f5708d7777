/*
 * See dns_stack.h.
 */
#include "policy/engine/dns_stack.h"

#include <unistd.h>

/* Names that may wait for a place among those in flight, for each such place. */
#define QUEUED_PER_FLIGHT 16

static int64_t boottime_ms(void *ctx)
{
	(void)ctx;
	return cache_now_ms();
}

struct resolver_options dns_stack_options(const struct config *config)
{
	return (struct resolver_options){
		.resolv_conf = config->resolv_conf,
		.servers = &config->nameservers,
		.timeout_ms = config->dns_timeout_ms,
		.attempts = config->dns_attempts,
		.deadline_ms = config->dns_deadline_ms,
		.max_in_flight = config->dns_max_in_flight,
		.max_queued = config->dns_max_in_flight * QUEUED_PER_FLIGHT,
	};
}

static struct txt_source_parts parts_of(const struct dns_stack *stack, const struct config *config)
{
	return (struct txt_source_parts){
		.resolver = stack->resolver,
		.cache = stack->cache,
		.now_ms = boottime_ms,
		.rules = config->cache_rules,
		.new_domains = config->new_domains,
	};
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct dns_stack *stack = watcher->data;

	(void)loop;
	(void)events;
	cache_settle(stack->cache);
}

/* Of all answers of one turn of the loop one write. Only where many come in one turn: who makes no
 * cache asks one question after the other, and may wait for more outside of the loop. */
static void batch_puts(struct dns_stack *stack)
{
	if (stack->makes_no_cache)
		return;
	cache_batch(stack->cache, true);
	if (ev_is_active(&stack->settle))
		return;
	ev_prepare_init(&stack->settle, on_prepare);
	stack->settle.data = stack;
	ev_prepare_start(stack->loop, &stack->settle);
	ev_unref(stack->loop); /* it keeps no loop running */
}

static void end_batch(struct dns_stack *stack)
{
	if (!ev_is_active(&stack->settle))
		return;
	ev_ref(stack->loop);
	ev_prepare_stop(stack->loop, &stack->settle);
}

static void open_cache(struct dns_stack *stack, const struct config *config)
{
	const char *dir = stack->cache_dir ? stack->cache_dir : config->cache_dir;
	unsigned max_mb = stack->cache_dir ? stack->cache_max_mb : config->cache_max_mb;
	char error[512];

	if (stack->makes_no_cache && access(dir, F_OK) != 0)
		return;
	if (cache_open(&stack->cache, dir, max_mb, error, sizeof(error)) == ERR_OK)
		return;
	stack->cache = NULL;
	log_event(stack->log, LOG_LEVEL_WARNING,
		"%s; going on without a DNS cache: every question asks the DNS, and no stale "
		"answer "
		"helps while it fails",
		error);
}

static enum err open_all(struct dns_stack *stack, const struct config *config)
{
	struct resolver_options options = dns_stack_options(config);
	struct txt_source_parts parts;
	enum err err = resolver_new(&stack->resolver, stack->loop, stack->log, &options);

	if (err != ERR_OK)
		return err;
	open_cache(stack, config);
	batch_puts(stack);
	parts = parts_of(stack, config);
	return txt_source_new(&stack->txt, &parts);
}

enum err dns_stack_open(
	struct dns_stack *stack, const struct config *config, struct ev_loop *loop, struct log *log)
{
	enum err err;

	stack->loop = loop;
	stack->log = log;
	if (!config->lockdown.is_enabled)
		return ERR_OK;
	err = open_all(stack, config);
	if (err != ERR_OK)
		dns_stack_close(stack);
	return err;
}

enum err dns_stack_configure(struct dns_stack *stack, const struct config *config)
{
	struct resolver_options options = dns_stack_options(config);
	struct txt_source_parts parts;
	enum err err;

	if (!config->lockdown.is_enabled && !stack->txt)
		return ERR_OK;
	if (!stack->txt)
		return dns_stack_open(stack, config, stack->loop, stack->log);
	err = resolver_configure(stack->resolver, &options);
	if (err != ERR_OK)
		return err;
	batch_puts(stack);
	parts = parts_of(stack, config);
	txt_source_configure(stack->txt, &parts);
	return ERR_OK;
}

void dns_stack_close(struct dns_stack *stack)
{
	txt_source_free(stack->txt);
	resolver_free(stack->resolver);
	end_batch(stack);
	cache_close(stack->cache);
	*stack = (struct dns_stack){.loop = stack->loop,
		.log = stack->log,
		.cache_dir = stack->cache_dir,
		.makes_no_cache = stack->makes_no_cache,
		.cache_max_mb = stack->cache_max_mb};
}

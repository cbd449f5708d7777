/*
 * See dns_now.h. Must not know what records mean.
 */
#include "policyctl/dns_now.h"

#include <assert.h>

#include "policy/engine/dns_stack.h"
#include "policyctl/output.h"

struct asking {
	struct ev_loop *loop;
	size_t left; /* answers that have not come */
};

struct asked {
	struct resolver_waiter waiter;
	struct asking *asking;
	struct dns_answer *answer;
};

static void on_answer(struct resolver_waiter *waiter, const struct dns_answer *answer)
{
	struct asked *asked = waiter->owner;

	dns_answer_copy(asked->answer, answer);
	if (--asked->asking->left == 0)
		ev_break(asked->asking->loop, EVBREAK_ALL);
}

static void ask_all(struct asking *asking, struct resolver *resolver,
	struct dns_now_question *questions, size_t count)
{
	struct asked asked[DNS_NOW_MAX];

	assert(count <= DNS_NOW_MAX);
	asking->left = count;
	for (size_t i = 0; i < count; i++) {
		asked[i] = (struct asked){.asking = asking, .answer = &questions[i].answer};
		asked[i].waiter =
			(struct resolver_waiter){.on_answer = on_answer, .owner = &asked[i]};
		resolver_ask(resolver, questions[i].name, &asked[i].waiter);
	}
	if (count > 0)
		ev_run(asking->loop, 0);
}

bool dns_now_ask(const struct config *config, struct dns_now_question *questions, size_t count)
{
	struct resolver_options options = dns_stack_options(config);
	struct asking asking = {.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV)};
	struct resolver *resolver = NULL;
	struct log log;
	bool done = false;

	options.max_in_flight = options.max_queued = DNS_NOW_MAX;
	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, "policyctl");
	if (asking.loop && resolver_new(&resolver, asking.loop, &log, &options) == ERR_OK) {
		ask_all(&asking, resolver, questions, count);
		done = true;
	} else {
		complain("the resolver cannot start: out of memory, or no random numbers");
	}
	resolver_free(resolver);
	if (asking.loop)
		ev_loop_destroy(asking.loop);
	return done;
}

/*
 * See proof_look.h. Must not know how a proof is judged or printed.
 *
 * A daemon that cannot be connected to does not run. One that took the question and does not answer
 * may have done the work, so nobody does it twice.
 */
#include "policyctl/proof_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "policy/engine/control_result.h"
#include "policy/engine/dns_stack.h"
#include "policyctl/daemon.h"
#include "policyctl/output.h"
#include "policyctl/registry_open.h"

enum { WRITING_MS = 10000 }; /* beyond the DNS's own deadline */

static void set(char *out, size_t size, struct text text)
{
	snprintf(out, size, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
}

/* ---- by the daemon ---- */

static enum ctl_exit read_answer(const struct control_message *answer, struct proof_look *out)
{
	struct text status = control_get(answer, "status"), text = control_get(answer, "text");
	char escaped[4 * OUTPUT_SHORT];

	if (text_equal(status, TEXT("absent")))
		return CTL_YES;
	if (!text_equal(status, TEXT("ok"))) {
		complain("policyd did not look: %s",
			output_escape(text.ptr ? text : TEXT("it gave no reason"), escaped,
				sizeof(escaped)));
		return CTL_UNKNOWN;
	}
	set(out->server, sizeof(out->server), control_get(answer, "server"));
	set(out->answer, sizeof(out->answer), control_get(answer, "rcode"));
	out->count = control_read_results(answer, out->results, CLAIMS_PER_DOMAIN);
	return CTL_YES;
}

static void complain_silent(const struct config *config, enum err err)
{
	char cause[DAEMON_TEXT];

	switch (err) {
	case ERR_BUSY:
		complain("policyd did not answer in time: %s; `policyctl domain show` says what "
			 "came of it",
			daemon_busy_cause(config, cause));
		break;
	case ERR_ABSENT:
		complain("policyd ended before it answered; ask again");
		break;
	default:
		complain("policyd cannot be understood: %s",
			err == ERR_IO ? strerror(errno) : "its answer has another form");
	}
}

/* message holds the request, then the answer. */
static enum ctl_exit exchange(
	const struct ctl *ctl, int fd, struct control_message *message, struct proof_look *out)
{
	enum err err = control_send(fd, message, NULL, 0);

	if (err == ERR_OK)
		err = control_receive(fd, message, (int)ctl->config->dns_deadline_ms + WRITING_MS);
	if (err == ERR_OK)
		return read_answer(message, out);
	complain_silent(ctl->config, err);
	return CTL_UNKNOWN;
}

/* False: no daemon runs. */
static bool ask_daemon(const struct ctl *ctl, struct text domain, struct text tenant,
	struct proof_look *out, enum ctl_exit *done)
{
	struct control_message *message = malloc(sizeof(*message));
	char uid[16];
	int fd;

	*done = CTL_UNKNOWN;
	if (!message) {
		complain("out of memory");
		return true;
	}
	snprintf(uid, sizeof(uid), "%u", (unsigned)ctl->actor.uid);
	control_start(message);
	if (!control_add(message, "request", TEXT("policyd_control")) ||
		!control_add(message, "actor", ctl->actor.name) ||
		!control_add(message, "actor_uid", text_of(uid)) ||
		!control_add(message, "command", TEXT("verify")) ||
		!control_add(message, "domain", domain) ||
		(tenant.len > 0 && !control_add(message, "tenant", tenant)) ||
		control_connect(ctl->config->control_path, &fd) != ERR_OK) {
		free(message);
		return false;
	}
	out->by_daemon = true;
	*done = exchange(ctl, fd, message, out);
	close(fd);
	free(message);
	return true;
}

/* ---- by this process ---- */

struct looking {
	struct ev_loop *loop;
	struct proof_look *out;
	enum err err;
};

static int64_t unix_s(void *ctx)
{
	(void)ctx;
	return (int64_t)time(NULL);
}

static int64_t steady_ms(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_done(struct prover_look *look, enum err err, const struct dns_answer *answer,
	const struct prover_result *results, size_t count)
{
	struct looking *looking = look->owner;
	struct proof_look *out = looking->out;
	char outcome[16];

	looking->err = err;
	ev_break(looking->loop, EVBREAK_ALL);
	if (!answer)
		return;
	set(out->server, sizeof(out->server), text_of(answer->server));
	set(out->answer, sizeof(out->answer), text_of(dns_outcome_text(answer, outcome)));
	out->count = count;
	memcpy(out->results, results, count * sizeof(*results));
}

static enum err look_with(
	struct prover *prover, struct text domain, struct text tenant, struct looking *looking)
{
	struct prover_look look = {.on_done = on_done, .owner = looking};
	enum err err = prover_check(prover, domain, tenant, &look);

	if (err != ERR_OK)
		return err;
	ev_run(looking->loop, 0);
	return looking->err;
}

static enum err look_on(const struct ctl *ctl, struct registry *registry, struct text domain,
	struct text tenant, struct looking *looking)
{
	struct resolver_options options = dns_stack_options(ctl->config);
	struct prover_parts parts = {.registry = registry,
		.ownership = &ctl->config->ownership,
		.unix_s = unix_s,
		.steady_ms = steady_ms,
		.actor = ctl->actor};
	struct prover *prover = NULL;
	struct log log;
	enum err err;

	log_init(&log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, "policyctl");
	parts.log = &log;
	err = resolver_new(&parts.resolver, looking->loop, &log, &options);
	if (err != ERR_OK)
		complain("the resolver cannot start: out of memory, or no random numbers");
	if (err == ERR_OK)
		err = prover_new(&prover, &parts);
	if (err == ERR_OK)
		err = look_with(prover, domain, tenant, looking);
	prover_free(prover);
	resolver_free(parts.resolver);
	return err;
}

static enum ctl_exit look_here(
	const struct ctl *ctl, struct text domain, struct text tenant, struct proof_look *out)
{
	struct looking looking = {.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV), .out = out};
	struct registry *registry = registry_open_to_write(ctl);
	enum err err = ERR_IO;

	if (looking.loop && registry)
		err = look_on(ctl, registry, domain, tenant, &looking);
	if (!looking.loop || err == ERR_NOMEM)
		complain("out of memory");
	registry_close_written(ctl, registry);
	if (looking.loop)
		ev_loop_destroy(looking.loop);
	return err == ERR_OK || err == ERR_ABSENT ? CTL_YES : CTL_UNKNOWN;
}

enum ctl_exit proof_look(
	const struct ctl *ctl, struct text domain, struct text tenant, struct proof_look *out)
{
	enum ctl_exit done;

	memset(out, 0, sizeof(*out));
	if (ask_daemon(ctl, domain, tenant, out, &done))
		return done;
	return look_here(ctl, domain, tenant, out);
}

/*
 * The engine for one command, see ask.h. Must not know how a decision is made.
 */
#include "policyctl/ask.h"

#include <time.h>
#include <unistd.h>

#include "policyctl/output.h"
#include "policyctl/table.h"

static int64_t unix_s(void *ctx)
{
	return ((struct ask *)ctx)->now;
}

static int64_t steady_ms(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: it could not be opened at all, complained. */
static bool open_registry(struct ask *ask, const struct ctl *ctl, enum registry_trust *trust)
{
	char error[REGISTRY_ERROR_MAX] = "";
	enum err err = registry_open(
		&ask->registry, ctl->config->state_dir, ctl->config->register_max_mb, true, error);

	*trust = REGISTRY_TRUSTED;
	if (err == ERR_OK)
		return true;
	ask->registry = NULL;
	if (err == ERR_ABSENT)
		return true;
	*trust = REGISTRY_DAMAGED;
	complain("%s", error);
	return err == ERR_DAMAGED || err == ERR_VERSION;
}

static bool open_session(struct ask *ask, const struct ctl *ctl, struct authz *authz)
{
	enum registry_trust trust;

	if (!open_registry(ask, ctl, &trust))
		return false;
	ask->now = ctl->now;
	ask->parts = (struct session_parts){
		.settings = &ask->settings,
		.replies = &ctl->config->replies,
		.authz = authz,
		.registry = ask->registry,
		.txt = ask->dns.txt,
		.deadline_ms = ctl->config->dns_deadline_ms,
		.loop = ask->loop,
		.clock = {unix_s, steady_ms, ask},
	};
	if (session_new(&ask->session, &ask->parts, (uint32_t)getpid()) != ERR_OK) {
		complain("out of memory");
		return false;
	}
	session_trust_registry(ask->session, trust);
	return true;
}

bool ask_open_on(struct ask *ask, const struct ctl *ctl, struct authz *authz)
{
	*ask = (struct ask){.settings = ctl->config->settings, .authz = authz};
	ask->settings.lockdown = NULL;
	if (open_session(ask, ctl, authz))
		return true;
	ask_close(ask);
	return false;
}

/* The daemon's resolver and cache, with limits that no administrator's question uses up. */
static bool open_dns(struct ask *ask, const struct ctl *ctl)
{
	struct config config = *ctl->config;

	if (!config.lockdown.is_enabled)
		return true;
	config.new_domains = (struct bucket_rule){.per_min = UINT32_MAX, .burst = UINT32_MAX};
	log_init(&ask->log, LOG_TARGET_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, "policyctl");
	ask->dns.makes_no_cache = true;
	ask->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (ask->loop && dns_stack_open(&ask->dns, &config, ask->loop, &ask->log) == ERR_OK)
		return true;
	complain("the resolver cannot start: out of memory, or [dns] resolv_conf cannot be read");
	return false;
}

bool ask_open(struct ask *ask, const struct ctl *ctl)
{
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;
	enum table_state state = table_open(ctl->config, false, &authz, error);

	*ask = (struct ask){.settings = ctl->config->settings};
	if (state == TABLE_UNREADABLE || state == TABLE_BROKEN)
		complain("%s", error);
	if (state == TABLE_UNREADABLE)
		return false;
	ask->authz = authz;
	if (!open_dns(ask, ctl) || !open_session(ask, ctl, authz)) {
		ask_close(ask);
		return false;
	}
	if (state == TABLE_BROKEN)
		session_trust_table(ask->session, TABLE_DAMAGED);
	return true;
}

void ask_close(struct ask *ask)
{
	session_free(ask->session);
	dns_stack_close(&ask->dns);
	if (ask->loop)
		ev_loop_destroy(ask->loop);
	registry_close(ask->registry);
	table_close(ask->authz);
}

struct waiting {
	struct ask *ask;
	struct session_answer *answer;
};

static void on_answer(void *ctx, const struct request *request, const struct session_answer *answer)
{
	struct waiting *waiting = ctx;

	(void)request;
	*waiting->answer = *answer;
	ev_break(waiting->ask->loop, EVBREAK_ALL);
}

void ask_question(struct ask *ask, const struct request *request, const struct trace *trace,
	struct session_answer *answer)
{
	struct waiting waiting = {ask, answer};
	struct session_later later = {on_answer, &waiting};

	ask->parts.trace = trace;
	session_configure(ask->session, &ask->parts);
	if (session_ask(ask->session, request, ask->loop ? &later : NULL, answer))
		ev_run(ask->loop, 0);
}

struct text ask_login(const char *argument)
{
	return strcmp(argument, "-") == 0 ? TEXT("") : text_of(argument);
}

struct text ask_sender(const char *argument)
{
	struct text sender = text_of(argument);

	if (sender.len >= 2 && sender.ptr[0] == '<' && sender.ptr[sender.len - 1] == '>')
		return (struct text){sender.ptr + 1, sender.len - 2};
	return sender;
}

/* RCPT as Postfix's default has it, else whatever state is looked at. */
static enum protocol_state asked_state(const struct settings *settings)
{
	enum protocol_state state = STATE_CONNECT;

	if (settings->states == 0 || (settings->states & 1U << STATE_RCPT))
		return STATE_RCPT;
	while (!(settings->states & 1U << state))
		state = (enum protocol_state)(state + 1);
	return state;
}

struct request ask_request(const struct settings *settings, struct text login, struct text sender)
{
	struct request request = {0};

	request.attr[ATTR_REQUEST] = TEXT("smtpd_access_policy");
	request.attr[ATTR_PROTOCOL_STATE] = text_of(protocol_state_name(asked_state(settings)));
	request.attr[ATTR_SENDER] = sender;
	request.attr[ATTR_SASL_USERNAME] = login;
	return request;
}

enum ctl_exit ask_exit(const struct session_answer *answer)
{
	if (reply_takes_mail(ask_action_line(answer)))
		return CTL_YES;
	switch (answer->verdict->action) {
	case ACTION_DUNNO:
		return CTL_YES;
	case ACTION_REJECT:
		return CTL_NO;
	case ACTION_DEFER:
		break;
	}
	return CTL_UNKNOWN;
}

struct text ask_action_line(const struct session_answer *answer)
{
	struct text reply = {answer->reply, answer->reply_len};

	return text_head(reply, text_find(reply, '\n'));
}

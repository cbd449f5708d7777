/*
 * The commands of the control socket: who may, doing it, the answer. See control.h.
 *
 * Must not know bytes and connections. A command that is not known, or that the table of roles does
 * not have, is refused.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "policy/engine/control_result.h"
#include "policyd/control_visit.h"

#define TEXT_MAX  1024
#define WORDS_MAX CONTROL_ATTRS_MAX

/* Attributes of answers are short but for results of a look, which are counted. */
static void put(struct visit *visit, const char *name, struct text value)
{
	(void)!control_add(&visit->server->answer, name, value);
}

static void answer_begin(struct visit *visit, const char *status)
{
	control_start(&visit->server->answer);
	put(visit, "status", text_of(status));
}

static void answer_send(struct visit *visit)
{
	control_client_answer(visit->client, &visit->server->answer);
}

static void answer_error(struct visit *visit, const char *text)
{
	answer_begin(visit, "error");
	put(visit, "text", text_of(text));
	answer_send(visit);
}

/* "a", "b" and what follows; of groups: as [roles] names them. */
static void list_groups(const struct role_groups *groups, const char *quote, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < groups->count && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%s%.*s%s", i ? ", " : "", quote,
			TEXT_ARG(groups->names[i]), quote);
}

static void explain_refusal(
	const struct config *config, enum role role, const char *command, char *out, size_t cap)
{
	const struct role_groups *groups;
	char names[TEXT_MAX / 2];

	if (role >= ROLES_) {
		snprintf(out, cap,
			"policyd does not run this command line for others: it is none of "
			"policyctl's commands, or it has options or files that are for root and "
			"policyd's user alone");
		return;
	}
	groups = &config->roles[role];
	list_groups(groups, "\"", names, sizeof(names));
	if (groups->count == 0)
		snprintf(out, cap,
			"%s needs the role \"%s\", which no group has ([roles] %s in policyd.ini)",
			command, role_name(role), role_name(role));
	else
		snprintf(out, cap,
			"%s needs the role \"%s\", which the group%s %s %s ([roles] %s in "
			"policyd.ini)",
			command, role_name(role), groups->count > 1 ? "s" : "", names,
			groups->count > 1 ? "have" : "has", role_name(role));
}

static void answer_refused(struct visit *visit, enum role role, const char *command)
{
	const struct config *config = visit->server->parts.config;
	char text[TEXT_MAX], names[TEXT_MAX / 2] = "", escaped[TEXT_MAX];

	explain_refusal(config, role, command, text, sizeof(text));
	if (role < ROLES_)
		list_groups(&config->roles[role], "", names, sizeof(names));
	log_escape(text_of(text), escaped, sizeof(escaped));
	if (control_may_log(visit->server))
		log_event(visit->server->parts.log, LOG_LEVEL_WARNING,
			"control: %s (uid %lu) was refused: %s", visit->user,
			(unsigned long)visit->client->peer.uid, escaped);
	answer_begin(visit, "refused");
	put(visit, "role", text_of(role_name(role)));
	put(visit, "groups", text_of(names));
	put(visit, "text", text_of(text));
	answer_send(visit);
}

/* ---- verify ---- */

/* Which server answered, and with what, or why there is no answer. */
static void put_answerer(struct visit *visit, const struct dns_answer *answer)
{
	char outcome[16];

	put(visit, "server", text_of(answer->server));
	put(visit, "rcode", text_of(dns_outcome_text(answer, outcome)));
}

static void look_on_done(struct prover_look *look, enum err err, const struct dns_answer *answer,
	const struct prover_result *results, size_t count)
{
	struct visit *visit = look->owner;
	bool has_room = true;

	visit->is_looking = false;
	if (err == ERR_ABSENT) {
		answer_begin(visit, "absent");
		put(visit, "text", TEXT("nobody claims that domain"));
		answer_send(visit);
		return;
	}
	if (err != ERR_OK) {
		answer_error(visit,
			"the ownership register cannot be read or written; the log of policyd "
			"says why");
		return;
	}
	answer_begin(visit, "ok");
	if (answer)
		put_answerer(visit, answer);
	for (size_t i = 0; i < count && has_room; i++)
		has_room = control_add_result(&visit->server->answer, &results[i]);
	if (has_room)
		answer_send(visit);
	else
		answer_error(visit, "too many claims for one answer; name one with tenant=");
}

/* A user's number, and nothing else; not that of the daemon itself. */
static bool uid_read(struct text digits, uint32_t *uid)
{
	uint64_t value = 0;

	for (size_t i = 0; i < digits.len; i++) {
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9' || value >= AUDIT_UID_POLICYD)
			return false;
		value = value * 10 + (uint64_t)(digits.ptr[i] - '0');
	}
	*uid = (uint32_t)value;
	return digits.len > 0 && value < AUDIT_UID_POLICYD;
}

/* Who looks. policyctl that was started for somebody says for whom; others are believed only what
 * the kernel says. The name is kept with the visit. */
static struct registry_actor asker_of(struct visit *visit, const struct control_message *message)
{
	struct text name = control_get(message, "actor");
	uint32_t uid;

	if (!peer_is_master(&visit->client->peer) || name.len == 0 ||
		!uid_read(control_get(message, "actor_uid"), &uid))
		return (struct registry_actor){visit->client->peer.uid, text_of(visit->user)};
	log_escape(name, visit->asker, sizeof(visit->asker));
	return (struct registry_actor){uid, text_of(visit->asker)};
}

static void command_verify(struct visit *visit, const struct control_message *message)
{
	struct text domain = control_get(message, "domain"),
		    tenant = control_get(message, "tenant");
	struct prover *prover = visit->server->parts.prover;

	if (!role_is_held(visit->server->parts.config, &visit->client->peer, ROLE_ADD)) {
		answer_refused(visit, ROLE_ADD, "a look for the proof");
		return;
	}
	if (domain.len == 0 || domain.len > DOMAIN_MAX || memchr(domain.ptr, '\0', domain.len) ||
		(tenant.len > 0 && !tenant_is_valid(tenant))) {
		answer_error(visit, "verify wants domain= and perhaps tenant=");
		return;
	}
	if (!prover) {
		answer_error(visit,
			"no proof can be looked for now: the ownership register is damaged, or "
			"[dns] resolv_conf cannot be read; the log of policyd says which");
		return;
	}
	visit->look = (struct prover_look){
		.on_done = look_on_done, .owner = visit, .actor = asker_of(visit, message)};
	visit->is_looking = true;
	if (prover_check(prover, domain, tenant, &visit->look) == ERR_OK)
		return;
	visit->is_looking = false;
	answer_error(visit, "out of memory");
}

void visit_cancel_look(struct visit *visit)
{
	if (!visit->is_looking)
		return;
	visit->is_looking = false;
	prover_cancel(&visit->look);
	answer_error(visit, "the ownership register was closed meanwhile; ask again");
}

/* ---- run ---- */

/* The command line for the log, cut where it is long. */
static void remember_what(struct visit *visit, const struct text *words, size_t count)
{
	size_t len = 0;

	visit->what[0] = '\0';
	for (size_t i = 0; i < count && len + 8 < sizeof(visit->what); i++) {
		if (i > 0)
			visit->what[len++] = ' ';
		len += log_escape(words[i], visit->what + len, sizeof(visit->what) - len);
	}
}

static void log_end(struct visit *visit, const char *how, int number)
{
	log_event(visit->server->parts.log, LOG_LEVEL_INFO, "control: %s (uid %lu) ran `%s`: %s %d",
		visit->user, (unsigned long)visit->client->peer.uid, visit->what, how, number);
}

static void answer_end(struct visit *visit, int status)
{
	char number[16];

	if (WIFSIGNALED(status) && visit->run.is_overdue) {
		answer_error(visit,
			"policyctl was ended: it was not done in ten minutes, waiting for its "
			"input or for its output to be read, perhaps");
		return;
	}
	if (WIFSIGNALED(status)) {
		answer_error(visit, "policyctl was killed before it was done");
		return;
	}
	if (WEXITSTATUS(status) == SPAWN_FAILED) {
		answer_error(visit,
			"policyd cannot start policyctl; it has to stand beside policyd, or in "
			"/usr/sbin");
		return;
	}
	snprintf(number, sizeof(number), "%d", WEXITSTATUS(status));
	answer_begin(visit, "done");
	put(visit, "exit", text_of(number));
	answer_send(visit);
}

static void run_on_end(struct control_run *run, int status)
{
	struct visit *visit = run->owner;

	log_end(visit, WIFSIGNALED(status) ? "killed by signal" : "exit",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (visit->client->fd < 0)
		visit_close(visit);
	else
		answer_end(visit, status);
}

static void run_start(struct visit *visit, const struct control_run_order *order)
{
	const struct control_parts *parts = &visit->server->parts;
	struct control_run_options options = {
		parts->config_path, parts->overrides, parts->override_count};

	visit->run =
		(struct control_run){.loop = parts->loop, .on_end = run_on_end, .owner = visit};
	if (control_run_start(&visit->run, &options, order) != ERR_OK) {
		log_event(parts->log, LOG_LEVEL_ERROR, "control: cannot start policyctl: %m");
		answer_error(visit, "policyd cannot start policyctl; its log says why");
		return;
	}
	control_client_close_fds(visit->client);
}

static void command_run(struct visit *visit, const struct control_message *message)
{
	struct control_client *client = visit->client;
	struct text words[WORDS_MAX];
	struct control_run_order order = {.words = words,
		.fds = client->fds,
		.uid = client->peer.uid,
		.user = visit->user,
		.term = control_get(message, "term")};

	for (size_t i = 0; i < message->count; i++)
		if (text_equal(message->attrs[i].name, TEXT("arg")))
			words[order.count++] = message->attrs[i].value;
	if (order.count == 0 || client->fd_count != CONTROL_FDS) {
		answer_error(visit, "run wants arg= and three descriptors");
		return;
	}
	enum role role = role_of_command(words, order.count);
	const char *name = role_command_name(words, order.count);
	remember_what(visit, words, order.count);
	/* What is nobody's is not run for root either, who can do without us: it could name files
	 * that only we can read. */
	if (!name || !role_is_held(visit->server->parts.config, &client->peer, role)) {
		answer_refused(visit, role, name);
		return;
	}
	run_start(visit, &order);
}

/* ---- all ---- */

static void command_follow(struct visit *visit)
{
	struct control_server *server = visit->server;

	answer_begin(visit, "ok");
	if (!server->has_followed) {
		server->has_followed = true;
		server->parts.on_follow(server->parts.ctx);
	}
	answer_send(visit);
}

static void command_ping(struct visit *visit)
{
	answer_begin(visit, "ok");
	put(visit, "version", TEXT(POLICYD_VERSION));
	answer_send(visit);
}

void visit_command(struct visit *visit, const struct control_message *message)
{
	struct text command = control_get(message, "command");

	if (!text_equal(control_get(message, "request"), TEXT("policyd_control")))
		answer_error(visit, "this is policyd's control socket: request=policyd_control");
	else if (text_equal(command, TEXT("run")))
		command_run(visit, message);
	else if (text_equal(command, TEXT("verify")))
		command_verify(visit, message);
	else if (text_equal(command, TEXT("follow")))
		command_follow(visit);
	else if (text_equal(command, TEXT("ping")))
		command_ping(visit);
	else
		answer_error(visit, "command= is one of run, verify, follow, ping");
}

bool visit_abandon(struct visit *visit)
{
	if (visit->is_looking)
		prover_cancel(&visit->look);
	visit->is_looking = false;
	control_run_end(&visit->run);
	return !visit->run.is_running;
}

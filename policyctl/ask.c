/*
 * The engine for one command, see ask.h. Must not know how a decision is made.
 */
#include "policyctl/ask.h"

#include <unistd.h>

#include "policyctl/output.h"
#include "policyctl/table.h"

bool ask_open_on(struct ask *ask, const struct ctl *ctl, struct authz *authz)
{
	const struct session_parts parts = {&ctl->config->settings, &ctl->config->replies, authz};

	*ask = (struct ask){0};
	if (session_new(&ask->session, &parts, (uint32_t)getpid()) == ERR_OK)
		return true;
	complain("out of memory");
	return false;
}

bool ask_open(struct ask *ask, const struct ctl *ctl)
{
	char error[AUTHZ_ERROR_MAX];
	struct authz *authz;
	enum table_state state = table_open(ctl->config, false, &authz, error);

	*ask = (struct ask){0};
	if (state == TABLE_UNREADABLE) {
		complain("%s", error);
		return false;
	}
	if (state == TABLE_BROKEN)
		complain("%s", error);
	if (!ask_open_on(ask, ctl, authz)) {
		table_close(authz);
		return false;
	}
	ask->authz = authz;
	if (state == TABLE_BROKEN)
		session_trust_table(ask->session, TABLE_DAMAGED);
	return true;
}

void ask_close(struct ask *ask)
{
	session_free(ask->session);
	table_close(ask->authz);
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

enum ctl_exit ask_exit(const struct verdict *verdict)
{
	if (verdict->monitored)
		return CTL_YES;
	switch (verdict->action) {
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

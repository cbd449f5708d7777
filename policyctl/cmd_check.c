/*
 * `policyctl check LOGIN SENDER`: the line that Postfix would be answered, and an exit code for
 * scripts.
 */
#include <stdio.h>

#include "policyctl/ask.h"
#include "policyctl/output.h"

static void print(const struct ctl *ctl, const struct session_answer *answer)
{
	const struct verdict *verdict = answer->verdict;
	struct text line = ask_action_line(answer);
	struct json json = {.out = stdout};
	char row[OUTPUT_SHORT];

	if (!ctl_has(ctl, FLAG_JSON)) {
		printf("%.*s\n", TEXT_ARG(line));
		return;
	}
	deciding_row_format(&verdict->row, answer->login, row, sizeof(row));
	json_open(&json, NULL, '{');
	json_text(&json, "login", ask_login(ctl->args.operand[0]));
	json_text(&json, "sender", ask_sender(ctl->args.operand[1]));
	json_text(&json, "answer", line);
	json_string(&json, "verdict", action_name(verdict->action));
	json_string(&json, "reason", reason_name(verdict->reason));
	json_bool(&json, "monitored", verdict->monitored);
	json_string(&json, "row", verdict->row.is_set ? row : NULL);
	json_close(&json, '}', true);
}

enum ctl_exit cmd_check(struct ctl *ctl)
{
	struct request request = ask_request(&ctl->config->settings,
		ask_login(ctl->args.operand[0]), ask_sender(ctl->args.operand[1]));
	struct session_answer answer;
	enum ctl_exit done;
	struct ask ask;

	if (!ask_open(&ask, ctl))
		return CTL_UNKNOWN;
	ask_question(&ask, &request, NULL, &answer);
	print(ctl, &answer);
	done = ask_exit(&answer);
	ask_close(&ask);
	return done;
}

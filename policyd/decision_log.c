/*
 * The log line of a decision. See decision_log.h.
 */
#include "policyd/decision_log.h"

#include <inttypes.h>
#include <stdio.h>

#define VALUE_MAX 512 /* bytes of a client's text that one line shows */

bool decision_log_is_on(const struct log *log, enum log_decisions which)
{
	return which != LOG_DECISIONS_NONE && log->level >= LOG_LEVEL_INFO;
}

static struct text shown(const struct request *request, enum request_attr attr)
{
	struct text value = request->attr[attr];
	return value.len > VALUE_MAX ? text_head(value, VALUE_MAX) : value;
}

void decision_log_write(struct log *log, enum log_decisions which, const struct request *request,
	const struct session_answer *answer, int64_t took_ns)
{
	const struct verdict *verdict = answer->verdict;
	if (which == LOG_DECISIONS_REFUSED && verdict->action == ACTION_DUNNO)
		return;

	char action[32], row[VALUE_MAX], took_us[24];
	snprintf(action, sizeof(action), "%s%s", verdict->monitored ? "monitor:" : "",
		action_name(verdict->action));
	size_t row_len = deciding_row_format(&verdict->row, answer->login, row, sizeof(row));
	snprintf(took_us, sizeof(took_us), "%" PRId64, took_ns / 1000);

	bool has_queue = request->attr[ATTR_QUEUE_ID].len > 0;
	const struct log_field fields[] = {
		{"id", text_of(answer->id)},
		{"login", shown(request, ATTR_SASL_USERNAME)},
		{"sender", shown(request, ATTR_SENDER)},
		{"client", shown(request, ATTR_CLIENT_ADDRESS)},
		{has_queue ? "queue_id" : "instance",
			shown(request, has_queue ? ATTR_QUEUE_ID : ATTR_INSTANCE)},
		{"verdict", text_of(action)},
		{"reason", text_of(reason_name(verdict->reason))},
		{"row", {row, row_len}},
		{"us", text_of(took_us)},
	};
	log_fields(log, LOG_LEVEL_INFO, "decision", fields, sizeof(fields) / sizeof(fields[0]));
}

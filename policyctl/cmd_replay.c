/*
 * `policyctl replay`: answers a transcript of policy requests with the daemon's bytes.
 *
 * Bytes that the daemon would drop the connection for, or a request cut off, end it with a
 * complaint.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policyctl/ask.h"
#include "policyctl/output.h"

struct replay {
	const struct ctl *ctl;
	struct ask ask;
	struct request_reader reader;
	size_t len;      /* bytes of the request under way in buf */
	uint64_t number; /* of that request, from 1 */
	char buf[REQUEST_MAX + 1];
};

static void write_json(const struct replay *replay, const struct session_answer *answer,
	const struct request *request)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_number(&json, "request", replay->number);
	json_text(&json, "login", request->attr[ATTR_SASL_USERNAME]);
	json_text(&json, "sender", request->attr[ATTR_SENDER]);
	json_text(&json, "answer", ask_action_line(answer));
	json_string(&json, "reason", reason_name(answer->verdict->reason));
	json_close(&json, '}', true);
}

static void answer_one(struct replay *replay, const struct request *request)
{
	struct session_answer answer;

	ask_question(&replay->ask, request, NULL, &answer);
	if (ctl_has(replay->ctl, FLAG_JSON))
		write_json(replay, &answer, request);
	else
		fwrite(answer.reply, 1, answer.reply_len, stdout);
}

/* Answers every whole request in the buffer. False: bytes that are no request. */
static bool answer_all(struct replay *replay)
{
	for (;;) {
		struct request request;
		size_t used = 0;
		enum request_status status = request_read(
			&replay->reader, (struct text){replay->buf, replay->len}, &request, &used);

		if (status == REQUEST_MORE)
			return true;
		if (status == REQUEST_BAD) {
			complain("%s: request %llu: %s; policyd would close the connection here",
				replay->ctl->input_name, (unsigned long long)replay->number,
				request_fault_text(replay->reader.fault));
			return false;
		}
		answer_one(replay, &request);
		replay->len -= used;
		memmove(replay->buf, replay->buf + used, replay->len);
		replay->reader = (struct request_reader){0};
		replay->number++;
	}
}

static enum ctl_exit replay_run(struct replay *replay)
{
	for (;;) {
		ssize_t n = read(replay->ctl->input, replay->buf + replay->len,
			sizeof(replay->buf) - replay->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain("cannot read %s: %s", replay->ctl->input_name, strerror(errno));
			return CTL_UNKNOWN;
		}
		if (n == 0)
			break;
		replay->len += (size_t)n;
		if (!answer_all(replay) || fflush(stdout) != 0)
			return CTL_UNKNOWN;
	}
	if (replay->len == 0)
		return CTL_YES;
	complain("%s: request %llu is cut off: no empty line ends it", replay->ctl->input_name,
		(unsigned long long)replay->number);
	return CTL_UNKNOWN;
}

enum ctl_exit cmd_replay(struct ctl *ctl)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	enum ctl_exit done = CTL_UNKNOWN;

	if (!replay) {
		complain("out of memory");
		return done;
	}
	replay->ctl = ctl;
	replay->number = 1;
	if (ask_open(&replay->ask, ctl)) {
		done = replay_run(replay);
		ask_close(&replay->ask);
	}
	free(replay);
	return done;
}

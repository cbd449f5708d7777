/*
 * The client of `command=run`, see remote.h. Must not know which role a command needs. Whatever
 * fails is told with what to do about it.
 */
#include "policyctl/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy/engine/control.h"
#include "policyctl/output.h"
#include "policyctl/privilege.h"

/* The keeper reads its own configuration; only where it is found may differ here. */
static bool overrides_are_fine(const struct config_source *source)
{
	static const struct text socket = {"control.socket", sizeof("control.socket") - 1};
	char escaped[OUTPUT_SHORT];

	for (size_t i = 0; i < source->override_count; i++) {
		struct text override = text_of(source->overrides[i]);

		if (text_equal(text_head(override, text_find(override, '=')), socket))
			continue;
		complain("-o %s: policyd runs this for you, with its own configuration; leave -o "
			 "out, or run this as root",
			output_escape(override, escaped, sizeof(escaped)));
		return false;
	}
	return true;
}

/* The FILE operand was opened here and goes along as standard input. */
static bool request_make(
	const struct ctl *ctl, char *const *words, bool reads_file, struct control_message *out)
{
	const char *term = isatty(STDOUT_FILENO) ? getenv("TERM") : NULL;

	control_start(out);
	if (!control_add(out, "request", TEXT("policyd_control")) ||
		!control_add(out, "command", TEXT("run")) ||
		(term && !control_add(out, "term", text_of(term))))
		return false;
	for (size_t i = 0; words[i]; i++) {
		bool is_file = reads_file && words[i] == ctl->args.operand[0];

		if (!control_add(out, "arg", is_file ? TEXT("-") : text_of(words[i])))
			return false;
	}
	return true;
}

static void complain_unreachable(const struct ctl *ctl, enum err err)
{
	const char *path = ctl->config->control_path;
	const char *why = err == ERR_ABSENT ? "it does not run" : strerror(errno);
	char owner[OUTPUT_SHORT];

	privilege_owner(ctl->config, owner, sizeof(owner));
	complain("%s belongs to user %s: run this as root or as that user (sudo -u %s policyctl "
		 "...), or have policyd do it for you, which cannot be reached at %s: %s",
		ctl->config->state_dir, owner, owner, path, why);
}

/* A sentence of the keeper's. */
static void complain_text(const struct control_message *answer)
{
	char escaped[4 * OUTPUT_SHORT];
	struct text text = control_get(answer, "text");

	if (!text.ptr)
		text = TEXT("policyd gave no reason");
	complain("%s", output_escape(text, escaped, sizeof(escaped)));
}

static enum ctl_exit exit_of(struct text number)
{
	if (number.len != 1 || number.ptr[0] < '0' || number.ptr[0] > '0' + CTL_UNKNOWN)
		return CTL_UNKNOWN;
	return (enum ctl_exit)(number.ptr[0] - '0');
}

static enum ctl_exit answer_read(const struct control_message *answer)
{
	struct text status = control_get(answer, "status");

	if (text_equal(status, TEXT("done")))
		return exit_of(control_get(answer, "exit"));
	complain_text(answer);
	return text_equal(status, TEXT("refused")) ? CTL_NO : CTL_UNKNOWN;
}

/* message holds the request, then the answer. */
static enum ctl_exit ask(const struct ctl *ctl, bool reads_file, struct control_message *message)
{
	const int fds[CONTROL_FDS] = {
		reads_file ? ctl->input : STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	enum ctl_exit done = CTL_UNKNOWN;
	int fd = -1;
	enum err err = control_connect(ctl->config->control_path, &fd);

	if (err != ERR_OK) {
		complain_unreachable(ctl, err);
		return done;
	}
	err = control_send(fd, message, fds, CONTROL_FDS);
	/* Who is turned away is told so before the request is read. */
	if (err == ERR_OK || err == ERR_ABSENT)
		err = control_receive(fd, message, -1);
	if (err == ERR_OK)
		done = answer_read(message);
	else if (err == ERR_ABSENT)
		complain("policyd ended before this was done; what it has done so far stays");
	else
		complain("policyd at %s cannot be understood: %s", ctl->config->control_path,
			err == ERR_IO ? strerror(errno) : "its answer has another form");
	close(fd);
	return done;
}

enum ctl_exit remote_run(const struct ctl *ctl, char *const *words, bool reads_file)
{
	struct control_message *message;
	enum ctl_exit done = CTL_USAGE;

	if (!overrides_are_fine(ctl->source))
		return done;
	message = malloc(sizeof(*message));
	if (!message) {
		complain("out of memory");
		return CTL_UNKNOWN;
	}
	if (request_make(ctl, words, reads_file, message))
		done = ask(ctl, reads_file, message);
	else
		complain("too many words for the control socket, which takes %d bytes: give them "
			 "in several goes, or run this as root",
			CONTROL_MAX);
	free(message);
	return done;
}

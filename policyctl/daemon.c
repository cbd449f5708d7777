/*
 * See daemon.h. Must not know what the daemon is wanted for. Nothing here is complained.
 */
#include "policyctl/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy/engine/control.h"

static enum err exchange(int fd, struct control_message *message, int timeout_ms)
{
	enum err err = control_send(fd, message, NULL, 0);

	if (err == ERR_OK)
		err = control_receive(fd, message, timeout_ms);
	if (err != ERR_OK)
		return err == ERR_ABSENT ? ERR_INVALID : err;
	return text_equal(control_get(message, "status"), TEXT("ok")) ? ERR_OK : ERR_INVALID;
}

enum err daemon_ask(const struct config *config, const char *command, int timeout_ms)
{
	struct control_message *message = malloc(sizeof(*message));
	enum err err = ERR_NOMEM;
	int fd;

	if (!message)
		return err;
	control_start(message);
	if (control_add(message, "request", TEXT("policyd_control")) &&
		control_add(message, "command", text_of(command)))
		err = control_connect(config->control_path, &fd);
	if (err == ERR_OK) {
		err = exchange(fd, message, timeout_ms);
		close(fd);
	}
	free(message);
	return err;
}

bool daemon_listens(const struct config *config)
{
	int fd;

	if (control_connect(config->control_path, &fd) != ERR_OK)
		return false;
	close(fd);
	return true;
}

const char *daemon_busy_cause(const struct config *config, char out[DAEMON_TEXT])
{
	snprintf(out, DAEMON_TEXT,
		"another process may hold the register's write lock, which `fuser -v "
		"%s/register/lock.mdb` names (stopped, perhaps, or not done yet)",
		config->state_dir);
	return out;
}

void daemon_print_note(const struct config *config)
{
	if (!daemon_listens(config))
		printf("note      policyd does not run (nobody answers at %s): nobody looks for "
		       "the record until it does\n",
			config->control_path);
}

/*
 * See registry_open.h. Must not know what is read or changed. Fails with a complaint that names the
 * cure.
 */
#include "policyctl/registry_open.h"

#include "policyctl/daemon.h"
#include "policyctl/output.h"

enum { TELL_TIMEOUT_MS = 500 };

enum lookup registry_open_to_read(const struct ctl *ctl, struct registry **out)
{
	const struct config *config = ctl->config;
	char error[REGISTRY_ERROR_MAX] = "";
	enum err err = registry_open(out, config->state_dir, config->register_max_mb, true, error);

	if (err != ERR_OK)
		*out = NULL;
	if (err == ERR_ABSENT)
		return LOOKUP_ABSENT;
	if (err == ERR_OK && registry_begin(*out))
		return LOOKUP_FOUND;
	complain("%s", err == ERR_OK ? registry_error(*out) : error);
	registry_close(*out);
	*out = NULL;
	return LOOKUP_FAILED;
}

void registry_close_read(struct registry *registry)
{
	if (!registry)
		return;
	registry_end(registry);
	registry_close(registry);
}

struct registry *registry_open_to_write(const struct ctl *ctl)
{
	const struct config *config = ctl->config;
	char error[REGISTRY_ERROR_MAX] = "";
	struct registry *registry = NULL;

	if (registry_open(&registry, config->state_dir, config->register_max_mb, false, error) ==
		ERR_OK)
		return registry;
	complain("%s", error);
	return NULL;
}

void registry_close_written(const struct ctl *ctl, struct registry *registry)
{
	if (!registry)
		return;
	registry_close(registry);
	/* Its answer is waited for only so that it has read the request. Without a daemon there is
	 * nobody to tell. */
	(void)!daemon_ask(ctl->config, "follow", TELL_TIMEOUT_MS);
}

/*
 * Any bytes as policyd.ini: a whole configuration, or at least one sentence that says why not.
 *
 * What follows the first NUL is handed over as an -o option too, so that both ways in are tried.
 */
#include "policy/engine/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_error(void *ctx, const char *sentence)
{
	size_t *sentences = ctx;
	if (sentence[0] == '\0' || strchr(sentence, '\n'))
		abort();
	++*sentences;
}

static void check_config(const struct config *config)
{
	if (config->listen_count == 0 || config->listen_count > CONFIG_LISTEN_MAX)
		abort();
	if (config->idle_timeout_s < 300 || config->settings.states == 0 || config->workers == 0)
		abort();
	if (config->lockdown.is_enabled &&
		(config->lockdown.account_count == 0 || !config->settings.lockdown))
		abort();
	if (config->lockdown.label.len == 0 || config->lockdown.type_count == 0 ||
		config->nameservers.count > NAMESERVERS_MAX)
		abort();
	if (config->ownership.label.len == 0 || config->ownership.prefix.len == 0 ||
		config->ownership.rules.recheck_s == 0 || config->control_path[0] != '/')
		abort();
	if (config->dns_deadline_ms < config->dns_timeout_ms || config->new_domains.burst == 0)
		abort();
	for (int i = 0; i < REASON_COUNT_; i++)
		if (config->replies.of_reason[i] &&
			reply_template_check((enum reason)i, text_of(config->replies.of_reason[i])))
			abort();
}

static void check_read(struct text ini, const char *const *overrides, size_t count)
{
	size_t sentences = 0;
	struct config *config = NULL;
	struct config_source source = {.overrides = overrides,
		.override_count = count,
		.on_error = on_error,
		.ctx = &sentences};
	enum err err = config_read_text(&config, ini, &source);
	if ((err == ERR_OK) != (config != NULL) || (err == ERR_OK) != (sentences == 0))
		abort();
	if (config)
		check_config(config);
	config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text ini = {(const char *)data, size};
	size_t nul = text_find(ini, '\0');
	check_read(ini, NULL, 0);
	if (nul == size)
		return 0;
	char *override = malloc(size - nul);
	if (!override)
		return 0;
	memcpy(override, ini.ptr + nul + 1, size - nul - 1);
	override[size - nul - 1] = '\0';
	const char *const overrides[] = {override};
	check_read(text_head(ini, nul), overrides, 1);
	free(override);
	return 0;
}

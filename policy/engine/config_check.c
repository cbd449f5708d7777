/*
 * What one option alone cannot tell: settings that contradict each other.
 *
 * Runs once every option has its value, read or default. Knows no lines; places come from
 * config_apply.c. Each contradiction becomes one sentence that names the option to change.
 */
#include "policy/engine/config_private.h"

static void complain_ignored(
	struct reading *reading, const char *key, const char *value, const char *why)
{
	const struct option *option = option_find("match", text_of(key));
	if (!option_is_set(reading, option))
		return;
	reading_place_option(reading, option);
	reading_complain(reading,
		"[match] %s: \"%s\" cannot be had with semantics = first-hit: %s; leave the line "
		"out",
		key, value, why);
}

/* first-hit is Postfix to the letter. Who writes down what it cannot do expects it to be done. */
static void check_first_hit(struct reading *reading)
{
	const struct settings *settings = &reading->config->settings;
	if (settings->semantics != SEMANTICS_FIRST_HIT)
		return;
	if (settings->allow_self)
		complain_ignored(reading, "allow_self", "yes",
			"Postfix lets a login use its own address only where a row says so");
	if (settings->local_keep)
		complain_ignored(reading, "local_part", "keep", "Postfix folds every address");
	if (!settings->routing_literal)
		complain_ignored(reading, "routing", "both",
			"Postfix looks up only the address that it rewrites the sender to");
}

/* Without an account no auth= and no senderid= could ever match: each record would refuse all. */
static void check_lockdown(struct reading *reading)
{
	const struct lockdown_settings *lockdown = &reading->config->lockdown;
	if (!lockdown->is_enabled || lockdown->account_count)
		return;
	reading_place_option(reading, option_find("lockdown", TEXT("enabled")));
	reading_complain(reading,
		"[lockdown] account: none is given, and enabled = yes needs one: a line \"account "
		"= ID\" for each ID that domain owners publish for this provider in auth=ID");
}

static void check_deadline(struct reading *reading)
{
	const struct config *config = reading->config;
	const struct option *deadline = option_find("dns", TEXT("deadline_ms"));
	const struct option *timeout = option_find("dns", TEXT("timeout_ms"));
	if (config->dns_deadline_ms >= config->dns_timeout_ms)
		return;
	reading_place_option(reading, option_is_set(reading, deadline) ? deadline : timeout);
	reading_complain(reading,
		"[dns] deadline_ms: %u is less than timeout_ms, which is %u: not one try could "
		"last as long as it may; deadline_ms is for all tries together",
		config->dns_deadline_ms, config->dns_timeout_ms);
}

/* The next component of a path that counts, neither empty nor `.`; empty: there is none. */
static struct text path_next(struct text *rest)
{
	struct text part;
	do {
		while (rest->len && rest->ptr[0] == '/')
			*rest = text_tail(*rest, 1);
		part = text_head(*rest, text_find(*rest, '/'));
		*rest = text_tail(*rest, part.len);
	} while (text_equal(part, TEXT(".")));
	return part;
}

/* Whether path is `folder`, or the folder `name` in it. By spelling: links are not followed. */
static bool path_is(const char *path, const char *folder, struct text name)
{
	struct text a = text_of(path), b = text_of(folder), part;
	do {
		part = path_next(&b);
		if (part.len && !text_equal(part, path_next(&a)))
			return false;
	} while (part.len);
	return text_equal(path_next(&a), name) && path_next(&a).len == 0;
}

/* A cache that is damaged, or of another version, is emptied. */
static void check_cache_dir(struct reading *reading)
{
	const char *cache = reading->config->cache_dir, *state = reading->config->state_dir;
	const struct option *option = option_find("dns", TEXT("cache_dir"));
	if (!path_is(cache, state, TEXT("")) && !path_is(cache, state, TEXT("table")) &&
		!path_is(cache, state, TEXT("register")))
		return;
	if (!option_is_set(reading, option))
		option = option_find("policyd", TEXT("state_dir"));
	reading_place_option(reading, option);
	reading_complain(reading,
		"[dns] cache_dir: \"%s\" is where durable data are (state_dir), and a damaged "
		"cache is thrown away; name a folder of its own, best on a tmpfs",
		cache);
}

/* Who connects there is asked who he is; Postfix would only be told that it spoke nonsense. */
static void check_control(struct reading *reading)
{
	const struct config *config = reading->config;
	for (size_t i = 0; i < config->listen_count; i++) {
		const char *path = config->listen[i].path;
		if (!path || strcmp(path, config->control_path) != 0)
			continue;
		reading_place_option(reading, option_find("control", TEXT("socket")));
		reading_complain(reading,
			"[control] socket: \"unix:%s\" is where Postfix asks ([policyd] listen); "
			"name another one",
			path);
	}
}

void reading_check(struct reading *reading)
{
	check_first_hit(reading);
	check_lockdown(reading);
	check_deadline(reading);
	check_cache_dir(reading);
	check_control(reading);
}

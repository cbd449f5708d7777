/*
 * See cache_watch.h.
 */
#include "policyd/cache_watch.h"

void cache_watch_begin(struct cache_watch *watch)
{
	cache_folder_look(watch->dns->cache_dir, &watch->opened);
	watch->last = watch->opened;
	watch->is_due = false;
}

static bool has_changed(const struct cache_watch *watch, const struct cache_folder_view *now)
{
	const struct cache_folder_view *opened = &watch->opened;

	if (watch->dns->cache)
		return !cache_folder_is_same(&now->data, &opened->data);
	/* Not the file: an attempt that fails may leave another one. */
	return !cache_folder_is_same(&now->parent, &opened->parent) ||
	       !cache_folder_is_same(&now->folder, &opened->folder);
}

static bool is_at_rest(const struct cache_watch *watch, const struct cache_folder_view *now)
{
	const struct cache_folder_view *last = &watch->last;

	return cache_folder_is_same(&now->parent, &last->parent) &&
	       cache_folder_is_same(&now->folder, &last->folder) &&
	       cache_folder_is_same(&now->data, &last->data);
}

/* False: what was used before is still used. */
static bool use_cache(struct dns_stack *dns, const struct config *config, struct cache *cache)
{
	struct cache *before = dns->cache;

	dns->cache = cache;
	if (dns_stack_configure(dns, config) == ERR_OK)
		return true;
	dns->cache = before;
	return false;
}

/* The old one is closed before the new one is opened: they may share a lock file, whose locks a
 * process loses when it closes it once. False: to be tried again. */
static bool reopen(struct cache_watch *watch, const struct config *config)
{
	struct dns_stack *dns = watch->dns;
	struct cache *old = dns->cache, *new = NULL;
	char error[512];

	if (!use_cache(dns, config, NULL))
		return false;
	cache_close(old);
	if (old)
		log_event(watch->log, LOG_LEVEL_WARNING,
			"the DNS cache %s was removed or replaced: going on with what is there now",
			dns->cache_dir);
	if (cache_open(&new, dns->cache_dir, dns->cache_max_mb, error, sizeof(error)) != ERR_OK) {
		log_event(watch->log, LOG_LEVEL_WARNING, "%s; going on without a DNS cache", error);
		return true;
	}
	if (!use_cache(dns, config, new)) {
		cache_close(new);
		return false;
	}
	if (!old)
		log_event(
			watch->log, LOG_LEVEL_INFO, "the DNS cache %s is open now", dns->cache_dir);
	return true;
}

void cache_watch_tick(struct cache_watch *watch, const struct config *config)
{
	struct cache_folder_view now;
	bool is_wanted;

	if (!watch->dns->txt || !config->lockdown.is_enabled)
		return;
	cache_folder_look(watch->dns->cache_dir, &now);
	is_wanted = (watch->is_due || has_changed(watch, &now)) && is_at_rest(watch, &now);
	watch->last = now;
	if (!is_wanted)
		return;
	if (reopen(watch, config))
		cache_watch_begin(watch);
	else
		watch->is_due = true;
}

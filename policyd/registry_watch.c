/*
 * When the register may be read. See registry_watch.h.
 */
#include "policyd/registry_watch.h"

#define COMPLAIN_EVERY_S 10

static void registry_watch_close(struct registry_watch *watch)
{
	registry_close(watch->registry);
	watch->registry = NULL;
}

/* is_there: the keeper has it open, so that a missing file is no empty register. */
static void registry_watch_open(struct registry_watch *watch, bool is_there)
{
	char error[REGISTRY_ERROR_MAX] = "";
	enum err err =
		registry_open(&watch->registry, watch->state_dir, watch->map_mb, true, error);
	bool was_stuck = watch->is_stuck;
	watch->trust = REGISTRY_TRUSTED;
	watch->is_absent = err == ERR_ABSENT && !is_there;
	watch->is_stuck = false;
	if (err == ERR_OK)
		return;
	watch->registry = NULL;
	if (watch->is_absent)
		return;
	if (!was_stuck)
		log_event(watch->log, LOG_LEVEL_ERROR,
			"cannot open the ownership register in %s/register: %s; answers that need "
			"it are deferred, opening is tried again each second",
			watch->state_dir,
			err == ERR_ABSENT ? "it is gone"
			: error[0]        ? error
					  : "out of memory");
	watch->trust = REGISTRY_DAMAGED;
	watch->is_stuck = true;
}

bool registry_watch_update(struct registry_watch *watch)
{
	uint64_t word = atomic_load_explicit(&watch->shared->registry, memory_order_acquire);
	if (watch->is_seen && word == watch->seen)
		return false;

	enum table_verdict verdict = table_verdict_of(word);
	registry_watch_close(watch);
	watch->is_seen = true;
	watch->seen = word;
	watch->is_absent = false;
	if (verdict == VERDICT_TRUSTED || verdict == VERDICT_NONE) {
		registry_watch_open(watch, verdict == VERDICT_TRUSTED);
		return true;
	}
	watch->trust = REGISTRY_DAMAGED;
	watch->is_stuck = false;
	return true;
}

void registry_watch_tick(struct registry_watch *watch)
{
	if (watch->quiet_s > 0)
		watch->quiet_s--;
	/* The next decision tries; the sentence is not repeated while the failure lasts. */
	if (watch->is_stuck || watch->is_absent)
		watch->is_seen = false;
}

void registry_watch_on_damage(struct registry_watch *watch)
{
	if (!watch->registry || watch->quiet_s > 0)
		return;
	watch->quiet_s = COMPLAIN_EVERY_S;
	log_event(watch->log, LOG_LEVEL_ERROR,
		"the ownership register in %s/register is damaged: %s; walking all of it now",
		watch->state_dir, registry_error(watch->registry));
	atomic_fetch_add(&watch->shared->registry_wanted, 1);
}

void registry_watch_deinit(struct registry_watch *watch)
{
	registry_watch_close(watch);
}

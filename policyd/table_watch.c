/*
 * When the table may be read. See table_watch.h.
 */
#include "policyd/table_watch.h"

#define COMPLAIN_EVERY_S 10

static void table_watch_close(struct table_watch *watch)
{
	if (watch->authz)
		authz_close(watch->authz);
	watch->authz = NULL;
}

static void table_watch_open(struct table_watch *watch)
{
	char error[AUTHZ_ERROR_MAX] = "";
	enum err err = authz_open(
		&watch->authz, watch->state_dir, watch->map_mb, true, error, sizeof(error));
	bool was_stuck = watch->is_stuck;
	watch->trust = TABLE_TRUSTED;
	watch->is_stuck = false;
	if (err == ERR_OK)
		return;
	watch->authz = NULL;
	if (err == ERR_ABSENT)
		return;
	if (!was_stuck)
		log_event(watch->log, LOG_LEVEL_ERROR,
			"cannot open the table in %s/table: %s; answers that need it are deferred, "
			"opening is tried again each second",
			watch->state_dir, error);
	watch->trust = TABLE_DAMAGED;
	watch->is_stuck = true;
}

bool table_watch_update(struct table_watch *watch)
{
	uint64_t word = atomic_load_explicit(&watch->shared->table, memory_order_acquire);
	bool is_new = !watch->is_seen || word != watch->seen;
	if (!is_new && (watch->authz || watch->is_stuck || watch->trust == TABLE_DAMAGED))
		return false;

	enum table_verdict verdict = table_verdict_of(word);
	if (is_new)
		table_watch_close(watch);
	watch->is_seen = true;
	watch->seen = word;
	if (verdict == VERDICT_DAMAGED || verdict == VERDICT_PENDING) {
		watch->trust = TABLE_DAMAGED;
		watch->is_stuck = false;
		return is_new;
	}
	table_watch_open(watch);
	return is_new || watch->authz || watch->trust == TABLE_DAMAGED;
}

void table_watch_tick(struct table_watch *watch)
{
	if (watch->quiet_s > 0)
		watch->quiet_s--;
	/* The next decision tries; the sentence is not repeated while the failure lasts. */
	if (watch->is_stuck)
		watch->is_seen = false;
}

void table_watch_on_damage(struct table_watch *watch)
{
	if (!watch->authz || watch->quiet_s > 0)
		return;
	watch->quiet_s = COMPLAIN_EVERY_S;
	log_event(watch->log, LOG_LEVEL_ERROR,
		"the table in %s/table is damaged: %s; walking all of it now. Cure: `policyctl "
		"rollback` or `policyctl load`",
		watch->state_dir, authz_error(watch->authz));
	atomic_fetch_add(&watch->shared->verify_wanted, 1);
}

void table_watch_deinit(struct table_watch *watch)
{
	table_watch_close(watch);
}

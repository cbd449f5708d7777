/*
 * When the table is walked, and what follows. See table_check.h.
 */
#include "policyd/table_check.h"

#include <stdio.h>

#define READER_CHECK_TICKS 60

static enum table_verdict table_check_verdict(const struct table_check *check)
{
	return table_verdict_of(atomic_load(&check->shared->table));
}

static void table_check_close(struct table_check *check)
{
	if (check->authz)
		authz_close(check->authz);
	check->authz = NULL;
}

/* The sequence in force. False: it cannot be learned, a walk will tell why. */
static bool table_check_sequence(struct table_check *check, uint64_t *sequence)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz_meta meta;
	if (!check->authz && authz_open(&check->authz, check->state_dir, check->map_mb, true, error,
				     sizeof(error)) != ERR_OK) {
		check->authz = NULL;
		return false;
	}
	if (authz_begin(check->authz, &meta) == LOOKUP_FAILED)
		return false;
	*sequence = meta.sequence;
	authz_end(check->authz);
	return true;
}

/* Says a sentence once, however often it stays true. */
static void table_check_complain(struct table_check *check, const char *sentence)
{
	if (strcmp(check->complaint, sentence) == 0)
		return;
	snprintf(check->complaint, sizeof(check->complaint), "%s", sentence);
	if (check->is_unreadable) {
		log_event(check->log, LOG_LEVEL_ERROR,
			"the table in %s/table cannot be read now: %s. Every answer that needs it "
			"is deferred; it is tried again every %d seconds",
			check->state_dir, sentence, WALK_UNREADABLE_EVERY_S);
		return;
	}
	log_event(check->log, LOG_LEVEL_ERROR,
		"the table in %s/table is damaged: %s. Every answer that needs it is deferred. "
		"Cure: "
		"`policyctl rollback`, or `policyctl load` with the table's source",
		check->state_dir, sentence);
}

static void table_check_publish(
	struct table_check *check, enum table_verdict verdict, bool is_replaced)
{
	enum table_verdict old = table_check_verdict(check);
	if (verdict != old || is_replaced)
		shared_set_verdict(&check->shared->table, verdict);
	if (verdict == VERDICT_DAMAGED || verdict == old)
		return;
	check->complaint[0] = '\0';
	if (verdict == VERDICT_TRUSTED)
		log_event(check->log, LOG_LEVEL_INFO, "the table in %s/table is whole",
			check->state_dir);
	else
		log_event(check->log, LOG_LEVEL_WARNING,
			"there is no table in %s/table yet: every answer that needs it is "
			"deferred. "
			"Load one with `policyctl load FILE`",
			check->state_dir);
}

/* Returns false when the walk found out nothing. */
static bool table_check_judge(struct table_check *check, const struct walk_report *report)
{
	switch (report->err) {
	case ERR_OK:
		/* A load that flips the pointer between the walk and this look was walked by its
		 * loader. */
		if (!check->authz && !table_check_sequence(check, &check->sequence))
			return false;
		table_check_publish(check, VERDICT_TRUSTED, check->walks_replaced);
		return true;
	case ERR_ABSENT:
		table_check_close(check);
		table_check_publish(check, VERDICT_NONE, check->walks_replaced);
		return true;
	case ERR_NOMEM:
	case ERR_BUSY:
		log_event(check->log, LOG_LEVEL_WARNING,
			"cannot walk the table in %s/table now (%s); trying again",
			check->state_dir, report->error[0] ? report->error : "out of memory");
		return false;
	case ERR_IO:
	case ERR_FULL:
		check->is_unreadable = true;
		break;
	case ERR_DAMAGED:
	case ERR_VERSION:
	case ERR_INVALID:
		break;
	}
	table_check_close(check);
	table_check_publish(check, VERDICT_DAMAGED, check->walks_replaced);
	table_check_complain(check, report->error);
	return true;
}

static enum err table_check_verify(const char *state_dir, unsigned map_mb, char *error)
{
	uint64_t sequence;

	return authz_verify(state_dir, map_mb, -1, &sequence, error);
}

static void table_check_on_walked(struct walk *walk, const struct walk_report *report)
{
	struct table_check *check = walk->owner;

	check->is_walked = table_check_judge(check, report);
}

static void table_check_walk(struct table_check *check, bool is_replaced)
{
	check->wanted = atomic_load(&check->shared->verify_wanted);
	check->walks_replaced = is_replaced;
	check->is_walked = false;
	check->is_unreadable = false;
	check->walked_ticks = 0;
	check->walk = (struct walk){.loop = check->loop,
		.state_dir = check->state_dir,
		.map_mb = check->map_mb,
		.verify = table_check_verify,
		.on_done = table_check_on_walked,
		.owner = check};
	if (walk_start(&check->walk) != ERR_OK)
		log_event(check->log, LOG_LEVEL_WARNING,
			"cannot walk the table in %s/table now: %m; trying again",
			check->state_dir);
}

/* Whether something happened since the last walk that asks for another. */
static bool table_check_is_due(
	struct table_check *check, const struct file_print *now, bool is_replaced)
{
	if (is_replaced)
		return true;
	if (atomic_load(&check->shared->verify_wanted) != check->wanted)
		return true;
	if (check->is_unreadable && check->walked_ticks >= WALK_UNREADABLE_EVERY_S)
		return true;
	if (table_check_verdict(check) == VERDICT_DAMAGED &&
		check->walked_ticks >= WALK_DAMAGED_EVERY_S)
		return true;
	if (table_check_verdict(check) != VERDICT_TRUSTED)
		return !file_print_equal(now, &check->print);
	if (now->size < check->print.size)
		return true;
	uint64_t sequence;
	if (!table_check_sequence(check, &sequence))
		return true;
	bool is_new = sequence != check->sequence;
	check->sequence = sequence;
	return is_new;
}

void table_check_tick(struct table_check *check)
{
	if (walk_is_running(&check->walk))
		return;
	check->walked_ticks++;
	struct file_print now = file_print_of(check->state_dir, "table");
	/* Also what may have been exchanged while there was no keeper. */
	bool is_replaced = !check->is_walked || now.inode != check->print.inode;
	if (is_replaced)
		table_check_close(check);
	if (table_check_is_due(check, &now, is_replaced))
		table_check_walk(check, is_replaced);
	check->print = now;
	if (check->authz && ++check->ticks % READER_CHECK_TICKS == 0)
		(void)authz_reader_check(check->authz);
}

void table_check_deinit(struct table_check *check)
{
	walk_stop(&check->walk);
	table_check_close(check);
}

/*
 * When the register is walked and opened, and what follows. See registry_check.h.
 */
#include "policyd/registry_check.h"

#include <inttypes.h>
#include <stdio.h>

#define OPEN_AGAIN_TICKS 10

static enum table_verdict registry_check_verdict(const struct registry_check *check)
{
	return table_verdict_of(atomic_load(&check->shared->registry));
}

static void registry_check_close(struct registry_check *check)
{
	if (!check->registry)
		return;
	check->on_closing(check->ctx);
	registry_close(check->registry);
	check->registry = NULL;
}

/* Whether it is another sentence than the one before; it stays true for long. */
static bool registry_check_is_news(struct registry_check *check, const char *sentence)
{
	bool is_news = strcmp(check->complaint, sentence) != 0;

	snprintf(check->complaint, sizeof(check->complaint), "%s", sentence);
	return is_news;
}

static void registry_check_publish(struct registry_check *check, enum table_verdict verdict)
{
	if (verdict != registry_check_verdict(check) || check->walks_replaced)
		shared_set_verdict(&check->shared->registry, verdict);
	check->walks_replaced = false;
}

/* cure: where the sentence has none, else "". */
static void registry_check_condemn(
	struct registry_check *check, const char *sentence, const char *cure)
{
	registry_check_close(check);
	check->was_made = registry_was_made(check->state_dir);
	registry_check_publish(check, VERDICT_DAMAGED);
	if (registry_check_is_news(check, sentence))
		log_event(check->log, LOG_LEVEL_ERROR,
			"the ownership register in %s/register is damaged: %s%s. Every answer that "
			"needs it is deferred (register-damaged)",
			check->state_dir, sentence, cure);
}

/* Nothing is wrong with it but what stands around it: room, permissions. */
static void registry_check_give_up(struct registry_check *check, const char *sentence)
{
	registry_check_close(check);
	check->is_unreadable = true;
	registry_check_publish(check, VERDICT_DAMAGED);
	if (registry_check_is_news(check, sentence))
		log_event(check->log, LOG_LEVEL_ERROR,
			"the ownership register in %s/register cannot be read now: %s. Every "
			"answer that needs it is deferred (register-damaged); it is tried again "
			"every %d seconds",
			check->state_dir, sentence, WALK_UNREADABLE_EVERY_S);
}

/* Whether an older one was put in its place, or what is there cannot be read: a walk tells.
 * is_same_file: numbers of its transactions compare; those of a compacted copy begin anew. */
static bool registry_check_went_back(struct registry_check *check, bool is_same_file)
{
	struct registry_numbers was = check->numbers, now;

	if (!check->registry)
		return false;
	if (registry_numbers(check->registry, &now) != LOOKUP_FOUND)
		return true;
	check->numbers = now;
	if (now.audit >= was.audit && (now.txn >= was.txn || !is_same_file))
		return false;
	check->went_back = true;
	log_event(check->log, LOG_LEVEL_ERROR,
		"the ownership register in %s/register went back, from change %" PRIu64
		" to change %" PRIu64
		": an older one was put in its place while policyd runs, and what was claimed, "
		"allowed or removed since is lost. It is walked and opened again, and log and hook "
		"begin at its end. Restart policyd; put a backup back only while it is stopped "
		"(policyd(8), When the register fails)",
		check->state_dir, was.audit, now.audit);
	return true;
}

/* verdict: what it is for the workers where it cannot be opened here. */
static void registry_check_open(struct registry_check *check, enum table_verdict verdict)
{
	char error[REGISTRY_ERROR_MAX] = "";
	struct registry *registry = NULL;
	enum err err;

	check->could_write = check->may_write;
	if (!check->may_write) {
		registry_check_publish(check, verdict);
		return;
	}
	err = registry_open(&registry, check->state_dir, check->map_mb, false, error);
	if (err == ERR_DAMAGED || err == ERR_VERSION) {
		registry_check_condemn(check, error, "");
		return;
	}
	if (err != ERR_OK) {
		registry_check_publish(check, verdict);
		if (registry_check_is_news(check, error))
			log_event(check->log, LOG_LEVEL_ERROR,
				"cannot open the ownership register in %s/register for writing: "
				"%s; no domain is re-checked until that is possible, which is "
				"tried again every %d seconds",
				check->state_dir, error[0] ? error : "out of memory",
				OPEN_AGAIN_TICKS);
		return;
	}
	check->registry = registry;
	check->complaint[0] = '\0';
	check->print = file_print_of(check->state_dir, "register");
	registry_check_publish(check, VERDICT_TRUSTED);
	log_event(check->log, LOG_LEVEL_INFO, "the ownership register in %s/register is open",
		check->state_dir);
	(void)registry_check_went_back(check, false);
	check->on_opened(check->ctx);
}

/* Returns false when the walk found out nothing. */
static bool registry_check_judge(struct registry_check *check, const struct walk_report *report)
{
	switch (report->err) {
	case ERR_OK:
		if (check->registry)
			registry_check_publish(check, VERDICT_TRUSTED);
		else
			registry_check_open(check, VERDICT_TRUSTED);
		return true;
	case ERR_ABSENT:
		registry_check_close(check);
		registry_check_open(check, VERDICT_NONE);
		return true;
	case ERR_NOMEM:
	case ERR_BUSY:
		log_event(check->log, LOG_LEVEL_WARNING,
			"cannot walk the ownership register in %s/register now (%s); trying again",
			check->state_dir, report->error[0] ? report->error : "out of memory");
		return false;
	case ERR_IO:
	case ERR_FULL:
		registry_check_give_up(check, report->error);
		return true;
	case ERR_DAMAGED:
	case ERR_VERSION:
	case ERR_INVALID:
		break;
	}
	registry_check_condemn(check, report->error, report->has_died ? ": " REGISTRY_CURE : "");
	return true;
}

static void registry_check_on_walked(struct walk *walk, const struct walk_report *report)
{
	struct registry_check *check = walk->owner;

	check->is_walked = registry_check_judge(check, report);
}

static void registry_check_walk(struct registry_check *check, bool is_replaced)
{
	check->wanted = atomic_load(&check->shared->registry_wanted);
	check->walks_replaced = is_replaced;
	check->is_walked = false;
	check->is_unreadable = false;
	check->walked_ticks = 0;
	check->walk = (struct walk){.loop = check->loop,
		.state_dir = check->state_dir,
		.map_mb = check->map_mb,
		.verify = registry_verify,
		.on_done = registry_check_on_walked,
		.owner = check};
	if (walk_start(&check->walk) != ERR_OK)
		log_event(check->log, LOG_LEVEL_WARNING,
			"cannot walk the ownership register in %s/register now: %m; trying again",
			check->state_dir);
}

static bool registry_check_is_due(struct registry_check *check, const struct file_print *now)
{
	if (atomic_load(&check->shared->registry_wanted) != check->wanted)
		return true;
	if (check->is_unreadable && check->walked_ticks >= WALK_UNREADABLE_EVERY_S)
		return true;
	if (registry_check_verdict(check) == VERDICT_DAMAGED)
		return !file_print_equal(now, &check->print) ||
		       registry_was_made(check->state_dir) != check->was_made ||
		       check->walked_ticks >= WALK_DAMAGED_EVERY_S;
	return now->size < check->print.size;
}

void registry_check_tick(struct registry_check *check)
{
	if (walk_is_running(&check->walk))
		return;
	check->walked_ticks++;
	struct file_print now = file_print_of(check->state_dir, "register");
	/* Also what may have been exchanged while there was no keeper. */
	bool is_replaced = !check->is_walked || now.inode != check->print.inode;
	/* One that shrank is walked before anything is read of it. */
	if (!is_replaced && now.size >= check->print.size)
		is_replaced = registry_check_went_back(check, true);
	if (is_replaced)
		registry_check_close(check);
	bool is_due = is_replaced || registry_check_is_due(check, &now);
	check->print = now;
	if (is_due)
		registry_check_walk(check, is_replaced);
	else if (!check->registry && registry_check_verdict(check) != VERDICT_DAMAGED &&
		 (check->may_write != check->could_write || ++check->ticks % OPEN_AGAIN_TICKS == 0))
		registry_check_open(check, registry_check_verdict(check));
}

void registry_check_deinit(struct registry_check *check)
{
	walk_stop(&check->walk);
	registry_check_close(check);
}

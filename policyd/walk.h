/*
 * One walk through a database, in a child process: a lost page (SIGBUS) ends that child alone, and
 * who asked goes on meanwhile.
 *
 * Knows nothing of what is walked. A child that dies of what it read is ERR_DAMAGED; one that was
 * killed from outside has found out nothing.
 */
#ifndef POLICYD_WALK_H
#define POLICYD_WALK_H

#include <ev.h>
#include <sys/types.h>

#include "policy/core/base.h"

#define WALK_ERROR_MAX 512

struct walk_report {
	enum err err;
	bool has_died;              /* without a report: error is about the process */
	char error[WALK_ERROR_MAX]; /* a sentence, of other results than ERR_OK */
};

/* Embedded in its owner, who sets the first six. */
struct walk {
	struct ev_loop *loop;
	const char *state_dir;
	unsigned map_mb;
	/* Runs in the child. error has WALK_ERROR_MAX bytes. */
	enum err (*verify)(const char *state_dir, unsigned map_mb, char *error);
	/* Once for each start; may start again. */
	void (*on_done)(struct walk *walk, const struct walk_report *report);
	void *owner;

	/* private to walk.c */
	pid_t pid; /* 0: none runs */
	ev_io readable;
	struct walk_report report;
	size_t got;
};

/* ERR_IO: no process or pipe to be had; errno tells. Not while one runs. */
POLICY_CHECKED enum err walk_start(struct walk *walk);
bool walk_is_running(const struct walk *walk);
/* Kills what runs; no callback any more. */
void walk_stop(struct walk *walk);

/* What is damaged is walked again after so many seconds, what cannot be read now (no room, no
 * permission) after so many: the file need not change for its cause to end. */
#define WALK_DAMAGED_EVERY_S    60
#define WALK_UNREADABLE_EVERY_S 10

/* What a look at a file from outside tells: of state_dir/NAME/data.mdb. */
struct file_print {
	uint64_t inode; /* 0: there is no file */
	int64_t size, changed_ns;
};
struct file_print file_print_of(const char *state_dir, const char *name);
bool file_print_equal(const struct file_print *a, const struct file_print *b);

#endif

/* CPU time of a tree of processes, read from /proc/PID/stat.
 * Must not know what the processes do. A process that ends while /proc is walked is left out of
 * the walk: its time is then in the counters of the parent that waited for it.
 * Fails by returning false; prints nothing. */
#include "proc_cpu.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
	pid_t pid;
	pid_t parent;
	uint64_t ticks;
	bool counted;
};

struct table {
	struct process *items;
	size_t count;
	size_t room;
};

/* The name in parentheses may itself hold blanks and parentheses: the fields start after the last.
 */
static bool read_stat(const char *pid, struct process *out)
{
	unsigned long user, sys, child_user, child_sys;
	char path[64], text[1024];
	const char *fields;
	size_t len;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	len = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[len] = '\0';
	fields = strrchr(text, ')');
	if (fields == NULL ||
		/* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers */
		sscanf(fields + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
			&out->parent, &user, &sys, &child_user, &child_sys) != 5)
		return false;
	out->pid = (pid_t)strtol(pid, NULL, 10);
	out->ticks = user + sys + child_user + child_sys;
	out->counted = false;
	return true;
}

static bool table_add(struct table *table, const struct process *process)
{
	if (table->count == table->room) {
		size_t room = table->room == 0 ? 256 : table->room * 2;
		struct process *items = realloc(table->items, room * sizeof *items);

		if (items == NULL)
			return false;
		table->items = items;
		table->room = room;
	}
	table->items[table->count++] = *process;
	return true;
}

static bool table_read(struct table *table)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool ok = dir != NULL;

	while (ok && (entry = readdir(dir)) != NULL) {
		struct process process;

		if (isdigit((unsigned char)entry->d_name[0]) && read_stat(entry->d_name, &process))
			ok = table_add(table, &process);
	}
	if (dir != NULL)
		closedir(dir);
	return ok;
}

/* Marks `pid` and everything below it. */
static void mark_tree(struct table *table, pid_t pid)
{
	for (size_t i = 0; i < table->count; i++) {
		struct process *process = &table->items[i];

		if (process->counted)
			continue;
		if (process->pid == pid)
			process->counted = true;
		else if (process->parent == pid)
			mark_tree(table, process->pid);
	}
}

static bool has_process(const struct table *table, pid_t pid)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->items[i].pid == pid)
			return true;
	return false;
}

bool proc_cpu_us(const pid_t *roots, size_t count, uint64_t *us)
{
	struct table table = {0};
	uint64_t ticks = 0;
	bool ok = table_read(&table);

	for (size_t i = 0; ok && i < count; i++) {
		ok = has_process(&table, roots[i]);
		if (ok)
			mark_tree(&table, roots[i]);
	}
	for (size_t i = 0; i < table.count; i++)
		if (table.items[i].counted)
			ticks += table.items[i].ticks;
	free(table.items);
	*us = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	return ok;
}

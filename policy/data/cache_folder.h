/*
 * The folder of the DNS cache: who has it open, and whether its files are of this boot.
 *
 * Its file `cache.boot` holds the boot id and is locked by every process that has the cache open:
 * alone by the one that opens, shared from then on. Files of another boot are removed unopened,
 * for a database without fsync may hold anything after a power cut. Knows nothing of LMDB's
 * contents.
 *
 * Who has the cache open for long looks from time to time whether its path still leads there: what
 * was removed stays readable to whoever has it open, and a flush does not reach it.
 */
#ifndef POLICY_DATA_CACHE_FOLDER_H
#define POLICY_DATA_CACHE_FOLDER_H

#include <sys/types.h>

#include "policy/core/base.h"

struct cache_folder {
	const char *dir; /* borrowed */
	int mark;        /* descriptor of cache.boot; -1: not taken */
	bool is_alone;   /* no other process has the cache open: files may be removed */
	uint8_t boot_id[16];
};

/* Makes the folder when missing, waits for another process that is opening (six seconds), removes
 * what is of another boot. ERR_IO with a sentence in error; the folder is not taken then. */
POLICY_CHECKED enum err cache_folder_take(
	struct cache_folder *folder, const char *dir, char *error, size_t error_cap);
bool cache_folder_has_files(const struct cache_folder *folder);
/* Only while is_alone. */
void cache_folder_remove_files(const struct cache_folder *folder);
/* Only while is_alone: takes the room of LMDB's lock file, which it maps without taking it: on a full
 * file system the first reader would die of SIGBUS. ERR_FULL, ERR_IO. */
POLICY_CHECKED enum err cache_folder_reserve(const struct cache_folder *folder);
/* Lets others in: is_alone ends. */
void cache_folder_share(struct cache_folder *folder);
/* The files are damaged: whoever is alone with them next removes them. */
void cache_folder_distrust(const struct cache_folder *folder);
void cache_folder_release(struct cache_folder *folder); /* fine when it is not taken */

/* A file or folder as a path leads to it now. All zeros: to none, or nobody may look. */
struct cache_folder_place {
	dev_t dev;
	ino_t ino;
	uid_t owner;
	mode_t mode;
};

/* What opening a cache depends on, outermost first, and the database. */
struct cache_folder_view {
	struct cache_folder_place parent, folder, data;
};

void cache_folder_look(const char *dir, struct cache_folder_view *out);
bool cache_folder_is_same(
	const struct cache_folder_place *one, const struct cache_folder_place *other);

#endif

/*
 * The only file with LMDB: environments, transactions, gets, cursors. No meaning of keys here.
 *
 * One env a process and folder, opened after fork. One reader slot a handle: store_read_begin
 * renews it, store_read_end resets it; both inside one event callback, or the file grows without
 * end (library-facts.md). Every LMDB code becomes an enum err here; the message that a person needs
 * is in store_error().
 */
#ifndef POLICY_DATA_STORE_H
#define POLICY_DATA_STORE_H

#include "policy/core/base.h"

#define STORE_DBS_MAX 8
#define STORE_KEY_MAX 511

struct store;

struct store_options {
	const char *dir;                /* holds data.mdb and lock.mdb */
	size_t map_bytes;               /* fixed size of the map; costs address space only */
	const char *dbs[STORE_DBS_MAX]; /* named databases, NULL-terminated; made when missing and
					   writable */
	const char *map_option; /* the name of the setting behind map_bytes, for "raise NAME" */
	bool is_read_only;      /* no database is made; a missing env is ERR_ABSENT */
	bool is_walk; /* for reading everything once: read-ahead, and each get goes through the
			 whole tree */
	bool is_disposable; /* a cache: MDB_NOSYNC; never for the table or the register */
};

/* Opens, creating dir's files (0600) unless read only; clears dead readers. ERR_ABSENT, ERR_VERSION
 * (another LMDB), ERR_DAMAGED, ERR_IO, ERR_FULL (also where the lock file has no room), ERR_NOMEM. error (may be NULL) gets a sentence for the
 * administrator. */
POLICY_CHECKED enum err store_open(
	struct store **out, const struct store_options *options, char *error, size_t error_cap);
void store_close(struct store *store); /* NULL is fine */

/* What the last call that failed on this handle means, with the file and the cure. */
const char *store_error(const struct store *store);

/* Reading. Texts stay valid until store_read_end. Handles MDB_READERS_FULL (clears dead readers,
 * once more) and MDB_MAP_RESIZED. */
POLICY_CHECKED enum err store_read_begin(struct store *store);
void store_read_end(struct store *store);
/* The number of the last change that the open transaction sees: equal numbers, equal contents. */
uint64_t store_read_id(const struct store *store);
/* The number of the last change of any process: what a read transaction begun now would have. */
uint64_t store_last_change(const struct store *store);
enum lookup store_get(struct store *store, unsigned db, struct text key, struct text *value);
/* The first key >= `from` (key holds from on call, the key found on return). */
enum lookup store_seek(struct store *store, unsigned db, struct text *key, struct text *value);
/* The one after the last seek, next or (in a read transaction) get of that db. */
enum lookup store_next(struct store *store, unsigned db, struct text *key, struct text *value);

/* Writing: one transaction at a time; waits for another process's. While it is open store_get,
 * store_seek and store_next on this handle read what it wrote. */
POLICY_CHECKED enum err store_write_begin(struct store *store);
POLICY_CHECKED enum err store_write_commit(struct store *store);
void store_write_abort(struct store *store);
POLICY_CHECKED enum err store_put(
	struct store *store, unsigned db, struct text key, struct text value);
/* key must be greater than every key of the db: the fast way for sorted input. */
POLICY_CHECKED enum err store_append(
	struct store *store, unsigned db, struct text key, struct text value);
POLICY_CHECKED enum err store_delete(
	struct store *store, unsigned db, struct text key);            /* ERR_ABSENT */
POLICY_CHECKED enum err store_empty(struct store *store, unsigned db); /* drops all its rows */

struct store_stat {
	uint64_t map_bytes, used_bytes; /* used: pages ever taken, free ones in the file included */
	uint64_t live_bytes;            /* pages that hold rows now: used without the free ones */
	uint64_t file_bytes, page_bytes;
	uint64_t entries[STORE_DBS_MAX];
	uint64_t last_txn;
	unsigned readers, readers_max;
};
POLICY_CHECKED enum err store_stat(struct store *store, struct store_stat *out);
/* Frees the slots of dead readers; returns how many. */
int store_reader_check(struct store *store);

#endif

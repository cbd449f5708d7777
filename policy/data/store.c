/*
 * LMDB behind store.h.
 *
 * Must not know what keys and values mean. LMDB's codes end here: every failure becomes an enum
 * err, and a sentence with the folder and the cure in store_error(). Nothing is repaired or deleted
 * here.
 */
#include "policy/data/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ERROR_MAX  512
#define FREE_LOW   ((uint64_t)1 << 20) /* bytes: a disk with less is the likely cause of EIO */
#define LOCK_BYTES 16384               /* more than LMDB's table of readers takes */
#define VERSION_CURE                                                                               \
	"take the data out with `policyctl dump` of the version that wrote it, move "              \
	"the folder away and load the data again"
#define DAMAGE_CURE "move the folder away and load the data again"

struct store {
	MDB_env *env;
	MDB_txn *reader; /* kept reset between reads: its slot is taken once */
	MDB_txn *writer;
	MDB_cursor *cursors[STORE_DBS_MAX];
	bool is_positioned[STORE_DBS_MAX]; /* the cursor belongs to the transaction that is open */
	MDB_dbi dbis[STORE_DBS_MAX];
	unsigned db_count;
	bool is_reading;
	bool is_read_only;
	bool is_walk;
	size_t map_bytes;
	const char *map_option;
	char *dir;
	char error[ERROR_MAX];
};

static enum err fail(struct store *store, enum err err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum err fail(struct store *store, enum err err, const char *format, ...)
{
	int len = snprintf(store->error, sizeof(store->error), "%s: ", store->dir);
	size_t used = len > 0 && (size_t)len < sizeof(store->error) ? (size_t)len : 0;
	va_list args;

	va_start(args, format);
	vsnprintf(store->error + used, sizeof(store->error) - used, format, args);
	va_end(args);
	return err;
}

static bool is_disk_full(const struct store *store)
{
	struct statvfs disk;

	return statvfs(store->dir, &disk) == 0 &&
	       (uint64_t)disk.f_bavail * disk.f_frsize < FREE_LOW;
}

static enum err fail_system(struct store *store, int code)
{
	switch (code) {
	case ENOENT:
		return fail(store, ERR_ABSENT, "no database was made here yet");
	case ENOMEM:
		return fail(store, ERR_NOMEM, "out of memory or address space");
	case EIO:
		if (!is_disk_full(store))
			break;
		/* fall through */
	case ENOSPC:
	case EDQUOT:
		return fail(store, ERR_FULL, "the disk is full: make room and try again");
	case EACCES:
	case EPERM:
		errno = code;
		return fail(store, ERR_IO,
			"%s: give this folder and its files to policyd's user (chown -R)",
			strerror(code));
	}
	errno = code;
	return fail(store, ERR_IO, "%s", strerror(code));
}

static enum err fail_lmdb(struct store *store, int code)
{
	switch (code) {
	case MDB_SUCCESS:
		return ERR_OK;
	case MDB_NOTFOUND:
		return fail(store, ERR_ABSENT, "not found");
	case MDB_MAP_FULL:
		return fail(store, ERR_FULL, "the map of %zu MiB is full: raise %s",
			store->map_bytes >> 20, store->map_option);
	case MDB_READERS_FULL:
		return fail(store, ERR_BUSY,
			"all reader slots are taken: fewer workers, or end "
			"what reads this folder");
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return fail(store, ERR_VERSION,
			"data.mdb is no database of this LMDB (%d.%d): probably written by another "
			"LMDB release, else damaged; " VERSION_CURE,
			MDB_VERSION_MAJOR, MDB_VERSION_MINOR);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
	case MDB_CURSOR_FULL:
	case MDB_INCOMPATIBLE:
		return fail(store, ERR_DAMAGED, "data.mdb is damaged (%s): " DAMAGE_CURE,
			mdb_strerror(code));
	case MDB_BAD_VALSIZE:
	case MDB_KEYEXIST:
	case MDB_BAD_TXN:
	case MDB_BAD_DBI:
	case MDB_TXN_FULL:
	case MDB_DBS_FULL:
		return fail(store, ERR_INVALID, "%s", mdb_strerror(code));
	}
	return fail_system(store, code);
}

const char *store_error(const struct store *store)
{
	return store->error;
}

int store_reader_check(struct store *store)
{
	int dead = 0;

	return mdb_reader_check(store->env, &dead) == MDB_SUCCESS ? dead : 0;
}

/* A file without a byte was never an env. Read only, LMDB would try to write it and say EBADF. */
static bool is_empty_file(const char *dir)
{
	char path[PATH_MAX];
	struct stat file;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	return stat(path, &file) == 0 && file.st_size == 0;
}

/* LMDB maps its table of readers, where a disk that is full is SIGBUS. The size of the file is
 * LMDB's: it counts slots by it. What cannot be had for another reason LMDB tells itself. */
static int reserve_lock(const struct store *store)
{
	char path[PATH_MAX];
	int fd, code;

	snprintf(path, sizeof(path), "%s/lock.mdb", store->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? errno : 0;
	code = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_BYTES) == 0 ? 0 : errno;
	close(fd);
	return code == ENOSPC || code == EDQUOT ? code : 0;
}

static bool has_data(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	return access(path, F_OK) == 0;
}

static enum err open_env(struct store *store, const struct store_options *options)
{
	unsigned flags = MDB_NOTLS;
	int code = mdb_env_create(&store->env);

	if (code != MDB_SUCCESS)
		return fail_lmdb(store, code);
	if (options->is_read_only && is_empty_file(store->dir))
		return fail_lmdb(store, ENOENT);
	if (options->is_read_only)
		flags |= MDB_RDONLY;
	if (!options->is_walk)
		flags |= MDB_NORDAHEAD;
	if (options->is_disposable)
		flags |= MDB_NOSYNC;
	if (!options->is_read_only || has_data(store->dir))
		code = reserve_lock(store);
	if (code == MDB_SUCCESS)
		code = mdb_env_set_maxdbs(store->env, STORE_DBS_MAX);
	if (code == MDB_SUCCESS)
		code = mdb_env_set_mapsize(store->env, options->map_bytes);
	if (code == MDB_SUCCESS)
		code = mdb_env_open(store->env, store->dir, flags, 0600);
	return fail_lmdb(store, code);
}

/* In a transaction of their own that commits: a dbi opened in one that ends otherwise is closed. */
static enum err open_dbs(struct store *store, const struct store_options *options)
{
	MDB_txn *txn = NULL;
	int code = mdb_txn_begin(store->env, NULL, options->is_read_only ? MDB_RDONLY : 0, &txn);

	while (code == MDB_SUCCESS && store->db_count < STORE_DBS_MAX &&
		options->dbs[store->db_count]) {
		code = mdb_dbi_open(txn, options->dbs[store->db_count],
			options->is_read_only ? 0 : MDB_CREATE, &store->dbis[store->db_count]);
		store->db_count++;
	}
	if (code != MDB_SUCCESS) {
		mdb_txn_abort(txn);
		return fail_lmdb(store, code);
	}
	return fail_lmdb(store, mdb_txn_commit(txn));
}

enum err store_open(
	struct store **out, const struct store_options *options, char *error, size_t error_cap)
{
	struct store *store = calloc(1, sizeof(*store));
	enum err err = ERR_NOMEM;

	*out = NULL;
	if (error && error_cap > 0)
		snprintf(error, error_cap, "out of memory");
	if (!store)
		return ERR_NOMEM;
	store->dir = strdup(options->dir);
	if (!store->dir)
		goto out;
	store->is_read_only = options->is_read_only;
	store->is_walk = options->is_walk;
	store->map_bytes = options->map_bytes;
	store->map_option = options->map_option ? options->map_option : "the map size";
	err = open_env(store, options);
	if (err != ERR_OK)
		goto out;
	store_reader_check(store);
	err = open_dbs(store, options);
out:
	if (err == ERR_OK) {
		*out = store;
		return ERR_OK;
	}
	if (error && error_cap > 0 && store->error[0])
		snprintf(error, error_cap, "%s", store->error);
	store_close(store);
	return err;
}

static void close_cursors(struct store *store)
{
	for (unsigned db = 0; db < STORE_DBS_MAX; db++) {
		if (store->cursors[db])
			mdb_cursor_close(store->cursors[db]);
		store->cursors[db] = NULL;
		store->is_positioned[db] = false;
	}
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->env) {
		close_cursors(store);
		if (store->writer)
			mdb_txn_abort(store->writer);
		if (store->reader)
			mdb_txn_abort(store->reader);
		mdb_env_close(store->env);
	}
	free(store->dir);
	free(store);
}

static int begin_or_renew(struct store *store)
{
	if (store->reader)
		return mdb_txn_renew(store->reader);
	return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
}

enum err store_read_begin(struct store *store)
{
	int code = begin_or_renew(store);

	if (code == MDB_READERS_FULL && store_reader_check(store) > 0)
		code = begin_or_renew(store);
	if (code == MDB_MAP_RESIZED) {
		/* Safe because no transaction of this handle is active now. */
		code = mdb_env_set_mapsize(store->env, 0);
		if (code == MDB_SUCCESS)
			code = begin_or_renew(store);
	}
	if (code != MDB_SUCCESS)
		return fail_lmdb(store, code);
	store->is_reading = true;
	return ERR_OK;
}

void store_read_end(struct store *store)
{
	if (!store->is_reading)
		return;
	mdb_txn_reset(store->reader);
	memset(store->is_positioned, 0, sizeof(store->is_positioned));
	store->is_reading = false;
}

static MDB_txn *current_txn(const struct store *store)
{
	return store->writer ? store->writer : store->reader;
}

uint64_t store_read_id(const struct store *store)
{
	return mdb_txn_id(current_txn(store));
}

uint64_t store_last_change(const struct store *store)
{
	MDB_envinfo info;

	mdb_env_info(store->env, &info);
	return info.me_last_txnid;
}

static MDB_val to_val(struct text text)
{
	return (MDB_val){text.len, (void *)(uintptr_t)text.ptr};
}

static struct text from_val(MDB_val val)
{
	return (struct text){val.mv_data, val.mv_size};
}

static enum lookup to_lookup(struct store *store, int code)
{
	if (code == MDB_SUCCESS)
		return LOOKUP_FOUND;
	if (code == MDB_NOTFOUND)
		return LOOKUP_ABSENT;
	(void)fail_lmdb(store, code);
	return LOOKUP_FAILED;
}

/* A cursor of the transaction that is open; a reader's is kept and renewed, a writer's closed with
 * it. */
static int get_cursor(struct store *store, unsigned db, MDB_cursor **out)
{
	int code = MDB_SUCCESS;

	if (!store->cursors[db])
		code = mdb_cursor_open(current_txn(store), store->dbis[db], &store->cursors[db]);
	else if (!store->is_positioned[db])
		code = mdb_cursor_renew(store->reader, store->cursors[db]);
	store->is_positioned[db] = code == MDB_SUCCESS;
	*out = store->cursors[db];
	return code;
}

/* A cursor looks first at the page it is on: the rows of one domain are neighbours. */
enum lookup store_get(struct store *store, unsigned db, struct text key, struct text *value)
{
	MDB_val k = to_val(key), v;
	MDB_cursor *cursor;
	int code;

	if (store->writer || store->is_walk) {
		code = mdb_get(current_txn(store), store->dbis[db], &k, &v);
	} else {
		code = get_cursor(store, db, &cursor);
		if (code == MDB_SUCCESS)
			code = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
	}
	if (code == MDB_SUCCESS)
		*value = from_val(v);
	return to_lookup(store, code);
}

static enum lookup move(
	struct store *store, unsigned db, struct text *key, struct text *value, MDB_cursor_op op)
{
	MDB_val k = to_val(*key), v;
	MDB_cursor *cursor;
	int code = get_cursor(store, db, &cursor);

	if (code == MDB_SUCCESS)
		code = mdb_cursor_get(cursor, &k, &v, op);
	if (code == MDB_SUCCESS) {
		*key = from_val(k);
		*value = from_val(v);
	}
	return to_lookup(store, code);
}

enum lookup store_seek(struct store *store, unsigned db, struct text *key, struct text *value)
{
	return move(store, db, key, value, key->len > 0 ? MDB_SET_RANGE : MDB_FIRST);
}

enum lookup store_next(struct store *store, unsigned db, struct text *key, struct text *value)
{
	return move(store, db, key, value, MDB_NEXT);
}

enum err store_write_begin(struct store *store)
{
	int code;

	close_cursors(store);
	code = mdb_txn_begin(store->env, NULL, 0, &store->writer);
	if (code == MDB_MAP_RESIZED) {
		code = mdb_env_set_mapsize(store->env, 0);
		if (code == MDB_SUCCESS)
			code = mdb_txn_begin(store->env, NULL, 0, &store->writer);
	}
	return fail_lmdb(store, code);
}

enum err store_write_commit(struct store *store)
{
	MDB_txn *txn = store->writer;

	close_cursors(store);
	store->writer = NULL;
	return fail_lmdb(store, mdb_txn_commit(txn));
}

void store_write_abort(struct store *store)
{
	if (!store->writer)
		return;
	close_cursors(store);
	mdb_txn_abort(store->writer);
	store->writer = NULL;
}

static enum err put(
	struct store *store, unsigned db, struct text key, struct text value, unsigned flags)
{
	MDB_val k = to_val(key), v = to_val(value);

	return fail_lmdb(store, mdb_put(store->writer, store->dbis[db], &k, &v, flags));
}

enum err store_put(struct store *store, unsigned db, struct text key, struct text value)
{
	return put(store, db, key, value, 0);
}

enum err store_append(struct store *store, unsigned db, struct text key, struct text value)
{
	return put(store, db, key, value, MDB_APPEND);
}

enum err store_delete(struct store *store, unsigned db, struct text key)
{
	MDB_val k = to_val(key);

	return fail_lmdb(store, mdb_del(store->writer, store->dbis[db], &k, NULL));
}

enum err store_empty(struct store *store, unsigned db)
{
	return fail_lmdb(store, mdb_drop(store->writer, store->dbis[db], 0));
}

static int stat_dbs(struct store *store, struct store_stat *out)
{
	int code = MDB_SUCCESS;

	for (unsigned db = 0; db < store->db_count && code == MDB_SUCCESS; db++) {
		MDB_stat stat = {0};

		code = mdb_stat(current_txn(store), store->dbis[db], &stat);
		out->entries[db] = stat.ms_entries;
		out->page_bytes = stat.ms_psize;
		out->live_bytes +=
			(uint64_t)stat.ms_psize *
			(stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages);
	}
	return code;
}

enum err store_stat(struct store *store, struct store_stat *out)
{
	bool is_own = !store->is_reading && !store->writer;
	enum err err = is_own ? store_read_begin(store) : ERR_OK;
	char path[4096];
	struct stat file;
	MDB_envinfo info;
	int code;

	memset(out, 0, sizeof(*out));
	if (err != ERR_OK)
		return err;
	code = stat_dbs(store, out);
	if (code == MDB_SUCCESS)
		code = mdb_env_info(store->env, &info);
	if (is_own)
		store_read_end(store);
	if (code != MDB_SUCCESS)
		return fail_lmdb(store, code);
	out->map_bytes = info.me_mapsize;
	out->used_bytes = (uint64_t)(info.me_last_pgno + 1) * out->page_bytes;
	out->last_txn = info.me_last_txnid;
	out->readers = info.me_numreaders;
	out->readers_max = info.me_maxreaders;
	snprintf(path, sizeof(path), "%s/data.mdb", store->dir);
	if (stat(path, &file) != 0)
		return fail_system(store, errno);
	out->file_bytes = (uint64_t)file.st_size;
	return ERR_OK;
}

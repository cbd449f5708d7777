/* The LMDB adapter: transactions, cursors, error texts, modes, what a reader sees. */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "policy/data/store.h"
#include "tests/unit/table_fixture.h"

static struct store *open_store(const char *dir, size_t map_bytes, bool is_read_only)
{
	struct store_options options = {.dir = dir,
		.map_bytes = map_bytes,
		.dbs = {"one", "two"},
		.map_option = "some_max_mb",
		.is_read_only = is_read_only};
	struct store *store = NULL;
	char error[512] = "";

	if (store_open(&store, &options, error, sizeof(error)) != ERR_OK)
		fail_msg("%s", error);
	return store;
}

static void put(struct store *store, const char *key, const char *value)
{
	assert_int_equal(store_write_begin(store), ERR_OK);
	assert_int_equal(store_put(store, 0, text_of(key), text_of(value)), ERR_OK);
	assert_int_equal(store_write_commit(store), ERR_OK);
}

static enum lookup get(struct store *store, const char *key, struct text *value)
{
	enum lookup status;

	assert_int_equal(store_read_begin(store), ERR_OK);
	status = store_get(store, 0, text_of(key), value);
	store_read_end(store);
	return status;
}

static void test_put_get_delete(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	struct text value;

	put(store, "b", "second");
	put(store, "a", "first");
	assert_int_equal(get(store, "a", &value), LOOKUP_FOUND);
	assert_int_equal(get(store, "c", &value), LOOKUP_ABSENT);
	assert_int_equal(store_write_begin(store), ERR_OK);
	assert_int_equal(store_delete(store, 0, TEXT("a")), ERR_OK);
	assert_int_equal(store_delete(store, 0, TEXT("c")), ERR_ABSENT);
	assert_int_equal(store_get(store, 0, TEXT("a"), &value), LOOKUP_ABSENT);
	store_write_abort(store);
	assert_int_equal(get(store, "a", &value), LOOKUP_FOUND);
	store_close(store);
}

/* Known without a transaction, in this process and another. */
static void test_last_change(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	uint64_t before = store_last_change(store);
	pid_t child;
	int status;

	put(store, "a", "first");
	assert_true(store_last_change(store) > before);
	assert_int_equal(store_read_begin(store), ERR_OK);
	assert_int_equal(store_read_id(store), store_last_change(store));
	store_read_end(store);
	before = store_last_change(store);
	assert_int_equal(store_write_begin(store), ERR_OK);
	assert_int_equal(store_put(store, 0, TEXT("b"), TEXT("second")), ERR_OK);
	assert_int_equal(store_last_change(store), before);
	store_write_abort(store);
	assert_int_equal(store_last_change(store), before);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		put(open_store(*state, 1 << 20, false), "c", "third");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(store_last_change(store) > before);
	store_close(store);
}

static void test_walk_in_order(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	struct text key = TEXT("b"), value;

	put(store, "c", "3");
	put(store, "a", "1");
	assert_int_equal(store_read_begin(store), ERR_OK);
	assert_int_equal(store_seek(store, 0, &key, &value), LOOKUP_FOUND);
	assert_true(text_equal(key, TEXT("c")));
	assert_int_equal(store_next(store, 0, &key, &value), LOOKUP_ABSENT);
	key = (struct text){NULL, 0};
	assert_int_equal(store_seek(store, 0, &key, &value), LOOKUP_FOUND);
	assert_true(text_equal(value, TEXT("1")));
	store_read_end(store);
	store_close(store);
}

/* Before the first page was written, or cut short to nothing: no env, and a writer makes one. */
static void test_empty_file(void **state)
{
	struct store_options options = {.dir = *state, .map_bytes = 1 << 20, .dbs = {"one"}};
	struct store *store = NULL;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", (const char *)*state);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	options.is_read_only = true;
	assert_int_equal(store_open(&store, &options, NULL, 0), ERR_ABSENT);
	options.is_read_only = false;
	assert_int_equal(store_open(&store, &options, NULL, 0), ERR_OK);
	store_close(store);
}

static void test_append_wants_order(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);

	assert_int_equal(store_write_begin(store), ERR_OK);
	assert_int_equal(store_append(store, 0, TEXT("b"), TEXT("x")), ERR_OK);
	assert_int_not_equal(store_append(store, 0, TEXT("a"), TEXT("x")), ERR_OK);
	store_write_abort(store);
	assert_int_equal(store_write_begin(store), ERR_OK);
	assert_int_equal(store_append(store, 0, TEXT("a"), TEXT("x")), ERR_OK);
	assert_int_equal(store_empty(store, 0), ERR_OK);
	assert_int_equal(store_write_commit(store), ERR_OK);
	store_close(store);
}

static void test_read_only_without_env(void **state)
{
	struct store_options options = {
		.dir = *state, .map_bytes = 1 << 20, .dbs = {"one"}, .is_read_only = true};
	struct store *store;
	char error[512];

	assert_int_equal(store_open(&store, &options, error, sizeof(error)), ERR_ABSENT);
	assert_null(store);
	assert_int_equal(access(*state, F_OK), 0);
	/* Somebody makes it later: the next try finds it. */
	store_close(open_store(*state, 1 << 20, false));
	assert_int_equal(store_open(&store, &options, error, sizeof(error)), ERR_OK);
	store_close(store);
}

static void test_modes(void **state)
{
	struct stat info;
	char path[128];

	store_close(open_store(*state, 1 << 20, false));
	snprintf(path, sizeof(path), "%s/data.mdb", (char *)*state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/lock.mdb", (char *)*state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static enum err fill(struct store *store, size_t rows)
{
	char value[1000] = "x";
	enum err err = store_write_begin(store);

	for (size_t i = 0; err == ERR_OK && i < rows; i++) {
		char key[32];

		snprintf(key, sizeof(key), "row%08zu", i);
		err = store_put(store, 0, text_of(key), (struct text){value, sizeof(value)});
	}
	if (err == ERR_OK)
		return store_write_commit(store);
	store_write_abort(store);
	return err;
}

static void test_full_map_names_the_option(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	struct text value;

	put(store, "kept", "value");
	assert_int_equal(fill(store, 2000), ERR_FULL);
	assert_non_null(strstr(store_error(store), "raise some_max_mb"));
	assert_int_equal(get(store, "kept", &value), LOOKUP_FOUND);
	store_close(store);
}

static void test_foreign_file(void **state)
{
	struct store_options options = {.dir = *state, .map_bytes = 1 << 20, .dbs = {"one"}};
	struct store *store;
	char path[128], error[512], bytes[8192];
	int fd;

	memset(bytes, 'x', sizeof(bytes));
	snprintf(path, sizeof(path), "%s/data.mdb", (char *)*state);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	assert_int_equal(store_open(&store, &options, error, sizeof(error)), ERR_VERSION);
	assert_non_null(strstr(error, "another LMDB release"));
	assert_non_null(strstr(error, "policyctl dump"));
}

/* Runs body in a process of its own: an env is opened once a process. */
static void in_child(void (*body)(const char *dir), const char *dir)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		body(dir);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void grow(const char *dir)
{
	struct store *store = open_store(dir, 16 << 20, false);

	if (fill(store, 4000) != ERR_OK)
		_exit(1);
	store_close(store);
}

static void test_map_resized_by_another(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	struct text value;
	uint64_t before, after;

	put(store, "kept", "value");
	assert_int_equal(store_read_begin(store), ERR_OK);
	before = store_read_id(store);
	store_read_end(store);
	in_child(grow, *state);
	assert_int_equal(get(store, "row00003999", &value), LOOKUP_FOUND);
	assert_int_equal(store_read_begin(store), ERR_OK);
	after = store_read_id(store);
	store_read_end(store);
	assert_true(after > before);
	store_close(store);
}

static void die_reading(const char *dir)
{
	struct store *store = open_store(dir, 1 << 20, true);

	_exit(store_read_begin(store) == ERR_OK ? 0 : 1);
}

static void test_dead_readers_lose_their_slots(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	struct text value;

	put(store, "a", "x");
	for (int i = 0; i < 3; i++)
		in_child(die_reading, *state);
	assert_true(store_reader_check(store) > 0);
	/* More dead ones than there are slots: each that comes makes room for itself. */
	for (int i = 0; i < 140; i++)
		in_child(die_reading, *state);
	assert_int_equal(get(store, "a", &value), LOOKUP_FOUND);
	store_close(store);
}

static void test_stat(void **state)
{
	struct store *store = open_store(*state, 1 << 20, false);
	struct store_stat stat;

	put(store, "a", "x");
	put(store, "b", "x");
	assert_int_equal(store_stat(store, &stat), ERR_OK);
	assert_int_equal(stat.entries[0], 2);
	assert_int_equal(stat.map_bytes, 1 << 20);
	assert_true(stat.used_bytes > 0 && stat.used_bytes <= stat.map_bytes);
	store_close(store);
}

/* A small tmpfs over the folder, gone with it. */
static int setup_small_disk(void **state)
{
	fixture_setup(state);
	if (geteuid() == 0 && mount("tmpfs", *state, "tmpfs", 0, "size=2m,mode=0700") == 0)
		return 0;
	fixture_teardown(state);
	*state = NULL;
	return 0;
}

static int teardown_small_disk(void **state)
{
	if (!*state)
		return 0;
	umount2(*state, MNT_DETACH);
	return fixture_teardown(state);
}

static void test_full_disk(void **state)
{
	struct store *store;
	struct text value;

	if (!*state)
		skip();
	store = open_store(*state, 64 << 20, false);
	put(store, "kept", "value");
	assert_int_equal(fill(store, 6000), ERR_FULL);
	assert_non_null(strstr(store_error(store), "disk is full"));
	assert_int_equal(get(store, "kept", &value), LOOKUP_FOUND);
	assert_int_equal(get(store, "row00000000", &value), LOOKUP_ABSENT);
	assert_int_equal(fill(store, 50), ERR_OK);
	assert_int_equal(get(store, "row00000000", &value), LOOKUP_FOUND);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_put_get_delete),
		FIXTURE_TEST(test_last_change),
		FIXTURE_TEST(test_walk_in_order),
		FIXTURE_TEST(test_empty_file),
		FIXTURE_TEST(test_append_wants_order),
		FIXTURE_TEST(test_read_only_without_env),
		FIXTURE_TEST(test_modes),
		FIXTURE_TEST(test_full_map_names_the_option),
		FIXTURE_TEST(test_foreign_file),
		FIXTURE_TEST(test_map_resized_by_another),
		FIXTURE_TEST(test_dead_readers_lose_their_slots),
		FIXTURE_TEST(test_stat),
		cmocka_unit_test_setup_teardown(
			test_full_disk, setup_small_disk, teardown_small_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The table when the world is unkind: flipped bits, a cut file, a full map or disk, another format,
 * a load that dies. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "policy/data/store.h"
#include "tests/unit/table_fixture.h"

#define ROWS 300
#define META_PAGES                                                                                 \
	8192 /* LMDB's own two; what is flipped there it takes for an older state, whole as well   \
	      */

static struct fixture_question question;

/* Every row belongs to its own login; the 7th of each ten is denied it. */
static struct pairs *numbered(int first, int count)
{
	struct pairs *pairs = fixture_pairs("");

	for (int i = first; i < first + count; i++) {
		char pattern[64], owner[64];

		snprintf(pattern, sizeof(pattern), "user%d@domain%d.example", i, i / 20);
		snprintf(owner, sizeof(owner), "%slogin%d@x.example", i % 10 == 7 ? "!" : "", i);
		fixture_add(pairs, pattern, owner, 0);
	}
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	return pairs;
}

enum { PROBE_RIGHT = 0, PROBE_FAILED = 1, PROBE_WRONG = 2 };

static int probe_row(struct authz *authz, int i)
{
	char sender[64], login[64];
	const struct table_fact *fact = &question.facts.facts[0];

	snprintf(sender, sizeof(sender), "user%d@domain%d.example", i, i / 20);
	snprintf(login, sizeof(login), "login%d@x.example", i);
	fixture_find(authz, &question, login, sender);
	for (size_t f = 0; f < question.facts.count; f++)
		if (question.facts.facts[f].status == LOOKUP_FAILED)
			return PROBE_FAILED;
	if (question.facts.count != 1 || fact->row.until[OWNER_LOGIN][i % 10 == 7] != INT64_MAX)
		return PROBE_WRONG;
	return fact->row.until[OWNER_LOGIN][i % 10 != 7] == 0 ? PROBE_RIGHT : PROBE_WRONG;
}

/* Asks for every row in a process that may die of it; the signal counts as FAILED. */
static int probe(const char *dir)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char error[AUTHZ_ERROR_MAX];
		struct authz *authz;
		int seen = PROBE_RIGHT;

		if (!freopen("/dev/null", "w", stderr))
			_exit(PROBE_WRONG);
		if (authz_open(&authz, dir, FIXTURE_MAP_MB, true, error, sizeof(error)) != ERR_OK)
			_exit(PROBE_FAILED);
		for (int i = 0; i < ROWS; i++)
			seen |= probe_row(authz, i);
		_exit(seen);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) <= 3 ? WEXITSTATUS(status) : PROBE_FAILED;
}

struct file {
	char path[128];
	size_t size;
	char *bytes;
};

static void read_data(const char *dir, struct file *file)
{
	struct stat info;
	int fd;

	snprintf(file->path, sizeof(file->path), "%s/table/data.mdb", dir);
	fd = open(file->path, O_RDONLY);
	assert_int_equal(fstat(fd, &info), 0);
	file->size = (size_t)info.st_size;
	file->bytes = malloc(file->size);
	assert_int_equal(read(fd, file->bytes, file->size), file->size);
	close(fd);
}

static void write_byte(const struct file *file, size_t at, char byte)
{
	int fd = open(file->path, O_WRONLY);

	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static void flip(const struct file *file, size_t at, unsigned bit)
{
	write_byte(file, at, (char)(file->bytes[at] ^ (1 << bit)));
}

static void restore(const struct file *file, size_t at)
{
	write_byte(file, at, file->bytes[at]);
}

static void make_table(const char *dir, struct file *file)
{
	struct authz *authz = fixture_open(dir, false);

	fixture_replace(authz, numbered(0, ROWS));
	authz_close(authz);
	read_data(dir, file);
	assert_int_equal(probe(dir), PROBE_RIGHT);
}

static enum err verify_quietly(const char *dir)
{
	char error[AUTHZ_ERROR_MAX];
	int kept = dup(2), null = open("/dev/null", O_WRONLY);
	enum err err;

	dup2(null, 2); /* LMDB's assertions speak up on it */
	err = authz_verify_in_child(dir, FIXTURE_MAP_MB, -1, error);
	dup2(kept, 2);
	close(kept);
	close(null);
	return err;
}

/* Wherever a bit flips: what verifies answers right. */
static void test_flips_anywhere(void **state)
{
	struct file file;
	int damaged = 0;

	srand(5);
	make_table(*state, &file);
	for (int i = 0; i < 400; i++) {
		size_t at = META_PAGES + (size_t)rand() % (file.size - META_PAGES);

		flip(&file, at, (unsigned)rand() % 8);
		if (verify_quietly(*state) == ERR_OK)
			assert_int_equal(probe(*state), PROBE_RIGHT);
		else
			damaged++;
		restore(&file, at);
	}
	assert_true(damaged > 50);
	assert_int_equal(verify_quietly(*state), ERR_OK);
	free(file.bytes);
}

/* Flips the same bit of a row's value wherever the file has it: LMDB's pages keep stale copies.
 * Only values hold a sender in this form. The ones before it are the header and two lengths. */
static void flip_value(const struct file *file, int row, bool is_back, size_t offset, unsigned bit)
{
	const size_t before = ROW_HEADER_SIZE + 2;
	const char *hit = file->bytes;
	char needle[64];
	size_t hits = 0;

	snprintf(needle, sizeof(needle), "user%d@domain%d.example", row, row / 20);
	while ((hit = memmem(hit, file->size - (size_t)(hit - file->bytes), needle,
			strlen(needle))) != NULL) {
		size_t at =
			(size_t)(hit - file->bytes) - before + offset % (strlen(needle) + before);

		if (is_back)
			restore(file, at);
		else
			flip(file, at, bit);
		hits++;
		hit++;
	}
	assert_true(hits > 0);
}

/* In a value: the row is FAILED for whoever asks, verified or not. */
static void test_flips_in_values(void **state)
{
	struct file file;

	srand(6);
	make_table(*state, &file);
	for (int row = 0; row < ROWS; row++) {
		size_t offset = (size_t)rand();

		flip_value(&file, row, false, offset, (unsigned)rand() % 8);
		assert_int_equal(probe(*state), PROBE_FAILED);
		assert_int_equal(verify_quietly(*state), ERR_DAMAGED);
		flip_value(&file, row, true, offset, 0);
	}
	assert_int_equal(verify_quietly(*state), ERR_OK);
	free(file.bytes);
}

/* The keys in inner pages lead to the rows: a walk along the leaves alone would not miss what they
 * hide. */
static void test_flips_in_inner_pages(void **state)
{
	const size_t page = 4096, flags_at = 10;
	struct file file;
	int flips = 0;

	srand(8);
	make_table(*state, &file);
	for (size_t from = META_PAGES; from < file.size; from += page) {
		if (file.bytes[from + flags_at] != 1)
			continue;
		for (size_t at = from; at < from + page; at++) {
			if (file.bytes[at] == 0)
				continue;
			flip(&file, at, (unsigned)rand() % 8);
			if (verify_quietly(*state) == ERR_OK)
				assert_int_equal(probe(*state), PROBE_RIGHT);
			restore(&file, at);
			flips++;
		}
	}
	assert_true(flips > 100);
	free(file.bytes);
}

static void test_truncated_file(void **state)
{
	struct file file;
	char error[AUTHZ_ERROR_MAX] = "";

	make_table(*state, &file);
	assert_int_equal(truncate(file.path, (off_t)(file.size / 8192 * 4096)), 0);
	assert_int_equal(authz_verify_in_child(*state, FIXTURE_MAP_MB, -1, error), ERR_DAMAGED);
	assert_non_null(strstr(error, "load the table again"));
	free(file.bytes);
}

static void expect_old_table(const char *dir, struct authz *authz)
{
	assert_int_equal(verify_quietly(dir), ERR_OK);
	fixture_find(authz, &question, "x", "kept@b");
	assert_int_equal(question.facts.count, 1);
	fixture_find(authz, &question, "x", "user5@domain0.example");
	assert_int_equal(question.facts.count, 0);
}

static void test_full_map(void **state)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct pairs *pairs = numbered(0, 20000);
	struct authz_delta delta;
	struct authz *authz;

	assert_int_equal(authz_open(&authz, *state, 1, false, error, sizeof(error)), ERR_OK);
	fixture_replace(authz, fixture_pairs("kept@b x\n"));
	assert_int_equal(authz_replace(authz, pairs, 1, NULL, error), ERR_FULL);
	assert_non_null(strstr(error, "raise table_max_mb"));
	expect_old_table(*state, authz);
	assert_int_equal(
		authz_merge(authz, &(struct authz_merge){.pairs = pairs}, &delta, error), ERR_FULL);
	assert_non_null(strstr(error, "raise table_max_mb"));
	expect_old_table(*state, authz);
	fixture_replace(authz, numbered(0, ROWS));
	assert_int_equal(verify_quietly(*state), ERR_OK);
	pairs_free(pairs);
	authz_close(authz);
}

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
	char error[AUTHZ_ERROR_MAX] = "";
	struct pairs *pairs;
	struct authz *authz;

	if (!*state)
		skip();
	pairs = numbered(0, 40000);
	authz = fixture_open(*state, false);
	fixture_replace(authz, fixture_pairs("kept@b x\n"));
	assert_int_equal(authz_replace(authz, pairs, 1, NULL, error), ERR_FULL);
	assert_non_null(strstr(error, "disk is full"));
	expect_old_table(*state, authz);
	fixture_replace(authz, numbered(0, ROWS));
	assert_int_equal(verify_quietly(*state), ERR_OK);
	pairs_free(pairs);
	authz_close(authz);
}

/* Puts a meta record that begins with `format` and holds nothing else. */
static void write_meta(const char *dir, uint8_t format, bool is_sealed)
{
	char path[128];
	struct store_options options = {
		.dir = path, .map_bytes = 1 << 20, .dbs = {"meta", "gen0", "gen1", "undo"}};
	uint8_t value[ROW_HEADER_SIZE + 1] = {0};
	struct store *store;

	snprintf(path, sizeof(path), "%s/table", dir);
	assert_int_equal(store_open(&store, &options, NULL, 0), ERR_OK);
	value[ROW_HEADER_SIZE] = format;
	if (is_sealed)
		row_value_seal(TEXT("table"), 0, value, 1);
	assert_int_equal(store_write_begin(store), ERR_OK);
	assert_int_equal(store_put(store, 0, TEXT("table"),
				 (struct text){(const char *)value, sizeof(value)}),
		ERR_OK);
	assert_int_equal(store_write_commit(store), ERR_OK);
	store_close(store);
}

static void test_other_format(void **state)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz *authz;

	authz_close(fixture_open(*state, false));
	write_meta(*state, 2, true);
	assert_int_equal(authz_open(&authz, *state, FIXTURE_MAP_MB, true, error, sizeof(error)),
		ERR_VERSION);
	assert_non_null(strstr(error, "policyctl dump"));
	write_meta(*state, 1, false);
	assert_int_equal(authz_open(&authz, *state, FIXTURE_MAP_MB, true, error, sizeof(error)),
		ERR_DAMAGED);
	assert_null(authz);
}

/* A load that dies when the fill has come so far. */
static void die_at(void *ctx, uint64_t done, uint64_t of)
{
	(void)of;
	if (done >= *(uint64_t *)ctx)
		_exit(0);
}

static void test_load_that_dies(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct authz_meta meta;
	uint64_t when = 15000;
	int status;
	pid_t child;

	fixture_replace(authz, fixture_pairs("kept@b x\n"));
	authz_close(authz);
	child = fork();
	if (child == 0) {
		char error[AUTHZ_ERROR_MAX];
		struct pairs *pairs = numbered(0, 20000);

		authz = fixture_open(*state, false);
		_exit(authz_replace(authz, pairs, 1, &(struct authz_progress){die_at, &when},
			      error) != ERR_OK);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	authz = fixture_open(*state, false);
	assert_int_equal(authz_begin(authz, &meta), LOOKUP_FOUND);
	authz_end(authz);
	assert_int_equal(meta.generation[meta.current ^ 1].state, GENERATION_FILLING);
	expect_old_table(*state, authz);
	fixture_replace(authz, numbered(0, ROWS));
	assert_int_equal(verify_quietly(*state), ERR_OK);
	authz_close(authz);
	assert_int_equal(probe(*state), PROBE_RIGHT);
}

/* The disk loses what was filled, before the pointer flips. */
static void damage_at_end(void *ctx, uint64_t done, uint64_t of)
{
	struct file file;

	if (done < of)
		return;
	read_data(ctx, &file);
	flip_value(&file, 15, false, 5, 5);
	free(file.bytes);
}

static void test_damage_while_filling(void **state)
{
	struct authz *authz = fixture_open(*state, false);
	struct pairs *pairs = numbered(0, 20000);
	char error[AUTHZ_ERROR_MAX] = "";

	fixture_replace(authz, fixture_pairs("kept@b x\n"));
	assert_int_equal(authz_replace(authz, pairs, 1,
				 &(struct authz_progress){damage_at_end, *state}, error),
		ERR_DAMAGED);
	expect_old_table(*state, authz);
	pairs_free(pairs);
	authz_close(authz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_flips_anywhere),
		FIXTURE_TEST(test_flips_in_values),
		FIXTURE_TEST(test_flips_in_inner_pages),
		FIXTURE_TEST(test_truncated_file),
		FIXTURE_TEST(test_full_map),
		cmocka_unit_test_setup_teardown(
			test_full_disk, setup_small_disk, teardown_small_disk),
		FIXTURE_TEST(test_other_format),
		FIXTURE_TEST(test_load_that_dies),
		FIXTURE_TEST(test_damage_while_filling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

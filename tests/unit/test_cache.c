/*
 * The DNS cache in a folder of its own: what comes back, what is thrown away, how big it gets, and
 * what another process sees.
 */
#include <fcntl.h>
#include <sys/mount.h>

#include "tests/unit/cache_fixture.h"

static void test_put_get(void **state)
{
	const char *dir = path_in(*state, "made");
	struct cache *cache = open_cache(dir, 1);
	struct cache_entry *entry = malloc(sizeof(*entry));
	struct stat info;

	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_ABSENT);
	put(cache, TEXT("a.example"), 10, 1000);
	put(cache, TEXT("a.example"), 12, 2000);
	assert_int_equal(cache_get(cache, TEXT("a.example"), entry), LOOKUP_FOUND);
	assert_int_equal(entry->answer.count, 1);
	assert_int_equal(entry->answer.txt[0].len, 12);
	assert_int_equal(entry->stored_ms, 2000);
	put(cache, TEXT("b.example"), DNS_BYTES_MAX, 1000);
	assert_int_equal(get(cache, TEXT("b.example")), LOOKUP_FOUND);
	assert_int_equal(stat_of(cache).entries, 2);
	cache_close(cache);
	free(entry);
	assert_int_equal(stat(path_in(*state, "made"), &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	/* It outlives the process. */
	cache = open_cache(path_in(*state, "made"), 1);
	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_FOUND);
	cache_close(cache);
}

static void test_names_of_any_length(void **state)
{
	struct cache *cache = open_cache(*state, 1);
	char name[DNS_NAME_MAX + 1];

	memset(name, 'a', sizeof(name));
	put(cache, (struct text){name, DNS_NAME_MAX}, 10, 1000);
	assert_int_equal(get(cache, (struct text){name, DNS_NAME_MAX}), LOOKUP_FOUND);
	put(cache, (struct text){name, sizeof(name)}, 10, 1000);
	assert_int_equal(get(cache, (struct text){name, sizeof(name)}), LOOKUP_ABSENT);
	put(cache, TEXT(""), 10, 1000);
	assert_int_equal(get(cache, TEXT("")), LOOKUP_ABSENT);
	assert_int_equal(flush(cache, (struct text){name, sizeof(name)}), 0);
	assert_int_equal(flush(cache, (struct text){name, DNS_NAME_MAX}), 1);
	cache_close(cache);
}

static void test_no_cache(void **state)
{
	struct cache_stat stat;
	uint64_t removed;

	(void)state;
	put(NULL, TEXT("a.example"), 10, 1000);
	assert_int_equal(get(NULL, TEXT("a.example")), LOOKUP_ABSENT);
	assert_int_equal(cache_flush(NULL, TEXT(""), &removed), ERR_ABSENT);
	assert_int_equal(cache_stat(NULL, &rules, &stat), ERR_ABSENT);
	cache_close(NULL);
}

static void test_stat(void **state)
{
	struct cache *cache = open_cache(*state, 1);
	struct cache_entry *entry = calloc(1, sizeof(*entry));
	struct dns_answer *answer = calloc(1, sizeof(*answer));
	int64_t now_ms = cache_now_ms();
	struct cache_stat stat;

	put(cache, TEXT("fresh.example"), 10, now_ms);
	put(cache, TEXT("stale.example"), 10, now_ms > 101000 ? now_ms - 101000 : 0);
	dns_answer_clear(answer, DNS_FAILURE_TIMEOUT);
	cache_entry_update(entry, NULL, answer, now_ms, &rules);
	cache_put(cache, TEXT("failed.example"), entry);
	answer->status = LOOKUP_ABSENT;
	cache_entry_update(entry, NULL, answer, now_ms, &rules);
	cache_put(cache, TEXT("absent.example"), entry);
	stat = stat_of(cache);
	assert_int_equal(stat.entries, 4);
	assert_int_equal(stat.found, 2);
	assert_int_equal(stat.absent, 1);
	assert_int_equal(stat.failed, 1);
	assert_int_equal(stat.stale, now_ms > 101000);
	assert_int_equal(stat.evicted, 0);
	assert_int_equal(stat.max_bytes, 1 << 20);
	assert_true(stat.used_bytes > 0 && stat.used_bytes < stat.max_bytes);
	cache_close(cache);
	free(answer);
	free(entry);
}

static void test_flush(void **state)
{
	struct cache *cache = open_cache(*state, 1);
	char name[64];

	for (unsigned i = 0; i < 100; i++)
		put(cache, make_name(name, i), 100, 1000);
	assert_int_equal(flush(cache, make_name(name, 7)), 1);
	assert_int_equal(flush(cache, make_name(name, 7)), 0);
	assert_int_equal(get(cache, make_name(name, 7)), LOOKUP_ABSENT);
	assert_int_equal(get(cache, make_name(name, 8)), LOOKUP_FOUND);
	assert_int_equal(flush(cache, TEXT("")), 99);
	assert_int_equal(flush(cache, TEXT("")), 0);
	assert_int_equal(get(cache, make_name(name, 8)), LOOKUP_ABSENT);
	put(cache, make_name(name, 8), 100, 1000);
	assert_int_equal(get(cache, make_name(name, 8)), LOOKUP_FOUND);
	cache_close(cache);
}

/* Small entries that end in another order than they come in and are stored in. */
static void test_bound(void **state)
{
	const unsigned names = 20000;
	struct cache *cache = open_cache(*state, 1);
	struct cache_stat cached;
	struct stat info;
	char name[64];

	for (unsigned i = 0; i < names; i++)
		put(cache, make_name(name, i), 40, 1000000 + (int64_t)(i * 7 % names) * 1000);
	cached = stat_of(cache);
	assert_int_equal(cached.entries + cached.evicted, names);
	assert_true(cached.used_bytes <= cached.max_bytes * 4 / 5);
	assert_true(cached.used_bytes > cached.max_bytes / 2);
	assert_int_equal(stat(path_in(*state, "data.mdb"), &info), 0);
	assert_true(info.st_size <= 1 << 20);
	/* What would end last is kept, what ended long before is gone. */
	for (unsigned i = 0; i < names; i++) {
		enum lookup status = get(cache, make_name(name, i));

		if (i * 7 % names > names - 500)
			assert_int_equal(status, LOOKUP_FOUND);
		if (i * 7 % names < names / 2 && i < names * 9 / 10)
			assert_int_equal(status, LOOKUP_ABSENT);
	}
	cache_close(cache);
}

static void test_bound_with_big_entries(void **state)
{
	struct cache *cache = open_cache(*state, 1);
	struct cache_stat cached;
	char name[64];

	for (unsigned i = 0; i < 500; i++) {
		put(cache, make_name(name, i), i % 3 ? DNS_BYTES_MAX : 40, 1000000 + (int64_t)i);
		assert_int_equal(get(cache, make_name(name, i)), LOOKUP_FOUND);
	}
	cached = stat_of(cache);
	assert_int_equal(cached.entries + cached.evicted, 500);
	assert_true(cached.entries > 20);
	cache_close(cache);
}

/* The same names again and again leave nothing behind in the order of ends. */
static void test_renewals_do_not_pile_up(void **state)
{
	struct cache *cache = open_cache(*state, 1);
	uint64_t used = 0;
	char name[64];

	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < 50; i++)
			put(cache, make_name(name, i), 100, 1000000 + (int64_t)round * 1000);
		if (round == 2)
			used = stat_of(cache).used_bytes;
	}
	assert_int_equal(stat_of(cache).entries, 50);
	assert_int_equal(stat_of(cache).evicted, 0);
	assert_true(stat_of(cache).used_bytes <= used + 32768);
	cache_close(cache);
}

static bool sees_a_and_puts_b(struct cache *cache)
{
	bool sees = get(cache, TEXT("a.example")) == LOOKUP_FOUND;

	put(cache, TEXT("b.example"), 20, 1000);
	return sees;
}

static bool flushes_a(struct cache *cache)
{
	return flush(cache, TEXT("a.example")) == 1;
}

static bool flushes_all(struct cache *cache)
{
	return flush(cache, TEXT("")) == 1;
}

static void test_two_processes(void **state)
{
	struct cache *cache = open_cache(*state, 1);

	put(cache, TEXT("a.example"), 10, 1000);
	assert_true(in_child(*state, sees_a_and_puts_b));
	assert_int_equal(get(cache, TEXT("b.example")), LOOKUP_FOUND);
	assert_true(in_child(*state, flushes_a));
	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_ABSENT);
	assert_int_equal(get(cache, TEXT("b.example")), LOOKUP_FOUND);
	assert_true(in_child(*state, flushes_all));
	assert_int_equal(get(cache, TEXT("b.example")), LOOKUP_ABSENT);
	cache_close(cache);
}

static bool puts_a_anew(struct cache *cache)
{
	put(cache, TEXT("a.example"), 30, 1000);
	return true;
}

/* What this process read before is good for as long as nobody changed anything. */
static void test_reads_what_others_changed(void **state)
{
	struct cache *cache = open_cache(*state, 1);

	put(cache, TEXT("a.example"), 10, 1000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(size_of(cache, TEXT("a.example")), 10);
	assert_true(in_child(*state, puts_a_anew));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(size_of(cache, TEXT("a.example")), 30);
	assert_true(in_child(*state, sees_a_and_puts_b));
	assert_int_equal(size_of(cache, TEXT("a.example")), 30);
	assert_int_equal(size_of(cache, TEXT("b.example")), 20);
	assert_true(in_child(*state, flushes_a));
	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_ABSENT);
	assert_int_equal(size_of(cache, TEXT("b.example")), 20);
	cache_close(cache);
}

static bool puts_many(struct cache *cache)
{
	char name[64];

	for (unsigned i = 0; i < 2000; i++)
		put(cache, make_name(name, i), 500, 1000000 + (int64_t)i);
	return true;
}

/* Four at once open the same fresh folder and write; none harms another. */
static void test_many_open_at_once(void **state)
{
	struct cache *cache;
	pid_t children[4];
	int status;

	for (int i = 0; i < 4; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			_exit(in_child(*state, puts_many) ? 0 : 1);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	cache = open_cache(*state, 1);
	assert_int_equal(get(cache, TEXT("_mc.d1999.example")), LOOKUP_FOUND);
	cache_close(cache);
}

/* Writes `len` bytes of 0xa5 into the database at `at`. */
static void scribble(const char *dir, off_t at, size_t len)
{
	int file = open(path_in(dir, "data.mdb"), O_WRONLY);
	char bytes[4096];

	assert_true(file >= 0);
	memset(bytes, 0xa5, sizeof(bytes));
	for (; len > 0; at += (off_t)sizeof(bytes), len -= sizeof(bytes))
		assert_int_equal(pwrite(file, bytes, sizeof(bytes), at), sizeof(bytes));
	close(file);
}

static void fill(const char *dir)
{
	struct cache *cache = open_cache(dir, 1);
	char name[64];

	for (unsigned i = 0; i < 300; i++)
		put(cache, make_name(name, i), 900, 1000000 + (int64_t)i);
	assert_int_equal(get(cache, make_name(name, 299)), LOOKUP_FOUND);
	cache_close(cache);
}

/* Opens, finds nothing old, and can be used. */
static void assert_anew(const char *dir)
{
	struct cache *cache = open_cache(dir, 1);

	assert_int_equal(stat_of(cache).entries, 0);
	put(cache, TEXT("a.example"), 10, 1000);
	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_FOUND);
	cache_close(cache);
}

static void test_damaged_head(void **state)
{
	fill(*state);
	scribble(*state, 0, 8192);
	assert_anew(*state);
}

static void test_damaged_rows(void **state)
{
	fill(*state);
	scribble(*state, 3 * 4096, 40 * 4096);
	assert_anew(*state);
}

static void test_truncated(void **state)
{
	for (off_t pages = 0; pages < 64; pages += 9) {
		fill(*state);
		assert_int_equal(truncate(path_in(*state, "data.mdb"), pages * 4096), 0);
		assert_anew(*state);
	}
}

static void test_not_a_file(void **state)
{
	fill(*state);
	assert_int_equal(remove(path_in(*state, "data.mdb")), 0);
	assert_int_equal(symlink("/nonexistent/data.mdb", path_in(*state, "data.mdb")), 0);
	assert_anew(*state);
}

/* Of another boot: gone without a look at it. */
static void test_other_boot(void **state)
{
	int mark;

	fill(*state);
	mark = open(path_in(*state, "cache.boot"), O_WRONLY);
	assert_true(mark >= 0);
	assert_int_equal(pwrite(mark, "another boot's..", 16, 0), 16);
	close(mark);
	assert_anew(*state);
}

/* A folder with a database of somebody else is left alone. */
static void test_foreign_database(void **state)
{
	char error[512] = "";
	struct cache *cache;

	fill(*state);
	assert_int_equal(remove(path_in(*state, "cache.boot")), 0);
	assert_int_equal(cache_open(&cache, *state, 1, error, sizeof(error)), ERR_IO);
	assert_null(cache);
	assert_non_null(strstr(error, "no DNS cache"));
	assert_int_equal(access(path_in(*state, "data.mdb"), F_OK), 0);
}

static bool cannot_remove(struct cache *cache)
{
	return get(cache, TEXT("_mc.d299.example")) == LOOKUP_FOUND;
}

/* While another process has the cache open, nothing in the folder is removed. */
static void test_held_by_another(void **state)
{
	struct cache *cache;
	int mark;

	fill(*state);
	cache = open_cache(*state, 1);
	mark = open(path_in(*state, "cache.boot"), O_WRONLY);
	assert_true(mark >= 0);
	assert_int_equal(pwrite(mark, "another boot's..", 16, 0), 16);
	close(mark);
	assert_true(in_child(*state, cannot_remove));
	assert_int_equal(get(cache, TEXT("_mc.d299.example")), LOOKUP_FOUND);
	cache_close(cache);
}

static void assert_refused(const char *dir, const char *because)
{
	char error[512] = "";
	struct cache *cache;

	assert_int_equal(cache_open(&cache, dir, 1, error, sizeof(error)), ERR_IO);
	assert_null(cache);
	if (!strstr(error, dir) || !strstr(error, because))
		fail_msg("%s", error);
}

static void test_bad_folders(void **state)
{
	char path[256];
	int file;

	snprintf(path, sizeof(path), "%s", path_in(*state, "none/cache"));
	assert_refused(path, "cannot be made");
	snprintf(path, sizeof(path), "%s", path_in(*state, "file"));
	file = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(file >= 0);
	close(file);
	assert_refused(path, "no folder");
	assert_int_equal(chmod(*state, 0777), 0);
	assert_refused(*state, "others may write");
	assert_int_equal(chmod(*state, 0770), 0);
	assert_refused(*state, "others may write");
	assert_int_equal(chmod(*state, 0700), 0);
}

static void test_unwritable_folder(void **state)
{
	uid_t user = geteuid();

	assert_int_equal(chmod(*state, 0555), 0);
	assert_int_equal(user == 0 ? seteuid(65534) : 0, 0);
	assert_refused(*state, user == 0 ? "belongs to another user" : "cannot be written");
	assert_int_equal(user == 0 ? seteuid(user) : 0, 0);
	assert_int_equal(chmod(*state, 0700), 0);
}

static int setup_small_disk(void **state)
{
	if (setup(state) != 0)
		return -1;
	if (geteuid() == 0 && mount("tmpfs", *state, "tmpfs", 0, "size=512k,mode=0700") == 0)
		return 0;
	teardown(state);
	*state = NULL;
	return 0;
}

static int teardown_small_disk(void **state)
{
	if (!*state)
		return 0;
	umount2(*state, MNT_DETACH);
	return teardown(state);
}

/* A disk smaller than cache_max_mb: what is there stays readable, new ones come in or do not, and
 * nothing fails. */
static void test_full_disk(void **state)
{
	struct cache *cache;
	char name[64];

	if (!*state)
		skip();
	cache = open_cache(*state, 64);
	for (unsigned i = 0; i < 2000; i++)
		put(cache, make_name(name, i), 900, 1000000 + (int64_t)i);
	assert_int_equal(get(cache, make_name(name, 1999)), LOOKUP_FOUND);
	assert_int_equal(get(cache, make_name(name, 1900)), LOOKUP_FOUND);
	assert_true(flush(cache, TEXT("")) > 100);
	put(cache, TEXT("a.example"), 10, 1000);
	assert_int_equal(get(cache, TEXT("a.example")), LOOKUP_FOUND);
	cache_close(cache);
}

static void test_now(void **state)
{
	int64_t now_ms = cache_now_ms();

	(void)state;
	assert_true(now_ms > 0);
	assert_true(cache_now_ms() >= now_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_get),
		TEST(test_names_of_any_length),
		cmocka_unit_test(test_no_cache),
		TEST(test_stat),
		TEST(test_flush),
		TEST(test_bound),
		TEST(test_bound_with_big_entries),
		TEST(test_renewals_do_not_pile_up),
		TEST(test_two_processes),
		TEST(test_reads_what_others_changed),
		TEST(test_many_open_at_once),
		TEST(test_damaged_head),
		TEST(test_damaged_rows),
		TEST(test_truncated),
		TEST(test_not_a_file),
		TEST(test_other_boot),
		TEST(test_foreign_database),
		TEST(test_held_by_another),
		TEST(test_bad_folders),
		TEST(test_unwritable_folder),
		cmocka_unit_test_setup_teardown(
			test_full_disk, setup_small_disk, teardown_small_disk),
		cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The folder of the DNS cache: what its path leads to, and a disk that is full, where a mapped file
 * without its pages would be the end of the process (SIGBUS).
 *
 * The small disks are tmpfs in a mount namespace of this program's own; skipped, with the reason,
 * where that is not permitted.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/data/cache.h"
#include "policy/data/cache_folder.h"

#define LOCK_FILE_BYTES 16384
#define DISK_PAGES      64
#define DISK            "size=256k,mode=0700"
#define PAGE            4096

struct world {
	char dir[64];
	bool has_disk;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	snprintf(world->dir, sizeof(world->dir), "/tmp/policyd-folder-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	*state = world;
	return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	struct world *world = *state;
	int code;

	if (world->has_disk)
		umount2(world->dir, MNT_DETACH);
	code = nftw(world->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(world);
	return code;
}

static const char *path_in(const struct world *world, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", world->dir, file);
	return path;
}

static void need_small_disk(struct world *world)
{
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("tmpfs", world->dir, "tmpfs", 0, DISK) == 0) {
		world->has_disk = true;
		return;
	}
	printf("skipped: no tmpfs can be mounted here: %s\n", strerror(errno));
	skip();
}

/* Takes every page of the disk but these. */
static void fill(const struct world *world, unsigned pages_left)
{
	static const char page[PAGE];
	int fd = open(path_in(world, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t size = 0;

	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) == (ssize_t)sizeof(page))
		size += PAGE;
	assert_int_equal(errno, ENOSPC);
	assert_in_range(size, (pages_left + 1) * PAGE, DISK_PAGES * PAGE);
	assert_int_equal(ftruncate(fd, size - pages_left * PAGE), 0);
	close(fd);
}

static struct cache_folder take(const struct world *world)
{
	struct cache_folder folder;
	char error[512] = "";

	if (cache_folder_take(&folder, world->dir, error, sizeof(error)) != ERR_OK)
		fail_msg("%s", error);
	assert_true(folder.is_alone);
	return folder;
}

static void test_reserve_takes_the_room(void **state)
{
	struct world *world = *state;
	struct cache_folder folder;
	struct stat info;

	need_small_disk(world);
	folder = take(world);
	assert_int_equal(cache_folder_reserve(&folder), ERR_OK);
	assert_int_equal(stat(path_in(world, "lock.mdb"), &info), 0);
	assert_int_equal(info.st_size, LOCK_FILE_BYTES);
	assert_true(info.st_blocks * 512 >= LOCK_FILE_BYTES);
	fill(world, 0);
	assert_int_equal(cache_folder_reserve(&folder), ERR_OK);
	cache_folder_release(&folder);
}

static void test_reserve_on_a_full_disk(void **state)
{
	struct world *world = *state;
	struct cache_folder folder;

	need_small_disk(world);
	folder = take(world);
	fill(world, LOCK_FILE_BYTES / PAGE - 1);
	assert_int_equal(cache_folder_reserve(&folder), ERR_FULL);
	assert_int_equal(unlink(path_in(world, "filler")), 0);
	fill(world, LOCK_FILE_BYTES / PAGE);
	assert_int_equal(cache_folder_reserve(&folder), ERR_OK);
	cache_folder_release(&folder);
}

static void test_reserve_without_a_folder(void **state)
{
	struct cache_folder folder = {.dir = "/nonexistent/policyd", .mark = -1};

	(void)state;
	assert_int_equal(cache_folder_reserve(&folder), ERR_IO);
}

/* Opens the cache, uses it, forgets it; 0: it worked, 1: it could not be opened, and says why. */
static int use_cache(const struct world *world)
{
	struct dns_answer answer = {.status = LOOKUP_ABSENT, .ttl_s = 100};
	struct cache_rules rules = {.max_ttl_s = 100, .negative_max_ttl_s = 100};
	static struct cache_entry entry, got;
	char error[512] = "";
	struct cache *cache;

	if (cache_open(&cache, world->dir, 16, error, sizeof(error)) != ERR_OK)
		return *error ? 1 : 2;
	cache_entry_update(&entry, NULL, &answer, 1000, &rules);
	for (int i = 0; i < 20; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "n%d.example", i);

		cache_put(cache, (struct text){name, (size_t)len}, &entry);
		(void)!cache_get(cache, (struct text){name, (size_t)len}, &got);
	}
	cache_close(cache);
	return 0;
}

static int use_cache_in_child(const struct world *world)
{
	pid_t child = fork();
	int status = -1;

	assert_true(child >= 0);
	if (child == 0) {
		(void)signal(SIGBUS, SIG_DFL); /* cmocka would go on with the next test here */
		_exit(use_cache(world));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* However little room there is: a cache, or none and a sentence; no signal. */
static void test_cache_on_a_disk_that_is_almost_full(void **state)
{
	struct world *world = *state;
	unsigned opened = 0, refused = 0;

	need_small_disk(world);
	for (unsigned pages = 0; pages < DISK_PAGES / 2; pages++) {
		int status;

		fill(world, pages);
		status = use_cache_in_child(world);
		if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
			fail_msg("%u pages left: ended with status %x", pages, (unsigned)status);
		opened += WEXITSTATUS(status) == 0;
		refused += WEXITSTATUS(status) == 1;
		for (const char *const *file = (const char *const[]){"filler", "data.mdb",
			     "lock.mdb", "cache.boot", NULL};
			*file; file++)
			(void)unlink(path_in(world, *file));
	}
	assert_true(opened > 0);
	assert_true(refused > 0);
}

static void write_data(const struct world *world)
{
	int fd = open(path_in(world, "data.mdb"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void assert_place(const struct cache_folder_place *place, const char *path)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	assert_true(place->dev == info.st_dev && place->ino == info.st_ino &&
		    place->owner == info.st_uid && place->mode == info.st_mode);
}

static void test_look(void **state)
{
	static const struct cache_folder_place none;
	struct world *world = *state;
	struct cache_folder_view first, second;
	char away[80];

	snprintf(away, sizeof(away), "%s.away", world->dir);
	write_data(world);
	cache_folder_look(world->dir, &first);
	assert_place(&first.parent, "/tmp");
	assert_place(&first.folder, world->dir);
	assert_place(&first.data, path_in(world, "data.mdb"));
	assert_int_equal(chmod(world->dir, 0750), 0);
	assert_int_equal(rename(path_in(world, "data.mdb"), away), 0);
	cache_folder_look(world->dir, &second);
	assert_true(cache_folder_is_same(&first.parent, &second.parent));
	assert_false(cache_folder_is_same(&first.folder, &second.folder));
	assert_true(cache_folder_is_same(&second.data, &none));
	write_data(world);
	cache_folder_look(world->dir, &second);
	assert_false(cache_folder_is_same(&first.data, &second.data));
	assert_false(cache_folder_is_same(&second.data, &none));
	assert_int_equal(rename(away, path_in(world, "data.mdb")), 0);
	cache_folder_look(world->dir, &second);
	assert_true(cache_folder_is_same(&first.data, &second.data));
}

static void test_look_at_paths(void **state)
{
	static const struct {
		const char *dir, *parent;
	} rows[] = {{"/usr/bin///", "/usr"}, {"/usr", "/"}, {"/", "/"}, {"policy", "."},
		{"policy/data", "policy"}, {"/usr/no-such-folder", "/usr"}};
	struct cache_folder_view view;
	char endless[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cache_folder_look(rows[i].dir, &view);
		assert_place(&view.parent, rows[i].parent);
	}
	memset(endless, '/', sizeof(endless));
	endless[sizeof(endless) - 2] = 'x';
	endless[sizeof(endless) - 1] = '\0';
	cache_folder_look(endless, &view);
	assert_int_equal(view.data.ino, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reserve_takes_the_room),
		TEST(test_reserve_on_a_full_disk),
		TEST(test_reserve_without_a_folder),
		TEST(test_cache_on_a_disk_that_is_almost_full),
		TEST(test_look),
		TEST(test_look_at_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The ownership register when the world is unkind: flipped bits, a cut file, a full map, another
 * format, parts that are gone. What is damaged is never taken for absent where it can be told. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "policy/core/seal.h"
#include "policy/data/store.h"
#include "tests/unit/registry_fixture.h"

#define CLAIMS    60
#define LMDB_META 8192 /* LMDB's own two pages; what is flipped there it takes for an older state */
#define DBS                                                                                        \
	{                                                                                          \
		"meta", "claims", "senders", "due", "tenants", "accounts", "audit"                 \
	}

enum { DB_META, DB_CLAIMS, DB_SENDERS, DB_DUE, DB_TENANTS, DB_ACCOUNTS, DB_AUDIT };

struct file {
	char path[128];
	size_t size;
	char *bytes;
};

static void read_data(const char *dir, struct file *file)
{
	struct stat info;
	int fd;

	snprintf(file->path, sizeof(file->path), "%s/register/data.mdb", dir);
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

/* Every odd claim is in force; each names one sender; all logins have a tenant. */
static void make_register(const char *dir, struct file *file)
{
	struct registry *registry = registry_fixture_open(dir, false);
	struct registry_change changes[CLAIMS];
	struct registry_outcome outcomes[CLAIMS];
	struct registry_delta delta;
	char domains[CLAIMS][32];

	for (int i = 0; i < CLAIMS; i++) {
		snprintf(domains[i], sizeof(domains[i]), "domain%d.example", i);
		changes[i] = fixture_change(i % 2 ? CLAIM_PIN : CLAIM_ADD, domains[i], "t1");
	}
	assert_int_equal(registry_change_all(registry, changes, CLAIMS, outcomes), ERR_OK);
	for (int i = 0; i < CLAIMS; i++)
		fixture_allow(registry, domains[i], "t1", "joe@x.example");
	fixture_load(registry, REGISTRY_TENANTS, REGISTRY_REPLACE, "@x.example t1", &delta);
	registry_close(registry);
	if (file)
		read_data(dir, file);
}

enum { PROBE_RIGHT = 0, PROBE_FAILED = 1, PROBE_WRONG = 2 };

static int probe_claim(struct registry *registry, int i)
{
	struct ownership_fact fact;
	char sender[64];

	snprintf(sender, sizeof(sender), "a@domain%d.example", i);
	fact = fixture_fact(registry, "joe@x.example", sender);
	if (fact.status == LOOKUP_FAILED)
		return strstr(registry_error(registry), "/register: ") &&
				       strstr(registry_error(registry), "restore a backup")
			       ? PROBE_FAILED
			       : PROBE_WRONG;
	if (fact.status != LOOKUP_FOUND || strcmp(fact.tenant, "t1") != 0)
		return PROBE_WRONG;
	if (i % 2 == 0)
		return fact.own == CLAIM_PENDING ? PROBE_RIGHT : PROBE_WRONG;
	return fact.force == CLAIM_PINNED && fact.sender == SENDER_ALLOWED ? PROBE_RIGHT
									   : PROBE_WRONG;
}

/* What kills a child is not to be told by cmocka's handlers. */
static void become_child(void)
{
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	if (!freopen("/dev/null", "w", stderr))
		_exit(PROBE_WRONG);
}

/* Asks for every claim in a process that may die of it; the signal counts as FAILED. */
static int probe(const char *dir)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char error[REGISTRY_ERROR_MAX];
		struct registry *registry;
		int seen = PROBE_RIGHT;

		become_child();
		if (registry_open(&registry, dir, REGISTRY_MAP_MB, true, error) != ERR_OK)
			_exit(PROBE_FAILED);
		for (int i = 0; i < CLAIMS; i++)
			seen |= probe_claim(registry, i);
		_exit(seen);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) <= 3 ? WEXITSTATUS(status) : PROBE_FAILED;
}

static enum err verify_quietly(const char *dir, char error[REGISTRY_ERROR_MAX])
{
	int kept = dup(2), null = open("/dev/null", O_WRONLY);
	enum err err;

	dup2(null, 2); /* LMDB's assertions speak up on it */
	err = registry_verify_in_child(dir, REGISTRY_MAP_MB, error);
	dup2(kept, 2);
	close(kept);
	close(null);
	return err;
}

/* Wherever a bit flips: what verifies answers right. */
static void test_flips_anywhere(void **state)
{
	char error[REGISTRY_ERROR_MAX];
	struct file file;
	int damaged = 0;

	srand(5);
	make_register(*state, &file);
	assert_int_equal(probe(*state), PROBE_RIGHT);
	for (int i = 0; i < 400; i++) {
		size_t at = LMDB_META + (size_t)rand() % (file.size - LMDB_META);

		flip(&file, at, (unsigned)rand() % 8);
		if (verify_quietly(*state, error) == ERR_OK)
			assert_int_equal(probe(*state), PROBE_RIGHT);
		else
			damaged++;
		restore(&file, at);
	}
	assert_true(damaged > 20);
	assert_int_equal(verify_quietly(*state, error), ERR_OK);
	free(file.bytes);
}

/* Flips one bit wherever the file has these bytes: LMDB's pages keep stale copies. */
static void flip_bytes(const struct file *file, const char *needle, size_t len, bool is_back)
{
	const char *hit = file->bytes;
	size_t hits = 0;

	while ((hit = memmem(hit, file->size - (size_t)(hit - file->bytes), needle, len)) != NULL) {
		size_t at = (size_t)(hit - file->bytes) + len - 1;

		if (is_back)
			restore(file, at);
		else
			flip(file, at, 3);
		hits++;
		hit++;
	}
	assert_true(hits > 0);
}

/* In values of each kind: FAILED for whoever asks, verified or not. */
static void test_flips_in_values(void **state)
{
	static const struct {
		struct text bytes;
		bool is_asked; /* what the fact of a sender needs */
	} values[] = {
		{TEXT("pinned by hand"), true}, /* claims */
		{TEXT("\x05"
		      "alice"),
			true},                        /* senders, audit */
		{TEXT("\x0a@x.example\x02t1"), true}, /* tenants */
		{TEXT("domain allow"), false},        /* audit */
		{TEXT("none\x07pending"), false},     /* audit */
	};
	char error[REGISTRY_ERROR_MAX];
	struct file file;

	make_register(*state, &file);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		flip_bytes(&file, values[i].bytes.ptr, values[i].bytes.len, false);
		if (values[i].is_asked &&
			(probe(*state) & (PROBE_FAILED | PROBE_WRONG)) != PROBE_FAILED)
			fail_msg("value %zu: %d", i, probe(*state));
		assert_int_equal(verify_quietly(*state, error), ERR_DAMAGED);
		assert_non_null(strstr(error, "/register: "));
		assert_non_null(strstr(error, "restore a backup"));
		flip_bytes(&file, values[i].bytes.ptr, values[i].bytes.len, true);
	}
	assert_int_equal(verify_quietly(*state, error), ERR_OK);
	free(file.bytes);
}

/* A change that meets damage takes everything back. */
static void test_change_of_a_damaged_claim(void **state)
{
	struct registry_change changes[2] = {fixture_change(CLAIM_ADD, "new.example", "t1"),
		fixture_change(CLAIM_REMOVE, "domain1.example", "t1")};
	struct registry_outcome outcomes[2];
	struct registry *registry;
	struct file file;

	make_register(*state, &file);
	flip_bytes(&file, "pinned by hand", 14, false);
	registry = registry_fixture_open(*state, false);
	assert_int_equal(registry_change_all(registry, changes, 2, outcomes), ERR_DAMAGED);
	assert_non_null(strstr(registry_error(registry), "domain1.example"));
	assert_int_equal(fixture_state(registry, "new.example", "t1"), CLAIM_NONE);
	registry_close(registry);
	free(file.bytes);
}

static void test_truncated_file(void **state)
{
	char error[REGISTRY_ERROR_MAX] = "";
	struct file file;

	make_register(*state, &file);
	assert_int_equal(truncate(file.path, (off_t)(file.size / 8192 * 4096)), 0);
	assert_int_equal(verify_quietly(*state, error), ERR_DAMAGED);
	assert_non_null(strstr(error, "restore a backup"));
	assert_int_not_equal(probe(*state), PROBE_RIGHT);
	free(file.bytes);
}

static void test_full_map(void **state)
{
	char error[REGISTRY_ERROR_MAX] = "", domain[64];
	struct registry *registry;
	struct registry_change change;
	struct registry_outcome outcome;
	enum err err = ERR_OK;
	int i;

	assert_int_equal(registry_open(&registry, *state, 1, false, error), ERR_OK);
	for (i = 0; i < 10000 && err == ERR_OK; i++) {
		snprintf(domain, sizeof(domain), "domain%d.example", i);
		change = fixture_change(CLAIM_ADD, domain, "t1");
		err = registry_change(registry, &change, &outcome);
	}
	assert_int_equal(err, ERR_FULL);
	assert_non_null(strstr(registry_error(registry), "raise register_max_mb"));
	assert_int_equal(fixture_state(registry, domain, "t1"), CLAIM_NONE);
	assert_int_equal(fixture_state(registry, "domain0.example", "t1"), CLAIM_PENDING);
	registry_close(registry);
	expect_registry_whole(*state);
	registry = registry_fixture_open(*state, false);
	assert_int_equal(fixture_event(registry, CLAIM_ADD, domain, "t1").after, CLAIM_PENDING);
	registry_close(registry);
}

/* ---- values that no code of ours wrote, or took away ---- */

static void edit_store(
	const char *dir, unsigned db, struct text key, const uint8_t *payload, size_t len)
{
	char path[128];
	struct store_options options = {.dir = path, .map_bytes = 1 << 22, .dbs = DBS};
	uint8_t value[64] = {0};
	struct store *store;

	snprintf(path, sizeof(path), "%s/register", dir);
	assert_int_equal(store_open(&store, &options, NULL, 0), ERR_OK);
	assert_int_equal(store_write_begin(store), ERR_OK);
	if (payload) {
		memcpy(value + SEAL_SIZE, payload, len);
		seal_close(REGISTRY_VERSION, 0, key, value, len);
		assert_int_equal(store_put(store, db, key,
					 (struct text){(const char *)value, SEAL_SIZE + len}),
			ERR_OK);
	} else {
		assert_int_equal(store_delete(store, db, key), ERR_OK);
	}
	assert_int_equal(store_write_commit(store), ERR_OK);
	store_close(store);
}

static struct text text_of_key(const struct registry_key *key)
{
	return (struct text){(const char *)key->bytes, key->len};
}

static void test_other_format(void **state)
{
	char error[REGISTRY_ERROR_MAX] = "";
	struct registry *registry;

	make_register(*state, NULL);
	edit_store(*state, DB_META, TEXT("register"), (const uint8_t *)"\x09", 1);
	assert_int_equal(
		registry_open(&registry, *state, REGISTRY_MAP_MB, true, error), ERR_VERSION);
	assert_non_null(strstr(error, "format 9"));
	assert_int_equal(
		registry_open(&registry, *state, REGISTRY_MAP_MB, false, error), ERR_VERSION);
	assert_null(registry);
}

/* A register without its meta record is damaged, not a new one. */
static void test_meta_is_gone(void **state)
{
	char error[REGISTRY_ERROR_MAX] = "";
	struct registry *registry;

	make_register(*state, NULL);
	edit_store(*state, DB_META, TEXT("register"), NULL, 0);
	assert_int_equal(
		registry_open(&registry, *state, REGISTRY_MAP_MB, true, error), ERR_DAMAGED);
	assert_int_equal(
		registry_open(&registry, *state, REGISTRY_MAP_MB, false, error), ERR_DAMAGED);
	assert_non_null(strstr(error, "restore a backup"));
}

static void expect_damage(const char *dir, const char *what)
{
	char error[REGISTRY_ERROR_MAX] = "";

	assert_int_equal(registry_verify(dir, REGISTRY_MAP_MB, error), ERR_DAMAGED);
	if (!strstr(error, what))
		fail_msg("\"%s\" without \"%s\"", error, what);
}

static void test_audit_line_is_gone(void **state)
{
	struct registry_key key;

	make_register(*state, NULL);
	registry_key_of_number(3, &key);
	edit_store(*state, DB_AUDIT, text_of_key(&key), NULL, 0);
	expect_damage(*state, "audit");
}

static void test_audit_meta_is_gone(void **state)
{
	struct registry_change change = fixture_change(CLAIM_ADD, "b.example", "t1");
	struct registry_outcome outcome;
	struct registry *registry;

	make_register(*state, NULL);
	edit_store(*state, DB_META, TEXT("audit"), NULL, 0);
	expect_damage(*state, "meta record");
	registry = registry_fixture_open(*state, false);
	assert_int_equal(registry_change(registry, &change, &outcome), ERR_DAMAGED);
	registry_close(registry);
}

static void test_claim_that_is_not_due(void **state)
{
	struct registry *registry;
	struct registry_key key;
	struct claim claim;

	make_register(*state, NULL);
	registry = registry_fixture_open(*state, true);
	claim = fixture_claim(registry, "domain0.example", "t1");
	registry_close(registry);
	registry_key_of_due(claim.life.next_check, TEXT("domain0.example"), TEXT("t1"), &key);
	edit_store(*state, DB_DUE, text_of_key(&key), NULL, 0);
	expect_damage(*state, "domain0.example");
	registry_key_of_due(claim.life.next_check, TEXT("domain1.example"), TEXT("t1"), &key);
	edit_store(*state, DB_DUE, text_of_key(&key), (const uint8_t *)"", 0);
	expect_damage(*state, "domain0.example");
}

static void test_due_without_a_claim(void **state)
{
	struct registry_key key;

	make_register(*state, NULL);
	registry_key_of_due(NOW, TEXT("nobody.example"), TEXT("t1"), &key);
	edit_store(*state, DB_DUE, text_of_key(&key), (const uint8_t *)"", 0);
	expect_damage(*state, "due");
}

/* It keeps no other one waiting; the walk finds it. */
static void test_due_entry_that_cannot_be_read(void **state)
{
	struct due_claim due[CLAIMS + 1];
	struct due_list list = {
		.now = NOW + 600, .horizon = INT64_MAX, .claims = due, .cap = CLAIMS + 1};
	struct registry *registry = NULL;
	struct registry_key key;
	size_t before;

	make_register(*state, NULL);
	registry = registry_fixture_open(*state, true);
	assert_true(registry_begin(registry));
	assert_int_equal(registry_due(registry, &list), LOOKUP_FOUND);
	before = list.count;
	assert_true(before > 0);
	registry_close(registry);
	registry_key_of_due(1, TEXT("domain0.example"), TEXT("no tenant"), &key);
	edit_store(*state, DB_DUE, text_of_key(&key), (const uint8_t *)"", 0);
	registry_key_of_due(2, TEXT("domain0.example"), TEXT("t1"), &key);
	edit_store(*state, DB_DUE, text_of_key(&key), (const uint8_t *)"", 0);
	registry = registry_fixture_open(*state, true);
	assert_true(registry_begin(registry));
	assert_int_equal(registry_due(registry, &list), LOOKUP_FOUND);
	assert_int_equal(list.count, before + 1);
	assert_int_equal(list.damaged, 1);
	assert_non_null(strstr(registry_error(registry), "due entry"));
	registry_close(registry);
	expect_damage(*state, "due entry");
}

static void test_senders_that_are_not_counted(void **state)
{
	uint8_t payload[64];
	struct sender_entry entry = {.login = TEXT("eve@x.example")};
	size_t len = sender_entry_encode(&entry, payload, sizeof(payload));
	struct registry_key key;

	make_register(*state, NULL);
	registry_key_of_sender(TEXT("nobody.example"), TEXT("t1"), entry.login, entry.local, &key);
	edit_store(*state, DB_SENDERS, text_of_key(&key), payload, len);
	expect_damage(*state, "senders");
	edit_store(*state, DB_SENDERS, text_of_key(&key), NULL, 0);
	expect_registry_whole(*state);
	registry_key_of_sender(TEXT("domain1.example"), TEXT("t1"), entry.login, entry.local, &key);
	edit_store(*state, DB_SENDERS, text_of_key(&key), payload, len);
	expect_damage(*state, "domain1.example");
	edit_store(*state, DB_SENDERS, text_of_key(&key), NULL, 0);
	registry_key_of_sender(
		TEXT("domain1.example"), TEXT("t1"), TEXT("joe@x.example"), TEXT(""), &key);
	edit_store(*state, DB_SENDERS, text_of_key(&key), NULL, 0);
	expect_damage(*state, "domain1.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_flips_anywhere),
		FIXTURE_TEST(test_flips_in_values),
		FIXTURE_TEST(test_change_of_a_damaged_claim),
		FIXTURE_TEST(test_truncated_file),
		FIXTURE_TEST(test_full_map),
		FIXTURE_TEST(test_other_format),
		FIXTURE_TEST(test_meta_is_gone),
		FIXTURE_TEST(test_audit_line_is_gone),
		FIXTURE_TEST(test_audit_meta_is_gone),
		FIXTURE_TEST(test_claim_that_is_not_due),
		FIXTURE_TEST(test_due_without_a_claim),
		FIXTURE_TEST(test_due_entry_that_cannot_be_read),
		FIXTURE_TEST(test_senders_that_are_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

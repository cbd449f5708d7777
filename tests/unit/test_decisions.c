/*
 * Runs the rows of tests/decision/: each is judged twice, over a table and a register in memory
 * (which can fail on demand) and through a session over real ones in LMDB.
 *
 *   set KEY = VALUE          an option for the rows below: of [match], mode, or SECTION.KEY
 *   dns NAME = SPEC          what the DNS says to NAME: a TXT record (more lines, more records),
 *                            NXDOMAIN, failed, limit; `stale` before it: only a stale answer.
 *                            Without a line: NXDOMAIN
 *   claim DOMAIN TENANT STATE, allow DOMAIN TENANT LOGIN[ LOCAL] [pending], tenant LOGIN TENANT
 *                            what the ownership register holds; LOGIN may be @login-domain
 *   register damaged         it cannot be read
 *   register empty           nobody claimed anything, or did
 *   reset                    back to the defaults, register empty
 *   VERDICT REASON | login | sender | table | sentence
 *
 * VERDICT: DUNNO, REJECT, DEFER, or monitor:REJECT, monitor:DEFER. login `-`: nobody. sender `<>`:
 * the null sender. state=NAME before the verdict asks in another protocol state. It is 2026-06-15
 * 12:00:00 UTC.
 */
#include "policy/data/authz_load.h"
#include "policy/data/unicode.h"
#include "policy/engine/config.h"
#include "policy/engine/session.h"
#include "tests/fake/fake_registry.h"
#include "tests/fake/fake_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW           INT64_C(1781524800)
#define OVERRIDES_MAX 32
#define COLUMNS       5
#define NAMES_MAX     32

struct name {
	char name[DNS_NAME_MAX + 1];
	struct dns_answer answer;
	bool is_stale;
};

struct run {
	const char *file;
	unsigned line;
	unsigned passed, failed;
	char overrides[OVERRIDES_MAX][256];
	size_t override_count;
	struct config *config;
	size_t name_count;
	struct name names[NAMES_MAX];
	struct fake_registry registry;
	struct registry *stored; /* the same in LMDB; NULL: not made since it changed last */
	char dir[64];            /* parent of the state folders */
	unsigned tables;
};

struct row {
	char verdict[96];
	char login[LOGIN_MAX];
	char sender[4096];
	struct text table;
	struct text sentence;
	char state[128];
};

/* The sessions stand still in time, and nobody asks the DNS through them. */
static int64_t now_s(void *ctx)
{
	(void)ctx;
	return NOW;
}

static void complain(struct run *run, const char *what, const char *detail)
{
	printf("%s:%u: %s: %s\n", run->file, run->line, what, detail);
	run->failed++;
}

static void on_config_error(void *ctx, const char *sentence)
{
	complain(ctx, "set", sentence);
}

static void reconfigure(struct run *run)
{
	const char *overrides[OVERRIDES_MAX];
	struct config_source source = {
		.overrides = overrides, .on_error = on_config_error, .ctx = run};

	for (size_t i = 0; i < run->override_count; i++)
		overrides[i] = run->overrides[i];
	source.override_count = run->override_count;
	config_free(run->config);
	run->config = NULL;
	if (config_read_text(&run->config, TEXT(""), &source) != ERR_OK)
		complain(run, "set", "the configuration is not valid");
}

static void do_set(struct run *run, char *text)
{
	char *equals = strchr(text, '=');
	const char *section = strncmp(text, "mo", 2) == 0 ? "policyd" : "match";
	size_t key_len;

	if (!equals || run->override_count == OVERRIDES_MAX) {
		complain(run, "set", "KEY = VALUE is allowed");
		return;
	}
	key_len = strcspn(text, " =");
	equals++;
	equals += strspn(equals, " ");
	snprintf(run->overrides[run->override_count++], sizeof(run->overrides[0]), "%s%s%.*s=%s",
		memchr(text, '.', key_len) ? "" : section, memchr(text, '.', key_len) ? "" : ".",
		(int)key_len, text, equals);
	reconfigure(run);
}

static struct name *name_of(struct run *run, const char *text)
{
	for (size_t i = 0; i < run->name_count; i++)
		if (strcmp(run->names[i].name, text) == 0)
			return &run->names[i];
	if (run->name_count == NAMES_MAX)
		return NULL;
	struct name *name = &run->names[run->name_count++];
	snprintf(name->name, sizeof(name->name), "%s", text);
	dns_answer_clear(&name->answer, DNS_FAILURE_TIMEOUT);
	name->is_stale = false;
	return name;
}

static void set_answer(struct run *run, struct dns_answer *answer, const char *spec)
{
	if (strcmp(spec, "failed") == 0) {
		dns_answer_clear(answer, DNS_FAILURE_TIMEOUT);
		return;
	}
	if (strcmp(spec, "limit") == 0) {
		dns_answer_clear(answer, DNS_FAILURE_LIMIT);
		return;
	}
	answer->failure = DNS_FAILURE_NONE;
	answer->status = LOOKUP_ABSENT;
	if (strcmp(spec, "NXDOMAIN") == 0)
		return;
	answer->status = LOOKUP_FOUND;
	if (!dns_answer_add(answer, text_of(spec)))
		complain(run, "dns", "no room");
}

/* dns NAME = [stale ]SPEC */
static void do_dns(struct run *run, char *text)
{
	char *equals = strstr(text, " = ");
	struct name *name;

	if (equals)
		*equals = 0;
	name = equals ? name_of(run, text) : NULL;
	if (!name) {
		complain(run, "dns", "NAME = SPEC is allowed, for 32 names");
		return;
	}
	text = equals + 3;
	name->is_stale = strncmp(text, "stale ", 6) == 0;
	set_answer(run, &name->answer, name->is_stale ? text + 6 : text);
}

static void fact_of(const struct run *run, struct text name, struct lockdown_fact *fact)
{
	static const struct dns_answer absent = {.status = LOOKUP_ABSENT};

	*fact = (struct lockdown_fact){.answer = &absent};
	for (size_t i = 0; i < run->name_count; i++)
		if (text_equal(text_of(run->names[i].name), name))
			*fact = (struct lockdown_fact){
				&run->names[i].answer, run->names[i].is_stale};
}

static struct request request_of(const struct row *row)
{
	struct request request = {0};

	request.attr[ATTR_REQUEST] = TEXT("smtpd_access_policy");
	request.attr[ATTR_PROTOCOL_STATE] = text_of(row->state);
	request.attr[ATTR_SENDER] = text_of(row->sender);
	request.attr[ATTR_SASL_USERNAME] = text_of(row->login);
	return request;
}

static void compare(
	struct run *run, const struct row *row, const struct verdict *verdict, const char *by)
{
	char got[96], detail[400];

	snprintf(got, sizeof(got), "%s%s %s", verdict->monitored ? "monitor:" : "",
		action_name(verdict->action), reason_name(verdict->reason));
	if (strcmp(got, row->verdict) == 0) {
		run->passed++;
		return;
	}
	snprintf(detail, sizeof(detail), "expected %s, got %s, %.*s", row->verdict, got,
		TEXT_ARG(row->sentence));
	complain(run, by, detail);
}

static void judge_in_memory(struct run *run, const struct row *row, const struct fake_table *table)
{
	static struct decision decision;
	static struct table_facts facts;
	struct request request = request_of(row);
	enum need need = decision_start(&decision, &run->config->settings, &request, NOW, NULL);

	while (need != NEED_NOTHING) {
		struct lockdown_fact fact;
		struct ownership_fact ownership;
		if (need == NEED_OWNERSHIP) {
			fake_registry_find(&run->registry, &decision.ownership, &ownership);
			need = decision_give_ownership(&decision, &ownership);
			continue;
		}
		if (need == NEED_LOCKDOWN) {
			fact_of(run, decision.lockdown_name, &fact);
			need = decision_give_lockdown(&decision, &fact);
			continue;
		}
		facts.table = table->state;
		facts.count = 0;
		if (table->state == LOOKUP_FOUND)
			fake_table_find(table, &decision, &facts);
		need = decision_give_table(&decision, &facts);
	}
	compare(run, row, &decision.verdict, "in memory");
}

static bool load(struct run *run, const struct fake_table *table, struct authz *authz)
{
	static struct pattern pattern;
	static struct owner owner;
	char error[AUTHZ_ERROR_MAX] = "";
	struct pairs *pairs;
	bool is_loaded;

	if (pairs_new(&pairs) != ERR_OK)
		return false;
	for (size_t i = 0; i < table->count; i++) {
		const struct row_entry *entry = &table->rows[i].entry;
		if (pattern_parse(&unicode_ops, entry->pattern, &pattern) ||
			owner_parse(&unicode_ops, entry->owner, &owner) ||
			pairs_add(pairs, &pattern, &owner, entry, 1) != ERR_OK)
			complain(run, "table", "a row cannot be loaded");
	}
	is_loaded = pairs_sort(pairs) == ERR_OK;
	pairs_unique(pairs, NULL, NULL);
	is_loaded = is_loaded && authz_replace(authz, pairs, NOW, NULL, error) == ERR_OK;
	if (!is_loaded)
		complain(run, "load", error);
	pairs_free(pairs);
	return is_loaded;
}

static bool has_registry(const struct run *run)
{
	return run->registry.claim_count + run->registry.tenant_count > 0;
}

/* Made once for all rows until it changes. */
static bool store_registry(struct run *run)
{
	char dir[96], error[REGISTRY_ERROR_MAX] = "";
	const char *wrong = error;

	if (run->stored || !has_registry(run))
		return true;
	snprintf(dir, sizeof(dir), "%s/%u", run->dir, run->tables++);
	if (mkdir(dir, 0700) == 0 && registry_open(&run->stored, dir, 16, false, error) == ERR_OK)
		wrong = fake_registry_store(&run->registry, run->stored, NOW);
	if (wrong)
		complain(run, "register", wrong);
	return !wrong;
}

static void do_registry(struct run *run, const char *wrong)
{
	registry_close(run->stored);
	run->stored = NULL;
	if (wrong)
		complain(run, "register", wrong);
}

static void judge_in_lmdb(struct run *run, const struct row *row, const struct fake_table *table)
{
	char dir[96], error[AUTHZ_ERROR_MAX] = "";
	struct request request = request_of(row);
	struct session_answer answer;
	struct session_parts parts = {.settings = &run->config->settings,
		.replies = &run->config->replies,
		.clock = {.unix_s = now_s, .steady_ms = now_s}};
	struct session *session = NULL;

	if (!store_registry(run))
		return;
	parts.registry = run->stored;
	snprintf(dir, sizeof(dir), "%s/%u", run->dir, run->tables++);
	if (authz_open(&parts.authz, dir, 16, false, error, sizeof(error)) != ERR_OK) {
		complain(run, "open", error);
		return;
	}
	if ((table->state == LOOKUP_ABSENT || load(run, table, parts.authz)) &&
		session_new(&session, &parts, 1) == ERR_OK) {
		session_trust_registry(
			session, run->registry.is_damaged ? REGISTRY_DAMAGED : REGISTRY_TRUSTED);
		(void)session_ask(session, &request, NULL, &answer);
		compare(run, row, answer.verdict, "in LMDB");
	}
	session_free(session);
	authz_close(parts.authz);
}

static bool can_be_stored(const struct fake_table *table)
{
	if (table->state == LOOKUP_FAILED)
		return false;
	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i].is_damaged)
			return false;
	return true;
}

static struct text trim(struct text t)
{
	while (t.len && t.ptr[0] == ' ')
		t = text_tail(t, 1);
	while (t.len && t.ptr[t.len - 1] == ' ')
		t.len--;
	return t;
}

static void copy(struct text in, char *out, size_t cap)
{
	size_t len = in.len < cap / 4 ? fake_unescape(in, out) : 0;

	out[len] = 0;
}

static bool read_row(struct run *run, struct text line, struct row *row)
{
	struct text columns[COLUMNS];
	static const struct text prefix = {"state=", 6};

	for (int i = 0; i < COLUMNS; i++) {
		size_t bar = i == COLUMNS - 1 ? line.len : text_find(line, '|');
		columns[i] = trim(text_head(line, bar));
		line = text_tail(line, bar < line.len ? bar + 1 : bar);
	}
	if (columns[COLUMNS - 1].len == 0) {
		complain(run, "row", "five columns are allowed, the last one a sentence");
		return false;
	}
	memset(row, 0, sizeof(*row));
	if (columns[0].len > prefix.len && text_equal(text_head(columns[0], prefix.len), prefix)) {
		size_t end = text_find(columns[0], ' ');
		copy(text_tail(text_head(columns[0], end), prefix.len), row->state,
			sizeof(row->state));
		columns[0] = trim(text_tail(columns[0], end));
	}
	snprintf(row->verdict, sizeof(row->verdict), "%.*s", TEXT_ARG(columns[0]));
	if (!text_equal(columns[1], TEXT("-")))
		copy(columns[1], row->login, sizeof(row->login));
	if (!text_equal(columns[2], TEXT("<>")))
		copy(columns[2], row->sender, sizeof(row->sender));
	row->table = columns[3];
	row->sentence = columns[4];
	return true;
}

static void do_row(struct run *run, struct text line)
{
	static struct fake_table table;
	static struct row row;
	const char *wrong;

	if (!run->config || !read_row(run, line, &row))
		return;
	wrong = fake_table_parse(&table, row.table);
	if (wrong) {
		complain(run, "table", wrong);
		return;
	}
	judge_in_memory(run, &row, &table);
	if (!run->config->lockdown.is_enabled && can_be_stored(&table))
		judge_in_lmdb(run, &row, &table);
}

static void do_reset(struct run *run)
{
	run->override_count = 0;
	run->name_count = 0;
	run->registry = (struct fake_registry){0};
	do_registry(run, NULL);
	reconfigure(run);
}

static void do_file(struct run *run, const char *name)
{
	char *line = NULL;
	size_t cap = 0;
	const char *wrong;
	FILE *file = fopen(name, "r");

	run->file = name;
	run->line = 0;
	do_reset(run);
	if (!file) {
		complain(run, "open", "cannot be read");
		return;
	}
	while (getline(&line, &cap, file) >= 0) {
		run->line++;
		line[strcspn(line, "\n")] = 0;
		if (line[0] == 0 || line[0] == '#')
			continue;
		if (strncmp(line, "set ", 4) == 0) {
			do_set(run, line + 4);
		} else if (strncmp(line, "dns ", 4) == 0) {
			do_dns(run, line + 4);
		} else if (strcmp(line, "reset") == 0) {
			do_reset(run);
		} else if (fake_registry_read(&run->registry, line, &wrong)) {
			do_registry(run, wrong);
		} else {
			do_row(run, text_of(line));
		}
	}
	free(line);
	fclose(file);
}

static void remove_tree(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command) != 0)
		printf("%s could not be removed\n", dir);
}

int main(int argc, char **argv)
{
	static struct run run;

	snprintf(run.dir, sizeof(run.dir), "%s",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm/policyd-test-XXXXXX"
					      : "/tmp/policyd-test-XXXXXX");
	if (!mkdtemp(run.dir))
		return 1;
	for (int i = 1; i < argc; i++)
		do_file(&run, argv[i]);
	do_registry(&run, NULL);
	config_free(run.config);
	remove_tree(run.dir);
	printf("decisions: %u passed, %u failed\n", run.passed, run.failed);
	return run.failed || !run.passed;
}

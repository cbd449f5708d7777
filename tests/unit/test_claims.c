/*
 * Runs the rows of tests/claim/ (drawn at the top of its first file) and asks that every state,
 * event, WHO and edge has one. The folder is looked for from the root of the tree.
 *
 *   set KEY = DURATION   pending_expires_s, recheck_s, grace_s for the rows below, in this file
 *
 * Beside what a row says: a change sets `since`, nothing else does; a claim that begins anew knows
 * nothing of before; a look leaves its time; what is impossible moves nothing.
 */
#include "policy/core/claim.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DAY          INT64_C(86400)
#define SINCE        INT64_C(1800000000)
#define UNMOVED      UINT32_C(0x80000000) /* the spread that moves nothing */
#define LINE_MAX_LEN 200

static const int64_t edges[] = {
	0, 2 * DAY - 1, 2 * DAY, 2 * DAY + 1, 3 * DAY - 1, 3 * DAY, 3 * DAY + 1};
static const char *const events[CLAIM_EVENTS_] = {"PROVED", "UNPROVED", "UNKNOWN", "ADD", "HOST",
	"PIN", "UNPIN", "REMOVE", "GIVE_AWAY", "TAKE_OVER"};
static const char *const words[] = {"changed", "kept", "held", "impossible"};

static struct run {
	const char *file;
	unsigned line, rows, bad;
	struct claim_rules rules;
	bool is_usual; /* the rules are those that the edges are about */
	bool seen[CLAIM_STATES_][CLAIM_EVENTS_][2][COUNT(edges)];
} run;

struct row {
	char states[LINE_MAX_LEN], event[16], who[16], age[32], after[32], word[16], next[16];
};

/* One claim in front of one event. */
struct trial {
	const struct row *row;
	struct claim_life life;
	enum claim_event event;
	bool is_plain; /* no +proved, +looks, +tombstone */
	bool is_held;
	int64_t now;
};

static void complain(const char *what, const char *detail)
{
	print_error("%s:%u: %s: %s\n", run.file, run.line, what, detail);
	run.bad++;
}

/* 2d-1s, 1h+45m */
static int64_t duration(const char *text)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = {1, 60, 3600, DAY};
	int64_t sum = 0;

	while (*text) {
		char *end;
		long long number = strtoll(text, &end, 10);
		const char *unit = *end ? strchr(units, *end) : NULL;

		if (end == text || !unit) {
			complain("not a duration", text);
			return 0;
		}
		sum += number * seconds[unit - units];
		text = end + 1;
	}
	return sum;
}

static int name_index(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return (int)i;
	complain("no such word", name);
	return 0;
}

static enum claim_state state_of(const char *text)
{
	return claim_state_of((struct text){text, strcspn(text, "+")});
}

/* "pending+proved+looks=3" as it is in the state since SINCE. */
static struct claim_life life_of(const char *text)
{
	size_t len = strcspn(text, "+");
	struct claim_life life = {
		.state = state_of(text), .is_tombstone = strstr(text, "+tombstone")};

	if (life.state == CLAIM_STATES_) {
		complain("no such state", text);
		life.state = CLAIM_NONE;
	}
	if (life.state == CLAIM_NONE)
		return life;
	life.created_at = life.state == CLAIM_PENDING ? SINCE : SINCE - 100 * DAY;
	life.since = SINCE;
	life.checked_at = SINCE;
	if (life.state != CLAIM_PENDING && life.state != CLAIM_EXPIRED)
		life.proved_at = SINCE - DAY;
	if (strstr(text + len, "+proved"))
		life.proved_at = SINCE;
	if (strstr(text + len, "+looks="))
		life.looks = (uint32_t)strtoul(strstr(text, "=") + 1, NULL, 10);
	if (life.state <= CLAIM_REVOKED)
		life.next_check = SINCE + 4 * DAY;
	return life;
}

static int64_t next_of(const struct trial *trial)
{
	const char *next = trial->row->next;

	if (strcmp(next, "same") == 0)
		return trial->life.next_check;
	if (strcmp(next, "never") == 0)
		return 0;
	return strcmp(next, "now") == 0 ? trial->now : trial->now + duration(next);
}

/* What the row says of the life afterwards, and what goes without saying. */
static struct claim_life expect(const struct trial *trial, enum claim_word word)
{
	struct claim_life life = trial->life;
	bool is_look = trial->event <= CLAIM_UNKNOWN && word != CLAIM_IMPOSSIBLE;
	bool is_same = strcmp(trial->row->after, "same") == 0;
	enum claim_state after = is_same ? life.state : state_of(trial->row->after);

	life.next_check = next_of(trial);
	if (word == CLAIM_CHANGED &&
		(life.state == CLAIM_NONE || life.state == CLAIM_REMOVED || after == CLAIM_PENDING))
		life = (struct claim_life){.created_at = trial->now, .next_check = life.next_check};
	life.state = after;
	if (!is_same)
		life.is_tombstone = strstr(trial->row->after, "+tombstone");
	if (word == CLAIM_CHANGED)
		life.since = trial->now;
	if (is_look)
		life.checked_at = trial->now;
	if (is_look && trial->event == CLAIM_PROVED)
		life.proved_at = trial->now;
	return life;
}

static void attempt(const struct trial *trial)
{
	struct claim_life life = trial->life, want;
	enum claim_word word =
		claim_step(&life, trial->event, trial->is_held, trial->now, &run.rules, UNMOVED);
	char got[256];

	want = expect(trial, (enum claim_word)name_index(words, COUNT(words), trial->row->word));
	want.looks = word == CLAIM_IMPOSSIBLE ? trial->life.looks : life.looks;
	run.rows++;
	if (strcmp(words[word], trial->row->word) == 0 && want.state == life.state &&
		want.created_at == life.created_at && want.since == life.since &&
		want.proved_at == life.proved_at && want.checked_at == life.checked_at &&
		want.next_check == life.next_check && want.looks == life.looks &&
		want.is_tombstone == life.is_tombstone)
		return;
	snprintf(got, sizeof(got),
		"%s, %s, %s after %lld s: %s%s %s, next look in %lld s (created %lld since %lld "
		"proved %lld checked %lld)",
		claim_state_name(trial->life.state), events[trial->event],
		trial->is_held ? "held" : "alone", (long long)(trial->now - SINCE),
		claim_state_name(life.state), life.is_tombstone ? "+tombstone" : "", words[word],
		(long long)(life.next_check ? life.next_check - trial->now : 0),
		(long long)life.created_at, (long long)life.since, (long long)life.proved_at,
		(long long)life.checked_at);
	complain("got", got);
}

static void attempt_either(struct trial *trial, int64_t age)
{
	const char *who = trial->row->who;

	trial->now = SINCE + age;
	for (int is_held = 0; is_held < 2; is_held++) {
		if (strcmp(who, is_held ? "alone" : "held") == 0)
			continue;
		trial->is_held = is_held;
		attempt(trial);
		for (size_t i = 0; run.is_usual && trial->is_plain && i < COUNT(edges); i++)
			if (edges[i] == age)
				run.seen[trial->life.state][trial->event][is_held][i] = true;
	}
}

static void attempt_ages(struct trial *trial)
{
	char from[32];
	const char *dots = strstr(trial->row->age, "..");
	bool is_always = strcmp(trial->row->age, "always") == 0;

	if (!dots && !is_always) {
		attempt_either(trial, duration(trial->row->age));
		return;
	}
	snprintf(from, sizeof(from), "%.*s", is_always ? 0 : (int)(dots - trial->row->age),
		trial->row->age);
	for (size_t i = 0; i < COUNT(edges); i++)
		if (is_always || (edges[i] >= duration(from) && edges[i] <= duration(dots + 2)))
			attempt_either(trial, edges[i]);
}

static void do_row(const char *line)
{
	struct row row;
	struct trial trial = {.row = &row};
	char *state, *rest = NULL;

	if (sscanf(line, "%199s %15s %15s %31s => %31s %15s %15s", row.states, row.event, row.who,
		    row.age, row.after, row.word, row.next) != 7) {
		complain("seven words are allowed", line);
		return;
	}
	if (strcmp(row.who, "alone") != 0 && strcmp(row.who, "held") != 0 &&
		strcmp(row.who, "either") != 0)
		complain("alone, held, either are allowed", row.who);
	trial.event = (enum claim_event)name_index(events, COUNT(events), row.event);
	for (state = strtok_r(row.states, ",", &rest); state; state = strtok_r(NULL, ",", &rest)) {
		trial.life = life_of(state);
		trial.is_plain = !strchr(state, '+');
		attempt_ages(&trial);
	}
}

static void do_set(const char *line)
{
	char key[32], value[32];
	uint32_t *rule = NULL;

	if (sscanf(line, "set %31s = %31s", key, value) == 2) {
		if (strcmp(key, "pending_expires_s") == 0)
			rule = &run.rules.pending_expires_s;
		else if (strcmp(key, "recheck_s") == 0)
			rule = &run.rules.recheck_s;
		else if (strcmp(key, "grace_s") == 0)
			rule = &run.rules.grace_s;
	}
	if (rule)
		*rule = (uint32_t)duration(value);
	else
		complain("no such rule", line);
	run.is_usual = false;
}

static void do_file(const char *name)
{
	char line[LINE_MAX_LEN];
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	run.file = name;
	run.line = 0;
	run.is_usual = true;
	run.rules = (struct claim_rules){
		.pending_expires_s = 2 * DAY, .recheck_s = DAY, .grace_s = 3 * DAY};
	while (fgets(line, sizeof(line), file)) {
		run.line++;
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "set ", 4) == 0)
			do_set(line);
		else if (line[0] && line[0] != '#')
			do_row(line);
	}
	fclose(file);
}

static void every_row_holds(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob("tests/claim/*.txt", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		do_file(found.gl_pathv[i]);
	globfree(&found);
	print_message("%u steps, %u not as written\n", run.rows, run.bad);
	assert_true(run.rows > 0);
	assert_int_equal(run.bad, 0);
}

static void every_edge_has_a_row(void **state)
{
	unsigned missing = 0;

	(void)state;
	for (int s = 0; s < CLAIM_STATES_; s++)
		for (int e = 0; e < CLAIM_EVENTS_; e++)
			for (int held = 0; held < 2; held++)
				for (size_t i = 0; i < COUNT(edges); i++) {
					if (run.seen[s][e][held][i])
						continue;
					print_error("no row: %s %s %s after %lld s\n",
						claim_state_name((enum claim_state)s), events[e],
						held ? "held" : "alone", (long long)edges[i]);
					missing++;
				}
	assert_int_equal(missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_holds),
		cmocka_unit_test(every_edge_has_a_row),
	};

	return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}

/*
 * Which role a command line needs, and who has it: every command by every role; command lines that
 * try to look like less than they are.
 */
#include "policyd/roles.h"

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODYS ROLES_
#define WORDS   16

static const struct {
	const char *line; /* split at blanks; `_` is an empty word */
	enum role role;
} rows[] = {
	{"domain add example.com --tenant acme", ROLE_ADD},
	{"domain add --tenant=acme example.com --json", ROLE_ADD},
	{"domain check example.com", ROLE_ADD},
	{"domain instructions example.com", ROLE_ADD},
	{"domain disallow example.com joe", ROLE_ADD},
	{"domain allow example.com joe --pending", ROLE_ADD},
	{"domain allow --pending --sender joe@example.com example.com joe", ROLE_ADD},
	{"domain allow example.com joe", ROLE_VERIFY},
	{"domain add --hosted example.com --tenant acme", ROLE_VERIFY},
	{"domain add example.com --tenant acme --hosted", ROLE_VERIFY},
	{"domain approve example.com", ROLE_VERIFY},
	{"domain pin example.com --tenant acme", ROLE_VERIFY},
	{"domain unpin example.com", ROLE_VERIFY},
	{"domain transfer example.com --tenant other", ROLE_VERIFY},
	{"domain remove --yes example.com --reason gone", ROLE_VERIFY},
	{"domain forget example.com", ROLE_VERIFY},
	{"domain list --state verified --limit 5 --tenant acme", ROLE_READ},
	{"domain show example.com", ROLE_READ},
	{"load -", ROLE_LOAD},
	{"load --format csv --merge --force --dry-run -", ROLE_LOAD},
	{"load --tenants -", ROLE_LOAD},
	{"load --accounts --delete -", ROLE_LOAD},
	{"rollback", ROLE_LOAD},
	{"cache flush", ROLE_LOAD},
	{"cache flush example.com", ROLE_LOAD},
	{"cache stats", ROLE_READ},
	{"check joe joe@example.com", ROLE_READ},
	{"check - joe@example.com", ROLE_READ},
	{"explain joe joe@example.com", ROLE_READ},
	{"who joe@example.com", ROLE_READ},
	{"who -- --pending", ROLE_READ},
	{"senders joe", ROLE_READ},
	{"status --json", ROLE_READ},
	{"replay -", ROLE_READ},
	{"dump --format csv", ROLE_READ},
	{"diff -", ROLE_READ},
	{"lockdown example.com joe", ROLE_READ},
	{"audit --limit 10", ROLE_READ},

	/* Files are opened by whoever asks. */
	{"load /etc/shadow", NOBODYS},
	{"load - /etc/shadow", NOBODYS},
	{"load -- /etc/shadow", NOBODYS},
	{"load --tenants /etc/shadow", NOBODYS},
	{"load --tenants=/etc/shadow -", NOBODYS},
	{"diff table.csv", NOBODYS},
	{"replay -- --json", NOBODYS},
	/* Global options, and what is no option of a command. */
	{"-c /tmp/own.ini status", NOBODYS},
	{"-o policyd.state_dir=/tmp status", NOBODYS},
	{"status -c /tmp/own.ini", NOBODYS},
	{"status -o x.y=z", NOBODYS},
	{"status --help", NOBODYS},
	{"domain add example.com --tenant acme --Hosted", NOBODYS},
	{"domain allow example.com joe --pend", NOBODYS},
	{"domain allow example.com joe --pending=yes", NOBODYS},
	{"domain allow example.com joe --pending=", NOBODYS},
	/* A value that looks like an option: is --pending one here? */
	{"domain allow example.com joe --tenant --pending", NOBODYS},
	{"domain allow example.com joe --sender -- --pending", NOBODYS},
	{"domain allow example.com joe --reason -", NOBODYS},
	{"domain allow example.com joe --tenant", NOBODYS},
	/* Behind `--` it is an operand. */
	{"domain allow example.com joe -- --pending", ROLE_VERIFY},
	{"domain add example.com --tenant acme -- --hosted", ROLE_ADD},
	{"domain add example.com --tenant=--hosted", ROLE_ADD},
	{"domain allow example.com joe --tenant=--pending", ROLE_VERIFY},
	/* Not commands. */
	{"", NOBODYS},
	{"_", NOBODYS},
	{"domain", NOBODYS},
	{"domain --json list", NOBODYS},
	{"domain _ list", NOBODYS},
	{"domain sell example.com", NOBODYS},
	{"cache", NOBODYS},
	{"Status", NOBODYS},
	{"statu", NOBODYS},
	{"mode", NOBODYS},
	{"/bin/sh", NOBODYS},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static size_t split(const char *line, struct text words[WORDS])
{
	struct text rest = text_of(line);
	size_t count = 0;

	while (rest.len > 0) {
		size_t len = text_find(rest, ' ');

		assert_true(count < WORDS);
		words[count] = text_head(rest, len);
		if (text_equal(words[count], TEXT("_")))
			words[count].len = 0;
		count++;
		rest = text_tail(rest, len < rest.len ? len + 1 : len);
	}
	return count;
}

static void test_each_command_line(void **state)
{
	struct text words[WORDS];

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		size_t count = split(rows[i].line, words);
		enum role role = role_of_command(words, count);

		if (role != rows[i].role)
			fail_msg("`%s` needs \"%s\", not \"%s\"", rows[i].line, role_name(role),
				role_name(rows[i].role));
		assert_int_equal(role_command_name(words, count) == NULL, role == NOBODYS);
	}
}

static void test_a_word_with_nul(void **state)
{
	const struct text words[] = {TEXT("domain"), TEXT("allow"), TEXT("example.com"),
		TEXT("joe"), {"--pending\0x", 11}};
	const struct text hidden[] = {TEXT("who"), {"a\0b", 3}};

	(void)state;
	assert_int_equal(role_of_command(words, 5), NOBODYS);
	assert_int_equal(role_of_command(hidden, 2), NOBODYS);
}

/* One group a role, in every role's place; somebody in it, and somebody who is not. */
static void test_each_role(void **state)
{
	struct config *config = calloc(1, sizeof(*config));
	struct peer_identity *peer = calloc(1, sizeof(*peer));
	const struct group *group = getgrnam("mail");

	(void)state;
	assert_non_null(config);
	assert_non_null(peer);
	assert_non_null(group);
	*peer = (struct peer_identity){
		.uid = 54321, .gid = 54321, .group_count = 2, .groups = {54322, group->gr_gid}};
	for (enum role given = 0; given < ROLES_; given++) {
		config->roles[given] = (struct role_groups){
			.count = 2, .names = {TEXT("no-such-group-here"), TEXT("mail")}};
		for (enum role wanted = 0; wanted <= ROLES_; wanted++)
			assert_int_equal(role_is_held(config, peer, wanted), wanted == given);
		config->roles[given].count = 0;
	}
	free(config);
	free(peer);
}

static void test_whose_group(void **state)
{
	struct config *config = calloc(1, sizeof(*config));
	struct peer_identity *peer = calloc(1, sizeof(*peer));
	const struct group *group = getgrnam("mail");

	(void)state;
	assert_non_null(config);
	assert_non_null(peer);
	assert_non_null(group);
	config->roles[ROLE_ADD] = (struct role_groups){.count = 1, .names = {TEXT("mail")}};
	*peer = (struct peer_identity){.uid = 54321, .gid = group->gr_gid};
	assert_true(role_is_held(config, peer, ROLE_ADD));
	peer->gid = 54321;
	peer->groups[0] = group->gr_gid; /* not one of the count */
	assert_false(role_is_held(config, peer, ROLE_ADD));
	/* A part of a name, and a number, are no names. */
	peer->group_count = 1;
	config->roles[ROLE_ADD].names[0] = TEXT("mai");
	assert_false(role_is_held(config, peer, ROLE_ADD));
	config->roles[ROLE_ADD].names[0] = (struct text){"mail\0", 5};
	assert_true(text_find(config->roles[ROLE_ADD].names[0], '\0') == 4);
	config->roles[ROLE_ADD].names[0] = (struct text){"", 0};
	assert_false(role_is_held(config, peer, ROLE_ADD));
	free(config);
	free(peer);
}

static void test_root_and_policyd(void **state)
{
	struct config *config = calloc(1, sizeof(*config));
	struct peer_identity *peer = calloc(1, sizeof(*peer));

	(void)state;
	assert_non_null(config);
	assert_non_null(peer);
	for (enum role role = 0; role <= ROLES_; role++) {
		peer->uid = 0;
		assert_true(role_is_held(config, peer, role));
		peer->uid = geteuid();
		assert_true(role_is_held(config, peer, role));
		peer->uid = 54321;
		peer->gid = 0;
		assert_false(role_is_held(config, peer, role));
	}
	free(config);
	free(peer);
}

static void test_identity_of_a_socket(void **state)
{
	struct peer_identity *peer = calloc(1, sizeof(*peer));
	int pair[2], inet = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_non_null(peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(peer_identity_of(pair[0], peer));
	assert_int_equal(peer->uid, geteuid());
	assert_int_equal(peer->gid, getegid());
	assert_int_equal(peer->group_count, getgroups(0, NULL));
	assert_false(peer_identity_of(inet, peer));
	assert_false(peer_identity_of(-1, peer));
	close(inet);
	close(pair[0]);
	close(pair[1]);
	free(peer);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(role_name(ROLE_ADD), "add");
	assert_string_equal(role_name(ROLE_MODE), "mode");
	assert_string_equal(role_name(ROLE_VERIFY), "verify");
	assert_string_equal(role_name(ROLE_LOAD), "load");
	assert_string_equal(role_name(ROLE_READ), "read");
	assert_string_equal(role_name(ROLES_), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_command_line),
		cmocka_unit_test(test_a_word_with_nul),
		cmocka_unit_test(test_each_role),
		cmocka_unit_test(test_whose_group),
		cmocka_unit_test(test_root_and_policyd),
		cmocka_unit_test(test_identity_of_a_socket),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * policyd.ini: [ownership], [control] and [roles], and the one answer that may let mail go.
 */
#include "tests/unit/config_fixture.h"

static void test_defaults(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, "", NULL);
	assert_int_equal(c->settings.ownership, OWNERSHIP_CLAIMED);
	assert_true(text_equal(c->ownership.label, TEXT("domauthvalidation")));
	assert_true(text_equal(c->ownership.prefix, TEXT("policyd-verification=")));
	assert_string_equal(c->ownership.hook, "");
	assert_int_equal(c->ownership.rules.pending_expires_s, 259200);
	assert_int_equal(c->ownership.rules.recheck_s, 86400);
	assert_int_equal(c->ownership.rules.grace_s, 259200);
	assert_string_equal(c->control_path, "/run/policyd/control.sock");
	for (int role = 0; role < ROLES_; role++)
		assert_int_equal(c->roles[role].count, 0);
	config_free(outcome.config);
}

static void assert_groups(const struct role_groups *groups, const char *wanted)
{
	char got[256] = "";
	for (size_t i = 0; i < groups->count; i++) {
		size_t len = strlen(got);
		snprintf(got + len, sizeof(got) - len, "%.*s;", TEXT_ARG(groups->names[i]));
	}
	assert_string_equal(got, wanted);
}

static void test_everything(void **state)
{
	struct outcome outcome;
	const char *const overrides[] = {"roles.mode=a,b", "roles.read=Domain-Users", NULL};
	(void)state;
	const char *const good = "[ownership]\nrequired = ALL\nlabel = _Check.Mail\n"
				 "prefix = provider-verification:\nhook = /usr/lib/a hook\n"
				 "pending_expires_s = 60\nrecheck_s = 2592000\n"
				 "grace_s = 31536000\n"
				 "[control]\nsocket = unix:/srv/c.sock\n"
				 "[roles]\nadd = mailadmins,\t support\nverify = mailadmins\n"
				 "load =\n";
	const struct config *c = accept_ini(&outcome, good, overrides);
	assert_int_equal(c->settings.ownership, OWNERSHIP_ALL);
	assert_true(text_equal(c->ownership.label, TEXT("_check.mail")));
	assert_true(text_equal(c->ownership.prefix, TEXT("provider-verification:")));
	assert_string_equal(c->ownership.hook, "/usr/lib/a hook");
	assert_int_equal(c->ownership.rules.pending_expires_s, 60);
	assert_int_equal(c->ownership.rules.recheck_s, 2592000);
	assert_int_equal(c->ownership.rules.grace_s, 31536000);
	assert_string_equal(c->control_path, "/srv/c.sock");
	assert_groups(&c->roles[ROLE_ADD], "mailadmins;support;");
	assert_groups(&c->roles[ROLE_MODE], "a;b;");
	assert_groups(&c->roles[ROLE_VERIFY], "mailadmins;");
	assert_groups(&c->roles[ROLE_LOAD], "");
	assert_groups(&c->roles[ROLE_READ], "Domain-Users;");
	config_free(outcome.config);
}

static void test_overrides_replace(void **state)
{
	const char *const overrides[] = {"roles.add=", "ownership.required=no",
		"ownership.hook=", "control.socket=unix:/x", "ownership.grace_s=61", NULL};
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome,
		"[roles]\nadd = a, b\n[ownership]\nrequired = all\nhook = /h\n", overrides);
	assert_groups(&c->roles[ROLE_ADD], "");
	assert_int_equal(c->settings.ownership, OWNERSHIP_NO);
	assert_string_equal(c->ownership.hook, "");
	assert_string_equal(c->control_path, "/x");
	assert_int_equal(c->ownership.rules.grace_s, 61);
	config_free(outcome.config);
}

static const struct {
	const char *ini, *sentence;
} refused[] = {
	{"[ownership]\nrequired = yes\n",
		"p.ini:2: [ownership] required: \"yes\" is not one of claimed, all, no\n"},
	{"[ownership]\nrequired = claim\n", "(did you mean claimed?)"},
	{"[ownership]\nlabel =\n", "label: \"\" is not what can stand before a domain in the DNS"},
	{"[ownership]\nlabel = a b\n", "is not what can stand before a domain"},
	{"[ownership]\nprefix =\n",
		"prefix: \"\" is not what a TXT record can begin with: 1 to 100"},
	{"[ownership]\nprefix = a b\n", "\"a b\" is not what a TXT record can begin with"},
	{"[ownership]\nprefix = a\"b\n", "is not what a TXT record can begin with"},
	{"[ownership]\nprefix = a'\n", "is not what a TXT record can begin with"},
	{"[ownership]\nprefix = a\\b\n", "is not what a TXT record can begin with"},
	{"[ownership]\nprefix = \xc3\xb6=\n", "is not what a TXT record can begin with"},
	{"[ownership]\nprefix = \"policyd=\"\n", "stands in quotes"},
	{"[ownership]\nhook = bin/hook\n",
		"p.ini:2: [ownership] hook: \"bin/hook\" is not an absolute path"},
	{"[ownership]\npending_expires_s = 59\n",
		"\"59\" is not a number from 60 to 31536000: so long the owner"},
	{"[ownership]\nrecheck_s = 0\n",
		"\"0\" is not a number from 60 to 2592000: so long a proof"},
	{"[ownership]\nrecheck_s = 2592001\n", "is not a number from 60 to 2592000"},
	{"[ownership]\ngrace_s = 31536001\n", "is not a number from 60 to 31536000: so long a"},
	{"[ownership]\ngrace_s = 3 days\n", "\"3 days\" is not a number from 60"},
	{"[ownership]\nlable = x\n", "unknown key \"lable\" (did you mean label?)"},
	{"[control]\nsocket = /run/c.sock\n",
		"p.ini:2: [control] socket: \"/run/c.sock\" is not unix: and the absolute path"},
	{"[control]\nsocket = inet:127.0.0.1:4\n",
		"is not unix: and the absolute path of a socket"},
	{"[control]\nsocket = unix:c.sock\n", "is not unix: and the absolute path of a socket"},
	{"[control]\nsocket = unix:/run/\n", "is not unix: and the absolute path of a socket"},
	{"[control]\nsocket =\n", "is not unix: and the absolute path of a socket"},
	{"[policyd]\nlisten = unix:/p\n[control]\nsocket = unix:/p\n",
		"p.ini:4: [control] socket: \"unix:/p\" is where Postfix asks ([policyd] listen)"},
	{"[roles]\nadd = a b\n", "[roles] add: \"a b\" names \"a b\", which is not the name of a"},
	{"[roles]\nadd = a,,b\n", "names \"\", which is not the name of a group"},
	{"[roles]\nadd = a/b\n", "names \"a/b\", which is not the name of a group"},
	{"[roles]\nadd = a:b\n", "names \"a:b\", which is not the name of a group"},
	{"[roles]\nadd = a, b, a\n", "names \"a\" twice"},
	{"[roles]\nadmin = a\n",
		"unknown key \"admin\"; the keys here are add, mode, verify, load"},
	{"[role]\nadd = a\n", "unknown section [role] (did you mean [roles]?)"},
	{"[roles]\nadd = a\nadd = b\n", "add: is set in line 2 already"},
	{"[replies]\nnot_owned = HOLD x\n",
		"[replies] not_owned: \"HOLD x\" cannot be an answer: FILTER and HOLD let the mail "
		"go, and only domain_unverified may"},
	{"[replies]\ndomain_revoked = FILTER smtp:relay\n", "only domain_unverified may"},
	{"[replies]\ndomain_unverified = FILTER smtp:%d\n",
		"cannot be an answer: FILTER has a fixed destination"},
	{"[replies]\ndomain_unverified = FILTER relay\n",
		"cannot be an answer: FILTER needs transport:destination and nothing else, as in"},
	{"[replies]\ndomain_unverified = OK\n", "4xx, 5xx, FILTER or HOLD"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		refuse(refused[i].ini, refused[i].sentence);
}

static void test_passing_replies(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome,
		"[replies]\ndomain_unverified = FILTER smtp:[relay.example.net]:587\n", NULL);
	assert_string_equal(c->replies.of_reason[REASON_DOMAIN_UNVERIFIED],
		"FILTER smtp:[relay.example.net]:587");
	config_free(outcome.config);
	c = accept_ini(&outcome, "[replies]\ndomain_unverified = HOLD %d # not yet\n", NULL);
	assert_string_equal(c->replies.of_reason[REASON_DOMAIN_UNVERIFIED], "HOLD %d # not yet");
	config_free(outcome.config);
}

static void test_bounds(void **state)
{
	struct outcome outcome;
	char ini[CONFIG_ROLE_GROUPS_MAX * 8 + 32], path[256];
	size_t used;
	(void)state;
	used = (size_t)sprintf(ini, "[roles]\nadd = g0");
	for (int i = 1; i < CONFIG_ROLE_GROUPS_MAX; i++)
		used += (size_t)sprintf(ini + used, ", g%d", i);
	const struct config *c = accept_ini(&outcome, ini, NULL);
	assert_int_equal(c->roles[ROLE_ADD].count, CONFIG_ROLE_GROUPS_MAX);
	config_free(outcome.config);
	sprintf(ini + used, ", more");
	refuse(ini, "names more than 32 groups");
	used = (size_t)sprintf(path, "[ownership]\nprefix = ");
	memset(path + used, 'p', 101);
	path[used + 100] = '\0';
	accept_ini(&outcome, path, NULL);
	config_free(outcome.config);
	path[used + 100] = 'p';
	path[used + 101] = '\0';
	refuse(path, "is not what a TXT record can begin with");
	used = (size_t)sprintf(path, "[control]\nsocket = unix:/");
	memset(path + used, 's', 107);
	path[used + 106] = '\0';
	accept_ini(&outcome, path, NULL);
	config_free(outcome.config);
	path[used + 106] = 's';
	path[used + 107] = '\0';
	refuse(path, "has a path of 108 bytes; a socket's may have at most 107");
}

/* Every field of the three sections, and the answers of the register's reasons. */
static void describe(char out[8192], const struct config *c)
{
	const struct ownership_config *o = &c->ownership;
	size_t len = (size_t)snprintf(out, 8192, "%d %.*s %.*s %s %u %u %u %s\n",
		(int)c->settings.ownership, TEXT_ARG(o->label), TEXT_ARG(o->prefix), o->hook,
		o->rules.pending_expires_s, o->rules.recheck_s, o->rules.grace_s, c->control_path);
	for (int role = 0; role < ROLES_; role++)
		len += (size_t)snprintf(out + len, 8192 - len, "%zu\n", c->roles[role].count);
	for (int i = REASON_ALLOWED; i <= REASON_REGISTER_DAMAGED; i++) {
		const char *reply = c->replies.of_reason[i];
		reply = reply ? reply : reply_default((enum reason)i);
		len += (size_t)snprintf(out + len, 8192 - len, "%s\n", reply ? reply : "");
	}
}

/* What the shipped file shows as defaults are the defaults. */
static void test_shipped_file(void **state)
{
	static char wanted[8192], got[8192], ini[1U << 17];
	FILE *file = fopen("policyd.ini", "r");
	struct outcome outcome;
	(void)state;
	assert_non_null(file);
	ini[fread(ini, 1, sizeof(ini) - 1, file)] = '\0';
	fclose(file);
	for (char *line = ini; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z')
			line[0] = ' ';
	}
	describe(wanted, accept_ini(&outcome, "", NULL));
	config_free(outcome.config);
	describe(got, accept_ini(&outcome, ini, NULL));
	config_free(outcome.config);
	assert_string_equal(got, wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_overrides_replace),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_passing_replies),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_shipped_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

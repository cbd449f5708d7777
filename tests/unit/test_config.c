/*
 * policyd.ini: what it accepts and what comes of it, and that the three places that speak of an
 * option (table, shipped file, manual page) say the same.
 */
#include "tests/unit/config_fixture.h"

#define SHIPPED "policyd.ini"
#define MANUAL  "man/policyd.ini.5"

static char *describe_settings(char *out, char *end, const struct settings *s)
{
	out += snprintf(out, (size_t)(end - out),
		"semantics=%d states=%x delimiter=%.*s keep=%d literal=%d self=%d unlisted=%d "
		"null=%d owned=%d realm=%.*s append=%.*s monitor=%d action=%d local=",
		s->semantics, s->states, TEXT_ARG(s->recipient_delimiter), s->local_keep,
		s->routing_literal, s->allow_self, s->unlisted_permit, s->null_reject,
		s->reject_owned, TEXT_ARG(s->login_realm), TEXT_ARG(s->append_domain), s->monitor,
		(int)s->monitor_action);
	for (size_t i = 0; i < s->local_domain_count; i++)
		out += snprintf(out, (size_t)(end - out), "%.*s,", TEXT_ARG(s->local_domains[i]));
	return out;
}

static char *describe_lockdown(char *out, char *end, const struct lockdown_settings *l)
{
	out += snprintf(out, (size_t)(end - out),
		"\nlockdown=%d label=%.*s version=%.*s failure=%d grant=%d accounts=",
		l->is_enabled, TEXT_ARG(l->label), TEXT_ARG(l->version), (int)l->on_failure,
		l->grant_senderid);
	for (size_t i = 0; i < l->account_count; i++)
		out += snprintf(out, (size_t)(end - out), "%.*s,", TEXT_ARG(l->accounts[i]));
	out += snprintf(out, (size_t)(end - out), " types=");
	for (size_t i = 0; i < l->type_count; i++)
		out += snprintf(out, (size_t)(end - out), "%.*s,", TEXT_ARG(l->types[i]));
	return out;
}

static char *describe_dns(char *out, char *end, const struct config *c)
{
	out += snprintf(out, (size_t)(end - out),
		"\nbucket=%u %u resolv=%s timeout=%u attempts=%u deadline=%u flight=%u cache=%s "
		"ttl=%u %u %u mb=%u servers=",
		c->new_domains.per_min, c->new_domains.burst, c->resolv_conf, c->dns_timeout_ms,
		c->dns_attempts, c->dns_deadline_ms, c->dns_max_in_flight, c->cache_dir,
		c->cache_rules.max_ttl_s, c->cache_rules.negative_max_ttl_s, c->cache_rules.stale_s,
		c->cache_max_mb);
	for (size_t i = 0; i < c->nameservers.count; i++)
		out += snprintf(out, (size_t)(end - out), "%s,", c->nameservers.list[i].text);
	return out;
}

/* Every field, so that two configurations can be compared and a difference be read. Replies: the
 * text in force. */
static void describe(char out[16384], const struct config *c)
{
	char *end = out + 16384;
	for (size_t i = 0; i < c->listen_count; i++)
		out += snprintf(out, (size_t)(end - out), "listen %s %d path=%s host=%s port=%u\n",
			c->listen[i].text, c->listen[i].kind,
			c->listen[i].path ? c->listen[i].path : "",
			c->listen[i].host ? c->listen[i].host : "", c->listen[i].port);
	out += snprintf(out, (size_t)(end - out),
		"mode=%o socket_group=%s user=%s group=%s state=%s table=%u register=%u workers=%u "
		"connections=%u idle=%u log=%d %d %d %d\n",
		c->socket_mode, c->socket_group, c->user, c->group, c->state_dir, c->table_max_mb,
		c->register_max_mb, c->workers, c->max_connections, c->idle_timeout_s,
		c->log_target, c->log_format, c->log_level, c->log_decisions);
	out = describe_settings(out, end, &c->settings);
	out = describe_lockdown(out, end, &c->lockdown);
	out = describe_dns(out, end, c);
	for (int i = 0; i < REASON_COUNT_; i++) {
		const char *reply = c->replies.of_reason[i];
		reply = reply ? reply : reply_default((enum reason)i);
		out += snprintf(out, (size_t)(end - out), "\n%s: %s", reason_name((enum reason)i),
			reply ? reply : "");
	}
}

static void test_defaults(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, "", NULL);
	assert_int_equal(c->listen_count, 1);
	assert_int_equal(c->listen[0].kind, LISTEN_UNIX);
	assert_string_equal(c->listen[0].path, "/var/spool/postfix/policyd/policy.sock");
	assert_string_equal(c->listen[0].text, "unix:/var/spool/postfix/policyd/policy.sock");
	assert_int_equal(c->socket_mode, 0660);
	assert_string_equal(c->socket_group, "postfix");
	assert_string_equal(c->user, "");
	assert_string_equal(c->group, "");
	assert_string_equal(c->state_dir, "/var/lib/policyd");
	assert_int_equal(c->table_max_mb, 16384);
	assert_int_equal(c->register_max_mb, 1024);
	assert_int_equal(c->workers, 1);
	assert_int_equal(c->max_connections, 4096);
	assert_int_equal(c->idle_timeout_s, 1000);
	assert_int_equal(c->log_target, LOG_TARGET_STDERR);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->log_decisions, LOG_DECISIONS_ALL);
	for (int i = 0; i < REASON_COUNT_; i++)
		assert_null(c->replies.of_reason[i]);
	config_free(outcome.config);
}

static void test_default_settings(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct settings *s = &accept_ini(&outcome, "", NULL)->settings;
	assert_non_null(s->unicode);
	assert_int_equal(s->semantics, SEMANTICS_UNION);
	assert_int_equal(s->states, 1U << STATE_MAIL | 1U << STATE_RCPT);
	assert_true(text_equal(s->recipient_delimiter, TEXT("+")));
	assert_false(s->local_keep);
	assert_int_equal(s->local_domain_count, 0);
	assert_false(s->routing_literal);
	assert_true(s->allow_self);
	assert_false(s->unlisted_permit);
	assert_false(s->null_reject);
	assert_false(s->reject_owned);
	assert_int_equal(s->login_realm.len, 0);
	assert_int_equal(s->append_domain.len, 0);
	assert_false(s->monitor);
	assert_int_equal(s->monitor_action, MONITOR_DUNNO);
	config_free(outcome.config);
}

static void test_default_lockdown(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, "", NULL);
	assert_false(c->lockdown.is_enabled);
	assert_null(c->settings.lockdown);
	assert_true(text_equal(c->lockdown.label, TEXT("_mailchannels")));
	assert_true(text_equal(c->lockdown.version, TEXT("mc1")));
	assert_int_equal(c->lockdown.account_count, 0);
	assert_int_equal(c->lockdown.type_count, 1);
	assert_true(text_equal(c->lockdown.types[0], TEXT("x-authuser")));
	assert_int_equal(c->lockdown.on_failure, LOCKDOWN_DEFER);
	assert_false(c->lockdown.grant_senderid);
	assert_int_equal(c->new_domains.per_min, 30);
	assert_int_equal(c->new_domains.burst, 20);
	config_free(outcome.config);
}

static void test_default_dns(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, "", NULL);
	assert_string_equal(c->resolv_conf, "/etc/resolv.conf");
	assert_int_equal(c->nameservers.count, 0);
	assert_int_equal(c->dns_timeout_ms, 1000);
	assert_int_equal(c->dns_attempts, 3);
	assert_int_equal(c->dns_deadline_ms, 4000);
	assert_int_equal(c->dns_max_in_flight, 1024);
	assert_string_equal(c->cache_dir, "/run/policyd/cache");
	assert_int_equal(c->cache_rules.max_ttl_s, 3600);
	assert_int_equal(c->cache_rules.negative_max_ttl_s, 300);
	assert_int_equal(c->cache_rules.stale_s, 86400);
	assert_int_equal(c->cache_max_mb, 256);
	config_free(outcome.config);
}

static void test_lockdown_and_dns(void **state)
{
	static const char ini[] =
		"[lockdown]\nenabled = yes\nlabel = _Senders.Mail\nversion = Ex1\n"
		"account = prov-1\naccount = Prov=2\nsender_id_type = x-tenant\n"
		"sender_id_type = x-authuser\non_failure = reject\ngrant = senderid\n"
		"new_domains_per_min = 60000\nnew_domains_burst = 1\n"
		"[dns]\nresolv_conf = /etc/r.conf\nnameserver = 192.0.2.1\n"
		"nameserver = 192.0.2.1:5353\nnameserver = [2001:db8::1]:54\ntimeout_ms = 10000\n"
		"attempts = 10\ndeadline_ms = 30000\nmax_in_flight = 16384\ncache_dir = /c\n"
		"cache_max_ttl_s = 604800\ncache_negative_max_ttl_s = 10800\ncache_stale_s = 0\n"
		"cache_max_mb = 65536\n"
		"[replies]\nlocked_down = 553 5.7.1 %d says no\n";
	static const char expected[] =
		"lockdown=1 label=_senders.mail version=Ex1 failure=2 grant=1 "
		"accounts=prov-1,Prov=2, types=x-tenant,x-authuser,\n"
		"bucket=60000 1 resolv=/etc/r.conf timeout=10000 attempts=10 deadline=30000 "
		"flight=16384 cache=/c ttl=604800 10800 0 mb=65536 "
		"servers=192.0.2.1:53,192.0.2.1:5353,[2001:db8::1]:54,\n";
	struct outcome outcome;
	static char text[16384];
	(void)state;
	const struct config *c = accept_ini(&outcome, ini, NULL);
	describe(text, c);
	const char *from = strstr(text, "lockdown=");
	assert_non_null(from);
	assert_memory_equal(from, expected, sizeof(expected) - 1);
	assert_ptr_equal(c->settings.lockdown, &c->lockdown);
	assert_string_equal(c->replies.of_reason[REASON_LOCKED_DOWN], "553 5.7.1 %d says no");
	config_free(outcome.config);
}

static void test_lockdown_overrides(void **state)
{
	static const char *const overrides[] = {"lockdown.account=", "lockdown.account=b",
		"lockdown.account=c", "lockdown.sender_id_type=x-t", "dns.nameserver=::1",
		"dns.nameserver=", "dns.nameserver=127.0.0.1", NULL};
	static const char *const none[] = {"lockdown.account=", NULL};
	static const char ini[] = "[lockdown]\nenabled = yes\naccount = a\n"
				  "[dns]\nnameserver = 192.0.2.1\nnameserver = 192.0.2.2\n";
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, ini, overrides);
	assert_int_equal(c->lockdown.account_count, 2);
	assert_true(text_equal(c->lockdown.accounts[0], TEXT("b")));
	assert_true(text_equal(c->lockdown.accounts[1], TEXT("c")));
	assert_int_equal(c->lockdown.type_count, 1);
	assert_true(text_equal(c->lockdown.types[0], TEXT("x-t")));
	assert_int_equal(c->nameservers.count, 2);
	assert_string_equal(c->nameservers.list[0].text, "[::1]:53");
	assert_string_equal(c->nameservers.list[1].text, "127.0.0.1:53");
	config_free(outcome.config);
	refuse_bytes(text_of(ini), none, "p.ini:2: [lockdown] account: none is given");
}

/* What may stand in a cache_dir beside the durable data, and what may not. */
static void test_cache_dir(void **state)
{
	static const char *const good[] = {
		"/s/cache", "/s/tables", "/s/table/cache", "/", "/stable", "/s/cache/table"};
	static const char *const bad[] = {
		"/s", "//s/./", "/s/table", "/s//table/", "/s/./register/."};
	struct outcome outcome;
	char ini[120];
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(ini, sizeof(ini), "[policyd]\nstate_dir = /s/\n[dns]\ncache_dir = %s\n",
			good[i]);
		accept_ini(&outcome, ini, NULL);
		config_free(outcome.config);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(ini, sizeof(ini), "[policyd]\nstate_dir = /s/\n[dns]\ncache_dir = %s\n",
			bad[i]);
		refuse(ini, "p.ini:4: [dns] cache_dir: ");
		refuse(ini, "\" is where durable data are");
	}
	refuse("[policyd]\nstate_dir = /run/policyd/cache\n", "p.ini:2: [dns] cache_dir: ");
}

static const char everything[] = "\xef\xbb\xbf; a comment\r\n"
				 "[policyd]\r\n"
				 "listen = unix:/run/p.sock\n"
				 "  listen=inet:127.0.0.1:10040\n"
				 "listen\t=\tinet:[::1]:10041\n"
				 "listen = inet:mx-1.example:25\n"
				 "socket_mode = 666\n"
				 "socket_group =\n"
				 "user = policyd\n"
				 "group = mail\n"
				 "state_dir = /srv/policy d\n"
				 "table_max_mb = 1\n"
				 "register_max_mb = 32\n"
				 "workers = 256\n"
				 "max_connections = 1\n"
				 "idle_timeout_s = 300\n"
				 "mode = Monitor\n"
				 "monitor_action = warn\n"
				 "log = syslog\n"
				 "log_format = json\n"
				 "log_level = debug\n"
				 "log_decisions = refused\n"
				 "\n"
				 "[match]\n"
				 "semantics = first-hit\n"
				 "states = rcpt DATA,End-Of-Message\n"
				 "recipient_delimiter = -;\n"
				 "local_part = fold\n"
				 "local_domains = Lab.Test. [127.0.0.1],\tb\xc3\xbc"
				 "cher.example\n"
				 "local_domains = second.example\n"
				 "routing = literal\n"
				 "allow_self = NO\n"
				 "unlisted_sender = permit\n"
				 "null_sender = reject\n"
				 "unauthenticated = reject_owned\n"
				 "login_realm = Example.COM\n"
				 "append_domain = mx.example\n"
				 "[replies]\n"
				 "not_owned = REJECT 5.7.1 not yours; ask # us: %u = %s\n"
				 "expired =\n"
				 "[policyd]\n"
				 "# the same section again is one section";

static void test_everything(void **state)
{
	struct outcome outcome;
	static char text[16384];
	(void)state;
	describe(text, accept_ini(&outcome, everything, NULL));
	static const char expected[] =
		"listen unix:/run/p.sock 0 path=/run/p.sock host= port=0\n"
		"listen inet:127.0.0.1:10040 1 path= host=127.0.0.1 port=10040\n"
		"listen inet:[::1]:10041 1 path= host=::1 port=10041\n"
		"listen inet:mx-1.example:25 1 path= host=mx-1.example port=25\n"
		"mode=666 socket_group= user=policyd group=mail state=/srv/policy d table=1 "
		"register=32 workers=256 connections=1 idle=300 log=1 1 3 1\n"
		"semantics=1 states=70 delimiter=-; keep=0 literal=1 self=0 unlisted=1 null=1 "
		"owned=1 realm=example.com append=mx.example monitor=1 action=1 "
		"local=lab.test,[127.0.0.1],xn--bcher-kva.example,second.example,\n";
	assert_memory_equal(text, expected, sizeof(expected) - 1);
	assert_string_equal(outcome.config->replies.of_reason[REASON_NOT_OWNED],
		"REJECT 5.7.1 not yours; ask # us: %u = %s");
	assert_null(outcome.config->replies.of_reason[REASON_EXPIRED]);
	config_free(outcome.config);
}

static void test_workers_auto(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, "[policyd]\nworkers = auto\n", NULL);
	assert_int_equal(c->workers, sysconf(_SC_NPROCESSORS_ONLN));
	config_free(outcome.config);
}

static void test_empty_delimiter_is_none(void **state)
{
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome, "[match]\nrecipient_delimiter =\n", NULL);
	assert_int_equal(c->settings.recipient_delimiter.len, 0);
	config_free(outcome.config);
}

static void test_overrides(void **state)
{
	static const char *const overrides[] = {"match.semantics=first-hit",
		" policyd . listen = unix:/one", "policyd.listen=inet:localhost:1",
		"policyd.mode=monitor", "policyd.mode=enforce",
		"match.local_domains=", "replies.not_owned=REJECT 5.7.1 a=b", NULL};
	struct outcome outcome;
	(void)state;
	const struct config *c = accept_ini(&outcome,
		"[match]\nsemantics = union\nlocal_domains = a.example\n"
		"[policyd]\nlisten = unix:/file\nlisten = unix:/file2\n",
		overrides);
	assert_int_equal(c->settings.semantics, SEMANTICS_FIRST_HIT);
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(c->listen[0].path, "/one");
	assert_string_equal(c->listen[1].host, "localhost");
	assert_int_equal(c->listen[1].port, 1);
	assert_false(c->settings.monitor);
	assert_int_equal(c->settings.local_domain_count, 0);
	assert_string_equal(c->replies.of_reason[REASON_NOT_OWNED], "REJECT 5.7.1 a=b");
	config_free(outcome.config);
}

/* The options of [replies] are the reasons that refuse or defer. */
static void test_every_refusing_reason_has_a_reply(void **state)
{
	size_t rows = 0, reasons = 0;
	(void)state;
	for (size_t i = 0; i < config_schema_count; i++)
		rows += strcmp(config_schema[i].section, "replies") == 0;
	for (int i = 0; i < REASON_COUNT_; i++) {
		char key[CONFIG_NEAREST_MAX];
		snprintf(key, sizeof(key), "%s", reason_name((enum reason)i));
		for (char *dash = strchr(key, '-'); dash; dash = strchr(dash, '-'))
			*dash = '_';
		const struct option *option = option_find("replies", text_of(key));
		assert_int_equal(option != NULL, reason_action((enum reason)i) != ACTION_DUNNO);
		reasons += option != NULL;
		if (option)
			assert_int_equal(
				option->offset, offsetof(struct config, replies.of_reason) +
							sizeof(char *) * (size_t)i);
	}
	assert_int_equal(rows, reasons);
}

/* The caller's; with a NUL. */
static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *bytes = calloc(1, 1U << 17);
	assert_non_null(file);
	assert_non_null(bytes);
	assert_in_range(fread(bytes, 1, (1U << 17) - 1, file), 1, (1U << 17) - 2);
	fclose(file);
	return bytes;
}

static void assert_is_default(const char *ini)
{
	static char wanted[16384], got[16384];
	struct outcome outcome;
	describe(wanted, accept_ini(&outcome, "", NULL));
	config_free(outcome.config);
	describe(got, accept_ini(&outcome, ini, NULL));
	config_free(outcome.config);
	assert_string_equal(got, wanted);
}

/* `#key = default` becomes `key = default`; prose has a blank behind its `#`. */
static void uncomment(char *ini)
{
	for (char *line = ini; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z')
			line[0] = ' ';
	}
}

static void test_shipped_file_is_the_default(void **state)
{
	char *ini = slurp(SHIPPED);
	(void)state;
	assert_is_default(ini);
	uncomment(ini);
	assert_is_default(ini);
	free(ini);
}

static void test_every_option_is_documented(void **state)
{
	char *ini = slurp(SHIPPED), *manual = slurp(MANUAL);
	char wanted[64];
	(void)state;
	for (size_t i = 0; i < config_schema_count; i++) {
		const struct option *option = &config_schema[i];
		snprintf(wanted, sizeof(wanted), "\n#%s =", option->key);
		if (!strstr(ini, wanted))
			fail_msg("%s has no default for %s", SHIPPED, option->key);
		snprintf(wanted, sizeof(wanted), "\n.It Ic %s", option->key);
		if (!strstr(manual, wanted))
			fail_msg("%s says nothing of %s", MANUAL, option->key);
	}
	free(ini);
	free(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_settings),
		cmocka_unit_test(test_default_lockdown),
		cmocka_unit_test(test_default_dns),
		cmocka_unit_test(test_lockdown_and_dns),
		cmocka_unit_test(test_lockdown_overrides),
		cmocka_unit_test(test_cache_dir),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_workers_auto),
		cmocka_unit_test(test_empty_delimiter_is_none),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_every_refusing_reason_has_a_reply),
		cmocka_unit_test(test_shipped_file_is_the_default),
		cmocka_unit_test(test_every_option_is_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

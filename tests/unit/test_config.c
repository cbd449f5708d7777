/*
 * policyd.ini: what it accepts, what it refuses and with which words, and that the three places
 * that speak of an option (table, shipped file, manual page) say the same.
 */
#include "policy/engine/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SHIPPED "policyd.ini"
#define MANUAL  "man/policyd.ini.5"

/* What one reading came to. */
struct outcome {
	enum err err;
	struct config *config;
	size_t sentences;
	char said[CONFIG_SENTENCE_MAX * 4]; /* sentences, a line feed behind each */
};

static void on_error(void *ctx, const char *sentence)
{
	struct outcome *outcome = ctx;
	size_t len = strlen(outcome->said);
	outcome->sentences++;
	snprintf(outcome->said + len, sizeof(outcome->said) - len, "%s\n", sentence);
}

static struct config_source source_of(struct outcome *outcome, const char *const *overrides)
{
	struct config_source source = {
		.path = "p.ini", .overrides = overrides, .on_error = on_error, .ctx = outcome};
	while (overrides && overrides[source.override_count])
		source.override_count++;
	*outcome = (struct outcome){0};
	return source;
}

static void read_bytes(struct outcome *outcome, struct text ini, const char *const *overrides)
{
	struct config_source source = source_of(outcome, overrides);
	outcome->err = config_read_text(&outcome->config, ini, &source);
	assert_int_equal(outcome->config != NULL, outcome->err == ERR_OK);
	assert_int_equal(outcome->sentences == 0, outcome->err == ERR_OK);
}

static struct config *accept_ini(
	struct outcome *outcome, const char *ini, const char *const *overrides)
{
	read_bytes(outcome, text_of(ini), overrides);
	assert_string_equal(outcome->said, "");
	assert_int_equal(outcome->err, ERR_OK);
	return outcome->config;
}

static void refuse_bytes(struct text ini, const char *const *overrides, const char *sentence)
{
	struct outcome outcome;
	read_bytes(&outcome, ini, overrides);
	assert_int_equal(outcome.err, ERR_INVALID);
	if (!strstr(outcome.said, sentence))
		assert_string_equal(outcome.said, sentence);
}

static void refuse(const char *ini, const char *sentence)
{
	refuse_bytes(text_of(ini), NULL, sentence);
}

static void refuse_override(const char *override, const char *sentence)
{
	const char *const overrides[] = {override, NULL};
	refuse_bytes(TEXT(""), overrides, sentence);
}

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
				 "register_max_mb = 2\n"
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
		"register=2 workers=256 connections=1 idle=300 log=1 1 3 1\n"
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

static const struct {
	const char *ini, *sentence;
} refused[] = {
	/* structure */
	{"mode = enforce\n", "p.ini:1: \"mode = enforce\" stands before the first section; the "
			     "sections are [policyd], [match], [lockdown], [dns], [replies]\n"},
	{"\n\n[mtach]\nx\n", "p.ini:3: unknown section [mtach] (did you mean [match]?); the "
			     "sections are [policyd], [match], [lockdown], [dns], [replies]\n"},
	{"[ownership]\n", "p.ini:1: unknown section [ownership]; the sections are"},
	{"[lock-down]\n", "p.ini:1: unknown section [lock-down] (did you mean [lockdown]?)"},
	{"[Match]\n", "p.ini:1: unknown section [Match] (did you mean [match]?)"},
	{"[match\n", "p.ini:1: \"[match\" is no heading"},
	{"[match] semantics = union\n", "p.ini:1: \"[match] semantics = union\" is no heading"},
	{"[match]\n  \nsemantics union\n", "p.ini:3: no key = value in \"semantics union\""},
	{"[match]\nsemantics: union\n", "p.ini:2: no key = value in \"semantics: union\""},
	{"[policyd]\nlisten: unix:/x=y\n", "p.ini:2: no key = value in"},
	{"[match]\nstates = MAIL,\n  RCPT\n",
		"p.ini:3: no key = value in \"RCPT\"; a line is that"},
	{"[match]\nsemantic = union\n", "p.ini:2: [match] unknown key \"semantic\" (did you mean "
					"semantics?); the keys here "
					"are semantics, states, recipient_delimiter, "},
	{"[match]\nmode = monitor\n", "p.ini:2: [match] unknown key \"mode\" (it belongs in "
				      "[policyd]); the keys here are"},
	{"[match]\n= monitor\n", "p.ini:2: [match] unknown key \"\"; the keys here are"},
	{"[replies]\nnot-owned = REJECT 5.7.1 no\n", "(did you mean not_owned?)"},
	{"[replies]\nself = REJECT 5.7.1 no\n", "[replies] unknown key \"self\";"},
	{"[match]\nx\033[2J = y\n", "p.ini:2: byte 2 is the control character \\x1b"},
	{"[match]\nsemantics = union\rallow_self = no\n", "p.ini:2: byte 18 is the control"},
	{"[match]\nsemantics = union\n\n[policyd]\n[match]\nsemantics = first-hit\n",
		"p.ini:6: [match] semantics: is set in line 2 already; one of the two lines must "
		"go\n"},
	{"[match]\nsemantics = union ; the best\n",
		"p.ini:2: [match] semantics: \"union ; the best\" has a comment behind the value"},
	{"[policyd]\nstate_dir = /var/x # here\n", "has a comment behind the value"},
	{"[policyd]\nuser = \"policyd\"\n", "p.ini:2: [policyd] user: \"\"policyd\"\" stands in "
					    "quotes, which would belong to the value"},
	{"[match]\nx\xff = y\n", "unknown key \"x\\xff\""},
	/* choices */
	{"[match]\nsemantics = unoin\n",
		"p.ini:2: [match] semantics: \"unoin\" is not one of union, "
		"first-hit (did you mean union?)\n"},
	{"[match]\nsemantics = first_hit\n", "(did you mean first-hit?)"},
	{"[match]\nallow_self = true\n", "allow_self: \"true\" is not one of no, yes\n"},
	{"[match]\nallow_self =\n", "allow_self: \"\" is not one of no, yes\n"},
	{"[policyd]\nmonitor_action = OK\n", "\"OK\" is not one of DUNNO, WARN\n"},
	{"[policyd]\nlog_level = warn\n", "is not one of error, warning, info, debug"},
	{"[match]\nstates = MAIL RCTP\n",
		"\"MAIL RCTP\" names \"RCTP\", which is not one of CONNECT, "
		"EHLO, HELO, MAIL, RCPT, DATA, END-OF-MESSAGE, VRFY, "
		"ETRN (did you mean RCPT?)\n"},
	{"[match]\nstates = ,\n", "\",\" names no state"},
	/* numbers */
	{"[policyd]\nidle_timeout_s = 299\n",
		"\"299\" is not a number from 300 to 604800: Postfix keeps an idle connection"},
	{"[policyd]\nidle_timeout_s = 1000s\n", "\"1000s\" is not a number"},
	{"[policyd]\nidle_timeout_s = -1\n", "\"-1\" is not a number"},
	{"[policyd]\ntable_max_mb = 0\n", "\"0\" is not a number from 1 to 4194304\n"},
	{"[policyd]\ntable_max_mb = 18446744073709551617\n", "is not a number from 1"},
	{"[policyd]\ntable_max_mb =\n", "\"\" is not a number from 1"},
	{"[policyd]\nworkers = 257\n", "\"257\" is neither auto nor a number from 1 to 256\n"},
	{"[policyd]\nworkers = 0\n", "\"0\" is neither auto"},
	{"[policyd]\nmax_connections = 1000001\n", "is not a number from 1 to 1000000\n"},
	{"[policyd]\nsocket_mode = 0777\n", "\"0777\" is not a mode of a socket: octal"},
	{"[policyd]\nsocket_mode = 0689\n", "is not a mode of a socket"},
	{"[policyd]\nsocket_mode = 04660\n", "is not a mode of a socket"},
	{"[policyd]\nsocket_mode = 0440\n", "is not a mode of a socket"},
	/* names and paths */
	{"[policyd]\nuser = a b\n", "\"a b\" is not the name of a user or group"},
	{"[policyd]\nuser = a:b\n", "\"a:b\" is not the name of a user or group"},
	{"[policyd]\nstate_dir = lib\n", "\"lib\" is not an absolute path"},
	{"[policyd]\nstate_dir =\n", "\"\" is not an absolute path"},
	/* listen */
	{"[policyd]\nlisten =\n", "\"\" is neither unix:/PATH nor inet:HOST:PORT"},
	{"[policyd]\nlisten = /run/p.sock\n", "is neither unix:/PATH nor inet:HOST:PORT"},
	{"[policyd]\nlisten = unix:p.sock\n", "needs the absolute path of a socket"},
	{"[policyd]\nlisten = unix:/run/\n", "needs the absolute path of a socket"},
	{"[policyd]\nlisten = inet:10040\n", "needs host and port"},
	{"[policyd]\nlisten = inet::10040\n", "needs host and port"},
	{"[policyd]\nlisten = inet:localhost:0\n", "needs a port from 1 to 65535"},
	{"[policyd]\nlisten = inet:localhost:65536\n", "needs a port from 1 to 65535"},
	{"[policyd]\nlisten = inet:localhost:smtp\n", "needs a port from 1 to 65535"},
	{"[policyd]\nlisten = inet:::1:10040\n", "has no usable host"},
	{"[policyd]\nlisten = inet:[127.0.0.1]:10040\n", "has no usable host"},
	{"[policyd]\nlisten = inet:127.0.0.256:10040\n", "has no usable host"},
	{"[policyd]\nlisten = inet:*:10040\n", "has no usable host"},
	{"[policyd]\nlisten = unix:/a\nlisten = unix:/a\n",
		"p.ini:3: [policyd] listen: \"unix:/a\" "
		"is given twice"},
	/* match */
	{"[match]\nrecipient_delimiter = +@\n", "\"+@\" is not a set of at most 32 ASCII"},
	{"[match]\nrecipient_delimiter = + -\n", "\"+ -\" is not a set"},
	{"[match]\nrecipient_delimiter = \xc3\xb6\n", "is not a set"},
	{"[match]\nlocal_domains = a.example, b..example\n",
		"names \"b..example\", which is not a domain or address literal"},
	{"[match]\nlogin_realm = @a.example\n", "\"@a.example\" is not a domain"},
	{"[match]\nlogin_realm = [127.0.0.1]\n", "is not a domain"},
	{"[match]\nappend_domain = a.example, b.example\n", "is not a domain"},
	{"[match]\nappend_domain = a\xff.example\n", "\"a\\xff.example\" is not a domain"},
	/* replies */
	{"[replies]\nnot_owned = OK\n", "[replies] not_owned: \"OK\" cannot be an answer: "},
	{"[replies]\nnot_owned = REJECT 5.7.1\n", "cannot be an answer: "},
	{"[replies]\nno_table = %u 4.3.0 text\n", "cannot be an answer: "},
	{"[replies]\nlocked_down = DEFER 5.7.1 x\n",
		"[replies] locked_down: \"DEFER 5.7.1 x\" cannot"},
	{"[replies]\ngranted = REJECT 5.7.1 no\n", "[replies] unknown key \"granted\";"},
	/* lockdown */
	{"[lockdown]\nenabled = true\n", "enabled: \"true\" is not one of no, yes\n"},
	{"[lockdown]\nlabel =\n", "\"\" is not what can stand before a domain in the DNS"},
	{"[lockdown]\nlabel = _mailchannels.\n", "\"_mailchannels.\" is not what can stand"},
	{"[lockdown]\nlabel = .a\n", "\".a\" is not what can stand"},
	{"[lockdown]\nlabel = a..b\n", "\"a..b\" is not what can stand"},
	{"[lockdown]\nlabel = a b\n", "\"a b\" is not what can stand"},
	{"[lockdown]\nlabel = *\n", "\"*\" is not what can stand"},
	{"[lockdown]\nlabel = b\xc3\xbc\n", "is not what can stand"},
	{"[lockdown]\nversion =\n", "\"\" is not a version: 1 to 32"},
	{"[lockdown]\nversion = mc 1\n", "\"mc 1\" is not a version"},
	{"[lockdown]\nversion = mc\xc2\xa0\n", "is not a version"},
	{"[lockdown]\nversion = 123456789012345678901234567890123\n", "is not a version"},
	{"[lockdown]\nversion = v=mc1\n", "\"v=mc1\" has the v= of the record"},
	{"[lockdown]\naccount = a b\n", "\"a b\" is not one id of 1 to 255 bytes"},
	{"[lockdown]\naccount = a\tb\n", "is not one id"},
	{"[lockdown]\naccount = a|b\n", "\"a|b\" is not one id"},
	{"[lockdown]\naccount = a,b\n", "\"a,b\" is not one id"},
	{"[lockdown]\naccount = Ab\naccount = aB\n",
		"p.ini:3: [lockdown] account: \"aB\" is given twice"},
	{"[lockdown]\nsender_id_type =\n", "\"\" is not one id"},
	{"[lockdown]\nsender_id_type = x|y\n", "\"x|y\" is not one id"},
	{"[lockdown]\nsender_id_type = x\nsender_id_type = X\n", "\"X\" is given twice"},
	{"[lockdown]\non_failure = dunno\n", "\"dunno\" is not one of defer, permit, reject\n"},
	{"[lockdown]\ngrant = yes\n", "\"yes\" is not one of no, senderid\n"},
	{"[lockdown]\nnew_domains_burst = 0\n",
		"\"0\" is not a number from 1 to 60000: with 0 every domain"},
	{"[lockdown]\nnew_domains_per_min = 0\n", "\"0\" is not a number from 1 to 60000: with 0"},
	{"[lockdown]\nnew_domains_per_min = 60001\n", "is not a number from 1 to 60000"},
	/* dns */
	{"[dns]\nresolv_conf = resolv.conf\n", "\"resolv.conf\" is not an absolute path"},
	{"[dns]\nnameserver = dns.example\n",
		"\"dns.example\" is not the address of a DNS server: ADDR"},
	{"[dns]\nnameserver = 192.0.2.1, 192.0.2.2\n", "is not the address of a DNS server"},
	{"[dns]\nnameserver = 192.0.2.1:0\n", "is not the address of a DNS server"},
	{"[dns]\nnameserver = 192.0.2.1\nnameserver = 192.0.2.1:53\n",
		"p.ini:3: [dns] nameserver: \"192.0.2.1:53\" is given twice"},
	{"[dns]\ntimeout_ms = 9\n", "\"9\" is not a number from 10 to 10000: a server"},
	{"[dns]\nattempts = 0\n", "\"0\" is not a number from 1 to 10\n"},
	{"[dns]\ndeadline_ms = 30001\n", "\"30001\" is not a number from 10 to 30000: Postfix "
					 "gives a request up after 100 s"},
	{"[dns]\nmax_in_flight = 0\n",
		"\"0\" is not a number from 1 to 16384: each query has a port"},
	{"[dns]\ncache_dir = cache\n", "\"cache\" is not an absolute path"},
	{"[dns]\ncache_max_ttl_s = 0\n", "is not a number from 1 to 604800: a record that"},
	{"[dns]\ncache_negative_max_ttl_s = 10801\n", "is not a number from 1 to 10800: so long"},
	{"[dns]\ncache_stale_s = 604801\n", "is not a number from 0 to 604800: a record that"},
	{"[dns]\ncache_max_mb = 0\n", "is not a number from 1 to 65536\n"},
	/* contradictions */
	{"[lockdown]\nlabel = _x\nenabled = yes\n",
		"p.ini:3: [lockdown] account: none is given, and enabled = yes needs one"},
	{"[lockdown]\nenabled = yes\naccount =\n", "p.ini:2: [lockdown] account: none is given"},
	{"[dns]\ndeadline_ms = 999\n",
		"p.ini:2: [dns] deadline_ms: 999 is less than timeout_ms, which is 1000"},
	{"[dns]\ntimeout_ms = 5000\n",
		"p.ini:2: [dns] deadline_ms: 4000 is less than timeout_ms, which is 5000"},
	{"[match]\nallow_self = yes\nsemantics = first-hit\n",
		"p.ini:2: [match] allow_self: \"yes\" cannot be had with semantics = first-hit"},
	{"[match]\nsemantics = first-hit\nlocal_part = keep\n",
		"p.ini:3: [match] local_part: \"keep\""},
	{"[match]\nsemantics = first-hit\nrouting = both\n", "p.ini:3: [match] routing: \"both\""},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		refuse(refused[i].ini, refused[i].sentence);
}

static void test_bytes_that_are_no_text(void **state)
{
	(void)state;
	refuse_bytes(TEXT("[match]\nsemantics = un\0ion\n"), NULL,
		"p.ini:2: byte 15 is the control character \\x00");
	refuse_bytes(TEXT("\xff\xfe[\0m\0"), NULL, "p.ini:1: byte 4 is the control character");
}

static void test_all_errors_are_told(void **state)
{
	struct outcome outcome;
	(void)state;
	read_bytes(&outcome,
		TEXT("[match]\nsemantics = x\n[nothing]\nignored\n[policyd]\nworkers = 0\n"), NULL);
	assert_int_equal(outcome.sentences, 3);
	assert_non_null(strstr(outcome.said, "p.ini:2: "));
	assert_non_null(strstr(outcome.said, "p.ini:3: "));
	assert_non_null(strstr(outcome.said, "p.ini:6: "));
}

static void test_many_errors_are_counted(void **state)
{
	struct outcome outcome;
	char ini[400] = "[match]\n";
	(void)state;
	for (int i = 0; i < 25; i++)
		strcat(ini, "x = y\n");
	read_bytes(&outcome, text_of(ini), NULL);
	assert_int_equal(outcome.sentences, CONFIG_COMPLAIN_MAX + 1);
	assert_non_null(strstr(outcome.said, "\np.ini: 5 more errors\n"));
}

/* A line of len bytes in the reply, or a comment. */
static char *long_line(const char *start, size_t len)
{
	char *ini = malloc(len + 64);
	assert_non_null(ini);
	size_t used = (size_t)snprintf(ini, 64, "[match]\n%s", start);
	memset(ini + used, 'x', len - strlen(start));
	strcpy(ini + used + len - strlen(start), "\nlocal_part = keep\nfoo = 1\n");
	return ini;
}

static void test_long_lines(void **state)
{
	(void)state;
	char *ini = long_line("# ", CONFIG_VALUE_MAX);
	refuse(ini, "p.ini:4: [match] unknown key \"foo\"");
	free(ini);
	ini = long_line("login_realm = ", CONFIG_VALUE_MAX);
	refuse(ini, "p.ini:2: [match] login_realm: \"xxxx");
	refuse(ini, "xxx...\" is not a domain");
	refuse(ini, "p.ini:4: [match] unknown key \"foo\"");
	free(ini);
	ini = long_line("# ", CONFIG_VALUE_MAX + 1);
	refuse(ini, "p.ini:2: a line of 65537 bytes; at most 65536 are allowed\n"
		    "p.ini:4: [match] unknown key \"foo\"");
	free(ini);
	char key[80] = "";
	memset(key, 'k', 70);
	char all[120];
	snprintf(all, sizeof(all), "[match]\n%s = 1\n", key);
	refuse(all, key);
}

static void test_socket_path_length(void **state)
{
	struct outcome outcome;
	char ini[200], path[110] = "/";
	(void)state;
	memset(path + 1, 'p', 106);
	snprintf(ini, sizeof(ini), "[policyd]\nlisten = unix:%s\n", path);
	accept_ini(&outcome, ini, NULL);
	config_free(outcome.config);
	path[107] = 'p';
	snprintf(ini, sizeof(ini), "[policyd]\nlisten = unix:%s\n", path);
	refuse(ini, "has a path of 108 bytes; a socket's may have at most 107");
}

/* A label of 63 bytes is one, a name of 127 too. */
static void test_label_length(void **state)
{
	struct outcome outcome;
	char ini[200] = "[lockdown]\nlabel = ";
	size_t start = strlen(ini);
	(void)state;
	memset(ini + start, 'l', 128);
	ini[start + 63] = '.';
	ini[start + 127] = '\0';
	const struct config *c = accept_ini(&outcome, ini, NULL);
	assert_int_equal(c->lockdown.label.len, 127);
	config_free(outcome.config);
	ini[start + 127] = '.';
	ini[start + 128] = 'x';
	refuse(ini, "is not what can stand before a domain");
	ini[start + 63] = 'l';
	ini[start + 64] = '\0';
	refuse(ini, "is not what can stand before a domain");
}

static void test_too_many(void **state)
{
	static char ini[CONFIG_LOCAL_DOMAINS_MAX * 16];
	struct outcome outcome;
	size_t used = 0;
	(void)state;
	used = (size_t)sprintf(ini, "[policyd]\n");
	for (int i = 0; i <= CONFIG_LISTEN_MAX; i++)
		used += (size_t)sprintf(ini + used, "listen = unix:/s%d\n", i);
	refuse(ini,
		"p.ini:18: [policyd] listen: \"unix:/s16\" is one address too many: at most 16");
	used = (size_t)sprintf(ini, "[match]\nlocal_domains =");
	for (int i = 0; i < CONFIG_LOCAL_DOMAINS_MAX; i++)
		used += (size_t)sprintf(ini + used, " d%d.example", i);
	const struct config *c = accept_ini(&outcome, ini, NULL);
	assert_int_equal(c->settings.local_domain_count, CONFIG_LOCAL_DOMAINS_MAX);
	config_free(outcome.config);
	strcpy(ini + used, " more.example");
	refuse(ini, "makes more than 1024 domains");
	used = (size_t)sprintf(ini, "[lockdown]\nenabled = yes\n");
	for (int i = 0; i < CONFIG_ACCOUNTS_MAX; i++)
		used += (size_t)sprintf(ini + used, "account = a%d\n", i);
	c = accept_ini(&outcome, ini, NULL);
	assert_int_equal(c->lockdown.account_count, CONFIG_ACCOUNTS_MAX);
	config_free(outcome.config);
	strcpy(ini + used, "account = b\n");
	refuse(ini, "p.ini:259: [lockdown] account: \"b\" is one too many: at most 256");
	used = (size_t)sprintf(ini, "[dns]\n");
	for (int i = 0; i <= NAMESERVERS_MAX; i++)
		used += (size_t)sprintf(ini + used, "nameserver = 192.0.2.%d\n", i + 1);
	refuse(ini, "p.ini:10: [dns] nameserver: \"192.0.2.9\" is one server too many: at most 8");
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

static void test_overrides_refused(void **state)
{
	static const char *const both[] = {
		"match.semantics=first-hit", "match.local_part=keep", NULL};
	(void)state;
	refuse_override("match.semantics=unoin",
		"-o match.semantics=unoin: [match] semantics: \"unoin\" is not one of union");
	refuse_override("match.sematics=union", "-o match.sematics=union: [match] unknown key "
						"\"sematics\" (did you mean semantics?)");
	refuse_override("ownership.required=no", "unknown section [ownership]");
	refuse_override("lockdown.enabled=yes", "-o lockdown.enabled: [lockdown] account: none is");
	refuse_override("dns.deadline_ms=10", "-o dns.deadline_ms: [dns] deadline_ms: 10 is less");
	refuse_override("semantics=union", "-o semantics=union: not of the form section.key=value");
	refuse_override("match.semantics", "not of the form section.key=value");
	refuse_override("", "-o : not of the form section.key=value");
	refuse_override("match.semantics=un\nion", "-o match.semantics=un\\x0aion: byte 19 is");
	refuse_bytes(TEXT(""), both, "-o match.local_part: [match] local_part: \"keep\" cannot be");
}

/* A file of its own, removed by the caller. */
static void write_file(char path[32], const char *bytes, size_t len)
{
	strcpy(path, "/tmp/test_config.XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static void test_file(void **state)
{
	struct outcome outcome;
	struct config_source source = source_of(&outcome, NULL);
	char path[32];
	(void)state;
	write_file(path, "[policyd]\nworkers = 7\n", 22);
	source.path = path;
	assert_int_equal(config_read(&outcome.config, &source), ERR_OK);
	assert_int_equal(outcome.config->workers, 7);
	config_free(outcome.config);
	unlink(path);
	assert_int_equal(config_read(&outcome.config, &source), ERR_IO);
	assert_null(outcome.config);
	assert_non_null(strstr(outcome.said, ": cannot be read: No such file or directory\n"));
	source.path = "/tmp";
	assert_int_equal(config_read(&outcome.config, &source), ERR_IO);
	assert_non_null(strstr(outcome.said, "/tmp: cannot be read: Is a directory\n"));
}

static void test_file_too_large(void **state)
{
	struct outcome outcome;
	struct config_source source = source_of(&outcome, NULL);
	char path[32], *bytes = malloc((1U << 20) + 1);
	(void)state;
	assert_non_null(bytes);
	memset(bytes, '\n', (1U << 20) + 1);
	write_file(path, bytes, (1U << 20) + 1);
	free(bytes);
	source.path = path;
	assert_int_equal(config_read(&outcome.config, &source), ERR_INVALID);
	assert_non_null(strstr(outcome.said, ": cannot be read: it is larger than 1 MiB\n"));
	assert_int_equal(truncate(path, 1U << 20), 0);
	assert_int_equal(config_read(&outcome.config, &source), ERR_OK);
	config_free(outcome.config);
	unlink(path);
}

static void test_nobody_listens_to_errors(void **state)
{
	struct config_source source = {0};
	struct config *config = NULL;
	(void)state;
	assert_int_equal(config_read_text(&config, TEXT("[x]"), &source), ERR_INVALID);
	assert_null(config);
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
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_lockdown_and_dns),
		cmocka_unit_test(test_lockdown_overrides),
		cmocka_unit_test(test_cache_dir),
		cmocka_unit_test(test_workers_auto),
		cmocka_unit_test(test_empty_delimiter_is_none),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_all_errors_are_told),
		cmocka_unit_test(test_many_errors_are_counted),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_socket_path_length),
		cmocka_unit_test(test_label_length),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_overrides_refused),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_too_large),
		cmocka_unit_test(test_nobody_listens_to_errors),
		cmocka_unit_test(test_every_refusing_reason_has_a_reply),
		cmocka_unit_test(test_shipped_file_is_the_default),
		cmocka_unit_test(test_every_option_is_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

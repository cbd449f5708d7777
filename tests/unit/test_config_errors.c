/*
 * policyd.ini: what is refused, where the sentence says it is and with which words; files that
 * cannot be read.
 */
#include "tests/unit/config_fixture.h"

static const struct {
	const char *ini, *sentence;
} refused[] = {
	/* structure */
	{"mode = enforce\n", "p.ini:1: \"mode = enforce\" stands before the first section; the "
			     "sections are [policyd], [match], [lockdown], [dns], "
			     "[ownership], [control], [roles], [replies]\n"},
	{"\n\n[mtach]\nx\n", "p.ini:3: unknown section [mtach] (did you mean [match]?); the "
			     "sections are [policyd], [match], [lockdown], [dns], "
			     "[ownership], [control], [roles], [replies]\n"},
	{"[owner]\n", "p.ini:1: unknown section [owner]; the sections are"},
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

static void test_overrides_refused(void **state)
{
	static const char *const both[] = {
		"match.semantics=first-hit", "match.local_part=keep", NULL};
	(void)state;
	refuse_override("match.semantics=unoin",
		"-o match.semantics=unoin: [match] semantics: \"unoin\" is not one of union");
	refuse_override("match.sematics=union", "-o match.sematics=union: [match] unknown key "
						"\"sematics\" (did you mean semantics?)");
	refuse_override("owner.required=no", "unknown section [owner]");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_all_errors_are_told),
		cmocka_unit_test(test_many_errors_are_counted),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_socket_path_length),
		cmocka_unit_test(test_label_length),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_overrides_refused),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_too_large),
		cmocka_unit_test(test_nobody_listens_to_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

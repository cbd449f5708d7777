/*
 * resolv.conf(5) and single nameservers: what is taken, what is passed over, when the file is
 * another one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "policy/engine/resolv_conf.h"

#define AD_LOOPBACK true
#define AD_NEVER    false

static void test_nameserver(void **state)
{
	static const struct {
		const char *typed, *text;
		bool trusts_ad;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1:53", AD_NEVER},
		{"192.0.2.1:5353", "192.0.2.1:5353", AD_NEVER},
		{"127.0.0.53", "127.0.0.53:53", AD_LOOPBACK},
		{"127.255.0.1:65535", "127.255.0.1:65535", AD_LOOPBACK},
		{"126.0.0.1", "126.0.0.1:53", AD_NEVER},
		{"2001:DB8::1", "[2001:db8::1]:53", AD_NEVER},
		{"[2001:db8::1]", "[2001:db8::1]:53", AD_NEVER},
		{"[2001:db8::1]:5353", "[2001:db8::1]:5353", AD_NEVER},
		{"::1", "[::1]:53", AD_LOOPBACK},
		{"[::1]:1", "[::1]:1", AD_LOOPBACK},
		{"::ffff:127.0.0.1", "[::ffff:127.0.0.1]:53", AD_LOOPBACK},
		{"fe80::1%lo", "[fe80::1%lo]:53", AD_NEVER},
		{"[fe80::1%7]:5353", "[fe80::1%7]:5353", AD_NEVER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nameserver server;

		assert_true(nameserver_parse(text_of(rows[i].typed), &server));
		assert_string_equal(server.text, rows[i].text);
		assert_int_equal(server.trusts_ad, rows[i].trusts_ad);
	}
}

static void test_nameserver_address(void **state)
{
	struct nameserver server;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	(void)state;
	assert_true(nameserver_parse(TEXT("192.0.2.1:5353"), &server));
	assert_int_equal(server.addr_len, sizeof(in));
	memcpy(&in, &server.addr, sizeof(in));
	assert_int_equal(in.sin_family, AF_INET);
	assert_int_equal(ntohs(in.sin_port), 5353);
	assert_int_equal(ntohl(in.sin_addr.s_addr), 0xc0000201);

	assert_true(nameserver_parse(TEXT("[fe80::2%7]:54"), &server));
	assert_int_equal(server.addr_len, sizeof(in6));
	memcpy(&in6, &server.addr, sizeof(in6));
	assert_int_equal(in6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(in6.sin6_port), 54);
	assert_int_equal(in6.sin6_scope_id, 7);
	assert_int_equal(in6.sin6_addr.s6_addr[15], 2);
}

static void test_no_nameserver(void **state)
{
	static const char *const rows[] = {"", "localhost", "192.0.2", "192.0.2.1.5", "192.0.2.256",
		"192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+53",
		"192.0.2.1:53x", "192.0.2.1 ", ":53", "[", "[]", "[]:53", "[::1", "[::1]53",
		"[::1]:", "[::1]:0", "[192.0.2.1]:53", "::1%", "::1%no-such-interface", "fe80::1%0",
		"1:2:3:4:5:6:7:8:9", "[::1]:4294967349", "fe80::1%eth0%eth0"};
	struct nameserver server;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (nameserver_parse(text_of(rows[i]), &server))
			fail_msg("'%s' was taken", rows[i]);
	assert_false(nameserver_parse((struct text){"127.0.0.1\0x", 11}, &server));
}

static void parse(const char *file, struct nameservers *out)
{
	resolv_conf_parse(text_of(file), out);
}

static void test_file(void **state)
{
	struct nameservers out;

	(void)state;
	parse("# made by hand\n; so was this\nsearch example.com\n\n"
	      "nameserver 192.0.2.1 # the first\nnameserver\t2001:db8::1;the second\r\n"
	      "options rotate timeout:2\noptions\tattempts:4 edns0 ndots:3\n",
		&out);
	assert_int_equal(out.count, 2);
	assert_string_equal(out.list[0].text, "192.0.2.1:53");
	assert_string_equal(out.list[1].text, "[2001:db8::1]:53");
	assert_false(out.list[0].trusts_ad);
	assert_true(out.rotate);
	assert_int_equal(out.timeout_ms, 2000);
	assert_int_equal(out.attempts, 4);
}

static void test_file_passed_over(void **state)
{
	struct nameservers out;

	(void)state;
	parse("foo nameserver 10.1.1.1\n nameserver 10.1.1.2\n#nameserver 10.1.1.3\n"
	      "nameservers 10.1.1.4\nnameserver nonsense\nnameserver\n;nameserver 10.1.1.5\n"
	      "nameserver 192.0.2.9",
		&out);
	assert_int_equal(out.count, 1);
	assert_string_equal(out.list[0].text, "192.0.2.9:53");
	assert_int_equal(out.timeout_ms, 0);
	assert_int_equal(out.attempts, 0);
	assert_false(out.rotate);
}

static void test_file_at_most_three(void **state)
{
	struct nameservers out;

	(void)state;
	parse("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver "
	      "10.0.0.4\n",
		&out);
	assert_int_equal(out.count, 3);
	assert_string_equal(out.list[2].text, "10.0.0.3:53");
}

static void test_file_without_nameserver(void **state)
{
	static const char *const files[] = {"", "\n\n", "options rotate\n", "nameserver x\n"};
	struct nameservers out;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		parse(files[i], &out);
		assert_int_equal(out.count, 1);
		assert_string_equal(out.list[0].text, "127.0.0.1:53");
		assert_true(out.list[0].trusts_ad);
	}
}

static void test_options(void **state)
{
	struct nameservers out;

	(void)state;
	parse("options trust-ad timeout:9999 attempts:77\nnameserver 192.0.2.1\n", &out);
	assert_true(out.list[0].trusts_ad);
	assert_int_equal(out.timeout_ms, 30000);
	assert_int_equal(out.attempts, 5);
	parse("options timeout: attempts:x rotated trust-ads timeout:1a\nnameserver 192.0.2.1\n",
		&out);
	assert_false(out.list[0].trusts_ad);
	assert_false(out.rotate);
	assert_int_equal(out.timeout_ms, 0);
	assert_int_equal(out.attempts, 0);
}

/* ---- files ---- */

struct folder {
	char path[64];
	char file[96];
	char other[96];
};

static int make_folder(void **state)
{
	static struct folder folder;

	snprintf(folder.path, sizeof(folder.path), "/tmp/resolv-conf-XXXXXX");
	if (!mkdtemp(folder.path))
		return -1;
	snprintf(folder.file, sizeof(folder.file), "%s/resolv.conf", folder.path);
	snprintf(folder.other, sizeof(folder.other), "%s/new", folder.path);
	*state = &folder;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;

	unlink(folder->file);
	unlink(folder->other);
	return rmdir(folder->path);
}

static void write_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
}

static void test_changed(void **state)
{
	struct folder *folder = *state;
	const struct timeval long_ago[2] = {{1000, 0}, {1000, 0}};
	struct nameservers out;
	struct resolv_conf_state seen;

	write_file(folder->file, "nameserver 10.0.0.1\n");
	assert_int_equal(resolv_conf_read(folder->file, &out, &seen), ERR_OK);
	assert_string_equal(out.list[0].text, "10.0.0.1:53");
	assert_false(resolv_conf_changed(folder->file, &seen));

	/* Another inode, the same size and time. */
	assert_int_equal(utimes(folder->file, long_ago), 0);
	assert_int_equal(resolv_conf_read(folder->file, &out, &seen), ERR_OK);
	write_file(folder->other, "nameserver 10.0.0.2\n");
	assert_int_equal(utimes(folder->other, long_ago), 0);
	assert_int_equal(rename(folder->other, folder->file), 0);
	assert_true(resolv_conf_changed(folder->file, &seen));

	/* The same inode, another time. */
	assert_int_equal(resolv_conf_read(folder->file, &out, &seen), ERR_OK);
	assert_string_equal(out.list[0].text, "10.0.0.2:53");
	write_file(folder->file, "nameserver 10.0.0.3\n");
	assert_true(resolv_conf_changed(folder->file, &seen));
}

static void test_comes_and_goes(void **state)
{
	struct folder *folder = *state;
	struct nameservers out;
	struct resolv_conf_state seen;

	assert_int_equal(resolv_conf_read(folder->file, &out, &seen), ERR_OK);
	assert_string_equal(out.list[0].text, "127.0.0.1:53");
	assert_true(out.names_none);
	assert_false(resolv_conf_changed(folder->file, &seen));
	write_file(folder->file, "nameserver 10.0.0.1\n");
	assert_true(resolv_conf_changed(folder->file, &seen));
	assert_int_equal(resolv_conf_read(folder->file, &out, &seen), ERR_OK);
	assert_false(out.names_none);
	assert_int_equal(unlink(folder->file), 0);
	assert_true(resolv_conf_changed(folder->file, &seen));
}

static void test_unreadable(void **state)
{
	struct folder *folder = *state;
	struct nameservers out;
	struct resolv_conf_state seen;

	assert_int_equal(resolv_conf_read(folder->path, &out, &seen), ERR_IO);
	assert_int_equal(errno, EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nameserver),
		cmocka_unit_test(test_nameserver_address),
		cmocka_unit_test(test_no_nameserver),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_passed_over),
		cmocka_unit_test(test_file_at_most_three),
		cmocka_unit_test(test_file_without_nameserver),
		cmocka_unit_test(test_options),
		cmocka_unit_test_setup_teardown(test_changed, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_comes_and_goes, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_unreadable, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

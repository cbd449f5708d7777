/*
 * The `expires` column: what it reads, what it refuses, that it writes what it read.
 */
#include "policy/core/expires.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

static const struct {
	const char *typed;
	int64_t until;
	bool is_date;
} good[] = {
	{"", 0, false},
	{"1970-01-01", 86400, true},
	{"1970-01-01T00:00:01Z", 1, false},
	{"2000-02-29", 951868800, true},
	{"2024-02-29T12:34:56Z", 1709210096, false},
	{"2026-12-31", 1798761600, true},
	{"2026-12-31T23:59:59Z", 1798761599, false},
	{"2027-01-01T00:00:00Z", 1798761600, false},
	{"2038-01-19T03:14:08Z", INT64_C(2147483648), false},
	{"2100-03-01", INT64_C(4107628800), true},
	{"9999-12-31", INT64_C(253402300800), true},
	{"9999-12-31T23:59:59Z", INT64_C(253402300799), false},
};

static const char *const bad[] = {
	" ",
	"never",
	"2026",
	"2026-1-1",
	"26-12-31",
	"2026/12/31",
	"2026-12-3a",
	"2026-00-10",
	"2026-13-10",
	"2026-04-31",
	"2026-02-29",
	"2100-02-29",
	"2026-12-00",
	"2026-12-32",
	"1969-12-31",
	"1970-01-01T00:00:00Z", /* would be second 0, which means for ever */
	"2026-12-31 23:59:59Z",
	"2026-12-31T23:59:59",
	"2026-12-31T23:59:59z",
	"2026-12-31t23:59:59Z",
	"2026-12-31T24:00:00Z",
	"2026-12-31T23:60:00Z",
	"2026-12-31T23:59:60Z",
	"2026-12-31T23:59:59+01:00",
	"2026-12-31T23:59:59.5Z",
	"2026-12-31T23:59Z",
	"2026-12-31\n",
};

static void test_reads_and_writes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char written[EXPIRES_TEXT_MAX];
		struct expires expires;

		assert_true(expires_parse(text_of(good[i].typed), &expires));
		assert_true(expires.until == good[i].until);
		assert_int_equal(expires.is_date, good[i].is_date);
		expires_format(&expires, written);
		assert_string_equal(written, good[i].typed);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct expires expires;

		if (expires_parse(text_of(bad[i]), &expires))
			fail_msg("took '%s'", bad[i]);
	}
}

static void test_every_day_comes_back(void **state)
{
	struct expires day = {.is_date = true};

	(void)state;
	for (day.until = 86400; day.until <= INT64_C(253402300800); day.until += 86400) {
		char written[EXPIRES_TEXT_MAX];
		struct expires again;

		expires_format(&day, written);
		assert_true(expires_parse(text_of(written), &again));
		assert_true(again.until == day.until);
	}
}

static void test_any_number_stays_a_text(void **state)
{
	static const struct expires odd[] = {{INT64_MAX, false}, {INT64_MIN + 86400, false},
		{-1, true}, {INT64_MAX, true}, {1, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char written[EXPIRES_TEXT_MAX];

		expires_format(&odd[i], written);
		assert_int_equal(strlen(written), odd[i].is_date ? 10 : 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_and_writes_back),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_every_day_comes_back),
		cmocka_unit_test(test_any_number_stays_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Reads and writes the `expires` column: `YYYY-MM-DD` and `YYYY-MM-DDThh:mm:ssZ`.
 *
 * Knows no clock, no time zone but UTC and no leap seconds. Fails on every other form.
 */
#include "policy/core/expires.h"

#define DAY_S      86400
#define DATE_LEN   10
#define MOMENT_LEN 20
#define YEAR_FIRST 1970
#define YEAR_LAST  9999

struct moment {
	unsigned year, month, day, hour, minute, second;
};

/* True when t reads `0000-00-00...` as form says: 0 is any digit, every other byte itself. */
static bool has_form(struct text t, const char *form)
{
	for (size_t i = 0; i < t.len; i++) {
		bool is_digit = t.ptr[i] >= '0' && t.ptr[i] <= '9';

		if (form[i] == '0' ? !is_digit : t.ptr[i] != form[i])
			return false;
	}
	return true;
}

static unsigned number_at(struct text t, size_t from, size_t digits)
{
	unsigned number = 0;

	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (unsigned)(t.ptr[from + i] - '0');
	return number;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	static const unsigned days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && is_leap);
}

static bool moment_exists(const struct moment *m)
{
	return m->year >= YEAR_FIRST && m->year <= YEAR_LAST && m->month >= 1 && m->month <= 12 &&
	       m->day >= 1 && m->day <= days_in_month(m->year, m->month) && m->hour < 24 &&
	       m->minute < 60 && m->second < 60;
}

/* Days from 1970-01-01. Years are counted from March, so that the leap day is a year's last. */
static int64_t days_of(const struct moment *m)
{
	int64_t year = m->month <= 2 ? (int64_t)m->year - 1 : (int64_t)m->year;
	int64_t month = m->month <= 2 ? m->month + 9 : m->month - 3;
	int64_t day_of_year = (153 * month + 2) / 5 + (int64_t)m->day - 1;

	return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static int64_t seconds_of(const struct moment *m)
{
	return days_of(m) * DAY_S + (int64_t)m->hour * 3600 + (int64_t)m->minute * 60 +
	       (int64_t)m->second;
}

static struct moment moment_of(int64_t seconds)
{
	struct moment m = {.year = YEAR_FIRST, .month = 1, .day = 1};
	int64_t days = seconds / DAY_S;
	unsigned rest = (unsigned)(seconds % DAY_S);
	unsigned ahead;

	/* The estimate is the year itself or the one after. */
	m.year = YEAR_FIRST + (unsigned)(days / 365);
	while (days_of(&m) > days)
		m.year--;
	ahead = (unsigned)(days - days_of(&m));
	while (ahead >= days_in_month(m.year, m.month))
		ahead -= days_in_month(m.year, m.month++);
	m.day += ahead;
	m.hour = rest / 3600;
	m.minute = rest / 60 % 60;
	m.second = rest % 60;
	return m;
}

bool expires_parse(struct text typed, struct expires *out)
{
	struct moment m = {0};

	*out = (struct expires){0};
	if (typed.len == 0)
		return true;
	out->is_date = typed.len == DATE_LEN;
	if ((!out->is_date && typed.len != MOMENT_LEN) || !has_form(typed, "0000-00-00T00:00:00Z"))
		return false;
	m.year = number_at(typed, 0, 4);
	m.month = number_at(typed, 5, 2);
	m.day = number_at(typed, 8, 2);
	if (!out->is_date) {
		m.hour = number_at(typed, 11, 2);
		m.minute = number_at(typed, 14, 2);
		m.second = number_at(typed, 17, 2);
	}
	if (!moment_exists(&m))
		return false;
	out->until = seconds_of(&m) + (out->is_date ? DAY_S : 0);
	/* Second 0 would read as "for ever". */
	return out->until != 0;
}

static char *put_number(char *at, unsigned number, unsigned digits)
{
	for (unsigned i = digits; i > 0; i--, number /= 10)
		at[i - 1] = (char)('0' + number % 10);
	return at + digits;
}

static char *put_pair(char *at, char before, unsigned number)
{
	*at = before;
	return put_number(at + 1, number, 2);
}

void expires_format(const struct expires *expires, char out[EXPIRES_TEXT_MAX])
{
	static const struct moment last = {YEAR_LAST, 12, 31, 23, 59, 59};
	int64_t until = expires->until - (expires->is_date ? DAY_S : 0);
	struct moment m;
	char *at = out;

	if (expires->until != 0) {
		/* Stored bytes may hold any number; the text stays one that can be read back. */
		if (until < 0)
			until = 0;
		if (until > seconds_of(&last))
			until = seconds_of(&last);
		m = moment_of(until);
		at = put_number(at, m.year, 4);
		at = put_pair(at, '-', m.month);
		at = put_pair(at, '-', m.day);
		if (!expires->is_date) {
			at = put_pair(at, 'T', m.hour);
			at = put_pair(at, ':', m.minute);
			at = put_pair(at, ':', m.second);
			*at++ = 'Z';
		}
	}
	*at = '\0';
}

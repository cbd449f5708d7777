/*
 * See moment.h. Reads no clock.
 */
#include "policyctl/moment.h"

#include <time.h>

const char *moment_format(int64_t at, char out[MOMENT_MAX])
{
	time_t seconds = (time_t)at;
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || strftime(out, MOMENT_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		return "?";
	return out;
}

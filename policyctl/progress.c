/*
 * The progress bar, see progress.h. Cannot fail.
 */
#include "policyctl/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 40, NOTHING_DRAWN = 101 };

void progress_init(struct progress *progress, const char *what)
{
	*progress = (struct progress){
		.is_shown = isatty(STDERR_FILENO) == 1, .what = what, .drawn = NOTHING_DRAWN};
}

void progress_tick(struct progress *progress, uint64_t done, uint64_t of)
{
	static const char full[] = "########################################";
	static const char none[] = "........................................";
	unsigned percent, filled;

	if (!progress->is_shown || of == 0)
		return;
	percent = done >= of ? 100 : (unsigned)((double)done / (double)of * 100);
	if (percent == progress->drawn)
		return;
	progress->drawn = percent;
	filled = percent * BAR_WIDTH / 100;
	fprintf(stderr, "\r%s [%.*s%.*s] %3u %%", progress->what, (int)filled, full,
		(int)(BAR_WIDTH - filled), none, percent);
}

void progress_clear(struct progress *progress)
{
	if (!progress->is_shown || progress->drawn == NOTHING_DRAWN)
		return;
	fputs("\r\033[K", stderr);
	progress->drawn = NOTHING_DRAWN;
}

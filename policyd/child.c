/*
 * What a child does with what it starts with. See child.h.
 */
#include "policyd/child.h"

static void log_sentence(void *ctx, const char *sentence)
{
	log_event(ctx, LOG_LEVEL_ERROR, "%s", sentence);
}

enum err child_read_config(const struct child_start *start, struct log *log, struct config **out)
{
	struct config_source source = *start->source;
	source.on_error = log_sentence;
	source.ctx = log;
	return config_read(out, &source);
}

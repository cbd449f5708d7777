/*
 * policyd's command line. Exit codes: 0 done, 1 the configuration or the start failed, 2 usage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policyd/follower.h"
#include "policyd/supervisor.h"

#define OVERRIDES_MAX 256

static const char usage[] =
	"usage: policyd [-c FILE] [-o SECTION.KEY=VALUE]... [-t] [-V]\n"
	"Answers Postfix policy requests: may this login use this envelope sender? Runs in the "
	"foreground.\n"
	"  -c FILE               configuration (default " CONFIG_DEFAULT_FILE ")\n"
	"  -o SECTION.KEY=VALUE  one option, instead of the file's (may repeat)\n"
	"  -t                    check the configuration, then exit\n"
	"  -V                    print the version, then exit\n"
	"See policyd(8) and policyd.ini(5).\n";

struct options {
	const char *path;
	const char *overrides[OVERRIDES_MAX];
	size_t override_count;
	bool is_test, is_version;
};

static bool options_parse(int argc, char **argv, struct options *out)
{
	int option;
	while ((option = getopt(argc, argv, "c:o:tV")) != -1) {
		switch (option) {
		case 'c':
			out->path = optarg;
			break;
		case 'o':
			if (out->override_count == OVERRIDES_MAX)
				return false;
			out->overrides[out->override_count++] = optarg;
			break;
		case 't':
			out->is_test = true;
			break;
		case 'V':
			out->is_version = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static void print_sentence(void *ctx, const char *sentence)
{
	fprintf(ctx, "policyd: %s\n", sentence);
}

/* Not an error: the daemon starts with it, and it may come to be. */
static void warn_of_hook(const char *hook)
{
	if (hook[0] && !follower_can_run(hook))
		fprintf(stderr, "policyd: warning: [ownership] hook %s cannot be run: %s\n", hook,
			strerror(errno));
}

int main(int argc, char **argv)
{
	struct options options = {0};
	if (!options_parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	if (options.is_version) {
		puts("policyd " POLICYD_VERSION);
		return 0;
	}
	struct config_source source = {.path = options.path,
		.overrides = options.overrides,
		.override_count = options.override_count,
		.on_error = print_sentence,
		.ctx = stderr};
	struct config *config = NULL;
	if (config_read(&config, &source) != ERR_OK)
		return 1;
	if (options.is_test) {
		warn_of_hook(config->ownership.hook);
		config_free(config);
		puts("the configuration is correct");
		return 0;
	}
	return supervisor_run(config, &source);
}

/*
 * The input of load and diff, see reading.h. Must not know what the rows are for.
 */
#include "policyctl/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/data/unicode.h"
#include "policyctl/import/import_write.h"

static ssize_t on_read(void *ctx, void *buf, size_t cap)
{
	const struct reading *reading = ctx;
	ssize_t n;

	do {
		n = read(reading->ctl->input, buf, cap);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void on_progress(void *ctx, uint64_t bytes)
{
	struct reading *reading = ctx;

	progress_tick(&reading->progress, bytes, reading->size);
}

static void keep_json(
	struct reading *reading, const char *kind, const struct import_finding *finding)
{
	struct json json = {reading->findings, reading->has_findings};

	if (!reading->findings)
		return;
	reading->has_findings = true;
	json_open(&json, NULL, '{');
	json_number(&json, "line", finding->line);
	json_string(&json, "kind", kind);
	json_text(&json, "value", finding->value);
	json_string(&json, "reason", finding->reason);
	json_close(&json, '}', false);
}

static void tell(struct reading *reading, const char *kind, const struct import_finding *finding)
{
	char name[OUTPUT_SHORT], value[OUTPUT_SHORT];

	progress_clear(&reading->progress);
	fprintf(stderr, "%s:%u: %s\"%s\": %s\n",
		output_escape(text_of(reading->ctl->input_name), name, sizeof(name)),
		(unsigned)finding->line, strcmp(kind, "warning") == 0 ? "warning: " : "",
		output_escape(finding->value, value, sizeof(value)), finding->reason);
	keep_json(reading, kind, finding);
}

static void on_error(void *ctx, const struct import_finding *finding)
{
	struct reading *reading = ctx;

	if (reading->totals.errors <= READING_SHOWN_MAX)
		tell(reading, "error", finding);
}

static void on_warning(void *ctx, const struct import_finding *finding)
{
	struct reading *reading = ctx;

	if (reading->totals.warnings <= READING_SHOWN_MAX)
		tell(reading, "warning", finding);
}

static void tell_rest(const struct reading *reading)
{
	uint64_t errors = reading->totals.errors, warnings = reading->totals.warnings;

	if (warnings > READING_SHOWN_MAX)
		complain("%s: %llu more warnings", reading->ctl->input_name,
			(unsigned long long)(warnings - READING_SHOWN_MAX));
	if (errors > READING_SHOWN_MAX)
		complain("%s: %llu more errors", reading->ctl->input_name,
			(unsigned long long)(errors - READING_SHOWN_MAX));
	if (errors > 0)
		complain("%s: %llu error%s, so nothing was changed", reading->ctl->input_name,
			(unsigned long long)errors, errors == 1 ? "" : "s");
}

static enum ctl_exit exit_of(const struct reading *reading, enum err err, int cause)
{
	switch (err) {
	case ERR_OK:
		return CTL_YES;
	case ERR_INVALID:
		return CTL_NO;
	case ERR_IO:
		complain("cannot read %s: %s", reading->ctl->input_name, strerror(cause));
		return CTL_UNKNOWN;
	case ERR_NOMEM:
	case ERR_FULL:
	case ERR_BUSY:
	case ERR_DAMAGED:
	case ERR_VERSION:
	case ERR_ABSENT:
		break;
	}
	complain("%s does not fit into memory", reading->ctl->input_name);
	return CTL_UNKNOWN;
}

enum ctl_exit reading_run(struct reading *reading, const struct ctl *ctl)
{
	const struct import_options options = {
		.format = ctl->args.format,
		.unicode = &unicode_ops,
		.read = on_read,
		.on_error = on_error,
		.on_warning = on_warning,
		.on_progress = on_progress,
		.ctx = reading,
	};
	struct stat file;
	enum err err;
	int cause;

	*reading = (struct reading){.ctl = ctl};
	progress_init(&reading->progress, "reading");
	if (fstat(ctl->input, &file) == 0 && S_ISREG(file.st_mode))
		reading->size = (uint64_t)file.st_size;
	if (ctl_has(ctl, FLAG_JSON))
		reading->findings = open_memstream(&reading->findings_json, &reading->findings_len);
	err = pairs_new(&reading->pairs);
	if (err == ERR_OK)
		err = import_run(&options, reading->pairs, &reading->totals);
	cause = errno;
	progress_clear(&reading->progress);
	tell_rest(reading);
	return exit_of(reading, err, cause);
}

void reading_write_json(struct reading *reading, struct json *json)
{
	json_open(json, "findings", '[');
	if (reading->findings && fflush(reading->findings) == 0)
		fwrite(reading->findings_json, 1, reading->findings_len, json->out);
	json_close(json, ']', false);
}

void reading_free(struct reading *reading)
{
	if (reading->pairs)
		pairs_free(reading->pairs);
	if (reading->findings)
		fclose(reading->findings);
	free(reading->findings_json);
}

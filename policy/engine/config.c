/*
 * policyd.ini and the -o options, from bytes to struct config: the only file with inih.
 *
 * Knows lines, sections and where a value came from; what an option is and which values it takes is
 * in the table of config_schema.c. Whatever is wrong becomes a sentence with its place, reading
 * goes on to find the next one, and the caller gets no configuration. A line that inih would cut,
 * skip or misread is refused here before inih sees it.
 */
#include "policy/engine/config.h"
#include "policy/data/unicode.h"
#include "policy/engine/config_private.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX (1U << 20)

static void complain_outside(struct reading *reading, struct text line)
{
	char known[256], shown[CONFIG_EXCERPT_SIZE];
	option_list_sections(known, sizeof(known));
	reading_complain(reading, "\"%s\" stands before the first section; the sections are %s",
		config_excerpt(line, shown), known);
}

static bool heading_read(struct reading *reading, struct text line)
{
	char shown[CONFIG_EXCERPT_SIZE];
	reading->has_heading = true;
	reading->section = NULL;
	if (text_find(line, ']') != line.len - 1) {
		reading_complain(reading,
			"\"%s\" is no heading; a heading is [section] alone on its line",
			config_excerpt(line, shown));
		return false;
	}
	struct text name = text_tail(text_head(line, line.len - 1), 1);
	reading->section = section_find(name);
	if (!reading->section)
		reading_complain_section(reading, name);
	return reading->section != NULL;
}

/* Whether inih may have the line. Inside an unknown section nothing is said twice. */
static bool line_check(struct reading *reading, struct text raw)
{
	char shown[CONFIG_EXCERPT_SIZE];
	if (raw.len > CONFIG_VALUE_MAX) {
		reading_complain(reading, "a line of %zu bytes; at most %d are allowed", raw.len,
			CONFIG_VALUE_MAX);
		return false;
	}
	if (!reading_is_text(reading, raw))
		return false;
	struct text line = text_trim(raw);
	if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
		return false;
	if (line.ptr[0] == '[')
		return heading_read(reading, line);
	if (!reading->has_heading)
		complain_outside(reading, line);
	if (!reading->section)
		return false;
	size_t equals = text_find(line, '=');
	if (equals < line.len && text_find(line, ':') > equals)
		return true;
	reading_complain(reading,
		"no key = value in \"%s\"; a line is that, a [section], or a comment "
		"that starts with # or ; (a value cannot go on in the next line)",
		config_excerpt(line, shown));
	return false;
}

static struct text line_take(struct reading *reading)
{
	struct text line = text_head(reading->rest, text_find(reading->rest, '\n'));
	bool has_end = line.len < reading->rest.len;
	reading->rest = text_tail(reading->rest, line.len + (has_end ? 1 : 0));
	reading->line++;
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (reading->line == 1 && line.len >= 3 && memcmp(line.ptr, "\xef\xbb\xbf", 3) == 0)
		line = text_tail(line, 3);
	return line;
}

/* inih asks for the next line. What it must not see it gets as an empty line, so that the count
 * stays right. */
static char *on_line(char *out, int cap, void *stream)
{
	struct reading *reading = stream;
	if (reading->rest.len == 0 || cap < 1)
		return NULL;
	struct text line = line_take(reading);
	reading_place_line(reading, reading->line);
	if (!line_check(reading, line))
		line.len = 0;
	if (line.len >= (size_t)cap) {
		reading_complain(reading, "a line of %zu bytes is more than inih takes", line.len);
		line.len = 0;
	}
	if (line.len)
		memcpy(out, line.ptr, line.len);
	out[line.len] = '\0';
	return out;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reading *reading = user;
	(void)section; /* cut to 49 bytes; reading->section is the row's */
	reading_set(reading, text_of(name), text_trim(text_of(value)));
	return 1;
}

/* Debian builds inih with these as variables. One `=`, no comments behind a value, no continued
 * lines. */
static void inih_setup(void)
{
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_initial_alloc = CONFIG_VALUE_MAX + 3;
	ini_max_line = CONFIG_VALUE_MAX + 3;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_no_value = false;
	ini_stop_on_first_error = false;
}

static void file_parse(struct reading *reading, struct text ini)
{
	reading->rest = ini;
	inih_setup();
	int status = ini_parse_stream(on_line, reading, on_value, reading);
	if (status == -2)
		reading->err = ERR_NOMEM;
	else if (status > 0) {
		reading_place_line(reading, (unsigned)status);
		reading_complain(reading, "inih cannot parse this line");
	}
}

/* Always says something when there will be no configuration. */
static void settle(struct reading *reading)
{
	size_t more = 0;
	if (!reading->complaints && reading->err == ERR_OK)
		reading_check(reading);
	if (reading->complaints > CONFIG_COMPLAIN_MAX)
		more = reading->complaints - CONFIG_COMPLAIN_MAX;
	if (reading->err == ERR_OK && reading->complaints)
		reading->err = ERR_INVALID;
	reading->complaints = 0;
	reading_place_line(reading, 0);
	if (more)
		reading_complain(reading, "%zu more errors", more);
	if (reading->err == ERR_NOMEM)
		reading_complain(reading, "out of memory");
}

static struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));
	if (!config)
		return NULL;
	config->own = calloc(1, sizeof(*config->own));
	config->settings.unicode = &unicode_ops;
	if (!config->own) {
		free(config);
		return NULL;
	}
	return config;
}

static struct config *config_link(struct config *config)
{
	if (config->lockdown.is_enabled)
		config->settings.lockdown = &config->lockdown;
	return config;
}

enum err config_read_text(struct config **out, struct text ini, const struct config_source *source)
{
	struct reading reading = {.source = source, .config = config_new()};
	*out = NULL;
	if (!reading.config)
		reading.err = ERR_NOMEM;
	if (reading.err == ERR_OK)
		file_parse(&reading, ini);
	for (size_t i = 0; reading.err == ERR_OK && i < source->override_count; i++)
		reading_override(&reading, text_of(source->overrides[i]));
	if (reading.err == ERR_OK)
		reading_default(&reading);
	settle(&reading);
	if (reading.err == ERR_OK)
		*out = config_link(reading.config);
	else
		config_free(reading.config);
	return reading.err;
}

/* The whole file into *bytes, the caller's. errno tells about ERR_IO; ERR_FULL: over FILE_MAX. */
static enum err file_read(const char *path, char **bytes, size_t *len)
{
	enum err err = ERR_IO;
	char *buffer = NULL;
	*len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		goto out;
	buffer = malloc(FILE_MAX + 1);
	if (!buffer) {
		err = ERR_NOMEM;
		goto out;
	}
	ssize_t got = 0;
	while (*len <= FILE_MAX) {
		got = read(fd, buffer + *len, FILE_MAX + 1 - *len);
		if (got > 0)
			*len += (size_t)got;
		else if (got == 0 || errno != EINTR)
			break;
	}
	if (got >= 0)
		err = *len > FILE_MAX ? ERR_FULL : ERR_OK;
	if (err == ERR_OK) {
		*bytes = buffer;
		buffer = NULL;
	}
out:;
	int saved = errno;
	free(buffer);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return err;
}

static enum err complain_file(const struct config_source *source, enum err err)
{
	struct reading reading = {.source = source};
	const char *why = strerror(errno);
	if (err == ERR_FULL)
		why = "it is larger than 1 MiB";
	else if (err == ERR_NOMEM)
		why = "out of memory";
	reading_place_line(&reading, 0);
	reading_complain(&reading, "cannot be read: %s", why);
	return err == ERR_FULL ? ERR_INVALID : err;
}

enum err config_read(struct config **out, const struct config_source *source)
{
	char *bytes = NULL;
	size_t len = 0;
	*out = NULL;
	enum err err = file_read(source->path ? source->path : CONFIG_DEFAULT_FILE, &bytes, &len);
	bool is_default = !source->path && err == ERR_IO && errno == ENOENT;
	if (err != ERR_OK && !is_default)
		return complain_file(source, err);
	err = config_read_text(out, (struct text){bytes, len}, source);
	free(bytes);
	return err;
}

char *config_keep(struct config *config, const char *bytes, size_t len)
{
	struct config_block *block = malloc(sizeof(*block) + len + 1);
	if (!block)
		return NULL;
	if (len)
		memcpy(block->bytes, bytes, len);
	block->bytes[len] = '\0';
	block->next = config->own->blocks;
	config->own->blocks = block;
	return block->bytes;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	while (config->own->blocks) {
		struct config_block *block = config->own->blocks;
		config->own->blocks = block->next;
		free(block);
	}
	free(config->own);
	free(config);
}

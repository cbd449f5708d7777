/*
 * One setting into the configuration, whether a line of the file, an -o option or a default said
 * it; and what is said when it cannot be.
 *
 * Knows where each option came from, so that it finds duplicates and names places. Knows neither
 * the file's lines nor inih (config.c) nor what values look like (config_value.c). Every fault
 * becomes a sentence and is counted.
 */
#include "policy/engine/config_private.h"

#include <stdarg.h>
#include <stdio.h>

void reading_complain(struct reading *reading, const char *format, ...)
{
	char sentence[CONFIG_SENTENCE_MAX];
	if (reading->complaints++ >= CONFIG_COMPLAIN_MAX || !reading->source->on_error)
		return;
	int used = snprintf(sentence, sizeof(sentence), "%s: ", reading->place);
	va_list args;
	va_start(args, format);
	vsnprintf(sentence + used, sizeof(sentence) - (size_t)used, format, args);
	va_end(args);
	reading->source->on_error(reading->source->ctx, sentence);
}

void reading_place_line(struct reading *reading, unsigned line)
{
	const char *path = reading->source->path ? reading->source->path : CONFIG_DEFAULT_FILE;
	size_t len = log_escape(text_of(path), reading->place, sizeof(reading->place) - 12);
	if (line)
		snprintf(reading->place + len, sizeof(reading->place) - len, ":%u", line);
}

static void place_override(struct reading *reading, struct text override)
{
	char shown[CONFIG_EXCERPT_SIZE];
	snprintf(reading->place, sizeof(reading->place), "-o %s", config_excerpt(override, shown));
}

/* " (did you mean ...?)" or nothing. */
static void hint_format(
	char *out, size_t cap, const char *before, const char *best, const char *behind)
{
	out[0] = '\0';
	if (best)
		snprintf(out, cap, " (did you mean %s%s%s?)", before, best, behind);
}

void reading_complain_section(struct reading *reading, struct text name)
{
	char known[256], hint[96], shown[CONFIG_EXCERPT_SIZE];
	struct nearest nearest = {.typed = text_trim(name)};
	for (size_t i = 0; i < config_schema_count; i++)
		nearest_try(&nearest, config_schema[i].section);
	hint_format(hint, sizeof(hint), "[", nearest.best, "]");
	option_list_sections(known, sizeof(known));
	reading_complain(reading, "unknown section [%s]%s; the sections are %s",
		config_excerpt(name, shown), hint, known);
}

/* The section where this very key exists, or NULL. */
static const char *section_of_key(struct text key)
{
	for (size_t i = 0; i < config_schema_count; i++)
		if (text_equal(key, text_of(config_schema[i].key)))
			return config_schema[i].section;
	return NULL;
}

static void complain_key(struct reading *reading, const char *section, struct text key)
{
	char known[1024], hint[96], shown[CONFIG_EXCERPT_SIZE];
	const char *elsewhere = section_of_key(key);
	struct nearest nearest = {.typed = key};
	for (size_t i = 0; i < config_schema_count; i++)
		if (strcmp(config_schema[i].section, section) == 0)
			nearest_try(&nearest, config_schema[i].key);
	hint_format(hint, sizeof(hint), "", nearest.best, "");
	if (elsewhere)
		snprintf(hint, sizeof(hint), " (it belongs in [%s])", elsewhere);
	option_list_keys(section, known, sizeof(known));
	reading_complain(reading, "[%s] unknown key \"%s\"%s; the keys here are %s", section,
		config_excerpt(key, shown), hint, known);
}

bool reading_is_text(struct reading *reading, struct text line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];
		if ((c >= 0x20 && c != 0x7f) || c == '\t')
			continue;
		reading_complain(reading,
			"byte %zu is the control character \\x%02x; plain text in "
			"UTF-8 has none",
			i + 1, c);
		return false;
	}
	return true;
}

/* inih would take `yes ; why` as the value; nobody means that, except in the text of a reply. */
static bool has_comment(struct text value)
{
	for (size_t i = 1; i < value.len; i++)
		if ((value.ptr[i] == ';' || value.ptr[i] == '#') &&
			(value.ptr[i - 1] == ' ' || value.ptr[i - 1] == '\t'))
			return true;
	return false;
}

/* As other formats want it. */
static bool is_quoted(struct text value)
{
	return value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
}

static enum err value_store(struct value_reader *reader, struct text value)
{
	if (is_quoted(value))
		return value_refuse(reader,
			"stands in quotes, which would belong to the value: leave them out");
	if (has_comment(value) && reader->option->parse != value_reply)
		return value_refuse(
			reader, "has a comment behind the value: write it on a line of its own");
	return reader->option->parse(reader, value);
}

static void option_set(
	struct reading *reading, const struct option *option, struct text value, bool replace)
{
	char shown[CONFIG_EXCERPT_SIZE];
	struct value_reader reader = {
		.config = reading->config, .option = option, .replace = replace};
	enum err err = value_store(&reader, value);
	if (err == ERR_NOMEM)
		reading->err = ERR_NOMEM;
	else if (err != ERR_OK)
		reading_complain(reading, "[%s] %s: \"%s\" %s", option->section, option->key,
			config_excerpt(value, shown), reader.why);
}

void reading_set(struct reading *reading, struct text key, struct text value)
{
	const struct option *option = option_find(reading->section, key);
	if (!option) {
		complain_key(reading, reading->section, key);
		return;
	}
	struct origin *origin = &reading->origins[option - config_schema];
	if (origin->line && !option->may_repeat) {
		reading_complain(reading,
			"[%s] %s: is set in line %u already; one of the two lines must go",
			option->section, option->key, origin->line);
		return;
	}
	origin->line = reading->line;
	option_set(reading, option, value, false);
}

static void override_set(
	struct reading *reading, struct text name, struct text key, struct text value)
{
	const char *section = section_find(name);
	if (!section) {
		reading_complain_section(reading, name);
		return;
	}
	const struct option *option = option_find(section, key);
	if (!option) {
		complain_key(reading, section, key);
		return;
	}
	struct origin *origin = &reading->origins[option - config_schema];
	option_set(reading, option, value, !origin->is_override);
	origin->is_override = true;
}

void reading_override(struct reading *reading, struct text override)
{
	place_override(reading, override);
	struct text left = text_head(override, text_find(override, '='));
	size_t dot = text_find(left, '.');
	if (left.len == override.len || dot == left.len) {
		reading_complain(reading, "not of the form section.key=value");
		return;
	}
	if (override.len > CONFIG_VALUE_MAX) {
		reading_complain(reading, "%zu bytes; at most %d are allowed", override.len,
			CONFIG_VALUE_MAX);
		return;
	}
	if (!reading_is_text(reading, override))
		return;
	override_set(reading, text_trim(text_head(left, dot)), text_trim(text_tail(left, dot + 1)),
		text_trim(text_tail(override, left.len + 1)));
}

bool option_is_set(const struct reading *reading, const struct option *option)
{
	const struct origin *origin = &reading->origins[option - config_schema];
	return origin->line || origin->is_override;
}

void reading_place_option(struct reading *reading, const struct option *option)
{
	const struct origin *origin = &reading->origins[option - config_schema];
	if (origin->is_override)
		snprintf(reading->place, sizeof(reading->place), "-o %s.%s", option->section,
			option->key);
	else
		reading_place_line(reading, origin->line);
}

void reading_default(struct reading *reading)
{
	snprintf(reading->place, sizeof(reading->place), "default");
	for (size_t i = 0; i < config_schema_count; i++) {
		const struct option *option = &config_schema[i];
		if (option->fallback && !option_is_set(reading, option))
			option_set(reading, option, text_of(option->fallback), false);
	}
}

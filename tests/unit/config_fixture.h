/*
 * Reading a policyd.ini from memory, for the tests of the configuration: what came of it, and the
 * sentences that were said.
 */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include "policy/engine/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* What one reading came to. */
struct outcome {
	enum err err;
	struct config *config;
	size_t sentences;
	char said[CONFIG_SENTENCE_MAX * 4]; /* sentences, a line feed behind each */
};

static inline void on_error(void *ctx, const char *sentence)
{
	struct outcome *outcome = ctx;
	size_t len = strlen(outcome->said);
	outcome->sentences++;
	snprintf(outcome->said + len, sizeof(outcome->said) - len, "%s\n", sentence);
}

static inline struct config_source source_of(struct outcome *outcome, const char *const *overrides)
{
	struct config_source source = {
		.path = "p.ini", .overrides = overrides, .on_error = on_error, .ctx = outcome};
	while (overrides && overrides[source.override_count])
		source.override_count++;
	*outcome = (struct outcome){0};
	return source;
}

static inline void read_bytes(
	struct outcome *outcome, struct text ini, const char *const *overrides)
{
	struct config_source source = source_of(outcome, overrides);
	outcome->err = config_read_text(&outcome->config, ini, &source);
	assert_int_equal(outcome->config != NULL, outcome->err == ERR_OK);
	assert_int_equal(outcome->sentences == 0, outcome->err == ERR_OK);
}

static inline struct config *accept_ini(
	struct outcome *outcome, const char *ini, const char *const *overrides)
{
	read_bytes(outcome, text_of(ini), overrides);
	assert_string_equal(outcome->said, "");
	assert_int_equal(outcome->err, ERR_OK);
	return outcome->config;
}

static inline void refuse_bytes(struct text ini, const char *const *overrides, const char *sentence)
{
	struct outcome outcome;
	read_bytes(&outcome, ini, overrides);
	assert_int_equal(outcome.err, ERR_INVALID);
	if (!strstr(outcome.said, sentence))
		assert_string_equal(outcome.said, sentence);
}

static inline void refuse(const char *ini, const char *sentence)
{
	refuse_bytes(text_of(ini), NULL, sentence);
}

static inline void refuse_override(const char *override, const char *sentence)
{
	const char *const overrides[] = {override, NULL};
	refuse_bytes(TEXT(""), overrides, sentence);
}

#endif

/*
 * What the files behind config.h share: the table of options and the readers of their values.
 *
 * config.c reads lines, config_apply.c sets the option that a line means, config_schema.c says
 * what each option is, config_value.c, config_listen.c, config_lockdown.c and config_ownership.c
 * turn a value into a field of struct config, config_check.c compares options with each other.
 * Nobody outside these and their tests includes this.
 */
#ifndef POLICY_ENGINE_CONFIG_PRIVATE_H
#define POLICY_ENGINE_CONFIG_PRIVATE_H

#include "policy/engine/config.h"

#define CONFIG_OPTIONS_MAX  96    /* rows of config_schema, at most */
#define CONFIG_VALUE_MAX    65536 /* bytes of a line of the file, and of an override */
#define CONFIG_WHY_MAX      1024
#define CONFIG_NEAREST_MAX  32  /* no name in the table is longer */
#define CONFIG_VALUE_CUT    100 /* bytes of a value that a sentence quotes */
#define CONFIG_COMPLAIN_MAX 20  /* sentences; behind them only a count */
#define CONFIG_PLACE_MAX    512
#define CONFIG_SENTENCE_MAX 4096
#define CONFIG_EXCERPT_SIZE (CONFIG_VALUE_CUT * 4 + 4)

struct config_block {
	struct config_block *next;
	char bytes[];
};

struct config_private {
	struct config_block *blocks;
	struct text local_domains[CONFIG_LOCAL_DOMAINS_MAX];
	struct text accounts[CONFIG_ACCOUNTS_MAX];
	struct text types[CONFIG_TYPES_MAX];
};

struct option;

/* One value on its way into the configuration. */
struct value_reader {
	struct config *config;
	const struct option *option;
	bool replace;             /* of an option that may repeat: drop what was collected so far */
	char why[CONFIG_WHY_MAX]; /* follows the quoted value in the sentence: `is not ...` */
};

/* Stores a trimmed value without control bytes. ERR_INVALID: `why` says what is wrong and what is
 * allowed. */
typedef enum err value_parse(struct value_reader *reader, struct text value);

struct option {
	const char *section, *key;
	value_parse *parse;
	const char *fallback; /* the default, read by the same parser; NULL: a zeroed field */
	size_t offset;        /* of the field in struct config; of text lists the parser knows */
	unsigned min, max;    /* of numbers */
	const char *const *choices; /* ends with NULL; the field gets the index */
	const char *hint;           /* why the range is what it is; ends the sentence */
	bool may_repeat;
};

extern const struct option config_schema[];
extern const size_t config_schema_count;

/* NULL where no such row, no such section exists. */
const struct option *option_find(const char *section, struct text key);
const char *section_find(struct text name);

/* The sentence parts that name what is known: "semantics, states, ..."; "[policyd], [match], ...".
 * Cut to cap. */
void option_list_keys(const char *section, char *out, size_t cap);
void option_list_sections(char *out, size_t cap);

/* The known name that a mistyped one probably means: set `typed`, try each known name, then read
 * `best` (NULL: none is near). */
struct nearest {
	struct text typed;
	const char *best;
	size_t distance;
};
void nearest_try(struct nearest *nearest, const char *known);

value_parse value_choice;  /* an enum, or a bool with two choices */
value_parse value_switch;  /* the same into a bool */
value_parse value_number;  /* unsigned */
value_parse value_workers; /* unsigned or `auto` */
value_parse value_mode;    /* octal, of a socket */
value_parse value_account; /* char *, the name of a user or group, or empty */
value_parse value_path;    /* char *, absolute */
value_parse value_listen;
value_parse value_states;
value_parse value_delimiter;
value_parse value_domain;  /* struct text, canonical, or empty */
value_parse value_domains; /* local_domains */
value_parse value_reply;   /* const char *, NULL for empty */
value_parse value_label;   /* struct text, lower-case labels */
value_parse value_version; /* struct text */
value_parse value_lockdown_account;
value_parse value_lockdown_type;
value_parse value_nameserver;
value_parse value_prefix;  /* struct text, of [ownership] */
value_parse value_hook;    /* char *, absolute, or empty */
value_parse value_control; /* char *, the path behind unix: */
value_parse value_groups;  /* struct role_groups */

/* For the parsers: writes `why`, returns ERR_INVALID. */
enum err value_refuse(struct value_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* For the parsers: the option's field. */
void *value_field(const struct value_reader *reader);

/* For the parsers: a copy of `kept` into the option's char *. */
enum err value_keep_string(struct value_reader *reader, struct text kept);

/* For the parsers: a copy of `kept` into the option's struct text. */
enum err value_keep_text(struct value_reader *reader, struct text kept);

/* Blanks and tabs. */
bool value_has_blank(struct text t);

/* No case in ASCII. */
bool value_equal_nocase(struct text a, const char *b);

/* Digits of a base up to 10, and nothing else; false also over max. */
bool value_digits(struct text value, unsigned base, unsigned max, unsigned *out);

/* Where an option got its value. */
struct origin {
	unsigned line; /* of the file; 0: not there */
	bool is_override;
};

/* A configuration under way. */
struct reading {
	const struct config_source *source;
	struct config *config;
	enum err err; /* ERR_NOMEM once memory ran out */
	size_t complaints;
	char place[CONFIG_PLACE_MAX]; /* what every sentence starts with: `policyd.ini:12` */
	struct origin origins[CONFIG_OPTIONS_MAX];

	/* config.c: where it is in the file */
	struct text rest; /* behind the line that inih works on */
	unsigned line;
	const char *section; /* NULL before the first heading and behind an unknown one */
	bool has_heading;
};

/* Passes `place: sentence` on, or only counts it when there were many. */
void reading_complain(struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void reading_complain_section(struct reading *reading, struct text name);

/* Sentences are about this line of the file from now on; 0: about the file. */
void reading_place_line(struct reading *reading, unsigned line);

/* Whether a line or override is free of NUL and other control bytes; complains when not. */
bool reading_is_text(struct reading *reading, struct text line);

/* `key = value` of reading->line in reading->section. */
void reading_set(struct reading *reading, struct text key, struct text value);

/* "section.key=value" of an -o option. */
void reading_override(struct reading *reading, struct text override);

/* Whether the file or an override said it. */
bool option_is_set(const struct reading *reading, const struct option *option);

/* Sentences are about the place that set this option from now on; about the file where none did. */
void reading_place_option(struct reading *reading, const struct option *option);

/* Everything that was not set gets its default. */
void reading_default(struct reading *reading);

/* What one option alone cannot tell. Complains about settings that contradict each other. */
void reading_check(struct reading *reading);

/* `len` bytes and a NUL that live as long as the configuration; NULL: out of memory. */
char *config_keep(struct config *config, const char *bytes, size_t len);

/* Blanks (and tabs) at both ends taken off. */
struct text text_trim(struct text t);

/* A value as a sentence quotes it: escaped, cut. Returns out. */
const char *config_excerpt(struct text value, char out[CONFIG_EXCERPT_SIZE]);

#endif

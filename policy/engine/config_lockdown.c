/*
 * The values of [lockdown] and [dns] that are no plain words, numbers or paths.
 *
 * Knows how a label, a version and an id have to look so that a record can hold them, not what
 * records mean. Fails as config_value.c does.
 */
#include "policy/engine/config_private.h"

#define LABEL_MAX    63
#define LABELS_MAX   127 /* half of a name: the rest is for the sender's domain */
#define VERSION_SIZE 32
#define ID_MAX       255

static bool is_label_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of 1 to 63 bytes with one dot between any two. */
static bool is_labels(struct text name)
{
	size_t label = 0;
	for (size_t i = 0; i < name.len; i++) {
		bool is_dot = name.ptr[i] == '.';
		if (is_dot ? label == 0 : !is_label_byte(name.ptr[i]) || label == LABEL_MAX)
			return false;
		label = is_dot ? 0 : label + 1;
	}
	return label > 0;
}

enum err value_label(struct value_reader *reader, struct text value)
{
	char bytes[LABELS_MAX];
	struct text name = {bytes, value.len};
	bool is_good = value.len <= sizeof(bytes);
	for (size_t i = 0; is_good && i < value.len; i++)
		bytes[i] = ascii_lower(value.ptr[i]);
	if (!is_good || !is_labels(name))
		return value_refuse(reader,
			"is not what can stand before a domain in the DNS: letters, digits, - and "
			"_, parts of 1 to %d bytes with a dot between them and none at the ends, "
			"%d bytes in all",
			LABEL_MAX, LABELS_MAX);
	return value_keep_text(reader, name);
}

enum err value_version(struct value_reader *reader, struct text value)
{
	if (value.len == 0 || value.len > VERSION_SIZE || value_has_blank(value) ||
		text_has_control(value) || !text_is_ascii(value))
		return value_refuse(reader,
			"is not a version: 1 to %d ASCII characters without blanks", VERSION_SIZE);
	if (value.len >= 2 && value_equal_nocase(text_head(value, 2), "v="))
		return value_refuse(reader, "has the v= of the record: write what is behind it");
	return value_keep_text(reader, value);
}

/* Ids that a list collects, in storage that the configuration owns. */
struct ids {
	struct text *list;
	size_t max, *count;
};

/* A comma could stand in a record, but nobody means one: records join fields with commas by
 * mistake, and so do lists here. */
static bool id_is_good(struct text id)
{
	return id.len > 0 && id.len <= ID_MAX && !value_has_blank(id) && !text_has_control(id) &&
	       text_find(id, '|') == id.len && text_find(id, ',') == id.len;
}

static enum err id_add(struct value_reader *reader, struct text id, struct ids ids)
{
	if (!id_is_good(id))
		return value_refuse(reader,
			"is not one id of 1 to %d bytes without blanks, | and commas (several "
			"need a line each)",
			ID_MAX);
	for (size_t i = 0; i < *ids.count; i++)
		if (value_equal_nocase(id, ids.list[i].ptr))
			return value_refuse(reader, "is given twice (case does not count)");
	if (*ids.count == ids.max)
		return value_refuse(reader, "is one too many: at most %zu", ids.max);
	char *copy = config_keep(reader->config, id.ptr, id.len);
	if (!copy)
		return ERR_NOMEM;
	ids.list[(*ids.count)++] = (struct text){copy, id.len};
	return ERR_OK;
}

enum err value_lockdown_account(struct value_reader *reader, struct text value)
{
	struct config *config = reader->config;
	struct lockdown_settings *lockdown = &config->lockdown;
	struct ids ids = {config->own->accounts, CONFIG_ACCOUNTS_MAX, &lockdown->account_count};
	lockdown->accounts = config->own->accounts;
	if (reader->replace)
		lockdown->account_count = 0;
	return value.len ? id_add(reader, value, ids) : ERR_OK;
}

enum err value_lockdown_type(struct value_reader *reader, struct text value)
{
	struct config *config = reader->config;
	struct lockdown_settings *lockdown = &config->lockdown;
	struct ids ids = {config->own->types, CONFIG_TYPES_MAX, &lockdown->type_count};
	lockdown->types = config->own->types;
	if (reader->replace)
		lockdown->type_count = 0;
	return id_add(reader, value, ids);
}

enum err value_nameserver(struct value_reader *reader, struct text value)
{
	struct nameservers *servers = &reader->config->nameservers;
	struct nameserver server = {0};
	if (reader->replace)
		servers->count = 0;
	if (value.len == 0)
		return ERR_OK;
	if (!nameserver_parse(value, &server))
		return value_refuse(reader,
			"is not the address of a DNS server: ADDR, ADDR:PORT or [IPV6]:PORT, "
			"numbers alone, one a line");
	for (size_t i = 0; i < servers->count; i++)
		if (strcmp(servers->list[i].text, server.text) == 0)
			return value_refuse(reader, "is given twice");
	if (servers->count == NAMESERVERS_MAX)
		return value_refuse(reader, "is one server too many: at most %d", NAMESERVERS_MAX);
	servers->list[servers->count++] = server;
	return ERR_OK;
}

/*
 * The values of [ownership], [control] and [roles] that are no plain words or numbers.
 *
 * Knows how a prefix has to look so that a TXT record can hold it and a person can copy it, and
 * what can be the name of a group; not whether there is such a group. Fails as config_value.c does.
 */
#include "policy/engine/config_private.h"

#include <sys/un.h>

#define PREFIX_MAX 100
#define GROUP_MAX  255

static bool is_prefix_byte(char c)
{
	return c > ' ' && c <= '~' && c != '"' && c != '\'' && c != '\\';
}

enum err value_prefix(struct value_reader *reader, struct text value)
{
	bool is_good = value.len > 0 && value.len <= PREFIX_MAX;
	for (size_t i = 0; is_good && i < value.len; i++)
		is_good = is_prefix_byte(value.ptr[i]);
	if (!is_good)
		return value_refuse(reader,
			"is not what a TXT record can begin with: 1 to %d ASCII characters without "
			"blanks, quotes and backslashes",
			PREFIX_MAX);
	return value_keep_text(reader, value);
}

enum err value_hook(struct value_reader *reader, struct text value)
{
	return value.len ? value_path(reader, value) : value_keep_string(reader, value);
}

enum err value_control(struct value_reader *reader, struct text value)
{
	static const struct text prefix = {"unix:", 5};
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	bool is_unix = value.len > prefix.len && text_equal(text_head(value, prefix.len), prefix);
	struct text path = is_unix ? text_tail(value, prefix.len) : TEXT("");
	if (path.len == 0 || path.ptr[0] != '/' || path.ptr[path.len - 1] == '/')
		return value_refuse(reader,
			"is not unix: and the absolute path of a socket: who asks is known on a "
			"unix socket alone");
	if (path.len > max)
		return value_refuse(reader,
			"has a path of %zu bytes; a socket's may have at most %zu", path.len, max);
	return value_keep_string(reader, path);
}

/* The next name of a list split at commas; false: there is none. */
static bool next_name(struct text *rest, struct text *name)
{
	size_t comma = text_find(*rest, ',');
	if (rest->len == 0)
		return false;
	*name = text_trim(text_head(*rest, comma));
	*rest = text_tail(*rest, comma < rest->len ? comma + 1 : comma);
	return true;
}

static bool is_group(struct text name)
{
	return name.len > 0 && name.len <= GROUP_MAX && !value_has_blank(name) &&
	       text_find(name, ':') == name.len && text_find(name, '/') == name.len;
}

static bool is_listed(const struct role_groups *groups, struct text name)
{
	for (size_t i = 0; i < groups->count; i++)
		if (text_equal(groups->names[i], name))
			return true;
	return false;
}

static enum err group_add(struct value_reader *reader, struct role_groups *groups, struct text name)
{
	char shown[CONFIG_EXCERPT_SIZE];
	char *copy;
	if (!is_group(name))
		return value_refuse(reader,
			"names \"%s\", which is not the name of a group (a comma between two)",
			config_excerpt(name, shown));
	if (is_listed(groups, name))
		return value_refuse(reader, "names \"%s\" twice", config_excerpt(name, shown));
	if (groups->count == CONFIG_ROLE_GROUPS_MAX)
		return value_refuse(reader, "names more than %d groups", CONFIG_ROLE_GROUPS_MAX);
	copy = config_keep(reader->config, name.ptr, name.len);
	if (!copy)
		return ERR_NOMEM;
	groups->names[groups->count++] = (struct text){copy, name.len};
	return ERR_OK;
}

enum err value_groups(struct value_reader *reader, struct text value)
{
	struct role_groups groups = {0};
	struct text name;
	while (next_name(&value, &name)) {
		enum err err = group_add(reader, &groups, name);
		if (err != ERR_OK)
			return err;
	}
	*(struct role_groups *)value_field(reader) = groups;
	return ERR_OK;
}

/*
 * Quoting of Postfix table keys, as quote_822_local(3) and unquote_822_local(3) do it. Cannot fail
 * beyond what its header says.
 */
#include "policyctl/import/import_key.h"

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t import_key_end(struct text line)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < line.len && (quoted || !is_blank(line.ptr[i])); i++) {
		if (line.ptr[i] == '\\' && i + 1 < line.len)
			i++;
		else if (line.ptr[i] == '"')
			quoted = !quoted;
	}
	return quoted ? SIZE_MAX : i;
}

/* The last `@` outside quotes: behind it everything is literal. */
static size_t local_part_end(struct text external)
{
	size_t end = external.len;
	bool quoted = false;

	for (size_t i = 0; i < external.len; i++) {
		char c = external.ptr[i];

		if (c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == '@' && !quoted)
			end = i;
	}
	return end;
}

static size_t unquote(struct text external, char *out)
{
	size_t end = local_part_end(external), len = 0;

	for (size_t i = 0; i < end; i++) {
		if (external.ptr[i] == '"')
			continue;
		if (external.ptr[i] == '\\' && i + 1 < end)
			i++;
		out[len++] = external.ptr[i];
	}
	memcpy(out + len, external.ptr + end, external.len - end);
	return len + external.len - end;
}

static bool is_dot_string(struct text local)
{
	if (local.len == 0 || local.ptr[0] == '.' || local.ptr[local.len - 1] == '.')
		return false;
	for (size_t i = 0; i < local.len; i++) {
		unsigned char c = (unsigned char)local.ptr[i];

		if (c <= ' ' || c == 127 || strchr("()<>@,;:\\\"[]", c))
			return false;
		if (c == '.' && local.ptr[i - 1] == '.')
			return false;
	}
	return true;
}

/* Twice the input and two quotes at most. */
static size_t quote(struct text internal, char *out)
{
	struct text local, domain;
	size_t len = 0;

	address_split(internal, &local, &domain);
	if (is_dot_string(local)) {
		memcpy(out, internal.ptr, internal.len);
		return internal.len;
	}
	out[len++] = '"';
	for (size_t i = 0; i < local.len; i++) {
		if (local.ptr[i] == '"' || local.ptr[i] == '\\')
			out[len++] = '\\';
		out[len++] = local.ptr[i];
	}
	out[len++] = '"';
	memcpy(out + len, internal.ptr + local.len, internal.len - local.len);
	return len + internal.len - local.len;
}

struct text import_key_internal(struct text external, char *out, bool *is_needless)
{
	char again[2 * IMPORT_KEY_MAX + 2];
	struct text internal, requoted;

	*is_needless = false;
	if (text_find(external, '"') == external.len)
		return external;
	internal = (struct text){out, unquote(external, out)};
	requoted = (struct text){again, internal.len ? quote(internal, again) : 0};
	/* Nothing before the `@` would make `""@example.com` the whole domain. */
	if (internal.len > 0 && internal.ptr[0] != '@' && text_equal(requoted, external))
		return internal;
	*is_needless = true;
	return external;
}

static bool reads_back(struct text external, struct text internal)
{
	char bytes[IMPORT_KEY_MAX];
	bool is_needless;

	return external.len > 0 && external.ptr[0] != '#' &&
	       external.ptr[external.len - 1] != '\\' && import_key_end(external) == external.len &&
	       text_equal(import_key_internal(external, bytes, &is_needless), internal);
}

struct text import_key_external(struct text internal, char *out)
{
	struct text quoted;

	if (internal.len == 0 || internal.len > PATTERN_MAX || reads_back(internal, internal))
		return internal;
	quoted = (struct text){out, quote(internal, out)};
	return reads_back(quoted, internal) ? quoted : TEXT("");
}

/*
 * The writing half of the three formats. Cannot fail itself: the stream remembers.
 */
#include "policyctl/import/import_write.h"

#include "policyctl/import/import_key.h"
#include "policyctl/import/utf8.h"

static void write_text(FILE *out, struct text t)
{
	if (t.len > 0)
		fwrite(t.ptr, 1, t.len, out);
}

static void csv_field(FILE *out, struct text t)
{
	bool quoted = false;

	for (size_t i = 0; i < t.len && !quoted; i++)
		quoted = t.ptr[i] == ',' || t.ptr[i] == '"' || t.ptr[i] == '\n' || t.ptr[i] == '\r';
	if (!quoted) {
		write_text(out, t);
		return;
	}
	putc('"', out);
	for (size_t i = 0; i < t.len; i++) {
		if (t.ptr[i] == '"')
			putc('"', out);
		putc(t.ptr[i], out);
	}
	putc('"', out);
}

void import_write_csv(FILE *out, const struct row_entry *entry)
{
	char expires[EXPIRES_TEXT_MAX];

	expires_format(&entry->expires, expires);
	csv_field(out, entry->pattern);
	putc(',', out);
	csv_field(out, entry->owner);
	fprintf(out, ",%s,", expires);
	csv_field(out, entry->comment);
	putc('\n', out);
}

void import_write_json_string(FILE *out, struct text t)
{
	putc('"', out);
	while (t.len > 0) {
		size_t len = utf8_length(t);
		unsigned char c = (unsigned char)t.ptr[0];

		if (len == 0)
			fputs("\\ufffd", out);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c == 127)
			fprintf(out, "\\u%04x", c);
		else
			fwrite(t.ptr, 1, len, out);
		t = text_tail(t, len ? len : 1);
	}
	putc('"', out);
}

void import_write_members(FILE *out, const struct row_entry *entry)
{
	char expires[EXPIRES_TEXT_MAX];

	expires_format(&entry->expires, expires);
	fputs("\"sender\":", out);
	import_write_json_string(out, entry->pattern);
	fputs(",\"owner\":", out);
	import_write_json_string(out, entry->owner);
	if (expires[0])
		fprintf(out, ",\"expires\":\"%s\"", expires);
	else
		fputs(",\"expires\":null", out);
	fputs(",\"comment\":", out);
	if (entry->comment.len > 0)
		import_write_json_string(out, entry->comment);
	else
		fputs("null", out);
}

void import_write_jsonl(FILE *out, const struct row_entry *entry)
{
	putc('{', out);
	import_write_members(out, entry);
	fputs("}\n", out);
}

const char *import_postfix_refusal(const struct row_entry *entry)
{
	char bytes[IMPORT_KEY_MAX];

	if (entry->expires.until != 0)
		return "it expires";
	if (entry->comment.len > 0)
		return "it has a comment";
	for (size_t i = 0; i < entry->owner.len; i++)
		if (strchr(" ,\t\r\n", entry->owner.ptr[i]))
			return "its owner holds a blank or a comma";
	if (import_key_external(entry->pattern, bytes).len == 0)
		return "its pattern cannot be written as a key";
	return NULL;
}

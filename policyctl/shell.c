/*
 * See shell.h. Knows POSIX quoting and nothing else. Cannot fail but with its stream.
 */
#include "policyctl/shell.h"

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789_@%+=:,./-";

static bool is_plain(struct text word)
{
	for (size_t i = 0; i < word.len; i++)
		if (memchr(plain, word.ptr[i], sizeof(plain) - 1) == NULL)
			return false;
	return word.len > 0;
}

void shell_word(FILE *out, struct text word)
{
	if (is_plain(word)) {
		fwrite(word.ptr, 1, word.len, out);
		return;
	}
	putc('\'', out);
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] == '\'')
			fputs("'\\'", out);
		putc(word.ptr[i], out);
	}
	putc('\'', out);
}

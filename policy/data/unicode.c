/*
 * Case folding, normalization and A-labels, by libunistring and libidn2.
 *
 * Knows nothing of mail. libidn2 deletes some characters and turns others into dots without a word;
 * so it is given one label at a time, and a label counts only when what comes back still reads as
 * what went in. Fails with length 0. Out of memory is no such failure: text whose form nobody knows
 * may be neither let pass nor refused, so the process ends without an answer and its clients ask
 * again (Postfix: "In case of trouble the policy server must not send a reply").
 */
#include "policy/data/unicode.h"

#include <errno.h>
#include <idn2.h>
#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistd.h>
#include <unistr.h>

#define LABEL_INPUT_MAX 255 /* 63 characters of up to 4 bytes, and more is no label */

static _Noreturn void end_without_memory(void)
{
	static const char sentence[] =
		"policyd: out of memory while normalizing a name; ending this process\n";
	ssize_t written = write(STDERR_FILENO, sentence, sizeof(sentence) - 1);

	(void)written;
	abort();
}

static size_t fold(struct text in, bool nfc, char *out, size_t cap)
{
	const uint8_t *bytes = (const uint8_t *)in.ptr;
	size_t len = cap;
	uint8_t *folded;

	/* u8_casefold lets some invalid bytes through. */
	if (u8_check(bytes, in.len) != NULL)
		return 0;
	folded = u8_casefold(bytes, in.len, NULL, nfc ? UNINORM_NFC : NULL, (uint8_t *)out, &len);
	if (folded == NULL && errno == ENOMEM)
		end_without_memory();
	if (folded == NULL || folded == (uint8_t *)out)
		return folded == NULL ? 0 : len;
	if (len <= cap)
		memcpy(out, folded, len);
	free(folded);
	return len <= cap ? len : 0;
}

/* Whether a U-label differs from what was typed in case and normalization alone. */
static bool reads_as(struct text typed, const char *u_label)
{
	int order;

	if (u8_casecmp((const uint8_t *)typed.ptr, typed.len, (const uint8_t *)u_label,
		    strlen(u_label), NULL, UNINORM_NFKC, &order) == 0)
		return order == 0;
	if (errno == ENOMEM)
		end_without_memory();
	return false;
}

static bool is_done(int code)
{
	if (code == IDN2_MALLOC)
		end_without_memory();
	return code == IDN2_OK;
}

/* One label that holds a byte over 127. */
static size_t label_to_ascii(struct text label, char *out, size_t cap)
{
	char typed[LABEL_INPUT_MAX + 1];
	char *u_label = NULL;
	uint8_t *a_label = NULL;
	size_t len = 0;

	if (label.len > LABEL_INPUT_MAX || memchr(label.ptr, '\0', label.len) != NULL ||
		u8_check((const uint8_t *)label.ptr, label.len) != NULL)
		return 0;
	memcpy(typed, label.ptr, label.len);
	typed[label.len] = '\0';
	if (!is_done(idn2_lookup_u8(
		    (const uint8_t *)typed, &a_label, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)) ||
		!is_done(idn2_to_unicode_8z8z((const char *)a_label, &u_label, 0)))
		goto out;
	len = strlen((const char *)a_label);
	if (len > cap || memchr(a_label, '.', len) != NULL || !reads_as(label, u_label))
		len = 0;
	memcpy(out, a_label, len);
out:
	idn2_free(u_label);
	idn2_free(a_label);
	return len;
}

static size_t put_label(struct text label, char *out, size_t cap)
{
	if (!text_is_ascii(label))
		return label_to_ascii(label, out, cap);
	if (label.len > cap)
		return 0;
	for (size_t i = 0; i < label.len; i++)
		out[i] = ascii_lower(label.ptr[i]);
	return label.len;
}

static size_t to_ascii(struct text domain, char *out, size_t cap)
{
	size_t len = 0;

	for (;;) {
		size_t dot = text_find(domain, '.');
		size_t label = put_label(text_head(domain, dot), out + len, cap - len);

		len += label;
		if (label == 0 || dot == domain.len)
			return label == 0 ? 0 : len;
		if (len == cap)
			return 0;
		out[len++] = '.';
		domain = text_tail(domain, dot + 1);
	}
}

const struct unicode_ops unicode_ops = {.fold = fold, .to_ascii = to_ascii};

size_t unicode_display(struct text domain, char *out, size_t cap)
{
	char a_label[DOMAIN_MAX + 1];
	char back[DOMAIN_MAX];
	char *u_label = NULL;
	struct text shown = text_head(domain, domain.len < cap ? domain.len : cap);
	size_t len;

	if (domain.len == 0)
		return 0;
	if (domain.len > DOMAIN_MAX || text_find(domain, '\0') < domain.len)
		goto out;
	memcpy(a_label, domain.ptr, domain.len);
	a_label[domain.len] = '\0';
	if (idn2_to_unicode_8z8z(a_label, &u_label, 0) != IDN2_OK)
		goto out;
	/* Only what leads back to the same domain may stand for it. */
	len = to_ascii(text_of(u_label), back, sizeof(back));
	if (strlen(u_label) <= cap && text_equal(domain, (struct text){back, len}))
		shown = text_of(u_label);
out:
	memcpy(out, shown.ptr, shown.len);
	idn2_free(u_label);
	return shown.len;
}

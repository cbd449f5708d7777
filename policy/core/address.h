/*
 * Logins and envelope senders in their canonical form, and the readings Postfix may give a sender.
 *
 * Canonical: case-folded (Unicode full case folding, NFC), the domain as lower-case A-label (UTS
 * #46, non-transitional) without one trailing dot. Pure: what needs a Unicode library comes in as
 * struct unicode_ops and is asked only for bytes over 127. A function fails (false) when the text
 * has no canonical form; the caller decides what that means.
 */
#ifndef POLICY_CORE_ADDRESS_H
#define POLICY_CORE_ADDRESS_H

#include "policy/core/base.h"

#define SENDER_MAX   2048  /* bytes of a sender as it arrives, and of its canonical local part */
#define DOMAIN_MAX   253   /* bytes of a canonical domain (RFC 1035, without the root dot) */
#define LOGIN_MAX    10240 /* bytes of a canonical login; a SASL name has up to 9,216 */
#define READINGS_MAX 8     /* rewrites of one sender before it is refused */

/* What needs a library. Both write at most cap bytes, without a NUL, and return the length, or 0
 * for text that has no such form (invalid UTF-8, not a domain) or does not fit. */
struct unicode_ops {
	size_t (*fold)(struct text in, bool nfc, char *out, size_t cap);
	/* RFC 5891 with UTS #46 mapping, non-transitional. What libidn2 would delete or change
	 * beyond case and normalization (ZWSP, soft hyphen, ideographic dots) has no A-label. */
	size_t (*to_ascii)(struct text domain, char *out, size_t cap);
};

/* A canonical address. `domain` is empty for a bare user name. Both point into bytes: do not copy
 * the struct by assignment. */
struct address {
	struct text local;     /* folded, NFC */
	struct text local_raw; /* as it came, for `local_part = keep`; borrowed from the input */
	struct text domain;    /* A-label, or an address literal `[...]`, lower-case */
	char bytes[SENDER_MAX + DOMAIN_MAX + 3];
};

/* A canonical login. The texts point into the two buffers. */
struct login {
	struct text raw;    /* as it came; borrowed */
	struct text full;   /* canonical, realm appended where it had no `@` */
	struct text bare;   /* full without `@realm` where its domain is the realm, else empty */
	struct text local;  /* of full: before the last `@`, or all of it */
	struct text domain; /* of full: behind the last `@`, or empty */
	struct text folded; /* as Postfix compares it: folded, no NFC, no A-label, no realm */
	char bytes[LOGIN_MAX + DOMAIN_MAX + 1];
	char folded_bytes[LOGIN_MAX];
};

/* Splits at the last `@`. No `@`: all of it is local, *domain has a NULL ptr; `x@`: *domain is
 * empty, not NULL. */
void address_split(struct text raw, struct text *local, struct text *domain);

/* Canonical domain into out[DOMAIN_MAX]. One trailing dot is dropped. False: no valid domain (empty
 * label, over 63 or 253 bytes, a byte outside letters, digits, `-`, `_`, no A-label). `[...]`
 * literals pass, lower-case. */
POLICY_CHECKED bool address_domain(
	const struct unicode_ops *ops, struct text raw, char *out, struct text *domain);

/* Canonical form of a sender that is not empty. Bare users take `append_domain` where that is not
 * empty (it is canonical already). False: control bytes, invalid UTF-8, empty local part, bad
 * domain, over-long. */
POLICY_CHECKED bool address_sender(const struct unicode_ops *ops, struct text raw,
	struct text append_domain, struct address *out);

/* Canonical form of a login that is not empty. `realm` is canonical or empty. Its domain is an
 * A-label where there is one, else just folded. False: control bytes, invalid UTF-8, over-long. */
POLICY_CHECKED bool address_login(
	const struct unicode_ops *ops, struct text raw, struct text realm, struct login *out);

/* How long the local part is without its extension (Postfix split_addr(3)): split at the first byte
 * that is in `delimiters` and has something before it; never for postmaster, mailer-daemon,
 * double-bounce; with `-` in the set never for owner-* and *-request. local.len where nothing is
 * split. */
size_t address_without_extension(struct text local, struct text delimiters);

/* The next reading of a raw address, as Postfix's rewrite(8) would make it once the domain is found
 * to be its own: `a@b@local` -> `a@b`; `host!user` -> `user@host` (first `!`); `user%host` ->
 * `user@host` (last `%`); in that order, but `%` before `!` where the local part needs quotes.
 * `raw` includes its domain. Writes to out[SENDER_MAX], returns the length, 0 when the local part
 * holds no operator. */
size_t address_rewrite(struct text raw, char *out);

/* Whether Postfix would have to quote a local part: it is no RFC 5322 dot-atom. */
bool address_needs_quotes(struct text local);

/* `@host:user@domain`, which is user@domain: Postfix drops the route of an envelope sender when it
 * queues the mail, whatever the domain, also of one that came quoted (`"@host:user"@domain`). The
 * routes that a client sends unquoted are gone from a policy request already. */
bool address_has_source_route(struct text raw);

/* Whether the local part of raw holds `%`, `!` or `@`. */
bool address_has_routing(struct text raw);

/* ASCII lower-case of one byte; others unchanged. */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Case folding without NFC (nfc = false: as Postfix does) or with it, into out[cap]; ASCII needs no
 * library. Returns the length, 0 for invalid UTF-8 or when it does not fit. Empty text returns 0
 * too. */
size_t text_fold(const struct unicode_ops *ops, struct text in, bool nfc, char *out, size_t cap);

/* Whether t, its ASCII letters in lower case, is `lower`. */
static inline bool text_equal_lower(struct text t, struct text lower)
{
	if (text_equal(t, lower))
		return true;
	if (t.len != lower.len)
		return false;
	for (size_t i = 0; i < t.len; i++)
		if (ascii_lower(t.ptr[i]) != lower.ptr[i])
			return false;
	return true;
}

/* The same bytes, ASCII letters in any case. */
static inline bool text_equal_no_case(struct text a, struct text b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}

/* Whether text holds no byte over 127. */
bool text_is_ascii(struct text t);

/* Whether text holds a control byte (0-31, 127). */
bool text_has_control(struct text t);

#endif

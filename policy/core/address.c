/*
 * Canonical logins and senders, and the readings Postfix may give a sender, see address.h.
 *
 * Knows no Unicode library and no table. What is ASCII, that is nearly everything, takes one pass
 * and no call; the rest goes through struct unicode_ops. Fails (false, 0) on text without a
 * canonical form.
 */
#include "policy/core/address.h"

#include <assert.h>

#define LABEL_MAX 63

static inline bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static inline bool is_ascii(char c)
{
	return (unsigned char)c < 0x80;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define TOP_BITS   EACH(0x80)

static inline uint64_t load_word(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

bool text_is_ascii(struct text t)
{
	const size_t size = sizeof(uint64_t);
	size_t i = 0;

	for (; i + size <= t.len; i += size)
		if (load_word(t.ptr + i) & TOP_BITS)
			return false;
	if (t.len >= size)
		return !(load_word(t.ptr + t.len - size) & TOP_BITS);
	for (; i < t.len; i++)
		if (!is_ascii(t.ptr[i]))
			return false;
	return true;
}

bool text_has_control(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (is_control(t.ptr[i]))
			return true;
	return false;
}

size_t text_fold(const struct unicode_ops *ops, struct text in, bool nfc, char *out, size_t cap)
{
	if (!text_is_ascii(in))
		return ops->fold(in, nfc, out, cap);
	if (in.len > cap)
		return 0;
	for (size_t i = 0; i < in.len; i++)
		out[i] = ascii_lower(in.ptr[i]);
	return in.len;
}

/* Eight bytes in lower case, false where one is a control or over 127. While no top bit is set,
 * adding to each byte carries into its own top bit alone: that is how it is compared. */
static inline bool lower_word(uint64_t in, uint64_t *out)
{
	uint64_t from_space = in + EACH(0x80 - ' '), from_del = in + EACH(0x80 - 0x7f);
	uint64_t from_a = in + EACH(0x80 - 'A'), behind_z = in + EACH(0x80 - 'Z' - 1);

	*out = in | (from_a & ~behind_z & TOP_BITS) >> 2;
	return ((in | from_del | ~from_space) & TOP_BITS) == 0;
}

/* Copies in lower case; false at a byte that is a control or over 127. */
static bool copy_lower(struct text in, char *out)
{
	uint64_t word;
	size_t i = 0;

	for (; i + sizeof(word) <= in.len; i += sizeof(word)) {
		if (!lower_word(load_word(in.ptr + i), &word))
			return false;
		memcpy(out + i, &word, sizeof(word));
	}
	for (; i < in.len; i++) {
		if (!is_ascii(in.ptr[i]) || is_control(in.ptr[i]))
			return false;
		out[i] = ascii_lower(in.ptr[i]);
	}
	return true;
}

/* text_fold with NFC for text that must hold no control byte. */
static size_t fold_printable(const struct unicode_ops *ops, struct text in, char *out, size_t cap)
{
	if (in.len <= cap && copy_lower(in, out))
		return in.len;
	return text_has_control(in) ? 0 : text_fold(ops, in, true, out, cap);
}

void address_split(struct text raw, struct text *local, struct text *domain)
{
	size_t at = text_rfind(raw, '@');

	*local = text_head(raw, at);
	*domain = at < raw.len ? text_tail(raw, at + 1) : (struct text){NULL, 0};
}

static inline bool is_domain_byte(char lower)
{
	return (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '-' ||
	       lower == '_';
}

static struct text without_trailing_dot(struct text domain)
{
	if (domain.len > 0 && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	return domain;
}

/* Lower case into out where every label is well formed. in and out may be the same. */
static bool domain_of_ascii(struct text in, char *out)
{
	size_t label = 0;

	if (in.len == 0 || in.len > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		char c = ascii_lower(in.ptr[i]);

		if (is_domain_byte(c))
			label++;
		else if (c == '.' && label > 0)
			label = 0;
		else
			return false;
		if (label > LABEL_MAX)
			return false;
		out[i] = c;
	}
	return label > 0;
}

static bool domain_of_unicode(
	const struct unicode_ops *ops, struct text in, char *out, struct text *domain)
{
	for (size_t i = 0; i < in.len; i++)
		if (is_ascii(in.ptr[i]) && in.ptr[i] != '.' &&
			!is_domain_byte(ascii_lower(in.ptr[i])))
			return false;
	*domain = (struct text){out, ops->to_ascii(in, out, DOMAIN_MAX)};
	return domain_of_ascii(*domain, out);
}

/* `[...]`: what stands inside is Postfix's business, as long as it is printable and ends there. */
static bool domain_of_literal(struct text in, char *out)
{
	if (in.len < 3 || in.len > DOMAIN_MAX || in.ptr[in.len - 1] != ']')
		return false;
	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];
		bool is_inside = i > 0 && i + 1 < in.len;

		if (c <= ' ' || c > '~' || c == '\\' || (is_inside && (c == '[' || c == ']')))
			return false;
		out[i] = ascii_lower(c);
	}
	return true;
}

bool address_domain(const struct unicode_ops *ops, struct text raw, char *out, struct text *domain)
{
	struct text in = without_trailing_dot(raw);

	*domain = (struct text){out, in.len};
	if (in.len > 0 && in.ptr[0] == '[')
		return domain_of_literal(in, out);
	return domain_of_ascii(in, out) ||
	       (!text_is_ascii(in) && domain_of_unicode(ops, in, out, domain));
}

bool address_sender(const struct unicode_ops *ops, struct text raw, struct text append_domain,
	struct address *out)
{
	struct text domain;
	char *behind;

	if (raw.len > SENDER_MAX)
		return false;
	address_split(raw, &out->local_raw, &domain);
	out->local.ptr = out->bytes;
	out->local.len = fold_printable(ops, out->local_raw, out->bytes, SENDER_MAX);
	if (out->local.len == 0)
		return false;
	behind = out->bytes + out->local.len;
	if (domain.ptr != NULL)
		return address_domain(ops, domain, behind, &out->domain);
	if (append_domain.len > DOMAIN_MAX)
		return false;
	if (append_domain.len > 0)
		memcpy(behind, append_domain.ptr, append_domain.len);
	out->domain = (struct text){behind, append_domain.len};
	return true;
}

/* Canonical domain of a login into out[cap]: what is no domain is folded text. May be empty. */
static bool login_domain(
	const struct unicode_ops *ops, struct text raw, char *out, size_t cap, size_t *len)
{
	char canonical[DOMAIN_MAX];
	struct text domain;

	*len = 0;
	if (raw.len == 0)
		return true;
	if (!address_domain(ops, raw, canonical, &domain)) {
		*len = fold_printable(ops, raw, out, cap);
		return *len > 0;
	}
	if (domain.len > cap)
		return false;
	memcpy(out, domain.ptr, domain.len);
	*len = domain.len;
	return true;
}

/* bytes hold `local@domain` as typed but for its case, all of it ASCII: the one thing that can be
 * left to do is the trailing dot. Returns the length. */
static size_t drop_trailing_dot(const struct unicode_ops *ops, const char *bytes, size_t len)
{
	char canonical[DOMAIN_MAX];
	struct text local, raw, domain;

	if (len == 0 || bytes[len - 1] != '.')
		return len;
	address_split((struct text){bytes, len}, &local, &raw);
	if (raw.ptr != NULL && address_domain(ops, raw, canonical, &domain))
		len--;
	return len;
}

/* Sets full and folded of a login that holds a byte over 127. */
static bool fold_login(const struct unicode_ops *ops, struct text raw, struct login *out)
{
	struct text local, domain;
	size_t len = 0, domain_len;

	if (text_has_control(raw))
		return false;
	address_split(raw, &local, &domain);
	if (local.len > 0)
		len = text_fold(ops, local, true, out->bytes, LOGIN_MAX - 1);
	if (local.len > 0 && len == 0)
		return false;
	if (domain.ptr != NULL) {
		out->bytes[len++] = '@';
		if (!login_domain(ops, domain, out->bytes + len, LOGIN_MAX - len, &domain_len))
			return false;
		len += domain_len;
	}
	out->full = (struct text){out->bytes, len};
	out->folded = (struct text){out->folded_bytes, 0};
	out->folded.len = text_fold(ops, raw, false, out->folded_bytes, LOGIN_MAX);
	return out->folded.len > 0;
}

static void append_realm(struct login *login, struct text realm)
{
	char *end = login->bytes + login->full.len;

	*end = '@';
	memcpy(end + 1, realm.ptr, realm.len);
	login->full.len += 1 + realm.len;
	login->domain = (struct text){end + 1, realm.len};
}

bool address_login(
	const struct unicode_ops *ops, struct text raw, struct text realm, struct login *out)
{
	if (raw.len == 0 || raw.len > LOGIN_MAX || realm.len > DOMAIN_MAX)
		return false;
	out->raw = raw;
	if (copy_lower(raw, out->bytes)) {
		out->folded = (struct text){out->bytes, raw.len};
		out->full = (struct text){out->bytes, drop_trailing_dot(ops, out->bytes, raw.len)};
	} else if (!fold_login(ops, raw, out)) {
		return false;
	}
	address_split(out->full, &out->local, &out->domain);
	out->bare = (struct text){out->bytes, 0};
	if (realm.len == 0)
		return true;
	if (out->domain.ptr == NULL)
		append_realm(out, realm);
	if (text_equal(out->domain, realm))
		out->bare = out->local;
	return true;
}

static bool is_never_split(struct text local, bool dash)
{
	static const struct text owner = {"owner-", 6}, request = {"-request", 8};

	if (text_equal_lower(local, TEXT("postmaster")) ||
		text_equal_lower(local, TEXT("mailer-daemon")) ||
		text_equal_lower(local, TEXT("double-bounce")))
		return true;
	if (!dash)
		return false;
	return (local.len >= owner.len && text_equal_lower(text_head(local, owner.len), owner)) ||
	       (local.len > request.len &&
		       text_equal_lower(text_tail(local, local.len - request.len), request));
}

/* A set is a byte or two: shorter than a call of memchr. */
static inline bool is_in_set(struct text set, char c)
{
	for (size_t i = 0; i < set.len; i++)
		if (set.ptr[i] == c)
			return true;
	return false;
}

size_t address_without_extension(struct text local, struct text delimiters)
{
	size_t at = 0;

	while (at < local.len && !is_in_set(delimiters, local.ptr[at]))
		at++;
	/* As in Postfix a delimiter at the very start keeps the others from being looked at. */
	if (at == 0 || at == local.len)
		return local.len;
	return is_never_split(local, is_in_set(delimiters, '-')) ? local.len : at;
}

static size_t swap_around(struct text host, struct text user, char *out)
{
	memcpy(out, user.ptr, user.len);
	out[user.len] = '@';
	memcpy(out + user.len + 1, host.ptr, host.len);
	return user.len + 1 + host.len;
}

bool address_needs_quotes(struct text local)
{
	static const struct text special = {"()<>,;:\\\"[] ", 13};
	char before = '.';

	for (size_t i = 0; i < local.len; i++) {
		char c = local.ptr[i];

		if ((c == '.' && before == '.') || is_control(c) ||
			text_find(special, c) < special.len)
			return true;
		before = c;
	}
	return before == '.';
}

size_t address_rewrite(struct text raw, char *out)
{
	struct text local, domain;
	size_t bang, percent;

	assert(raw.len <= SENDER_MAX);
	address_split(raw, &local, &domain);
	if (text_find(local, '@') < local.len) {
		memcpy(out, local.ptr, local.len);
		return local.len;
	}
	bang = text_find(local, '!');
	percent = text_rfind(local, '%');
	if (percent < local.len && (bang == local.len || address_needs_quotes(local)))
		return swap_around(text_tail(local, percent + 1), text_head(local, percent), out);
	if (bang < local.len)
		return swap_around(text_head(local, bang), text_tail(local, bang + 1), out);
	return 0;
}

bool address_has_source_route(struct text raw)
{
	return raw.len > 0 && raw.ptr[0] == '@' && text_find(raw, ':') < raw.len;
}

bool address_has_routing(struct text raw)
{
	size_t end = text_rfind(raw, '@');

	for (size_t i = 0; i < end; i++)
		if (raw.ptr[i] == '%' || raw.ptr[i] == '!' || raw.ptr[i] == '@')
			return true;
	return false;
}

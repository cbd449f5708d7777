/*
 * Any bytes as a sender and as a login, with the real Unicode libraries.
 *
 * What holds: a canonical form gives itself when it is normalized again, holds no control byte and
 * no capital letter, and its domain is ASCII. Readings come to an end and stay inside their buffer.
 */
#include "policy/data/unicode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool has_capital(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.ptr[i] != ascii_lower(t.ptr[i]))
			return true;
	return false;
}

static void check_sender(struct text raw)
{
	static struct address once, twice;
	char joined[SENDER_MAX + 1 + DOMAIN_MAX];
	size_t len;

	if (!address_sender(&unicode_ops, raw, (struct text){0}, &once))
		return;
	must(once.local.len > 0 && once.local.len <= SENDER_MAX && once.domain.len <= DOMAIN_MAX);
	must(!text_has_control(once.local) && !has_capital(once.local));
	must(text_is_ascii(once.domain) && !has_capital(once.domain));
	must(!text_has_control(once.domain));
	len = once.local.len;
	memcpy(joined, once.local.ptr, len);
	if (once.domain.len > 0) {
		joined[len++] = '@';
		memcpy(joined + len, once.domain.ptr, once.domain.len);
		len += once.domain.len;
	}
	if (len > SENDER_MAX)
		return;
	must(address_sender(&unicode_ops, (struct text){joined, len}, (struct text){0}, &twice));
	must(text_equal(once.local, twice.local) && text_equal(once.domain, twice.domain));
}

static void check_login(struct text raw)
{
	static struct login login;

	if (!address_login(&unicode_ops, raw, TEXT("example.com"), &login))
		return;
	must(!text_has_control(login.full) && !has_capital(login.full));
	must(!text_has_control(login.folded) && !has_capital(login.folded));
	must(login.domain.ptr != NULL && login.full.len > login.domain.len);
	must(login.local.len + 1 + login.domain.len == login.full.len);
	must(login.bare.len == 0 || text_equal(login.domain, TEXT("example.com")));
}

static void check_readings(struct text raw)
{
	char bytes[2][SENDER_MAX];
	size_t len = raw.len;

	if (raw.len > SENDER_MAX)
		return;
	for (unsigned i = 0; len > 0; i++) {
		bool has_routing = address_has_routing(raw);

		len = address_rewrite(raw, bytes[i % 2]);
		must(has_routing == (len > 0) && len <= SENDER_MAX);
		/* Each rewrite uses up one operator for good. */
		must(i <= 2 * SENDER_MAX);
		raw = (struct text){bytes[i % 2], len};
	}
}

static void check_extension(struct text raw)
{
	struct text local, domain;
	size_t left;

	address_split(raw, &local, &domain);
	left = address_without_extension(local, TEXT("+-"));
	must(left <= local.len && (left > 0 || local.len == 0));
	if (left < local.len)
		must(local.ptr[left] == '+' || local.ptr[left] == '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text raw = {(const char *)data, size};
	char shown[4 * DOMAIN_MAX];

	check_sender(raw);
	check_login(raw);
	check_readings(raw);
	check_extension(raw);
	must(unicode_display(raw, shown, sizeof(shown)) <= sizeof(shown));
	return 0;
}

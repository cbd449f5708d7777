/*
 * Any bytes as what somebody types in place of a domain.
 *
 * What holds: a domain comes out canonical, is a domain when it is typed again, and is no address of
 * a machine; what was probably meant leads to a domain in a few steps; nothing else has one.
 */
#include "policy/data/unicode.h"
#include "policyctl/typed.h"

#include <stdlib.h>

enum { STEPS_MAX = TYPED_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_domain(struct text domain)
{
	char bytes[DOMAIN_MAX];
	struct text again;

	must(domain.len >= 1 && domain.len <= DOMAIN_MAX && domain.ptr[0] != '[');
	must(address_domain(&unicode_ops, domain, bytes, &again) && text_equal(again, domain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text next = {(const char *)data, size};
	char bytes[DOMAIN_MAX];
	struct typed typed;
	unsigned steps = 0;

	do {
		typed_read(&unicode_ops, TEXT("label"), next, &typed);
		if (typed.kind != TYPED_DOMAIN && typed.kind != TYPED_MEANT) {
			must(typed.domain.len == 0 && steps == 0);
			return 0;
		}
		check_domain(typed.domain);
		must(steps == 0 || typed.domain.len <= next.len);
		memcpy(bytes, typed.domain.ptr, typed.domain.len);
		next = (struct text){bytes, typed.domain.len};
		must(++steps < STEPS_MAX);
	} while (typed.kind == TYPED_MEANT);
	typed_read(&unicode_ops, TEXT("label"), next, &typed);
	must(typed.kind == TYPED_DOMAIN && text_equal(typed.domain, next));
	return 0;
}

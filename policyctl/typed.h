/*
 * What people type in place of a domain: addresses, URLs, blanks, a label in front.
 *
 * Pure. Says what it is and which domain was probably meant; must not know what it is wanted for.
 */
#ifndef POLICYCTL_TYPED_H
#define POLICYCTL_TYPED_H

#include "policy/core/address.h"

#define TYPED_MAX 1024 /* bytes; what is longer is no domain */

enum typed_kind {
	TYPED_DOMAIN,   /* a domain, in any case, with a trailing dot, in letters of any language */
	TYPED_MEANT,    /* something with a domain in it */
	TYPED_EMPTY,    /* nothing, or blanks alone */
	TYPED_ADDRESS,  /* of a machine: an IP address, with brackets or without */
	TYPED_NO_DOMAIN /* none of these */
};

struct typed {
	enum typed_kind kind;
	struct text domain; /* canonical; DOMAIN and MEANT */
	char bytes[DOMAIN_MAX];
};

/* label (canonical) in front of a domain is taken for the name of a record. Do not copy *out. */
void typed_read(
	const struct unicode_ops *ops, struct text label, struct text raw, struct typed *out);

#endif

/*
 * Public suffixes: names below which anybody can get a domain. The only file with libpsl.
 *
 * The list is the system's (publicsuffix), or the one libpsl was built with.
 */
#ifndef POLICYCTL_SUFFIX_H
#define POLICYCTL_SUFFIX_H

#include "policy/core/base.h"

enum suffix_word {
	SUFFIX_NONE,     /* a domain that somebody has, or a name below it */
	SUFFIX_REGISTRY, /* of a registry: com, co.uk */
	SUFFIX_PRIVATE,  /* of a company whose customers have names below it: github.io */
	SUFFIX_LABEL,    /* a single label that is on no list: localhost */
	SUFFIX_UNKNOWN,  /* there is no list */
};

/* domain is canonical. */
enum suffix_word suffix_word_of(struct text domain);

/* The end of domain that somebody has registered, most likely the zone: example.com of
 * a.b.example.com. All of it where there is no such end, or no list. */
struct text suffix_registered(struct text domain);

#endif

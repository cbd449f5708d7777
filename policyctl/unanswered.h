/*
 * Why the DNS gave no answer, in words.
 */
#ifndef POLICYCTL_UNANSWERED_H
#define POLICYCTL_UNANSWERED_H

#include "policy/core/dns.h"

/* "no server could be reached". */
const char *unanswered_sentence(enum dns_failure failure);
/* The same for the name of a failure ("network"); NULL for what is none: an rcode answers. */
const char *unanswered_sentence_of(const char *name);

#endif

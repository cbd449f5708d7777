/*
 * How far two names are apart, for "did you mean".
 */
#ifndef POLICYCTL_NEAREST_H
#define POLICYCTL_NEAREST_H

#include "policy/core/base.h"

#define NEAREST_FAR 3 /* names further apart are not the same one mistyped */

/* Bytes to insert, delete or replace (Levenshtein); SIZE_MAX where one is over 32 bytes. */
size_t nearest_distance(struct text a, struct text b);

#endif

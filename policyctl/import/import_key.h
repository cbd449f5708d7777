/*
 * The key of a Postfix table: as it stands in the file (external form, RFC 822 quoting in the local
 * part) and as Postfix sends senders (internal form, unquoted). Pure.
 */
#ifndef POLICYCTL_IMPORT_KEY_H
#define POLICYCTL_IMPORT_KEY_H

#include "policy/core/pattern.h"

#define IMPORT_KEY_MAX (2 * PATTERN_MAX + 2) /* bytes of an external form */

/* Where the key at the start of a line ends: the first blank outside quotes that no backslash
 * precedes (postmap's rule). SIZE_MAX: a quote is not closed. */
size_t import_key_end(struct text line);

/* The internal form of a key as Postfix would find it, into out[IMPORT_KEY_MAX]; sets *is_needless
 * where the key is quoted other than Postfix itself quotes that address: then no look-up of
 * Postfix's finds it by its meaning, and the key stands for itself, quotes included. */
struct text import_key_internal(struct text external, char *out, bool *is_needless);

/* What to write so that import reads `internal` back, into out[IMPORT_KEY_MAX]; empty: nothing
 * does. */
struct text import_key_external(struct text internal, char *out);

#endif

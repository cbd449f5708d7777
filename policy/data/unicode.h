/*
 * The only file with libidn2 and libunistring: case folding and A-labels for bytes over 127.
 *
 * Knows nothing of mail. Fails with length 0, see struct unicode_ops.
 */
#ifndef POLICY_DATA_UNICODE_H
#define POLICY_DATA_UNICODE_H

#include "policy/core/address.h"

extern const struct unicode_ops unicode_ops;

/* An A-label domain in letters people read ("xn--bcher-kva.example" -> "bücher.example") into
 * out[cap], for display only. Returns the length; the text itself where there is no other form. */
size_t unicode_display(struct text domain, char *out, size_t cap);

#endif

/*
 * Words of a command line that a person can copy into a shell.
 */
#ifndef POLICYCTL_SHELL_H
#define POLICYCTL_SHELL_H

#include <stdio.h>

#include "policy/core/base.h"

/* Quoted where a shell would read it otherwise. */
void shell_word(FILE *out, struct text word);

#endif

/*
 * Pairs as the importers read them back, and the quoting of each format.
 *
 * Writes to a stdio stream; whether it took everything is the caller's ferror() at the end.
 */
#ifndef POLICYCTL_IMPORT_WRITE_H
#define POLICYCTL_IMPORT_WRITE_H

#include <stdio.h>

#include "policyctl/import/import.h"

#define IMPORT_CSV_HEADER "sender,owner,expires,comment\n"

void import_write_csv(FILE *out, const struct row_entry *entry);
void import_write_jsonl(FILE *out, const struct row_entry *entry);

/* The four members without braces and line feed, for longer objects. */
void import_write_members(FILE *out, const struct row_entry *entry);

/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void import_write_json_string(FILE *out, struct text t);

/* One pair of the postfix format needs no more than that format holds: NULL; else why not. */
const char *import_postfix_refusal(const struct row_entry *entry);

#endif

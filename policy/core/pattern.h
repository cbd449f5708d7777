/*
 * The two columns of the authorization table: sender patterns and owners.
 *
 *   pattern   local@domain   one address            owner   login        one login
 *             b*g@domain     glob in the local part         @domain      every login of that domain
 *             @domain        a whole domain                 *            every login
 *             @.parent       every sub-domain of parent     !owner       denies
 *             local          a sender without a domain
 *
 * Pure. A pattern always has a canonical form here: a domain that is none is kept folded as text,
 * so that `semantics = first-hit`, where everything is literal, still finds it; `never` says why
 * union cannot.
 */
#ifndef POLICY_CORE_PATTERN_H
#define POLICY_CORE_PATTERN_H

#include "policy/core/address.h"

#define PATTERN_MAX   2048 /* bytes as typed */
#define OWNER_MAX     9216 /* bytes as typed */
#define GLOB_STARS    4    /* `*` in one pattern */
#define OWNER_KEY_MAX (LOGIN_MAX + DOMAIN_MAX + 1)

/* The numbers are stored in row keys and decide their order. */
enum pattern_kind {
	PATTERN_DOMAIN = 2,
	PATTERN_SUBDOMAINS = 3,
	PATTERN_GLOB = 4,
	PATTERN_EXACT = 5
};

/* Texts point into bytes: do not copy by assignment. */
struct pattern {
	enum pattern_kind kind;
	struct text local;  /* canonical; empty for PATTERN_DOMAIN and PATTERN_SUBDOMAINS */
	struct text domain; /* canonical; of PATTERN_SUBDOMAINS without the leading dot; empty for
			       bare users */
	const char *never;  /* NULL, or why no sender can ever match in union: a warning for the
			       loader */
	char bytes[2 * PATTERN_MAX + DOMAIN_MAX];
};

/* typed: as it stands in the table, already unquoted, without surrounding blanks. NULL: fine; else
 * what is wrong with it (empty, control byte, invalid UTF-8, over-long, too many `*`), ready for
 * "line N: `value`: ...". */
POLICY_CHECKED const char *pattern_parse(
	const struct unicode_ops *ops, struct text typed, struct pattern *out);

/* The numbers are ranks: in one row the higher one decides. */
enum owner_kind { OWNER_ANY, OWNER_DOMAIN, OWNER_LOGIN };
#define OWNER_KINDS 3

struct owner {
	bool deny;
	enum owner_kind kind;
	struct text key; /* canonical without `!`: login, `@domain` or `*`; points into bytes */
	char bytes[OWNER_KEY_MAX];
};

/* As pattern_parse. `login_realm` is a match setting and is not applied here. */
POLICY_CHECKED const char *owner_parse(
	const struct unicode_ops *ops, struct text typed, struct owner *out);

/* Whether the owner as typed is this login, union semantics: at once without a copy where all is
 * ASCII. *kind and *deny say which form it is, also when it does not match. */
POLICY_CHECKED bool owner_matches(const struct unicode_ops *ops, struct text typed,
	const struct login *login, enum owner_kind *kind, bool *deny);

/* Whether `local` matches the glob: `*` is any run, `\` takes the next byte literally. Case is
 * compared as it stands, so fold both first. No pattern is tried twice at one place. */
POLICY_CHECKED bool glob_matches(struct text glob, struct text local);

/* The same for a sender: with its extension, or without (base_len bytes of local; local.len:
 * none). */
POLICY_CHECKED bool glob_matches_sender(struct text glob, struct text local, size_t base_len);

#endif

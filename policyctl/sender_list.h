/*
 * The logins and the address that `domain allow`, `disallow` and `approve` name, in canonical form.
 */
#ifndef POLICYCTL_SENDER_LIST_H
#define POLICYCTL_SENDER_LIST_H

#include "policyctl/arena.h"
#include "policyctl/claimable.h"

struct sender_list {
	struct sender_entry *entries; /* login and local */
	size_t count, cap;
	struct text local; /* of --sender, empty without */
	struct address address;
	struct arena arena;
};

/* Reads the operands behind DOMAIN and --sender. CTL_USAGE: one of them is none, complained;
 * CTL_UNKNOWN: out of memory, complained. Zeroed before; sender_list_free in any case. */
enum ctl_exit sender_list_read(
	struct sender_list *list, const struct ctl *ctl, const struct claimable *domain);
void sender_list_free(struct sender_list *list);

/* Adds a copy. False: out of memory, complained. */
POLICY_CHECKED bool sender_list_add(
	struct sender_list *list, struct text login, struct text local, bool is_pending);

/* Whether every login is the tenant's, and on the list of accounts where there is one. Complains of
 * each that is not: CTL_NO. Between registry_begin and registry_end. */
enum ctl_exit sender_list_check(const struct sender_list *list, const struct ctl *ctl,
	struct registry *registry, struct text tenant);

#endif

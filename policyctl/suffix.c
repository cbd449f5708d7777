/*
 * See suffix.h. Must not know what a suffix is asked for. Without a list nothing is known.
 */
#include "policyctl/suffix.h"

#include <libpsl.h>
#include <stdio.h>

#include "policy/core/address.h"

struct list {
	psl_ctx_t *own; /* freed */
	const psl_ctx_t *psl;
};

/* psl NULL: there is none. */
static struct list list_open(void)
{
	struct list list = {.own = psl_latest(NULL)};

	list.psl = list.own ? list.own : psl_builtin();
	return list;
}

static void list_close(struct list *list)
{
	if (list->own)
		psl_free(list->own);
}

static bool is_suffix(const struct list *list, const char *domain, int type)
{
	return psl_is_public_suffix2(list->psl, domain, type | PSL_TYPE_NO_STAR_RULE) != 0;
}

enum suffix_word suffix_word_of(struct text domain)
{
	struct list list = list_open();
	enum suffix_word word = SUFFIX_NONE;
	char string[DOMAIN_MAX + 1];

	snprintf(string, sizeof(string), "%.*s", TEXT_ARG(domain));
	if (!list.psl)
		word = SUFFIX_UNKNOWN;
	else if (is_suffix(&list, string, PSL_TYPE_ICANN))
		word = SUFFIX_REGISTRY;
	else if (is_suffix(&list, string, PSL_TYPE_PRIVATE))
		word = SUFFIX_PRIVATE;
	else if (text_find(domain, '.') == domain.len)
		word = SUFFIX_LABEL;
	list_close(&list);
	return word;
}

struct text suffix_registered(struct text domain)
{
	struct list list = list_open();
	char string[DOMAIN_MAX + 1];
	const char *end = NULL;

	snprintf(string, sizeof(string), "%.*s", TEXT_ARG(domain));
	if (list.psl)
		end = psl_registrable_domain(list.psl, string);
	if (end && strlen(end) <= domain.len)
		domain = text_tail(domain, domain.len - strlen(end));
	list_close(&list);
	return domain;
}

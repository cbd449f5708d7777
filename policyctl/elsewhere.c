/*
 * See elsewhere.h. What the DNS does not say is nowhere: this only helps, and decides nothing.
 */
#include "policyctl/elsewhere.h"

#include <stdio.h>

/* A name that is too long, or no name, is left out. */
static void add(struct elsewhere *out, const char *front, struct text middle, const char *behind,
	struct text end)
{
	char *name = out->names[out->count];
	int len = snprintf(name, DNS_NAME_MAX + 1, "%s%.*s%s%.*s", front, TEXT_ARG(middle), behind,
		TEXT_ARG(end));
	struct text text = {name, len > 0 ? (size_t)len : 0};

	if (len <= 0 || len > DNS_NAME_MAX || !dns_is_name(text))
		return;
	out->questions[out->count++].name = text;
}

bool elsewhere_ask(const struct ctl *ctl, const struct claimable *domain, struct elsewhere *out)
{
	struct text label = ctl->config->ownership.label, none = TEXT("");

	out->count = 0;
	add(out, "", none, "", domain->text);
	add(out, "", domain->name, ".", domain->text); /* the form added the zone */
	add(out, "www.", none, "", domain->text);
	add(out, "", label, ".www.", domain->text);
	add(out, "_", label, ".", domain->text);
	if (dns_now_ask(ctl->config, out->questions, out->count))
		return true;
	out->count = 0;
	return false;
}

static bool is_proof(enum challenge_word word)
{
	switch (word) {
	case CHALLENGE_PROVED:
	case CHALLENGE_QUOTED:
	case CHALLENGE_BLANKS:
	case CHALLENGE_CUT:
	case CHALLENGE_NO_PREFIX:
		return true;
	case CHALLENGE_OLD_TOKEN:
	case CHALLENGE_OTHER_TOKEN:
	case CHALLENGE_NO_MATCH:
	case CHALLENGE_ABSENT:
	case CHALLENGE_UNKNOWN:
		break;
	}
	return false;
}

struct text elsewhere_find(
	const struct ctl *ctl, const struct elsewhere *elsewhere, struct text token)
{
	const struct challenge challenge = {.label = ctl->config->ownership.label,
		.prefix = ctl->config->ownership.prefix,
		.token = token};

	for (size_t i = 0; i < elsewhere->count; i++) {
		struct challenge_finding finding;

		challenge_judge(&challenge, &elsewhere->questions[i].answer, &finding);
		if (is_proof(finding.word))
			return elsewhere->questions[i].name;
	}
	return TEXT("");
}

/*
 * See domain.h. What is typed in place of a domain typed.h knows.
 */
#include "policyctl/domain.h"

#include "policyctl/output.h"
#include "policyctl/typed.h"

static bool has_record(const struct ctl *ctl, struct domain *out)
{
	return dns_name_below(ctl->config->lockdown.label, out->text, out->name_bytes, &out->name);
}

static void complain_about(const char *typed, const struct typed *read, bool fits)
{
	char escaped[OUTPUT_SHORT];

	output_escape(text_of(typed), escaped, sizeof(escaped));
	if (read->kind == TYPED_MEANT && fits)
		complain("\"%s\" is not a domain; did you mean %.*s?", escaped,
			TEXT_ARG(read->domain));
	else if (read->kind == TYPED_DOMAIN || read->kind == TYPED_ADDRESS)
		complain("\"%s\" cannot have a lockdown record: an address literal, or too long "
			 "for a name below it",
			escaped);
	else
		complain("\"%s\" is not a domain", escaped);
}

bool domain_of(const struct ctl *ctl, const char *typed, struct domain *out)
{
	struct typed read;
	bool fits;

	typed_read(
		ctl->config->settings.unicode, ctl->config->lockdown.label, text_of(typed), &read);
	if (read.domain.len > 0)
		memcpy(out->bytes, read.domain.ptr, read.domain.len);
	out->text = (struct text){out->bytes, read.domain.len};
	fits = read.domain.len > 0 && has_record(ctl, out);
	if (read.kind == TYPED_DOMAIN && fits)
		return true;
	complain_about(typed, &read, fits);
	return false;
}

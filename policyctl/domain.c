/*
 * See domain.h. Knows what is typed in place of a domain, nothing of records.
 */
#include "policyctl/domain.h"

#include "policyctl/output.h"

static bool is_domain(const struct ctl *ctl, struct text typed, struct domain *out)
{
	return address_domain(ctl->config->settings.unicode, typed, out->bytes, &out->text) &&
	       dns_name_below(ctl->config->lockdown.label, out->text, out->name_bytes, &out->name);
}

/* Up to the first byte that ends a host in a URL. */
static struct text host_head(struct text text)
{
	size_t len = 0;

	while (len < text.len && !strchr("/:?#>", text.ptr[len]))
		len++;
	return text_head(text, len);
}

/* What stands in an address, a URL or behind our own label; all of it where it is none of them. */
static struct text domain_inside(const struct ctl *ctl, struct text typed)
{
	const struct text label = ctl->config->lockdown.label;
	const char *scheme = memmem(typed.ptr, typed.len, "://", 3);

	if (scheme)
		typed = text_tail(typed, (size_t)(scheme - typed.ptr) + 3);
	if (text_rfind(typed, '@') < typed.len)
		typed = text_tail(typed, text_rfind(typed, '@') + 1);
	typed = host_head(typed);
	if (typed.len > label.len && typed.ptr[label.len] == '.' &&
		text_equal_lower(text_head(typed, label.len), label))
		return text_tail(typed, label.len + 1);
	return typed;
}

static void complain_about(const struct ctl *ctl, const char *typed, struct domain *meant)
{
	struct text inside = domain_inside(ctl, text_of(typed));
	char escaped[OUTPUT_SHORT];

	output_escape(text_of(typed), escaped, sizeof(escaped));
	if (inside.len < strlen(typed) && is_domain(ctl, inside, meant))
		complain("\"%s\" is not a domain; did you mean %.*s?", escaped,
			TEXT_ARG(meant->text));
	else if (address_domain(
			 ctl->config->settings.unicode, text_of(typed), meant->bytes, &meant->text))
		complain("\"%s\" is a domain that cannot have a lockdown record: an address "
			 "literal, or too long for a name below it",
			escaped);
	else
		complain("\"%s\" is not a domain", escaped);
}

bool domain_of(const struct ctl *ctl, const char *typed, struct domain *out)
{
	struct text whole = text_of(typed);

	if (domain_inside(ctl, whole).len == whole.len && is_domain(ctl, whole, out))
		return true;
	complain_about(ctl, typed, out);
	return false;
}

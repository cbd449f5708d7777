/*
 * See claimable.h. What is typed in place of a domain typed.h knows, what a public suffix is
 * suffix.h.
 */
#include "policyctl/claimable.h"

#include "policyctl/output.h"
#include "policyctl/suffix.h"
#include "policyctl/typed.h"

/* Behind "www.": empty where there is none, or where it is the name that somebody registered. */
static struct text behind_www(struct text domain)
{
	static const struct text www = {"www.", 4};
	struct text rest;

	if (domain.len <= www.len || !text_equal(text_head(domain, www.len), www))
		return TEXT("");
	rest = text_tail(domain, www.len);
	return suffix_word_of(rest) == SUFFIX_NONE ? rest : TEXT("");
}

static const char *what_suffix_is(enum suffix_word word)
{
	switch (word) {
	case SUFFIX_REGISTRY:
		return "is a public suffix: anybody can register a name below it, so it is "
		       "nobody's";
	case SUFFIX_PRIVATE:
		return "is a public suffix: many people have names of their own below it, so it is "
		       "nobody's";
	case SUFFIX_LABEL:
		return "is a single label, and no domain that anybody can register";
	case SUFFIX_NONE:
	case SUFFIX_UNKNOWN:
		break;
	}
	return NULL;
}

static enum ctl_exit refuse_suffix(struct text domain)
{
	enum suffix_word word = suffix_word_of(domain);
	const char *what = what_suffix_is(word);

	if (word == SUFFIX_UNKNOWN) {
		complain("libpsl has no list of public suffixes: install the package publicsuffix");
		return CTL_UNKNOWN;
	}
	if (!what)
		return CTL_YES;
	complain("%.*s %s; claim the domain that stands in mail addresses", TEXT_ARG(domain), what);
	return CTL_USAGE;
}

static void complain_kind(enum typed_kind kind, const char *escaped)
{
	if (kind == TYPED_EMPTY)
		complain("no domain was given: it is what stands behind the @ of an address");
	else if (kind == TYPED_ADDRESS)
		complain("\"%s\" is the address of a machine: only a domain can be claimed",
			escaped);
	else
		complain("\"%s\" is not a domain", escaped);
}

static enum ctl_exit refuse_typed(const char *typed, const struct typed *read)
{
	struct text bare = behind_www(read->domain), meant = read->domain;
	char escaped[OUTPUT_SHORT];

	output_escape(text_of(typed), escaped, sizeof(escaped));
	if (read->kind == TYPED_DOMAIN && bare.len == 0)
		return CTL_YES;
	if (bare.len > 0)
		meant = bare;
	if (read->kind == TYPED_MEANT && what_suffix_is(suffix_word_of(meant)))
		complain_kind(TYPED_NO_DOMAIN, escaped);
	else if (read->kind == TYPED_DOMAIN)
		complain("\"%s\" is the name of a web server; did you mean %.*s?", escaped,
			TEXT_ARG(meant));
	else if (read->kind == TYPED_MEANT)
		complain("\"%s\" is not a domain; did you mean %.*s?", escaped, TEXT_ARG(meant));
	else
		complain_kind(read->kind, escaped);
	return CTL_USAGE;
}

enum ctl_exit claimable_of(
	const struct ctl *ctl, const char *typed, bool is_new, struct claimable *out)
{
	struct text label = ctl->config->ownership.label;
	struct typed read;
	enum ctl_exit done;

	typed_read(ctl->config->settings.unicode, label, text_of(typed), &read);
	done = refuse_typed(typed, &read);
	if (done == CTL_YES && is_new)
		done = refuse_suffix(read.domain);
	if (done != CTL_YES)
		return done;
	memcpy(out->bytes, read.domain.ptr, read.domain.len);
	out->text = (struct text){out->bytes, read.domain.len};
	out->is_rewritten = !text_equal(out->text, text_of(typed));
	if (dns_name_below(label, out->text, out->name_bytes, &out->name))
		return CTL_YES;
	complain("%.*s is too long: the record would have to stand at %.*s.%.*s, and a name has "
		 "%d bytes at most",
		TEXT_ARG(out->text), TEXT_ARG(label), TEXT_ARG(out->text), DNS_NAME_MAX);
	return CTL_USAGE;
}

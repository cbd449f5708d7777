/*
 * A DNS answer as plain data, the names of rcodes and failures, and the name under which a record
 * stands.
 *
 * Knows no packet, no clock and no meaning of the texts. Fails when there is no room or no name.
 */
#include "policy/core/dns.h"

#include <stdio.h>

#define LABEL_MAX 63

void dns_answer_clear(struct dns_answer *answer, enum dns_failure failure)
{
	answer->status = LOOKUP_FAILED;
	answer->failure = failure;
	answer->rcode = DNS_RCODE_NOERROR;
	answer->is_authentic = false;
	answer->ttl_s = 0;
	answer->strings = 0;
	answer->count = 0;
	answer->used = 0;
	answer->server[0] = '\0';
}

bool dns_answer_add(struct dns_answer *answer, struct text txt)
{
	char *to = answer->bytes + answer->used;

	if (answer->count == DNS_RECORDS_MAX || txt.len > DNS_TEXT_MAX ||
		txt.len > sizeof(answer->bytes) - answer->used)
		return false;
	if (txt.len > 0)
		memcpy(to, txt.ptr, txt.len);
	answer->txt[answer->count++] = (struct text){to, txt.len};
	answer->used += txt.len;
	return true;
}

void dns_answer_copy(struct dns_answer *to, const struct dns_answer *from)
{
	if (to == from)
		return;
	dns_answer_clear(to, from->failure);
	to->status = from->status;
	to->rcode = from->rcode;
	to->is_authentic = from->is_authentic;
	to->ttl_s = from->ttl_s;
	to->strings = from->strings;
	to->count = from->count;
	to->used = from->used;
	memcpy(to->bytes, from->bytes, from->used);
	memcpy(to->server, from->server, sizeof(to->server));
	for (size_t i = 0; i < from->count; i++) {
		size_t at = (size_t)(from->txt[i].ptr - from->bytes);

		to->txt[i] = (struct text){to->bytes + at, from->txt[i].len};
	}
}

const char *dns_rcode_text(uint8_t rcode, char out[16])
{
	static const char *const names[] = {
		"NOERROR",
		"FORMERR",
		"SERVFAIL",
		"NXDOMAIN",
		"NOTIMP",
		"REFUSED",
	};

	if (rcode < sizeof(names) / sizeof(names[0]))
		snprintf(out, 16, "%s", names[rcode]);
	else
		snprintf(out, 16, "RCODE%u", rcode);
	return out;
}

const char *dns_failure_text(enum dns_failure failure)
{
	switch (failure) {
	case DNS_FAILURE_NONE:
		return "none";
	case DNS_FAILURE_RCODE:
		return "rcode";
	case DNS_FAILURE_TIMEOUT:
		return "timeout";
	case DNS_FAILURE_NETWORK:
		return "network";
	case DNS_FAILURE_MALFORMED:
		return "malformed";
	case DNS_FAILURE_CHAIN:
		return "chain";
	case DNS_FAILURE_LIMIT:
		return "limit";
	case DNS_FAILURE_MEMORY:
		return "memory";
	}
	return "unknown"; /* a number from stored bytes */
}

/* What may stand in a label, drawn over the four rows of ASCII. */
static const char label_bytes[256] = "                                "
				     "             #  ##########      "
				     " ##########################    #"
				     " ##########################     ";

static bool is_label_len(size_t len)
{
	return len > 0 && len <= LABEL_MAX;
}

const char *dns_outcome_text(const struct dns_answer *answer, char out[16])
{
	if (answer->failure == DNS_FAILURE_NONE || answer->failure == DNS_FAILURE_RCODE)
		return dns_rcode_text(answer->rcode, out);
	return dns_failure_text(answer->failure);
}

bool dns_is_name(struct text name)
{
	size_t start = 0;

	if (name.len > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (label_bytes[(unsigned char)name.ptr[i]] == '#')
			continue;
		if (name.ptr[i] != '.' || !is_label_len(i - start))
			return false;
		start = i + 1;
	}
	return is_label_len(name.len - start);
}

bool dns_name_below(struct text label, struct text domain, char *out, struct text *name)
{
	size_t len = label.len + 1 + domain.len;

	if (!dns_is_name(label) || !dns_is_name(domain) || len > DNS_NAME_MAX)
		return false;
	memcpy(out, label.ptr, label.len);
	out[label.len] = '.';
	memcpy(out + label.len + 1, domain.ptr, domain.len);
	out[len] = '\0';
	*name = (struct text){out, len};
	return true;
}

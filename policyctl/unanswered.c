/*
 * See unanswered.h. Must not know what was asked. Nothing here fails.
 */
#include "policyctl/unanswered.h"

const char *unanswered_sentence(enum dns_failure failure)
{
	switch (failure) {
	case DNS_FAILURE_RCODE:
		return "the server cannot answer";
	case DNS_FAILURE_TIMEOUT:
		return "no server answered in time";
	case DNS_FAILURE_NETWORK:
		return "no server could be reached";
	case DNS_FAILURE_MALFORMED:
		return "the answer cannot be read, or is larger than any record set needs to be";
	case DNS_FAILURE_CHAIN:
		return "its CNAME leads nowhere, in a circle, or over too many names";
	case DNS_FAILURE_LIMIT:
	case DNS_FAILURE_MEMORY:
	case DNS_FAILURE_NONE:
		break;
	}
	return "this machine is out of ports, files or memory";
}

const char *unanswered_sentence_of(const char *name)
{
	static const enum dns_failure failures[] = {DNS_FAILURE_TIMEOUT, DNS_FAILURE_NETWORK,
		DNS_FAILURE_MALFORMED, DNS_FAILURE_CHAIN, DNS_FAILURE_LIMIT, DNS_FAILURE_MEMORY};

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (strcmp(name, dns_failure_text(failures[i])) == 0)
			return unanswered_sentence(failures[i]);
	return NULL;
}

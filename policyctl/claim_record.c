/*
 * See claim_record.h. Must not know whose claim it is. The prefix is printable ASCII without quotes
 * (config), so the value stands in a zone file as it is.
 */
#include "policyctl/claim_record.h"

#include "policyctl/suffix.h"

void claim_record_make(const struct ctl *ctl, const struct claimable *domain, struct text token,
	struct claim_record *out)
{
	const struct challenge challenge = {.label = ctl->config->ownership.label,
		.prefix = ctl->config->ownership.prefix,
		.token = token};

	out->name = domain->name;
	out->zone = suffix_registered(domain->text);
	out->host = text_head(out->name, out->name.len - out->zone.len - 1);
	challenge_value(&challenge, out->value);
}

void claim_record_print(const struct claim_record *record)
{
	printf("  name     %.*s\n  type     TXT\n  value    %s\n", TEXT_ARG(record->name),
		record->value);
	printf("as a line of a zone file (BIND):\n  %.*s. IN TXT \"%s\"\n", TEXT_ARG(record->name),
		record->value);
	printf("in the form of a DNS host, which adds the zone %.*s itself:\n  name     %.*s\n",
		TEXT_ARG(record->zone), TEXT_ARG(record->host));
}

void claim_record_write(const struct claim_record *record, struct json *json)
{
	char line[DNS_NAME_MAX + CHALLENGE_VALUE_MAX + 16];

	snprintf(line, sizeof(line), "%.*s. IN TXT \"%s\"", TEXT_ARG(record->name), record->value);
	json_open(json, "record", '{');
	json_text(json, "name", record->name);
	json_string(json, "type", "TXT");
	json_string(json, "value", record->value);
	json_string(json, "line", line);
	json_text(json, "zone", record->zone);
	json_text(json, "host", record->host);
	json_close(json, '}', false);
}

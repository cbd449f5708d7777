/*
 * Every option of policyd.ini, one row each, and how a name finds its row.
 *
 * Defaults stand here as text and are read by the parser that reads the file, so that nothing is
 * default in two places; policyd.ini and policyd.ini(5) repeat them for people, and
 * tests/unit/test_config.c compares. Knows no file and no line. Nothing here fails.
 */
#include "policy/engine/config_private.h"

#include <stdio.h>

#define FIELD(member) offsetof(struct config, member)
#define REPLY(key_, reason_)                                                                       \
	{                                                                                          \
		.section = "replies", .key = (key_), .parse = value_reply,                         \
		.offset = FIELD(replies.of_reason) + sizeof(const char *) * (reason_)              \
	}

#define NO_DOMAINS "with 0 every domain that is not cached would be deferred"
#define A_WEEK     "a record that is a week old says little (RFC 8767)"
#define ROLE(key_, role_)                                                                          \
	{                                                                                          \
		.section = "roles", .key = (key_), .parse = value_groups, .fallback = "",          \
		.offset = FIELD(roles) + sizeof(struct role_groups) * (role_)                      \
	}

static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const modes[] = {"enforce", "monitor", NULL};
static const char *const monitor_actions[] = {"DUNNO", "WARN", NULL};
static const char *const log_targets[] = {"stderr", "syslog", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const decisions[] = {"all", "refused", "none", NULL};
static const char *const semantics[] = {"union", "first-hit", NULL};
static const char *const fold_keep[] = {"fold", "keep", NULL};
static const char *const both_literal[] = {"both", "literal", NULL};
static const char *const reject_permit[] = {"reject", "permit", NULL};
static const char *const permit_reject[] = {"permit", "reject", NULL};
static const char *const unauthenticated[] = {"permit", "reject_owned", NULL};
static const char *const on_failure[] = {"defer", "permit", "reject", NULL};
static const char *const grants[] = {"no", "senderid", NULL};
static const char *const required[] = {"claimed", "all", "no", NULL};

/* clang-format off */
const struct option config_schema[] = {
	{.section = "policyd", .key = "listen", .parse = value_listen, .may_repeat = true,
	 .fallback = "unix:/var/spool/postfix/policyd/policy.sock"},
	{.section = "policyd", .key = "socket_mode", .parse = value_mode, .fallback = "0660",
	 .offset = FIELD(socket_mode)},
	{.section = "policyd", .key = "socket_group", .parse = value_account, .fallback = "postfix",
	 .offset = FIELD(socket_group)},
	{.section = "policyd", .key = "user", .parse = value_account, .fallback = "",
	 .offset = FIELD(user)},
	{.section = "policyd", .key = "group", .parse = value_account, .fallback = "",
	 .offset = FIELD(group)},
	{.section = "policyd", .key = "state_dir", .parse = value_path,
	 .fallback = "/var/lib/policyd", .offset = FIELD(state_dir)},
	{.section = "policyd", .key = "table_max_mb", .parse = value_number, .fallback = "16384",
	 .offset = FIELD(table_max_mb), .min = 1, .max = 4194304},
	{.section = "policyd", .key = "register_max_mb", .parse = value_number, .fallback = "1024",
	 .offset = FIELD(register_max_mb), .min = 16, .max = 4194304},
	{.section = "policyd", .key = "workers", .parse = value_workers, .fallback = "1",
	 .offset = FIELD(workers), .min = 1, .max = 256},
	{.section = "policyd", .key = "max_connections", .parse = value_number, .fallback = "4096",
	 .offset = FIELD(max_connections), .min = 1, .max = 1000000},
	{.section = "policyd", .key = "idle_timeout_s", .parse = value_number, .fallback = "1000",
	 .offset = FIELD(idle_timeout_s), .min = 300, .max = 604800,
	 .hint = "Postfix keeps an idle connection for up to 300 s, and a mail that finds it closed "
		 "waits a second"},
	{.section = "policyd", .key = "mode", .parse = value_switch, .fallback = "enforce",
	 .offset = FIELD(settings.monitor), .choices = modes},
	{.section = "policyd", .key = "monitor_action", .parse = value_choice, .fallback = "DUNNO",
	 .offset = FIELD(settings.monitor_action), .choices = monitor_actions},
	{.section = "policyd", .key = "log", .parse = value_choice, .fallback = "stderr",
	 .offset = FIELD(log_target), .choices = log_targets},
	{.section = "policyd", .key = "log_format", .parse = value_choice, .fallback = "text",
	 .offset = FIELD(log_format), .choices = log_formats},
	{.section = "policyd", .key = "log_level", .parse = value_choice, .fallback = "info",
	 .offset = FIELD(log_level), .choices = log_levels},
	{.section = "policyd", .key = "log_decisions", .parse = value_choice, .fallback = "all",
	 .offset = FIELD(log_decisions), .choices = decisions},

	{.section = "match", .key = "semantics", .parse = value_choice, .fallback = "union",
	 .offset = FIELD(settings.semantics), .choices = semantics},
	{.section = "match", .key = "states", .parse = value_states, .fallback = "MAIL, RCPT",
	 .offset = FIELD(settings.states)},
	{.section = "match", .key = "recipient_delimiter", .parse = value_delimiter, .fallback = "+",
	 .offset = FIELD(settings.recipient_delimiter)},
	{.section = "match", .key = "local_part", .parse = value_switch, .fallback = "fold",
	 .offset = FIELD(settings.local_keep), .choices = fold_keep},
	{.section = "match", .key = "local_domains", .parse = value_domains, .fallback = "",
	 .may_repeat = true},
	{.section = "match", .key = "routing", .parse = value_switch, .fallback = "both",
	 .offset = FIELD(settings.routing_literal), .choices = both_literal},
	{.section = "match", .key = "allow_self", .parse = value_switch, .fallback = "yes",
	 .offset = FIELD(settings.allow_self), .choices = no_yes},
	{.section = "match", .key = "unlisted_sender", .parse = value_switch, .fallback = "reject",
	 .offset = FIELD(settings.unlisted_permit), .choices = reject_permit},
	{.section = "match", .key = "null_sender", .parse = value_switch, .fallback = "permit",
	 .offset = FIELD(settings.null_reject), .choices = permit_reject},
	{.section = "match", .key = "unauthenticated", .parse = value_switch, .fallback = "permit",
	 .offset = FIELD(settings.reject_owned), .choices = unauthenticated},
	{.section = "match", .key = "login_realm", .parse = value_domain, .fallback = "",
	 .offset = FIELD(settings.login_realm)},
	{.section = "match", .key = "append_domain", .parse = value_domain, .fallback = "",
	 .offset = FIELD(settings.append_domain)},

	{.section = "lockdown", .key = "enabled", .parse = value_switch, .fallback = "no",
	 .offset = FIELD(lockdown.is_enabled), .choices = no_yes},
	{.section = "lockdown", .key = "label", .parse = value_label, .fallback = "_mailchannels",
	 .offset = FIELD(lockdown.label)},
	{.section = "lockdown", .key = "version", .parse = value_version, .fallback = "mc1",
	 .offset = FIELD(lockdown.version)},
	{.section = "lockdown", .key = "account", .parse = value_lockdown_account, .fallback = "",
	 .may_repeat = true},
	{.section = "lockdown", .key = "sender_id_type", .parse = value_lockdown_type,
	 .fallback = "x-authuser", .may_repeat = true},
	{.section = "lockdown", .key = "on_failure", .parse = value_choice, .fallback = "defer",
	 .offset = FIELD(lockdown.on_failure), .choices = on_failure},
	{.section = "lockdown", .key = "grant", .parse = value_switch, .fallback = "no",
	 .offset = FIELD(lockdown.grant_senderid), .choices = grants},
	{.section = "lockdown", .key = "new_domains_per_min", .parse = value_number,
	 .fallback = "30", .offset = FIELD(new_domains.per_min), .min = 1, .max = 60000,
	 .hint = NO_DOMAINS},
	{.section = "lockdown", .key = "new_domains_burst", .parse = value_number,
	 .fallback = "20", .offset = FIELD(new_domains.burst), .min = 1, .max = 60000,
	 .hint = NO_DOMAINS},

	{.section = "dns", .key = "resolv_conf", .parse = value_path,
	 .fallback = "/etc/resolv.conf", .offset = FIELD(resolv_conf)},
	{.section = "dns", .key = "nameserver", .parse = value_nameserver, .fallback = "",
	 .may_repeat = true},
	{.section = "dns", .key = "timeout_ms", .parse = value_number, .fallback = "1000",
	 .offset = FIELD(dns_timeout_ms), .min = 10, .max = 10000,
	 .hint = "a server that has not answered after 10 s will not, and a mail waits for it"},
	{.section = "dns", .key = "attempts", .parse = value_number, .fallback = "3",
	 .offset = FIELD(dns_attempts), .min = 1, .max = 10},
	{.section = "dns", .key = "deadline_ms", .parse = value_number, .fallback = "4000",
	 .offset = FIELD(dns_deadline_ms), .min = 10, .max = 30000,
	 .hint = "Postfix gives a request up after 100 s by default, after 10 s as contrib/postfix "
		 "wires it"},
	{.section = "dns", .key = "max_in_flight", .parse = value_number, .fallback = "1024",
	 .offset = FIELD(dns_max_in_flight), .min = 1, .max = 16384,
	 .hint = "each query has a port of its own, and Linux has about 28000 to give"},
	{.section = "dns", .key = "cache_dir", .parse = value_path,
	 .fallback = "/run/policyd/cache", .offset = FIELD(cache_dir)},
	{.section = "dns", .key = "cache_max_ttl_s", .parse = value_number, .fallback = "3600",
	 .offset = FIELD(cache_rules.max_ttl_s), .min = 1, .max = 604800, .hint = A_WEEK},
	{.section = "dns", .key = "cache_negative_max_ttl_s", .parse = value_number,
	 .fallback = "300", .offset = FIELD(cache_rules.negative_max_ttl_s), .min = 1,
	 .max = 10800,
	 .hint = "so long a domain's first record is not seen; RFC 2308 advises up to 3 hours"},
	{.section = "dns", .key = "cache_stale_s", .parse = value_number, .fallback = "86400",
	 .offset = FIELD(cache_rules.stale_s), .min = 0, .max = 604800, .hint = A_WEEK},
	{.section = "dns", .key = "cache_max_mb", .parse = value_number, .fallback = "256",
	 .offset = FIELD(cache_max_mb), .min = 1, .max = 65536},

	{.section = "ownership", .key = "required", .parse = value_choice, .fallback = "claimed",
	 .offset = FIELD(settings.ownership), .choices = required},
	{.section = "ownership", .key = "label", .parse = value_label,
	 .fallback = "domauthvalidation", .offset = FIELD(ownership.label)},
	{.section = "ownership", .key = "prefix", .parse = value_prefix,
	 .fallback = "policyd-verification=", .offset = FIELD(ownership.prefix)},
	{.section = "ownership", .key = "hook", .parse = value_hook, .fallback = "",
	 .offset = FIELD(ownership.hook)},
	{.section = "ownership", .key = "pending_expires_s", .parse = value_number,
	 .fallback = "259200", .offset = FIELD(ownership.rules.pending_expires_s), .min = 60,
	 .max = 31536000,
	 .hint = "so long the owner of a domain has time to publish the record; a minute to a "
		 "year"},
	{.section = "ownership", .key = "recheck_s", .parse = value_number, .fallback = "86400",
	 .offset = FIELD(ownership.rules.recheck_s), .min = 60, .max = 2592000,
	 .hint = "so long a proof that is gone may go unseen; a minute to 30 days"},
	{.section = "ownership", .key = "grace_s", .parse = value_number, .fallback = "259200",
	 .offset = FIELD(ownership.rules.grace_s), .min = 60, .max = 31536000,
	 .hint = "so long a domain whose proof is gone may still be used; a minute to a year"},

	{.section = "control", .key = "socket", .parse = value_control,
	 .fallback = "unix:/run/policyd/control.sock", .offset = FIELD(control_path)},

	ROLE("add", ROLE_ADD),
	ROLE("mode", ROLE_MODE),
	ROLE("verify", ROLE_VERIFY),
	ROLE("load", ROLE_LOAD),
	ROLE("read", ROLE_READ),

	REPLY("null_refused", REASON_NULL_REFUSED),
	REPLY("not_logged_in", REASON_NOT_LOGGED_IN),
	REPLY("bad_sender", REASON_BAD_SENDER),
	REPLY("bad_login", REASON_BAD_LOGIN),
	REPLY("routing_operator", REASON_ROUTING_OPERATOR),
	REPLY("not_owned", REASON_NOT_OWNED),
	REPLY("denied_by_row", REASON_DENIED_BY_ROW),
	REPLY("expired", REASON_EXPIRED),
	REPLY("sender_unapproved", REASON_SENDER_UNAPPROVED),
	REPLY("domain_unverified", REASON_DOMAIN_UNVERIFIED),
	REPLY("domain_revoked", REASON_DOMAIN_REVOKED),
	REPLY("domain_removed", REASON_DOMAIN_REMOVED),
	REPLY("other_tenant", REASON_OTHER_TENANT),
	REPLY("locked_down", REASON_LOCKED_DOWN),
	REPLY("lockdown_unknown", REASON_LOCKDOWN_UNKNOWN),
	REPLY("lockdown_unknown_reject", REASON_LOCKDOWN_UNKNOWN_REJECT),
	REPLY("dns_limited", REASON_DNS_LIMITED),
	REPLY("no_table", REASON_NO_TABLE),
	REPLY("table_damaged", REASON_TABLE_DAMAGED),
	REPLY("register_damaged", REASON_REGISTER_DAMAGED),
};
/* clang-format on */

const size_t config_schema_count = sizeof(config_schema) / sizeof(config_schema[0]);

_Static_assert(sizeof(config_schema) / sizeof(config_schema[0]) <= CONFIG_OPTIONS_MAX,
	"config.c keeps one origin for each option");

static bool text_is(struct text t, const char *string)
{
	return text_equal(t, text_of(string));
}

const struct option *option_find(const char *section, struct text key)
{
	for (size_t i = 0; i < config_schema_count; i++)
		if (strcmp(section, config_schema[i].section) == 0 &&
			text_is(key, config_schema[i].key))
			return &config_schema[i];
	return NULL;
}

const char *section_find(struct text name)
{
	for (size_t i = 0; i < config_schema_count; i++)
		if (text_is(name, config_schema[i].section))
			return config_schema[i].section;
	return NULL;
}

/* Appends to a NUL-terminated list in out[cap]; what does not fit is cut. */
static void list_add(char *out, size_t cap, const char *open, const char *name, const char *close)
{
	size_t len = strlen(out);
	snprintf(out + len, cap - len, "%s%s%s%s", len ? ", " : "", open, name, close);
}

void option_list_keys(const char *section, char *out, size_t cap)
{
	out[0] = '\0';
	for (size_t i = 0; i < config_schema_count; i++)
		if (strcmp(config_schema[i].section, section) == 0)
			list_add(out, cap, "", config_schema[i].key, "");
}

void option_list_sections(char *out, size_t cap)
{
	const char *last = "";
	out[0] = '\0';
	for (size_t i = 0; i < config_schema_count; i++) {
		if (strcmp(config_schema[i].section, last) != 0)
			list_add(out, cap, "[", config_schema[i].section, "]");
		last = config_schema[i].section;
	}
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* Edit distance in which two neighbours that changed places count as one mistake; case, `-` and `_`
 * do not count. */
static size_t edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t rows[3][CONFIG_NEAREST_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	for (size_t j = 0; j <= blen; j++)
		above[j] = j;
	for (size_t i = 1; i <= alen; i++) {
		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			size_t differs = a[i - 1] != b[j - 1];
			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		size_t *spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[blen];
}

static void name_fold(struct text name, char *out)
{
	for (size_t i = 0; i < name.len; i++)
		out[i] = name.ptr[i] == '-' ? '_' : ascii_lower(name.ptr[i]);
}

void nearest_try(struct nearest *nearest, const char *known)
{
	char typed[CONFIG_NEAREST_MAX] = "", name[CONFIG_NEAREST_MAX] = "";
	struct text other = text_of(known);
	if (nearest->typed.len > sizeof(typed) || other.len > sizeof(name))
		return;
	name_fold(nearest->typed, typed);
	name_fold(other, name);
	size_t distance = edit_distance(typed, nearest->typed.len, name, other.len);
	size_t tolerated = other.len < 6 ? 1 : other.len / 3;
	if (distance > tolerated || (nearest->best && distance >= nearest->distance))
		return;
	nearest->best = known;
	nearest->distance = distance;
}

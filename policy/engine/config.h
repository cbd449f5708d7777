/*
 * policyd.ini: read, checked, defaulted. The only file with inih.
 *
 * Every option is one row of the table in config_schema.c. A wrong file is never half read:
 * config_read gives a whole configuration or a list of sentences `file:line: what, why, what is
 * allowed`.
 */
#ifndef POLICY_ENGINE_CONFIG_H
#define POLICY_ENGINE_CONFIG_H

#include "policy/core/bucket.h"
#include "policy/core/cache_codec.h"
#include "policy/core/lockdown.h"
#include "policy/core/reply.h"
#include "policy/core/settings.h"
#include "policy/engine/log.h"
#include "policy/engine/resolv_conf.h"

#define CONFIG_LISTEN_MAX        16
#define CONFIG_LOCAL_DOMAINS_MAX 1024
#define CONFIG_ACCOUNTS_MAX      256
#define CONFIG_TYPES_MAX         16
#define CONFIG_ROLE_GROUPS_MAX   32
#define CONFIG_DEFAULT_FILE      "/etc/policyd/policyd.ini"

enum listen_kind { LISTEN_UNIX, LISTEN_INET };

struct listen_address {
	enum listen_kind kind;
	char *text; /* as typed, for messages and for matching over a reload */
	char *path; /* unix */
	char *host; /* inet; brackets of an IPv6 address taken off */
	uint16_t port;
};

/* [roles]: what the groups named there may do through the control socket. */
enum role { ROLE_ADD, ROLE_MODE, ROLE_VERIFY, ROLE_LOAD, ROLE_READ, ROLES_ };

/* Names of Unix groups, as typed. */
struct role_groups {
	size_t count;
	struct text names[CONFIG_ROLE_GROUPS_MAX];
};

/* [ownership], but for `required`, which is one of the settings. */
struct ownership_config {
	struct text label;  /* canonical */
	struct text prefix; /* printable ASCII without blanks and quotes, at most 100 bytes */
	char *hook;         /* "": none */
	struct claim_rules rules;
};

enum log_decisions { LOG_DECISIONS_ALL, LOG_DECISIONS_REFUSED, LOG_DECISIONS_NONE };

struct config {
	struct listen_address listen[CONFIG_LISTEN_MAX];
	size_t listen_count;
	unsigned socket_mode;
	char *socket_group, *user, *group; /* "" : none named */
	char *state_dir;
	unsigned table_max_mb;
	unsigned register_max_mb;
	unsigned workers;         /* `auto` is resolved: number of online processors */
	unsigned max_connections; /* of each worker */
	unsigned idle_timeout_s;
	enum log_target log_target;
	enum log_format log_format;
	enum log_level log_level;
	enum log_decisions log_decisions;
	struct settings settings; /* its `lockdown` points to the one below when that is enabled */
	struct lockdown_settings lockdown;
	struct bucket_rule new_domains; /* of each login */
	char *resolv_conf;
	struct nameservers nameservers; /* count 0: those of resolv_conf */
	uint32_t dns_timeout_ms;        /* of one try */
	unsigned dns_attempts;
	uint32_t dns_deadline_ms; /* of a request, never less than dns_timeout_ms */
	unsigned dns_max_in_flight;
	char *cache_dir; /* none of the folders of durable data */
	struct cache_rules cache_rules;
	unsigned cache_max_mb;
	struct ownership_config ownership;
	char *control_path; /* of the control socket */
	struct role_groups roles[ROLES_];
	struct replies replies;
	struct config_private *own; /* storage behind the pointers above */
};

/* Reads `path` (NULL: CONFIG_DEFAULT_FILE when it exists, else built-in defaults), then applies
 * `overrides` ("section.key=value" of the -o options; the last of one key counts; a key that may
 * repeat: the first override replaces all of the file's values, later ones add). Each error is
 * passed to on_error (may be NULL) as a whole sentence (`policyd.ini:12: [match] semantics: "unoin"
 * is not one of union, first-hit`; of an override `-o match.semantics=unoin: [match] ...`), at most
 * 20 of them and then their number. ERR_INVALID when there was any, ERR_IO when the file cannot be
 * read, ERR_NOMEM; said through on_error too. *out is NULL then, else the caller's: config_free. */
struct config_source {
	const char *path;
	const char *const *overrides;
	size_t override_count;
	void (*on_error)(void *ctx, const char *sentence);
	void *ctx;
};
POLICY_CHECKED enum err config_read(struct config **out, const struct config_source *source);
/* The same from memory (fuzzing, tests); source->path is only what sentences call it. */
POLICY_CHECKED enum err config_read_text(
	struct config **out, struct text ini, const struct config_source *source);
void config_free(struct config *config);

#endif

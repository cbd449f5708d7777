/*
 * Who may do what. See roles.h.
 *
 * Reads a command line as policyctl does, or says that it is nobody's: an option that policyctl
 * knows and this table does not, or a value that looks like an option, must never lower the role
 * that is asked for. Group names are looked up each time, so that a new group counts at once; one
 * that cannot be looked up has no members.
 */
#include "policyd/roles.h"

#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUP_NAME_MAX 256

struct rule {
	const char *command;
	const char *word;   /* the second one of the command's name; NULL: it has one */
	const char *option; /* that the command line has; NULL: any command line */
	enum role role;
	const char *name;
	bool reads_file; /* all its operands are FILE */
};

/* The first that fits counts. */
static const struct rule rules[] = {
	{.command = "load", .role = ROLE_LOAD, .name = "load", .reads_file = true},
	{.command = "rollback", .role = ROLE_LOAD, .name = "rollback"},
	{.command = "cache", .word = "flush", .role = ROLE_LOAD, .name = "cache flush"},
	{.command = "cache", .word = "stats", .role = ROLE_READ, .name = "cache stats"},
	{.command = "check", .role = ROLE_READ, .name = "check"},
	{.command = "explain", .role = ROLE_READ, .name = "explain"},
	{.command = "who", .role = ROLE_READ, .name = "who"},
	{.command = "senders", .role = ROLE_READ, .name = "senders"},
	{.command = "status", .role = ROLE_READ, .name = "status"},
	{.command = "replay", .role = ROLE_READ, .name = "replay", .reads_file = true},
	{.command = "dump", .role = ROLE_READ, .name = "dump"},
	{.command = "diff", .role = ROLE_READ, .name = "diff", .reads_file = true},
	{.command = "lockdown", .role = ROLE_READ, .name = "lockdown"},
	{.command = "audit", .role = ROLE_READ, .name = "audit"},
	{.command = "domain", .word = "list", .role = ROLE_READ, .name = "domain list"},
	{.command = "domain", .word = "show", .role = ROLE_READ, .name = "domain show"},
	{.command = "domain",
		.word = "add",
		.option = "--hosted",
		.role = ROLE_VERIFY,
		.name = "domain add --hosted"},
	{.command = "domain", .word = "add", .role = ROLE_ADD, .name = "domain add"},
	{.command = "domain", .word = "check", .role = ROLE_ADD, .name = "domain check"},
	{.command = "domain",
		.word = "instructions",
		.role = ROLE_ADD,
		.name = "domain instructions"},
	{.command = "domain", .word = "disallow", .role = ROLE_ADD, .name = "domain disallow"},
	{.command = "domain",
		.word = "allow",
		.option = "--pending",
		.role = ROLE_ADD,
		.name = "domain allow --pending"},
	{.command = "domain",
		.word = "allow",
		.role = ROLE_VERIFY,
		.name = "domain allow without --pending"},
	{.command = "domain", .word = "approve", .role = ROLE_VERIFY, .name = "domain approve"},
	{.command = "domain", .word = "pin", .role = ROLE_VERIFY, .name = "domain pin"},
	{.command = "domain", .word = "unpin", .role = ROLE_VERIFY, .name = "domain unpin"},
	{.command = "domain", .word = "transfer", .role = ROLE_VERIFY, .name = "domain transfer"},
	{.command = "domain", .word = "remove", .role = ROLE_VERIFY, .name = "domain remove"},
	{.command = "domain", .word = "forget", .role = ROLE_VERIFY, .name = "domain forget"},
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

/* Every option of policyctl's commands. */
static const struct {
	const char *name;
	bool has_value;
} options[] = {
	{"--json", false},
	{"--merge", false},
	{"--delete", false},
	{"--dry-run", false},
	{"--force", false},
	{"--yes", false},
	{"--hosted", false},
	{"--pending", false},
	{"--all", false},
	{"--tenants", false},
	{"--accounts", false},
	{"--format", true},
	{"--tenant", true},
	{"--sender", true},
	{"--state", true},
	{"--limit", true},
	{"--reason", true},
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

/* What the words behind the command's name are. */
struct reading {
	bool is_understood;
	bool has_hosted, has_pending;
	bool has_file; /* an operand other than `-` */
};

static bool is_word(struct text word, const char *wanted)
{
	return text_equal(word, text_of(wanted));
}

static bool looks_like_option(struct text word)
{
	return word.len > 0 && word.ptr[0] == '-';
}

/* One option, and its value where that is the next word. False: not understood. */
static bool reading_take_option(
	struct reading *reading, const struct text *words, size_t count, size_t *at)
{
	struct text word = words[*at];
	size_t equals = text_find(word, '=');

	for (size_t i = 0; i < OPTIONS; i++) {
		if (!is_word(text_head(word, equals), options[i].name))
			continue;
		reading->has_hosted = reading->has_hosted || is_word(word, "--hosted");
		reading->has_pending = reading->has_pending || is_word(word, "--pending");
		if (!options[i].has_value)
			return equals == word.len;
		if (equals < word.len)
			return true;
		return ++*at < count && !looks_like_option(words[*at]);
	}
	return false;
}

static struct reading read_words(const struct text *words, size_t count)
{
	struct reading reading = {.is_understood = true};
	bool may_be_option = true;

	for (size_t i = 0; i < count; i++) {
		bool is_option = may_be_option && looks_like_option(words[i]) && words[i].len > 1;

		/* A NUL ends a word on its way to policyctl. */
		if (words[i].len > 0 && memchr(words[i].ptr, '\0', words[i].len))
			return (struct reading){0};
		if (is_option && is_word(words[i], "--"))
			may_be_option = false;
		else if (is_option && !reading_take_option(&reading, words, count, &i))
			return (struct reading){0};
		else if (!is_option && !is_word(words[i], "-"))
			reading.has_file = true;
	}
	return reading;
}

static bool rule_fits(const struct rule *rule, const struct reading *reading)
{
	if (rule->reads_file && reading->has_file)
		return false;
	if (!rule->option)
		return true;
	return strcmp(rule->option, "--hosted") == 0 ? reading->has_hosted : reading->has_pending;
}

static const struct rule *rule_of(const struct text *words, size_t count)
{
	for (size_t i = 0; i < RULES; i++) {
		const struct rule *rule = &rules[i];
		size_t name = rule->word ? 2 : 1;

		if (count < name || !is_word(words[0], rule->command) ||
			(rule->word && !is_word(words[1], rule->word)))
			continue;
		struct reading reading = read_words(words + name, count - name);
		if (!reading.is_understood)
			return NULL;
		if (rule_fits(rule, &reading))
			return rule;
	}
	return NULL;
}

enum role role_of_command(const struct text *words, size_t count)
{
	const struct rule *rule = rule_of(words, count);

	return rule ? rule->role : ROLES_;
}

const char *role_command_name(const struct text *words, size_t count)
{
	const struct rule *rule = rule_of(words, count);

	return rule ? rule->name : NULL;
}

const char *role_name(enum role role)
{
	static const char *const names[ROLES_] = {
		[ROLE_ADD] = "add",
		[ROLE_MODE] = "mode",
		[ROLE_VERIFY] = "verify",
		[ROLE_LOAD] = "load",
		[ROLE_READ] = "read",
	};

	return role < ROLES_ ? names[role] : "";
}

bool peer_identity_of(int fd, struct peer_identity *out)
{
	struct ucred peer;
	socklen_t size = sizeof(peer), groups = sizeof(out->groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof(peer) ||
		peer.uid == (uid_t)-1)
		return false;
	/* ERANGE where it is in more groups: a group that is not seen could not say yes, but then
	 * nothing else here can be believed either. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &groups) != 0)
		return false;
	out->uid = peer.uid;
	out->gid = peer.gid;
	out->group_count = groups / sizeof(out->groups[0]);
	return true;
}

/* False: there is no such group. */
static bool group_of(struct text name, gid_t *gid)
{
	char copy[GROUP_NAME_MAX];
	const struct group *group;

	if (name.len == 0 || name.len >= sizeof(copy))
		return false;
	memcpy(copy, name.ptr, name.len);
	copy[name.len] = '\0';
	group = getgrnam(copy);
	if (group)
		*gid = group->gr_gid;
	return group != NULL;
}

static bool peer_is_in(const struct peer_identity *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->group_count && i < PEER_GROUPS_MAX; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

bool peer_is_master(const struct peer_identity *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

bool role_is_held(const struct config *config, const struct peer_identity *peer, enum role role)
{
	gid_t gid;

	if (peer_is_master(peer))
		return true;
	if (role >= ROLES_)
		return false;
	for (size_t i = 0; i < config->roles[role].count; i++)
		if (group_of(config->roles[role].names[i], &gid) && peer_is_in(peer, gid))
			return true;
	return false;
}

void roles_check(const struct config *config, struct log *log)
{
	char escaped[GROUP_NAME_MAX];
	gid_t gid;

	for (enum role role = 0; role < ROLES_; role++) {
		const struct role_groups *groups = &config->roles[role];

		for (size_t i = 0; i < groups->count; i++) {
			if (group_of(groups->names[i], &gid))
				continue;
			log_escape(groups->names[i], escaped, sizeof(escaped));
			log_event(log, LOG_LEVEL_WARNING,
				"[roles] %s: there is no group \"%s\", so nobody has that role "
				"through it; make it with groupadd",
				role_name(role), escaped);
		}
	}
}

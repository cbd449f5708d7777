/*
 * See fake_registry.h. Slow and plain on purpose: everything is looked at for every question, so
 * that it shares no shortcut with the real register.
 */
#include "tests/fake/fake_registry.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_S        INT64_C(86400)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct claim_rules rules = {
	.pending_expires_s = 3600, .recheck_s = 600, .grace_s = 600};

static const char *read_claim(struct fake_registry *registry, const char *text)
{
	struct fake_claim *claim = &registry->claims[registry->claim_count];
	char state[16], again[16] = "";

	if (registry->claim_count == FAKE_CLAIMS_MAX)
		return "too many claims";
	if (sscanf(text, "%253s %64s %15s %15s", claim->domain, claim->tenant, state, again) < 3)
		return "claim DOMAIN TENANT STATE[ again] is allowed";
	claim->state = claim_state_of(text_of(state));
	if (claim->state == CLAIM_STATES_ || claim->state == CLAIM_NONE)
		return "no such state";
	claim->is_tombstone = strcmp(again, "again") == 0;
	if (again[0] && (!claim->is_tombstone || !claim_may_be_tombstone(claim->state)))
		return "pending again and expired again are allowed";
	registry->claim_count++;
	return NULL;
}

static const char *read_sender(struct fake_registry *registry, const char *text)
{
	struct fake_sender *sender = &registry->senders[registry->sender_count];
	char words[2][256] = {"", ""};
	int count;

	if (registry->sender_count == FAKE_SENDERS_MAX)
		return "too many entries";
	*sender = (struct fake_sender){0};
	count = sscanf(text, "%253s %64s %255s %255s %255s", sender->domain, sender->tenant,
		sender->login, words[0], words[1]);
	if (count < 3)
		return "allow DOMAIN TENANT LOGIN[ LOCAL] [pending] is allowed";
	sender->is_pending = count > 3 && strcmp(words[count - 4], "pending") == 0;
	if (count - sender->is_pending > 3)
		memcpy(sender->local, words[0], sizeof(sender->local));
	registry->sender_count++;
	return NULL;
}

static const char *read_tenant(struct fake_registry *registry, const char *text)
{
	struct fake_tenant *tenant = &registry->tenants[registry->tenant_count];

	if (registry->tenant_count == FAKE_TENANTS_MAX)
		return "too many tenants";
	if (sscanf(text, "%255s %64s", tenant->key, tenant->tenant) != 2)
		return "tenant LOGIN TENANT is allowed";
	registry->tenant_count++;
	return NULL;
}

bool fake_registry_read(struct fake_registry *registry, const char *line, const char **wrong)
{
	*wrong = NULL;
	if (strncmp(line, "claim ", 6) == 0)
		*wrong = read_claim(registry, line + 6);
	else if (strncmp(line, "allow ", 6) == 0)
		*wrong = read_sender(registry, line + 6);
	else if (strncmp(line, "tenant ", 7) == 0)
		*wrong = read_tenant(registry, line + 7);
	else if (strcmp(line, "register damaged") == 0)
		registry->is_damaged = true;
	else if (strcmp(line, "register empty") == 0)
		memset(registry, 0, sizeof(*registry));
	else
		return false;
	return true;
}

static bool is(struct text text, const char *string)
{
	return text_equal(text, text_of(string));
}

/* `@` and the login's domain. */
static bool is_domain_of(const char *key, const struct login *login)
{
	return key[0] == '@' && login->domain.len > 0 && is(login->domain, key + 1);
}

static const char *tenant_of(const struct fake_registry *registry, const struct login *login)
{
	for (size_t i = 0; i < registry->tenant_count; i++)
		if (is(login->full, registry->tenants[i].key))
			return registry->tenants[i].tenant;
	for (size_t i = 0; i < registry->tenant_count; i++)
		if (is_domain_of(registry->tenants[i].key, login))
			return registry->tenants[i].tenant;
	for (size_t i = 0; i < registry->claim_count; i++)
		if (registry->claims[i].state == CLAIM_HOSTED && login->domain.len > 0 &&
			is(login->domain, registry->claims[i].domain))
			return registry->claims[i].tenant;
	return "";
}

static bool names(const struct fake_sender *sender, const struct ownership_question *question)
{
	size_t base = address_without_extension(question->local, question->recipient_delimiter);

	if (!is(question->login->full, sender->login) &&
		!is_domain_of(sender->login, question->login))
		return false;
	return sender->local[0] == '\0' || is(question->local, sender->local) ||
	       is(text_head(question->local, base), sender->local);
}

static void find_senders(const struct fake_registry *registry,
	const struct ownership_question *question, struct ownership_fact *fact)
{
	for (size_t i = 0; i < registry->sender_count; i++) {
		const struct fake_sender *sender = &registry->senders[i];

		if (!is(question->domain, sender->domain) ||
			strcmp(sender->tenant, fact->holder) != 0)
			continue;
		fact->names_senders |= !sender->is_pending;
		if (!question->wants_sender || !names(sender, question))
			continue;
		if (!sender->is_pending)
			fact->sender = SENDER_ALLOWED;
		else if (fact->sender == SENDER_NOT_NAMED)
			fact->sender = SENDER_UNAPPROVED;
	}
}

static void add_claim(const struct fake_claim *claim, struct ownership_fact *fact)
{
	bool is_own = fact->tenant[0] && strcmp(claim->tenant, fact->tenant) == 0;

	fact->status = LOOKUP_FOUND;
	fact->is_revoked |= claim->state == CLAIM_REVOKED;
	fact->is_removed |= claim->state == CLAIM_REMOVED || (claim->is_tombstone && !is_own);
	if (is_own)
		fact->own = claim->state;
	if (!claim_is_in_force(claim->state))
		return;
	fact->force = claim->state;
	snprintf(fact->holder, sizeof(fact->holder), "%s", claim->tenant);
}

void fake_registry_find(const struct fake_registry *registry,
	const struct ownership_question *question, struct ownership_fact *fact)
{
	*fact = (struct ownership_fact){.status = LOOKUP_ABSENT};
	if (registry->is_damaged) {
		fact->status = LOOKUP_FAILED;
		return;
	}
	snprintf(fact->tenant, sizeof(fact->tenant), "%s", tenant_of(registry, question->login));
	for (size_t i = 0; i < registry->claim_count; i++)
		if (is(question->domain, registry->claims[i].domain))
			add_claim(&registry->claims[i], fact);
	if (fact->force != CLAIM_NONE)
		find_senders(registry, question, fact);
}

/* ---- into a real one ---- */

/* How a claim comes into a state; days ago. */
struct past {
	enum claim_event event;
	unsigned days;
};

#define PAST_MAX 4

static const struct {
	size_t count;
	struct past events[PAST_MAX];
} pasts[CLAIM_STATES_] = {
	[CLAIM_PENDING] = {1, {{CLAIM_ADD, 9}}},
	[CLAIM_VERIFIED] = {2, {{CLAIM_ADD, 9}, {CLAIM_PROVED, 8}}},
	[CLAIM_GRACE] = {3, {{CLAIM_ADD, 9}, {CLAIM_PROVED, 8}, {CLAIM_UNPROVED, 7}}},
	[CLAIM_REVOKED] = {4,
		{{CLAIM_ADD, 9}, {CLAIM_PROVED, 8}, {CLAIM_UNPROVED, 7}, {CLAIM_UNPROVED, 6}}},
	[CLAIM_EXPIRED] = {2, {{CLAIM_ADD, 9}, {CLAIM_UNPROVED, 8}}},
	[CLAIM_HOSTED] = {1, {{CLAIM_HOST, 9}}},
	[CLAIM_PINNED] = {1, {{CLAIM_PIN, 9}}},
	[CLAIM_REMOVED] = {2, {{CLAIM_ADD, 9}, {CLAIM_REMOVE, 8}}},
};

static const char *store_senders(const struct fake_registry *registry,
	const struct fake_claim *claim, struct registry *real, int64_t now)
{
	struct registry_sender_outcome outcome;

	for (size_t i = 0; i < registry->sender_count; i++) {
		const struct fake_sender *sender = &registry->senders[i];
		const struct sender_entry entry = {.login = text_of(sender->login),
			.local = text_of(sender->local),
			.is_pending = sender->is_pending,
			.added_at = now,
			.added_by = TEXT("test")};
		const struct registry_sender_change change = {.edit = SENDER_ADD,
			.domain = text_of(claim->domain),
			.tenant = text_of(claim->tenant),
			.entries = &entry,
			.count = 1,
			.actor = {.name = TEXT("test")},
			.now = now};

		if (strcmp(sender->domain, claim->domain) != 0 ||
			strcmp(sender->tenant, claim->tenant) != 0)
			continue;
		if (registry_change_senders(real, &change, &outcome) != ERR_OK)
			return registry_error(real);
	}
	return NULL;
}

/* Removed long before the events that lead to its state. */
static const struct past again[] = {{CLAIM_ADD, 20}, {CLAIM_REMOVE, 19}};

/* Entries are added with the claim, so those of a removed one have gone with it. */
static const char *store_claim(const struct fake_registry *registry, const struct fake_claim *claim,
	struct registry *real, int64_t now)
{
	struct registry_outcome outcome = {.after = CLAIM_NONE};
	size_t before = claim->is_tombstone ? COUNT(again) : 0;

	for (size_t i = 0; i < before + pasts[claim->state].count; i++) {
		const struct past *past =
			i < before ? &again[i] : &pasts[claim->state].events[i - before];
		const struct registry_change change = {.event = past->event,
			.domain = text_of(claim->domain),
			.tenant = text_of(claim->tenant),
			.actor = {.name = TEXT("test")},
			.action = "test",
			.now = now - past->days * DAY_S,
			.rules = &rules};
		const char *wrong;

		if (registry_change(real, &change, &outcome) != ERR_OK)
			return registry_error(real);
		wrong = i == before ? store_senders(registry, claim, real, change.now) : NULL;
		if (wrong)
			return wrong;
	}
	return outcome.after == claim->state ? NULL : "the events lead to another state";
}

static int order_of_lines(const void *a, const void *b)
{
	return strcmp(((const struct registry_line *)a)->key.ptr,
		((const struct registry_line *)b)->key.ptr);
}

static const char *store_tenants(
	const struct fake_registry *registry, struct registry *real, int64_t now)
{
	struct registry_line lines[FAKE_TENANTS_MAX];
	struct registry_lines load = {.list = REGISTRY_TENANTS,
		.lines = lines,
		.count = registry->tenant_count,
		.actor = {.name = TEXT("test")},
		.now = now};
	struct registry_delta delta;

	for (size_t i = 0; i < registry->tenant_count; i++)
		lines[i] = (struct registry_line){text_of(registry->tenants[i].key),
			text_of(registry->tenants[i].tenant), i + 1};
	qsort(lines, registry->tenant_count, sizeof(lines[0]), order_of_lines);
	return registry_load_lines(real, &load, &delta) == ERR_OK ? NULL : registry_error(real);
}

/* Claims in force come last: while one is, no other claim on the domain can be proved. */
const char *fake_registry_store(
	const struct fake_registry *registry, struct registry *real, int64_t now)
{
	const char *wrong = store_tenants(registry, real, now);

	for (int in_force = 0; in_force <= 1; in_force++)
		for (size_t i = 0; !wrong && i < registry->claim_count; i++)
			if (claim_is_in_force(registry->claims[i].state) == (in_force != 0))
				wrong = store_claim(registry, &registry->claims[i], real, now);
	return wrong;
}

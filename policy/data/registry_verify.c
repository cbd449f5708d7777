/*
 * Walks the whole register and says whether it is what was written: every checksum, the order of
 * keys, each key found from the root of the tree and equal to what stands below it; claims, those
 * due and the counts of senders against each other; no audit line missing.
 *
 * Knows no rules but one: of a domain's claims at most one is in force. A truncated file is SIGBUS
 * here, so the walk belongs into a child.
 */
#include <stdio.h>

#include "policy/data/in_child.h"
#include "policy/data/registry_private.h"

_Static_assert(IN_CHILD_ERROR_MAX == REGISTRY_ERROR_MAX, "a child's sentence is ours");

struct check {
	struct registry *registry;
	enum registry_db db;
	struct registry_key key; /* of the value at hand */
	uint64_t watched;        /* claims with a next check */
	uint64_t senders;        /* of all claims */
	uint64_t lines;
};

static enum lookup fail(struct check *check, const char *what)
{
	return registry_fail_value(check->registry, registry_key_text(&check->key), what);
}

static bool is_key(const struct check *check, const struct registry_key *key)
{
	return text_equal(registry_key_text(&check->key), registry_key_text(key));
}

/* ---- one value of each database ---- */

static enum lookup check_due_of(struct check *check, struct text domain, const struct claim *claim)
{
	struct registry_key key;
	struct text payload;
	enum lookup status;

	if (claim->life.next_check == 0)
		return LOOKUP_FOUND;
	check->watched++;
	registry_key_of_due(claim->life.next_check, domain, claim->tenant, &key);
	status = registry_get(check->registry, DB_DUE, registry_key_text(&key), &payload);
	return status == LOOKUP_ABSENT ? fail(check, "claim (not among those due)") : status;
}

static enum lookup check_senders_of(
	struct check *check, struct text domain, const struct claim *claim)
{
	struct registry_walk walk = {.registry = check->registry, .db = DB_SENDERS};
	uint64_t counts[2] = {0};
	struct registry_key prefix;
	struct sender_entry entry;
	enum lookup status;

	registry_key_of_senders(domain, claim->tenant, &prefix);
	while ((status = registry_walk_under(&walk, &prefix)) == LOOKUP_FOUND) {
		if (!sender_entry_decode(walk.payload, &entry))
			return registry_fail_value(
				check->registry, registry_key_text(&walk.key), "sender");
		counts[entry.is_pending]++;
	}
	if (status == LOOKUP_FAILED)
		return status;
	check->senders += counts[0] + counts[1];
	if (counts[0] != claim->senders || counts[1] != claim->senders_pending)
		return fail(check, "claim (its senders are not those it counts)");
	return LOOKUP_FOUND;
}

static enum lookup check_claims(struct check *check, struct text payload)
{
	struct text domain = registry_key_text(&check->key);
	struct claims claims = {.domain = domain};
	size_t in_force = 0;
	struct claim claim;
	enum lookup status;

	(void)payload;
	status = registry_claims(check->registry, domain, claims.items, &claims.count);
	if (status != LOOKUP_FOUND)
		return LOOKUP_FAILED;
	for (size_t i = 0; i < claims.count; i++) {
		claim = claims.items[i];
		in_force += claim_is_in_force(claim.life.state);
		if (registry_claims_find(&claims, claim.tenant) != &claims.items[i])
			return fail(check, "claims (a tenant twice)");
		if (check_due_of(check, domain, &claim) == LOOKUP_FAILED ||
			check_senders_of(check, domain, &claim) == LOOKUP_FAILED)
			return LOOKUP_FAILED;
	}
	return in_force > 1 ? fail(check, "claims (two in force)") : LOOKUP_FOUND;
}

static enum lookup check_sender(struct check *check, struct text payload)
{
	struct text domain, tenant;
	struct sender_entry entry;
	struct registry_key key;

	if (!registry_key_read_sender(registry_key_text(&check->key), &domain, &tenant) ||
		!sender_entry_decode(payload, &entry))
		return fail(check, "sender");
	registry_key_of_sender(domain, tenant, entry.login, entry.local, &key);
	return is_key(check, &key) ? LOOKUP_FOUND : fail(check, "sender (another one's)");
}

static enum lookup check_due(struct check *check, struct text payload)
{
	struct text domain, tenant;
	int64_t at;

	if (payload.len != 0 ||
		!registry_key_read_due(registry_key_text(&check->key), &at, &domain, &tenant))
		return fail(check, "due entry");
	return LOOKUP_FOUND;
}

static enum lookup check_line(struct check *check, struct text payload)
{
	struct text login, value;
	struct registry_key key;

	if (!list_entry_decode(payload, &login, &value) ||
		(check->db == DB_TENANTS ? !tenant_is_valid(value) : value.len > 0))
		return fail(check, "line");
	registry_key_of_login(login, &key);
	return is_key(check, &key) ? LOOKUP_FOUND : fail(check, "line (another login's)");
}

static enum lookup check_audit(struct check *check, struct text payload)
{
	struct audit_entry entry;

	check->lines++;
	return audit_entry_decode(payload, &entry) ? LOOKUP_FOUND : fail(check, "audit line");
}

static enum lookup check_meta(struct check *check, struct text payload)
{
	(void)check;
	(void)payload;
	return LOOKUP_FOUND; /* read by name before and after */
}

/* ---- whole databases ---- */

static enum lookup check_value(struct check *check, struct text payload)
{
	static enum lookup (*const checks[DBS_])(struct check * check, struct text payload) = {
		[DB_META] = check_meta,
		[DB_CLAIMS] = check_claims,
		[DB_SENDERS] = check_sender,
		[DB_DUE] = check_due,
		[DB_TENANTS] = check_line,
		[DB_ACCOUNTS] = check_line,
		[DB_AUDIT] = check_audit,
	};
	struct text found;

	/* A damaged inner page can hide a key that the walk along the leaves still meets. */
	if (registry_get(check->registry, check->db, registry_key_text(&check->key), &found) !=
			LOOKUP_FOUND ||
		found.ptr != payload.ptr)
		return fail(check, "tree (key not found from the root)");
	return checks[check->db](check, payload);
}

static enum lookup check_db(struct check *check, enum registry_db db, uint64_t entries)
{
	struct registry_walk walk = {.registry = check->registry, .db = db};
	uint64_t seen = 0;
	enum lookup status;

	check->db = db;
	check->key.len = 0;
	while ((status = registry_walk_next(&walk)) == LOOKUP_FOUND) {
		seen++;
		check->key = walk.key;
		if (check_value(check, walk.payload) == LOOKUP_FAILED)
			return LOOKUP_FAILED;
	}
	if (status == LOOKUP_FAILED)
		return status;
	return seen == entries ? LOOKUP_FOUND
			       : fail(check, "database (entries missing after this)");
}

static enum lookup check_totals(struct check *check, const struct store_stat *stat)
{
	struct audit_range range;
	uint64_t number;

	check->key.len = 0;
	if (check->watched != stat->entries[DB_DUE])
		return fail(check, "list of those due (more than there are claims to check)");
	if (check->senders != stat->entries[DB_SENDERS])
		return fail(check, "senders (of no claim)");
	if (registry_audit_range(check->registry, &range) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	number = range.last + 1 - range.first;
	return number == check->lines ? LOOKUP_FOUND : fail(check, "audit (lines missing)");
}

static bool go_on(void *ctx, const struct audit_entry *entry)
{
	(void)ctx;
	(void)entry;
	return true;
}

static enum lookup check_all(struct registry *registry)
{
	struct check check = {.registry = registry};
	struct store_stat stat;
	enum lookup status = LOOKUP_FOUND;

	if (registry_fail_store(registry, store_stat(registry->store, &stat)) != ERR_OK)
		return LOOKUP_FAILED;
	for (unsigned db = 0; db < DBS_ && status == LOOKUP_FOUND; db++)
		status = check_db(&check, (enum registry_db)db, stat.entries[db]);
	if (status == LOOKUP_FOUND)
		status = check_totals(&check, &stat);
	/* That each number from the first to the last is there. */
	if (status == LOOKUP_FOUND)
		status = registry_scan_audit(registry, 0, false, go_on, NULL);
	return status;
}

static enum err verify(struct registry *registry)
{
	enum lookup status;
	enum err err = registry_look(registry);

	if (err != ERR_OK)
		return err;
	status = check_all(registry);
	registry_end(registry);
	return status == LOOKUP_FOUND ? ERR_OK : ERR_DAMAGED;
}

enum err registry_verify(const char *state_dir, unsigned map_mb, char *error)
{
	struct registry *registry;
	enum err err = registry_open_walk(&registry, state_dir, map_mb, error);

	if (err != ERR_OK)
		return err;
	err = verify(registry);
	snprintf(error, REGISTRY_ERROR_MAX, "%s", registry->error);
	registry_close(registry);
	return err;
}

struct place {
	const char *state_dir;
	unsigned map_mb;
};

static enum err verify_place(void *ctx, char *error)
{
	const struct place *place = ctx;

	return registry_verify(place->state_dir, place->map_mb, error);
}

enum err registry_verify_in_child(const char *state_dir, unsigned map_mb, char *error)
{
	struct place place = {state_dir, map_mb};
	char death[32];
	enum err err = in_child(verify_place, &place, error, death);

	if (death[0])
		snprintf(error, REGISTRY_ERROR_MAX,
			"%s/register: the program that walked it died (%s): the file is damaged or "
			"truncated: stop policyd, move this folder away and restore a backup of it",
			state_dir, death);
	return err;
}

/*
 * What the register says to one sender and login: the fact that step 8 of the decision works with.
 *
 * On the way of every mail: a domain that nobody claimed costs a get, one of a tenant two or three,
 * and none while the register says what it said when it was asked for last. Knows where claims,
 * tenants and senders stand, not what follows from them. A failed get, a checksum or bytes that do
 * not decode make the fact FAILED.
 */
#include "policy/data/registry_private.h"

static void copy_text(char *out, struct text text)
{
	if (text.len > 0)
		memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
}

/* ---- what is remembered ---- */

/* Whatever changes what the register says of a domain leaves an audit line; a re-check that finds
 * what was there before leaves none, so what is remembered outlives it. False: it cannot be told. */
static bool knows_state(struct registry *registry)
{
	uint64_t read_id = store_read_id(registry->store), number;

	if (registry->state.is_known && registry->state.read_id == read_id)
		return true;
	if (registry_last_audit(registry, &number) != LOOKUP_FOUND) {
		registry->state.is_known = false;
		return false;
	}
	if (!registry->state.is_known || registry->state.number != number)
		registry->state.has_kinds = false;
	registry->state.is_known = true;
	registry->state.read_id = read_id;
	registry->state.number = number;
	return true;
}

/* A mark of a key and of what the register says now, where that is known. It is a keyed 64-bit
 * hash: nobody can look for a key whose mark is another one's. */
static uint64_t mark_of(const struct registry *registry, struct text key)
{
	uint64_t number = registry->state.number;
	struct text state = {(const char *)&number, sizeof(number)};

	return siphash13_pair(&registry->absent_key, key, state) | 1;
}

static enum lookup fail_claims(struct registry *registry, struct text domain)
{
	return registry_fail_value(registry, domain, "claims");
}

/* ---- a login's tenant ---- */

/* The first byte of the first key from `from` on; ABSENT: none. */
static enum lookup first_line(struct registry *registry, struct text from, char *out)
{
	struct text key = from, value;
	enum lookup status = store_seek(registry->store, DB_TENANTS, &key, &value);

	if (status == LOOKUP_FOUND)
		*out = key.ptr[0];
	return status;
}

/* Keys of @login-domains stand together, those of logins before and behind them. */
static bool learn_kinds(struct registry *registry)
{
	char first = '\0', domain = '\0', behind;
	enum lookup any = first_line(registry, TEXT(""), &first);
	enum lookup from_domains = first_line(registry, TEXT("@"), &domain);
	enum lookup from_behind = first_line(registry, TEXT("A"), &behind);

	registry->state.has_kinds = any != LOOKUP_FAILED && from_domains != LOOKUP_FAILED &&
				    from_behind != LOOKUP_FAILED;
	registry->state.has_domains = from_domains == LOOKUP_FOUND && domain == '@';
	registry->state.has_logins =
		(any == LOOKUP_FOUND && first != '@') || from_behind == LOOKUP_FOUND;
	return registry->state.has_kinds;
}

/* Most tables have lines of one kind, or none: what cannot be there need not be asked for. */
static bool may_have_line(struct registry *registry, struct text login)
{
	if (!knows_state(registry) || (!registry->state.has_kinds && !learn_kinds(registry)))
		return true;
	return login.len > 0 && login.ptr[0] == '@' ? registry->state.has_domains
						    : registry->state.has_logins;
}

static enum lookup read_line(struct registry *registry, struct text login, char out[TENANT_MAX + 1])
{
	struct registry_key key;
	struct text payload, of, tenant;
	enum lookup status;

	registry_key_of_login(login, &key);
	status = registry_get(registry, DB_TENANTS, registry_key_text(&key), &payload);
	if (status != LOOKUP_FOUND)
		return status;
	if (!list_entry_decode(payload, &of, &tenant) || !tenant_is_valid(tenant))
		return registry_fail_value(registry, registry_key_text(&key), "tenant");
	/* A key may hold a hash. */
	if (!text_equal(of, login))
		return LOOKUP_ABSENT;
	copy_text(out, tenant);
	return LOOKUP_FOUND;
}

static enum lookup tenant_of_line(
	struct registry *registry, struct text login, char out[TENANT_MAX + 1])
{
	struct tenant_seen *seen;
	enum lookup status;
	uint64_t mark;

	if (!may_have_line(registry, login))
		return LOOKUP_ABSENT;
	if (!registry->tenants || !knows_state(registry))
		return read_line(registry, login, out);
	mark = mark_of(registry, login);
	seen = &registry->tenants[(mark >> 1) % TENANT_SLOTS];
	if (seen->mark == mark) {
		copy_text(out, text_of(seen->tenant));
		return seen->tenant[0] ? LOOKUP_FOUND : LOOKUP_ABSENT;
	}
	status = read_line(registry, login, out);
	if (status == LOOKUP_FAILED)
		return status;
	seen->mark = mark;
	copy_text(seen->tenant, status == LOOKUP_FOUND ? text_of(out) : TEXT(""));
	return status;
}

/* The provider's own domains give their logins their tenant. */
static enum lookup tenant_of_hosted(
	struct registry *registry, struct text domain, char out[TENANT_MAX + 1])
{
	struct text payload;
	struct claim claim;
	enum lookup status = registry_claims_get(registry, domain, &payload);

	if (status != LOOKUP_FOUND)
		return status;
	while ((status = claim_decode(&payload, &claim)) == LOOKUP_FOUND) {
		if (claim.life.state != CLAIM_HOSTED)
			continue;
		copy_text(out, claim.tenant);
		return LOOKUP_FOUND;
	}
	return status == LOOKUP_FAILED ? fail_claims(registry, domain) : LOOKUP_ABSENT;
}

enum lookup registry_tenant_of(
	struct registry *registry, const struct login *login, char out[TENANT_MAX + 1])
{
	char at_domain[LOGIN_MAX + DOMAIN_MAX + 2];
	enum lookup status;

	out[0] = '\0';
	status = tenant_of_line(registry, login->full, out);
	if (status != LOOKUP_ABSENT || login->domain.len == 0)
		return status;
	at_domain[0] = '@';
	memcpy(at_domain + 1, login->domain.ptr, login->domain.len);
	status = tenant_of_line(registry, (struct text){at_domain, login->domain.len + 1}, out);
	if (status == LOOKUP_ABSENT)
		status = tenant_of_hosted(registry, login->domain, out);
	return status;
}

/* ---- senders of the claim in force ---- */

struct sender_keys {
	struct text logins[2], locals[3];
	size_t login_count, local_count;
};

/* What an entry may say to mean this question: the login or its domain; the address, the address
 * without its extension, or every address. */
static void list_sender_keys(
	const struct ownership_question *question, char *at_domain, struct sender_keys *keys)
{
	const struct login *login = question->login;
	size_t base = address_without_extension(question->local, question->recipient_delimiter);

	keys->login_count = keys->local_count = 0;
	keys->logins[keys->login_count++] = login->full;
	if (login->domain.len > 0) {
		at_domain[0] = '@';
		memcpy(at_domain + 1, login->domain.ptr, login->domain.len);
		keys->logins[keys->login_count++] = (struct text){at_domain, login->domain.len + 1};
	}
	keys->locals[keys->local_count++] = TEXT("");
	if (question->local.len > 0)
		keys->locals[keys->local_count++] = question->local;
	if (base < question->local.len)
		keys->locals[keys->local_count++] = text_head(question->local, base);
}

static enum lookup read_sender(struct registry *registry, const struct registry_key *key,
	struct text login, struct text local, struct sender_entry *entry)
{
	struct text payload;
	enum lookup status = registry_get(registry, DB_SENDERS, registry_key_text(key), &payload);

	if (status != LOOKUP_FOUND)
		return status;
	if (!sender_entry_decode(payload, entry))
		return registry_fail_value(registry, registry_key_text(key), "sender");
	return text_equal(entry->login, login) && text_equal(entry->local, local) ? LOOKUP_FOUND
										  : LOOKUP_ABSENT;
}

static enum lookup find_sender(struct registry *registry, const struct ownership_question *question,
	struct text holder, enum sender_word *word)
{
	char at_domain[LOGIN_MAX + DOMAIN_MAX + 2];
	struct sender_keys keys;
	struct sender_entry entry;
	struct registry_key key;

	list_sender_keys(question, at_domain, &keys);
	for (size_t i = 0; i < keys.login_count * keys.local_count; i++) {
		struct text login = keys.logins[i / keys.local_count];
		struct text local = keys.locals[i % keys.local_count];

		registry_key_of_sender(question->domain, holder, login, local, &key);
		switch (read_sender(registry, &key, login, local, &entry)) {
		case LOOKUP_ABSENT:
			break;
		case LOOKUP_FAILED:
			return LOOKUP_FAILED;
		case LOOKUP_FOUND:
			*word = entry.is_pending ? SENDER_UNAPPROVED : SENDER_ALLOWED;
			if (*word == SENDER_ALLOWED)
				return LOOKUP_FOUND;
			/* another entry may be approved */
			break;
		}
	}
	return LOOKUP_FOUND;
}

/* ---- the fact ---- */

/* To its own tenant one that was claimed again is what it says it is. */
static bool refuses_as_removed(const struct claim *claim, bool is_own)
{
	return claim->life.state == CLAIM_REMOVED || (claim->life.is_tombstone && !is_own);
}

/* Which claim decides: the one in force, else a removed one, a revoked one, the own one. */
enum weight {
	WEIGHT_NONE,
	WEIGHT_OWN,
	WEIGHT_REVOKED,
	WEIGHT_REMOVED,
	WEIGHT_IN_FORCE,
};

static enum weight weight_of(const struct claim *claim, bool is_own)
{
	if (claim_is_in_force(claim->life.state))
		return WEIGHT_IN_FORCE;
	if (refuses_as_removed(claim, is_own))
		return WEIGHT_REMOVED;
	if (claim->life.state == CLAIM_REVOKED)
		return WEIGHT_REVOKED;
	return is_own ? WEIGHT_OWN : WEIGHT_NONE;
}

static void note_claim(struct ownership_fact *fact, const struct claim *claim, bool is_own)
{
	if (claim_is_in_force(claim->life.state)) {
		fact->force = claim->life.state;
		fact->names_senders = claim->senders > 0;
	}
	if (is_own)
		fact->own = claim->life.state;
	fact->is_removed |= refuses_as_removed(claim, is_own);
	fact->is_revoked |= claim->life.state == CLAIM_REVOKED;
}

/* What the claims on a domain came to so far. */
struct judged {
	struct claim decides;
	enum weight weight; /* its weight */
	size_t count;
};

/* Of two that weigh the same the newer one. */
static bool is_heavier(const struct claim *claim, enum weight weight, const struct judged *judged)
{
	if (weight != judged->weight)
		return weight > judged->weight;
	return weight > WEIGHT_NONE && claim->life.since > judged->decides.life.since;
}

static void judge_claim(
	struct ownership_fact *fact, const struct claim *claim, struct judged *judged)
{
	bool is_own = fact->tenant[0] && text_equal(claim->tenant, text_of(fact->tenant));
	enum weight weight = weight_of(claim, is_own);

	judged->count++;
	note_claim(fact, claim, is_own);
	if (is_heavier(claim, weight, judged))
		judged->decides = *claim;
	if (weight > judged->weight)
		judged->weight = weight;
}

static void conclude(struct ownership_fact *fact, const struct judged *judged)
{
	if (judged->weight == WEIGHT_NONE)
		return;
	fact->is_claimed_again =
		judged->weight == WEIGHT_REMOVED && judged->decides.life.is_tombstone;
	fact->since = judged->decides.life.since;
	copy_text(fact->holder, judged->decides.tenant);
	copy_text(fact->reason, judged->decides.reason);
}

static enum lookup judge_claims(
	struct text payload, struct ownership_fact *fact, struct judged *judged)
{
	struct claim claim;
	enum lookup status;

	while ((status = claim_decode(&payload, &claim)) == LOOKUP_FOUND)
		judge_claim(fact, &claim, judged);
	conclude(fact, judged);
	return status;
}

static struct claim_seen *claim_slot(struct registry *registry, uint64_t mark)
{
	return &registry->claims[(mark >> 1) % CLAIM_SLOTS];
}

static bool is_lasting(const struct judged *judged)
{
	const struct claim *claim = &judged->decides;
	enum claim_state state = claim->life.state;

	return judged->count == 1 &&
	       (state == CLAIM_VERIFIED || state == CLAIM_HOSTED || state == CLAIM_PINNED) &&
	       claim->senders + claim->senders_pending == 0 && claim->reason.len <= SEEN_REASON_MAX;
}

static void remember_claim(
	struct registry *registry, struct text domain, const struct judged *judged)
{
	const struct claim *claim = &judged->decides;
	struct claim_seen *seen;
	uint64_t mark;

	if (!registry->claims || !is_lasting(judged) || !knows_state(registry))
		return;
	mark = mark_of(registry, domain);
	seen = claim_slot(registry, mark);
	seen->mark = mark;
	seen->since = claim->life.since;
	seen->state = claim->life.state;
	copy_text(seen->tenant, claim->tenant);
	copy_text(seen->reason, claim->reason);
}

/* False: the register has to be asked. */
static bool recall_claim(struct registry *registry, const struct ownership_question *question,
	struct ownership_fact *fact)
{
	struct judged judged = {.weight = WEIGHT_NONE};
	const struct claim_seen *seen;
	uint64_t mark;

	if (!registry->claims || !knows_state(registry))
		return false;
	mark = mark_of(registry, question->domain);
	seen = claim_slot(registry, mark);
	if (seen->mark != mark)
		return false;
	fact->status = LOOKUP_FAILED;
	if (registry_tenant_of(registry, question->login, fact->tenant) == LOOKUP_FAILED)
		return true;
	fact->status = LOOKUP_FOUND;
	judge_claim(fact,
		&(struct claim){.tenant = text_of(seen->tenant),
			.reason = text_of(seen->reason),
			.life = {.state = seen->state, .since = seen->since}},
		&judged);
	conclude(fact, &judged);
	return true;
}

static enum lookup fill_fact(struct registry *registry, const struct ownership_question *question,
	struct text payload, struct ownership_fact *fact)
{
	struct judged judged = {.weight = WEIGHT_NONE};

	if (registry_tenant_of(registry, question->login, fact->tenant) == LOOKUP_FAILED)
		return LOOKUP_FAILED;
	if (judge_claims(payload, fact, &judged) == LOOKUP_FAILED)
		return fail_claims(registry, question->domain);
	remember_claim(registry, question->domain, &judged);
	if (!question->wants_sender || fact->force == CLAIM_NONE ||
		judged.decides.senders + judged.decides.senders_pending == 0)
		return LOOKUP_FOUND;
	return find_sender(registry, question, judged.decides.tenant, &fact->sender);
}

static enum lookup read_asked(struct registry *registry, struct text domain, struct text *payload)
{
	enum lookup status;
	uint64_t mark, *slot;

	if (!registry->absent || !knows_state(registry))
		return registry_claims_get(registry, domain, payload);
	mark = mark_of(registry, domain);
	slot = &registry->absent[(mark >> 1) % ABSENT_SLOTS];
	if (*slot == mark)
		return LOOKUP_ABSENT;
	status = registry_claims_get(registry, domain, payload);
	if (status == LOOKUP_ABSENT)
		*slot = mark;
	return status;
}

void registry_find(struct registry *registry, const struct ownership_question *question,
	struct ownership_fact *fact)
{
	struct text payload;

	fact->force = fact->own = CLAIM_NONE;
	fact->is_revoked = fact->is_removed = fact->is_claimed_again = fact->names_senders = false;
	fact->sender = SENDER_NOT_NAMED;
	fact->since = 0;
	fact->holder[0] = fact->tenant[0] = fact->reason[0] = '\0';
	fact->status = LOOKUP_ABSENT;
	if (!registry || question->domain.len == 0)
		return;
	if (recall_claim(registry, question, fact))
		return;
	fact->status = read_asked(registry, question->domain, &payload);
	if (fact->status == LOOKUP_FOUND)
		fact->status = fill_fact(registry, question, payload, fact);
}

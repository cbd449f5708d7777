/*
 * Looks for proofs, see prover.h.
 *
 * Re-checks go in rounds: as many claims as are due (at most PROVER_BATCH) become a queue of
 * domains, a few of which are asked about at a time; what came in is written together when the
 * round is over, and the next one begins at once while there is more. A look on demand goes beside
 * the round and is written by itself. A damaged record stays due and stops none of the others.
 */
#include "policy/engine/prover.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#define HOUR_S      3600u
#define PAUSE_S     60 /* after a register that could not be read or written */
#define ENTRIES_MAX (PROVER_BATCH + CLAIMS_PER_DOMAIN)

/* What an answer means for one claim, with texts of its own. */
struct entry {
	enum claim_event event;
	struct registry_actor actor;
	char domain[DOMAIN_MAX + 1];
	char token[CLAIM_TOKEN_LEN + 1];
	struct prover_result result; /* outcome is filled when it was written */
};

/* A domain that is being asked about. */
struct place {
	struct prover *prover;
	LIST_ENTRY(place) link;
	struct resolver_waiter waiter;
	struct prover_look *look; /* NULL: of the round */
	char domain[DOMAIN_MAX + 1];
	char tenant[TENANT_MAX + 1];
	char name[DNS_NAME_MAX + 1];
};

LIST_HEAD(places, place);

struct prover {
	struct prover_parts parts;
	struct places places;
	unsigned in_flight;         /* of the round */
	int64_t paused_until_ms;    /* by the steady clock */
	size_t due_count, due_next; /* the round's queue */
	bool is_more;               /* more was due than one round holds ... */
	bool is_getting_on;         /* ... and this one wrote something */
	bool has_damaged;           /* a record that could not be read or written was left alone */
	bool has_told_damaged_due;  /* that entries of those due cannot be read */
	struct due_claim due[PROVER_BATCH];
	size_t entry_count;
	struct entry entries[ENTRIES_MAX];
	struct registry_change changes[ENTRIES_MAX];
	struct registry_outcome outcomes[ENTRIES_MAX];
};

static void begin_more(struct prover *prover);

enum err prover_new(struct prover **out, const struct prover_parts *parts)
{
	struct prover *prover = calloc(1, sizeof(*prover));

	*out = prover;
	if (!prover)
		return ERR_NOMEM;
	prover->parts = *parts;
	LIST_INIT(&prover->places);
	return ERR_OK;
}

static void place_free(struct place *place)
{
	LIST_REMOVE(place, link);
	resolver_cancel(&place->waiter);
	if (place->look)
		place->look->place = NULL;
	else
		place->prover->in_flight--;
	free(place);
}

void prover_free(struct prover *prover)
{
	struct place *place, *next;

	if (!prover)
		return;
	for (place = LIST_FIRST(&prover->places); place; place = next) {
		next = LIST_NEXT(place, link);
		place_free(place);
	}
	free(prover);
}

void prover_configure(struct prover *prover, const struct prover_parts *parts)
{
	prover->parts = *parts;
}

bool prover_name(
	const struct ownership_config *ownership, struct text domain, char *out, struct text *name)
{
	return dns_name_below(ownership->label, domain, out, name);
}

static int64_t now_s(const struct prover *prover)
{
	return prover->parts.unix_s(prover->parts.clock_ctx);
}

static int64_t now_ms(const struct prover *prover)
{
	return prover->parts.steady_ms(prover->parts.clock_ctx);
}

static void begin_pause(struct prover *prover)
{
	prover->paused_until_ms = now_ms(prover) + INT64_C(1000) * PAUSE_S;
}

/* What cannot be read or written now is left alone for a while; it stays due. */
static void pause_rounds(struct prover *prover)
{
	begin_pause(prover);
	prover->has_damaged = false;
	prover->due_count = prover->due_next = prover->entry_count = 0;
	prover->is_more = false;
	log_event(prover->parts.log, LOG_LEVEL_ERROR,
		"re-checks of domains stand still for %d seconds: %s", PAUSE_S,
		registry_error(prover->parts.registry));
}

/* Its claims are looked at when all others were, and the pause after them is over. */
static void leave_damaged(struct prover *prover, const char *domain)
{
	prover->has_damaged = true;
	log_event(prover->parts.log, LOG_LEVEL_ERROR,
		"the claims on %s are not re-checked, tried again in %d seconds: %s", domain,
		PAUSE_S, registry_error(prover->parts.registry));
}

/* ---- an answer ---- */

/* Whether a look means something for a claim. The round leaves expired ones alone. */
static bool is_looked_at(const struct place *place, const struct claim *claim)
{
	switch (claim->life.state) {
	case CLAIM_PENDING:
	case CLAIM_VERIFIED:
	case CLAIM_GRACE:
	case CLAIM_REVOKED:
		break;
	case CLAIM_EXPIRED:
		if (!place->look)
			return false;
		break;
	default:
		return false;
	}
	return !place->tenant[0] || text_equal(claim->tenant, text_of(place->tenant));
}

static void keep(char *out, size_t cap, struct text text)
{
	snprintf(out, cap, "%.*s", TEXT_ARG(text));
}

/* For people: what is not printable ASCII as \xHH; cut to cap. */
static void keep_escaped(char *out, size_t cap, struct text text)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len && len + 5 < cap; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c >= 0x20 && c < 0x7f)
			out[len++] = (char)c;
		else
			len += (size_t)snprintf(out + len, cap - len, "\\x%02x", c);
	}
	out[len] = '\0';
}

static struct registry_actor actor_of(const struct place *place)
{
	return place->look && place->look->actor.name.len > 0 ? place->look->actor
							      : place->prover->parts.actor;
}

static void judge_claim(const struct place *place, const struct claim *claim,
	const struct dns_answer *answer, struct entry *entry)
{
	const struct ownership_config *ownership = place->prover->parts.ownership;
	const struct challenge challenge = {.label = ownership->label,
		.prefix = ownership->prefix,
		.token = claim->token,
		.old_token = claim->old_token};
	struct prover_result *result = &entry->result;
	struct challenge_finding finding;

	*entry = (struct entry){0};
	challenge_judge(&challenge, answer, &finding);
	entry->event = challenge_event(finding.word);
	entry->actor = actor_of(place);
	keep(entry->domain, sizeof(entry->domain), text_of(place->domain));
	keep(entry->token, sizeof(entry->token), claim->token);
	keep(result->tenant, sizeof(result->tenant), claim->tenant);
	keep_escaped(result->seen, sizeof(result->seen), finding.seen);
	result->word = finding.word;
	result->differs_at = finding.differs_at;
	challenge_value(&challenge, result->expected);
	challenge_explain(&finding, answer, text_of(place->name), result->sentence);
}

/* Entries for all claims that the answer means something for. ERR_DAMAGED: those of this domain
 * cannot be read; ERR_IO: none can. registry_error says why. */
static enum err judge(const struct place *place, const struct dns_answer *answer,
	struct entry *entries, size_t *count)
{
	struct registry *registry = place->prover->parts.registry;
	struct claim claims[CLAIMS_PER_DOMAIN];
	enum lookup found;
	size_t claim_count;

	*count = 0;
	if (!registry_begin(registry))
		return ERR_IO;
	found = registry_claims(registry, text_of(place->domain), claims, &claim_count);
	for (size_t i = 0; found == LOOKUP_FOUND && i < claim_count; i++)
		if (is_looked_at(place, &claims[i]))
			judge_claim(place, &claims[i], answer, &entries[(*count)++]);
	registry_end(registry);
	return found == LOOKUP_FAILED ? ERR_DAMAGED : ERR_OK;
}

/* One transaction for all of them; fills their outcomes. */
static enum err write_down(struct prover *prover, struct entry *entries, size_t count,
	struct registry_change *changes, struct registry_outcome *outcomes)
{
	enum err err;

	/* What is kept is shown to whoever may look: only records that hold nobody's token. */
	for (size_t i = 0; i < count; i++)
		changes[i] = (struct registry_change){.event = entries[i].event,
			.domain = text_of(entries[i].domain),
			.tenant = text_of(entries[i].result.tenant),
			.token = text_of(entries[i].token),
			.actor = entries[i].actor,
			.action = "check",
			.now = now_s(prover),
			.rules = &prover->parts.ownership->rules,
			.reason = text_of(entries[i].result.sentence),
			.seen = text_of(entries[i].result.word == CHALLENGE_NO_MATCH
						? entries[i].result.seen
						: "")};
	err = registry_change_all(prover->parts.registry, changes, count, outcomes);
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		entries[i].result.outcome = outcomes[i];
	return err;
}

/* ---- what came of a look on demand ---- */

struct looked {
	struct entry entries[CLAIMS_PER_DOMAIN];
	struct registry_change changes[CLAIMS_PER_DOMAIN];
	struct registry_outcome outcomes[CLAIMS_PER_DOMAIN];
	struct prover_result results[CLAIMS_PER_DOMAIN];
	size_t count;
};

static enum err look_write(
	struct place *place, const struct dns_answer *answer, struct looked *looked)
{
	enum err err = judge(place, answer, looked->entries, &looked->count);

	if (err != ERR_OK)
		return err;
	if (looked->count == 0)
		return ERR_ABSENT;
	err = write_down(
		place->prover, looked->entries, looked->count, looked->changes, looked->outcomes);
	for (size_t i = 0; i < looked->count; i++)
		looked->results[i] = looked->entries[i].result;
	return err;
}

/* The end of a look: the place is gone when its owner hears of it. */
static void look_end(struct place *place, enum err err, const struct dns_answer *answer,
	const struct looked *looked)
{
	struct prover_look *look = place->look;
	struct log *log = place->prover->parts.log;

	if (err != ERR_OK && err != ERR_ABSENT && err != ERR_NOMEM)
		log_event(log, LOG_LEVEL_ERROR, "the look at %s came to nothing: %s", place->domain,
			registry_error(place->prover->parts.registry));
	place_free(place);
	look->on_done(look, err, err == ERR_OK ? answer : NULL,
		err == ERR_OK ? looked->results : NULL, err == ERR_OK ? looked->count : 0);
}

static void look_answered(struct place *place, const struct dns_answer *answer)
{
	struct looked *looked = calloc(1, sizeof(*looked));

	look_end(place, looked ? look_write(place, answer, looked) : ERR_NOMEM, answer, looked);
	free(looked);
}

/* ---- rounds ---- */

/* A limit of our own says nothing about the domain: it stays due. */
static bool says_nothing(const struct dns_answer *answer)
{
	return answer->status == LOOKUP_FAILED &&
	       (answer->failure == DNS_FAILURE_LIMIT || answer->failure == DNS_FAILURE_MEMORY);
}

/* Not a line for each: all have the same cure. */
static void leave_full(struct prover *prover, size_t count)
{
	prover->has_damaged = true;
	log_event(prover->parts.log, LOG_LEVEL_ERROR,
		"no room for %zu of %zu re-checks of domains, tried again in %d seconds: %s", count,
		prover->entry_count, PAUSE_S, registry_error(prover->parts.registry));
}

/* Each in a transaction of its own, which takes less room than all together; past the ones that are
 * damaged or find no room. ERR_FULL: there is room for none. */
static enum err write_one_by_one(struct prover *prover)
{
	size_t full = 0, written = 0;

	for (size_t i = 0; i < prover->entry_count; i++) {
		enum err err = write_down(
			prover, &prover->entries[i], 1, prover->changes, prover->outcomes);

		if (err == ERR_DAMAGED)
			leave_damaged(prover, prover->entries[i].domain);
		else if (err != ERR_OK && err != ERR_FULL)
			return err;
		full += err == ERR_FULL;
		written += err == ERR_OK;
	}
	prover->is_getting_on |= written > 0;
	if (full > 0 && written == 0)
		return ERR_FULL;
	if (full > 0)
		leave_full(prover, full);
	return ERR_OK;
}

static void flush(struct prover *prover)
{
	enum err err;

	if (prover->entry_count == 0)
		return;
	err = write_down(
		prover, prover->entries, prover->entry_count, prover->changes, prover->outcomes);
	prover->is_getting_on |= err == ERR_OK;
	if (err == ERR_DAMAGED || err == ERR_FULL)
		err = write_one_by_one(prover);
	if (err != ERR_OK)
		pause_rounds(prover);
	prover->entry_count = 0;
}

/* Takes down what an answer means for the claims of its domain. False: nothing can be read now. */
static bool take_down(
	struct prover *prover, const struct place *place, const struct dns_answer *answer)
{
	size_t count = 0;
	enum err err;

	if (says_nothing(answer))
		return true;
	err = judge(place, answer, prover->entries + prover->entry_count, &count);
	if (err == ERR_DAMAGED)
		leave_damaged(prover, place->domain);
	prover->entry_count += count;
	return err == ERR_OK || err == ERR_DAMAGED;
}

static void round_answered(struct place *place, const struct dns_answer *answer)
{
	struct prover *prover = place->prover;
	bool is_taken = take_down(prover, place, answer);

	place_free(place);
	if (!is_taken)
		pause_rounds(prover);
	else if (prover->entry_count + CLAIMS_PER_DOMAIN > ENTRIES_MAX)
		flush(prover);
	begin_more(prover);
}

static void on_answer(struct resolver_waiter *waiter, const struct dns_answer *answer)
{
	struct place *place = waiter->owner;

	if (place->look)
		look_answered(place, answer);
	else
		round_answered(place, answer);
}

/* ---- questions ---- */

static struct place *place_new(
	struct prover *prover, struct text domain, struct text tenant, struct prover_look *look)
{
	struct place *place = calloc(1, sizeof(*place));
	struct text name;

	if (!place)
		return NULL;
	place->prover = prover;
	place->look = look;
	place->waiter.on_answer = on_answer;
	place->waiter.owner = place;
	keep(place->domain, sizeof(place->domain), domain);
	keep(place->tenant, sizeof(place->tenant), tenant);
	if (!prover_name(prover->parts.ownership, domain, place->name, &name))
		place->name[0] = '\0';
	LIST_INSERT_HEAD(&prover->places, place, link);
	if (!look)
		prover->in_flight++;
	return place;
}

/* The same domain twice in a row (two tenants claim it) is one question. */
static bool is_of_round(const struct prover *prover, size_t until)
{
	for (size_t i = 0; i < until; i++)
		if (strcmp(prover->due[i].domain, prover->due[until].domain) == 0)
			return true;
	return false;
}

static void begin_next(struct prover *prover)
{
	size_t at = prover->due_next++;
	struct place *place;

	if (is_of_round(prover, at))
		return;
	place = place_new(prover, text_of(prover->due[at].domain), TEXT(""), NULL);
	if (!place)
		return;
	resolver_ask(prover->parts.resolver, text_of(place->name), &place->waiter);
}

/* No check is planned further ahead: not by a clock that is right. */
static int64_t horizon_s(const struct prover *prover)
{
	uint32_t longest_s = prover->parts.ownership->rules.recheck_s;

	if (longest_s < HOUR_S)
		longest_s = HOUR_S;
	return now_s(prover) + longest_s + longest_s / 10;
}

/* Once, until they are mended: the walk of the register finds them too. */
static void tell_damaged_due(struct prover *prover, size_t damaged)
{
	if (damaged > 0 && !prover->has_told_damaged_due)
		log_event(prover->parts.log, LOG_LEVEL_ERROR,
			"places among those due: %zu cannot be read, their claims are not "
			"re-checked: %s",
			damaged, registry_error(prover->parts.registry));
	prover->has_told_damaged_due = damaged > 0;
}

/* Reads the queue of a new round. */
static void begin_round(struct prover *prover)
{
	struct registry *registry = prover->parts.registry;
	struct due_list list = {.now = now_s(prover),
		.horizon = horizon_s(prover),
		.claims = prover->due,
		.cap = PROVER_BATCH};
	enum lookup found = LOOKUP_FAILED;

	prover->due_next = 0;
	prover->is_getting_on = false;
	if (registry_begin(registry)) {
		found = registry_due(registry, &list);
		registry_end(registry);
	}
	prover->due_count = list.count;
	if (found == LOOKUP_FAILED)
		pause_rounds(prover);
	else
		tell_damaged_due(prover, list.damaged);
	prover->is_more = prover->due_count == PROVER_BATCH;
}

/* As far as the queue goes. True: the round goes on, an answer will call again. */
static bool begin_queue(struct prover *prover)
{
	while (prover->in_flight < PROVER_IN_FLIGHT && prover->due_next < prover->due_count)
		begin_next(prover);
	return prover->in_flight > 0;
}

static void begin_more(struct prover *prover)
{
	while (!begin_queue(prover)) {
		flush(prover);
		prover->due_count = prover->due_next = 0;
		if (!prover->is_more || !prover->is_getting_on)
			break;
		begin_round(prover);
	}
	if (prover->in_flight > 0 || !prover->has_damaged)
		return;
	prover->has_damaged = false;
	begin_pause(prover);
}

void prover_tick(struct prover *prover)
{
	if (prover->in_flight > 0 || now_ms(prover) < prover->paused_until_ms)
		return;
	begin_round(prover);
	begin_more(prover);
}

/* ---- a look on demand ---- */

enum err prover_check(
	struct prover *prover, struct text domain, struct text tenant, struct prover_look *look)
{
	struct place *place = place_new(prover, domain, tenant, look);

	if (!place)
		return ERR_NOMEM;
	look->place = place;
	resolver_ask(prover->parts.resolver, text_of(place->name), &place->waiter);
	return ERR_OK;
}

void prover_cancel(struct prover_look *look)
{
	if (look->place)
		place_free(look->place);
}

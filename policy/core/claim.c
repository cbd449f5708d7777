/*
 * The life of a claim: one table of what each event does in each state, and what follows.
 *
 * Pure: no clock, no DNS, no database. Whatever the table does not name is CLAIM_IMPOSSIBLE and
 * changes nothing.
 */
#include "policy/core/claim.h"

#define MINUTE_S 60u
#define HOUR_S   3600u

#define UNKNOWN_FIRST_S (5 * MINUTE_S)

enum effect {
	NO,   /* means nothing here */
	KEEP, /* is so already */
	OPEN, /* begins anew as pending */
	HOST,
	PIN,
	FREE, /* no longer pinned: grace */
	END,  /* a tombstone */
	TAKE, /* over from another tenant */
	SEEN, /* a look: the proof is there */
	MISS, /* a look: it is not */
	DARK, /* a look: nobody knows */
};

static const uint8_t effects[CLAIM_STATES_][CLAIM_EVENTS_] = {
	/* PROVED UNPROVED UNKNOWN, ADD HOST PIN UNPIN, REMOVE GIVE_AWAY TAKE_OVER */
	[CLAIM_NONE] = {NO, NO, NO, OPEN, HOST, PIN, NO, NO, NO, TAKE},
	[CLAIM_PENDING] = {SEEN, MISS, DARK, KEEP, HOST, PIN, NO, END, NO, TAKE},
	[CLAIM_VERIFIED] = {SEEN, MISS, DARK, KEEP, HOST, PIN, NO, END, END, KEEP},
	[CLAIM_GRACE] = {SEEN, MISS, DARK, KEEP, HOST, PIN, NO, END, END, KEEP},
	[CLAIM_REVOKED] = {SEEN, MISS, DARK, KEEP, HOST, PIN, NO, END, NO, TAKE},
	[CLAIM_EXPIRED] = {SEEN, MISS, DARK, OPEN, HOST, PIN, NO, END, NO, TAKE},
	[CLAIM_HOSTED] = {NO, NO, NO, KEEP, KEEP, NO, NO, END, END, KEEP},
	[CLAIM_PINNED] = {NO, NO, NO, KEEP, HOST, KEEP, FREE, END, END, KEEP},
	[CLAIM_REMOVED] = {NO, NO, NO, OPEN, HOST, NO, NO, KEEP, NO, TAKE},
};

/* What a step is made with. */
struct step {
	bool is_held;
	int64_t now;
	const struct claim_rules *rules;
	uint32_t spread;
};

static const char *const names[CLAIM_STATES_] = {
	[CLAIM_NONE] = "none",
	[CLAIM_PENDING] = "pending",
	[CLAIM_VERIFIED] = "verified",
	[CLAIM_GRACE] = "grace",
	[CLAIM_REVOKED] = "revoked",
	[CLAIM_EXPIRED] = "expired",
	[CLAIM_HOSTED] = "hosted",
	[CLAIM_PINNED] = "pinned",
	[CLAIM_REMOVED] = "removed",
};

const char *claim_state_name(enum claim_state state)
{
	return names[state];
}

enum claim_state claim_state_of(struct text name)
{
	int state = 0;

	while (state < CLAIM_STATES_ && !text_equal(name, text_of(names[state])))
		state++;
	return (enum claim_state)state;
}

bool claim_is_in_force(enum claim_state state)
{
	return state == CLAIM_HOSTED || state == CLAIM_VERIFIED || state == CLAIM_GRACE ||
	       state == CLAIM_PINNED;
}

bool claim_may_be_tombstone(enum claim_state state)
{
	return state == CLAIM_PENDING || state == CLAIM_EXPIRED;
}

static uint32_t at_most(uint32_t value, uint32_t max)
{
	return value < max ? value : max;
}

static uint32_t doubled(uint32_t value, uint32_t times, uint32_t max)
{
	while (times-- > 0 && value < max)
		value = value > UINT32_MAX / 2 ? UINT32_MAX : value * 2;
	return at_most(value, max);
}

/* Whether somebody waits for what the next look finds. */
static bool is_urgent(enum claim_state state)
{
	return state == CLAIM_PENDING || state == CLAIM_GRACE;
}

static uint32_t wait_unknown_s(const struct claim_life *life, const struct claim_rules *rules)
{
	uint32_t max_s = rules->recheck_s;

	if (is_urgent(life->state))
		max_s = at_most(max_s, HOUR_S);
	return doubled(UNKNOWN_FIRST_S, life->looks - 1, max_s);
}

static uint32_t wait_s(const struct claim_life *life, const struct claim_rules *rules)
{
	uint32_t quarter_s = at_most(rules->grace_s / 4, HOUR_S);

	if (life->state == CLAIM_PENDING)
		return doubled(MINUTE_S, life->looks, HOUR_S);
	if (life->state == CLAIM_GRACE)
		return quarter_s > MINUTE_S ? quarter_s : MINUTE_S;
	return rules->recheck_s;
}

/* When the state's time is over; 0: it has no end. */
static int64_t end_of(const struct claim_life *life, const struct claim_rules *rules)
{
	if (life->state == CLAIM_PENDING)
		return life->since + rules->pending_expires_s;
	if (life->state == CLAIM_GRACE)
		return life->since + rules->grace_s;
	return 0;
}

static bool is_over(const struct claim_life *life, const struct step *step)
{
	return step->now >= end_of(life, step->rules);
}

/* The next look, and one at the end of the state's time. */
static void watch(struct claim_life *life, const struct step *step, uint32_t in_s)
{
	uint32_t tenth_s = in_s / 10;
	uint64_t moved_s = ((uint64_t)step->spread * (2 * (uint64_t)tenth_s + 1)) >> 32;
	int64_t end = end_of(life, step->rules);

	life->next_check = step->now + in_s - tenth_s + (int64_t)moved_s;
	if (life->next_check <= step->now)
		life->next_check = step->now + 1;
	if (end > step->now && life->next_check > end)
		life->next_check = end;
}

/* A claim that was at its end, or never was, begins anew. To claim what was removed takes nothing
 * of the removal back: that is for a proof, or a hand that sets it in force. */
static enum claim_word enter(
	struct claim_life *life, enum claim_state state, const struct step *step)
{
	bool was_removed = life->is_tombstone || life->state == CLAIM_REMOVED;

	if (life->state == CLAIM_NONE || life->state == CLAIM_REMOVED || state == CLAIM_PENDING)
		*life = (struct claim_life){.created_at = step->now};
	life->state = state;
	life->is_tombstone = was_removed && claim_may_be_tombstone(state);
	life->since = step->now;
	life->next_check = 0;
	life->looks = 0;
	return CLAIM_CHANGED;
}

static enum claim_word enter_watched(
	struct claim_life *life, enum claim_state state, const struct step *step)
{
	(void)enter(life, state, step);
	watch(life, step, wait_s(life, step->rules));
	return CLAIM_CHANGED;
}

/* In force on somebody's word: the DNS is asked at once. */
static enum claim_word enter_looked_at(
	struct claim_life *life, enum claim_state state, const struct step *step)
{
	(void)enter(life, state, step);
	life->next_check = step->now;
	return CLAIM_CHANGED;
}

static enum claim_word enter_by_hand(
	struct claim_life *life, enum claim_state state, const struct step *step)
{
	if (step->is_held && !claim_is_in_force(life->state))
		return CLAIM_HELD;
	return enter(life, state, step);
}

/* A claim that waited with its proof seen is verified; of every other one nobody knows. */
static enum claim_word take_over(struct claim_life *life, const struct step *step)
{
	bool waited = life->state == CLAIM_PENDING || life->state == CLAIM_EXPIRED;
	bool was_proved = life->proved_at > 0;

	if (step->is_held)
		return CLAIM_HELD;
	return enter_looked_at(life, waited && was_proved ? CLAIM_VERIFIED : CLAIM_GRACE, step);
}

/* A look that leaves the state as it is. */
static enum claim_word look_again(struct claim_life *life, const struct step *step)
{
	life->looks = life->state == CLAIM_PENDING ? at_most(life->looks, UINT32_MAX - 1) + 1 : 0;
	if (life->state != CLAIM_EXPIRED)
		watch(life, step, wait_s(life, step->rules));
	return CLAIM_KEPT;
}

static enum claim_word look_proved(struct claim_life *life, const struct step *step)
{
	life->proved_at = step->now;
	if (life->state == CLAIM_VERIFIED)
		return look_again(life, step);
	if (!step->is_held || life->state == CLAIM_GRACE)
		return enter_watched(life, CLAIM_VERIFIED, step);
	(void)look_again(life, step);
	return CLAIM_HELD;
}

static enum claim_word look_unproved(struct claim_life *life, const struct step *step)
{
	if (life->state == CLAIM_VERIFIED)
		return enter_watched(life, CLAIM_GRACE, step);
	if (life->state == CLAIM_GRACE && is_over(life, step))
		return enter_watched(life, CLAIM_REVOKED, step);
	if (life->state == CLAIM_PENDING && is_over(life, step))
		return enter(life, CLAIM_EXPIRED, step);
	return look_again(life, step);
}

/* Takes no force away. A claim without any proof is over in its time, though its DNS never answers;
 * one that only waits for another tenant's to end is not. */
static enum claim_word look_unknown(struct claim_life *life, const struct step *step)
{
	if (life->state == CLAIM_EXPIRED)
		return CLAIM_KEPT;
	if (life->state == CLAIM_PENDING && life->proved_at == 0 && is_over(life, step))
		return enter(life, CLAIM_EXPIRED, step);
	life->looks = at_most(life->looks, UINT32_MAX - 1) + 1;
	watch(life, step, wait_unknown_s(life, step->rules));
	return CLAIM_KEPT;
}

/* A clock that was set back makes no time pass: the state's time begins again. */
static void look_begins(struct claim_life *life, int64_t now)
{
	if (life->since > now)
		life->since = now;
	if (life->created_at > now)
		life->created_at = now;
	if (life->proved_at > now)
		life->proved_at = now;
	life->checked_at = now;
}

static enum claim_word look(struct claim_life *life, enum effect effect, const struct step *step)
{
	look_begins(life, step->now);
	if (effect == SEEN)
		return look_proved(life, step);
	if (effect == MISS)
		return look_unproved(life, step);
	return look_unknown(life, step);
}

enum claim_word claim_step(struct claim_life *life, enum claim_event event, bool is_held,
	int64_t now, const struct claim_rules *rules, uint32_t spread)
{
	struct step step = {is_held, now, rules, spread};
	enum effect effect = (enum effect)effects[life->state][event];

	switch (effect) {
	case NO:
		return CLAIM_IMPOSSIBLE;
	case KEEP:
		return CLAIM_KEPT;
	case OPEN:
		return enter_watched(life, CLAIM_PENDING, &step);
	case HOST:
		return enter_by_hand(life, CLAIM_HOSTED, &step);
	case PIN:
		return enter_by_hand(life, CLAIM_PINNED, &step);
	case FREE:
		return enter_looked_at(life, CLAIM_GRACE, &step);
	case END:
		return enter(life, CLAIM_REMOVED, &step);
	case TAKE:
		return take_over(life, &step);
	case SEEN:
	case MISS:
	case DARK:
		return look(life, effect, &step);
	}
	return CLAIM_IMPOSSIBLE;
}

static bool is_tenant_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == '@' || c == '+';
}

bool tenant_is_valid(struct text tenant)
{
	for (size_t i = 0; i < tenant.len; i++)
		if (!is_tenant_byte(tenant.ptr[i]))
			return false;
	return tenant.len >= 1 && tenant.len <= TENANT_MAX;
}

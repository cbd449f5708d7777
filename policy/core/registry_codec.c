/*
 * Encoder and decoder of the ownership register's bytes, drawn in registry_codec.h.
 *
 * Pure; knows neither LMDB nor the rules of a claim. What an encoder refuses (0) its decoder
 * refuses too, so whatever decodes encodes to the same bytes again.
 */
#include "policy/core/registry_codec.h"

#include "policy/core/bytes.h"
#include "policy/core/siphash.h"

#define LOGIN_KEY_MAX 120
#define LOCAL_KEY_MAX 64
#define HASH_MARK     0xff /* begins no UTF-8 text */
#define HASH_LEN      16
#define TIME_MAX      (INT64_MAX / 4) /* sums of times do not overflow */

#define SENDER_PENDING 1u
#define AUDIT_CHANGE   1u
#define TOMBSTONE      0x80u /* beside the state */

_Static_assert(
	DOMAIN_MAX + 1 + TENANT_MAX + 1 + LOGIN_KEY_MAX + 1 + LOCAL_KEY_MAX <= REGISTRY_KEY_MAX,
	"the longest key fits");
_Static_assert(1 + 5 * 8 + 3 * VARINT_MAX + 5 * 2 + TENANT_MAX + 2 * CLAIM_TOKEN_LEN +
			       CLAIM_REASON_MAX + CLAIM_SEEN_MAX <=
		       REGISTRY_CLAIM_MAX,
	"the longest claim fits");
_Static_assert(1 + 8 + VARINT_MAX + 7 * 2 + REGISTRY_ACTOR_MAX + AUDIT_ACTION_MAX + DOMAIN_MAX +
			       TENANT_MAX + 2 * AUDIT_STATE_MAX + AUDIT_DETAIL_MAX <=
		       AUDIT_ENTRY_MAX,
	"the longest audit line fits");

static const struct siphash_key text_key = {0x706f6c6963796420ULL, 0x7265676973746572ULL};

/* ---- keys ---- */

static void key_add_byte(struct registry_key *key, uint8_t byte)
{
	key->bytes[key->len++] = byte;
}

static void key_add_text(struct registry_key *key, struct text text, size_t max)
{
	if (text.len > max) {
		key_add_byte(key, HASH_MARK);
		siphash128(&text_key, text.ptr, text.len, key->bytes + key->len);
		key->len += HASH_LEN;
	} else if (text.len > 0) {
		memcpy(key->bytes + key->len, text.ptr, text.len);
		key->len += text.len;
	}
}

static void key_add_be64(struct registry_key *key, uint64_t value)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		key_add_byte(key, (uint8_t)(value >> shift));
}

void registry_key_of_domain(struct text domain, struct registry_key *out)
{
	out->len = 0;
	key_add_text(out, domain, DOMAIN_MAX);
}

void registry_key_of_senders(struct text domain, struct text tenant, struct registry_key *out)
{
	registry_key_of_domain(domain, out);
	if (domain.len == 0)
		return;
	key_add_byte(out, 0);
	if (tenant.len == 0)
		return;
	key_add_text(out, tenant, TENANT_MAX);
	key_add_byte(out, 0);
}

void registry_key_of_sender(struct text domain, struct text tenant, struct text login,
	struct text local, struct registry_key *out)
{
	registry_key_of_senders(domain, tenant, out);
	key_add_text(out, login, LOGIN_KEY_MAX);
	key_add_byte(out, 0);
	key_add_text(out, local, LOCAL_KEY_MAX);
}

void registry_key_of_due(
	int64_t at, struct text domain, struct text tenant, struct registry_key *out)
{
	out->len = 0;
	key_add_be64(out, (uint64_t)at);
	key_add_text(out, domain, DOMAIN_MAX);
	key_add_byte(out, 0);
	key_add_text(out, tenant, TENANT_MAX);
}

bool registry_key_read_due(struct text key, int64_t *at, struct text *domain, struct text *tenant)
{
	uint64_t value = 0;
	struct text rest;
	size_t end;

	if (key.len < 8)
		return false;
	for (size_t i = 0; i < 8; i++)
		value = value << 8 | (uint8_t)key.ptr[i];
	rest = text_tail(key, 8);
	end = text_find(rest, '\0');
	if (value > TIME_MAX || end == 0 || end > DOMAIN_MAX || end == rest.len)
		return false;
	*at = (int64_t)value;
	*domain = text_head(rest, end);
	*tenant = text_tail(rest, end + 1);
	return tenant_is_valid(*tenant);
}

void registry_key_of_login(struct text login, struct registry_key *out)
{
	out->len = 0;
	key_add_text(out, login, LOGIN_KEY_MAX);
}

void registry_key_of_number(uint64_t number, struct registry_key *out)
{
	out->len = 0;
	key_add_be64(out, number);
}

/* ---- values ---- */

/* Where an encoder writes; once something does not fit or is past its bound nothing does. */
struct writer {
	uint8_t *out;
	size_t len, cap;
	bool is_failed;
};

static size_t writer_end(const struct writer *writer)
{
	return writer->is_failed ? 0 : writer->len;
}

static bool has_room(struct writer *writer, size_t len)
{
	if (writer->cap - writer->len < len)
		writer->is_failed = true;
	return !writer->is_failed;
}

static void add_byte(struct writer *writer, uint8_t byte)
{
	if (has_room(writer, 1))
		writer->out[writer->len++] = byte;
}

static void add_time(struct writer *writer, int64_t at)
{
	if (at < 0 || at > TIME_MAX)
		writer->is_failed = true;
	if (!has_room(writer, 8))
		return;
	put_le64(writer->out + writer->len, (uint64_t)at);
	writer->len += 8;
}

static void add_varint(struct writer *writer, uint64_t value)
{
	uint8_t bytes[VARINT_MAX];
	size_t len = put_varint(bytes, value);

	if (!has_room(writer, len))
		return;
	memcpy(writer->out + writer->len, bytes, len);
	writer->len += len;
}

static void add_text(struct writer *writer, struct text text, size_t max)
{
	if (text.len > max)
		writer->is_failed = true;
	add_varint(writer, text.len);
	if (text.len == 0 || !has_room(writer, text.len))
		return;
	memcpy(writer->out + writer->len, text.ptr, text.len);
	writer->len += text.len;
}

static bool take_time(struct text *in, int64_t *out)
{
	uint64_t value;

	if (!take_le64(in, &value) || value > TIME_MAX)
		return false;
	*out = (int64_t)value;
	return true;
}

static bool take_u32(struct text *in, uint32_t *out)
{
	uint64_t value;

	if (!take_varint(in, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool is_token(struct text text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
			return false;
	}
	return text.len == 0 || text.len == CLAIM_TOKEN_LEN;
}

static bool claim_is_sound(const struct claim *claim)
{
	return claim->life.state > CLAIM_NONE && claim->life.state < CLAIM_STATES_ &&
	       (!claim->life.is_tombstone || claim_may_be_tombstone(claim->life.state)) &&
	       tenant_is_valid(claim->tenant) && is_token(claim->token) &&
	       is_token(claim->old_token);
}

size_t claim_encode(const struct claim *claim, uint8_t *out, size_t cap)
{
	struct writer writer = {.out = out, .cap = cap};
	const struct claim_life *life = &claim->life;

	if (!claim_is_sound(claim))
		return 0;
	add_byte(&writer, (uint8_t)(life->state | (life->is_tombstone ? TOMBSTONE : 0)));
	add_time(&writer, life->created_at);
	add_time(&writer, life->since);
	add_time(&writer, life->proved_at);
	add_time(&writer, life->checked_at);
	add_time(&writer, life->next_check);
	add_varint(&writer, life->looks);
	add_varint(&writer, claim->senders);
	add_varint(&writer, claim->senders_pending);
	add_text(&writer, claim->tenant, TENANT_MAX);
	add_text(&writer, claim->token, CLAIM_TOKEN_LEN);
	add_text(&writer, claim->old_token, CLAIM_TOKEN_LEN);
	add_text(&writer, claim->reason, CLAIM_REASON_MAX);
	add_text(&writer, claim->seen, CLAIM_SEEN_MAX);
	return writer_end(&writer);
}

static bool take_life(struct text *in, struct claim_life *out)
{
	uint8_t state;

	if (!take_byte(in, &state) || (state & ~TOMBSTONE) >= CLAIM_STATES_)
		return false;
	out->state = (enum claim_state)(state & ~TOMBSTONE);
	out->is_tombstone = state & TOMBSTONE;
	return take_time(in, &out->created_at) && take_time(in, &out->since) &&
	       take_time(in, &out->proved_at) && take_time(in, &out->checked_at) &&
	       take_time(in, &out->next_check) && take_u32(in, &out->looks);
}

enum lookup claim_decode(struct text *payload, struct claim *out)
{
	if (payload->len == 0)
		return LOOKUP_ABSENT;
	if (!take_life(payload, &out->life) || !take_u32(payload, &out->senders) ||
		!take_u32(payload, &out->senders_pending) ||
		!take_text(payload, TENANT_MAX, &out->tenant) ||
		!take_text(payload, CLAIM_TOKEN_LEN, &out->token) ||
		!take_text(payload, CLAIM_TOKEN_LEN, &out->old_token) ||
		!take_text(payload, CLAIM_REASON_MAX, &out->reason) ||
		!take_text(payload, CLAIM_SEEN_MAX, &out->seen) || !claim_is_sound(out))
		return LOOKUP_FAILED;
	return LOOKUP_FOUND;
}

size_t sender_entry_encode(const struct sender_entry *entry, uint8_t *out, size_t cap)
{
	struct writer writer = {.out = out, .cap = cap};

	if (entry->login.len == 0)
		return 0;
	add_byte(&writer, entry->is_pending ? SENDER_PENDING : 0);
	add_time(&writer, entry->added_at);
	add_text(&writer, entry->login, REGISTRY_LOGIN_MAX);
	add_text(&writer, entry->local, SENDER_MAX);
	add_text(&writer, entry->added_by, REGISTRY_ACTOR_MAX);
	return writer_end(&writer);
}

bool sender_entry_decode(struct text payload, struct sender_entry *out)
{
	uint8_t flags;

	if (!take_byte(&payload, &flags) || flags & ~SENDER_PENDING)
		return false;
	out->is_pending = flags & SENDER_PENDING;
	return take_time(&payload, &out->added_at) &&
	       take_text(&payload, REGISTRY_LOGIN_MAX, &out->login) && out->login.len > 0 &&
	       take_text(&payload, SENDER_MAX, &out->local) &&
	       take_text(&payload, REGISTRY_ACTOR_MAX, &out->added_by) && payload.len == 0;
}

size_t audit_entry_encode(const struct audit_entry *entry, uint8_t *out, size_t cap)
{
	struct writer writer = {.out = out, .cap = cap};

	add_byte(&writer, entry->is_state_change ? AUDIT_CHANGE : 0);
	add_time(&writer, entry->at);
	add_varint(&writer, entry->uid);
	add_text(&writer, entry->actor, REGISTRY_ACTOR_MAX);
	add_text(&writer, entry->action, AUDIT_ACTION_MAX);
	add_text(&writer, entry->domain, DOMAIN_MAX);
	add_text(&writer, entry->tenant, TENANT_MAX);
	add_text(&writer, entry->before, AUDIT_STATE_MAX);
	add_text(&writer, entry->after, AUDIT_STATE_MAX);
	add_text(&writer, entry->detail, AUDIT_DETAIL_MAX);
	return writer_end(&writer);
}

bool audit_entry_decode(struct text payload, struct audit_entry *out)
{
	uint8_t flags;

	if (!take_byte(&payload, &flags) || flags & ~AUDIT_CHANGE)
		return false;
	out->number = 0;
	out->is_state_change = flags & AUDIT_CHANGE;
	return take_time(&payload, &out->at) && take_u32(&payload, &out->uid) &&
	       take_text(&payload, REGISTRY_ACTOR_MAX, &out->actor) &&
	       take_text(&payload, AUDIT_ACTION_MAX, &out->action) &&
	       take_text(&payload, DOMAIN_MAX, &out->domain) &&
	       take_text(&payload, TENANT_MAX, &out->tenant) &&
	       take_text(&payload, AUDIT_STATE_MAX, &out->before) &&
	       take_text(&payload, AUDIT_STATE_MAX, &out->after) &&
	       take_text(&payload, AUDIT_DETAIL_MAX, &out->detail) && payload.len == 0;
}

size_t list_entry_encode(struct text login, struct text value, uint8_t *out, size_t cap)
{
	struct writer writer = {.out = out, .cap = cap};

	if (login.len == 0)
		return 0;
	add_text(&writer, login, REGISTRY_LOGIN_MAX);
	add_text(&writer, value, TENANT_MAX);
	return writer_end(&writer);
}

bool list_entry_decode(struct text payload, struct text *login, struct text *value)
{
	return take_text(&payload, REGISTRY_LOGIN_MAX, login) && login->len > 0 &&
	       take_text(&payload, TENANT_MAX, value) && payload.len == 0;
}

/*
 * The bytes of the ownership register: claims, senders of a domain, tenants, accounts, audit lines.
 *
 *   claims    key domain                            value: all claims on it, one after the other
 *   senders   key domain 0 tenant 0 login 0 local   value: struct sender_entry
 *   due       key be64 next_check, domain 0 tenant  value: empty
 *   tenants   key login, or @login-domain           value: the same as text, tenant
 *   accounts  key login                             value: the same as text, empty text
 *   audit     key be64 number                       value: struct audit_entry
 *
 * domain: canonical A-label (at most DOMAIN_MAX). tenant: as typed (tenant_is_valid). login:
 * canonical (address_login's full) or `@` and a canonical domain; over 120 bytes: 0xff and its
 * 128-bit hash, the text in the value. local: canonical local part, empty for the whole domain; over
 * 64 bytes likewise. A domain or tenant past its bound is hashed too, and so names nothing. Every
 * value begins with the header of seal.h: version, flags, checksum over key and payload.
 *
 *   claim     state(1, 0x80 added: is_tombstone), created_at since proved_at checked_at next_check
 *             (8 each), varint looks senders senders_pending, texts tenant token old_token reason
 *             seen
 *   sender    flags(1) added_at(8) texts login local added_by
 *   audit     flags(1) at(8) varint uid, texts actor action domain tenant before after detail
 *
 * Numbers are little-endian, a text is its varint length and its bytes. Pure. Nothing is believed
 * unchecked: bytes that no encoder wrote are LOOKUP_FAILED or false.
 */
#ifndef POLICY_CORE_REGISTRY_CODEC_H
#define POLICY_CORE_REGISTRY_CODEC_H

#include "policy/core/address.h"
#include "policy/core/claim.h"

#define REGISTRY_VERSION   1
#define REGISTRY_KEY_MAX   511
#define REGISTRY_CLAIM_MAX 1024 /* bytes of one claim, encoded */
#define REGISTRY_ACTOR_MAX 64

/* One claim. Texts are borrowed. */
struct claim {
	struct text tenant;
	struct claim_life life;
	struct text token;     /* CLAIM_TOKEN_LEN, or empty (hosted, pinned without a challenge) */
	struct text old_token; /* of an earlier claim, or empty */
	struct text reason;    /* why it is in its state: a sentence */
	struct text seen;      /* what the DNS showed at the last look, escaped for people */
	uint32_t senders, senders_pending; /* entries of `domain allow`: approved, not yet */
};

/* Appends one claim. Returns the bytes, 0 when it would pass cap or a text is too long or not what
 * it should be; REGISTRY_CLAIM_MAX always suffices. */
size_t claim_encode(const struct claim *claim, uint8_t *out, size_t cap);
/* Takes the next claim off a payload. FOUND, ABSENT (none left), FAILED. */
enum lookup claim_decode(struct text *payload, struct claim *out);

/* One login that may use a domain, or one address of it. */
struct sender_entry {
	struct text login; /* canonical, or @login-domain */
	struct text local; /* canonical local part; empty: every address of the domain */
	bool is_pending;   /* not in force until approved */
	int64_t added_at;
	struct text added_by;
};

#define REGISTRY_LOGIN_MAX (LOGIN_MAX + DOMAIN_MAX + 1)
#define SENDER_ENTRY_MAX   (REGISTRY_LOGIN_MAX + SENDER_MAX + REGISTRY_ACTOR_MAX + 32)
#define LIST_ENTRY_MAX     (REGISTRY_LOGIN_MAX + TENANT_MAX + 16)

/* Who did what to whom. */
struct audit_entry {
	uint64_t number;            /* of the key */
	int64_t at;                 /* Unix seconds */
	uint32_t uid;               /* AUDIT_UID_POLICYD: the daemon itself */
	struct text actor;          /* login name of uid, or "policyd" */
	struct text action;         /* "domain add", "re-check", "load" */
	struct text domain, tenant; /* may be empty */
	struct text before, after;  /* states, counts; may be empty */
	struct text detail;         /* the reason, a sentence; may be empty */
	bool is_state_change;       /* of a claim: what the hook is told */
};
#define AUDIT_UID_POLICYD UINT32_MAX
#define AUDIT_ACTION_MAX  64  /* bytes */
#define AUDIT_STATE_MAX   256 /* of before and after each */
#define AUDIT_DETAIL_MAX  1024
#define AUDIT_ENTRY_MAX   2048

struct registry_key {
	size_t len;
	uint8_t bytes[REGISTRY_KEY_MAX];
};

void registry_key_of_domain(struct text domain, struct registry_key *out);
/* The prefix of all senders of a domain; of a tenant's there; empty with an empty domain. */
void registry_key_of_senders(struct text domain, struct text tenant, struct registry_key *out);
/* local empty: the entry for the whole domain, and the prefix of all entries of the login. */
void registry_key_of_sender(struct text domain, struct text tenant, struct text login,
	struct text local, struct registry_key *out);
/* at: not negative. */
void registry_key_of_due(
	int64_t at, struct text domain, struct text tenant, struct registry_key *out);
POLICY_CHECKED bool registry_key_read_due(
	struct text key, int64_t *at, struct text *domain, struct text *tenant);
/* A login or @login-domain, as tenants and accounts are kept. */
void registry_key_of_login(struct text login, struct registry_key *out);
void registry_key_of_number(uint64_t number, struct registry_key *out);

/* Encoders return the bytes, 0 when they would pass cap or what is encoded is past a bound above.
 * Decoders take a whole payload; texts are borrowed from it. */
size_t sender_entry_encode(const struct sender_entry *entry, uint8_t *out, size_t cap);
POLICY_CHECKED bool sender_entry_decode(struct text payload, struct sender_entry *out);
/* `number` is the key's: not in the value, 0 when decoded. */
size_t audit_entry_encode(const struct audit_entry *entry, uint8_t *out, size_t cap);
POLICY_CHECKED bool audit_entry_decode(struct text payload, struct audit_entry *out);
/* A line of tenants (value: the tenant) or of accounts (value: empty). */
size_t list_entry_encode(struct text login, struct text value, uint8_t *out, size_t cap);
POLICY_CHECKED bool list_entry_decode(struct text payload, struct text *login, struct text *value);

#endif

/*
 * The bytes of the authorization table: row keys, row values, member rows, domain records.
 *
 * Key:
 *   domain 0x00 kind local                   a row: all that one pattern says (enum pattern_kind)
 *   domain 0x00 kind local 0x00 0x01 owner   a member: one owner of a row with too many for a value
 *   domain 0x00 0x01                         the domain record: its rows of each kind, counted
 *   A domain over DOMAIN_MAX, a local over 180, an owner over 48 bytes is 0xff and its 128-bit hash.
 *   So the rows of a domain lie side by side, its record first, a row's members right behind it.
 *
 * Value: the header of seal.h, payload
 *
 * Payload:
 *   row, member     entries one after the other, sorted by (owner key, pattern, owner):
 *                     eflags(1)
 *                     [pattern: varint length, bytes; left out when the same as the entry before]
 *                     owner: varint length, bytes
 *                     [expires: 8 bytes] [comment: varint length, bytes]
 *   row, SPILLED    varint number of entries (they are in the members), then their summary in the
 *                   form of entries, for a question without a login: for each pattern as typed, in
 *                   the order of bytes, `*` with the last end of its allow entries and `!*` with
 *                   that of its deny entries, where it has any
 *   domain record   varint rows of kind 2, 3, 4, 5
 *
 * Pure. Nothing is believed unchecked: a value that fails is LOOKUP_FAILED for its reader.
 */
#ifndef POLICY_CORE_AUTHZ_CODEC_H
#define POLICY_CORE_AUTHZ_CODEC_H

#include "policy/core/expires.h"
#include "policy/core/pattern.h"
#include "policy/core/seal.h"

#define ROW_KEY_MAX      511
#define ROW_INLINE_MAX   1024 /* bytes of a value; longer: SPILLED */
#define ROW_COMMENT_MAX  1024 /* bytes of a comment */
#define ROW_ENTRY_MAX    (PATTERN_MAX + OWNER_MAX + ROW_COMMENT_MAX + 32)
#define ROW_VERSION      1
#define ROW_HEADER_SIZE  SEAL_SIZE
#define ROW_FLAG_SPILLED 1
#define DOMAIN_GLOBS_MAX 256 /* glob rows of one domain: a decision looks at each */

struct row_key {
	size_t len;
	uint8_t bytes[ROW_KEY_MAX];
};

/* One pair of the table as typed. Texts are borrowed. */
struct row_entry {
	struct text pattern;
	struct text owner;
	struct expires expires;
	struct text comment;
};

struct domain_counts {
	uint64_t of_kind[PATTERN_EXACT +
			 1]; /* indexed by enum pattern_kind; rows (patterns), not pairs */
};

void row_key_of(enum pattern_kind kind, struct text domain, struct text local, struct row_key *out);
void row_key_of_domain(struct text domain, struct row_key *out);
/* The prefix that all rows of one kind of a domain share (for scanning its globs). */
void row_key_of_kind(enum pattern_kind kind, struct text domain, struct row_key *out);
/* Appends the member part to a row's key. */
void row_key_add_member(struct row_key *key, struct text owner_key);
/* Whether a row's key holds a hash in place of one of these: what it is must be read off its
 * entries then. */
bool row_key_is_hashed(struct text domain, struct text local);
/* How many bytes of any key of the table are its domain (as text or hash). */
size_t row_key_domain_len(struct text key);

/* What a stored key is. */
enum row_class { ROW_CLASS_ROW, ROW_CLASS_MEMBER, ROW_CLASS_DOMAIN, ROW_CLASS_UNKNOWN };
enum row_class row_key_class(const uint8_t *key, size_t len, enum pattern_kind *kind);

/* Checks version and checksum of a stored value. True: *payload and *flags are set. */
POLICY_CHECKED bool row_value_open(
	struct text key, struct text value, struct text *payload, uint8_t *flags);

/* Writes the header in front of a payload that stands at value + ROW_HEADER_SIZE. */
void row_value_seal(struct text key, uint8_t flags, uint8_t *value, size_t payload_len);

/* Appends one entry to a payload buffer; `previous` (or NULL) is the entry before it. Returns the
 * bytes added, 0 when it would pass cap. */
size_t row_entry_encode(
	const struct row_entry *entry, const struct row_entry *previous, uint8_t *out, size_t cap);

/* Takes the next entry off *payload. FOUND: *entry is set (texts borrowed from the payload; it must
 * hold the entry before, zeroed for the first). ABSENT: none left. FAILED: bytes that no encoder
 * wrote. */
enum lookup row_entry_decode(struct text *payload, struct row_entry *entry);

size_t domain_counts_encode(const struct domain_counts *counts, uint8_t *out, size_t cap);
POLICY_CHECKED bool domain_counts_decode(struct text payload, struct domain_counts *out);
/* *summary: the entries behind the count. */
POLICY_CHECKED bool spilled_count_decode(
	struct text payload, uint64_t *count, struct text *summary);
size_t spilled_count_encode(uint64_t count, uint8_t *out, size_t cap);

/* 64-bit digest of one pair as typed; a generation's digest is the sum of them, so order does not
 * matter and a merge can keep it current. */
uint64_t row_entry_digest(const struct row_entry *entry);

/* What a row says about one login, read off its entries: the fact the decision works with. */
struct row_fact {
	bool named;     /* some entry counts for this question, be it expired or a deny */
	bool has_allow; /* ... and one of them is an allow that never ends or ends at allow_until */
	int64_t allow_until; /* of every allow entry, whoever owns it: the last end; INT64_MAX for
				ever */
	int64_t until[OWNER_KINDS]
		     [2]; /* [rank][deny]: the last end of entries for this login; 0 none */
};

/* Which entries of a row count, and for whom. */
enum row_filter_mode {
	FILTER_ALL,  /* union: every entry */
	FILTER_KEEP, /* union with local_part = keep: allow entries only where the typed local part
			is (glob: matches) `want` */
	FILTER_LITERAL, /* first-hit: entries whose folded pattern is `want`; owners are literal */
};

struct row_question {
	const struct unicode_ops *ops;
	const struct login *login; /* NULL: nobody is logged in; only named, has_allow and
				      allow_until are filled */
	enum row_filter_mode mode;
	struct text want;
	size_t want_base_len; /* is_glob: of want, the bytes before the extension */
	bool is_glob; /* FILTER_KEEP: `want` is matched by the typed glob instead of compared */
};

/* Adds what `payload` (entries) says to *fact, which starts zeroed. FAILED: damaged bytes. FOUND
 * otherwise, also when no entry counts (fact->named tells). */
enum lookup row_read(
	struct text payload, const struct row_question *question, struct row_fact *fact);

#endif

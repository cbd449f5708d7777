/*
 * Any bytes as a key and a value of the table: length of the key (1 byte), key, value.
 *
 * What holds: what decodes encodes to the same bytes, within the bounds of the header; what is
 * sealed opens again; a row is read in every mode without leaving its bytes, and says nothing that
 * no entry could have said.
 */
#include <stdlib.h>

#include "policy/core/authz_codec.h"
#include "policy/data/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_key(struct text key)
{
	enum pattern_kind kind = PATTERN_EXACT;
	enum row_class class = row_key_class((const uint8_t *)key.ptr, key.len, &kind);

	must(row_key_domain_len(key) <= key.len);
	must(class == ROW_CLASS_UNKNOWN || row_key_domain_len(key) + 2 <= key.len);
	must(kind >= PATTERN_DOMAIN && kind <= PATTERN_EXACT);
}

static void check_value(struct text key, struct text value)
{
	static uint8_t sealed[1 << 16];
	struct text payload;
	uint8_t flags;

	if (value.len + ROW_HEADER_SIZE > sizeof(sealed))
		return;
	if (row_value_open(key, value, &payload, &flags))
		must(payload.len + ROW_HEADER_SIZE == value.len);
	if (value.len > 0)
		memcpy(sealed + ROW_HEADER_SIZE, value.ptr, value.len);
	row_value_seal(key, 1, sealed, value.len);
	must(row_value_open(key, (struct text){(const char *)sealed, value.len + ROW_HEADER_SIZE},
		&payload, &flags));
	must(flags == 1 && text_equal(payload, value));
}

static void check_entries(struct text payload)
{
	static uint8_t again[ROW_ENTRY_MAX];
	struct row_entry entry = {0}, before = {0};

	for (bool is_first = true;; is_first = false) {
		const char *from = payload.ptr;
		size_t len;

		if (row_entry_decode(&payload, &entry) != LOOKUP_FOUND)
			return;
		must(entry.pattern.len > 0 && entry.pattern.len <= PATTERN_MAX);
		must(entry.owner.len > 0 && entry.owner.len <= OWNER_MAX);
		must(entry.comment.len <= ROW_COMMENT_MAX);
		len = row_entry_encode(&entry, is_first ? NULL : &before, again, sizeof(again));
		must(len == (size_t)(payload.ptr - from) && memcmp(again, from, len) == 0);
		(void)row_entry_digest(&entry);
		before = entry;
	}
}

static void check_counts(struct text payload)
{
	struct domain_counts counts;
	uint8_t again[64];
	struct text summary;
	uint64_t count;
	size_t len;

	if (domain_counts_decode(payload, &counts)) {
		len = domain_counts_encode(&counts, again, sizeof(again));
		must(text_equal(payload, (struct text){(const char *)again, len}));
	}
	if (spilled_count_decode(payload, &count, &summary)) {
		len = spilled_count_encode(count, again, sizeof(again));
		must(len + summary.len == payload.len && memcmp(again, payload.ptr, len) == 0);
	}
}

static void check_read(struct text payload, const struct login *login)
{
	struct row_question question = {.ops = &unicode_ops, .login = login, .want = TEXT("joe")};

	for (int mode = FILTER_ALL; mode <= FILTER_LITERAL; mode++) {
		for (int is_glob = 0; is_glob < 2; is_glob++) {
			struct row_fact fact = {0};

			question.mode = (enum row_filter_mode)mode;
			question.is_glob = is_glob;
			if (row_read(payload, &question, &fact) == LOOKUP_FAILED)
				continue;
			must(fact.named || !fact.has_allow);
			must(login || fact.until[OWNER_LOGIN][0] == 0);
			for (int kind = OWNER_ANY; kind <= OWNER_LOGIN; kind++)
				must(fact.until[kind][false] <= 0 || fact.has_allow);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct login login;
	struct text key, value;

	if (size == 0 || size - 1 < data[0])
		return 0;
	key = (struct text){(const char *)data + 1, data[0]};
	value = text_tail((struct text){(const char *)data, size}, 1 + (size_t)data[0]);
	must(address_login(&unicode_ops, TEXT("alice@x.example"), (struct text){0}, &login));
	check_key(key);
	check_value(key, value);
	check_entries(value);
	check_counts(value);
	check_read(value, &login);
	check_read(value, NULL);
	return 0;
}

/*
 * The bytes of the register: what is encoded decodes to the same, nothing else decodes, and the
 * keys lie in the order that the look-ups need.
 */
#include "policy/core/registry_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TOKEN        "abcdefghijklmnopqrstuvwxyz234567"
#define OLD          "gezdgnbvgy3tqojqgezdgnbvgy3tqojq"
#define TIME_MAX     (INT64_MAX / 4)

static char long_text[LOGIN_MAX + DOMAIN_MAX + 2];

static struct text longest(size_t len)
{
	memset(long_text, 'x', sizeof(long_text));
	assert_true(len <= sizeof(long_text));
	return (struct text){long_text, len};
}

static struct claim make_claim(void)
{
	return (struct claim){
		.tenant = TEXT("acme"),
		.life = {.state = CLAIM_GRACE,
			.created_at = 1,
			.since = 2,
			.proved_at = 3,
			.checked_at = 4,
			.next_check = TIME_MAX,
			.looks = UINT32_MAX},
		.token = TEXT(TOKEN),
		.old_token = TEXT(OLD),
		.reason = TEXT("no TXT record"),
		.seen = TEXT("v=spf1 -all"),
		.senders = 7,
		.senders_pending = UINT32_MAX,
	};
}

static void assert_same_claim(const struct claim *a, const struct claim *b)
{
	assert_int_equal(a->life.state, b->life.state);
	assert_int_equal(a->life.is_tombstone, b->life.is_tombstone);
	assert_int_equal(a->life.created_at, b->life.created_at);
	assert_int_equal(a->life.since, b->life.since);
	assert_int_equal(a->life.proved_at, b->life.proved_at);
	assert_int_equal(a->life.checked_at, b->life.checked_at);
	assert_int_equal(a->life.next_check, b->life.next_check);
	assert_int_equal(a->life.looks, b->life.looks);
	assert_int_equal(a->senders, b->senders);
	assert_int_equal(a->senders_pending, b->senders_pending);
	assert_true(text_equal(a->tenant, b->tenant) && text_equal(a->token, b->token));
	assert_true(text_equal(a->old_token, b->old_token));
	assert_true(text_equal(a->reason, b->reason) && text_equal(a->seen, b->seen));
}

static void claims_come_back(void **state)
{
	static uint8_t bytes[3 * REGISTRY_CLAIM_MAX];
	struct claim claims[3] = {make_claim(), make_claim(), make_claim()}, got;
	size_t len = 0;
	struct text payload;

	(void)state;
	claims[1] = (struct claim){.tenant = TEXT("b"), .life.state = CLAIM_HOSTED};
	claims[2].life.state = CLAIM_EXPIRED;
	claims[2].life.is_tombstone = true;
	claims[2].tenant = longest(TENANT_MAX);
	claims[2].reason = longest(CLAIM_REASON_MAX);
	claims[2].seen = longest(CLAIM_SEEN_MAX);
	for (size_t i = 0; i < 3; i++) {
		size_t one = claim_encode(&claims[i], bytes + len, sizeof(bytes) - len);

		assert_true(one > 0 && one <= REGISTRY_CLAIM_MAX);
		len += one;
	}
	payload = (struct text){(const char *)bytes, len};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(claim_decode(&payload, &got), LOOKUP_FOUND);
		assert_same_claim(&got, &claims[i]);
	}
	assert_int_equal(claim_decode(&payload, &got), LOOKUP_ABSENT);
}

static void no_unsound_claim_is_written(void **state)
{
	uint8_t bytes[REGISTRY_CLAIM_MAX];
	struct claim bad[13];
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		bad[i] = make_claim();
	len = claim_encode(&bad[0], bytes, sizeof(bytes));
	assert_int_equal(claim_encode(&bad[0], bytes, len), len);
	assert_int_equal(claim_encode(&bad[0], bytes, len - 1), 0);
	bad[0].life.state = CLAIM_NONE;
	bad[1].life.state = CLAIM_STATES_;
	bad[2].tenant = TEXT("");
	bad[3].tenant = TEXT("a b");
	bad[4].tenant = longest(TENANT_MAX + 1);
	bad[5].token = TEXT("abc");
	bad[6].token = TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
	bad[7].old_token = TEXT("abcdefghijklmnopqrstuvwxyz234561");
	bad[8].reason = longest(CLAIM_REASON_MAX + 1);
	bad[9].seen = longest(CLAIM_SEEN_MAX + 1);
	bad[10].life.since = -1;
	bad[11].life.next_check = TIME_MAX + 1;
	bad[12].life.is_tombstone = true; /* in grace, it is in force */
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(claim_encode(&bad[i], bytes, sizeof(bytes)), 0);
}

/* Whatever decodes encodes to the same bytes; a payload cut anywhere does not decode. */
static void damaged_claims_do_not_decode(void **state)
{
	uint8_t bytes[REGISTRY_CLAIM_MAX], again[REGISTRY_CLAIM_MAX];
	struct claim claim = make_claim(), got;
	size_t len = claim_encode(&claim, bytes, sizeof(bytes));

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		struct text payload = {(const char *)bytes, cut};
		assert_int_equal(claim_decode(&payload, &got), LOOKUP_FAILED);
	}
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct text payload = {(const char *)bytes, len};

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (claim_decode(&payload, &got) == LOOKUP_FOUND) {
			size_t used = len - payload.len;
			assert_int_equal(claim_encode(&got, again, sizeof(again)), used);
			assert_memory_equal(bytes, again, used);
		}
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void check_sender(const struct sender_entry *entry)
{
	static uint8_t bytes[SENDER_ENTRY_MAX + 1];
	size_t len = sender_entry_encode(entry, bytes, SENDER_ENTRY_MAX);
	struct sender_entry got;

	assert_true(len > 0);
	assert_true(sender_entry_decode((struct text){(const char *)bytes, len}, &got));
	assert_true(text_equal(got.login, entry->login) && text_equal(got.local, entry->local));
	assert_true(text_equal(got.added_by, entry->added_by));
	assert_int_equal(got.is_pending, entry->is_pending);
	assert_int_equal(got.added_at, entry->added_at);
	assert_int_equal(sender_entry_encode(entry, bytes, len - 1), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_false(sender_entry_decode((struct text){(const char *)bytes, cut}, &got));
	bytes[len] = 0;
	assert_false(sender_entry_decode((struct text){(const char *)bytes, len + 1}, &got));
	bytes[0] |= 2;
	assert_false(sender_entry_decode((struct text){(const char *)bytes, len}, &got));
}

static void senders_come_back(void **state)
{
	uint8_t bytes[SENDER_ENTRY_MAX];
	struct sender_entry entry = {.login = TEXT("@acme.example"), .added_by = TEXT("root")};

	(void)state;
	check_sender(&entry);
	entry = (struct sender_entry){.login = TEXT("joe@acme.example"),
		.local = TEXT("billing"),
		.is_pending = true,
		.added_at = TIME_MAX,
		.added_by = TEXT("policyd")};
	check_sender(&entry);
	entry.login = longest(REGISTRY_LOGIN_MAX);
	entry.local = longest(SENDER_MAX);
	check_sender(&entry);
	entry.login.len++;
	assert_int_equal(sender_entry_encode(&entry, bytes, sizeof(bytes)), 0);
	entry.login.len = 0;
	assert_int_equal(sender_entry_encode(&entry, bytes, sizeof(bytes)), 0);
	entry.login = TEXT("joe");
	entry.local.len++;
	assert_int_equal(sender_entry_encode(&entry, bytes, sizeof(bytes)), 0);
}

static struct audit_entry make_audit(void)
{
	return (struct audit_entry){.number = 5,
		.at = 1800000000,
		.uid = AUDIT_UID_POLICYD,
		.actor = longest(REGISTRY_ACTOR_MAX),
		.action = longest(AUDIT_ACTION_MAX),
		.domain = longest(DOMAIN_MAX),
		.tenant = longest(TENANT_MAX),
		.before = longest(AUDIT_STATE_MAX),
		.after = longest(AUDIT_STATE_MAX),
		.detail = longest(AUDIT_DETAIL_MAX),
		.is_state_change = true};
}

static void audit_lines_come_back(void **state)
{
	uint8_t bytes[AUDIT_ENTRY_MAX + 1];
	struct audit_entry entry = make_audit(), got;
	size_t len = audit_entry_encode(&entry, bytes, AUDIT_ENTRY_MAX);

	(void)state;
	assert_true(len > 0 && len <= AUDIT_ENTRY_MAX);
	assert_true(audit_entry_decode((struct text){(const char *)bytes, len}, &got));
	assert_true(got.at == entry.at && got.uid == entry.uid && got.is_state_change);
	assert_true(text_equal(got.actor, entry.actor) && text_equal(got.action, entry.action));
	assert_true(text_equal(got.domain, entry.domain) && text_equal(got.tenant, entry.tenant));
	assert_true(text_equal(got.before, entry.before) && text_equal(got.after, entry.after));
	assert_true(text_equal(got.detail, entry.detail));
	for (size_t cut = 0; cut < len; cut++)
		assert_false(audit_entry_decode((struct text){(const char *)bytes, cut}, &got));
	bytes[len] = 0;
	assert_false(audit_entry_decode((struct text){(const char *)bytes, len + 1}, &got));
	entry.detail.len++;
	assert_int_equal(audit_entry_encode(&entry, bytes, sizeof(bytes)), 0);
	entry = (struct audit_entry){.action = TEXT("load")};
	len = audit_entry_encode(&entry, bytes, sizeof(bytes));
	assert_true(audit_entry_decode((struct text){(const char *)bytes, len}, &got));
	assert_true(!got.is_state_change && got.uid == 0 && got.domain.len == 0);
}

static void list_lines_come_back(void **state)
{
	static uint8_t bytes[LIST_ENTRY_MAX];
	struct text login, value;
	size_t len =
		list_entry_encode(longest(REGISTRY_LOGIN_MAX), TEXT("acme"), bytes, sizeof(bytes));

	(void)state;
	assert_true(list_entry_decode((struct text){(const char *)bytes, len}, &login, &value));
	assert_true(text_equal(login, longest(REGISTRY_LOGIN_MAX)));
	assert_true(text_equal(value, TEXT("acme")));
	assert_false(
		list_entry_decode((struct text){(const char *)bytes, len - 1}, &login, &value));
	len = list_entry_encode(TEXT("joe"), TEXT(""), bytes, sizeof(bytes));
	assert_true(list_entry_decode((struct text){(const char *)bytes, len}, &login, &value));
	assert_true(text_equal(login, TEXT("joe")) && value.len == 0);
	assert_int_equal(list_entry_encode(TEXT(""), TEXT("t"), bytes, sizeof(bytes)), 0);
	assert_int_equal(
		list_entry_encode(longest(REGISTRY_LOGIN_MAX + 1), TEXT("t"), bytes, sizeof(bytes)),
		0);
}

static struct text text_of_key(const struct registry_key *key)
{
	return (struct text){(const char *)key->bytes, key->len};
}

static bool key_begins(const struct registry_key *key, const struct registry_key *prefix)
{
	return key->len >= prefix->len && memcmp(key->bytes, prefix->bytes, prefix->len) == 0;
}

static void keys_are_as_drawn(void **state)
{
	struct registry_key key;

	(void)state;
	registry_key_of_domain(TEXT("x.example"), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("x.example")));
	registry_key_of_sender(
		TEXT("x.example"), TEXT("t"), TEXT("joe@y.example"), TEXT("info"), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("x.example\0t\0joe@y.example\0info")));
	registry_key_of_sender(TEXT("x.example"), TEXT("t"), TEXT("@y"), TEXT(""), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("x.example\0t\0@y\0")));
	registry_key_of_senders(TEXT("x.example"), TEXT(""), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("x.example\0")));
	registry_key_of_senders(TEXT("x.example"), TEXT("t"), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("x.example\0t\0")));
	registry_key_of_senders(TEXT(""), TEXT(""), &key);
	assert_int_equal(key.len, 0);
	registry_key_of_due(0x0102030405060708, TEXT("x.example"), TEXT("t"), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("\1\2\3\4\5\6\7\10x.example\0t")));
	registry_key_of_number(UINT64_MAX - 1, &key);
	assert_true(text_equal(text_of_key(&key), TEXT("\377\377\377\377\377\377\377\376")));
	registry_key_of_login(TEXT("@y.example"), &key);
	assert_true(text_equal(text_of_key(&key), TEXT("@y.example")));
}

/* The senders of a domain are no prefix of those of another one, nor those of a tenant. */
static void prefixes_end_where_they_should(void **state)
{
	struct registry_key domain, tenant, key;

	(void)state;
	registry_key_of_senders(TEXT("x.example"), TEXT(""), &domain);
	registry_key_of_senders(TEXT("x.example"), TEXT("t"), &tenant);
	registry_key_of_sender(TEXT("x.example"), TEXT("t"), TEXT("a"), TEXT(""), &key);
	assert_true(key_begins(&key, &domain) && key_begins(&key, &tenant));
	registry_key_of_sender(TEXT("x.example"), TEXT("t2"), TEXT("a"), TEXT(""), &key);
	assert_true(key_begins(&key, &domain) && !key_begins(&key, &tenant));
	registry_key_of_sender(TEXT("x.example2"), TEXT("t"), TEXT("a"), TEXT(""), &key);
	assert_false(key_begins(&key, &domain));
}

/* The longest of everything fits, and texts that are hashed differ as they did before. */
static void long_texts_are_hashed(void **state)
{
	struct registry_key key, other;
	char login[121];

	(void)state;
	registry_key_of_sender(
		longest(DOMAIN_MAX), longest(TENANT_MAX), longest(120), longest(64), &key);
	assert_int_equal(key.len, DOMAIN_MAX + 1 + TENANT_MAX + 1 + 120 + 1 + 64);
	registry_key_of_sender(TEXT("d"), TEXT("t"), longest(121), longest(65), &key);
	assert_int_equal(key.len, 1 + 1 + 1 + 1 + 17 + 1 + 17);
	assert_int_equal(key.bytes[4], 0xff);
	registry_key_of_login(longest(120), &key);
	assert_int_equal(key.len, 120);
	registry_key_of_login(longest(121), &key);
	memset(login, 'x', sizeof(login));
	login[120] = 'y';
	registry_key_of_login((struct text){login, sizeof(login)}, &other);
	assert_true(key.len == 17 && other.len == 17);
	assert_memory_not_equal(key.bytes, other.bytes, 17);
	registry_key_of_domain(longest(DOMAIN_MAX + 1), &key);
	assert_int_equal(key.len, 17);
	registry_key_of_due(1, longest(DOMAIN_MAX + 1), longest(TENANT_MAX + 1), &key);
	assert_int_equal(key.len, 8 + 17 + 1 + 17);
}

static void due_keys_lie_in_order_of_time(void **state)
{
	static const int64_t times[] = {
		0, 1, 255, 256, 65535, 1800000000, INT64_C(1) << 40, TIME_MAX};
	struct registry_key before = {0}, key;
	struct text domain, tenant;
	int64_t at;

	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		registry_key_of_due(
			times[i], i % 2 ? TEXT("a") : TEXT("z.example"), TEXT("acme"), &key);
		assert_true(i == 0 || memcmp(before.bytes, key.bytes, 8) < 0);
		assert_true(registry_key_read_due(text_of_key(&key), &at, &domain, &tenant));
		assert_int_equal(at, times[i]);
		assert_true(text_equal(domain, i % 2 ? TEXT("a") : TEXT("z.example")));
		assert_true(text_equal(tenant, TEXT("acme")));
		before = key;
	}
}

static void other_due_keys_are_refused(void **state)
{
	static const struct text bad[] = {{"", 0}, {"\0\0\0\0\0\0\0", 7}, {"\0\0\0\0\0\0\0\1", 8},
		{"\0\0\0\0\0\0\0\1d", 9}, {"\0\0\0\0\0\0\0\1d\0", 10}, {"\0\0\0\0\0\0\0\1\0t", 10},
		{"\0\0\0\0\0\0\0\1d\0t\0", 12}, {"\0\0\0\0\0\0\0\1d\0t t", 13},
		{"\377\0\0\0\0\0\0\1d\0t", 11}};
	struct text domain, tenant;
	int64_t at;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(registry_key_read_due(bad[i], &at, &domain, &tenant));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims_come_back),
		cmocka_unit_test(no_unsound_claim_is_written),
		cmocka_unit_test(damaged_claims_do_not_decode),
		cmocka_unit_test(senders_come_back),
		cmocka_unit_test(audit_lines_come_back),
		cmocka_unit_test(list_lines_come_back),
		cmocka_unit_test(keys_are_as_drawn),
		cmocka_unit_test(prefixes_end_where_they_should),
		cmocka_unit_test(long_texts_are_hashed),
		cmocka_unit_test(due_keys_lie_in_order_of_time),
		cmocka_unit_test(other_due_keys_are_refused),
	};

	return cmocka_run_group_tests_name("registry codec", tests, NULL, NULL);
}

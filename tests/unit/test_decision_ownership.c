/*
 * What the decision makes of a register's fact that contradicts itself: an entry of a claim that is
 * not in force, a holder without a name, a state without a claim. Never an allow. And what explain
 * is told.
 */
#include "policy/core/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct settings plain = {.states = 1U << STATE_RCPT,
	.recipient_delimiter = {"+", 1},
	.ownership = OWNERSHIP_CLAIMED};

struct told {
	char text[4096];
};

static void on_note(void *ctx, const char *step, const char *text)
{
	struct told *told = ctx;
	size_t len = strlen(told->text);

	if (strcmp(step, "register") == 0)
		snprintf(told->text + len, sizeof(told->text) - len, "%s\n", text);
}

/* Up to the question to the register, with a table that holds one row of every login, or none. */
static struct decision *ask(
	const struct settings *settings, bool has_row, const struct trace *trace)
{
	static struct decision decision;
	static struct table_facts facts;
	struct request request = {0};

	request.attr[ATTR_REQUEST] = TEXT("smtpd_access_policy");
	request.attr[ATTR_PROTOCOL_STATE] = TEXT("RCPT");
	request.attr[ATTR_SASL_USERNAME] = TEXT("carol@x.example");
	request.attr[ATTR_SENDER] = TEXT("a+b@d.example");
	assert_int_equal(decision_start(&decision, settings, &request, 1, trace), NEED_TABLE);
	facts = (struct table_facts){.table = LOOKUP_FOUND, .count = has_row};
	facts.facts[0] = (struct table_fact){.status = LOOKUP_FOUND};
	facts.facts[0].row.named = true;
	facts.facts[0].row.until[OWNER_ANY][false] = INT64_MAX;
	assert_int_equal(decision_give_table(&decision, &facts), NEED_OWNERSHIP);
	return &decision;
}

static void expect(bool has_row, struct ownership_fact fact, enum reason reason)
{
	struct decision *decision = ask(&plain, has_row, NULL);

	assert_int_equal(decision_give_ownership(decision, &fact), NEED_NOTHING);
	assert_string_equal(reason_name(decision->verdict.reason), reason_name(reason));
}

static void test_what_is_asked(void **state)
{
	const struct ownership_question *asked;

	(void)state;
	asked = &ask(&plain, false, NULL)->ownership;
	assert_true(text_equal(asked->domain, TEXT("d.example")));
	assert_true(text_equal(asked->local, TEXT("a+b")));
	assert_true(text_equal(asked->login->full, TEXT("carol@x.example")));
	assert_true(text_equal(asked->recipient_delimiter, TEXT("+")));
	assert_true(asked->wants_sender);
	asked = &ask(&plain, true, NULL)->ownership;
	assert_false(asked->wants_sender);
}

static void test_entries_need_a_claim_in_force(void **state)
{
	static const enum claim_state idle[] = {
		CLAIM_NONE, CLAIM_PENDING, CLAIM_REVOKED, CLAIM_EXPIRED, CLAIM_REMOVED};

	(void)state;
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		expect(false,
			(struct ownership_fact){.status = LOOKUP_FOUND,
				.force = idle[i],
				.own = CLAIM_PENDING,
				.names_senders = true,
				.sender = SENDER_ALLOWED,
				.holder = "acme",
				.tenant = "acme"},
			REASON_NOT_OWNED);
	expect(false,
		(struct ownership_fact){.status = LOOKUP_ABSENT,
			.force = CLAIM_VERIFIED,
			.sender = SENDER_ALLOWED,
			.holder = "acme",
			.tenant = "acme"},
		REASON_NOT_OWNED);
	expect(false,
		(struct ownership_fact){.status = LOOKUP_FAILED,
			.force = CLAIM_VERIFIED,
			.sender = SENDER_ALLOWED,
			.holder = "acme",
			.tenant = "acme"},
		REASON_REGISTER_DAMAGED);
}

static void test_nobody_is_no_tenant(void **state)
{
	(void)state;
	expect(true, (struct ownership_fact){.status = LOOKUP_FOUND, .force = CLAIM_VERIFIED},
		REASON_OTHER_TENANT);
	expect(true,
		(struct ownership_fact){
			.status = LOOKUP_FOUND, .force = CLAIM_VERIFIED, .tenant = "acme"},
		REASON_OTHER_TENANT);
	expect(true,
		(struct ownership_fact){.status = LOOKUP_FOUND,
			.force = CLAIM_VERIFIED,
			.holder = "Acme",
			.tenant = "acme"},
		REASON_OTHER_TENANT);
	expect(true,
		(struct ownership_fact){.status = LOOKUP_FOUND,
			.force = CLAIM_VERIFIED,
			.holder = "acme",
			.tenant = "acme"},
		REASON_ROW);
}

/* What an entry allows, or the register refuses, is no row's doing. */
static void test_no_row_decides(void **state)
{
	struct ownership_fact fact = {.status = LOOKUP_FOUND,
		.force = CLAIM_GRACE,
		.names_senders = true,
		.sender = SENDER_ALLOWED,
		.holder = "acme",
		.tenant = "acme"};
	static struct table_facts facts = {.table = LOOKUP_FOUND, .count = 1};
	struct decision *decision;

	(void)state;
	decision = ask(&plain, true, NULL);
	facts.facts[0].row = (struct row_fact){.named = true};
	assert_int_equal(decision_give_table(decision, &facts), NEED_OWNERSHIP);
	assert_true(decision->verdict.row.is_set);
	assert_int_equal(decision_give_ownership(decision, &fact), NEED_NOTHING);
	assert_int_equal(decision->verdict.reason, REASON_ALLOWED);
	assert_false(decision->verdict.row.is_set);
	decision = ask(&plain, true, NULL);
	(void)decision_give_ownership(decision, &fact);
	assert_int_equal(decision->verdict.reason, REASON_ROW);
	assert_true(decision->verdict.row.is_set);
	fact.tenant[0] = 'x';
	decision = ask(&plain, true, NULL);
	(void)decision_give_ownership(decision, &fact);
	assert_int_equal(decision->verdict.reason, REASON_OTHER_TENANT);
	assert_false(decision->verdict.row.is_set);
}

static const struct {
	struct ownership_fact fact;
	enum ownership_required required;
	const char *notes;
} notes[] = {
	{{.status = LOOKUP_ABSENT}, OWNERSHIP_CLAIMED, "d.example: nobody claimed it\n"},
	{{.status = LOOKUP_ABSENT}, OWNERSHIP_ALL, "d.example: nobody claimed it\n"},
	{{.status = LOOKUP_FAILED}, OWNERSHIP_CLAIMED, "cannot be read\n"},
	{{.status = LOOKUP_FOUND,
		 .force = CLAIM_GRACE,
		 .since = 86400,
		 .holder = "acme",
		 .tenant = "globex",
		 .reason = "no TXT record"},
		OWNERSHIP_CLAIMED,
		"d.example: grace, tenant acme, since 1970-01-02T00:00:00Z: no TXT record\n"
		"the login's tenant: globex\n"},
	{{.status = LOOKUP_FOUND, .is_removed = true, .is_revoked = true, .holder = "acme"},
		OWNERSHIP_CLAIMED, "d.example: removed, tenant acme\nthe login has no tenant\n"},
	{{.status = LOOKUP_FOUND,
		 .is_removed = true,
		 .is_claimed_again = true,
		 .holder = "acme",
		 .reason = "claimed"},
		OWNERSHIP_CLAIMED,
		"d.example: removed, claimed again and not proved, tenant acme: claimed\n"
		"the login has no tenant\n"},
	{{.status = LOOKUP_FOUND, .is_revoked = true, .own = CLAIM_PENDING, .holder = "acme"},
		OWNERSHIP_CLAIMED, "d.example: revoked, tenant acme\nthe login has no tenant\n"},
	{{.status = LOOKUP_FOUND, .own = CLAIM_EXPIRED, .holder = "acme", .tenant = "acme"},
		OWNERSHIP_CLAIMED, "d.example: expired, tenant acme\nthe login's tenant: acme\n"},
	{{.status = LOOKUP_FOUND, .tenant = "acme"}, OWNERSHIP_CLAIMED,
		"d.example: claimed by others, none of them proved it\n"
		"the login's tenant: acme\n"},
};

static void test_notes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		struct settings settings = plain;
		struct told told = {""};
		const struct trace trace = {on_note, &told};
		struct decision *decision;

		settings.ownership = notes[i].required;
		decision = ask(&settings, true, &trace);
		(void)decision_give_ownership(decision, &notes[i].fact);
		assert_string_equal(told.text, notes[i].notes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_asked),
		cmocka_unit_test(test_entries_need_a_claim_in_force),
		cmocka_unit_test(test_nobody_is_no_tenant),
		cmocka_unit_test(test_no_row_decides),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

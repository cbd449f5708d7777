/*
 * Questions that wait for the DNS: what is read again, what is kept, who is told, what a cancelled
 * one leaves behind.
 *
 * Table, register and cache are real, the resolver is scripted, the clock is the test's.
 */
#include "policy/engine/config.h"
#include "policy/engine/session.h"
#include "tests/session/txt_world.h"

#define LOGIN "carol@x.example"

struct asking {
	struct world *world;
	struct config *config;
	struct authz *authz;
	struct registry *registry; /* NULL: there is none */
	struct session *session;
	char state_dir[64];
	struct session_answer answer;
	enum reason reason; /* of the last answer */
	unsigned answers;   /* that came later */
};

static int64_t unix_s(void *ctx)
{
	(void)ctx;
	return 1781524800;
}

static int64_t steady_ms(void *ctx)
{
	return ((struct asking *)ctx)->world->now_ms;
}

static void complain(void *ctx, const char *sentence)
{
	(void)ctx;
	fail_msg("%s", sentence);
}

static struct config *configure(void)
{
	const char *const overrides[] = {"lockdown.account=acct", "lockdown.label=_l",
		"lockdown.enabled=yes", "policyd.state_dir=/unused", "dns.deadline_ms=4000"};
	struct config_source source = {
		.overrides = overrides, .override_count = 5, .on_error = complain};
	struct config *config = NULL;

	assert_int_equal(config_read_text(&config, TEXT(""), &source), ERR_OK);
	return config;
}

static void load(struct asking *asking, const char *pattern, bool is_delete)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct authz_delta delta;
	struct pairs *pairs;
	struct authz_merge merge = {.is_delete = is_delete, .now = 1};

	assert_int_equal(pairs_new(&pairs), ERR_OK);
	fixture_add(pairs, pattern, LOGIN, 0);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	merge.pairs = pairs;
	if (authz_merge(asking->authz, &merge, &delta, error) != ERR_OK)
		fail_msg("%s", error);
	pairs_free(pairs);
}

static struct session_parts parts_for(struct asking *asking)
{
	return (struct session_parts){.settings = &asking->config->settings,
		.replies = &asking->config->replies,
		.authz = asking->authz,
		.registry = asking->registry,
		.txt = asking->world->source,
		.deadline_ms = asking->config->dns_deadline_ms,
		.clock = {unix_s, steady_ms, asking}};
}

static void begin(struct asking *asking)
{
	char error[AUTHZ_ERROR_MAX] = "";
	struct session_parts parts;
	struct pairs *pairs;

	if (authz_open(&asking->authz, asking->state_dir, 16, false, error, sizeof(error)) !=
		ERR_OK)
		fail_msg("%s", error);
	assert_int_equal(pairs_new(&pairs), ERR_OK);
	fixture_add(pairs, "@example.com", LOGIN, 0);
	assert_int_equal(pairs_sort(pairs), ERR_OK);
	if (authz_replace(asking->authz, pairs, 1, NULL, error) != ERR_OK)
		fail_msg("%s", error);
	pairs_free(pairs);
	parts = parts_for(asking);
	assert_int_equal(session_new(&asking->session, &parts, 7), ERR_OK);
}

static int setup(void **state)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	void *world = NULL;

	assert_non_null(asking);
	make_world(&world);
	asking->world = world;
	asking->config = configure();
	fixture_make_dir(asking->state_dir);
	begin(asking);
	*state = asking;
	return 0;
}

static int teardown(void **state)
{
	struct asking *asking = *state;
	void *world = asking->world;

	session_free(asking->session);
	registry_close(asking->registry);
	authz_close(asking->authz);
	config_free(asking->config);
	fixture_remove_dir(asking->state_dir);
	end_world(&world);
	free(asking);
	return 0;
}

static void on_answer(void *ctx, const struct request *request, const struct session_answer *answer)
{
	struct asking *asking = ctx;

	assert_string_equal_text(request->attr[ATTR_SASL_USERNAME], LOGIN);
	asking->reason = answer->verdict->reason;
	asking->answers++;
}

/* The request's texts are gone when this returns, as those of a connection's shared buffer are. */
static struct inquiry *ask(struct asking *asking, const char *sender)
{
	struct session_later later = {on_answer, asking};
	char login[64], from[128], name[64];
	struct request request = {0};
	struct inquiry *inquiry;

	snprintf(login, sizeof(login), "%s", LOGIN);
	snprintf(from, sizeof(from), "%s", sender);
	snprintf(name, sizeof(name), "smtpd_access_policy");
	request.attr[ATTR_REQUEST] = text_of(name);
	request.attr[ATTR_SASL_USERNAME] = text_of(login);
	request.attr[ATTR_SENDER] = text_of(from);
	inquiry = session_ask(asking->session, &request, &later, &asking->answer);
	if (!inquiry)
		asking->reason = asking->answer.verdict->reason;
	memset(login, 'x', sizeof(login));
	memset(from, 'x', sizeof(from));
	memset(name, 'x', sizeof(name));
	return inquiry;
}

static void dns_says(struct asking *asking, const char *name, const char *txt)
{
	struct dns_answer *answer = &asking->world->script;

	if (txt)
		fake_answer_found(answer, 300, txt);
	else
		fake_answer_absent(answer, 300);
	fake_resolver_answer(asking->world->resolver, name, answer);
}

static void test_waits_then_answers(void **state)
{
	struct asking *asking = *state;

	assert_non_null(ask(asking, "a@example.com"));
	assert_int_equal(asking->answers, 0);
	dns_says(asking, NAME, "v=mc1");
	assert_int_equal(asking->answers, 1);
	assert_int_equal(asking->reason, REASON_LOCKED_DOWN);
	/* Now it is in the cache. */
	assert_null(ask(asking, "b@example.com"));
	assert_int_equal(asking->reason, REASON_LOCKED_DOWN);
}

static void test_others_are_answered_meanwhile(void **state)
{
	struct asking *asking = *state;

	assert_non_null(ask(asking, "a@example.com"));
	assert_null(ask(asking, "a@not-ours.example"));
	assert_int_equal(asking->reason, REASON_NOT_OWNED);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->reason, REASON_ROW);
}

/* A row that went while the DNS was asked no longer counts. */
static void test_table_is_read_again(void **state)
{
	struct asking *asking = *state;

	load(asking, "@other.example", false);
	assert_non_null(ask(asking, "a@example.com"));
	load(asking, "@example.com", true);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 1);
	assert_int_equal(asking->reason, REASON_NOT_OWNED);
}

static void test_many_wait_for_one_query(void **state)
{
	struct asking *asking = *state;
	struct txt_source_parts parts = parts_of(asking->world);

	parts.new_domains = (struct bucket_rule){.per_min = 1000, .burst = 1000};
	txt_source_configure(asking->world->source, &parts);
	for (int i = 0; i < 1000; i++)
		assert_non_null(ask(asking, "a@example.com"));
	assert_int_equal(asks(asking->world), 1);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 1000);
	assert_int_equal(asking->reason, REASON_ROW);
}

static void test_cancel(void **state)
{
	struct asking *asking = *state;
	struct inquiry *first = ask(asking, "a@example.com");

	assert_non_null(first);
	assert_non_null(ask(asking, "b@example.com"));
	session_cancel(first);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 1);
}

/* A slow name in front leaves another one less than its time: that is our limit, which no
 * on_failure lets pass and no cache keeps. */
static void test_slow_name_in_front(void **state)
{
	struct asking *asking = *state;
	struct lockdown_settings lockdown = asking->config->lockdown;
	struct settings settings = asking->config->settings;
	struct session_parts parts = parts_for(asking);

	lockdown.on_failure = LOCKDOWN_PERMIT;
	settings.lockdown = &lockdown;
	parts.settings = &settings;
	parts.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	session_configure(asking->session, &parts);
	load(asking, "@other.example", false);
	assert_non_null(ask(asking, "a%other.example@example.com"));
	pass(asking->world, 3999);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 0);
	ev_run(parts.loop, EVRUN_ONCE);
	assert_int_equal(asking->answers, 1);
	assert_int_equal(asking->reason, REASON_DNS_LIMITED);
	assert_non_null(ask(asking, "a@other.example"));
	dns_says(asking, "_l.other.example", "v=mc1");
	assert_int_equal(asking->reason, REASON_LOCKED_DOWN);
	ev_loop_destroy(parts.loop);
	parts.loop = NULL;
	session_configure(asking->session, &parts);
}

/* Each reading of a routed sender waits for its own record. */
static void test_two_names(void **state)
{
	struct asking *asking = *state;

	load(asking, "@other.example", false);
	assert_non_null(ask(asking, "a%other.example@example.com"));
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 0);
	dns_says(asking, "_l.other.example", "v=mc1");
	assert_int_equal(asking->answers, 1);
	assert_int_equal(asking->reason, REASON_ROUTING_OPERATOR);
}

/* deadline_ms is of the whole question: the second name is not waited for any more, and that is our
 * own limit. */
static void test_deadline_of_all_names(void **state)
{
	struct asking *asking = *state;

	load(asking, "@other.example", false);
	assert_non_null(ask(asking, "a%other.example@example.com"));
	pass(asking->world, 4 * S);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 1);
	assert_int_equal(asking->reason, REASON_DNS_LIMITED);
}

static void test_failure_defers(void **state)
{
	struct asking *asking = *state;

	assert_non_null(ask(asking, "a@example.com"));
	fake_answer_failed(&asking->world->script, DNS_FAILURE_TIMEOUT, 0);
	fake_resolver_answer(asking->world->resolver, NAME, &asking->world->script);
	assert_int_equal(asking->reason, REASON_LOCKDOWN_UNKNOWN);
}

static void test_limit_defers(void **state)
{
	struct asking *asking = *state;

	assert_non_null(ask(asking, "a@example.com"));
	fake_answer_failed(&asking->world->script, DNS_FAILURE_LIMIT, 0);
	fake_resolver_answer(asking->world->resolver, NAME, &asking->world->script);
	assert_int_equal(asking->reason, REASON_DNS_LIMITED);
}

/* One login's new domains run out; what is known already costs nothing. */
static void test_too_many_new_domains(void **state)
{
	struct asking *asking = *state;
	unsigned waiting = 0;

	for (int i = 0; i < 30; i++)
		waiting += ask(asking, "a@example.com") != NULL;
	assert_int_equal(waiting, 20);
	assert_int_equal(asking->reason, REASON_DNS_LIMITED);
	dns_says(asking, NAME, NULL);
	assert_null(ask(asking, "a@example.com"));
	assert_int_equal(asking->reason, REASON_ROW);
}

/* Without leave to wait: what would have to wait is a deferral, nothing else changes. */
static void test_may_not_wait(void **state)
{
	struct asking *asking = *state;
	struct request request = {0};

	request.attr[ATTR_REQUEST] = TEXT("smtpd_access_policy");
	request.attr[ATTR_SASL_USERNAME] = TEXT(LOGIN);
	request.attr[ATTR_SENDER] = TEXT("a@example.com");
	assert_null(session_ask(asking->session, &request, NULL, &asking->answer));
	assert_int_equal(asking->answer.verdict->reason, REASON_DNS_LIMITED);
}

static void change_claim(struct asking *asking, enum claim_event event, const char *tenant)
{
	const struct registry_change change = {.event = event,
		.domain = TEXT("example.com"),
		.tenant = text_of(tenant),
		.actor = {.name = TEXT("test")},
		.action = "test",
		.now = 1,
		.rules = &asking->config->ownership.rules};
	struct registry_outcome outcome;

	if (registry_change(asking->registry, &change, &outcome) != ERR_OK)
		fail_msg("%s", registry_error(asking->registry));
	assert_int_equal(outcome.word, CLAIM_CHANGED);
}

/* A register in which nobody claimed anything yet. */
static void begin_register(struct asking *asking)
{
	char error[REGISTRY_ERROR_MAX] = "";
	struct session_parts parts;

	if (registry_open(&asking->registry, asking->state_dir, 16, false, error) != ERR_OK)
		fail_msg("%s", error);
	parts = parts_for(asking);
	session_configure(asking->session, &parts);
}

/* A domain that became another tenant's while the DNS was asked is refused. */
static void test_register_is_read_again(void **state)
{
	struct asking *asking = *state;

	begin_register(asking);
	assert_non_null(ask(asking, "a@example.com"));
	change_claim(asking, CLAIM_PIN, "acme");
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->answers, 1);
	assert_int_equal(asking->reason, REASON_OTHER_TENANT);
	/* Step 8 comes before the DNS. */
	assert_null(ask(asking, "b@example.com"));
	assert_int_equal(asking->reason, REASON_OTHER_TENANT);
	assert_string_equal(asking->answer.ownership->holder, "acme");
	change_claim(asking, CLAIM_REMOVE, "acme");
	assert_null(ask(asking, "b@example.com"));
	assert_int_equal(asking->reason, REASON_DOMAIN_REMOVED);
}

static void test_register_that_is_not_trusted(void **state)
{
	struct asking *asking = *state;

	begin_register(asking);
	assert_non_null(ask(asking, "a@example.com"));
	session_trust_registry(asking->session, REGISTRY_DAMAGED);
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->reason, REASON_REGISTER_DAMAGED);
	assert_null(ask(asking, "a@other.example"));
	assert_int_equal(asking->reason, REASON_REGISTER_DAMAGED);
	assert_null(ask(asking, ""));
	assert_int_equal(asking->reason, REASON_NULL_SENDER);
	assert_null(asking->answer.ownership);
	session_trust_registry(asking->session, REGISTRY_TRUSTED);
	assert_null(ask(asking, "b@example.com"));
	assert_int_equal(asking->reason, REASON_ROW);
	assert_int_equal(asking->answer.ownership->status, LOOKUP_ABSENT);
}

/* Not even without a register that could be opened. */
static void test_no_register_that_is_not_trusted(void **state)
{
	struct asking *asking = *state;

	assert_null(ask(asking, "a@other.example"));
	assert_int_equal(asking->reason, REASON_NOT_OWNED);
	session_trust_registry(asking->session, REGISTRY_DAMAGED);
	assert_null(ask(asking, "a@other.example"));
	assert_int_equal(asking->reason, REASON_REGISTER_DAMAGED);
}

/* One look serves every reading of a run, and ends with it. */
static void test_look_at_the_register(void **state)
{
	struct asking *asking = *state;

	begin_register(asking);
	load(asking, "@other.example", false);
	assert_non_null(ask(asking, "a%other.example@example.com"));
	change_claim(asking, CLAIM_PIN, "acme");
	dns_says(asking, NAME, NULL);
	assert_int_equal(asking->reason, REASON_ROUTING_OPERATOR);
	assert_true(registry_begin(asking->registry));
	registry_end(asking->registry);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_waits_then_answers),
		SESSION_TEST(test_others_are_answered_meanwhile),
		SESSION_TEST(test_table_is_read_again),
		SESSION_TEST(test_many_wait_for_one_query),
		SESSION_TEST(test_cancel),
		SESSION_TEST(test_two_names),
		SESSION_TEST(test_slow_name_in_front),
		SESSION_TEST(test_deadline_of_all_names),
		SESSION_TEST(test_failure_defers),
		SESSION_TEST(test_limit_defers),
		SESSION_TEST(test_too_many_new_domains),
		SESSION_TEST(test_may_not_wait),
		SESSION_TEST(test_register_is_read_again),
		SESSION_TEST(test_register_that_is_not_trusted),
		SESSION_TEST(test_no_register_that_is_not_trusted),
		SESSION_TEST(test_look_at_the_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

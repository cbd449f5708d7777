/*
 * Joins the decision with its facts. See session.h.
 *
 * The large working state (decision, facts) is allocated once a session; a question allocates
 * nothing.
 */
#include "policy/engine/session.h"

#include <stdlib.h>

struct session {
	struct session_parts parts;
	enum table_trust trust;
	uint32_t id_salt;
	uint32_t id_count;
	struct decision decision;
	struct table_facts facts;
};

enum err session_new(struct session **out, const struct session_parts *parts, uint32_t id_salt)
{
	struct session *session = calloc(1, sizeof(*session));

	*out = session;
	if (!session)
		return ERR_NOMEM;
	session->parts = *parts;
	session->id_salt = id_salt;
	return ERR_OK;
}

void session_free(struct session *session)
{
	free(session);
}

void session_configure(struct session *session, const struct session_parts *parts)
{
	session->parts = *parts;
}

void session_trust_table(struct session *session, enum table_trust trust)
{
	session->trust = trust;
}

/* Four characters say which process, the rest counts: short enough to be read out on the telephone.
 */
static void next_id(struct session *session, char id[DECISION_ID_MAX])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint64_t bits = (uint64_t)(session->id_salt & 0xfffff) << 32 | session->id_count++;

	for (int i = DECISION_ID_MAX - 2; i >= 0; i--) {
		id[i] = digits[bits & 31];
		bits >>= 5;
	}
	id[DECISION_ID_MAX - 1] = 0;
}

/* Answers every NEED_TABLE of the decision from one consistent look at the table. */
static void decide_from_table(struct session *session)
{
	struct decision *decision = &session->decision;
	struct table_facts *facts = &session->facts;
	struct authz *authz = session->parts.authz;
	struct authz_meta meta;
	enum need need = NEED_TABLE;

	facts->count = 0;
	facts->table = LOOKUP_FAILED;
	if (session->trust != TABLE_DAMAGED)
		facts->table = authz ? authz_begin(authz, &meta) : LOOKUP_ABSENT;
	while (need == NEED_TABLE) {
		if (facts->table == LOOKUP_FOUND)
			authz_find(authz, decision, facts);
		need = decision_give_table(decision, facts);
	}
	if (authz && session->trust != TABLE_DAMAGED && facts->table != LOOKUP_FAILED)
		authz_end(authz);
}

void session_ask(struct session *session, const struct request *request, int64_t now,
	const struct trace *trace, struct session_answer *answer)
{
	static const struct login nobody;
	struct decision *decision = &session->decision;
	const struct settings *settings = session->parts.settings;

	if (decision_start(decision, settings, request, now, trace) == NEED_TABLE)
		decide_from_table(session);
	next_id(session, answer->id);
	answer->verdict = &decision->verdict;
	answer->login = decision->has_login ? &decision->login : &nobody;
	answer->sender_domain = decision->has_sender ? decision->sender.domain : TEXT("");
	answer->reply_len =
		reply_format(session->parts.replies, &decision->verdict, settings->monitor_action,
			&(struct reply_values){
				.login = request->attr[ATTR_SASL_USERNAME],
				.sender = request->attr[ATTR_SENDER],
				.domain = answer->sender_domain,
				.id = {answer->id, DECISION_ID_MAX - 1},
			},
			answer->reply);
}

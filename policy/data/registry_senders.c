/*
 * The entries of `domain allow`: put in, taken out, approved; each change with the counts in the
 * claim they belong to and one audit line.
 *
 * Knows no rules about who may do so, nor whether a login exists.
 */
#include <stdio.h>

#include "policy/data/registry_private.h"

#define DETAIL_SIZE 512 /* of the logins an audit line names; what does not fit is "..." */

struct editor {
	struct registry *registry;
	const struct registry_sender_change *change;
	struct registry_sender_outcome *outcome;
	struct claims claims;
	struct claim *claim;
	struct registry_key key;
	char detail[DETAIL_SIZE];
	size_t detail_len;
	bool is_cut;
};

enum err registry_senders_delete(
	struct registry *registry, struct text domain, struct text tenant, uint64_t *gone)
{
	struct registry_walk walk = {.registry = registry, .db = DB_SENDERS};
	struct registry_key prefix;
	enum lookup status;

	*gone = 0;
	registry_key_of_senders(domain, tenant, &prefix);
	while ((status = registry_walk_under(&walk, &prefix)) == LOOKUP_FOUND) {
		enum err err = registry_delete(registry, DB_SENDERS, registry_key_text(&walk.key));

		if (err != ERR_OK)
			return err;
		++*gone;
	}
	return status == LOOKUP_FAILED ? ERR_DAMAGED : ERR_OK;
}

static void name_entry(struct editor *editor, const struct sender_entry *entry)
{
	size_t left = sizeof(editor->detail) - editor->detail_len;
	int len = snprintf(editor->detail + editor->detail_len, left, "%s%.*s%s%.*s",
		editor->detail_len > 0 ? ", " : "", TEXT_ARG(entry->login),
		entry->local.len > 0 ? " as " : "", TEXT_ARG(entry->local));

	if (len > 0 && (size_t)len < left && !editor->is_cut)
		editor->detail_len += (size_t)len;
	else
		editor->is_cut = true;
}

static enum err put_entry(struct editor *editor, const struct sender_entry *entry)
{
	struct registry *registry = editor->registry;
	size_t len = sender_entry_encode(
		entry, registry->value + SEAL_SIZE, REGISTRY_VALUE_MAX - SEAL_SIZE);

	if (len == 0)
		return registry_fail(registry, ERR_INVALID, "the login \"%.*s\" is too long",
			TEXT_ARG(registry_clip(entry->login, REGISTRY_ACTOR_MAX)));
	editor->outcome->changed++;
	name_entry(editor, entry);
	return registry_put(registry, DB_SENDERS, registry_key_text(&editor->key), len);
}

/* FOUND: *out, its texts valid until the next write. */
static enum lookup get_entry(
	struct editor *editor, const struct sender_entry *wanted, struct sender_entry *out)
{
	struct text key, payload;
	enum lookup status;

	registry_key_of_sender(editor->claims.domain, editor->claim->tenant, wanted->login,
		wanted->local, &editor->key);
	key = registry_key_text(&editor->key);
	status = registry_get(editor->registry, DB_SENDERS, key, &payload);
	if (status == LOOKUP_FOUND && !sender_entry_decode(payload, out))
		return registry_fail_value(editor->registry, key, "sender");
	return status;
}

static void count_entry(struct editor *editor, bool is_pending, int by)
{
	uint32_t *count = is_pending ? &editor->claim->senders_pending : &editor->claim->senders;

	*count = (uint32_t)((int64_t)*count + by);
}

/* An entry that is there and waits: as it is, but approved. Its texts may stand in the page that is
 * written to, so the encoder gets them first. */
static enum err approve(struct editor *editor, const struct sender_entry *entry)
{
	struct sender_entry approved = *entry;

	approved.is_pending = false;
	count_entry(editor, true, -1);
	count_entry(editor, false, 1);
	return put_entry(editor, &approved);
}

static enum err add(struct editor *editor, const struct sender_entry *entry)
{
	struct sender_entry there, added = *entry;

	switch (get_entry(editor, entry, &there)) {
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	case LOOKUP_FOUND:
		if (there.is_pending && !entry->is_pending)
			return approve(editor, &there);
		editor->outcome->unchanged++;
		return ERR_OK;
	case LOOKUP_ABSENT:
		break;
	}
	added.added_at = editor->change->now;
	added.added_by = registry_clip(editor->change->actor.name, REGISTRY_ACTOR_MAX);
	count_entry(editor, added.is_pending, 1);
	return put_entry(editor, &added);
}

static enum err take_out(struct editor *editor, const struct sender_entry *entry)
{
	struct sender_entry there;

	switch (get_entry(editor, entry, &there)) {
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	case LOOKUP_ABSENT:
		editor->outcome->missing++;
		return ERR_OK;
	case LOOKUP_FOUND:
		break;
	}
	count_entry(editor, there.is_pending, -1);
	editor->outcome->changed++;
	name_entry(editor, &there);
	return registry_delete(editor->registry, DB_SENDERS, registry_key_text(&editor->key));
}

static enum err approve_one(struct editor *editor, const struct sender_entry *entry)
{
	struct sender_entry there;

	switch (get_entry(editor, entry, &there)) {
	case LOOKUP_FAILED:
		return ERR_DAMAGED;
	case LOOKUP_ABSENT:
		editor->outcome->missing++;
		return ERR_OK;
	case LOOKUP_FOUND:
		break;
	}
	if (there.is_pending)
		return approve(editor, &there);
	editor->outcome->unchanged++;
	return ERR_OK;
}

static enum err approve_all(struct editor *editor)
{
	struct registry_walk walk = {.registry = editor->registry, .db = DB_SENDERS};
	struct registry_key prefix;
	enum lookup status;
	enum err err = ERR_OK;

	registry_key_of_senders(editor->claims.domain, editor->claim->tenant, &prefix);
	while (err == ERR_OK && (status = registry_walk_under(&walk, &prefix)) != LOOKUP_ABSENT) {
		struct sender_entry entry;

		if (status == LOOKUP_FAILED)
			return ERR_DAMAGED;
		editor->key = walk.key;
		if (!sender_entry_decode(walk.payload, &entry)) {
			(void)registry_fail_value(
				editor->registry, registry_key_text(&walk.key), "sender");
			return ERR_DAMAGED;
		}
		if (entry.is_pending)
			err = approve(editor, &entry);
		else
			editor->outcome->unchanged++;
	}
	return err;
}

static enum err edit(struct editor *editor)
{
	const struct registry_sender_change *change = editor->change;
	enum err err = ERR_OK;

	if (change->edit == SENDER_APPROVE && change->count == 0)
		return approve_all(editor);
	for (size_t i = 0; i < change->count && err == ERR_OK; i++) {
		switch (change->edit) {
		case SENDER_ADD:
			err = add(editor, &change->entries[i]);
			break;
		case SENDER_TAKE_OUT:
			err = take_out(editor, &change->entries[i]);
			break;
		case SENDER_APPROVE:
			err = approve_one(editor, &change->entries[i]);
			break;
		}
	}
	return err;
}

static const char *action_of(enum sender_edit edit)
{
	switch (edit) {
	case SENDER_ADD:
		return "domain allow";
	case SENDER_TAKE_OUT:
		return "domain disallow";
	case SENDER_APPROVE:
		break;
	}
	return "domain approve";
}

static struct text counts_of(const struct claim *claim, char out[64])
{
	int len = snprintf(
		out, 64, "%u approved, %u pending", claim->senders, claim->senders_pending);

	return (struct text){out, (size_t)len};
}

static enum err put_audit(struct editor *editor, struct text before)
{
	const struct registry_sender_change *change = editor->change;
	char after[64];

	if (editor->is_cut) {
		size_t at =
			editor->detail_len < DETAIL_SIZE - 6 ? editor->detail_len : DETAIL_SIZE - 6;

		editor->detail_len = registry_clip((struct text){editor->detail, at}, at).len;
		memcpy(editor->detail + editor->detail_len, ", ...", 5);
		editor->detail_len += 5;
	}
	return registry_audit_put(
		editor->registry, &(struct audit_entry){
					  .at = change->now,
					  .uid = change->actor.uid,
					  .actor = change->actor.name,
					  .action = text_of(action_of(change->edit)),
					  .domain = editor->claims.domain,
					  .tenant = editor->claim->tenant,
					  .before = before,
					  .after = counts_of(editor->claim, after),
					  .detail = {editor->detail, editor->detail_len},
				  });
}

static enum err apply(struct editor *editor)
{
	const struct registry_sender_change *change = editor->change;
	struct text before;
	char counts[64];
	enum err err;

	if (registry_claims_read(editor->registry, change->domain, &editor->claims) ==
		LOOKUP_FAILED)
		return ERR_DAMAGED;
	editor->claim = registry_claims_find(&editor->claims, change->tenant);
	if (!editor->claim || editor->claim->life.state == CLAIM_REMOVED)
		return registry_fail(editor->registry, ERR_ABSENT, "%.*s has no claim on %.*s",
			TEXT_ARG(change->tenant), TEXT_ARG(change->domain));
	before = counts_of(editor->claim, counts);
	err = edit(editor);
	if (err != ERR_OK || editor->outcome->changed == 0)
		return err;
	err = registry_claims_write(editor->registry, &editor->claims);
	return err == ERR_OK ? put_audit(editor, before) : err;
}

enum err registry_change_senders(struct registry *registry,
	const struct registry_sender_change *change, struct registry_sender_outcome *outcome)
{
	struct editor editor = {.registry = registry, .change = change, .outcome = outcome};
	enum err err = registry_write_begin(registry);

	memset(outcome, 0, sizeof(*outcome));
	if (err != ERR_OK)
		return err;
	return registry_write_end(registry, apply(&editor));
}

/*
 * The owner column: `login`, `@domain`, `*`, each with or without `!`, see pattern.h.
 *
 * Knows nothing of rows, ranks or expiry. Fails with a text ready for the loader's message.
 */
#include "policy/core/pattern.h"

/* The typed owner without its `!`. */
static struct text strip_deny(struct text typed, bool *deny)
{
	*deny = typed.len > 0 && typed.ptr[0] == '!';
	return *deny ? text_tail(typed, 1) : typed;
}

static enum owner_kind kind_of(struct text plain)
{
	if (plain.len == 1 && plain.ptr[0] == '*')
		return OWNER_ANY;
	/* A domain holds no `@`: `@a@b` is a login like any other. */
	if (plain.len > 0 && plain.ptr[0] == '@' && text_rfind(plain, '@') == 0)
		return OWNER_DOMAIN;
	return OWNER_LOGIN;
}

static const char *check(struct text plain, bool deny)
{
	if (plain.len == 0)
		return deny ? "nothing behind '!'" : "an empty owner";
	if (plain.len == 1 && plain.ptr[0] == '@')
		return "no domain behind '@'";
	if (deny && plain.ptr[0] == ' ')
		return "a blank behind '!'";
	if (plain.len > OWNER_MAX)
		return "an owner of more than 9216 bytes";
	return text_has_control(plain) ? "a control byte in an owner" : NULL;
}

const char *owner_parse(const struct unicode_ops *ops, struct text typed, struct owner *out)
{
	struct text plain = strip_deny(typed, &out->deny);
	const char *wrong = check(plain, out->deny);
	struct login login;

	if (wrong != NULL)
		return wrong;
	out->kind = kind_of(plain);
	/* `*` and `@domain` are canonical in the same way a login is. */
	if (!address_login(ops, plain, (struct text){NULL, 0}, &login))
		return "an owner that is not valid UTF-8 or too long";
	memcpy(out->bytes, login.full.ptr, login.full.len);
	out->key = (struct text){out->bytes, login.full.len};
	return NULL;
}

/* Whether two canonical owners of kind LOGIN or DOMAIN are meant. An empty `bare` or domain is
 * never meant: owners are not empty. */
static bool key_matches(struct text key, enum owner_kind kind, const struct login *login)
{
	switch (kind) {
	case OWNER_ANY:
		return true;
	case OWNER_DOMAIN:
		return text_equal(text_tail(key, 1), login->domain);
	case OWNER_LOGIN:
		return text_equal(key, login->full) || text_equal(key, login->bare);
	}
	return false;
}

/* key_matches for a typed owner that differs from its canonical form in case alone. */
static bool typed_matches(struct text typed, enum owner_kind kind, const struct login *login)
{
	switch (kind) {
	case OWNER_ANY:
		return true;
	case OWNER_DOMAIN:
		return login->domain.len > 0 &&
		       text_equal_lower(text_tail(typed, 1), login->domain);
	case OWNER_LOGIN:
		return text_equal_lower(typed, login->full) || text_equal_lower(typed, login->bare);
	}
	return false;
}

bool owner_matches(const struct unicode_ops *ops, struct text typed, const struct login *login,
	enum owner_kind *kind, bool *deny)
{
	struct text plain = strip_deny(typed, deny);
	struct owner owner;

	*kind = kind_of(plain);
	if (plain.len == 0)
		return false;
	if (plain.ptr[plain.len - 1] != '.' && text_is_ascii(plain))
		return typed_matches(plain, *kind, login);
	return owner_parse(ops, typed, &owner) == NULL && key_matches(owner.key, *kind, login);
}

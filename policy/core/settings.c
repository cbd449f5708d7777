/*
 * The names of Postfix's protocol states.
 *
 * Knows nothing of configuration files. Cannot fail: an unknown name is STATE_COUNT_.
 */
#include "policy/core/settings.h"

#define NAME(literal)                                                                              \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct text state_names[STATE_COUNT_] = {
	[STATE_CONNECT] = NAME("CONNECT"),
	[STATE_EHLO] = NAME("EHLO"),
	[STATE_HELO] = NAME("HELO"),
	[STATE_MAIL] = NAME("MAIL"),
	[STATE_RCPT] = NAME("RCPT"),
	[STATE_DATA] = NAME("DATA"),
	[STATE_END_OF_MESSAGE] = NAME("END-OF-MESSAGE"),
	[STATE_VRFY] = NAME("VRFY"),
	[STATE_ETRN] = NAME("ETRN"),
};

enum protocol_state protocol_state_of(struct text name)
{
	unsigned state = 0;

	while (state < STATE_COUNT_ && !text_equal(name, state_names[state]))
		state++;
	return (enum protocol_state)state;
}

const char *protocol_state_name(enum protocol_state state)
{
	return (unsigned)state < STATE_COUNT_ ? state_names[state].ptr : "unknown";
}

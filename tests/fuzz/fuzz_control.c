/*
 * Any bytes as a message of the control socket, and what a message says once it was read.
 *
 * What holds: a frame ends with its first empty line; a message that was read can be written, and
 * reads as the same again; what is in it lies inside it; results are counted by their tenants.
 */
#include "policy/engine/control_result.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_inside(const struct control_message *message)
{
	const char *end = message->bytes + message->len;

	must(message->count <= CONTROL_ATTRS_MAX && message->len <= CONTROL_MAX);
	for (size_t i = 0; i < message->count; i++) {
		const struct control_attr *attr = &message->attrs[i];

		must(attr->name.len > 0 && attr->name.len <= CONTROL_NAME_MAX);
		must(attr->name.ptr >= message->bytes && attr->name.ptr + attr->name.len <= end);
		must(attr->value.ptr >= message->bytes && attr->value.ptr + attr->value.len <= end);
	}
}

static void check_again(const struct control_message *message)
{
	struct control_message *again = malloc(sizeof(*again));
	char *wire = malloc(CONTROL_MAX);
	size_t len = 0;

	must(again && wire);
	must(control_encode(message, wire, CONTROL_MAX, &len));
	must(control_frame((struct text){wire, len}) == len);
	must(control_parse((struct text){wire, len}, again));
	must(again->count == message->count && again->wire == message->wire);
	for (size_t i = 0; i < message->count; i++) {
		must(text_equal(again->attrs[i].name, message->attrs[i].name));
		must(text_equal(again->attrs[i].value, message->attrs[i].value));
	}
	free(again);
	free(wire);
}

static void check_results(const struct control_message *message)
{
	struct prover_result *results = malloc(4 * sizeof(*results));
	size_t tenants = 0;

	must(results != NULL);
	for (size_t i = 0; i < message->count; i++)
		tenants += text_equal(message->attrs[i].name, TEXT("tenant"));
	must(control_read_results(message, results, 4) == (tenants < 4 ? tenants : 4));
	for (size_t i = 0; i < tenants && i < 4; i++)
		must(strlen(results[i].seen) <= CLAIM_SEEN_MAX &&
			results[i].outcome.after < CLAIM_STATES_);
	free(results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_message *message = malloc(sizeof(*message));
	struct text rest = {(const char *)data, size};
	size_t len;

	must(message != NULL);
	while ((len = control_frame(rest)) > 0) {
		must(len <= rest.len && rest.ptr[len - 1] == '\n');
		must(len == 1 || rest.ptr[len - 2] == '\n');
		if (control_parse(text_head(rest, len), message)) {
			check_inside(message);
			check_again(message);
			check_results(message);
		}
		rest = text_tail(rest, len);
	}
	must(rest.len == 0 || !control_parse(rest, message));
	free(message);
	return 0;
}

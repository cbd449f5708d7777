/*
 * Reads one policy request, see request.h.
 *
 * Knows nothing of what the values mean. Every byte is looked at once, whatever pieces the request
 * comes in; the result does not depend on the pieces. Fails with reader->fault.
 */
#include "policy/core/request.h"

#define IS(name, literal) (memcmp((name).ptr, (literal), sizeof(literal) - 1) == 0)

/* ATTR_COUNT_ for a name that nobody here asks for. Compares with what has the right length alone:
 * most names are not ours, and memcmp of a known length is a few instructions. */
static enum request_attr attr_of(struct text name)
{
	switch (name.len) {
	case 6:
		return IS(name, "sender") ? ATTR_SENDER : ATTR_COUNT_;
	case 7:
		return IS(name, "request") ? ATTR_REQUEST : ATTR_COUNT_;
	case 8:
		if (IS(name, "queue_id"))
			return ATTR_QUEUE_ID;
		return IS(name, "instance") ? ATTR_INSTANCE : ATTR_COUNT_;
	case 9:
		return IS(name, "recipient") ? ATTR_RECIPIENT : ATTR_COUNT_;
	case 13:
		return IS(name, "sasl_username") ? ATTR_SASL_USERNAME : ATTR_COUNT_;
	case 14:
		if (IS(name, "protocol_state"))
			return ATTR_PROTOCOL_STATE;
		return IS(name, "client_address") ? ATTR_CLIENT_ADDRESS : ATTR_COUNT_;
	default:
		return ATTR_COUNT_;
	}
}

/* Takes one line that is not empty and begins at reader->line. */
static enum request_fault take_line(struct request_reader *reader, struct text line)
{
	const char *equals = memchr(line.ptr, '=', line.len);
	enum request_attr attr;
	size_t name_len;

	if (equals == NULL)
		return FAULT_NO_EQUALS;
	if (reader->attrs++ == REQUEST_ATTRS_MAX)
		return FAULT_MANY_ATTRS;
	name_len = (size_t)(equals - line.ptr);
	attr = attr_of(text_head(line, name_len));
	if (attr == ATTR_COUNT_)
		return FAULT_NONE;
	if (reader->seen & 1U << attr)
		return FAULT_TWICE;
	reader->seen |= 1U << attr;
	reader->start[attr] = reader->line + name_len + 1;
	reader->length[attr] = line.len - name_len - 1;
	return FAULT_NONE;
}

/* What is wrong with a line that has no line feed yet, reader->scanned being moved to where that
 * shows, so that the fault is the same wherever the bytes were split. */
static enum request_fault judge_rest(struct request_reader *reader, size_t len)
{
	size_t longest = reader->line + REQUEST_LINE_MAX + 1;

	if (longest <= REQUEST_MAX && len >= longest) {
		reader->scanned = longest;
		return FAULT_LINE_LONG;
	}
	reader->scanned = len < REQUEST_MAX ? len : REQUEST_MAX;
	return len > REQUEST_MAX ? FAULT_REQUEST_LONG : FAULT_NONE;
}

/* Line by line up to the empty one, the first fault or the end of what is there. */
static enum request_status read_lines(struct request_reader *reader, struct text buf)
{
	size_t len = buf.len < REQUEST_MAX ? buf.len : REQUEST_MAX;

	while (reader->scanned < len) {
		const char *feed = memchr(buf.ptr + reader->scanned, '\n', len - reader->scanned);
		struct text line = {buf.ptr + reader->line, 0};

		if (feed == NULL)
			break;
		line.len = (size_t)(feed - line.ptr);
		if (line.len > REQUEST_LINE_MAX)
			break;
		reader->scanned = reader->line + line.len + 1;
		if (line.len == 0)
			return REQUEST_COMPLETE;
		reader->fault = take_line(reader, line);
		if (reader->fault != FAULT_NONE)
			return REQUEST_BAD;
		reader->line = reader->scanned;
	}
	reader->fault = judge_rest(reader, buf.len);
	return reader->fault == FAULT_NONE ? REQUEST_MORE : REQUEST_BAD;
}

static void fill(const struct request_reader *reader, struct text buf, struct request *out)
{
	for (unsigned attr = 0; attr < ATTR_COUNT_; attr++)
		out->attr[attr] =
			(struct text){buf.ptr + reader->start[attr], reader->length[attr]};
}

enum request_status request_read(
	struct request_reader *reader, struct text buf, struct request *out, size_t *used)
{
	size_t from = reader->scanned;
	enum request_status status;

	if (reader->fault != FAULT_NONE)
		return REQUEST_BAD;
	if (from >= buf.len)
		return REQUEST_MORE;
	status = read_lines(reader, buf);
	if (memchr(buf.ptr + from, '\0', reader->scanned - from) != NULL) {
		reader->fault = FAULT_NUL;
		return REQUEST_BAD;
	}
	if (status == REQUEST_COMPLETE) {
		fill(reader, buf, out);
		*used = reader->scanned;
	}
	return status;
}

const char *request_fault_text(enum request_fault fault)
{
	switch (fault) {
	case FAULT_NONE:
		return "nothing is wrong";
	case FAULT_NUL:
		return "a NUL byte";
	case FAULT_NO_EQUALS:
		return "a line without '='";
	case FAULT_LINE_LONG:
		return "a line of more than 16384 bytes";
	case FAULT_REQUEST_LONG:
		return "a request of more than 65536 bytes";
	case FAULT_MANY_ATTRS:
		return "a request of more than 128 attributes";
	case FAULT_TWICE:
		return "an attribute given twice";
	}
	return "unknown fault";
}

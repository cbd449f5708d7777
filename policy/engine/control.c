/*
 * The control socket's messages. See control.h.
 *
 * Must not know what a command means or who may give it. Bytes from outside become a message only
 * when all of them have the form; fails with false or an error, and then nothing of them counts.
 */
#include "policy/engine/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static bool is_plain(char c)
{
	return c >= 32 && c < 127 && c != '%';
}

static size_t wire_length(struct text value)
{
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++)
		len += is_plain(value.ptr[i]) ? 1 : 3;
	return len;
}

static bool is_name(struct text name)
{
	if (name.len == 0 || name.len > CONTROL_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return true;
}

void control_start(struct control_message *message)
{
	message->count = message->len = message->wire = 0;
}

/* Room for `len` more bytes is checked before. */
static struct text message_keep(struct control_message *message, struct text bytes)
{
	char *at = message->bytes + message->len;

	if (bytes.len > 0)
		memcpy(at, bytes.ptr, bytes.len);
	message->len += bytes.len;
	return (struct text){at, bytes.len};
}

bool control_add(struct control_message *message, const char *name, struct text value)
{
	struct text key = text_of(name);
	size_t wire = key.len + wire_length(value) + 2;

	/* What fits encoded, with the empty line, fits as it is. */
	if (!is_name(key) || message->count == CONTROL_ATTRS_MAX ||
		wire > CONTROL_MAX - 1 - message->wire)
		return false;
	struct control_attr *attr = &message->attrs[message->count++];
	attr->name = message_keep(message, key);
	attr->value = message_keep(message, value);
	message->wire += wire;
	return true;
}

struct text control_get(const struct control_message *message, const char *name)
{
	for (size_t i = 0; i < message->count; i++)
		if (text_equal(message->attrs[i].name, text_of(name)))
			return message->attrs[i].value;
	return (struct text){NULL, 0};
}

static char *put_value(char *at, struct text value)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (is_plain(value.ptr[i])) {
			*at++ = value.ptr[i];
			continue;
		}
		*at++ = '%';
		*at++ = digits[c >> 4];
		*at++ = digits[c & 15];
	}
	return at;
}

bool control_encode(const struct control_message *message, char *out, size_t cap, size_t *len)
{
	char *at = out;

	if (message->wire + 1 > cap)
		return false;
	for (size_t i = 0; i < message->count; i++) {
		const struct control_attr *attr = &message->attrs[i];

		memcpy(at, attr->name.ptr, attr->name.len);
		at += attr->name.len;
		*at++ = '=';
		at = put_value(at, attr->value);
		*at++ = '\n';
	}
	*at++ = '\n';
	*len = (size_t)(at - out);
	return true;
}

size_t control_frame(struct text in)
{
	for (size_t line = 0; line < in.len;) {
		size_t len = text_find(text_tail(in, line), '\n');

		if (len == 0)
			return line + 1;
		line += len + 1;
	}
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes to the end of message->bytes; it is never longer than what it came from. */
static bool parse_value(struct control_message *message, struct text coded, struct text *value)
{
	char *at = message->bytes + message->len;

	value->ptr = at;
	for (size_t i = 0; i < coded.len; i++) {
		int high = 0, low = 0;

		if (is_plain(coded.ptr[i])) {
			*at++ = coded.ptr[i];
			continue;
		}
		if (coded.ptr[i] != '%' || coded.len - i < 3)
			return false;
		high = hex_value(coded.ptr[++i]);
		low = hex_value(coded.ptr[++i]);
		if (high < 0 || low < 0)
			return false;
		*at++ = (char)(high << 4 | low);
	}
	value->len = (size_t)(at - value->ptr);
	message->len += value->len;
	return true;
}

static bool parse_line(struct control_message *message, struct text line)
{
	size_t equals = text_find(line, '=');
	struct text name = text_head(line, equals);

	if (equals == line.len || !is_name(name) || message->count == CONTROL_ATTRS_MAX)
		return false;
	struct control_attr *attr = &message->attrs[message->count++];
	attr->name = message_keep(message, name);
	if (!parse_value(message, text_tail(line, equals + 1), &attr->value))
		return false;
	message->wire += name.len + wire_length(attr->value) + 2;
	return true;
}

bool control_parse(struct text frame, struct control_message *out)
{
	control_start(out);
	if (frame.len == 0 || frame.len > CONTROL_MAX || control_frame(frame) != frame.len)
		return false;
	while (frame.len > 1) {
		size_t len = text_find(frame, '\n');

		if (!parse_line(out, text_head(frame, len)))
			return false;
		frame = text_tail(frame, len + 1);
	}
	return true;
}

enum err control_connect(const char *path, int *fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	*fd = -1;
	if (len == 0 || len >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	memcpy(address.sun_path, path, len);
	int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (made < 0)
		return ERR_IO;
	if (connect(made, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*fd = made;
		return ERR_OK;
	}
	int error = errno;
	close(made);
	errno = error;
	return error == ENOENT || error == ECONNREFUSED || error == ENOTDIR ? ERR_ABSENT : ERR_IO;
}

union rights {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
};

/* The descriptors ride on the first byte that leaves. */
static ssize_t send_first(int fd, struct text bytes, const int *fds, size_t count)
{
	struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union rights rights;

	if (count > 0) {
		memset(&rights, 0, sizeof(rights));
		header.msg_control = rights.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *control = &rights.align;
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(control), fds, count * sizeof(int));
	}
	return sendmsg(fd, &header, MSG_NOSIGNAL);
}

static enum err send_all(int fd, struct text rest, const int *fds, size_t count)
{
	while (rest.len > 0) {
		ssize_t sent = send_first(fd, rest, fds, count);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EPIPE || errno == ECONNRESET ? ERR_ABSENT : ERR_IO;
		rest = text_tail(rest, (size_t)sent);
		count = 0;
	}
	return ERR_OK;
}

enum err control_send(int fd, const struct control_message *message, const int *fds, size_t count)
{
	enum err err = ERR_INVALID;
	size_t len;
	char *wire = malloc(CONTROL_MAX);

	if (!wire)
		return ERR_NOMEM;
	if (count <= CONTROL_FDS && control_encode(message, wire, CONTROL_MAX, &len))
		err = send_all(fd, (struct text){wire, len}, fds, count);
	free(wire);
	return err;
}

static int64_t steady_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until bytes can be read. ERR_BUSY: the time is up. */
static enum err wait_readable(int fd, int64_t until_ms)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		int64_t left = until_ms < 0 ? -1 : until_ms - steady_ms();

		if (until_ms >= 0 && left < 0)
			left = 0;
		int ready = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (ready > 0)
			return ERR_OK;
		if (ready == 0 && left <= INT_MAX)
			return ERR_BUSY;
		if (ready < 0 && errno != EINTR)
			return ERR_IO;
	}
}

/* One frame into bytes[CONTROL_MAX]. */
static enum err receive_frame(int fd, char *bytes, size_t *len, int64_t until_ms)
{
	for (*len = 0; *len < CONTROL_MAX;) {
		enum err err = wait_readable(fd, until_ms);

		if (err != ERR_OK)
			return err;
		ssize_t got = recv(fd, bytes + *len, CONTROL_MAX - *len, 0);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return ERR_ABSENT;
		if (got < 0)
			return ERR_IO;
		*len += (size_t)got;
		if (control_frame((struct text){bytes, *len}) > 0)
			return ERR_OK;
	}
	return ERR_INVALID;
}

enum err control_receive(int fd, struct control_message *out, int timeout_ms)
{
	char *bytes = malloc(CONTROL_MAX);
	size_t len;

	if (!bytes)
		return ERR_NOMEM;
	enum err err =
		receive_frame(fd, bytes, &len, timeout_ms < 0 ? -1 : steady_ms() + timeout_ms);
	/* One answer to one request: what came behind it is not of this form. */
	if (err == ERR_OK && !control_parse((struct text){bytes, len}, out))
		err = ERR_INVALID;
	free(bytes);
	return err;
}

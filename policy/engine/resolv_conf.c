/*
 * Reads resolv.conf(5) line by line. See resolv_conf.h.
 *
 * A keyword counts at the start of a line only, as in the C library; one bad address costs its own
 * line. Knows nothing of queries. Fails only where the file is there and cannot be read.
 */
#include "policy/engine/resolv_conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define DNS_PORT         53
#define FILE_SERVERS_MAX 3  /* more are passed over, as in the C library */
#define TIMEOUT_MAX_S    30 /* resolv.conf(5): silently capped */
#define ATTEMPTS_MAX     5
#define FILE_MAX         65536

static bool parse_number(struct text digits, unsigned long max, unsigned long *out)
{
	unsigned long number = 0;

	if (digits.len == 0 || digits.len > 9)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
			return false;
		number = number * 10 + (unsigned long)(digits.ptr[i] - '0');
	}
	*out = number < max ? number : max;
	return true;
}

static bool parse_port(struct text digits, in_port_t *port)
{
	unsigned long number;

	if (!parse_number(digits, 65536, &number) || number == 0 || number > 65535)
		return false;
	*port = htons((uint16_t)number);
	return true;
}

/* False: too long for out, or a NUL in it. */
static bool copy_text(struct text in, char *out, size_t cap)
{
	if (in.len >= cap || (in.len > 0 && memchr(in.ptr, 0, in.len)))
		return false;
	if (in.len > 0)
		memcpy(out, in.ptr, in.len);
	out[in.len] = 0;
	return true;
}

static bool parse_v4(struct text address, in_port_t port, struct nameserver *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
	char typed[INET_ADDRSTRLEN];
	char shown[INET_ADDRSTRLEN];

	if (!copy_text(address, typed, sizeof(typed)) ||
		inet_pton(AF_INET, typed, &in.sin_addr) != 1)
		return false;
	memcpy(&out->addr, &in, sizeof(in));
	out->addr_len = sizeof(in);
	out->trusts_ad = ntohl(in.sin_addr.s_addr) >> 24 == 127;
	inet_ntop(AF_INET, &in.sin_addr, shown, sizeof(shown));
	snprintf(out->text, sizeof(out->text), "%s:%u", shown, (unsigned)ntohs(port));
	return true;
}

/* The name of an interface or its number. */
static bool parse_scope(const char *scope, uint32_t *id)
{
	unsigned long number;

	*id = if_nametoindex(scope);
	if (*id != 0)
		return true;
	if (!parse_number(text_of(scope), UINT32_MAX, &number) || number == 0)
		return false;
	*id = (uint32_t)number;
	return true;
}

static bool is_loopback_v6(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) ||
	       (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static bool parse_v6(struct text typed, in_port_t port, struct nameserver *out)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = port};
	size_t percent = text_find(typed, '%');
	char address[INET6_ADDRSTRLEN];
	char shown[INET6_ADDRSTRLEN];
	char scope[IF_NAMESIZE] = "";
	bool has_scope = percent < typed.len;

	if (!copy_text(text_head(typed, percent), address, sizeof(address)) ||
		inet_pton(AF_INET6, address, &in.sin6_addr) != 1)
		return false;
	if (has_scope && (!copy_text(text_tail(typed, percent + 1), scope, sizeof(scope)) ||
				 !parse_scope(scope, &in.sin6_scope_id)))
		return false;
	memcpy(&out->addr, &in, sizeof(in));
	out->addr_len = sizeof(in);
	out->trusts_ad = is_loopback_v6(&in.sin6_addr);
	inet_ntop(AF_INET6, &in.sin6_addr, shown, sizeof(shown));
	snprintf(out->text, sizeof(out->text), "[%s%s%s]:%u", shown, has_scope ? "%" : "", scope,
		(unsigned)ntohs(port));
	return true;
}

/* [V6] or [V6]:PORT. */
static bool parse_bracketed(struct text typed, struct nameserver *out)
{
	size_t close = text_find(typed, ']');
	in_port_t port = htons(DNS_PORT);

	if (close == typed.len)
		return false;
	if (close + 1 < typed.len &&
		(typed.ptr[close + 1] != ':' || !parse_port(text_tail(typed, close + 2), &port)))
		return false;
	return parse_v6((struct text){typed.ptr + 1, close - 1}, port, out);
}

bool nameserver_parse(struct text typed, struct nameserver *out)
{
	size_t colon = text_find(typed, ':');
	in_port_t port = htons(DNS_PORT);

	memset(out, 0, sizeof(*out));
	if (typed.len > 0 && typed.ptr[0] == '[')
		return parse_bracketed(typed, out);
	if (colon < typed.len && text_rfind(typed, ':') != colon)
		return parse_v6(typed, port, out);
	if (colon < typed.len && !parse_port(text_tail(typed, colon + 1), &port))
		return false;
	return parse_v4(text_head(typed, colon), port, out);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next word of *rest; a comment ends the line. Empty: there is none. */
static struct text next_word(struct text *rest)
{
	struct text word;
	size_t start = 0;
	size_t end;

	while (start < rest->len && is_blank(rest->ptr[start]))
		start++;
	end = start;
	while (end < rest->len && !is_blank(rest->ptr[end]) && rest->ptr[end] != '#' &&
		rest->ptr[end] != ';')
		end++;
	word = text_head(text_tail(*rest, start), end - start);
	*rest = text_tail(*rest, end);
	return word;
}

static bool has_prefix(struct text word, struct text prefix)
{
	return word.len >= prefix.len && text_equal(text_head(word, prefix.len), prefix);
}

static void parse_option(struct text word, struct nameservers *out, bool *trusts_ad)
{
	const struct text timeout = TEXT("timeout:");
	const struct text attempts = TEXT("attempts:");
	unsigned long number;

	if (text_equal(word, TEXT("rotate")))
		out->rotate = true;
	else if (text_equal(word, TEXT("trust-ad")))
		*trusts_ad = true;
	else if (has_prefix(word, timeout) &&
		 parse_number(text_tail(word, timeout.len), TIMEOUT_MAX_S, &number))
		out->timeout_ms = (uint32_t)number * 1000;
	else if (has_prefix(word, attempts) &&
		 parse_number(text_tail(word, attempts.len), ATTEMPTS_MAX, &number))
		out->attempts = (unsigned)number;
}

static void parse_line(struct text line, struct nameservers *out, bool *trusts_ad)
{
	struct text rest = line;
	struct text keyword;
	struct text word;

	if (line.len == 0 || is_blank(line.ptr[0]))
		return;
	keyword = next_word(&rest);
	word = next_word(&rest);
	if (text_equal(keyword, TEXT("nameserver"))) {
		if (out->count < FILE_SERVERS_MAX && nameserver_parse(word, &out->list[out->count]))
			out->count++;
	} else if (text_equal(keyword, TEXT("options"))) {
		for (; word.len > 0; word = next_word(&rest))
			parse_option(word, out, trusts_ad);
	}
}

void resolv_conf_parse(struct text file, struct nameservers *out)
{
	bool trusts_ad = false;

	memset(out, 0, sizeof(*out));
	while (file.len > 0) {
		size_t end = text_find(file, '\n');

		parse_line(text_head(file, end), out, &trusts_ad);
		file = text_tail(file, end < file.len ? end + 1 : end);
	}
	out->names_none = out->count == 0;
	if (out->names_none && nameserver_parse(TEXT("127.0.0.1"), &out->list[0]))
		out->count = 1;
	for (size_t i = 0; i < out->count && trusts_ad; i++)
		out->list[i].trusts_ad = true;
}

/* The first FILE_MAX bytes: nothing of use stands behind them. */
static enum err read_open_file(int fd, struct nameservers *out)
{
	char bytes[FILE_MAX];
	size_t len = 0;

	while (len < sizeof(bytes)) {
		ssize_t got = read(fd, bytes + len, sizeof(bytes) - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_IO;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	resolv_conf_parse((struct text){bytes, len}, out);
	return ERR_OK;
}

enum err resolv_conf_read(
	const char *path, struct nameservers *out, struct resolv_conf_state *state)
{
	/* O_NONBLOCK: a FIFO in its place must not hold anybody up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum err err = ERR_IO;

	memset(state, 0, sizeof(*state));
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		resolv_conf_parse((struct text){0}, out);
		return ERR_OK;
	}
	if (fd < 0)
		return ERR_IO;
	if (fstat(fd, &state->stat) != 0)
		goto out;
	state->is_set = true;
	err = read_open_file(fd, out);
out:
	close(fd);
	return err;
}

bool resolv_conf_changed(const char *path, const struct resolv_conf_state *state)
{
	const struct stat *old = &state->stat;
	struct stat now;

	if (stat(path, &now) != 0)
		return state->is_set;
	return !state->is_set || now.st_dev != old->st_dev || now.st_ino != old->st_ino ||
	       now.st_size != old->st_size || now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != old->st_mtim.tv_nsec;
}

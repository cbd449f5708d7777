/*
 * The `listen` option: unix:/PATH and inet:HOST:PORT.
 *
 * Checks the form alone: whether a host resolves or a folder exists is found out where the socket
 * is bound. Fails as config_value.c does.
 */
#include "policy/engine/config_private.h"

#include <arpa/inet.h>
#include <sys/un.h>

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define HOST_MAX        255

static bool text_starts(struct text t, const char *prefix)
{
	size_t len = strlen(prefix);
	return t.len >= len && memcmp(t.ptr, prefix, len) == 0;
}

/* unix:PATH behind the colon */
static enum err listen_unix(
	struct value_reader *reader, struct text path, struct listen_address *out)
{
	if (!text_starts(path, "/") || path.ptr[path.len - 1] == '/')
		return value_refuse(reader, "needs the absolute path of a socket: unix:/PATH");
	if (path.len > SOCKET_PATH_MAX)
		return value_refuse(reader,
			"has a path of %zu bytes; a socket's may have at most %zu", path.len,
			SOCKET_PATH_MAX);
	out->kind = LISTEN_UNIX;
	out->path = config_keep(reader->config, path.ptr, path.len);
	return out->path ? ERR_OK : ERR_NOMEM;
}

static bool is_ipv6(const char *host)
{
	struct in6_addr address;
	char bare[INET6_ADDRSTRLEN];
	size_t len = strcspn(host, "%"); /* the scope of a link-local address is checked by bind */
	if (len >= sizeof(bare))
		return false;
	memcpy(bare, host, len);
	bare[len] = '\0';
	return inet_pton(AF_INET6, bare, &address) == 1;
}

static bool is_ipv4_or_name(const char *host)
{
	struct in_addr address;
	bool is_numeric = true;
	for (const char *p = host; *p; p++) {
		bool is_digit = (*p >= '0' && *p <= '9') || *p == '.';
		bool is_letter = ascii_lower(*p) >= 'a' && ascii_lower(*p) <= 'z';
		if (!is_digit && !is_letter && *p != '-' && *p != '_')
			return false;
		is_numeric = is_numeric && is_digit;
	}
	return !is_numeric || inet_pton(AF_INET, host, &address) == 1;
}

/* inet:HOST:PORT behind the first colon */
static enum err listen_inet(
	struct value_reader *reader, struct text rest, struct listen_address *out)
{
	size_t colon = text_rfind(rest, ':');
	struct text host = text_head(rest, colon);
	bool has_brackets = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (has_brackets)
		host = text_tail(text_head(host, host.len - 1), 1);
	if (colon == rest.len || host.len == 0 || host.len > HOST_MAX)
		return value_refuse(
			reader, "needs host and port: inet:HOST:PORT, inet:[IPV6]:PORT");
	unsigned port;
	if (!value_digits(text_tail(rest, colon + 1), 10, 65535, &port) || port == 0)
		return value_refuse(reader, "needs a port from 1 to 65535 behind its last colon");
	out->kind = LISTEN_INET;
	out->port = (uint16_t)port;
	out->host = config_keep(reader->config, host.ptr, host.len);
	if (!out->host)
		return ERR_NOMEM;
	if (has_brackets ? !is_ipv6(out->host) : !is_ipv4_or_name(out->host))
		return value_refuse(reader,
			"has no usable host: a name, an IPv4 address, or an IPv6 address in "
			"brackets; 0.0.0.0 and [::] are all interfaces");
	return ERR_OK;
}

static bool string_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool listen_equal(const struct listen_address *a, const struct listen_address *b)
{
	return a->kind == b->kind && a->port == b->port && string_equal(a->path, b->path) &&
	       string_equal(a->host, b->host);
}

static enum err listen_parse(
	struct value_reader *reader, struct text value, struct listen_address *out)
{
	out->text = config_keep(reader->config, value.ptr, value.len);
	if (!out->text)
		return ERR_NOMEM;
	if (text_starts(value, "unix:"))
		return listen_unix(reader, text_tail(value, 5), out);
	if (text_starts(value, "inet:"))
		return listen_inet(reader, text_tail(value, 5), out);
	return value_refuse(reader, "is neither unix:/PATH nor inet:HOST:PORT");
}

enum err value_listen(struct value_reader *reader, struct text value)
{
	struct config *config = reader->config;
	struct listen_address address = {0};
	if (reader->replace)
		config->listen_count = 0;
	enum err err = listen_parse(reader, value, &address);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < config->listen_count; i++)
		if (listen_equal(&config->listen[i], &address))
			return value_refuse(reader, "is given twice");
	if (config->listen_count == CONFIG_LISTEN_MAX)
		return value_refuse(reader, "is one address too many: at most %d are possible",
			CONFIG_LISTEN_MAX);
	config->listen[config->listen_count++] = address;
	return ERR_OK;
}

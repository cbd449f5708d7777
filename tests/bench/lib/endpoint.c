/* Text form of a socket address for the bench programs, spelled as in policyd.ini.
 * Must not know who listens or connects. Fails by returning false; the caller names the bad text.
 */
#include "endpoint.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static bool parse_unix(const char *path, struct endpoint *out)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof sun.sun_path)
		return false;
	memcpy(sun.sun_path, path, len + 1);
	memcpy(&out->addr, &sun, sizeof sun);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return true;
}

static bool parse_inet(const char *text, struct endpoint *out)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return false;
	memcpy(&out->addr, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool endpoint_parse(const char *text, struct endpoint *out)
{
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, out);
	if (strncmp(text, "inet:", 5) == 0)
		return parse_inet(text + 5, out);
	return false;
}

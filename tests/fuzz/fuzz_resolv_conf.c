/*
 * Any bytes as a resolv.conf and as one nameserver.
 *
 * What holds: one to three servers, each printable, with a length and family that fit; what is
 * shown of a server is a server again, the same one.
 */
#include "policy/engine/resolv_conf.h"

#include <netinet/in.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_server(const struct nameserver *server)
{
	struct nameserver again;

	must(memchr(server->text, 0, sizeof(server->text)) != NULL);
	if (server->addr.ss_family == AF_INET)
		must(server->addr_len == sizeof(struct sockaddr_in));
	else
		must(server->addr.ss_family == AF_INET6 &&
			server->addr_len == sizeof(struct sockaddr_in6));
	must(nameserver_parse(text_of(server->text), &again));
	must(again.addr_len == server->addr_len);
	must(memcmp(&again.addr, &server->addr, server->addr_len) == 0);
	must(strcmp(again.text, server->text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text raw = {(const char *)data, size};
	struct nameservers file;
	struct nameserver server;

	resolv_conf_parse(raw, &file);
	must(file.count >= 1 && file.count <= 3 && file.timeout_ms <= 30000 && file.attempts <= 5);
	for (size_t i = 0; i < file.count; i++)
		check_server(&file.list[i]);
	if (nameserver_parse(raw, &server))
		check_server(&server);
	return 0;
}

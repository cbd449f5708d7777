/*
 * The other side of a socket. See peer.h.
 */
#include "policyd/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

static void peer_format_process(int fd, char *out)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		snprintf(out, PEER_TEXT_MAX, "pid %ld, uid %lu", (long)peer.pid,
			(unsigned long)peer.uid);
}

void peer_format(int fd, char out[PEER_TEXT_MAX])
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage room;
	} peer = {.room = {0}};
	char address[INET6_ADDRSTRLEN];
	socklen_t size = sizeof(peer);
	snprintf(out, PEER_TEXT_MAX, "unknown");
	if (getpeername(fd, &peer.any, &size) != 0)
		return;
	if (peer.any.sa_family == AF_UNIX)
		peer_format_process(fd, out);
	else if (peer.any.sa_family == AF_INET &&
		 inet_ntop(AF_INET, &peer.v4.sin_addr, address, sizeof(address)))
		snprintf(out, PEER_TEXT_MAX, "%s:%u", address, ntohs(peer.v4.sin_port));
	else if (peer.any.sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &peer.v6.sin6_addr, address, sizeof(address)))
		snprintf(out, PEER_TEXT_MAX, "[%s]:%u", address, ntohs(peer.v6.sin6_port));
}

bool peer_is_tcp(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t size = sizeof(domain);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

void peer_tune_tcp(int fd)
{
	const int on = 1;
	/* Either one missing costs speed or patience, not correctness. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

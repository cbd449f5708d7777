/*
 * Where to ask: resolv.conf(5), read line by line, and `nameserver` of policyd.ini in its place.
 *
 * nameserver up to 3, options timeout/attempts/rotate/trust-ad; `#` and `;` comments; what is not
 * understood is passed over. No file or no nameserver: 127.0.0.1 (as in the C library), and
 * names_none says so, for who reads the file anew may know better. Fails when the file cannot be
 * read (ERR_IO).
 */
#ifndef POLICY_ENGINE_RESOLV_CONF_H
#define POLICY_ENGINE_RESOLV_CONF_H

#include <sys/socket.h>
#include <sys/stat.h>

#include "policy/core/base.h"

#define NAMESERVERS_MAX 8

struct nameserver {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char text[64];  /* "192.0.2.1:53", "[2001:db8::1]:53" */
	bool trusts_ad; /* loopback, or options trust-ad */
};

struct nameservers {
	size_t count;
	struct nameserver list[NAMESERVERS_MAX];
	bool names_none; /* of a file: 127.0.0.1 stands in */
	bool rotate;
	uint32_t timeout_ms; /* of options timeout; 0: not said */
	unsigned attempts;   /* 0: not said */
};

/* ADDR, ADDR:PORT, [V6]:PORT, V6, V6%scope; port 53 when none is given. False: none of these. */
POLICY_CHECKED bool nameserver_parse(struct text typed, struct nameserver *out);

/* The text of a resolv.conf. */
void resolv_conf_parse(struct text file, struct nameservers *out);

/* The file, and its identity for resolv_conf_changed. */
struct resolv_conf_state {
	bool is_set;
	struct stat stat;
};
POLICY_CHECKED enum err resolv_conf_read(
	const char *path, struct nameservers *out, struct resolv_conf_state *state);
/* Whether the file is another one by now (mtime, size, inode). */
bool resolv_conf_changed(const char *path, const struct resolv_conf_state *state);

#endif

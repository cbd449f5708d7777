/*
 * What the kernel knows of the other side of a connected socket, and how a TCP one is set up.
 *
 * Knows no protocol. Cannot fail: what cannot be learned is "unknown".
 */
#ifndef POLICYD_PEER_H
#define POLICYD_PEER_H

#include <stdbool.h>

#define PEER_TEXT_MAX 96

/* "127.0.0.1:4711", "[::1]:4711" or "pid 17, uid 101". NUL-terminated. */
void peer_format(int fd, char out[PEER_TEXT_MAX]);

bool peer_is_tcp(int fd);

/* Answers leave at once; a peer that vanished is noticed. */
void peer_tune_tcp(int fd);

#endif

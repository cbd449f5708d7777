/*
 * The supervisor's way to tell a running worker or keeper of a reload, with the new listening
 * sockets.
 *
 * A SOCK_SEQPACKET pair a child: one packet a reload, the sockets ride along as SCM_RIGHTS. So a
 * changed set of listeners reaches workers that keep serving; restarting them would cut connections
 * that Postfix keeps for hours. A reload is the packet, not the SIGHUP, so that no worker reads a
 * configuration that the supervisor did not accept first.
 */
#ifndef POLICYD_CHANNEL_H
#define POLICYD_CHANNEL_H

#include "policy/core/base.h"

#define CHANNEL_FDS_MAX 64

/* Both ends non-blocking and close-on-exec. ERR_IO: errno tells. */
POLICY_CHECKED enum err channel_open(int *ours, int *theirs);

/* fds are duplicated by the kernel and stay the caller's. ERR_FULL: the other side does not read.
 */
POLICY_CHECKED enum err channel_send(
	int channel, uint32_t generation, const int *fds, size_t count);

/* fds (close-on-exec) are the caller's from now on; room for CHANNEL_FDS_MAX. ERR_BUSY: nothing
 * there yet; ERR_ABSENT: the other side is gone; ERR_FULL: the descriptor limit left no room for
 * all of them (none is kept). */
POLICY_CHECKED enum err channel_receive(int channel, uint32_t *generation, int *fds, size_t *count);

#endif

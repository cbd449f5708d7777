/*
 * Packets with descriptors between supervisor and children. See channel.h.
 */
#include "policyd/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct packet {
	uint32_t generation;
	uint32_t fd_count;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

enum err channel_open(int *ours, int *theirs)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return ERR_IO;
	*ours = pair[0];
	*theirs = pair[1];
	return ERR_OK;
}

enum err channel_send(int channel, uint32_t generation, const int *fds, size_t count)
{
	if (count > CHANNEL_FDS_MAX)
		return ERR_INVALID;
	struct packet packet = {generation, (uint32_t)count};
	struct iovec iov = {&packet, sizeof(packet)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	if (count > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	if (sendmsg(channel, &message, MSG_NOSIGNAL) >= 0)
		return ERR_OK;
	return errno == EAGAIN ? ERR_FULL : ERR_IO;
}

static size_t packet_take_fds(struct msghdr *message, int *fds)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(header), count * sizeof(int));
	return count;
}

enum err channel_receive(int channel, uint32_t *generation, int *fds, size_t *count)
{
	struct packet packet;
	struct iovec iov = {&packet, sizeof(packet)};
	union control control;
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	*count = 0;
	ssize_t got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	if (got == 0)
		return ERR_ABSENT;
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_BUSY : ERR_IO;
	size_t taken = packet_take_fds(&message, fds);
	*generation = packet.generation;
	if ((size_t)got == sizeof(packet) && taken == packet.fd_count) {
		*count = taken;
		return ERR_OK;
	}
	for (size_t i = 0; i < taken; i++)
		close(fds[i]);
	return ERR_FULL;
}

/*
 * Tells whoever started the daemon how it is: the datagrams of sd_notify(3), without libsystemd.
 *
 * Knows nothing of what the words mean. Fails with ERR_INVALID or ERR_IO, after a second where
 * nobody reads them; the daemon works on without.
 */
#ifndef POLICYD_READY_H
#define POLICYD_READY_H

#include "policy/core/base.h"

/* Sends `state` ("READY=1") to the socket that NOTIFY_SOCKET names: a path, or `@` for an abstract
 * one. ERR_OK too where the variable is not set. */
POLICY_CHECKED enum err ready_notify(const char *state);

/* RELOADING=1 with the time that Type=notify-reload wants. */
POLICY_CHECKED enum err ready_notify_reloading(void);

#endif

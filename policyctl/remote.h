/*
 * A command of somebody who may not open policyd's files: the daemon's keeper runs it, if that
 * person's groups have the role it needs.
 */
#ifndef POLICYCTL_REMOTE_H
#define POLICYCTL_REMOTE_H

#include "policyctl/command.h"

/* words: the command line from the command's name on, up to NULL. reads_file: ctl->input is FILE,
 * opened by the person who asks. Returns how the command ended. CTL_NO: refused, complained with
 * the role that is missing. CTL_UNKNOWN: nobody could be asked, complained. Ending this process ends
 * the command. */
enum ctl_exit remote_run(const struct ctl *ctl, char *const *words, bool reads_file);

#endif

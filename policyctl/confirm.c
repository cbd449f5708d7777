/*
 * See confirm.h. Whatever is not a clear yes is a no.
 */
#include "policyctl/confirm.h"

#include <stdio.h>
#include <unistd.h>

#include "policyctl/claim_text.h"

enum { ANSWER_MAX = 16 };

enum ctl_exit confirm_ask(const struct ctl *ctl, const struct confirm *confirm)
{
	char answer[ANSWER_MAX] = "";

	if (ctl_has(ctl, FLAG_YES))
		return CTL_YES;
	if (!isatty(STDIN_FILENO))
		return claim_refuse(ctl, confirm->domain, CTL_USAGE,
			"there is no terminal to ask on: say --yes if %.*s is to be %s",
			TEXT_ARG(confirm->domain), confirm->past);
	confirm->print(confirm->ctx);
	fprintf(stderr, "%s it? [y/N] ", confirm->verb);
	fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin) &&
		(strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 ||
			strcmp(answer, "yes\n") == 0))
		return CTL_YES;
	return claim_refuse(ctl, confirm->domain, CTL_NO, "nothing was changed");
}

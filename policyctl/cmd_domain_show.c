/*
 * `policyctl domain show DOMAIN [--tenant TENANT]`: the claims on a domain, how they came to be as
 * they are, and who may use it.
 *
 * Prints when the look at the register has ended: a slow reader keeps no old pages in the file.
 * Never prints a token, not even one that the DNS shows.
 */
#include "policyctl/claim_pick.h"
#include "policyctl/claim_text.h"
#include "policyctl/claimable.h"
#include "policyctl/registry_open.h"

enum { SENDER_COLUMNS = 4, SENDER_TEXT = 256 };

struct show {
	const struct ctl *ctl;
	struct text domain;
	struct registry *registry; /* NULL: there is none */
	struct output_kept kept;
	struct claim claims[CLAIMS_PER_DOMAIN];
	size_t count, shown;
	struct json json;
	struct grid *grid;
	bool failed;
};

/* ---- senders ---- */

static bool print_sender(
	void *ctx, struct text domain, struct text tenant, const struct sender_entry *entry)
{
	struct show *show = ctx;
	char moment[MOMENT_MAX], added[SENDER_TEXT], address[SENDER_TEXT];

	(void)tenant;
	snprintf(added, sizeof(added), "added %s by %.*s", moment_format(entry->added_at, moment),
		TEXT_ARG(entry->added_by));
	if (entry->local.len > 0)
		snprintf(address, sizeof(address), "as %.*s@%.*s", TEXT_ARG(entry->local),
			TEXT_ARG(domain));
	else
		snprintf(address, sizeof(address), "every address");
	show->failed = grid_add(show->grid, (struct text[]){entry->login, text_of(address),
						    entry->is_pending ? TEXT("waits for approval")
								      : TEXT("approved"),
						    text_of(added)}) != ERR_OK;
	return !show->failed;
}

static bool write_sender(
	void *ctx, struct text domain, struct text tenant, const struct sender_entry *entry)
{
	struct show *show = ctx;
	struct json *json = &show->json;

	(void)domain;
	(void)tenant;
	json_open(json, NULL, '{');
	json_text(json, "login", entry->login);
	json_text(json, "local", entry->local);
	json_bool(json, "pending", entry->is_pending);
	claim_write_moment(json, "added_at", entry->added_at);
	json_text(json, "added_by", entry->added_by);
	json_close(json, '}', false);
	return true;
}

static void scan_senders(struct show *show, struct text tenant,
	bool (*visit)(void *ctx, struct text domain, struct text tenant,
		const struct sender_entry *entry))
{
	if (registry_scan_senders(show->registry, show->domain, tenant, visit, show) !=
		LOOKUP_FAILED)
		return;
	complain("%s", registry_error(show->registry));
	show->failed = true;
}

static void print_senders(struct show *show, const struct claim *claim)
{
	FILE *out = show->kept.out;

	if (claim->senders + claim->senders_pending == 0) {
		fprintf(out, "senders   none are named: the table says who may use it\n");
		return;
	}
	fprintf(out, "senders   %u approved, %u waiting for approval\n", claim->senders,
		claim->senders_pending);
	show->failed = show->failed || grid_new(&show->grid, SENDER_COLUMNS) != ERR_OK;
	if (!show->failed)
		scan_senders(show, claim->tenant, print_sender);
	if (!show->failed)
		grid_print(show->grid, "          ", out);
	grid_free(show->grid);
	show->grid = NULL;
}

/* ---- claims ---- */

static void print_line(FILE *out, const char *name, const char *text)
{
	char escaped[2 * CLAIM_MASKED_MAX];

	fprintf(out, "%-9s %s\n", name, output_escape(text_of(text), escaped, sizeof(escaped)));
}

/* Another tenant, whose claim is in force; empty: nobody. */
static struct text holder_beside(const struct show *show, const struct claim *claim)
{
	for (size_t i = 0; i < show->count; i++)
		if (&show->claims[i] != claim && claim_is_in_force(show->claims[i].life.state))
			return show->claims[i].tenant;
	return TEXT("");
}

static void print_state(const struct show *show, const struct claim *claim)
{
	FILE *out = show->kept.out;
	const struct claim_life *life = &claim->life;
	char meaning[CLAIM_MEANING_MAX], moment[CLAIM_MOMENT_MAX];
	bool has_colours = claim_has_colours();

	fprintf(out, "%-9s %s%s%s since %s\n", "state",
		has_colours ? claim_colour(life->state) : "", claim_state_name(life->state),
		has_colours ? CLAIM_COLOUR_END : "",
		claim_moment(life->since, show->ctl->now, moment));
	print_line(out, "", claim_meaning(show->ctl, life, holder_beside(show, claim), meaning));
}

static void print_claim(
	struct show *show, const struct claim *claim, const struct claim_masked *masked)
{
	FILE *out = show->kept.out;
	const struct claim_life *life = &claim->life;
	int64_t now = show->ctl->now;
	char moment[CLAIM_MOMENT_MAX];

	if (show->shown++ > 0)
		fputc('\n', out);
	fprintf(out, "%-9s %.*s\n", "domain", TEXT_ARG(show->domain));
	fprintf(out, "%-9s %.*s\n", "tenant", TEXT_ARG(claim->tenant));
	print_state(show, claim);
	print_line(out, "reason", masked->reason);
	print_line(out, "claimed", claim_moment(life->created_at, now, moment));
	print_line(out, "proved", claim_moment(life->proved_at, now, moment));
	print_line(out, "looked", claim_moment(life->checked_at, now, moment));
	if (masked->seen[0])
		print_line(out, "saw", masked->seen);
	if (life->next_check > 0)
		print_line(out, "next look", claim_moment(life->next_check, now, moment));
	print_senders(show, claim);
}

static void write_claim(
	struct show *show, const struct claim *claim, const struct claim_masked *masked)
{
	show->shown++;
	json_open(&show->json, NULL, '{');
	claim_write(show->ctl, &show->json, show->domain, claim, masked);
	json_open(&show->json, "entries", '[');
	scan_senders(show, claim->tenant, write_sender);
	json_close(&show->json, ']', false);
	json_close(&show->json, '}', false);
}

static bool is_wanted(const struct show *show, const struct claim *claim)
{
	return !ctl_has(show->ctl, FLAG_TENANT) ||
	       text_equal(claim->tenant, text_of(show->ctl->args.tenant));
}

static void show_claims(struct show *show)
{
	for (size_t i = 0; i < show->count && !show->failed; i++) {
		const struct claim *claim = &show->claims[i];
		struct claim_masked masked;

		if (!is_wanted(show, claim))
			continue;
		claim_mask_all(show->ctl, claim, show->claims, show->count, &masked);
		if (ctl_has(show->ctl, FLAG_JSON))
			write_claim(show, claim, &masked);
		else
			print_claim(show, claim, &masked);
	}
}

static void show_domain(struct show *show)
{
	bool has_json = ctl_has(show->ctl, FLAG_JSON);

	show->json.out = show->kept.out;
	if (has_json) {
		json_open(&show->json, NULL, '{');
		json_text(&show->json, "domain", show->domain);
		json_open(&show->json, "claims", '[');
	}
	show_claims(show);
	if (has_json) {
		json_close(&show->json, ']', false);
		json_close(&show->json, '}', true);
	}
}

static enum ctl_exit exit_of(const struct show *show)
{
	if (show->failed)
		return CTL_UNKNOWN;
	if (show->shown > 0)
		return CTL_YES;
	if (show->count > 0)
		complain("%s has no claim on %.*s", show->ctl->args.tenant, TEXT_ARG(show->domain));
	else
		complain("nobody has claimed %.*s", TEXT_ARG(show->domain));
	return CTL_NO;
}

/* Everything between the beginning and the end of the look. False: nothing is to be printed. */
static bool look(struct show *show)
{
	if (show->registry && registry_claims(show->registry, show->domain, show->claims,
				      &show->count) == LOOKUP_FAILED) {
		complain("%s", registry_error(show->registry));
		return false;
	}
	if (!output_keep(&show->kept))
		return false;
	show_domain(show);
	return true;
}

enum ctl_exit cmd_domain_show(struct ctl *ctl)
{
	struct claimable domain;
	struct show show = {.ctl = ctl};
	enum ctl_exit done = claimable_of(ctl, ctl->args.operand[0], false, &domain);
	bool is_kept;

	if (done != CTL_YES)
		return done;
	show.domain = domain.text;
	if (registry_open_to_read(ctl, &show.registry) == LOOKUP_FAILED)
		return CTL_UNKNOWN;
	is_kept = look(&show);
	registry_close_read(show.registry);
	if (!is_kept || !output_let_go(&show.kept))
		return CTL_UNKNOWN;
	return exit_of(&show);
}

/*
 * `policyctl domain list [--tenant TENANT] [--state STATE] [--limit N]`: all claims in the order of
 * their domains.
 *
 * Reads the register twice, first for the widths of the columns, then in slices: what a slice comes
 * to is printed when the look at the register has ended, so that a reader who is slow, or does not
 * read at all, keeps no old pages in the file. Never prints a token.
 */
#include "policyctl/claim_text.h"
#include "policyctl/registry_open.h"

enum { CELL_MAX = 300, SLICE = 1000 };
enum column { DOMAIN, STATE, TENANT, AGE, NEXT, COLUMNS };

static const char *const headings[COLUMNS] = {"DOMAIN", "STATE", "TENANT", "AGE", "NEXT LOOK"};

struct list {
	const struct ctl *ctl;
	struct registry *registry; /* NULL: there is none */
	bool is_begun;
	struct output_kept kept;
	char done[DOMAIN_MAX + 1];    /* the last domain of the slices before, "" none */
	char current[DOMAIN_MAX + 1]; /* of this slice */
	size_t visited;               /* claims of this slice */
	bool goes_on;                 /* behind it there is another one */
	enum claim_state state;       /* CLAIM_STATES_: every one */
	uint64_t shown;
	bool is_cut; /* --limit left some out */
	bool failed;
	bool has_colours;
	int width[COLUMNS];
	struct json json;
};

struct cells {
	char text[COLUMNS][CELL_MAX];
};

/* False: this one is left out, or (*goes_on false) is past the limit. */
static bool is_wanted(struct list *list, const struct claim *claim, bool *goes_on)
{
	unsigned limit = list->ctl->args.limit;

	*goes_on = true;
	if (list->state != CLAIM_STATES_ && claim->life.state != list->state)
		return false;
	if (ctl_has(list->ctl, FLAG_TENANT) &&
		!text_equal(claim->tenant, text_of(list->ctl->args.tenant)))
		return false;
	if (limit > 0 && list->shown == limit) {
		list->is_cut = true;
		*goes_on = false;
		return false;
	}
	list->shown++;
	return true;
}

static void fill(
	const struct list *list, struct text domain, const struct claim *claim, struct cells *out)
{
	const struct claim_life *life = &claim->life;
	int64_t now = list->ctl->now;
	char span[SPAN_MAX];

	output_escape(domain, out->text[DOMAIN], CELL_MAX);
	output_escape(claim->tenant, out->text[TENANT], CELL_MAX);
	snprintf(out->text[STATE], CELL_MAX, "%s", claim_state_name(life->state));
	span_format(now > life->since ? now - life->since : 0, span);
	snprintf(out->text[AGE], CELL_MAX, "%s", span);
	if (life->next_check == 0)
		snprintf(out->text[NEXT], CELL_MAX, "-");
	else if (life->next_check <= now)
		snprintf(out->text[NEXT], CELL_MAX, "due");
	else
		snprintf(out->text[NEXT], CELL_MAX, "in %s",
			span_format(life->next_check - now, span));
}

/* Whether a claim belongs to this slice, which ends between two domains. False: *goes_on says
 * whether it was printed already or is for the next one. */
static bool is_in_slice(struct list *list, struct text domain, bool *goes_on)
{
	*goes_on = true;
	if (text_equal(domain, text_of(list->done)))
		return false;
	if (list->visited++ >= SLICE && !text_equal(domain, text_of(list->current))) {
		list->goes_on = true;
		*goes_on = false;
		return false;
	}
	snprintf(list->current, sizeof(list->current), "%.*s", TEXT_ARG(domain));
	return true;
}

static bool measure(void *ctx, struct text domain, const struct claim *claim)
{
	struct list *list = ctx;
	struct cells cells;
	bool goes_on;

	if (!is_wanted(list, claim, &goes_on))
		return goes_on;
	fill(list, domain, claim, &cells);
	for (int i = 0; i < COLUMNS; i++)
		if ((int)strlen(cells.text[i]) > list->width[i])
			list->width[i] = (int)strlen(cells.text[i]);
	return true;
}

/* Other claims on the domain are read only where the DNS showed something like a token. */
static bool mask(
	struct list *list, struct text domain, const struct claim *claim, struct claim_masked *out)
{
	struct claim claims[CLAIMS_PER_DOMAIN];
	size_t count = 0;

	if ((claim_may_hold_token(list->ctl, claim->reason) ||
		    claim_may_hold_token(list->ctl, claim->seen)) &&
		registry_claims(list->registry, domain, claims, &count) == LOOKUP_FAILED)
		return false;
	claim_mask_all(list->ctl, claim, claims, count, out);
	return true;
}

static void print_row(const struct list *list, const struct cells *cells, enum claim_state state,
	const char *reason)
{
	for (int i = 0; i < COLUMNS; i++) {
		bool is_coloured = i == STATE && list->has_colours && state != CLAIM_NONE;

		fprintf(list->kept.out, "%s%-*s%s  ", is_coloured ? claim_colour(state) : "",
			list->width[i], cells->text[i], is_coloured ? CLAIM_COLOUR_END : "");
	}
	fprintf(list->kept.out, "%s\n", reason);
}

static bool print_claim(void *ctx, struct text domain, const struct claim *claim)
{
	struct list *list = ctx;
	char reason[2 * CLAIM_MASKED_MAX];
	struct claim_masked masked;
	struct cells cells;
	bool goes_on;

	if (!is_in_slice(list, domain, &goes_on) || !is_wanted(list, claim, &goes_on))
		return goes_on;
	list->failed = !mask(list, domain, claim, &masked);
	if (list->failed)
		return false;
	fill(list, domain, claim, &cells);
	output_escape(text_of(masked.reason), reason, sizeof(reason));
	print_row(list, &cells, claim->life.state, reason);
	return true;
}

static bool write_claim(void *ctx, struct text domain, const struct claim *claim)
{
	struct list *list = ctx;
	struct claim_masked masked;
	bool goes_on;

	if (!is_in_slice(list, domain, &goes_on) || !is_wanted(list, claim, &goes_on))
		return goes_on;
	list->failed = !mask(list, domain, claim, &masked);
	if (list->failed)
		return false;
	json_open(&list->json, NULL, '{');
	claim_write(list->ctl, &list->json, domain, claim, &masked);
	json_close(&list->json, '}', false);
	return true;
}

/* One look at the register. False: complained. */
static bool scan(struct list *list, struct text from,
	bool (*visit)(void *ctx, struct text domain, const struct claim *claim))
{
	if (!list->registry)
		return true;
	if (!list->is_begun)
		list->is_begun = registry_begin(list->registry);
	if (!list->is_begun || registry_scan(list->registry, from, visit, list) == LOOKUP_FAILED)
		list->failed = true;
	if (list->failed)
		complain("%s", registry_error(list->registry));
	if (list->is_begun)
		registry_end(list->registry);
	list->is_begun = false;
	return !list->failed;
}

/* heading may be NULL. False: complained; what came before it is printed. */
static bool print_slice(struct list *list, void (*heading)(struct list *list),
	bool (*visit)(void *ctx, struct text domain, const struct claim *claim))
{
	bool done;

	if (!output_keep(&list->kept))
		return false;
	list->json.out = list->kept.out;
	list->visited = 0;
	list->goes_on = false;
	if (heading)
		heading(list);
	done = scan(list, text_of(list->done), visit);
	snprintf(list->done, sizeof(list->done), "%s", list->current);
	return output_let_go(&list->kept) && done;
}

static bool print_slices(struct list *list, void (*heading)(struct list *list),
	bool (*visit)(void *ctx, struct text domain, const struct claim *claim))
{
	bool done = print_slice(list, heading, visit);

	while (done && list->goes_on)
		done = print_slice(list, NULL, visit);
	return done;
}

static void print_heading(struct list *list)
{
	struct cells cells;

	for (int i = 0; i < COLUMNS; i++)
		snprintf(cells.text[i], CELL_MAX, "%s", headings[i]);
	print_row(list, &cells, CLAIM_NONE, "REASON");
}

static bool print_text(struct list *list)
{
	for (int i = 0; i < COLUMNS; i++)
		list->width[i] = (int)strlen(headings[i]);
	if (!scan(list, TEXT(""), measure))
		return false;
	if (list->shown == 0) {
		puts(list->state != CLAIM_STATES_ || ctl_has(list->ctl, FLAG_TENANT)
				? "no such claim"
				: "nobody has claimed a domain yet");
		return true;
	}
	list->shown = 0;
	list->is_cut = false;
	if (!print_slices(list, print_heading, print_claim))
		return false;
	if (list->is_cut)
		printf("... and more: without --limit all of them\n");
	return true;
}

static void write_opening(struct list *list)
{
	json_open(&list->json, NULL, '[');
}

static bool print_json(struct list *list)
{
	bool done = print_slices(list, write_opening, write_claim);

	list->json.out = stdout;
	json_close(&list->json, ']', true);
	return done;
}

enum ctl_exit cmd_domain_list(struct ctl *ctl)
{
	struct list list = {.ctl = ctl, .state = CLAIM_STATES_, .has_colours = claim_has_colours()};
	enum lookup found = registry_open_to_read(ctl, &list.registry);
	bool done;

	if (found == LOOKUP_FAILED)
		return CTL_UNKNOWN;
	list.is_begun = found == LOOKUP_FOUND;
	if (ctl_has(ctl, FLAG_STATE))
		list.state = claim_state_of(text_of(ctl->args.state));
	done = ctl_has(ctl, FLAG_JSON) ? print_json(&list) : print_text(&list);
	registry_close(list.registry);
	return done ? CTL_YES : CTL_UNKNOWN;
}

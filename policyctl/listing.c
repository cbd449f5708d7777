/*
 * Lines of who and senders, see listing.h.
 */
#include "policyctl/listing.h"

enum { LISTING_COLUMNS = 6 };

bool listing_init(struct listing *listing, bool is_json)
{
	*listing = (struct listing){0};
	if (is_json || grid_new(&listing->grid, LISTING_COLUMNS) == ERR_OK)
		return true;
	complain("out of memory");
	return false;
}

static void write_json(
	const struct listing_line *line, const char *until, const char *const names[2])
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_text(&json, names[0], line->subject);
	json_string(&json, "says", line->word);
	json_bool(&json, "may", line->allows);
	json_text(&json, names[1], line->row);
	json_string(&json, "source", line->is_register ? "register" : "table");
	json_string(&json, "expires", until[0] ? until : NULL);
	json_text(&json, "note", line->note);
	json_close(&json, '}', true);
}

void listing_add(
	struct listing *listing, const struct listing_line *line, const char *const names[2])
{
	char until[EXPIRES_TEXT_MAX], shown[EXPIRES_TEXT_MAX + 8] = "";

	expires_format(&line->expires, until);
	listing->allowed += line->allows;
	if (!listing->grid) {
		write_json(line, until, names);
		return;
	}
	if (until[0])
		snprintf(shown, sizeof(shown), "until %s", until);
	if (grid_add(listing->grid, (struct text[]){text_of(line->word), line->subject, line->row,
					    text_of(line->is_register ? "register" : ""),
					    text_of(shown), line->note}) != ERR_OK)
		listing->failed = true;
}

bool listing_finish(struct listing *listing)
{
	if (listing->grid && !listing->failed)
		grid_print(listing->grid, "", stdout);
	if (listing->failed)
		complain("out of memory");
	grid_free(listing->grid);
	return !listing->failed;
}

/*
 * Which server to ask, and the file that names them. See resolver_private.h.
 *
 * Failures only order the servers, they never shut one out: whoever makes one look bad (with a
 * domain that never answers, say) moves questions to another, no more. Knows no packet. A file
 * that cannot be read, or names none while it is being written, leaves the servers as they were.
 */
#include "policy/engine/resolver_private.h"

#include <stdlib.h>

#define BACKOFF_MAX_S 60.0
#define BACKOFF_STEPS 6
#define FAILURES_MAX  1000
#define FAILURES_SAID 5 /* in a row, before the log hears of it */
#define WARN_EVERY_S  60.0
#define LOOK_EVERY_S  1.0

struct server_set *servers_new(const struct nameservers *known)
{
	struct server_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->refs = 1;
	set->known = *known;
	return set;
}

struct server_set *servers_ref(struct server_set *set)
{
	set->refs++;
	return set;
}

void servers_unref(struct server_set *set)
{
	if (set && --set->refs == 0)
		free(set);
}

static ev_tstamp backoff_s(unsigned failures)
{
	double seconds = (double)(1U << (failures < BACKOFF_STEPS ? failures : BACKOFF_STEPS));

	return seconds < BACKOFF_MAX_S ? seconds : BACKOFF_MAX_S;
}

/* A failed one whose time has come counts as healthy: that is how it is tried again. */
static unsigned penalty(const struct server_health *health, ev_tstamp now)
{
	return now < health->retry_at ? health->failures : 0;
}

static uint8_t all_of(const struct server_set *set)
{
	return (uint8_t)((1U << set->known.count) - 1);
}

bool servers_had_their_turn(const struct server_set *set, const struct server_marks *marks)
{
	return ((marks->out | marks->tried) & all_of(set)) == all_of(set);
}

bool servers_choose(
	struct server_set *set, struct server_marks *marks, ev_tstamp now, size_t *chosen)
{
	size_t count = set->known.count;
	size_t best = count;

	if ((marks->out & all_of(set)) == all_of(set))
		return false;
	if (servers_had_their_turn(set, marks))
		marks->tried = 0;
	for (size_t i = 0; i < count; i++) {
		size_t index = (i + marks->first) % count;

		if ((marks->out | marks->tried) >> index & 1)
			continue;
		if (best == count ||
			penalty(&set->health[index], now) < penalty(&set->health[best], now))
			best = index;
	}
	marks->tried |= (uint8_t)(1U << best);
	/* One query finds out whether a failed one is back, the others are spared. */
	if (set->health[best].failures > 0)
		set->health[best].retry_at = now + backoff_s(set->health[best].failures);
	*chosen = best;
	return true;
}

void servers_praise(struct server_set *set, size_t index, struct log *log)
{
	struct server_health *health = &set->health[index];

	if (health->is_warned)
		log_event(log, LOG_LEVEL_INFO, "nameserver %s answers again",
			set->known.list[index].text);
	health->is_warned = false;
	health->failures = 0;
	health->retry_at = 0;
}

void servers_blame(struct server_set *set, size_t index, ev_tstamp now, struct log *log)
{
	struct server_health *health = &set->health[index];

	if (health->failures < FAILURES_MAX)
		health->failures++;
	health->retry_at = now + backoff_s(health->failures);
	if (health->failures < FAILURES_SAID || health->is_warned ||
		(health->warned_at > 0 && now < health->warned_at + WARN_EVERY_S))
		return;
	health->is_warned = true;
	health->warned_at = now;
	log_event(log, LOG_LEVEL_WARNING,
		"nameserver %s does not answer: others are asked first, it is tried now and then",
		set->known.list[index].text);
}

static void take_file(struct resolver *resolver)
{
	struct nameservers known;
	struct server_set *set = NULL;
	enum err err = resolv_conf_read(resolver->conf_path, &known, &resolver->conf_state);

	bool is_blank = err == ERR_OK && known.names_none && !resolver->set->known.names_none;

	if (err == ERR_OK && !is_blank)
		set = servers_new(&known);
	if (set) {
		servers_unref(resolver->set);
		resolver->set = set;
	} else if (!resolver->is_conf_broken) {
		log_event(resolver->log, LOG_LEVEL_WARNING,
			"%s changed and %s: the nameservers stay as they were", resolver->conf_path,
			is_blank ? "names no nameserver" : "cannot be read");
	}
	resolver->is_conf_broken = !set;
}

void resolver_refresh_servers(struct resolver *resolver)
{
	ev_tstamp now = ev_now(resolver->loop);

	if (!resolver->conf_path || now < resolver->conf_looked_at + LOOK_EVERY_S)
		return;
	resolver->conf_looked_at = now;
	if (resolver->is_conf_broken ||
		resolv_conf_changed(resolver->conf_path, &resolver->conf_state))
		take_file(resolver);
}

/*
 * The keeper's loop. See keeper.h.
 */
#include "policyd/keeper.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "policy/engine/dns_stack.h"
#include "policyd/channel.h"
#include "policyd/control.h"
#include "policyd/follower.h"
#include "policyd/keeper_lock.h"
#include "policyd/registry_check.h"
#include "policyd/roles.h"
#include "policyd/table_check.h"

#define REQUIRED_EVERY_S 60

struct keeper {
	const struct child_start *start;
	struct config *config;
	struct log log;
	struct ev_loop *loop;
	struct keeper_lock lock;
	struct table_check table;
	struct registry_check registry;
	struct resolver *resolver; /* NULL: resolv_conf cannot be read */
	bool has_complained;       /* of that */
	struct prover *prover;     /* these two: while the register is open */
	struct follower *follower;
	struct control_server *control; /* NULL: the socket could not be bound */
	uint64_t changes;      /* of the follower, when required = all was looked at last */
	unsigned required_s;   /* until it may be looked at again */
	bool is_required_told; /* that no claim is in force */
	ev_timer tick;
	ev_signal terminate;
	ev_io reload;
};

static void keeper_init_log(struct keeper *keeper)
{
	const struct config *config = keeper->config;
	log_init(&keeper->log, config->log_target, config->log_format, config->log_level,
		keeper->start->name);
}

static int64_t keeper_unix_s(void *ctx)
{
	(void)ctx;
	return (int64_t)time(NULL);
}

static int64_t keeper_steady_ms(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what works on the register ---- */

static struct prover_parts keeper_prover_parts(struct keeper *keeper)
{
	return (struct prover_parts){.resolver = keeper->resolver,
		.registry = keeper->registry.registry,
		.ownership = &keeper->config->ownership,
		.log = &keeper->log,
		.unix_s = keeper_unix_s,
		.steady_ms = keeper_steady_ms,
		.actor = {AUDIT_UID_POLICYD, TEXT("policyd")}};
}

static void keeper_follow(void *ctx)
{
	struct keeper *keeper = ctx;
	if (keeper->follower)
		follower_look(keeper->follower);
}

static void keeper_tell_control(struct keeper *keeper)
{
	const struct config_source *source = keeper->start->source;
	struct control_parts parts = {.loop = keeper->loop,
		.log = &keeper->log,
		.config = keeper->config,
		.prover = keeper->prover,
		.config_path = source->path,
		.overrides = source->overrides,
		.override_count = source->override_count,
		.on_follow = keeper_follow,
		.ctx = keeper};
	if (keeper->control)
		control_server_configure(keeper->control, &parts);
	else if (keeper->start->control_fd >= 0 && keeper->registry.may_write &&
		 control_server_new(&keeper->control, &parts, keeper->start->control_fd) != ERR_OK)
		log_event(&keeper->log, LOG_LEVEL_ERROR,
			"out of memory for the control socket; trying again");
}

static void keeper_make_resolver(struct keeper *keeper)
{
	struct resolver_options options = dns_stack_options(keeper->config);
	if (keeper->resolver)
		return;
	if (resolver_new(&keeper->resolver, keeper->loop, &keeper->log, &options) == ERR_OK) {
		keeper->has_complained = false;
		return;
	}
	keeper->resolver = NULL;
	if (!keeper->has_complained)
		log_event(&keeper->log, LOG_LEVEL_WARNING,
			"[dns] resolv_conf %s cannot be read: no claim of a domain is checked "
			"until it can; what is in force stays in force",
			keeper->config->resolv_conf);
	keeper->has_complained = true;
}

static void keeper_make_follower(struct keeper *keeper)
{
	if (keeper->follower || follower_new(&keeper->follower, keeper->loop, &keeper->log,
					keeper->registry.registry) != ERR_OK)
		return;
	follower_set_hook(keeper->follower, keeper->config->ownership.hook, HOOK_MAX_S);
	keeper->changes = 0;
	if (keeper->registry.went_back)
		follower_skip(keeper->follower);
	keeper->registry.went_back = false;
}

/* Starts what is missing and can be had. */
static void keeper_work_on_register(struct keeper *keeper)
{
	if (!keeper->registry.registry)
		return;
	keeper_make_follower(keeper);
	if (keeper->prover)
		return;
	keeper_make_resolver(keeper);
	struct prover_parts parts = keeper_prover_parts(keeper);
	if (keeper->resolver && prover_new(&keeper->prover, &parts) != ERR_OK)
		keeper->prover = NULL;
	if (keeper->prover)
		keeper_tell_control(keeper);
}

static bool keeper_count(struct keeper *keeper, struct registry_stat *stat)
{
	struct registry *registry = keeper->registry.registry;
	if (!registry || !registry_begin(registry))
		return false;
	enum lookup found = registry_stat(registry, stat);
	registry_end(registry);
	return found != LOOKUP_FAILED;
}

/* With `required = all` a daemon without a claim in force refuses every customer. */
static void keeper_check_required(struct keeper *keeper)
{
	struct registry_stat stat;
	bool was_told = keeper->is_required_told;
	if (keeper->config->settings.ownership != OWNERSHIP_ALL || !keeper_count(keeper, &stat))
		return;
	keeper->is_required_told = false;
	for (enum claim_state state = CLAIM_NONE; state < CLAIM_STATES_; state++)
		if (claim_is_in_force(state) && stat.claims[state] > 0)
			return;
	keeper->is_required_told = true;
	if (was_told)
		return;
	log_event(&keeper->log, LOG_LEVEL_WARNING,
		"[ownership] required = all, and no domain is verified, hosted or pinned: every "
		"mail of "
		"authenticated logins will be refused (domain-unverified). Begin with `policyctl "
		"domain add DOMAIN --tenant TENANT --hosted` for your own domains, or set required "
		"= claimed");
}

/* After each change that was followed, and then not for a while: it counts all claims. */
static void keeper_watch_required(struct keeper *keeper)
{
	if (keeper->required_s > 0)
		keeper->required_s--;
	if (!keeper->follower || keeper->required_s > 0 ||
		follower_changes(keeper->follower) == keeper->changes)
		return;
	keeper->changes = follower_changes(keeper->follower);
	keeper->required_s = REQUIRED_EVERY_S;
	keeper_check_required(keeper);
}

/* Another label or prefix, and what was published is not found any more. */
static void keeper_check_naming(struct keeper *keeper)
{
	const struct config *config = keeper->config;
	struct text label = config->ownership.label, prefix = config->ownership.prefix;
	struct registry *registry = keeper->registry.registry;
	struct registry_naming was;
	struct registry_stat stat;
	if (!registry)
		return;
	enum lookup found = registry_naming_get(registry, &was);
	bool is_same = found == LOOKUP_FOUND && text_equal(label, text_of(was.label)) &&
		       text_equal(prefix, text_of(was.prefix));
	if (found == LOOKUP_FAILED || is_same || !keeper_count(keeper, &stat))
		return;
	uint64_t proved = stat.claims[CLAIM_VERIFIED] + stat.claims[CLAIM_GRACE];
	if (found == LOOKUP_FOUND && proved > 0)
		log_event(&keeper->log, LOG_LEVEL_WARNING,
			"[ownership] label or prefix is another one: %.*s and %.*s, before %s and "
			"%s. %" PRIu64 " verified domain%s will be looked for under the new name: "
			"where the record is not published there, each goes into grace at its next "
			"re-check and is revoked after grace_s. Set them back, or have the records "
			"published anew (`policyctl domain instructions`)",
			TEXT_ARG(label), TEXT_ARG(prefix), was.label, was.prefix, proved,
			proved == 1 ? "" : "s");
	if (registry_naming_set(registry, label, prefix) != ERR_OK)
		log_event(&keeper->log, LOG_LEVEL_WARNING,
			"cannot write label and prefix into the register: %s",
			registry_error(registry));
}

static void keeper_check_hook(struct keeper *keeper)
{
	const char *hook = keeper->config->ownership.hook;
	if (hook[0] && !follower_can_run(hook))
		log_event(&keeper->log, LOG_LEVEL_WARNING,
			"[ownership] hook %s cannot be run: %s; nobody is told of changes. Correct "
			"the path, or chmod +x it",
			hook, strerror(errno));
}

static void keeper_on_opened(void *ctx)
{
	struct keeper *keeper = ctx;
	keeper_work_on_register(keeper);
	keeper->is_required_told = false;
	keeper_check_required(keeper);
	keeper_check_naming(keeper);
}

static void keeper_on_closing(void *ctx)
{
	struct keeper *keeper = ctx;
	struct prover *prover = keeper->prover;
	keeper->prover = NULL;
	if (keeper->control)
		keeper_tell_control(keeper);
	prover_free(prover);
	follower_free(keeper->follower);
	keeper->follower = NULL;
}

/* ---- the loop ---- */

static void keeper_on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	struct keeper *keeper = watcher->data;
	keeper->registry.may_write = keeper_lock_take(&keeper->lock);
	table_check_tick(&keeper->table);
	registry_check_tick(&keeper->registry);
	keeper_work_on_register(keeper);
	if (!keeper->control)
		keeper_tell_control(keeper);
	if (keeper->prover)
		prover_tick(keeper->prover);
	keeper_follow(keeper);
	keeper_watch_required(keeper);
}

static void keeper_on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Everything that the configuration sets in a running keeper; the one before ends after this. */
static void keeper_configure(struct keeper *keeper)
{
	struct resolver_options options = dns_stack_options(keeper->config);
	keeper_init_log(keeper);
	keeper->has_complained = false;
	if (keeper->resolver && resolver_configure(keeper->resolver, &options) != ERR_OK)
		log_event(&keeper->log, LOG_LEVEL_ERROR,
			"[dns] resolv_conf cannot be read, or out of memory: claims are checked "
			"with the DNS options as they were");
	struct prover_parts parts = keeper_prover_parts(keeper);
	if (keeper->prover)
		prover_configure(keeper->prover, &parts);
	if (keeper->follower)
		follower_set_hook(keeper->follower, keeper->config->ownership.hook, HOOK_MAX_S);
	keeper_tell_control(keeper);
	roles_check(keeper->config, &keeper->log);
	keeper_check_hook(keeper);
	keeper->is_required_told = false;
	keeper_check_required(keeper);
	keeper_check_naming(keeper);
}

static void keeper_on_reload(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)events;
	struct keeper *keeper = watcher->data;
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	uint32_t generation;
	enum err err = channel_receive(watcher->fd, &generation, fds, &count);
	if (err == ERR_BUSY)
		return;
	if (err != ERR_OK) {
		/* The supervisor is gone, and its end comes as SIGTERM. */
		ev_io_stop(loop, watcher);
		return;
	}
	struct config *config = NULL, *old = keeper->config;
	if (child_read_config(keeper->start, &keeper->log, &config) != ERR_OK)
		return;
	keeper->config = config;
	keeper_configure(keeper);
	config_free(old);
}

static void keeper_init_checks(struct keeper *keeper)
{
	const struct child_start *start = keeper->start;
	keeper->table = (struct table_check){.shared = start->shared,
		.state_dir = start->state_dir,
		.map_mb = start->table_max_mb,
		.log = &keeper->log,
		.loop = keeper->loop};
	keeper->registry = (struct registry_check){.shared = start->shared,
		.state_dir = start->state_dir,
		.map_mb = start->register_max_mb,
		.log = &keeper->log,
		.loop = keeper->loop,
		.may_write = keeper->registry.may_write,
		.on_opened = keeper_on_opened,
		.on_closing = keeper_on_closing,
		.ctx = keeper};
}

static void keeper_deinit(struct keeper *keeper)
{
	control_server_free(keeper->control);
	keeper->control = NULL;
	table_check_deinit(&keeper->table);
	registry_check_deinit(&keeper->registry);
	keeper_lock_deinit(&keeper->lock);
	resolver_free(keeper->resolver);
	ev_signal_stop(keeper->loop, &keeper->terminate);
	ev_loop_destroy(keeper->loop);
	config_free(keeper->config);
}

int keeper_run(const struct child_start *start)
{
	struct keeper keeper = {.start = start, .config = start->config};
	keeper_init_log(&keeper);
	keeper.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!keeper.loop) {
		log_event(&keeper.log, LOG_LEVEL_ERROR, "cannot start: no event loop");
		return 1;
	}
	keeper_lock_init(&keeper.lock, start->state_dir, &keeper.log);
	keeper.registry.may_write = keeper_lock_take(&keeper.lock);
	keeper_init_checks(&keeper);
	ev_timer_init(&keeper.tick, keeper_on_tick, 0., 1.);
	ev_signal_init(&keeper.terminate, keeper_on_terminate, SIGTERM);
	ev_io_init(&keeper.reload, keeper_on_reload, start->channel, EV_READ);
	keeper.tick.data = keeper.reload.data = &keeper;
	ev_timer_start(keeper.loop, &keeper.tick);
	ev_signal_start(keeper.loop, &keeper.terminate);
	ev_io_start(keeper.loop, &keeper.reload);
	roles_check(keeper.config, &keeper.log);
	keeper_check_hook(&keeper);
	keeper_tell_control(&keeper);
	ev_run(keeper.loop, 0);
	keeper_deinit(&keeper);
	return 0;
}

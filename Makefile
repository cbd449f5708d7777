# policyd: build, try, test. `make help` lists the targets.
#
#   make run        first verdict on the screen
#   make check      every test
#   DEVELOPER=1     warnings are errors        SANITIZE=address,undefined   sanitizers, in a build folder of its own
#   DESTDIR PREFIX  for make install

VERSION = 0.1.0
PREFIX = /usr/local
MANDIR = $(PREFIX)/share/man
UNITDIR = $(PREFIX)/lib/systemd/system
CC = gcc
CFLAGS = -O2 -g
PKG_CONFIG = pkg-config

comma = ,
BUILD = build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

# By Debian package name. What policyd is built from and what the demonstration uses.
RUN_PACKAGES = gcc make pkg-config libc6-dev libev-dev liblmdb-dev libldns-dev libinih-dev libidn2-dev \
	libunistring-dev libpsl-dev netcat-openbsd
# What `make check` needs besides.
CHECK_PACKAGES = libcmocka-dev python3 procps postfix postfix-lmdb sasl2-bin libsasl2-modules libdb5.3 nsd \
	libfaketime
# What the other targets need: lint, bench, fuzz.
LINT_PACKAGES = libcmocka-dev clang clang-tidy clang-format cppcheck mandoc shellcheck universal-ctags
BENCH_PACKAGES = valgrind nsd dnsperf
FUZZ_PACKAGES = clang libclang-rt-14-dev

LIBRARIES = lmdb libidn2 inih ldns libpsl
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DPOLICYD_VERSION='"$(VERSION)"' $(CPPFLAGS)
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wpointer-arith -Wwrite-strings
HARDENING = $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
CFLAGS_ALL = -std=c11 $(WARNINGS) $(if $(DEVELOPER),-Werror) $(HARDENING) $(CFLAGS) \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LIBS = $(shell $(PKG_CONFIG) --libs $(LIBRARIES)) -lunistring -lev

POLICY_SOURCES = $(wildcard policy/*/*.c)
POLICYD_SOURCES = $(wildcard policyd/*.c)
POLICYCTL_SOURCES = $(wildcard policyctl/*.c policyctl/import/*.c)
IMPORT_SOURCES = $(wildcard policyctl/import/*.c)
# Of policyctl, what fuzz targets are about.
FUZZED_SOURCES = $(IMPORT_SOURCES) policyctl/typed.c
UNIT_SOURCES = $(filter-out tests/unit/test_decisions.c,$(wildcard tests/unit/test_*.c)) \
	$(wildcard tests/session/test_*.c)
FUZZ_SOURCES = $(wildcard tests/fuzz/fuzz_*.c)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
UNIT_PROGRAMS = $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))
CORPUS_PROGRAMS = $(patsubst tests/fuzz/%.c,$(BUILD)/corpus/%,$(FUZZ_SOURCES))
FUZZERS = $(patsubst tests/fuzz/%.c,build/fuzzers/%,$(FUZZ_SOURCES))
BENCH_PROGRAMS = $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
PROGRAMS = $(BUILD)/policyd $(BUILD)/policyctl

.PHONY: all
all: $(PROGRAMS) ## policyd and policyctl in build/
.DEFAULT_GOAL = all

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/policy/engine/session.o: CFLAGS_ALL += $(SESSION_CFLAGS)

$(BUILD)/libpolicy.a: $(call objects,$(POLICY_SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/policyd: $(call objects,$(POLICYD_SOURCES)) $(BUILD)/libpolicy.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lev

$(BUILD)/policyctl: $(call objects,$(POLICYCTL_SOURCES)) $(BUILD)/libpolicy.a
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lev

$(BUILD)/tests/unit/test_decisions: $(BUILD)/obj/tests/unit/test_decisions.o \
		$(BUILD)/obj/tests/fake/fake_table.o $(BUILD)/obj/tests/fake/fake_registry.o \
		$(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/tests/unit/test_%: $(BUILD)/obj/tests/unit/test_%.o $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/unit/test_conn: $(call objects,tests/unit/test_conn.c policyd/conn.c \
		policyd/buffer.c policyd/peer.c) $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/unit/test_roles: $(call objects,tests/unit/test_roles.c policyd/roles.c) \
		$(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

# Beside the tables of commands and options, which it includes: whatever else policyctl is made of.
$(BUILD)/tests/unit/test_role_table: $(call objects,tests/unit/test_role_table.c policyd/roles.c \
		$(filter-out policyctl/main.c policyctl/commands.c policyctl/args.c,$(POLICYCTL_SOURCES))) \
		$(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/unit/test_follower: $(call objects,tests/unit/test_follower.c policyd/follower.c \
		policyd/spawn.c) $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/unit/test_spawn: $(call objects,tests/unit/test_spawn.c policyd/spawn.c) \
		$(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

# The fake comes before the archive, so that the linker takes its resolver and leaves ours.
$(BUILD)/tests/session/test_%: $(BUILD)/obj/tests/session/test_%.o \
		$(BUILD)/obj/tests/fake/fake_resolver.o $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

# The resolver on a terminal: what tests/blackbox/test_resolver.py talks to.
$(BUILD)/tests/session/resolve: $(BUILD)/obj/tests/session/resolve.o $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# Changes the register until it is killed: what tests/blackbox/crash_registry.py kills.
$(BUILD)/tests/unit/registry_writer: $(BUILD)/obj/tests/unit/registry_writer.o $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# A fuzz target as a plain program that runs the files it is given: what `make check` replays.
$(BUILD)/corpus/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o \
		$(call objects,$(FUZZED_SOURCES)) $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# Fills the ownership register.
$(BUILD)/bench/claims: $(BUILD)/obj/tests/bench/claims.o $(BUILD)/libpolicy.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(call objects,$(wildcard tests/bench/lib/*.c))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ -lev

build/fuzzers/fuzz_%: tests/fuzz/fuzz_%.c $(POLICY_SOURCES) $(FUZZED_SOURCES)
	@mkdir -p $(@D)
	clang $(CPPFLAGS_ALL) -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< $(POLICY_SOURCES) $(FUZZED_SOURCES) $(LIBS)

.PHONY: deps check-deps run check test-programs unit decisions corpus sanitize layers blackbox postfix-tests
deps: ## installs what policyd is built from
	@.ci/install-packages $(RUN_PACKAGES)

check-deps:
	@.ci/install-packages $(RUN_PACKAGES) $(CHECK_PACKAGES)

run: ## installs what is missing, builds, shows a REJECT and a DUNNO, keeps serving (DEMO=once: stops)
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all
	@DEMO=$(DEMO) contrib/demo

check: ## installs what the tests need and runs them all
	@$(MAKE) --no-print-directory check-deps
	@tests/run-all

# Parts of `make check`, each of use alone.
test-programs: $(UNIT_PROGRAMS) $(BUILD)/tests/unit/test_decisions $(CORPUS_PROGRAMS) $(BENCH_PROGRAMS) \
		$(BUILD)/tests/session/resolve $(BUILD)/tests/unit/registry_writer

unit: $(UNIT_PROGRAMS) ## unit tests, session tests with a fake clock and resolver
	@tests/run-programs $(UNIT_PROGRAMS)

decisions: $(BUILD)/tests/unit/test_decisions ## the rows of tests/decision/
	@$< tests/decision/*.txt

corpus: $(CORPUS_PROGRAMS) ## replays the fuzz corpora
	@tests/run-corpus $(CORPUS_PROGRAMS)

sanitize: ## unit, decision and corpus tests under ASan and UBSan
	@$(MAKE) --no-print-directory SANITIZE=address,undefined unit decisions corpus

layers: ## includes point down only
	@tests/layers.py

blackbox: all $(BUILD)/tests/session/resolve $(BUILD)/bench/claims ## whole processes
	@python3 -m unittest discover -s tests/blackbox -p 'test_*.py'

postfix-tests: all ## a real Postfix on loopback
	@python3 -m unittest discover -s tests/postfix -p 'test_*.py'

.PHONY: lint format soak bench bench-programs fuzz install clean help
lint: ## clang-tidy, cppcheck, gcc -fanalyzer, formats, man pages
	@.ci/install-packages $(RUN_PACKAGES) $(LINT_PACKAGES)
	@tests/lint

format: ## clang-format on every source
	clang-format -i $$(git ls-files '*.[ch]')

soak: all $(BUILD)/tests/unit/registry_writer ## the long forms: 20,000 killed loads, 1,000 killed writers of the register
	@$(MAKE) --no-print-directory check-deps
	CRASH_RUNS=20000 python3 tests/blackbox/crash_load.py
	REGISTRY_CRASH_RUNS=1000 python3 tests/blackbox/crash_registry.py

bench-programs: $(BENCH_PROGRAMS)

bench: ## requests/s beside an echo server, instructions, load time, lockdown beside none and dnsperf, the register
	@.ci/install-packages $(RUN_PACKAGES) $(BENCH_PACKAGES) python3
	@$(MAKE) --no-print-directory all bench-programs
	@tests/bench/bench.py $(BENCH)

fuzz: ## every fuzz target for FUZZ_SECONDS (60) each
	@.ci/install-packages $(RUN_PACKAGES) $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory $(FUZZERS)
	@tests/run-fuzzers $(or $(FUZZ_SECONDS),60) $(FUZZERS)

install: all ## into DESTDIR/PREFIX (/usr/local); /etc/policyd/policyd.ini is not overwritten
	install -D -m 755 $(BUILD)/policyd $(DESTDIR)$(PREFIX)/sbin/policyd
	install -D -m 755 $(BUILD)/policyctl $(DESTDIR)$(PREFIX)/sbin/policyctl
	install -D -m 755 contrib/postfix/check-postfix $(DESTDIR)$(PREFIX)/sbin/policyd-check-postfix
	install -D -m 644 man/policyd.8 $(DESTDIR)$(MANDIR)/man8/policyd.8
	install -D -m 644 man/policyctl.8 $(DESTDIR)$(MANDIR)/man8/policyctl.8
	install -D -m 644 man/policyd.ini.5 $(DESTDIR)$(MANDIR)/man5/policyd.ini.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/policyd README.md policyd.ini \
		contrib/postfix/main.cf.fragment contrib/postfix/master.cf.fragment
	install -D -m 644 contrib/systemd/policyd.socket $(DESTDIR)$(UNITDIR)/policyd.socket
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|' contrib/systemd/policyd.service >$(DESTDIR)$(UNITDIR)/policyd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/policyd.service
	install -D -m 644 contrib/systemd/policyd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/policyd.conf
	test -e $(DESTDIR)/etc/policyd/policyd.ini || \
		install -D -m 644 policyd.ini $(DESTDIR)/etc/policyd/policyd.ini

clean: ## removes build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.SECONDARY:
-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d' 2>/dev/null)

"""A domain from its claim to its first mail and for months after: policyd, policyctl beside it, a real authoritative server.

Knows: files, signals, log and sockets of policyd as an administrator does; NSD's zone files.
Must not know: how claims are stored, what the keeper does when.
Hours pass by libfaketime: policyd and policyctl read the wall clock, and no other one, from a file of the test.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parent.parent / "fake")]
import helper  # noqa: E402
import nsd_zone  # noqa: E402
from helper import DEFER, DUNNO, IS_ROOT, POLICYCTL, USER, Daemon, is_alive, wait_until  # noqa: E402

LABEL = "domauthvalidation"
PREFIX = "policyd-verification="
TOKEN = re.compile(r"\b[a-z2-7]{32}\b")
FAKETIME = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
MINUTE, HOUR, DAY = 60, 3600, 86400
# alice and carol are acme's, bob is beta's, dora nobody's.
TABLE = "".join(f"@{name}.test  alice, bob, dora\n" for name in ("one", "two", "free"))
TENANTS = "alice acme\ncarol acme\nbob beta\n"
NSD = None


def setUpModule():
    global NSD
    if not FAKETIME:
        raise RuntimeError("libfaketime is not installed: package libfaketime")
    NSD = nsd_zone.NsdZone().start()
    unittest.addModuleCleanup(NSD.close)


def forget_shared(pid):
    """What libfaketime leaves behind of a process that was killed or became another user."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/dev/shm/{name}")


def refused(login, why=""):
    return f"action=REJECT 5.7.1 Sender address rejected: not owned by user {login}{why}\n\n".encode()


def unverified(login, domain="one.test"):
    return refused(login, f" ({domain} is not verified)")


def revoked(login, domain="one.test"):
    return refused(login, f" ({domain} is not verified any more)")


class World(Daemon):
    """policyd and policyctl with a wall clock that the test moves."""

    def __init__(self, test, **options):
        self.hours = None
        super().__init__(test, table=None, **options)
        self.hours = self.folder / "clock"
        self.ahead_s = 0
        self._set_clock()
        self.control = self.folder / "run" / "control.sock"
        self.configure(control={"socket": f"unix:{self.control}"},
                       dns={"nameserver": NSD.server, "timeout_ms": "300", "attempts": "2", "deadline_ms": "700"})
        self.load(TABLE)
        self.ctl("load", "--tenants", "-", stdin=TENANTS)

    @property
    def env(self):
        return {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": str(self.hours), "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

    def _set_clock(self):
        new = self.folder / "clock.new"
        new.write_text(f"+{self.ahead_s}\n")
        new.chmod(0o644)
        new.replace(self.hours)

    def pass_(self, seconds):
        self.ahead_s += int(seconds)
        self._set_clock()

    def start(self, **spawn):
        return super().start(env=self.env, **spawn)

    def spawn(self, *args, **popen):
        super().spawn(*args, **popen)
        self.test.addCleanup(forget_shared, self.child.pid)

    def ctl(self, *words, stdin=None, check=True):
        with subprocess.Popen([POLICYCTL, "-c", str(self.ini), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env={**os.environ, **self.env}) as child:
            out, err = child.communicate(stdin or "")
        forget_shared(child.pid)
        done = subprocess.CompletedProcess(child.args, child.returncode, out, err)
        if check and done.returncode != 0:
            raise AssertionError(f"policyctl {words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def claim(self, domain="one.test", tenant="acme"):
        """The value to publish."""
        return json.loads(self.ctl("domain", "add", domain, "--tenant", tenant, "--json").stdout)["record"]["value"]

    def claims(self, domain="one.test"):
        """By tenant."""
        done = self.ctl("domain", "show", domain, "--json", check=False)
        return {claim["tenant"]: claim for claim in json.loads(done.stdout)["claims"]}

    def state(self, domain="one.test", tenant="acme"):
        return self.claims(domain)[tenant]["state"]

    def wait_state(self, state, domain="one.test", tenant="acme"):
        """Until the keeper came to it by itself."""
        try:
            wait_until(lambda: self.state(domain, tenant) == state, f"{domain} {state}", 15)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.claims(domain)}\n{self.log()[-3000:]}") from None

    def pass_to_look(self, seconds, domain="one.test", tenant="acme"):
        """So much later, and the keeper looked by itself."""
        before = self.claims(domain)[tenant]["checked_at"]
        self.pass_(seconds)
        wait_until(lambda: self.claims(domain)[tenant]["checked_at"] != before, f"a look at {domain}", 15)

    def mail(self, login="alice", sender="s@one.test"):
        return self.ask(sender, login)

    def told(self):
        """What the hook of Case.hook was told of."""
        file = self.folder / "told"
        return file.read_text().splitlines() if file.exists() else []


class Case(unittest.TestCase):
    maxDiff = None

    def world(self, begin=True, **options):
        world = World(self, **options)
        return world.start() if begin else world

    def publish(self, *values, domain="one.test"):
        """The zone holds these and nothing else there, and nothing when the test has ended."""
        name = f"{LABEL}.{domain}"
        if name.removesuffix(".test") not in NSD.records:
            self.addCleanup(NSD.set_record, name)
        NSD.set_record(name, *(f'"{value}"' for value in values))

    def withdraw(self, domain="one.test"):
        NSD.set_record(f"{LABEL}.{domain}")

    def hook(self, world, more=""):
        """A line for each change, of both daemon's and policyctl's making."""
        path = world.folder / "hook"
        path.write_text(f"#!/bin/sh\n{more}\necho $POLICYD_NUMBER $POLICYD_DOMAIN $POLICYD_TENANT $POLICYD_BEFORE "
                        f"$POLICYD_AFTER $POLICYD_ACTOR >>{world.folder}/told\n")
        path.chmod(0o755)
        return str(path)

    def verified(self, world, domain="one.test", tenant="acme"):
        value = world.claim(domain, tenant)
        self.publish(value, domain=domain)
        world.ctl("domain", "check", domain)
        return value

    def agree(self, world, login, expected, sender="s@one.test"):
        """The daemon and every command that answers for it."""
        self.assertEqual(world.mail(login, sender), expected)
        line = expected.decode().strip()
        code = 0 if line.startswith("action=DUNNO") else 3 if "4.3.0" in line else 1
        check = world.ctl("check", login, sender, check=False)
        self.assertEqual((check.stdout.strip(), check.returncode), (line, code))
        explain = world.ctl("explain", login, sender, "--json", check=False)
        self.assertEqual((json.loads(explain.stdout)["answer"], explain.returncode), (line, code))
        replay = world.ctl("replay", "-", stdin=helper.request(sender, login).decode(), check=False)
        self.assertEqual(replay.stdout.encode(), expected)


class Life(Case):
    def test_from_claim_to_revocation_and_back(self):
        world = self.world(begin=False)
        world.configure(ownership={"hook": self.hook(world)})
        world.start()
        self.agree(world, "alice", DUNNO)
        value = world.claim()
        self.agree(world, "alice", unverified("alice"))
        self.publish(value)
        self.assertEqual(world.mail(), unverified("alice"))
        done = world.ctl("domain", "check", "one.test")
        self.assertIn("by policyd", done.stdout)
        self.assertIn("tenant    acme: pending -> verified, in force", done.stdout)
        self.agree(world, "alice", DUNNO)
        self.agree(world, "bob", refused("bob"))
        self.agree(world, "dora", refused("dora"))
        self.withdraw()
        world.pass_(27 * HOUR)
        world.wait_state("grace")
        self.agree(world, "alice", DUNNO)
        self.agree(world, "bob", refused("bob"))
        world.pass_to_look(40 * HOUR)
        self.assertEqual(world.state(), "grace")
        self.agree(world, "alice", DUNNO)
        world.pass_(33 * HOUR)
        world.wait_state("revoked")
        for login in ("alice", "bob", "dora"):
            self.agree(world, login, revoked(login))
        world.pass_to_look(20 * DAY)
        self.assertEqual(world.state(), "revoked")
        self.publish(value)
        self.assertEqual(world.mail(), revoked("alice"))
        world.ctl("domain", "check", "one.test")
        self.agree(world, "alice", DUNNO)
        states = ["none pending", "pending verified", "verified grace", "grace revoked", "revoked verified"]
        wait_until(lambda: len(world.told()) >= len(states), "the hooks")
        self.assertEqual([" ".join(line.split()[3:5]) for line in world.told()], states)
        person = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual([line.split()[5] for line in world.told()], [person, person, "policyd", "policyd", person])
        for line in states:
            before, after = line.split()
            self.assertEqual(world.log().count(f"before={before} after={after}"), 1)
        self.assertNotRegex(world.log(), TOKEN)
        self.assertNotRegex("\n".join(world.told()), TOKEN)

    def test_the_keeper_verifies_by_itself(self):
        world = self.world()
        self.publish(world.claim())
        world.pass_(70)
        world.wait_state("verified")
        self.assertEqual(world.mail(), DUNNO)
        world.wait_log("action=check actor=policyd domain=one.test tenant=acme before=pending after=verified")

    def test_found_in_a_later_look(self):
        """The owner takes half a day to publish: nobody has to run a command."""
        world = self.world()
        value = world.claim()
        for _ in range(6):
            world.pass_to_look(2 * HOUR)
        self.assertEqual(world.state(), "pending")
        self.publish(value)
        world.pass_(70 * MINUTE)
        world.wait_state("verified")

    def test_nobody_publishes(self):
        world = self.world()
        value = world.claim()
        world.pass_(4 * DAY)
        world.wait_state("expired")
        self.agree(world, "alice", unverified("alice"))
        self.publish(value)
        world.pass_(4 * DAY)
        self.assertEqual(world.state(), "expired")
        world.ctl("domain", "check", "one.test")
        self.agree(world, "alice", DUNNO)

    def test_dns_down_for_weeks(self):
        """What is in force stays in force, whatever state it fails in."""
        world = self.world()
        value = self.verified(world)
        self.withdraw()
        self.publish(value)
        NSD.stop()
        self.addCleanup(lambda: NSD.process or NSD.start())
        for _ in range(5):
            world.pass_to_look(5 * DAY)
        self.assertEqual(world.state(), "verified")
        self.agree(world, "alice", DUNNO)
        self.assertEqual(world.ctl("domain", "check", "one.test").returncode, 0)
        NSD.start()
        self.withdraw()
        world.ctl("domain", "check", "one.test")
        self.assertEqual(world.state(), "grace")
        NSD.stop()
        for _ in range(5):
            world.pass_to_look(5 * DAY)
        self.assertEqual(world.state(), "grace")
        self.agree(world, "alice", DUNNO)
        NSD.start()
        world.pass_(2 * HOUR)
        world.wait_state("revoked")

    def test_two_tenants(self):
        world = self.world()
        self.verified(world)
        second = world.claim(tenant="beta")
        self.publish(second)
        world.ctl("domain", "check", "one.test", "--tenant", "beta", check=False)
        self.assertEqual((world.state(tenant="acme"), world.state(tenant="beta")), ("verified", "pending"))
        self.assertEqual((world.mail("alice"), world.mail("bob")), (DUNNO, refused("bob")))
        world.pass_(27 * HOUR)
        world.wait_state("grace")
        world.pass_(75 * HOUR)
        world.wait_state("revoked")
        world.wait_state("verified", tenant="beta")
        self.agree(world, "bob", DUNNO)
        self.agree(world, "alice", refused("alice"))

    def test_by_hand(self):
        world = self.world()
        world.claim()
        world.ctl("domain", "pin", "one.test")
        self.agree(world, "alice", DUNNO)
        world.ctl("domain", "unpin", "one.test")
        self.assertEqual(world.state(), "grace")
        world.pass_to_look(5)
        self.agree(world, "alice", DUNNO)
        world.ctl("domain", "transfer", "one.test", "--tenant", "beta", "--yes")
        self.agree(world, "bob", DUNNO)
        self.agree(world, "alice", refused("alice"))
        world.ctl("domain", "remove", "one.test", "--tenant", "beta", "--yes")
        for login in ("alice", "bob", "dora"):
            self.agree(world, login, refused(login, " (one.test was removed)"))
        for tenant in ("acme", "beta"):
            world.ctl("domain", "forget", "one.test", "--tenant", tenant, "--yes")
        self.agree(world, "dora", DUNNO)

    def test_senders(self):
        """Entries count while their claim is in force, and not before they are approved."""
        world = self.world()
        self.agree(world, "carol", refused("carol"))
        value = world.claim()
        world.ctl("domain", "allow", "one.test", "carol", "--pending")
        self.publish(value)
        world.ctl("domain", "check", "one.test")
        self.agree(world, "carol", refused("carol", " (approval is pending)"))
        world.ctl("domain", "approve", "one.test", "--all")
        self.agree(world, "carol", DUNNO)
        self.withdraw()
        world.pass_(27 * HOUR)
        world.wait_state("grace")
        self.agree(world, "carol", DUNNO)
        world.pass_(75 * HOUR)
        world.wait_state("revoked")
        self.assertIn(world.mail("carol"), (refused("carol"), revoked("carol")))


class WithoutDaemon(Case):
    def test_check_looks_by_itself(self):
        world = self.world(begin=False)
        value = world.claim()
        self.publish(value)
        done = world.ctl("domain", "check", "one.test")
        self.assertNotIn("by policyd", done.stdout)
        self.assertIn("pending -> verified", done.stdout)
        world.start()
        self.assertEqual(world.mail(), DUNNO)
        self.assertIn("by policyd", world.ctl("domain", "check", "one.test").stdout)
        self.assertEqual(world.stop(), 0)
        self.withdraw()
        done = world.ctl("domain", "check", "one.test")
        self.assertNotIn("by policyd", done.stdout)
        self.assertIn("verified -> grace", done.stdout)

    def test_days_while_nothing_ran(self):
        """What fell due meanwhile is looked at by the next start; hooks tell of what policyctl did."""
        world = self.world(begin=False)
        world.configure(ownership={"hook": self.hook(world)})
        self.verified(world)
        self.verified(world, "two.test")
        self.withdraw("two.test")
        checked_at = world.claims()["acme"]["checked_at"]
        world.pass_(30 * DAY)
        world.start()
        world.wait_state("grace", "two.test")
        wait_until(lambda: world.claims()["acme"]["checked_at"] != checked_at, "a look")
        self.assertEqual(world.state(), "verified")
        # Nobody saw the proof gone before: the time of grace begins now.
        self.agree(world, "alice", DUNNO, "s@two.test")
        wait_until(lambda: len(world.told()) >= 5, "the hooks")
        self.assertEqual([" ".join(line.split()[1:5]) for line in world.told()],
                         ["one.test acme none pending", "one.test acme pending verified", "two.test acme none pending",
                          "two.test acme pending verified", "two.test acme verified grace"])


class Configuration(Case):
    def test_required_all(self):
        world = self.world(ownership={"required": "all"})
        world.wait_log("[ownership] required = all, and no domain is verified, hosted or pinned")
        self.agree(world, "alice", unverified("alice", "free.test"), "s@free.test")
        self.verified(world)
        self.agree(world, "alice", DUNNO)
        self.agree(world, "alice", unverified("alice", "free.test"), "s@free.test")
        before = world.log().count("required = all, and")
        world.stop()
        world.start()
        self.assertEqual(world.mail(), DUNNO)
        world.wait_log("is open")
        self.assertEqual(world.log().count("required = all, and"), before)

    def test_reload(self):
        """Label, prefix, times, required and hook are what the file says from then on."""
        world = self.world()
        value = world.claim()
        NSD.set_record("_other.one.test", f'"{value.replace(PREFIX, "other=")}"')
        self.addCleanup(NSD.set_record, "_other.one.test")
        world.ctl("domain", "check", "one.test", check=False)
        self.assertEqual(world.state(), "pending")
        world.configure(ownership={"label": "_other", "prefix": "other=", "grace_s": "7200", "recheck_s": "3600",
                                   "hook": self.hook(world)})
        world.reload()
        world.ctl("domain", "check", "one.test")
        self.assertEqual(world.mail(), DUNNO)
        wait_until(lambda: len(world.told()) == 1, "the new hook")
        NSD.set_record("_other.one.test")
        world.pass_(70 * MINUTE)
        world.wait_state("grace")
        world.pass_(3 * HOUR)
        world.wait_state("revoked")
        self.assertEqual(world.mail(), revoked("alice"))
        world.configure(ownership={"required": "no"})
        world.reload()
        self.agree(world, "alice", DUNNO)
        self.agree(world, "bob", DUNNO)

    def test_answer_that_lets_it_go(self):
        world = self.world(replies={"domain_unverified": "FILTER smtp:[127.0.0.1]:2525"})
        world.claim()
        self.agree_letting_go(world, b"action=FILTER smtp:[127.0.0.1]:2525\n\n")
        world.configure(replies={"domain_unverified": "HOLD not verified yet"})
        world.reload()
        self.agree_letting_go(world, b"action=HOLD not verified yet\n\n")
        self.assertIn("domain-unverified", world.log())

    def agree_letting_go(self, world, expected):
        self.assertEqual(world.mail(), expected)
        self.assertEqual(world.ctl("check", "alice", "s@one.test", check=False).stdout.strip(), expected.decode().strip())
        self.assertEqual(world.ctl("replay", "-", stdin=helper.request("s@one.test", "alice").decode()).stdout.encode(),
                         expected)


class Processes(Case):
    def test_every_worker_knows(self):
        world = self.world(workers="4")
        self.assertEqual(len(world.workers()), 4)

        def answers():
            connections = [world.connect() for _ in range(40)]
            heard = {helper.ask(sock, "s@one.test", "alice") for sock in connections}
            for sock in connections:
                sock.close()
            return heard

        self.assertEqual(answers(), {DUNNO})
        value = world.claim()
        self.assertEqual(answers(), {unverified("alice")})
        self.publish(value)
        world.ctl("domain", "check", "one.test")
        self.assertEqual(answers(), {DUNNO})
        world.ctl("domain", "remove", "one.test", "--yes")
        self.assertEqual(answers(), {refused("alice", " (one.test was removed)")})

    def test_keeper_killed(self):
        """It comes back, and nothing is lost. Told of again is at most the change it was killed over."""
        world = self.world(begin=False)
        world.configure(ownership={"hook": self.hook(world)})
        world.start()
        workers = set(world.workers())
        values = {}
        for i in range(4):
            values[f"k{i}.test"] = world.claim(f"k{i}.test")
            wait_until(lambda: f"k{i}.test" in "".join(world.told()), "the hook")
            keeper = (set(world.processes()) - workers).pop()
            os.kill(keeper, signal.SIGKILL)
            wait_until(lambda: not is_alive(keeper), "the keeper's end")
            self.assertEqual(world.mail("alice", f"s@k{i}.test"), refused("alice"))
        for domain, value in values.items():
            self.addCleanup(NSD.set_record, f"{LABEL}.{domain}")
            NSD.records[f"{LABEL}.{domain.removesuffix('.test')}"] = [f'"{value}"']
        NSD.set_record("k", '"restarted"')
        world.pass_(70)
        for domain in values:
            world.wait_state("verified", domain)
        wait_until(lambda: len(set(world.told())) >= 8, "the hooks")
        told = world.told()
        self.assertEqual(sorted(set(told), key=lambda line: int(line.split()[0])), [
            line for i, line in enumerate(told) if i == 0 or told[i - 1] != line])
        self.assertLessEqual(len(told), 8 + 4)
        self.assertEqual(sorted(" ".join(line.split()[1:5]) for line in set(told)), sorted(
            f"{domain} acme {change}" for domain in values for change in ("none pending", "pending verified")))

    def test_keeper_killed_while_a_hook_runs(self):
        """The one change that may be told of twice; those behind it are told of once."""
        world = self.world(begin=False)
        world.configure(ownership={"hook": self.hook(
            world, f'[ "$POLICYD_DOMAIN" = one.test ] && [ ! -e {world.folder}/again ] && '
                   f"touch {world.folder}/again && exec sleep 60")})
        world.start()
        world.claim("one.test")
        world.claim("two.test")
        wait_until(lambda: (world.folder / "again").exists(), "the hook")
        os.kill(world.keeper(), signal.SIGKILL)
        wait_until(lambda: len(world.told()) >= 2, "the hooks")
        world.claim("free.test")
        wait_until(lambda: len(world.told()) >= 3, "the hooks")
        self.assertEqual([line.split()[1] for line in world.told()], ["one.test", "two.test", "free.test"])

    def test_daemon_and_policyctl_write_at_once(self):
        """60 claims are proved by the keeper while four policyctl change the same domains."""
        world = self.world()
        domains = [f"w{i}.test" for i in range(60)]
        for domain in domains:
            self.addCleanup(NSD.records.pop, f"{LABEL}.{domain.removesuffix('.test')}", None)
            NSD.records[f"{LABEL}.{domain.removesuffix('.test')}"] = [f'"{world.claim(domain)}"']
        NSD.set_record("w", '"restarted"')
        self.addCleanup(NSD.set_record, "w")
        world.pass_(70)

        def work(words):
            for domain in domains:
                word, *more = words
                world.ctl("domain", word, domain, *more)

        jobs = [("allow", "alice", "--tenant", "acme"), ("allow", "carol", "--tenant", "acme", "--pending"),
                ("add", "--tenant", "beta"), ("check", "--tenant", "acme")]
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            list(pool.map(work, jobs))
        for domain in domains:
            world.wait_state("verified", domain)
            claims = world.claims(domain)
            self.assertEqual((claims["acme"]["senders"], claims["acme"]["senders_pending"], claims["beta"]["state"]),
                             (1, 1, "pending"), domain)
        lines = [json.loads(line) for line in world.ctl("audit", "--json", "--limit", "10000").stdout.splitlines()]
        numbers = [line["number"] for line in lines]
        self.assertEqual(sorted(numbers), list(range(1, len(numbers) + 1)))
        # tenants loaded, 60 claimed, 60 verified, 120 allowed, 60 claimed by beta: none is lost or there twice.
        changes = sorted((line["domain"], line["tenant"], line["after"]) for line in lines if line["after"] in
                         ("pending", "verified"))
        self.assertEqual(changes, sorted((domain, *rest) for domain in domains for rest in (
            ("acme", "pending"), ("acme", "verified"), ("beta", "pending"))))
        wait_until(lambda: world.log().count("after=verified") == len(domains), "the log lines")
        # The walk of the next start finds it whole.
        self.assertEqual(world.stop(), 0)
        world.start()
        self.assertEqual(world.mail("alice", "s@w0.test"), DUNNO)
        self.assertNotIn("damaged", world.log())


class Damage(Case):
    def file(self, world):
        return world.folder / "state" / "register" / "data.mdb"

    def test_found_at_the_start(self):
        world = self.world()
        self.verified(world)
        self.assertEqual(world.stop(), 0)
        good = self.file(world).read_bytes()
        self.file(world).write_bytes(good.replace(b"acme", b"evil"))
        world.start()
        self.assertEqual(world.mail(), DEFER)
        self.assertEqual(world.mail("bob"), DEFER)
        world.wait_log("stop policyd, move this folder away and restore a backup of it. Every answer that needs it is deferred "
                       "(register-damaged)")
        wait_until(lambda: "reason=register-damaged" in world.log(), "the decision's line")
        self.agree(world, "alice", DEFER)
        status = world.ctl("status", check=False)
        self.assertIn("restore a backup", status.stdout + status.stderr)
        shutil.move(self.file(world).parent, world.folder / "bad")
        shutil.copytree(world.folder / "bad", self.file(world).parent)
        self.file(world).write_bytes(good)
        if IS_ROOT:
            for path in (self.file(world).parent, *self.file(world).parent.iterdir()):
                shutil.chown(path, USER)
        wait_until(lambda: world.mail() == DUNNO, "the claim in force again")
        self.assertEqual(world.mail("bob"), refused("bob"))

    def give(self, world):
        """What root put there becomes policyd's."""
        if IS_ROOT:
            for path in (self.file(world).parent, *self.file(world).parent.iterdir()):
                shutil.chown(path, USER)

    def wait_rest(self, world):
        """Until nobody has written for a while: a write into a file that is being overwritten ruins it."""
        wait_until(lambda: time.time() - self.file(world).stat().st_mtime > 1.5, "rest")

    def test_gone(self):
        """A register that was there is never an empty one, for anybody, until a person says so."""
        world = self.world()
        self.verified(world)
        self.assertEqual(world.mail("bob"), refused("bob"))
        shutil.move(self.file(world).parent, world.folder / "away")
        gone = "the register that was here is gone, or empty: stop policyd and put a backup of this folder back"
        mark = world.folder / "state" / "register.made"
        world.wait_log(gone)
        wait_until(lambda: world.mail("bob") == DEFER, "a deferral")
        for login in ("alice", "bob", "dora"):
            self.agree(world, login, DEFER)
        for words in (("domain", "add", "two.test", "--tenant", "acme"), ("domain", "show", "one.test"), ("domain", "list"),
                      ("status",), ("domain", "remove", "one.test", "--yes"), ("audit",), ("load", "--tenants", "-")):
            done = world.ctl(*words, stdin="carol acme\n", check=False)
            self.assertEqual(done.returncode, 3, words)
            self.assertIn(gone, done.stderr, words)
            self.assertIn(f"remove {mark}", done.stderr, words)
        self.assertFalse(self.file(world).exists())
        self.assertEqual(world.stop(), 0)
        world.start()
        self.assertEqual(world.mail("bob"), DEFER)
        self.assertEqual(world.stop(), 0)
        shutil.move(world.folder / "away", self.file(world).parent)
        world.start()
        self.agree(world, "alice", DUNNO)
        self.agree(world, "bob", refused("bob"))

    def test_file_gone_and_begun_anew(self):
        """Without a backup: the mark goes, too, and nobody has claimed anything."""
        world = self.world()
        self.verified(world)
        self.file(world).unlink()
        wait_until(lambda: world.mail("bob") == DEFER, "a deferral")
        self.assertFalse(self.file(world).exists())
        (world.folder / "state" / "register.made").unlink()
        wait_until(lambda: world.mail("dora") == DUNNO, "a register without a claim")
        self.assertIn("nobody has claimed", world.ctl("domain", "show", "one.test", check=False).stderr)
        self.assertTrue((world.folder / "state" / "register.made").exists())

    def test_made_by_a_process_that_left_no_mark(self):
        """Killed between the two, or of a version that made none: the next one marks it."""
        world = self.world(begin=False)
        mark = world.folder / "state" / "register.made"
        mark.unlink()
        world.start()
        wait_until(mark.exists, "the mark")
        self.assertEqual(mark.stat().st_mode & 0o777, 0o600)

    def test_put_back_under_a_running_daemon(self):
        """In place, or in its place: it is said, and what comes after is followed again."""
        for in_place in (True, False):
            with self.subTest(in_place=in_place):
                world = self.world(begin=False)
                world.configure(ownership={"hook": self.hook(world)})
                world.start()
                self.verified(world)
                wait_until(lambda: len(world.told()) == 2, "the hooks")
                self.wait_rest(world)
                backup = self.file(world).read_bytes()
                for i in range(3):
                    world.claim(f"w{i}.test")
                wait_until(lambda: len(world.told()) == 5, "the hooks")
                self.wait_rest(world)
                if in_place:
                    with self.file(world).open("r+b") as file:
                        file.write(backup)
                else:
                    new = self.file(world).parent / "new"
                    new.write_bytes(backup)
                    self.give(world)
                    new.replace(self.file(world))
                world.wait_log("went back, from change")
                world.wait_log("put a backup back only while it is stopped")
                wait_until(lambda: world.log().count("is open") == 2, "the register open again")
                self.assertEqual(world.mail("alice"), DUNNO)
                self.assertEqual(world.mail("alice", "s@w0.test"), refused("alice"))
                world.claim("later.test")
                wait_until(lambda: len(world.told()) == 6, "the hook")
                self.assertIn("later.test", world.told()[-1])
                self.assertEqual(world.log().count("domain=later.test"), 1)
                self.withdraw()


class Naming(Case):
    def test_another_label(self):
        world = self.world()
        self.verified(world)
        said = "1 verified domain will be looked for under the new name"
        world.configure(ownership={"label": "other"})
        world.reload()
        world.wait_log(said)
        self.assertIn(f"other and {PREFIX}, before {LABEL} and {PREFIX}", world.log())
        world.reload()
        self.assertEqual(world.stop(), 0)
        world.start()
        world.wait_log("is open")
        self.assertEqual(world.log().count(said), 1)
        self.assertEqual(world.stop(), 0)
        world.configure(ownership={"prefix": "x="})
        world.start()
        wait_until(lambda: world.log().count(said) == 2, "the warning at the start")

    def test_nothing_was_proved(self):
        world = self.world()
        world.claim()
        world.configure(ownership={"label": "other"})
        world.reload()
        world.ctl("domain", "add", "two.test", "--tenant", "acme")
        world.wait_log("domain=two.test")
        self.assertNotIn("under the new name", world.log())


if __name__ == "__main__":
    unittest.main()

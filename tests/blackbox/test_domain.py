"""`policyctl domain ...`: claims, their proofs on a real authoritative server, their senders.

Knows: command lines, exit codes, output; NSD's zone files.
Must not know: how claims are stored.
No daemon runs here: policyctl looks by itself.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parent.parent / "fake")]
import ctl  # noqa: E402
import helper  # noqa: E402
import nsd_zone  # noqa: E402
from ctl import NO, UNKNOWN, USAGE, YES, Ctl  # noqa: E402

NSD = None
LABEL = "domauthvalidation"
PREFIX = "policyd-verification="
TOKEN = re.compile(r"\b[a-z2-7]{32}\b")
TABLE = "a@one.test joe\nb@one.test joe\n@one.test joe, bob\nbill*@one.test bob\n@.test x\nb@other.test y\n"


def setUpModule():
    global NSD
    NSD = nsd_zone.NsdZone().start()
    unittest.addModuleCleanup(NSD.close)


class Case(unittest.TestCase):
    server = None

    def setUp(self):
        self.ctl = Ctl()
        self.addCleanup(self.ctl.close)
        with self.ctl.ini.open("a", encoding="ascii") as ini:
            ini.write(f"[dns]\nnameserver = {self.server or NSD.server}\ntimeout_ms = 300\ndeadline_ms = 900\n")

    def run_(self, *args, code=YES, stdin=b""):
        return self.ctl.run("domain", *args, code=code, stdin=stdin)

    def json(self, *args, code=YES):
        return self.run_(*args, "--json", code=code).json

    def add(self, domain="one.test", tenant="acme", *more):
        """The value to publish."""
        record = self.json("add", domain, "--tenant", tenant, *more)["record"]
        return record and record["value"]

    def publish(self, name, *texts):
        """TXT records of NAME, gone when the test has ended."""
        if name.removesuffix(".test") not in NSD.records:
            self.addCleanup(NSD.set_record, name)
        NSD.set_record(name, *(json.dumps(text) for text in texts))

    def prove(self, domain="one.test", tenant="acme"):
        value = self.add(domain, tenant)
        self.publish(f"{LABEL}.{domain}", value)
        self.run_("check", domain, "--tenant", tenant)
        return value

    def state(self, domain="one.test", tenant="acme"):
        return self.json("show", domain, "--tenant", tenant)["claims"][0]["state"]

    def table(self):
        self.ctl.load(TABLE, "--force")

    def tenants(self, text="alice@x.example acme\nbob@x.example acme\n@own.example acme\neve@x.example beta\n"):
        self.ctl.load(text, "--tenants", "--force")

    def golden(self, name, *args, code=YES, err=False):
        done = self.run_(*args, code=code)
        out = done.err if err else done.out
        out = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2030-01-31T12:00:00Z", out)
        out = TOKEN.sub("token" * 6 + "tt", out.replace(NSD.server, "127.0.0.1:53").replace(str(self.ctl.dir), "/run/policyd"))
        out = re.sub(r"\b\d+ (s|min|h|d)\b", lambda span: re.sub(r"\d", "0", span[0]), out)
        path = ctl.GOLDEN / f"policyctl-domain-{name}.txt"
        if os.environ.get("GOLDEN") == "write":
            path.write_text(out)
        self.assertEqual(out, path.read_text())

    def on_terminal(self, *args, answer="", env=None):
        """(exit code, what a terminal shows)"""
        leader, follower = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm", **(env or {})}
        process = subprocess.Popen(self.ctl.command("domain", *args), stdin=follower, stdout=follower, stderr=follower,
                                   env=environment, close_fds=True, cwd=self.ctl.dir)
        os.close(follower)
        os.write(leader, answer.encode())
        shown = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(leader)
        return process.wait(20), shown.decode()


class Typed(Case):
    def test_meant(self):
        for typed, meant in (
                ("@example.com", "example.com"), ("www.example.com", "example.com"), ("WWW.example.com.", "example.com"),
                ("HTTPS://example.com/", "example.com"), ("https://www.example.com:8080/x?y", "example.com"),
                ("joe@example.com", "example.com"), ("joe@www.example.com", "example.com"), ("<joe@Example.com>", "example.com"),
                ("mailto:joe@example.com", "example.com"), ("exam ple.com", "example.com"), (" example.com", "example.com"),
                ("example.com\t", "example.com"), ("example.com..", "example.com"), (".example.com", "example.com"),
                ("*.example.com", "example.com"), ("example.com,", "example.com"), ('"example.com"', "example.com"),
                (f"{LABEL}.example.com", "example.com"), ("https://user:pw@b\u00fccher.example/", "xn--bcher-kva.example")):
            for command in (("add", typed, "--tenant", "t"), ("show", typed), ("check", typed), ("remove", typed, "--yes"),
                            ("allow", typed, "login")):
                with self.subTest(typed, command=command[0]):
                    done = self.run_(*command, code=USAGE)
                    self.assertIn(f"did you mean {meant}?", done.err)
                    self.assertEqual(done.out, "")

    def test_nothing_meant(self):
        for typed, why in (
                ("", "no domain was given"), ("  ", "no domain was given"), ("a..b", "is not a domain"), ("a b", "is not a domain"),
                ("192.0.2.1", "address of a machine"), ("[192.0.2.1]", "address of a machine"), ("::1", "address of a machine"),
                ("joe@[192.0.2.1]", "address of a machine"), ("[IPv6:2001:db8::1]", "address of a machine"),
                ("https://192.0.2.7/", "address of a machine"), ("http://localhost/", "is not a domain"),
                ("joe@co.uk", "is not a domain"), ("x" * 64 + ".example", "is not a domain"), ("x" * 2000, "is not a domain"),
                (b"\xff.example", "is not a domain"), ("-- ", "is not a domain"),
                (".".join(["a" * 60] * 4), "is too long: the record would have to stand at")):
            with self.subTest(typed):
                done = self.run_("add", "--tenant", "t", "--", typed, code=USAGE)
                self.assertIn(why, done.err)
                self.assertNotIn("did you mean", done.err)
        self.assertFalse((self.ctl.state / "register").exists())

    def test_public_suffixes(self):
        for typed, why in (("co.uk", "anybody can register"), ("COM", "anybody can register"), ("github.io", "many people"),
                           ("localhost", "single label"), ("xn--55qx5d.cn", "anybody can register"),
                           ("\u516c\u53f8.cn", "anybody can register")):
            with self.subTest(typed):
                self.assertIn(why, self.run_("add", typed, "--tenant", "t", code=USAGE).err)
        for typed in ("www.com", "a.github.io", "example.co.uk"):
            self.add(typed)

    def test_normalized(self):
        done = self.run_("add", "B\u00dcCHER.Test.", "--tenant", "t")
        self.assertIn('"B\u00dcCHER.Test." is claimed as xn--bcher-kva.test\n', done.out)
        for typed in ("b\u00fccher.test", "xn--bcher-kva.test", "XN--BCHER-KVA.TEST."):
            self.assertEqual(self.json("show", typed)["domain"], "xn--bcher-kva.test")

    def test_tenants(self):
        for tenant in ("a b", "", "x" * 65, "a/b", "\u00fc"):
            self.assertIn("letters, digits", self.run_("add", "one.test", "--tenant", tenant, code=USAGE).err)
        self.run_("add", "one.test", code=USAGE)


class Add(Case):
    def test_golden(self):
        self.table()
        self.golden("add", "add", "One.test", "--tenant", "acme")
        self.golden("add-again", "add", "one.test", "--tenant", "acme")
        self.golden("add-hosted", "add", "own.test", "--tenant", "acme", "--hosted")
        self.golden("add-held", "add", "own.test", "--tenant", "beta")
        self.golden("show", "show", "one.test")
        self.golden("list", "list")
        self.golden("instructions", "instructions", "one.test")
        self.golden("show-hosted", "show", "own.test", "--tenant", "acme")
        self.golden("refused-suffix", "add", "co.uk", "--tenant", "t", code=USAGE, err=True)
        self.golden("refused-www", "add", "www.one.test", "--tenant", "t", code=USAGE, err=True)
        self.golden("refused-held", "add", "own.test", "--tenant", "beta", "--hosted", code=NO, err=True)
        self.golden("refused-several", "instructions", "own.test", code=USAGE, err=True)

    def test_record(self):
        done = self.json("add", "mail.one.test", "--tenant", "acme")
        record, value = done["record"], done["record"]["value"]
        self.assertRegex(value, f"^{PREFIX}[a-z2-7]{{32}}$")
        self.assertEqual(record, {"name": f"{LABEL}.mail.one.test", "type": "TXT", "value": value, "zone": "one.test",
                                  "host": f"{LABEL}.mail", "line": f'{LABEL}.mail.one.test. IN TXT "{value}"'})
        self.assertEqual((done["before"], done["state"], done["new_token"], done["changed"]), ("none", "pending", True, True))
        again = self.json("add", "mail.one.test", "--tenant", "acme")
        self.assertEqual((again["record"], again["new_token"], again["changed"]), (record, False, False))

    def test_rows(self):
        self.assertEqual(self.json("add", "one.test", "--tenant", "t")["rows"]["all"], 0)
        self.table()
        self.assertEqual(self.json("add", "one.test", "--tenant", "t")["rows"],
                         {"addresses": 2, "globs": 1, "whole": 1, "above": 1, "all": 5})

    def test_mail_that_stops(self):
        def warns(*options, tenant="acme"):
            self.ctl.options = list(options)
            return f"`policyctl domain pin one.test --tenant {tenant}`" in self.run_("add", "one.test", "--tenant", tenant).out
        self.assertFalse(warns())
        self.table()
        self.assertTrue(warns())
        self.assertFalse(warns("-o", "ownership.required=no"))
        self.run_("pin", "one.test")
        self.assertFalse(warns())
        self.assertFalse(warns(tenant="beta"))

    def test_another_tenant(self):
        first = self.prove()
        done = self.run_("add", "one.test", "--tenant", "beta")
        self.assertIn("the claim of acme is in force (verified)", done.out)
        self.assertNotIn(first, done.out)
        self.assertEqual(self.state(tenant="beta"), "pending")
        self.assertIn("domain transfer one.test --tenant beta",
                      self.run_("add", "one.test", "--tenant", "beta", "--hosted", code=NO).err)
        self.assertEqual(self.json("add", "one.test", "--tenant", "beta", "--hosted", code=NO)["done"], False)

    def test_hosted(self):
        done = self.json("add", "own.test", "--tenant", "acme", "--hosted")
        self.assertEqual((done["state"], done["in_force"], done["record"]), ("hosted", True, None))
        self.assertIn("needs no record", self.run_("instructions", "own.test", code=NO).err)

    def test_removed_is_claimed_anew(self):
        value = self.add()
        self.run_("remove", "one.test", "--yes")
        self.assertNotEqual(self.add(), value)
        self.assertIn("it was removed before: everybody's mail is refused", self.run_("show", "one.test").out)
        self.assertTrue(self.json("list")[0]["tombstone"])
        self.run_("pin", "one.test")
        self.assertFalse(self.json("list")[0]["tombstone"])

    def test_full(self):
        for i in range(64):
            self.add(tenant=f"t{i}")
        self.assertIn("domain forget", self.run_("add", "one.test", "--tenant", "more", code=NO).err)
        self.assertIn("say --tenant", self.run_("pin", "one.test", code=USAGE).err)


class Check(Case):
    def check(self, *args, code):
        return self.json("check", "one.test", *args, code=code)["claims"][0]

    def test_proved_and_gone(self):
        self.assertEqual(self.run_("check", "one.test", code=NO).out, "")
        value = self.add()
        found = self.check(code=NO)
        self.assertEqual((found["finding"], found["before"], found["state"], found["expected"], found["found"],
                          found["elsewhere"]), ("absent", "pending", "pending", value, None, None))
        self.publish(f"{LABEL}.one.test", "v=spf1 -all", value)
        found = self.check(code=YES)
        self.assertEqual((found["finding"], found["before"], found["state"]), ("proved", "pending", "verified"))
        self.assertEqual(self.check(code=YES)["before"], "verified")
        NSD.set_record(f"{LABEL}.one.test")
        found = self.check(code=YES)
        self.assertEqual(found["state"], "grace")
        self.assertGreater(found["ends_at"], found["next_check"])
        self.assertRegex(self.run_("check", "one.test").out, r"\nmail      passes until \S+ \(in \d d\), then it is refused")
        self.assertIn("in force, but the record is missing", self.run_("add", "one.test", "--tenant", "acme").out)
        self.assertIn("It was there and is missing now", self.run_("instructions", "one.test").out)

    def test_short_grace(self):
        self.prove()
        NSD.set_record(f"{LABEL}.one.test")
        self.ctl.options += ["-o", "ownership.grace_s=60"]
        self.assertRegex(self.run_("check", "one.test").out, r"\nmail      passes until \S+ \((in )?\d\d s\)")

    def test_golden(self):
        value = self.add()
        self.golden("check-absent", "check", "one.test", code=NO)
        self.publish(f"{LABEL}.one.test", f'"{value}"')
        self.golden("check-quoted", "check", "one.test", code=NO)
        self.publish(f"{LABEL}.one.test", value)
        self.golden("check-proved", "check", "one.test")
        self.add(tenant="beta")
        self.golden("check-two", "check", "one.test")
        NSD.set_record(f"{LABEL}.one.test")
        self.golden("check-grace", "check", "one.test", "--tenant", "acme")

    def test_findings(self):
        value = self.add()
        token = value.removeprefix(PREFIX)
        typo = value[:-5] + ("a" if value[-5] != "a" else "b") + value[-4:]
        for published, finding, at in (
                (f'"{value}"', "quoted", 0), (token, "no-prefix", None), (value[:30] + " " + value[30:], "blanks", 30),
                (value[:-4], "cut", len(value) - 4), (value + "x", "cut", len(value)), (typo, "other-token", len(value) - 5),
                (PREFIX + "a" * 32, "other-token", None), ("v=spf1 -all", "no-match", 0), ("caf\u00e9", "no-match", 0)):
            with self.subTest(published):
                self.publish(f"{LABEL}.one.test", published) if published.isascii() else NSD.set_record(
                    f"{LABEL}.one.test", '"caf\\195\\169"')
                found = self.check(code=NO)
                self.assertEqual(found["finding"], finding)
                if at is not None:
                    self.assertEqual(found["differs_at"], at)

    def test_the_mark_stands_below_the_difference(self):
        value = self.add()
        typo = value[:-5] + ("a" if value[-5] != "a" else "b") + value[-4:]
        self.publish(f"{LABEL}.one.test", typo)
        lines = self.run_("check", "one.test", code=NO).out.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("expected"))
        mark = lines[at + 2].index("^")
        self.assertEqual((lines[at], lines[at + 1]), (f"expected  {value}", f"found     {typo}"))
        self.assertEqual(lines[at][:mark], lines[at + 1][:mark].replace("found   ", "expected"))
        self.assertNotEqual(lines[at][mark], lines[at + 1][mark])

    def test_old_token(self):
        old = self.add()
        self.run_("remove", "one.test", "--yes")
        self.add()
        self.publish(f"{LABEL}.one.test", old)
        self.assertEqual(self.check(code=NO)["finding"], "old-token")

    def test_elsewhere(self):
        for name in ("one.test", f"{LABEL}.one.test.one.test", "www.one.test", f"{LABEL}.www.one.test", f"_{LABEL}.one.test"):
            with self.subTest(name):
                self.publish(name, self.add())
                self.assertEqual(self.check(code=NO)["elsewhere"], name)
                self.assertIn(f"elsewhere the record is at {name}\ndo        move it to {LABEL}.one.test\n",
                              self.run_("check", "one.test", code=NO).out)
                NSD.set_record(name)

    def test_two_tenants(self):
        first, second = self.add(), self.add(tenant="beta")
        self.publish(f"{LABEL}.one.test", first, second)
        done = self.run_("check", "one.test")
        self.assertNotRegex(done.out, TOKEN)
        self.assertIn("tenant    acme: pending -> verified, in force", done.out)
        self.assertIn("held      the claim of acme is in force", done.out)
        self.run_("check", "one.test", "--tenant", "beta", code=NO)
        self.run_("check", "one.test", "--tenant", "gamma", code=NO)

    def test_a_claim_the_dns_has_no_say_in(self):
        self.add("own.test", "acme", "--hosted")
        self.assertIn("not looked at", self.run_("check", "own.test").out)

    def test_tokens_of_others_stay_hidden(self):
        mine, other = self.add(), self.add(tenant="beta")
        for published in (other, f"note {other}", other.removeprefix(PREFIX), f'"{other.upper()}"',
                          "x" + other.removeprefix(PREFIX) + "y"):
            self.publish(f"{LABEL}.one.test", published)
            for command in (("check", "one.test", "--tenant", "acme"), ("check", "one.test"), ("show", "one.test"),
                            ("list",), ("instructions", "one.test", "--tenant", "acme"),
                            ("add", "one.test", "--tenant", "acme")):
                for form in ((), ("--json",)):
                    with self.subTest(published, command=command, form=form):
                        done = self.ctl.run("domain", *command, *form)
                        shown = (done.out + done.err).lower()
                        self.assertNotIn(other.removeprefix(PREFIX), shown)
                        if command[0] in ("show", "list"):
                            self.assertNotIn(mine.removeprefix(PREFIX), shown)
            self.run_("forget", "one.test", "--tenant", "beta", "--yes")
            other = self.add(tenant="beta")
        self.assertNotRegex(self.ctl.run("audit", "--limit", "1000").out, TOKEN)

    def test_a_token_of_nobody_known_stays_hidden(self):
        gone = self.add(tenant="beta")
        self.run_("forget", "one.test", "--tenant", "beta", "--yes")
        self.add()
        for published in (gone, f"note {gone}"):
            self.publish(f"{LABEL}.one.test", published)
            for command in (("check", "one.test"), ("show", "one.test"), ("list",)):
                with self.subTest(published, command=command):
                    self.assertNotIn(gone.removeprefix(PREFIX), self.ctl.run("domain", *command).out)

    def test_a_tombstone(self):
        self.add()
        self.run_("remove", "one.test", "--yes")
        self.assertIn("the claim was removed", self.run_("check", "one.test", code=NO).out)


class NoDns(Case):
    @property
    def server(self):
        return f"127.0.0.1:{helper.free_port()}"

    def test_could_not_find_out(self):
        self.add()
        done = self.run_("check", "one.test", code=UNKNOWN)
        self.assertRegex(done.out, "\nanswer    none: no server (could be reached|answered in time)\n")
        self.assertIn(self.json("check", "one.test", code=UNKNOWN)["answer"], ("network", "timeout"))
        self.assertEqual(self.state(), "pending")
        self.run_("pin", "one.test")
        self.run_("unpin", "one.test")
        self.assertEqual(self.json("check", "one.test")["claims"][0]["finding"], "unknown")
        self.assertEqual(self.state(), "grace")

    def test_register_unreadable(self):
        self.add()
        data = next((self.ctl.state / "register").glob("data*"))
        data.write_bytes(b"\xff" * data.stat().st_size)
        for command in (("check", "one.test"), ("show", "one.test"), ("list",), ("add", "one.test", "--tenant", "t"),
                        ("remove", "one.test", "--yes"), ("allow", "one.test", "x")):
            self.run_(*command, code=UNKNOWN)


class Listing(Case):
    def test_nothing(self):
        self.assertEqual(self.json("list"), [])
        self.assertIn("nobody", self.run_("list").out)
        self.assertEqual(self.json("show", "one.test", code=NO)["claims"], [])

    def test_filters(self):
        for domain, tenant in (("a.test", "acme"), ("b.test", "beta"), ("c.test", "acme")):
            self.add(domain, tenant)
        self.add("own.test", "acme", "--hosted")
        names = lambda *args: [claim["domain"] for claim in self.json("list", *args)]  # noqa: E731
        self.assertEqual(names(), ["a.test", "b.test", "c.test", "own.test"])
        self.assertEqual(names("--tenant", "acme"), ["a.test", "c.test", "own.test"])
        self.assertEqual(names("--state", "hosted"), ["own.test"])
        self.assertEqual(names("--state", "pending", "--tenant", "acme", "--limit", "1"), ["a.test"])
        self.assertIn("... and more", self.run_("list", "--limit", "2").out)
        self.assertNotIn("... and more", self.run_("list", "--limit", "4").out)
        self.assertIn("no such claim", self.run_("list", "--state", "revoked").out)
        self.run_("list", "--state", "wrong", code=USAGE)

    def test_aligned(self):
        self.add("a.test", "t")
        self.add("a-longer-name-by-far.test", "a-longer-tenant")
        lines = self.run_("list").out.splitlines()
        for heading in ("STATE", "TENANT", "AGE", "NEXT LOOK", "REASON"):
            at = lines[0].index(heading)
            for line in lines[1:]:
                self.assertTrue(line[at - 1] == " " and line[at] != " ", (heading, line))

    def test_colour_on_a_terminal_only(self):
        self.add()
        for command in (("list",), ("show", "one.test")):
            self.assertNotIn("\x1b", self.run_(*command).out)
            self.assertIn("\x1b[33mpending", self.on_terminal(*command)[1])
            self.assertNotIn("\x1b", self.on_terminal(*command, env={"NO_COLOR": "1"})[1])
            self.assertNotIn("\x1b", self.on_terminal(*command, env={"TERM": "dumb"})[1])


class Slow(Case):
    """Somebody who does not read what is printed."""

    def used(self):
        return self.ctl.run("status", "--json").json["register"]["used_bytes"]

    def assert_no_growth_during(self, *args):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        process = subprocess.Popen(self.ctl.command("domain", *args), stdout=writer, stderr=subprocess.DEVNULL)
        os.close(writer)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(os.close, reader)
        helper.wait_until(lambda: struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"0000"))[0] == 4096, "a full pipe")
        for _ in range(10):
            self.run_("pin", "one.test")
            self.run_("unpin", "one.test")
        before = self.used()
        for _ in range(30):
            self.run_("pin", "one.test")
            self.run_("unpin", "one.test")
        self.assertIsNone(process.poll())
        self.assertLess(self.used() - before, 100000)

    def test_keeps_no_old_pages(self):
        logins = [f"u{i}@x.example" for i in range(200)]
        self.tenants("".join(f"{login} acme\n" for login in logins))
        self.add()
        self.run_("allow", "one.test", *logins)
        for i in range(100):
            self.add(f"a{i}.test")
        for form in ((), ("--json",)):
            for command in (("list",), ("show", "one.test")):
                with self.subTest(command, form=form):
                    self.assert_no_growth_during(*command, *form)

    def test_slices(self):
        subprocess.run([str(ctl.BUILD / "bench" / "claims"), str(self.ctl.state), "fill", "3000", "zone.test", "10"],
                       check=True, stdout=subprocess.DEVNULL)
        for i in range(3):
            self.add("d1000.zone.test", f"tenant-{i}")
        found = [(claim["domain"], claim["tenant"]) for claim in self.json("list")]
        self.assertEqual(len(found), 3004)
        self.assertEqual(len(set(found)), 3004)
        self.assertEqual([domain for domain, _ in found], sorted(domain for domain, _ in found))
        lines = self.run_("list").out.splitlines()
        self.assertEqual([line.split()[0] for line in lines[1:]], [domain for domain, _ in found])
        self.assertEqual(len(self.json("list", "--limit", "2500")), 2500)
        self.assertEqual([claim["tenant"] for claim in self.json("list", "--tenant", "tenant-1")], ["tenant-1"])


class TenantNames(Case):
    WARNING = "no line of the tenants table and no hosted domain names tenant "

    def warns(self, *args, code=YES):
        return self.WARNING in self.run_(*args, code=code).err

    def test_typed_wrong(self):
        self.tenants()
        self.assertFalse(self.warns("add", "one.test", "--tenant", "acme"))
        self.assertTrue(self.warns("add", "one.test", "--tenant", "amce"))
        self.assertTrue(self.warns("pin", "one.test", "--tenant", "amce"))
        self.assertFalse(self.warns("unpin", "one.test", "--tenant", "amce"))
        self.assertFalse(self.warns("allow", "one.test", "alice@x.example", "--tenant", "acme"))
        self.assertTrue(self.warns("allow", "one.test", "alice@x.example", "--tenant", "amce", code=NO))
        self.assertTrue(self.warns("transfer", "one.test", "--tenant", "acm", "--yes"))
        self.assertFalse(self.warns("transfer", "one.test", "--tenant", "acme", "--yes"))

    def test_json(self):
        self.assertFalse(self.json("add", "one.test", "--tenant", "acme")["tenant_known"])
        self.add("own.test", "acme", "--hosted")
        self.assertTrue(self.json("add", "one.test", "--tenant", "acme")["tenant_known"])
        self.assertFalse(self.json("pin", "one.test", "--tenant", "acme")["daemon_runs"])


class NoDaemon(Case):
    def test_nobody_looks(self):
        note = f"note      policyd does not run (nobody answers at {self.ctl.dir}/control.sock): nobody looks for the record"
        for command in (("add", "one.test", "--tenant", "acme"), ("check", "one.test")):
            self.assertIn(note, self.ctl.run("domain", *command).out)
        self.assertNotIn("note", self.run_("pin", "one.test").out)
        self.assertIn(note, self.run_("unpin", "one.test").out)

    def test_does_not_answer(self):
        self.add()
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(self.ctl.dir / "control.sock"))
            silent.listen(100)
            check = subprocess.Popen(self.ctl.command("domain", "check", "one.test"), stderr=subprocess.PIPE, text=True)
            cause = f"`fuser -v {self.ctl.state}/register/lock.mdb`"
            shown = self.ctl.run("status").out
            self.assertIn("daemon     does not answer at", shown)
            self.assertIn(cause, shown)
            self.assertNotIn("does not run", self.run_("add", "one.test", "--tenant", "acme").out)
            _, complaint = check.communicate(timeout=30)
            self.assertEqual(check.returncode, UNKNOWN)
            self.assertIn(cause, complaint)
        (self.ctl.dir / "control.sock").unlink()
        self.assertNotIn("fuser", self.ctl.run("status").out)


class Pages(Case):
    def test_freed_ones_do_not_count(self):
        self.tenants("".join(f"u{i}@x.example acme\n" for i in range(50000)))
        full = self.ctl.run("status", "--json").json["register"]
        self.tenants("u@x.example acme\n")
        left = self.ctl.run("status", "--json").json["register"]
        self.assertGreaterEqual(left["used_bytes"], full["used_bytes"])
        self.assertLess(left["live_bytes"], 200000)
        self.assertRegex(self.ctl.run("status").out, r"accounts .*\nfile       0 MiB of ")


class ByHand(Case):
    def test_pin(self):
        self.run_("pin", "one.test", code=NO)
        self.add()
        self.assertEqual(self.json("pin", "one.test")["state"], "pinned")
        self.assertEqual(self.json("pin", "one.test")["changed"], False)
        done = self.run_("unpin", "one.test").out
        self.assertRegex(done, r"state: grace, in force, but nobody has seen the record yet: mail is refused from .* unless it is found")
        self.assertIn("\nPlease publish it before", self.run_("instructions", "one.test").out)
        self.assertIn("only one that is pinned", self.run_("unpin", "one.test", code=NO).err)
        self.add(tenant="beta")
        self.assertIn("the claim of acme on one.test is in force", self.run_("pin", "one.test", "--tenant", "beta", code=NO).err)
        self.assertIn("acme, beta", self.run_("pin", "one.test", code=USAGE).err)

    def test_transfer(self):
        self.run_("transfer", "one.test", "--tenant", "beta", code=NO)
        self.add()
        self.assertIn("no claim on one.test is in force", self.run_("transfer", "one.test", "--tenant", "beta", code=NO).err)
        self.tenants()
        self.prove()
        self.run_("allow", "one.test", "alice@x.example")
        done = self.json("transfer", "one.test", "--tenant", "acme")
        self.assertEqual((done["changed"], done["state"], done["next_check"]),
                         (False, "verified", self.json("show", "one.test")["claims"][0]["next_check"]))
        done = self.json("transfer", "one.test", "--tenant", "beta", "--yes")
        self.assertEqual((done["from"], done["tenant"], done["state"], done["senders_gone"], done["changed"]),
                         ("acme", "beta", "grace", 1, True))
        self.assertEqual((self.state(), self.state(tenant="beta")), ("removed", "grace"))
        self.add("own.test", "acme", "--hosted")
        self.assertIn("given over from acme to beta", self.run_("transfer", "own.test", "--tenant", "beta", "--yes").out)
        self.assertEqual(self.state("own.test", "beta"), "hosted")

    def test_transfer_asks(self):
        self.tenants()
        self.add("own.test", "acme", "--hosted")
        self.assertIn("--yes", self.run_("transfer", "own.test", "--tenant", "beta", code=USAGE).err)
        code, shown = self.on_terminal("transfer", "own.test", "--tenant", "beta", answer="n\n")
        self.assertEqual((code, self.state("own.test")), (NO, "hosted"))
        self.assertIn("own.test: the claim of acme, hosted, becomes beta's", shown)
        self.assertIn("logins of own.test become beta's with it", shown)
        self.assertNotIn("warning", shown)
        code, shown = self.on_terminal("transfer", "own.test", "--tenant", "bate", answer="y\n")
        self.assertEqual((code, self.state("own.test", "bate")), (YES, "hosted"))
        self.assertIn("hosted domain names tenant bate", shown.partition("[y/N]")[0])

    def test_remove_of_what_was_never_in_force(self):
        self.add()
        done = self.run_("remove", "one.test", "--yes")
        self.assertIn("`policyctl domain forget one.test --tenant acme`", done.out)

    def test_remove(self):
        self.table()
        self.tenants()
        self.run_("remove", "one.test", "--yes", code=NO)
        self.prove()
        self.run_("allow", "one.test", "alice@x.example", "bob@x.example")
        self.assertIn("--yes", self.run_("remove", "one.test", code=USAGE).err)
        self.assertEqual(self.state(), "verified")
        code, shown = self.on_terminal("remove", "one.test", answer="n\n")
        self.assertEqual((code, self.state()), (NO, "verified"))
        self.assertIn("2 senders named", shown)
        self.assertIn("rows of the table that will be out of force: 5", shown)
        done = self.run_("remove", "one.test", "--yes", "--reason", "left us")
        self.assertIn("senders out of force: 2\nrows of the table out of force: 5 (", done.out)
        claim = self.json("show", "one.test")["claims"][0]
        self.assertEqual((claim["state"], claim["reason"], claim["senders"]), ("removed", "left us", 0))
        self.run_("remove", "one.test", "--yes", code=NO)
        self.run_("instructions", "one.test", code=NO)

    def test_remove_on_a_terminal(self):
        self.add()
        code, _ = self.on_terminal("remove", "one.test", answer="y\n")
        self.assertEqual((code, self.state()), (YES, "removed"))
        code, shown = self.on_terminal("forget", "one.test", answer="\n")
        self.assertEqual((code, self.state()), (NO, "removed"))
        code, shown = self.on_terminal("forget", "one.test", answer="yes\n")
        self.assertEqual(code, YES, shown)
        self.run_("show", "one.test", code=NO)

    def test_hosted_is_removed(self):
        for verb in ("remove", "forget"):
            self.add("own.test", "acme", "--hosted")
            _, shown = self.on_terminal(verb, "own.test", answer="n\n")
            self.assertIn("logins of own.test have no tenant any more", shown)
            self.assertIn("logins of own.test have no tenant any more", self.run_(verb, "own.test", "--yes").out)
        self.add("own.test", "acme", "--hosted")
        self.assertTrue(self.json("remove", "own.test", "--yes")["logins_without_tenant"])
        self.assertFalse(self.json("forget", "own.test", "--yes")["logins_without_tenant"])
        self.add()
        self.assertNotIn("logins of", self.run_("remove", "one.test", "--yes").out)

    def test_beside_another_in_force(self):
        self.prove()
        self.add(tenant="beta")
        self.run_("remove", "one.test", "--tenant", "beta", "--yes")
        shown = self.run_("show", "one.test").out
        self.assertIn("a tombstone without effect: the claim of acme is in force", shown)
        self.assertNotIn("refused", shown)
        self.run_("remove", "one.test", "--tenant", "acme", "--yes")
        self.assertEqual(self.run_("show", "one.test").out.count("a tombstone: mail is refused"), 2)

    def test_one_of_two(self):
        self.prove()
        self.add(tenant="beta")
        done = self.json("remove", "one.test", "--tenant", "beta", "--yes")
        self.assertEqual((done["rows_out_of_force"], done["before"]), (False, "pending"))
        self.assertEqual(self.json("remove", "one.test", "--yes")["tenant"], "acme")

    def test_audit(self):
        self.add()
        self.run_("pin", "one.test")
        self.run_("unpin", "one.test")
        self.run_("remove", "one.test", "--yes")
        self.run_("forget", "one.test", "--yes")
        lines = self.ctl.run("audit", "--json").json_lines
        self.assertEqual([(line["what"], line["before"], line["after"]) for line in lines], [
            ("domain add", "none", "pending"), ("domain pin", "pending", "pinned"), ("domain unpin", "pinned", "grace"),
            ("domain remove", "grace", "removed"), ("domain forget", "removed", "none")])
        self.assertTrue(all(line["tenant"] == "acme" and line["domain"] == "one.test" for line in lines))


class Senders(Case):
    def setUp(self):
        super().setUp()
        self.tenants()
        self.add()

    def entries(self):
        return [(entry["login"], entry["local"], entry["pending"])
                for entry in self.json("show", "one.test")["claims"][0]["entries"]]

    def test_allow(self):
        done = self.run_("allow", "one.test", "Alice@X.example", "@own.example")
        self.assertIn("2 senders allowed", done.out)
        self.assertIn("the claim is pending", done.out)
        self.assertEqual(self.entries(), [("@own.example", "", False), ("alice@x.example", "", False)])
        self.assertEqual(self.json("allow", "one.test", "alice@x.example")["unchanged"], 1)
        self.run_("allow", "one.test", "bob@x.example", "--sender", "Sales@ONE.test")
        self.assertIn(("bob@x.example", "sales", False), self.entries())
        self.prove()
        self.assertNotIn("the claim is", self.run_("allow", "one.test", "bob@x.example").out)

    def test_refused(self):
        for logins, why in ((["eve@x.example"], "eve@x.example belongs to tenant beta, and the claim is acme's"),
                            (["alice@x.example", "who@y.example"], 'load the line "who@y.example acme"'),
                            (["@x.example"], "@x.example has no tenant")):
            done = self.run_("allow", "one.test", *logins, code=NO)
            self.assertIn(why, done.err)
        self.assertEqual(self.entries(), [])
        for login in ("@", "", "a b", "@a..b"):
            self.run_("allow", "one.test", login, code=USAGE)
        for sender, why in (("x@two.test", "no address in one.test"), ("sales", "did you mean sales@one.test?"),
                            ("@one.test", "no address"), ("", "")):
            self.assertIn(why, self.run_("allow", "one.test", "alice@x.example", "--sender", sender, code=USAGE).err)
        self.run_("allow", "two.test", "alice@x.example", code=NO)

    def test_accounts(self):
        self.ctl.load("alice@x.example\n", "--accounts")
        self.run_("allow", "one.test", "alice@x.example", "@own.example")
        done = self.run_("allow", "one.test", "alice@x.example", "bob@x.example", "joe@own.example", code=NO)
        self.assertIn("bob@x.example is not on the list of accounts", done.err)
        self.assertIn("joe@own.example is not on the list of accounts", done.err)
        self.assertEqual(len(self.entries()), 2)

    def test_hosted_domain_gives_the_tenant(self):
        self.add("home.test", "acme", "--hosted")
        self.run_("allow", "one.test", "x@home.test")

    def test_approve(self):
        self.assertIn("in force once approved", self.run_("allow", "one.test", "alice@x.example", "--pending").out)
        self.run_("allow", "one.test", "bob@x.example", "--sender", "a@one.test", "--pending")
        self.run_("allow", "one.test", "bob@x.example", "--sender", "b@one.test", "--pending")
        for args in ((), ("alice@x.example", "--all"), ("--all", "--sender", "a@one.test")):
            self.run_("approve", "one.test", *args, code=USAGE)
        self.run_("approve", "one.test", "bob@x.example", "--sender", "a@one.test")
        self.assertEqual(self.entries(), [("alice@x.example", "", True), ("bob@x.example", "a", False),
                                          ("bob@x.example", "b", True)])
        self.assertIn("eve@x.example is not among the senders", self.run_("approve", "one.test", "eve@x.example", code=NO).err)
        self.assertEqual(self.json("approve", "one.test", "bob@x.example")["changed"], 1)
        self.assertEqual(self.json("approve", "one.test", "--all")["changed"], 1)
        self.assertFalse(any(pending for _, _, pending in self.entries()))

    def test_disallow(self):
        self.run_("allow", "one.test", "alice@x.example", "bob@x.example")
        self.run_("allow", "one.test", "bob@x.example", "--sender", "a@one.test")
        self.assertEqual(self.json("disallow", "one.test", "bob@x.example", "--sender", "a@one.test")["changed"], 1)
        self.run_("allow", "one.test", "bob@x.example", "--sender", "a@one.test")
        self.assertEqual(self.json("disallow", "one.test", "bob@x.example")["changed"], 2)
        self.assertEqual(self.entries(), [("alice@x.example", "", False)])
        self.assertEqual(self.json("disallow", "one.test", "bob@x.example", code=NO)["missing"], 1)

    def test_several_tenants(self):
        self.add(tenant="beta")
        self.assertIn("acme, beta", self.run_("allow", "one.test", "alice@x.example", code=USAGE).err)
        self.run_("allow", "one.test", "eve@x.example", "--tenant", "beta")
        self.assertEqual(len(self.json("show", "one.test", "--tenant", "beta")["claims"][0]["entries"]), 1)

    def test_shown(self):
        self.run_("allow", "one.test", "alice@x.example")
        self.run_("allow", "one.test", "bob@x.example", "--sender", "a@one.test", "--pending")
        self.golden("senders", "show", "one.test")


if __name__ == "__main__":
    unittest.main()

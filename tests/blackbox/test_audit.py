"""`policyctl audit`: who did what, the newest last; and the register's part of `policyctl status`.

Knows: command lines, exit codes, the lines printed.
Must not know: how audit lines are stored.
"""

import os
import pwd
import shutil
import subprocess
import unittest

import ctl
from ctl import IS_ROOT, NO, UNKNOWN, USAGE, YES, Ctl

ME = pwd.getpwuid(os.getuid()).pw_name
STRANGER = "daemon"  # a user every Debian has


class Case(unittest.TestCase):
    def setUp(self):
        self.ctl = Ctl()
        self.addCleanup(self.ctl.close)
        for name in ("SUDO_UID", "POLICYD_ACTOR_UID", "POLICYD_ACTOR_NAME"):
            self.environ(name, None)

    def environ(self, name, value):
        before = os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
        if before is not None:
            self.addCleanup(os.environ.__setitem__, name, before)
        else:
            self.addCleanup(os.environ.pop, name, None)

    def lines(self, *args):
        return self.ctl.run("audit", "--json", *args, code=YES).json_lines

    def last(self):
        return self.lines()[-1]


class Lines(Case):
    def test_nothing_yet(self):
        self.assertEqual(self.ctl.run("audit", code=YES).out, "nothing was changed yet\n")
        self.assertEqual(self.ctl.run("audit", "--json", code=YES).out, "")
        self.assertFalse((self.ctl.state / "register").exists())

    def test_load_and_rollback(self):
        (self.ctl.dir / "one.map").write_text("a@x.example joe\nb@x.example joe\n")
        self.ctl.run("load", "one.map", code=YES)
        self.ctl.load("c@x.example joe\n", "--merge")
        self.ctl.load("c@x.example joe\n", "--delete")
        self.ctl.run("rollback", code=YES)
        seen = [(line["what"], line["before"], line["after"], line["detail"]) for line in self.lines()]
        self.assertEqual(seen, [
            ("load", "0 rows", "2 rows", "2 added, 0 removed, 0 updated, from one.map"),
            ("load --merge", "2 rows", "3 rows", "1 added, 0 removed, 0 updated, from standard input"),
            ("load --delete", "3 rows", "2 rows", "0 added, 1 removed, 0 updated, from standard input"),
            ("rollback", "2 rows", "3 rows", "1 added, 0 removed, 0 updated")])

    def test_what_changed_nothing_leaves_no_line(self):
        self.ctl.load("a@x.example joe\n")
        self.ctl.load("a@x.example joe\n")
        self.ctl.load("b@x.example joe\n", "--dry-run")
        self.ctl.load("", code=NO)
        self.ctl.load("broken\0\n", code=NO)
        self.ctl.load("@x.example acme\n", "--tenants", "--dry-run")
        self.assertEqual([line["what"] for line in self.lines()], ["load"])

    def test_cache_flush(self):
        self.ctl.load("a@x.example joe\n")
        for option in (f"dns.cache_dir={self.ctl.dir}/cache", "dns.nameserver=127.0.0.1:9", "dns.deadline_ms=200",
                       "dns.timeout_ms=100", "lockdown.enabled=yes", "lockdown.account=acct"):
            self.ctl.options += ["-o", option]
        self.ctl.run("cache", "flush", code=NO)
        (self.ctl.dir / "cache").mkdir(mode=0o700)
        self.ctl.run("check", "joe", "a@x.example")
        self.ctl.run("cache", "flush", "X.example", code=YES)
        self.ctl.run("cache", "flush", code=YES)
        self.assertEqual([(line["what"], line["domain"], line["detail"]) for line in self.lines()][1:],
                         [("cache flush", "x.example", "1 name forgotten"), ("cache flush", "", "0 names forgotten")])

    def test_text_columns_newest_last(self):
        self.ctl.load("a@x.example joe\n")
        self.ctl.load("alice acme\n", "--tenants")
        out = self.ctl.run("audit", code=YES).out.splitlines()
        self.assertRegex(out[0], rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ  {ME} +load   +0 rows -> 1 row  1 added, 0 removed, ")
        self.assertRegex(out[1], rf"Z  {ME} +load --tenants +0 -> 1 +1 added")
        self.assertEqual(out[0].index("1 added"), out[1].index("1 added"))

    def test_limit(self):
        for i in range(25):
            self.ctl.load(f"user{i} acme\n", "--tenants", "--merge")
        numbers = [line["number"] for line in self.lines()]
        self.assertEqual((len(numbers), numbers), (20, sorted(numbers)))
        self.assertEqual([line["number"] for line in self.lines("--limit", "3")], numbers[-3:])
        self.assertEqual(len(self.lines("--limit=1000")), 25)
        for value in ("0", "-1", "x", "3x", ""):
            self.assertIn("--limit is a number", self.ctl.run("audit", f"--limit={value}", code=USAGE).err)
        self.assertIn("--limit needs a value", self.ctl.run("audit", "--limit", code=USAGE).err)

    def test_escaped(self):
        name = "t\x1b[2Jx.map"
        (self.ctl.dir / name).write_text("a@x.example joe\n")
        self.ctl.run("load", name, code=YES)
        self.assertNotIn("\x1b", self.ctl.run("audit", code=YES).out)

    def test_register_that_cannot_be_opened_stops_no_load(self):
        (self.ctl.state / "register").write_text("no folder\n")
        done = self.ctl.load("a@x.example joe\n")
        self.assertIn("warning: this was done, but", done.err)
        self.assertEqual(self.ctl.rows(), ["a@x.example,joe,,"])
        self.assertNotEqual(self.ctl.run("audit", code=UNKNOWN).err, "")


class Actor(Case):
    def load(self, **environ):
        for name, value in environ.items():
            self.environ(name, value)
        self.ctl.load("a@x.example joe\n", "--force")
        return self.last()["uid"], self.last()["who"]

    def test_real_user(self):
        self.assertEqual(self.load(), (os.getuid(), ME))

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_sudo(self):
        uid = pwd.getpwnam(STRANGER).pw_uid
        self.assertEqual(self.load(SUDO_UID=str(uid)), (uid, STRANGER))

    def test_user_without_a_name(self):
        self.assertEqual(self.load(SUDO_UID="54321"), (54321, "#54321"))

    def test_not_a_number(self):
        for value in ("", "-1", "4294967295", "99999999999999999999", "1x", " 1"):
            with self.subTest(value):
                self.assertEqual(self.load(SUDO_UID=value), (os.getuid(), ME))

    @unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
    def test_keeper(self):
        """As policyd's user the keeper's word counts; root is not told who it is."""
        self.assertEqual(self.load(POLICYD_ACTOR_UID="4711", POLICYD_ACTOR_NAME="mary"), (0, "root"))
        theirs = Ctl()
        self.addCleanup(theirs.close)
        self.ctl = theirs
        theirs.state.rmdir()
        program = shutil.copy(ctl.POLICYCTL, theirs.dir)
        os.chmod(program, 0o755)
        os.chown(theirs.dir, pwd.getpwnam(STRANGER).pw_uid, -1)
        for name, who in (("mary\x07\n", "mary??"), ("", "#4711")):
            subprocess.run([program, *theirs.command("load", "--force", "-")[1:]], check=True, input=b"a@x.example joe\n",
                           user=STRANGER, group=STRANGER, extra_groups=[], capture_output=True,
                           env={"POLICYD_ACTOR_UID": "4711", "POLICYD_ACTOR_NAME": name})
            self.assertEqual((self.last()["uid"], self.last()["who"]), (4711, who))


class Status(Case):
    def test_without_a_register(self):
        self.ctl.load("a@x.example joe\n")
        shutil.rmtree(self.ctl.state / "register")
        self.assertIn("register that was here is gone", self.ctl.run("status", code=UNKNOWN).err)
        (self.ctl.state / "register.made").unlink()
        out = self.ctl.run("status", code=YES).out
        self.assertIn("register   none: no domain was ever claimed\n", out)
        self.assertRegex(out, r"daemon     does not answer at /.*/control\.sock\n")
        answer = self.ctl.run("status", "--json", code=YES).json
        self.assertEqual((answer["register"], answer["daemon_answers"]), (None, False))
        self.assertFalse((self.ctl.state / "register").exists())

    def test_figures(self):
        self.ctl.load("a@x.example joe\n")
        self.ctl.load("alice acme\n@example.com acme\n", "--tenants")
        self.ctl.load("alice\n", "--accounts")
        out = self.ctl.run("status", code=YES).out
        for line in (f"register   {self.ctl.state}/register", "claims     0 on 0 domains", "tenants    2 lines",
                     "accounts   1 login"):
            self.assertIn(line + "\n", out)
        register = self.ctl.run("status", "--json", code=YES).json["register"]
        self.assertEqual((register["domains"], register["claims"]["verified"], register["tenants"], register["accounts"],
                          register["last_audit"]), (0, 0, 2, 1, 3))

    def test_damaged_register(self):
        self.ctl.load("a@x.example joe\n")
        for path in (self.ctl.state / "register").iterdir():
            if path.name == "data.mdb":
                path.write_bytes(b"\0" * 8192)
        done = self.ctl.run("status", code=UNKNOWN)
        self.assertIn("register", done.err)


if __name__ == "__main__":
    unittest.main()

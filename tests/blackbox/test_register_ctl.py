"""check, explain, who and senders where the ownership register has a say.

Knows: command lines and what they print.
Must not know: how the register is stored.
Fails: AssertionError with what policyctl printed.
"""

import shlex
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ctl  # noqa: E402
from ctl import NO, UNKNOWN, YES  # noqa: E402

TABLE = """\
@hosted.example  carol@acme.example, *
a@hosted.example  dave@globex.example
@pending.example  carol@acme.example
@other.example  carol@acme.example, dave@globex.example
@removed.example  carol@acme.example
@again.example  *
@free.example  carol@acme.example
"""
TENANTS = "@acme.example acme\ndave@globex.example globex\n"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ctl = ctl.Ctl()
        cls.addClassCleanup(cls.ctl.close)
        cls.ctl.load(TABLE)
        tenants = cls.ctl.dir / "tenants"
        tenants.write_text(TENANTS)
        for words in (("load", "--tenants", str(tenants)),
                      ("domain", "add", "hosted.example", "--tenant", "acme", "--hosted"),
                      ("domain", "add", "other.example", "--tenant", "globex", "--hosted"),
                      ("domain", "add", "pending.example", "--tenant", "acme"),
                      ("domain", "add", "removed.example", "--tenant", "acme"),
                      ("domain", "remove", "removed.example", "--tenant", "acme", "--yes"),
                      ("domain", "add", "again.example", "--tenant", "acme"),
                      ("domain", "remove", "again.example", "--tenant", "acme", "--yes"),
                      ("domain", "add", "again.example", "--tenant", "acme"),
                      ("domain", "add", "named.example", "--tenant", "acme", "--hosted"),
                      ("domain", "allow", "named.example", "bob@acme.example", "--tenant", "acme",
                       "--sender", "sales@named.example"),
                      ("domain", "allow", "named.example", "erin@acme.example", "--tenant", "acme", "--pending"),
                      ("domain", "allow", "named.example", "frank@acme.example", "--tenant", "acme", "--pending",
                       "--sender", "sales@named.example")):
            cls.ctl.run(*words, code=YES)

    def run_with(self, options, *words, code=None):
        return self.ctl.run(*(word for option in options for word in ("-o", option)), *words, code=code)

    def explain(self, login, sender, *options, code=NO):
        return self.run_with(options, "explain", "--json", login, sender, code=code).json

    def lines(self, command, operand, *options):
        """What is said about each login or sender, as {(subject, source): (word, note)}."""
        subject = "login" if command == "who" else "sender"
        other = "sender" if command == "who" else "owner"
        return {(line[subject], line[other]): (line["says"], line["source"], line["note"])
                for line in self.run_with(options, command, "--json", operand).json_lines}


class Explain(Case):
    def steps(self, *args, **more):
        return [step["text"] for step in self.explain(*args, **more)["steps"] if step["step"] == "register"]

    def test_says_who_holds_it(self):
        steps = self.steps("carol@acme.example", "x@hosted.example", code=YES)
        self.assertRegex(steps[0], r"^hosted\.example: hosted, tenant acme, since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        self.assertEqual(steps[1], "the login's tenant: acme")
        self.assertEqual(self.steps("carol@acme.example", "x@free.example", code=YES),
                         ["free.example: nobody claimed it"])
        self.assertIn("the login has no tenant", self.steps("eve@nowhere.example", "x@hosted.example"))
        self.assertIn("an entry of `domain allow` names this login",
                      self.steps("bob@acme.example", "sales+x@named.example", code=YES))

    def assert_fix(self, login, sender, reason, command, *options):
        told = self.explain(login, sender, *options)
        self.assertEqual(told["reason"], reason)
        self.assertIsNotNone(told["fix"])
        self.assertTrue(told["fix_command"].endswith(f" {command}"), told["fix_command"])
        return told

    def test_each_reason_has_its_command(self):
        carol = "carol@acme.example"
        self.assert_fix(carol, "x@pending.example", "domain-unverified",
                        "domain instructions pending.example --tenant acme")
        self.assert_fix(carol, "x@other.example", "other-tenant", "domain transfer other.example --tenant acme")
        self.assert_fix(carol, "x@removed.example", "domain-removed", "domain add removed.example --tenant acme")
        for login, reason in ((carol, "domain-unverified"), ("dave@globex.example", "domain-removed")):
            self.assert_fix(login, "x@again.example", reason, "domain instructions again.example --tenant acme")
        self.assert_fix(carol, "x@free.example", "domain-unverified", "domain add free.example --tenant acme",
                        "ownership.required=all")
        self.assert_fix("erin@acme.example", "x@named.example", "sender-unapproved",
                        "domain approve named.example erin@acme.example --tenant acme")
        self.assert_fix("frank@acme.example", "Sales+x@named.example", "sender-unapproved",
                        "domain approve named.example frank@acme.example --tenant acme --sender sales@named.example")
        told = self.assert_fix("eve@nowhere.example", "x@hosted.example", "other-tenant",
                               "load --merge --tenants FILE")
        self.assertEqual(told["fix_rows"], "eve@nowhere.example acme\n")

    def test_what_comes_next_where_nothing_is_owned(self):
        self.assert_fix("gina@acme.example", "x@named.example", "not-owned",
                        "domain allow named.example gina@acme.example --tenant acme")
        self.assert_fix("gina@acme.example", "x@pending.example", "not-owned",
                        "domain instructions pending.example --tenant acme")
        self.assert_fix("gina@acme.example", "x@unheard.example", "not-owned", "load --merge FILE")

    def test_the_commands_do_what_they_say(self):
        control = ctl.Ctl()
        self.addCleanup(control.close)
        control.load("@x.example carol\n")
        control.run("domain", "add", "x.example", "--tenant", "acme", "--hosted", code=YES)
        told = control.run("explain", "--json", "carol", "a@x.example", code=NO).json
        (control.dir / "FILE").write_text(told["fix_rows"])
        control.run("load", "--merge", "--tenants", str(control.dir / "FILE"), code=YES)
        control.run("check", "carol", "a@x.example", code=YES)
        (control.dir / "FILE").write_text("bob acme\n")
        control.run("load", "--merge", "--tenants", str(control.dir / "FILE"), code=YES)
        control.run("domain", "allow", "x.example", "bob", "--tenant", "acme", "--pending", code=YES)
        told = control.run("explain", "--json", "bob", "b@x.example", code=NO).json
        command = shlex.split(told["fix_command"])
        control.run(*command[command.index("domain"):], code=YES)
        control.run("check", "bob", "b@x.example", code=YES)


class Check(Case):
    def test_mail_that_goes_another_way_is_taken(self):
        words = ("check", "carol@acme.example", "x@pending.example")
        self.ctl.run(*words, code=NO)
        for answer in ("FILTER smtp:[relay.example.net]:587", "HOLD %d is not verified"):
            done = self.run_with((f"replies.domain_unverified={answer}",), *words, code=YES)
            self.assertEqual(done.out, f"action={answer.replace('%d', 'pending.example')}\n")
        done = self.run_with(("replies.domain_unverified=HOLD x",), *words, "--json", code=YES)
        self.assertEqual((done.json["verdict"], done.json["reason"]), ("REJECT", "domain-unverified"))

    def test_register_that_is_damaged(self):
        control = ctl.Ctl()
        self.addCleanup(control.close)
        control.load("@x.example carol\n")
        control.run("domain", "add", "x.example", "--tenant", "acme", "--hosted", code=YES)
        data = control.state / "register" / "data.mdb"
        data.write_bytes(b"\xff" * data.stat().st_size)
        done = control.run("check", "carol", "a@x.example", code=UNKNOWN)
        self.assertEqual(done.out, "action=DEFER 4.3.0 Temporary lookup failure\n")
        self.assertIn("register", done.err)


class Lists(Case):
    def test_who(self):
        said = self.lines("who", "a@hosted.example")
        self.assertEqual(said[("dave@globex.example", "a@hosted.example")], ("overruled", "table", "other-tenant"))
        self.assertEqual(said[("carol@acme.example", "@hosted.example")][:2], ("may", "table"))
        self.assertEqual(said[("*", "@hosted.example")], ("may", "table", "of these only logins of tenant acme"))
        self.assertEqual(self.lines("who", "x@removed.example")[("carol@acme.example", "@removed.example")],
                         ("overruled", "table", "domain-removed"))
        self.assertEqual(self.lines("who", "x@again.example")[("*", "@again.example")],
                         ("overruled", "table", "domain-removed"))

    def test_who_shows_entries(self):
        said = self.lines("who", "sales@named.example")
        self.assertEqual(said[("bob@acme.example", "sales@named.example")], ("may", "register", ""))
        self.assertEqual(said[("erin@acme.example", "@named.example")][0], "waits")
        self.assertEqual(said[("frank@acme.example", "sales@named.example")][0], "waits")
        said = self.lines("who", "info@named.example")
        self.assertIn(("erin@acme.example", "@named.example"), said)
        self.assertNotIn(("bob@acme.example", "sales@named.example"), said)
        self.assertIn("  register  ", self.ctl.run("who", "sales@named.example", code=YES).out)

    def test_required_all_leaves_nobody(self):
        self.ctl.run("who", "x@free.example", code=YES)
        self.run_with(("ownership.required=all",), "who", "x@free.example", code=NO)
        said = self.lines("who", "x@hosted.example", "ownership.required=no")
        self.assertEqual(said[("*", "@hosted.example")][2], "every login")

    def test_senders(self):
        said = self.lines("senders", "carol@acme.example")
        self.assertEqual(said[("@hosted.example", "carol@acme.example")][0], "may")
        self.assertEqual(said[("@other.example", "carol@acme.example")], ("overruled", "table", "other-tenant"))
        self.assertEqual(said[("@pending.example", "carol@acme.example")][2], "domain-unverified")
        self.assertEqual(said[("@removed.example", "carol@acme.example")][2], "domain-removed")
        self.assertEqual(self.lines("senders", "bob@acme.example")[("sales@named.example", "bob@acme.example")],
                         ("may", "register", ""))
        self.assertEqual(self.lines("senders", "erin@acme.example")[("@named.example", "erin@acme.example")][0],
                         "waits")
        self.assertNotIn(("sales@named.example", "bob@acme.example"),
                         self.lines("senders", "bob@acme.example", "ownership.required=no"))


if __name__ == "__main__":
    unittest.main()

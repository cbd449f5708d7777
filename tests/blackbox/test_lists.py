"""`policyctl load --tenants` and `load --accounts`: what is read, what is refused, what is counted.

Knows: command lines, exit codes, complaints.
Must not know: how the lists are stored.
"""

import unittest

from ctl import IS_ROOT, NO, UNKNOWN, USAGE, YES, Ctl

TENANTS = "alice@example.com acme\n@example.com\tbeta\nbob@example.org acme\n@example.net gamma\n"


class Case(unittest.TestCase):
    options = ()

    def setUp(self):
        self.ctl = Ctl(*self.options)
        self.addCleanup(self.ctl.close)

    def load(self, text, *args, which="--tenants", code=YES):
        return self.ctl.load(text, which, "--json", *args, code=code)

    def figures(self, text, *args, which="--tenants", code=YES):
        """added, removed, changed, kept, lines"""
        answer = self.load(text, *args, which=which, code=code).json
        return tuple(answer[name] for name in ("added", "removed", "changed", "kept", "lines"))

    def register(self):
        self.ctl.load("a@x.example joe\n", "--force")
        return self.ctl.run("status", "--json", code=YES).json["register"]


class Counts(Case):
    def test_replace_merge_delete(self):
        self.assertEqual(self.figures(TENANTS), (4, 0, 0, 0, 4))
        self.assertEqual(self.figures(TENANTS), (0, 0, 0, 4, 4))
        self.assertEqual(self.figures("alice@example.com other\nnew@example.com acme\n", "--merge")[:3], (1, 0, 1))
        done = self.load("alice@example.com other\nnobody@example.com acme\n", "--delete").json
        self.assertEqual((done["removed"], done["missing"], done["lines"]), (1, 1, 4))
        self.assertEqual(self.figures("@example.com beta\n@example.net delta\n"), (0, 2, 1, 1, 2))
        self.assertEqual(self.register()["tenants"], 2)

    def test_text(self):
        done = self.ctl.load("alice@example.com acme\n", "--tenants")
        self.assertEqual(done.out, "1 line added, 0 removed, 0 changed, 0 kept\nthe list of tenants holds 1 line\n")

    def test_file_operand(self):
        (self.ctl.dir / "tenants.txt").write_text(TENANTS)
        self.ctl.run("load", "--tenants", "tenants.txt", code=YES)
        self.ctl.run("load", "tenants.txt", "--tenants", code=YES)
        self.assertIn("tenants.txt: No such file", self.ctl.run("load", "--tenants", "no/tenants.txt", code=UNKNOWN).err)

    def test_accounts(self):
        self.assertFalse((self.register() or {"has_accounts": False})["has_accounts"])
        self.assertEqual(self.figures("alice\nBOB@Example.COM\n", which="--accounts"), (2, 0, 0, 0, 2))
        self.assertEqual(self.figures("bob@example.com\n", "--merge", which="--accounts")[:3], (0, 0, 0))
        self.assertEqual((self.register()["has_accounts"], self.register()["accounts"]), (True, 2))

    def test_a_list_is_untouched_by_the_other_and_by_the_table(self):
        self.load(TENANTS)
        self.load("alice\n", which="--accounts")
        self.ctl.load("a@x.example joe\n")
        self.assertEqual((self.register()["tenants"], self.register()["accounts"]), (4, 1))

    def test_dry_run(self):
        self.assertEqual(self.figures(TENANTS, "--dry-run"), (4, 0, 0, 0, 4))
        self.assertFalse((self.ctl.state / "register").exists())
        self.load(TENANTS)
        self.assertEqual(self.figures("@example.net gamma\n@example.com x\n", "--dry-run"), (0, 2, 1, 1, 2))
        self.assertEqual(self.register()["tenants"], 4)

    def test_many(self):
        lines = [f"user{i}@example.com tenant{i % 100}\n" for i in range(50000)]
        self.assertEqual(self.figures("".join(lines)), (50000, 0, 0, 0, 50000))
        self.assertEqual(self.figures("".join(reversed(lines))), (0, 0, 0, 50000, 50000))

    def test_audit_line(self):
        self.load(TENANTS)
        last = self.ctl.run("audit", "--json", code=YES).json_lines[-1]
        self.assertIn("tenants", " ".join(map(str, last.values())))


class Loss(Case):
    def test_empty_result_needs_force(self):
        self.assertIn("would be empty: only logins of hosted domains would have a tenant; say --force", self.load("", code=NO).err)
        self.load(TENANTS)
        self.assertIn("would be empty", self.load("# nothing\n", code=NO).err)
        self.assertIn("would be empty", self.load(TENANTS, "--delete", code=NO).err)
        self.assertEqual(self.figures("", "--merge"), (0, 0, 0, 0, 4))
        self.assertEqual(self.figures("", "--force")[1], 4)

    def test_shrink_of_more_than_half_needs_force(self):
        self.load(TENANTS)
        refused = self.load("@example.net gamma\n", code=NO)
        self.assertIn("would shrink from 4 lines to 1; say --force", refused.err)
        self.assertFalse(refused.json["done"])
        self.assertEqual(self.register()["tenants"], 4)
        self.assertEqual(self.figures("@example.net gamma\n@example.com beta\n")[1], 2)
        self.assertEqual(self.figures("new@example.net gamma\n", "--force")[:2], (1, 2))


class Reading(Case):
    def test_forms(self):
        text = ("\ufeff# comment\r\n\r\n  alice@EXAMPLE.com \t acme   # the boss\r\n"
                "JÖRG@Bücher.example acme\n@BÜCHER.example. beta\n@[127.0.0.1] beta\nbob acme")
        self.assertEqual(self.figures(text), (5, 0, 0, 0, 5))
        self.assertEqual(self.figures("alice@example.com acme\njörg@xn--bcher-kva.example acme\n"
                                      "@xn--bcher-kva.example beta\n@[127.0.0.1] beta\nbob acme\n"), (0, 0, 0, 5, 5))

    def test_the_same_line_twice_is_one(self):
        self.assertEqual(self.figures("a@x.example t\nA@X.example t\n"), (1, 0, 0, 0, 1))

    def bad(self, text, *wanted, which="--tenants"):
        self.load(TENANTS if which == "--tenants" else "old\n", "--force", which=which)
        done = self.load(text, "--force", which=which, code=NO)
        for pattern in wanted:
            self.assertRegex(done.err, pattern)
        self.assertIn("so nothing was changed", done.err)
        self.assertEqual(done.json["errors"], len(done.json["findings"]))
        self.assertEqual(self.register()[which[2:]], 4 if which == "--tenants" else 1)
        return done

    def test_two_tenants_of_one_login(self):
        self.bad("a@x.example one\nb@x.example one\nA@x.example two\n",
                 r'^standard input:3: "a@x.example": tenant two here, but one in line 1\n')

    def test_every_fault_with_its_line(self):
        self.bad("alice\n@bad..example t\nx@y.example a b\nx@y.example te:nant\n\xff t\nx@y.example: t\nx\x01y t\n",
                 r':1: "alice": no tenant behind it; write LOGIN TENANT',
                 r':2: "@bad..example": what stands behind the @ is not a domain',
                 r':3: ".*": more than two words',
                 r':4: "te:nant": cannot be the name of a tenant: 1 to 64',
                 r':6: "x@y.example:": ends in punctuation',
                 r':7: "x\\x01y": this is no login name')

    def test_accounts(self):
        self.bad("@example.com\na b\nalice,\n",
                 r':1: "@example.com": is a domain; a list of accounts holds logins',
                 r':2: "a b": more than one word; write one login a line',
                 r':3: "alice,": ends in punctuation', which="--accounts")

    def test_not_utf8(self):
        self.assertRegex(self.load(b"\xff\xfe t\n", code=NO).err, r':1: "\\xff\\xfe": this is no login name')

    def test_only_the_first_twenty(self):
        done = self.load("".join(f"user{i}\n" for i in range(50)), code=NO)
        self.assertEqual(done.err.count("no tenant behind it"), 20)
        self.assertIn("30 more errors", done.err)
        self.assertEqual((done.json["errors"], len(done.json["findings"])), (50, 20))

    def test_command_line(self):
        for args, wanted in ((("--tenants", "--accounts", "-"), "two lists"),
                             (("--tenants", "--merge", "--delete", "-"), "give one of them"),
                             (("--accounts", "--format", "csv", "-"), "--format is that of a table"),
                             (("--tenants=x", "-"), "--tenants takes no value"),
                             (("--tenants",), "usage: policyctl load")):
            with self.subTest(args):
                self.assertIn(wanted, self.ctl.run("load", *args, code=USAGE).err)


class Realm(Case):
    options = ("match.login_realm=example.com",)

    def test_login_realm(self):
        self.assertEqual(self.figures("alice acme\nbob@example.com acme\n")[0], 2)
        self.assertEqual(self.figures("alice@example.com acme\nbob acme\n"), (0, 0, 0, 2, 2))


@unittest.skipUnless(IS_ROOT, "needs root")
class Owner(unittest.TestCase):
    def test_makes_state_for_policyd(self):
        ctl = Ctl(user="nobody", make_state=False)
        self.addCleanup(ctl.close)
        ctl.load(TENANTS, "--tenants")
        owners = {path.stat().st_uid for path in (ctl.state, *ctl.state.rglob("*"))}
        self.assertEqual(len(owners), 1)
        self.assertNotIn(0, owners)
        for path in ctl.state.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)


if __name__ == "__main__":
    unittest.main()

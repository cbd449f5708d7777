"""policyctl's command line: commands of two words, options with a value, what was probably meant.

Knows: command lines and complaints. Nothing here gets as far as a state folder.
Must not know: what a command does.
"""

import subprocess
import unittest

import ctl
from ctl import USAGE, YES, Result

WORDS = ("add", "show", "list", "check", "instructions", "pin", "unpin", "transfer", "remove", "forget", "allow",
         "disallow", "approve")


class CommandLine(unittest.TestCase):
    def run_words(self, *words):
        return Result(subprocess.run([ctl.POLICYCTL, *words], capture_output=True, check=False, stdin=subprocess.DEVNULL))

    def usage(self, *words):
        done = self.run_words(*words)
        self.assertEqual((done.code, done.out), (USAGE, ""), words)
        return done.err

    def test_group_lists_its_words(self):
        for help_option in ("-h", "--help"):
            done = self.run_words("domain", help_option)
            self.assertEqual(done.code, YES)
            for word in WORDS:
                self.assertIn(f"\n  domain {word} ", done.out)
        for words in (("domain",), ("domain", "frobnicate")):
            err = self.usage(*words)
            for word in WORDS:
                self.assertIn(f"\n  domain {word} ", err)

    def test_every_word_has_help(self):
        for word in WORDS:
            for where in ((word, "--help"), (word, "x.example", "-h")):
                done = self.run_words("domain", *where)
                self.assertEqual(done.code, YES)
                self.assertTrue(done.out.startswith(f"usage: policyctl domain {word} "), done.out)

    def test_did_you_mean(self):
        for words, wanted in ((("domian", "add"), 'no command "domian"; did you mean "domain"?'),
                              (("domain", "ad"), 'no command "domain ad"; did you mean "domain add"?'),
                              (("domain", "aprove", "x"), 'did you mean "domain approve"?'),
                              (("domain add",), 'did you mean "domain add"?'),
                              (("audits",), 'did you mean "audit"?'),
                              (("domain", "add", "x.example", "--tenat", "t"), "did you mean --tenant?"),
                              (("load", "--tenant", "x", "-"), "did you mean --tenants?")):
            self.assertIn(wanted, self.usage(*words))

    def test_options_with_a_value(self):
        for words, wanted in (
                (("domain", "add", "x.example"), "domain add needs --tenant TENANT; usage: policyctl domain add DOMAIN"),
                (("domain", "transfer", "x.example"), "domain transfer needs --tenant TENANT"),
                (("domain", "add", "x.example", "--tenant"), "--tenant needs a value: TENANT"),
                (("domain", "add", "x.example", "--tenant", "--hosted"), "--tenant needs a value: TENANT"),
                (("domain", "add", "x.example", "--tenant="), '--tenant: "" cannot be the name of a tenant'),
                (("domain", "show", "x.example", "--tenant", "a b"), '"a b" cannot be the name of a tenant: 1 to 64'),
                (("domain", "show", "x.example", "--tenant", "x" * 65), "cannot be the name of a tenant"),
                (("domain", "list", "--state", "gone"), '"gone" is not one of pending, verified, grace, revoked, '),
                (("domain", "list", "--limit", "many"), "--limit is a number from 1"),
                (("domain", "remove", "x", "--reason", "a\nb"), "--reason is one line of at most 200 bytes"),
                (("domain", "remove", "x", "--reason", "x" * 201), "--reason is one line of at most 200 bytes"),
                (("domain", "allow", "x", "joe", "--sender="), "--sender is an address of the domain"),
                (("domain", "allow", "x", "joe", "--pending=yes"), "--pending takes no value"),
                (("domain", "pin", "x", "--yes"), "domain pin takes no option --yes")):
            self.assertIn(wanted, self.usage(*words))

    def test_number_of_operands(self):
        for words in (("add", "--tenant", "t"), ("add", "x", "y", "--tenant", "t"), ("list", "x"), ("allow", "x"),
                      ("disallow", "x"), ("approve",), ("allow", "x", *["joe"] * 1024)):
            self.assertIn(f"usage: policyctl domain {words[0]}", self.usage("domain", *words))

    def test_escaped(self):
        for words in (("\x1b[2J",), ("domain", "\x1b[2J"), ("domain", "add", "x", "--\x1b[2J"),
                      ("domain", "show", "x", "--tenant", "\x1b[2J"), ("domain", "list", "--state=\x1b[2J")):
            self.assertNotIn("\x1b", self.usage(*words))


if __name__ == "__main__":
    unittest.main()

"""policyctl from outside: formats, refusals with their lines, exit codes, what is left on disk."""

import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import unittest

import ctl
from ctl import CSV_HEADER, NO, POLICYCTL, UNKNOWN, USAGE, YES, Ctl

TABLE = """\
ceo@victim.example,alice,,
ceo@victim.example,!bob,,fired
info@victim.example,carol,2020-01-01,was on loan
info@victim.example,@corp.example,2099-12-31,"partner, for now"
b*g@victim.example,dave,,
@victim.example,bob,,
@.victim.example,*,2099-12-31T12:00:00Z,
joe@corp.example,joe@corp.example,,
"""


class Case(unittest.TestCase):
    options = ()

    def setUp(self):
        self.ctl = Ctl(*self.options)
        self.addCleanup(self.ctl.close)


class Formats(Case):
    """dump | load is the identity; what is wrong is told with its line."""

    NASTY = [
        ('a"b@x.example', 'he said "no"', "2030-01-01", 'comma, "quote"\nline\r\ntab\t'),
        ("john doe@x.example", "two words", "", ""),
        ("b\\*lling*@x.example", "!@corp.example", "2030-01-01T00:00:00Z", "\\"),
        ("jös@bücher.example", "JÖE", "", "ü \U0001f600"),
        ("@.x.example", "*", "", "#"),
        ("bare", "a,b", "", "'"),
        ("user@[127.0.0.1]", "{}", "", "{"),
        ('"needless"@x.example', "joe", "", ""),
        ("#hash@x.example", "#owner", "", ""),
    ]

    def jsonl(self):
        return "".join(json.dumps(dict(zip(("sender", "owner", "expires", "comment"), row))) + "\n"
                       for row in self.NASTY)

    def test_jsonl_and_csv_round_trip(self):
        self.ctl.load(self.jsonl(), "--format", "jsonl")
        for form in ("csv", "jsonl"):
            first = self.ctl.dump(form).out_bytes
            self.ctl.load("z@z.example z\n", "--force")
            self.ctl.load(first, "--format", form, "--force")
            self.assertEqual(self.ctl.dump(form).out_bytes, first)
            self.assertEqual(self.ctl.run("diff", "--format", form, "-", stdin=first).code, YES)
        rows = {(r["sender"], r["owner"], r["expires"] or "", r["comment"] or "")
                for r in self.ctl.dump("jsonl").json_lines}
        self.assertEqual(rows, set(self.NASTY))

    def test_postfix_round_trip(self):
        text = ('"john doe"@x.example\tjoe, mary\n"needless"@x.example\tjoe\n'
                'b\\*ll*@x.example\t!bob\n"q\\"\\\\"@x.example\tjoe\nuser@[::1]\t*\n@x.example\t@y.example\n')
        self.ctl.load(text)
        first = self.ctl.dump("postfix").out
        self.assertEqual(sorted(first.splitlines()), sorted(text.splitlines()))
        self.ctl.load(first)
        self.assertEqual(self.ctl.dump("postfix").out, first)

    def test_postfix_dump_refuses_what_it_cannot_hold(self):
        for row, why in (("a@x.example,joe,2030-01-01,", "it expires"),
                         ("a@x.example,joe,,hello", "it has a comment"),
                         ("a@x.example,joe smith,,", "blank or a comma"),
                         ('a@x.example,"joe,smith",,', "blank or a comma"),
                         ("#a@x.example,joe,,", "cannot be written as a key"),
                         ("a@x.example,joe,,\nA@x.example,mary,,", "upper and lower case")):
            with self.subTest(row):
                self.ctl.load_csv(row + "\n", "--force")
                done = self.ctl.dump("postfix", code=NO)
                self.assertIn(why, done.err)
                self.assertIn("a@x.example", done.err.lower())
                self.assertEqual(done.out, "")

    def test_postfix_reads_what_postmap_does(self):
        self.ctl.load("\ufeff# c\r\n\r\nCeo@x.example  alice,bob\r\n   # in between\r\n\r\n\t carol ,, dave\r\n"
                      "ceo@X.example eve\n")
        self.assertEqual(self.ctl.rows(), [f"Ceo@x.example,{who},,"
                                           for who in ("alice", "bob", "carol", "dave")])

    def test_postfix_duplicate_key_warns_and_the_first_counts(self):
        done = self.ctl.load("a@x.example one\n\nA@X.example two\n")
        self.assertRegex(done.err, r':3: warning: "A@X.example": the same key as line 1')
        self.assertEqual(self.ctl.rows(), ["a@x.example,one,,"])

    def test_row_that_never_matches_warns(self):
        done = self.ctl.load("good@x.example a\nexample.org a\n")
        self.assertRegex(done.err, r':2: warning: "example.org": ')

    def test_warnings_say_what_comes_of_it(self):
        for text, wanted in (
                ("info@example.com:  a\n", r':1: warning: "info@example.com:": .*no sender matches'),
                ("/^(.*)@x\\.example$/ $1\n", r":1: warning: .*regexp or pcre table.*no sender matches"),
                ("a@x.example joe  # the boss\n", r':1: warning: "#": .*an owner.*line of its own')):
            with self.subTest(text):
                self.assertRegex(self.ctl.load(text, "--force").err, wanted)
        self.assertEqual(self.ctl.load("#a@x.example b\na@x.example b\n", "--force").err, "")

    def test_compiled_map_is_told_from_text(self):
        done = self.ctl.load(b"\0\0\0\0\1\0\0\0\0\0\0\0 b1\x05\0\nrest\n", code=NO)
        self.assertIn("postmap -s", done.err)
        self.assertIn("1 error,", done.err)

    def test_csv_columns_in_any_order(self):
        self.ctl.load("owner,sender\r\nalice,a@x.example\r\n\r\n", "--format", "csv")
        self.assertEqual(self.ctl.rows(), ["a@x.example,alice,,"])

    def test_same_pair_twice_is_one_row(self):
        self.ctl.load_csv("a@x.example,joe,2030-01-01,\na@x.example,joe,2030-01-01,\n")
        self.assertEqual(len(self.ctl.rows()), 1)

    def test_many_owners_of_one_pattern(self):
        owners = [f"user{i}@corp.example" for i in range(20000)]
        self.ctl.load("all@x.example " + ",\n  ".join(owners) + "\n")
        self.assertEqual(len(self.ctl.rows()), 20000)
        self.assertEqual(self.ctl.run("check", "user19999@corp.example", "all@x.example").code, YES)
        line = self.ctl.dump("postfix").out
        self.assertEqual(line.count("\n"), 1)
        self.assertEqual(self.ctl.run("diff", "-", stdin=line).code, YES)

    def bad(self, form, text, *wanted):
        self.ctl.load("old@x.example joe\n", "--force")
        done = self.ctl.load(text, "--format", form, code=NO)
        for pattern in wanted:
            self.assertRegex(done.err, pattern)
        self.assertEqual(self.ctl.rows(), ["old@x.example,joe,,"])
        return done

    def test_bad_postfix_rows(self):
        for text, wanted in (
                ("a@x.example joe\nkey\n", r'standard input:2: "key": a key without owners'),
                ("key ,,\n", r':1: "key": a key without owners'),
                ('"a b@x joe\n', r":1: .*a quote that is not closed"),
                ("  a@x joe\n", r":1: .*starts with white space"),
                (b"\xff@x.example joe\n", r':1: "\\xff@x.example": .*UTF-8'),
                (b"a\x01@x.example joe\n", r":1: .*control byte"),
                (b"a@x.example joe\x02\n", r":1: .*control byte"),
                ("a*b*c*d*e*f@x.example joe\n", r":1: .*more than 4"),
                ("k" * 3000 + " joe\n", r":1: .*more than 2048 bytes"),
                ("a@x.example " + "o" * 9300 + "\n", r":1: .*more than 9216 bytes"),
                (CSV_HEADER + "a@x.example,joe,,\n", r":1: .*use --format csv"),
                ('{"sender":"a@x.example","owner":"b"}\n', r":1: .*use --format jsonl")):
            with self.subTest(text=text[:40]):
                self.bad("postfix", text, wanted)

    def test_bad_csv_rows(self):
        for text, wanted in (
                ("", r':1: "": the first line names the columns'),
                ("sender,login\n", r':1: "login": the first line names the columns'),
                ("sender,sender\n", r":1: .*the first line names"),
                ("owner\n", r":1: .*the first line names"),
                (CSV_HEADER + "a@x.example,joe\n", r':2: "a@x.example": 2 fields, but the header names 4'),
                (CSV_HEADER + ",,,\n", r":2: .*empty"),
                (CSV_HEADER + 'a@x.example,joe,,"1\n2\n"\nb@x.example,joe,soon,\n',
                 r':5: "soon": not a time.*2026-12-31T23:59:59Z'),
                (CSV_HEADER + "a@x.example,joe,2026-02-30,\n", r':2: "2026-02-30": not a time'),
                (CSV_HEADER + 'a@x"y,joe,,\nb@x,joe\n', r":2: .*a quote inside a field[^$]*:3: "),
                (CSV_HEADER + '"a"b,joe,,\n', r":2: .*behind a closing quote"),
                (CSV_HEADER + 'a@x.example,"joe,,\n\n', r":2: .*never closed"),
                (CSV_HEADER + "a@x.example,joe,," + "c" * 1025 + "\n", r":2: .*comment of more than 1024"),
                (CSV_HEADER + "a@x.example,joe,,\x07\n", r":2: .*control byte in a comment"),
                (CSV_HEADER + "a@x.example,joe,2030-01-01,\nb@x.example,j,,\na@x.example,joe,,\n",
                 r':4: "a@x.example": the same sender and owner as line 2.*"2030-01-01".*""')):
            with self.subTest(text=text[:60]):
                self.bad("csv", text, wanted)

    def test_bad_jsonl_rows(self):
        good = '{"sender":"a@x.example","owner":"joe"}'
        for line, wanted in (
                ("[]", '"[]": not a JSON object'),
                ('{"sender":"a@x.example"}', "both are needed"),
                ('{"sender":"a@x.example","owner":7}', '"owner": not a string'),
                ('{"sender":null,"owner":"j"}', "sender and owner are needed"),
                ('{"sender":"a","owner":"j","until":"x"}', '"until": no such member; sender, owner, expires'),
                ('{"sender":"a","sender":"b","owner":"j"}', "given twice"),
                ('{"sender":"a\\x","owner":"j"}', "a backslash is followed by"),
                ('{"sender":"\\ud83d","owner":"j"}', "half of a surrogate pair"),
                ('{"sender":"\\u12g4","owner":"j"}', "four hexadecimal digits"),
                ('{"sender":"a","owner":"j"', "no `,` or `}`"),
                ('{"sender":"a","owner":"j}', "a string that is not closed"),
                ('{"sender":"a","owner":"j"} x', "text behind the object"),
                ('{"sender" "a"}', "no `:`"),
                ("{sender}", "begins with its name in quotes"),
                ('{"sender":"a\t","owner":"j"}', "a control byte in a string"),
                ('{"sender":"a\\u0000@x.example","owner":"j"}', "control byte")):
            with self.subTest(line):
                self.bad("jsonl", f"{good}\n\n{line}\n{good}\n", r":3: .*" + re.escape(wanted))

    def test_twenty_errors_and_a_count(self):
        done = self.bad("csv", CSV_HEADER + "bad\n" * 50)
        self.assertEqual(len(re.findall(r"standard input:\d+: ", done.err)), 20)
        self.assertIn("30 more errors", done.err)
        self.assertIn("50 errors, so nothing was changed", done.err)

    def test_json_holds_the_findings(self):
        done = self.ctl.load(CSV_HEADER + "a@x.example,joe,soon,\n", "--format", "csv", "--json", code=NO)
        self.assertEqual(done.json["errors"], 1)
        self.assertFalse(done.json["done"])
        finding = done.json["findings"][0]
        self.assertEqual((finding["line"], finding["kind"], finding["value"]), (2, "error", "soon"))


class Changes(Case):
    """load, merge, delete, diff, rollback."""

    def test_load_counts(self):
        done = self.ctl.load_csv(TABLE)
        self.assertIn("8 rows added, 0 removed, 0 updated, 0 kept", done.out)
        self.assertIn("holds 8 rows: 6 senders in 2 domains", done.out)
        changed = TABLE.replace("fired", "gone").replace("b*g@victim.example,dave,,\n", "")
        self.assertIn("0 rows added, 1 removed, 1 updated, 6 kept", self.ctl.load_csv(changed).out)
        self.assertIn("nothing was written", self.ctl.load_csv(changed).out)

    def test_merge_and_delete(self):
        self.ctl.load_csv(TABLE)
        before = self.ctl.rows()
        done = self.ctl.load_csv("new@x.example,zoe,,\nceo@victim.example,!bob,2030-01-01,fired\n", "--merge")
        self.assertIn("1 row added, 0 removed, 1 updated", done.out)
        self.assertIn("ceo@victim.example,!bob,2030-01-01,fired", self.ctl.rows())
        done = self.ctl.load_csv("new@x.example,zoe,,\nnot@there.example,zoe,,\n", "--delete")
        self.assertIn("1 removed", done.out)
        self.assertRegex(done.err, r':3: warning: "not@there.example" with owner "zoe": not in the table')
        self.ctl.load_csv("ceo@victim.example,!bob,,fired\n", "--merge")
        self.assertEqual(self.ctl.rows(), before)

    def test_merge_is_the_first_load(self):
        self.ctl.load("a@x.example joe\n", "--merge")
        self.assertEqual(self.ctl.rows(), ["a@x.example,joe,,"])

    def test_merge_of_nothing_is_no_first_load(self):
        self.assertIn("would be empty", self.ctl.load("# nothing\n", "--merge", code=NO).err)
        self.assertEqual(self.ctl.run("status").code, NO)

    def test_one_is_not_many(self):
        self.assertIn("holds 1 row: 1 sender in 1 domain\n", self.ctl.load("a@x.example a\n").out)
        out = self.ctl.run("status", code=YES).out
        self.assertIn("1 in 1 domain\n", out)

    def test_delete_without_a_table(self):
        self.assertIn("nothing to delete", self.ctl.load("a@x.example joe\n", "--delete", code=NO).err)

    def test_dry_run_changes_nothing(self):
        self.ctl.load_csv(TABLE)
        before = self.ctl.rows()
        for extra in ((), ("--merge",), ("--delete",)):
            done = self.ctl.load("joe@corp.example joe@corp.example\nx@x.example x\n", "--dry-run", "--force",
                                 *extra)
            self.assertIn("dry run: nothing was changed", done.out)
        self.assertEqual(self.ctl.rows(), before)

    def test_dry_run_makes_no_folder(self):
        with_none = Ctl(make_state=False)
        self.addCleanup(with_none.close)
        self.assertIn("1 row added", with_none.load("a@x.example joe\n", "--dry-run").out)
        self.assertFalse(with_none.state.exists())

    def test_refuses_loss_without_force(self):
        self.ctl.load_csv(TABLE)
        before = self.ctl.rows()
        self.assertIn("would be empty", self.ctl.load("# nothing\n", code=NO).err)
        self.assertIn("from 8 rows to 3", self.ctl.load("a@x.example a,b,c\n", code=NO).err)
        self.assertIn("would be empty", self.ctl.load(self.ctl.dump().out, "--format", "csv", "--delete",
                                                      "--dry-run", code=NO).err)
        self.assertEqual(self.ctl.rows(), before)
        self.ctl.load("# nothing\n", "--force")
        self.assertEqual(self.ctl.rows(), [])
        self.assertEqual(self.ctl.run("check", "a", "a@x.example").code, NO)

    def test_half_is_not_refused(self):
        self.ctl.load("a@x.example a,b,c,d\n")
        self.ctl.load("a@x.example a,b\n")

    def test_delete_of_everything_is_refused(self):
        self.ctl.load("a@x.example a\n")
        self.assertIn("refused", self.ctl.load("a@x.example a\n", "--delete", code=NO).err)
        self.ctl.load("a@x.example a\n", "--delete", "--force")

    def test_rollback_and_forward(self):
        self.assertEqual(self.ctl.run("rollback").code, NO)
        self.ctl.load("a@x.example one\n")
        self.assertEqual(self.ctl.run("rollback").code, NO)
        self.ctl.load("a@x.example two\n")
        self.ctl.run("rollback", code=YES)
        self.assertEqual(self.ctl.rows(), ["a@x.example,one,,"])
        self.ctl.run("rollback", code=YES)
        self.assertEqual(self.ctl.rows(), ["a@x.example,two,,"])
        self.ctl.load("b@x.example three\n", "--merge")
        self.assertEqual(self.ctl.run("rollback", "--json", code=YES).json["removed"], 1)
        self.assertEqual(self.ctl.rows(), ["a@x.example,two,,"])

    def test_diff(self):
        self.assertEqual(self.ctl.run("diff", "-", stdin="a@x.example one\n").code, NO)
        self.ctl.load_csv("a@x.example,one,,\nb@x.example,two,,\nc@x.example,three,,\n")
        done = self.ctl.run("diff", "--format", "csv", "-", code=NO,
                            stdin=CSV_HEADER + "a@x.example,one,,x\nb@x.example,two,,\nd@x.example,four,,\n")
        self.assertEqual(done.out.splitlines(), [
            "~ a@x.example,one,,x", "- c@x.example,three,,", "+ d@x.example,four,,",
            "1 row added, 1 removed, 1 updated, 1 kept"])
        self.assertEqual(self.ctl.run("diff", "--format", "csv", "-", stdin="bad\n").code, UNKNOWN)

    def test_lock_names_its_holder(self):
        self.ctl.load("a@x.example one\n")
        with open(self.ctl.state / "table.lock", "r+", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)
            lock.write("policyctl load, pid 123, since 2026-01-01T00:00:00Z\n")
            lock.flush()
            for args in (("load", "-"), ("rollback",)):
                done = self.ctl.run(*args, stdin="a@x.example one\n", code=UNKNOWN)
                self.assertIn("policyctl load, pid 123", done.err)
                self.assertNotIn("\x1b", done.err)
            if os.path.exists("/proc/locks"):
                self.assertIn("pid 123", self.ctl.run("status", code=YES).out)
        self.assertIn("writer     none", self.ctl.run("status", code=YES).out)

    def test_progress_bar_on_a_terminal_only(self):
        rows = CSV_HEADER + "".join(f"u{i}@x.example,joe,,\n" for i in range(20000))
        (self.ctl.dir / "t.csv").write_text(rows)
        command = self.ctl.command("load", "--format", "csv", "t.csv")
        master, terminal = pty.openpty()
        subprocess.run(command, stderr=terminal, stdout=subprocess.DEVNULL, cwd=self.ctl.dir, check=True)
        os.close(terminal)
        self.assertIn(b"%", os.read(master, 65536))
        os.close(master)
        self.assertEqual(self.ctl.run("load", "--format", "csv", "t.csv", code=YES).err, "")


class Questions(Case):
    """check, explain, who, senders, replay, status."""

    def setUp(self):
        super().setUp()
        self.ctl.load_csv(TABLE)

    def golden(self, name, *args, code):
        out = self.ctl.run(*args, code=code).out
        out = out.replace(str(self.ctl.ini), "/DIR/policyd.ini").replace(ctl.POLICYCTL, "policyctl")
        path = ctl.GOLDEN / f"policyctl-{name}.txt"
        if os.environ.get("GOLDEN") == "write":
            path.write_text(out)
        self.assertEqual(out, path.read_text())

    def test_check(self):
        for login, sender, code, line in (
                ("alice", "ceo@victim.example", YES, "action=DUNNO"),
                ("bob", "ceo@victim.example", NO,
                 "action=REJECT 5.7.1 Sender address rejected: not owned by user bob"),
                ("-", "ceo@victim.example", YES, "action=DUNNO"),
                ("", "ceo@victim.example", YES, "action=DUNNO"),
                ("alice", "<>", YES, "action=DUNNO"),
                ("alice", "<ceo@victim.example>", YES, "action=DUNNO"),
                ("alice", "", YES, "action=DUNNO")):
            done = self.ctl.run("check", "--", login, sender, code=code)
            self.assertEqual(done.out, line + "\n")
        self.assertEqual(self.ctl.run("check", "--json", "bob", "ceo@victim.example").json["reason"],
                         "denied-by-row")

    def test_check_without_a_table_defers(self):
        empty = Ctl()
        self.addCleanup(empty.close)
        done = empty.run("check", "a", "a@x.example", code=UNKNOWN)
        self.assertTrue(done.out.startswith("action=DEFER"))
        for command in (("who", "a@x.example"), ("senders", "a"), ("dump",), ("status",)):
            self.assertEqual(empty.run(*command).code, NO)

    def test_damaged_table(self):
        data = self.ctl.state / "table" / "data.mdb"
        bytes_ = bytearray(data.read_bytes())
        at = bytes_.rfind(b"was on loan")
        while at >= 0:
            bytes_[at] ^= 1
            at = bytes_.rfind(b"was on loan")
        data.write_bytes(bytes_)
        done = self.ctl.run("check", "alice", "ceo@victim.example", code=UNKNOWN)
        self.assertTrue(done.out.startswith("action=DEFER"))
        self.assertEqual(self.ctl.run("explain", "alice", "ceo@victim.example", "--json").json["reason"],
                         "table-damaged")
        for command in (("who", "a@x.example"), ("senders", "a"), ("dump",), ("status",),
                        ("diff", "-")):
            self.assertEqual(self.ctl.run(*command, stdin="a@x.example a\n").code, UNKNOWN)
        self.ctl.load_csv(TABLE, code=NO)
        self.ctl.load_csv(TABLE, "--force")
        self.ctl.run("check", "alice", "ceo@victim.example", code=YES)

    def test_table_cut_short(self):
        """Nothing can be written into such a file: no command may die of it without a word."""
        rows = "".join(f"u{i}@x.example,joe,,\n" for i in range(3000))
        self.ctl.load_csv(rows, "--force")
        data = self.ctl.state / "table" / "data.mdb"
        os.truncate(data, 40960)
        for args in (("load", "--format", "csv", "--force", "-"), ("rollback",)):
            done = self.ctl.run(*args, stdin=CSV_HEADER + rows, code=UNKNOWN)
            self.assertRegex(done.err, "move .*load the table again")
        self.ctl.run("check", "joe", "u1@x.example", code=UNKNOWN)
        (self.ctl.state / "table").rename(self.ctl.state / "table.broken")
        self.ctl.load_csv(rows)
        self.ctl.run("check", "joe", "u1@x.example", code=YES)

    def test_explain_golden(self):
        for name, login, sender, code in (
                ("denied", "bob", "ceo@victim.example", NO),
                ("row", "dave", "big@victim.example", YES),
                ("expired", "carol", "info@victim.example", NO),
                ("not-owned", "zoe", "big*x@other.example", NO),
                ("self", "ann@corp.example", "ann+x@corp.example", YES),
                ("routing", "alice", "ceo%victim.example@x.example", NO),
                ("bad-sender", "alice", "a@b..c", NO),
                ("nobody", "-", "ceo@victim.example", YES)):
            with self.subTest(name):
                self.golden(f"explain-{name}", "explain", login, sender, code=code)

    def test_explain_fix_works(self):
        fix = self.ctl.run("explain", "--json", "zoe", "a*b c@other.example", code=NO).json
        self.ctl.load(fix["fix_rows"], "--merge")
        self.ctl.run("check", "zoe", "a*b c@other.example", code=YES)
        self.ctl.run("check", "zoe", "axb c@other.example", code=NO)
        fix = self.ctl.run("explain", "--json", "bob", "ceo@victim.example", code=NO).json
        self.ctl.load(fix["fix_rows"], "--format", "csv", "--delete")
        self.ctl.run("check", "bob", "ceo@victim.example", code=YES)
        fix = self.ctl.run("explain", "--json", "carol", "info@victim.example", code=NO).json
        self.ctl.load(fix["fix_rows"], "--format", "csv", "--merge")
        self.ctl.run("check", "carol", "info@victim.example", code=YES)

    def test_explain_fix_names_the_address_that_is_looked_up(self):
        for sender, options in (
                ("ceo", ("match.append_domain=mx.example",)),
                ("ceo", ("match.append_domain=mx.example", "match.semantics=first-hit")),
                ("ceo%victim.example@mx.example",
                 ("match.local_domains=mx.example", "match.semantics=first-hit")),
                ("Ceo@b\u00fccher.example", ("match.semantics=first-hit",))):
            with self.subTest(sender=sender, options=options):
                other = Ctl(*options)
                self.addCleanup(other.close)
                other.load("a@x.example a\n")
                fix = other.run("explain", "--json", "zoe", sender, code=NO).json
                other.load(fix["fix_rows"], "--merge")
                other.run("check", "zoe", sender, code=YES)

    def test_explain_fix_command_asks_the_same_table(self):
        fix = self.ctl.run("explain", "--json", "zoe", "a@other.example", code=NO).json
        self.assertEqual(fix["fix_command"], f"{ctl.POLICYCTL} -c {self.ctl.ini} load --merge FILE")
        spaced = self.ctl.dir / "it's one.ini"
        spaced.write_text(self.ctl.ini.read_text())
        done = subprocess.run([ctl.POLICYCTL, "-c", str(spaced), "-o", "match.allow_self=no", "explain", "--json",
                               "zoe", "a@other.example"], capture_output=True, check=False)
        words = shlex.split(json.loads(done.stdout)["fix_command"])
        self.assertEqual(words, [ctl.POLICYCTL, "-c", str(spaced), "-o", "match.allow_self=no", "load", "--merge",
                                 "FILE"])

    def test_explain_does_not_open_a_row_to_everybody(self):
        self.ctl.load_csv("board@victim.example,!*,,\nboard@victim.example,alice,,\n"
                          "@victim.example,eve,,\n", "--merge")
        self.ctl.run("check", "alice", "board@victim.example", code=YES)
        self.golden("explain-denied-all", "explain", "eve", "board@victim.example", code=NO)
        self.golden("explain-outranked", "explain", "alice", "board@victim.example", code=YES)
        fix = self.ctl.run("explain", "--json", "eve", "board@victim.example", code=NO).json
        self.ctl.load(fix["fix_rows"], "--format", "csv", "--merge")
        self.ctl.run("check", "eve", "board@victim.example", code=YES)
        self.ctl.run("check", "bob", "board@victim.example", code=NO)

    def test_explain_never_writes_a_row_that_means_something_else(self):
        for login in ("@corp.example", "*", "!bob"):
            self.assertIsNone(self.ctl.run("explain", "--json", login, "ceo@other.example").json["fix_rows"])

    def test_who_golden(self):
        self.golden("who", "who", "ceo@victim.example", code=YES)
        self.golden("who-expired", "who", "info@victim.example", code=YES)
        self.golden("who-subdomain", "who", "x@a.victim.example", code=YES)

    def test_who_nobody(self):
        quiet = Ctl("match.allow_self=no")
        self.addCleanup(quiet.close)
        quiet.load("a@x.example joe\n")
        self.assertIn("nobody", quiet.run("who", "b@x.example", code=NO).out)

    def test_senders_golden(self):
        self.golden("senders", "senders", "bob", code=YES)
        self.golden("senders-self", "senders", "joe@corp.example", code=YES)

    def test_senders_of_nobody(self):
        self.assertIn("`-` is nobody", self.ctl.run("senders", "-", code=NO).err)

    def test_help_golden(self):
        self.golden("help", "--help", code=YES)
        self.golden("help-load", "load", "--help", code=YES)

    def test_status_golden(self):
        out = self.ctl.run("status", code=YES).out
        out = out.replace(str(self.ctl.state), "STATE_DIR").replace(str(self.ctl.dir), "DIR")
        out = re.sub(r"(?m)^readers .*", "readers    N slots", out)
        out = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", out)
        path = ctl.GOLDEN / "policyctl-status.txt"
        if os.environ.get("GOLDEN") == "write":
            path.write_text(out)
        self.assertEqual(out, path.read_text())

    def test_json_is_json(self):
        for command in (("check", "bob", "ceo@victim.example"), ("explain", "bob", "ceo@victim.example"),
                        ("status",), ("rollback",), ("who", "ceo@victim.example"), ("senders", "bob"), ("dump",)):
            with self.subTest(command):
                self.assertTrue(all(isinstance(line, dict)
                                    for line in self.ctl.run(*command, "--json").json_lines))
        self.assertEqual(self.ctl.run("check", "--json", b"\xff\x01", "a@x.example").json["login"],
                         "\ufffd\x01")

    def test_replay(self):
        def request(login, sender):
            return (f"request=smtpd_access_policy\nprotocol_state=RCPT\nsender={sender}\n"
                    f"sasl_username={login}\n\n")
        two = request("alice", "ceo@victim.example") + request("bob", "ceo@victim.example")
        refused = "action=REJECT 5.7.1 Sender address rejected: not owned by user bob\n\n"
        self.assertEqual(self.ctl.run("replay", "-", stdin=two, code=YES).out, "action=DUNNO\n\n" + refused)
        self.assertEqual(len(self.ctl.run("replay", "--json", "-", stdin=two, code=YES).json_lines), 2)
        done = self.ctl.run("replay", "-", stdin=two + "request=x\nhalf", code=UNKNOWN)
        self.assertEqual(done.out, "action=DUNNO\n\n" + refused)
        self.assertIn("request 3 is cut off", done.err)
        done = self.ctl.run("replay", "-", stdin=two + "no equals\n\n", code=UNKNOWN)
        self.assertIn("request 3", done.err)
        many = request("bob", "ceo@victim.example") * 2000
        self.assertEqual(self.ctl.run("replay", "-", stdin=many, code=YES).out, refused * 2000)
        self.ctl.run("replay", "no-such-file", code=UNKNOWN)

    def test_monitor_mode(self):
        args = ("-o", "policyd.mode=monitor")
        done = subprocess.run([*self.ctl.command()[:3], *args, "check", "bob", "ceo@victim.example"],
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (YES, b"action=DUNNO\n"))


class FirstHit(Case):
    options = ("match.semantics=first-hit",)

    def test_literal_owners(self):
        self.ctl.load("a@x.example *\n@x.example joe\n")
        self.assertEqual([(r["login"], r["says"]) for r in
                          self.ctl.run("who", "--json", "a@x.example", code=YES).json_lines],
                         [("*", "may"), ("joe", "overruled")])
        self.assertEqual([r["sender"] for r in self.ctl.run("senders", "--json", "joe").json_lines],
                         ["@x.example"])

    def test_needless_quotes_stay_unfound_as_in_postfix(self):
        self.ctl.load('"needless"@x.example joe\n"john doe"@x.example joe\n')
        self.ctl.run("check", "joe", "needless@x.example", code=NO)
        self.ctl.run("check", "joe", "john doe@x.example", code=YES)


class CommandLine(Case):
    def test_usage(self):
        for args, wanted in (((), "no command"),
                             (("laod", "x"), 'did you mean "load"?'),
                             (("frobnicate",), "-h` lists them"),
                             (("load",), "usage: policyctl load"),
                             (("load", "a", "b"), "usage: policyctl load"),
                             (("load", "--formt", "csv", "-"), "did you mean --format?"),
                             (("load", "--format", "xml", "-"), "postfix, csv or jsonl"),
                             (("load", "--format"), "postfix, csv or jsonl"),
                             (("load", "--merge", "--delete", "-"), "one of them"),
                             (("load", "--force=yes", "-"), "takes no value"),
                             (("check", "--merge", "a", "b"), "takes no option --merge"),
                             (("check", "a"), "usage: policyctl check"),
                             (("status", "-x"), "takes no option -x"),
                             (("status", "x"), "usage: policyctl status [--json]\n")):
            with self.subTest(args):
                self.assertIn(wanted, self.ctl.run(*args, code=USAGE).err)
        done = subprocess.run([ctl.POLICYCTL, "-z"], capture_output=True, check=False)
        self.assertEqual(done.returncode, USAGE)

    def test_about(self):
        for option in ("-h", "--help"):
            self.assertIn(b"usage: policyctl", subprocess.check_output([ctl.POLICYCTL, option]))
        for option in ("-V", "--version"):
            self.assertTrue(subprocess.check_output([ctl.POLICYCTL, option]).startswith(b"policyctl "))

    def test_bad_configuration(self):
        done = subprocess.run([*self.ctl.command()[:3], "-o", "match.semantics=unoin", "status"],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, UNKNOWN)
        self.assertIn(b"unoin", done.stderr)

    def test_input_that_cannot_be_read(self):
        self.assertIn("no-such-file: No such file", self.ctl.run("load", "no-such-file", code=UNKNOWN).err)
        self.assertIn("cannot read", self.ctl.run("load", ".", code=UNKNOWN).err)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([ctl.POLICYCTL, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, UNKNOWN)


@unittest.skipUnless(ctl.IS_ROOT, "needs root")
class Privileges(unittest.TestCase):
    def setUp(self):
        self.ctl = Ctl(user="nobody", make_state=False)
        self.addCleanup(self.ctl.close)
        self.uid = int(subprocess.check_output(["id", "-u", "nobody"]))

    def owners(self):
        return {path.stat().st_uid for path in (self.ctl.state, *self.ctl.state.rglob("*"))}

    def test_root_leaves_no_file_of_its_own(self):
        secret = self.ctl.dir / "secret.map"
        secret.write_text("a@x.example joe\n")
        secret.chmod(0o600)
        self.ctl.run("load", "secret.map", code=YES)
        for command in (("status",), ("check", "joe", "a@x.example"), ("dump",), ("who", "a@x.example"),
                        ("load", "--merge", "secret.map")):
            self.ctl.run(*command, code=YES)
        self.assertEqual(self.owners(), {self.uid})
        self.assertEqual(self.ctl.state.stat().st_mode & 0o777, 0o700)
        for path in self.ctl.state.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_owner_of_state_dir_where_no_user_is_named(self):
        other = Ctl()
        self.addCleanup(other.close)
        os.chown(other.state, self.uid, -1)
        other.load("a@x.example joe\n")
        self.assertEqual({p.stat().st_uid for p in other.state.rglob("*")}, {self.uid})

    def test_no_user_and_no_folder(self):
        other = Ctl(make_state=False)
        self.addCleanup(other.close)
        self.assertIn("no user is configured", other.load("a@x.example joe\n", code=UNKNOWN).err)
        self.assertFalse(other.state.exists())

    def test_reading_makes_nothing(self):
        self.assertEqual(self.ctl.run("status").code, NO)
        self.assertFalse(self.ctl.state.exists())

    def test_stranger_is_told_whom_to_become(self):
        self.ctl.load("a@x.example joe\n")
        # The tree may be closed to others (/root).
        program = shutil.copy(POLICYCTL, self.ctl.dir)
        os.chmod(program, 0o755)
        done = subprocess.run([program, *self.ctl.command("status")[1:]], user="daemon", group="daemon", extra_groups=[],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, UNKNOWN)
        self.assertIn(b"belongs to user nobody", done.stderr)

    def test_folder_of_another_user(self):
        self.ctl.load("a@x.example joe\n")
        done = subprocess.run([*self.ctl.command()[:3], "-o", "policyd.user=daemon", "status"],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, UNKNOWN)
        self.assertRegex(done.stderr, rb"belongs to user nobody, but .*user is daemon.*chown -R daemon")

    def test_unknown_user(self):
        other = Ctl(user="no-such-user")
        self.addCleanup(other.close)
        done = other.load("a@x.example joe\n", code=UNKNOWN)
        self.assertIn("no-such-user", done.err)


if __name__ == "__main__":
    unittest.main()

"""policyctl lockdown and cache, and what check, explain and replay say with lockdown on: against NSD and a hostile server.

Knows: command lines, exit codes, golden files (GOLDEN=write writes them anew).
Must not know: how the cache is stored.
Fails: AssertionError with what policyctl printed.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fake"))
import ctl  # noqa: E402
import helper  # noqa: E402
import hostile_dns  # noqa: E402
import nsd_zone  # noqa: E402
from ctl import IS_ROOT, NO, UNKNOWN, USAGE, YES, Ctl  # noqa: E402

OURS = "examplesender"
LABEL = nsd_zone.LABEL
RECORDS = {
    f"{LABEL}.commas": [f'"v=mc1 auth=other,auth={OURS}"'],
    f"{LABEL}.slip": [f'"v=mcl auth={OURS}"'],
    f"{LABEL}.semicolon": [f'"v=mc1; auth={OURS}"'],
    f"{LABEL}.no-version": [f'"auth={OURS}"'],
    f"{LABEL}.quoted": [f'"\\"v=mc1 auth={OURS}\\""'],
    f"{LABEL}.late-version": [f'"auth={OURS} v=mc1"'],
    f"{LABEL}.joined": ['"v=mc1 auth=other"', f'"v=zz9 auth={OURS}"'],
    f"{LABEL}.one-record": [f'"v=mc1 auth=other v=zz9 auth={OURS}"'],
    f"{LABEL}.glued": [f'"v=mc1 auth=other" "auth={OURS}"'],
    f"{LABEL}.former": ['"v=mc1 auth=former"'],
    f"{LABEL}.fields": [f'"v=mc1 foo=bar word senderid={OURS}|x-authuser senderid={OURS}|x-other|bob '
                        f'sidw={OURS}|x-authuser|*@example.com senderid={OURS}|x-authuser|al|ce auth="'],
    f"{LABEL}.letters": [f'"v=mc1 senderid={OURS}|x-authuser|joe@b\\195\\188cher.example"'],
    f"{LABEL}.control": ['"v=mc1 auth=\\027[31mred"'],
    f"{LABEL}.parent": [f'"v=mc1 auth={OURS}"'],
    "direct": [f'"v=mc1 auth={OURS}"', '"v=spf1 -all"'],
    LABEL[1:] + ".underscore": [f'"v=mc1 auth={OURS}"'],
    f"{LABEL}.twice.test.twice": [f'"v=mc1 auth={OURS}"'],
    "own.labelled": [f'"v=mc1 auth={OURS}"'],
}


def setUpModule():
    global NSD
    NSD = nsd_zone.NsdZone(records=RECORDS).start()
    unittest.addModuleCleanup(NSD.close)


class Case(unittest.TestCase):
    def ctl(self, *options, server=None, user=None, account=OURS, has_cache=False):
        """With lockdown on, unless the options say otherwise; has_cache: the folder that a daemon would have made."""
        new = Ctl(user=user)
        self.addCleanup(new.close)
        new.cache = new.dir / "cache"
        if has_cache:
            new.cache.mkdir(mode=0o700)
        with new.ini.open("a", encoding="ascii") as ini:
            ini.write("[lockdown]\nenabled = yes\n" + (f"account = {account}\n" if account else "") +
                      f"[dns]\nnameserver = {server or NSD.server}\ncache_dir = {new.cache}\n"
                      "timeout_ms = 300\ndeadline_ms = 900\n")
        new.options = [word for option in options for word in ("-o", option)]
        return new

    def golden(self, control, name, *args, code):
        out = control.run(*args, code=code).out
        for what, instead in ((str(control.dir), "/DIR"), (ctl.POLICYCTL, "policyctl"),
                              (NSD.server, "127.0.0.1:53")):
            out = out.replace(what, instead)
        path = ctl.GOLDEN / f"policyctl-{name}.txt"
        if os.environ.get("GOLDEN") == "write":
            path.write_text(out)
        self.assertEqual(out, path.read_text())


class Lockdown(Case):
    def setUp(self):
        self.control = self.ctl()

    def ask(self, *args, code):
        return self.control.run("lockdown", "--json", *args, code=code).json

    def test_golden(self):
        for name, operands, code in (
                ("one", ["one.test"], YES),
                ("former", ["former.test"], NO),
                ("fields", ["fields.test", "x@example.com"], YES),
                ("elsewhere", ["direct.test"], YES),
                ("several", ["joined.test", "bob"], NO),
                ("bare", ["bare.test"], NO),
                ("unreadable", ["three-hundred.test"], UNKNOWN)):
            with self.subTest(name):
                self.golden(self.control, f"lockdown-{name}", "lockdown", *operands, code=code)

    def test_help_golden(self):
        self.golden(self.control, "help-lockdown", "lockdown", "--help", code=YES)
        self.golden(self.control, "help-cache", "cache", "--help", code=YES)

    def test_verdicts(self):
        for name, login, code, verdict in (
                ("one", None, YES, "passes"), ("two", None, YES, "passes"), ("records", None, YES, "passes"),
                ("strings", None, YES, "passes"), ("bare", None, NO, "refuses"), ("former", None, NO, "refuses"),
                ("nowhere", None, YES, "no-record"), ("nodata", None, YES, "no-record"),
                ("foreign", None, YES, "no-record"), ("slip", None, YES, "no-record"),
                ("alias", None, NO, "refuses"), ("dangling", None, YES, "no-record"),
                ("forty", None, NO, "refuses"), ("three-hundred", None, UNKNOWN, "unknown"),
                ("one", "anybody", YES, "passes"), ("one", "-", NO, "refuses"), ("one", "a|b", NO, "refuses"),
                ("senderid", None, YES, "passes"), ("senderid", "ALICE@example.com", YES, "passes"),
                ("senderid", "bob@example.com", NO, "refuses"),
                ("fields", "bob@example.com", YES, "passes"), ("fields", "bob@sub.example.com", NO, "refuses"),
                ("fields", "bob", NO, "refuses"), ("letters", "joe@b\u00fccher.example", NO, "refuses")):
            with self.subTest(name, login=login):
                found = self.ask(*([f"{name}.test", login] if login else [f"{name}.test"]), code=code)
                self.assertEqual(found["verdict"], verdict)
                self.assertEqual(found["name"], f"{LABEL}.{name}.test")
                self.assertEqual(found["login"], "" if login == "-" else login)

    def test_what_was_asked(self):
        found = self.ask("one.test", code=YES)
        self.assertEqual((found["server"], found["rcode"], found["ad"], found["ttl"], found["failure"]),
                         (NSD.server, "NOERROR", False, nsd_zone.TTL, None))
        self.assertEqual([record["text"] for record in found["records"]], [f"v=mc1 auth={OURS}"])
        self.assertEqual(found["faults"], [])
        found = self.ask("nowhere.test", code=YES)
        self.assertEqual((found["rcode"], found["ttl"], found["records"]),
                         ("NXDOMAIN", nsd_zone.NEGATIVE_TTL, []))

    def test_faults(self):
        for domain, fault in (
                ("commas.test", "auth=other,auth=examplesender: a comma"),
                ("slip.test", "v=mcl is not v=mc1 .*a slip"),
                ("semicolon.test", "a blank is missing behind v=mc1"),
                ("no-version.test", "does not begin with v=mc1"),
                ("late-version.test", "does not begin with v=mc1"),
                ("quoted.test", "quotation mark"),
                ("joined.test", "v=zz9 is not v=mc1 .another provider's.: nothing in it counts"),
                ("one-record.test", "v=zz9 stands inside"),
                ("glued.test", "2 strings, which are joined"),
                ("glued.test", "a second `=`"),
                ("former.test", "none of our accounts is named in it: examplesender"),
                ("fields.test", "foo=bar: unknown"),
                ("fields.test", "word: no `=`"),
                ("fields.test", "senderid=examplesender.x-authuser: must be ACCOUNT"),
                ("fields.test", "never matches: x-other is not a sender_id_type"),
                ("fields.test", "al.ce: a third"),
                ("fields.test", "auth=: nothing behind"),
                ("letters.test", "never matches: .* publish joe@xn--bcher-kva.example"),
                ("direct.test", "stands at direct.test, .*the label is missing.*: v=mc1 auth"),
                ("underscore.test", "stands at mailchannels.underscore.test, .*the underscore is missing"),
                ("twice.test", "stands at _mailchannels.twice.test.twice.test, .*stands twice"),
                ("sub.parent.test", "stands at _mailchannels.parent.test, .*not for those below")):
            with self.subTest(domain, fault=fault):
                faults = self.control.run("lockdown", "--json", domain).json["faults"]
                self.assertTrue(any(re.search(fault, one) for one in faults), faults)

    def test_no_false_faults(self):
        for name in ("one", "two", "records", "strings", "senderid", "nowhere", "foreign", "nodata"):
            with self.subTest(name):
                self.assertEqual(self.ask(f"{name}.test", code=YES)["faults"], [])

    def test_another_label_and_version(self):
        own = self.ctl("lockdown.label=own", "lockdown.version=MC1")
        self.assertEqual(own.run("lockdown", "--json", "labelled.test", code=YES).json["verdict"], "passes")
        found = own.run("lockdown", "--json", "one.test", code=YES).json
        self.assertEqual(found["verdict"], "no-record")
        self.assertIn("another label", found["faults"][0])

    def test_nothing_reaches_the_terminal(self):
        self.assertNotIn("\x1b", self.control.run("lockdown", "control.test", code=NO).out)

    def test_domain_as_typed(self):
        for typed in ("ONE.test", "one.test.", "One.TEST."):
            self.assertEqual(self.ask(typed, code=YES)["domain"], "one.test")
        self.assertEqual(self.ask("B\u00dcCHER.test", code=NO)["name"], f"{LABEL}.{nsd_zone.IDN}.test")

    def test_what_is_no_domain(self):
        for typed, meant in (("joe@one.test", "one.test"), ("https://one.test/x", "one.test"), ("http://one.test:80", "one.test"),
                             ("one.test/", "one.test"), ("<joe@One.test>", "one.test"),
                             (f"{LABEL}.one.test", "one.test"),
                             ("https://joe@b\u00fccher.test/", "xn--bcher-kva.test"),
                             ("[192.0.2.1]", None), ("a..b", None), ("", None), ("x" * 64 + ".test", None),
                             (".".join(["a" * 60] * 4), None), ("a b", None)):
            for command in (("lockdown",), ("cache", "flush")):
                with self.subTest(typed, command=command):
                    done = self.control.run(*command, typed, code=USAGE)
                    self.assertEqual(done.out, "")
                    if meant:
                        self.assertIn(f"did you mean {meant}?", done.err)
                    else:
                        self.assertNotIn("did you mean", done.err)

    def test_usage(self):
        for args in ((), ("a.test", "b", "c"), ("--merge", "a.test")):
            self.control.run("lockdown", *args, code=USAGE)

    def test_bad_login(self):
        self.assertIn("no login name", self.control.run("lockdown", "one.test", b"\xff", code=NO).err)

    def test_needs_neither_table_nor_state_nor_enabled(self):
        off = self.ctl("lockdown.enabled=no")
        shutil.rmtree(off.state)
        done = off.run("lockdown", "one.test", code=YES)
        self.assertIn("enabled = no", done.out)
        self.assertFalse(off.state.exists())
        self.assertFalse(off.cache.exists())

    def test_no_account(self):
        found = self.ctl("lockdown.enabled=no", account=None).run("lockdown", "--json", "one.test", code=NO).json
        self.assertIsNone(found["publish"])
        self.assertIn("no account is configured in [lockdown]: no record can name us", found["faults"])

    def test_what_is_to_publish_passes(self):
        longest = "long" * 60
        several = self.ctl(f"lockdown.account={longest}", 'lockdown.account=quo"te\\', "lockdown.account=last")
        for login, key in (([], "publish"), (["joe@example.com"], "publish_for_login")):
            line = several.run("lockdown", "--json", "published.test", *login).json[key]
            name, text = re.fullmatch(r"(\S+)\. IN TXT (.*)", line).groups()
            NSD.set_record(name, text)
            self.addCleanup(NSD.records.pop, name.removesuffix(".test"), None)
            found = several.run("lockdown", "--json", "published.test", "joe@example.com", code=YES).json
            self.assertEqual(found["verdict"], "passes")
            self.assertTrue(all(field["matches"] for field in found["records"][0]["fields"]))
        several.run("lockdown", "published.test", "bob@example.com", code=NO)
        self.assertIsNone(several.run("lockdown", "--json", "published.test", "a b").json["publish_for_login"])


class Failing(Case):
    """Never `no record` where it could not be found out."""

    @classmethod
    def setUpClass(cls):
        cls.dns = hostile_dns.HostileDns().start()
        cls.addClassCleanup(cls.dns.stop)

    def lockdown(self, label, *args, code, **options):
        control = self.ctl(f"lockdown.label={label}", server=options.get("server", self.dns.server), account="good")
        begun = time.monotonic()
        done = control.run("lockdown", *args, code=code)
        self.assertLess(time.monotonic() - begun, 4)
        return done

    def test_could_not_find_out(self):
        for label, why in (("silence", "no server answered in time"), ("servfail", "SERVFAIL"),
                           ("refused", "REFUSED"), ("formerr", "FORMERR"), ("cut", "none:"), ("cname-loop", "CNAME"),
                           ("tcp-stall", "none:"), ("only-wrong-id", "no server answered")):
            with self.subTest(label):
                done = self.lockdown(label, "x.example", code=UNKNOWN)
                self.assertIn(why, done.out)
                self.assertIn("verdict   not known", done.out)

    def test_nobody_listens(self):
        found = self.lockdown("good", "--json", "x.example", code=UNKNOWN,
                              server=f"127.0.0.1:{helper.free_port()}").json
        self.assertEqual((found["verdict"], found["rcode"], found["server"]), ("unknown", None, found["server"]))
        self.assertIn(found["failure"], ("network", "timeout"))

    def test_answers_all_the_same(self):
        for label in ("wrong-id", "wrong-question", "garbage", "truncated", "formerr-edns", "twice"):
            with self.subTest(label):
                self.assertEqual(self.lockdown(label, "--json", "x.example", code=YES).json["verdict"], "passes")

    def test_authentic(self):
        self.assertTrue(self.lockdown("authentic", "--json", "x.example", code=YES).json["ad"])

    def test_other_names_that_cannot_be_looked_up_are_said(self):
        found = self.lockdown("nxdomain", "--json", "servfail.example", code=YES).json
        self.assertEqual(found["verdict"], "no-record")
        self.assertIn("servfail.example could not be looked up (rcode)", found["faults"][0])


class Cache(Case):
    def test_no_cache(self):
        control = self.ctl()
        for args in (("stats",), ("flush",), ("flush", "one.test")):
            done = control.run("cache", *args, code=NO)
            self.assertIn(f"no DNS cache in {control.cache}", done.err)
            self.assertEqual(done.out, "")
        control.load("@one.test alice\n")
        control.run("check", "alice", "a@one.test", code=YES)
        self.assertFalse(control.cache.exists())

    def test_usage(self):
        control = self.ctl()
        for args in ((), ("x",), ("stats", "one.test"), ("flush", "a.test", "b.test")):
            self.assertIn("usage", control.run("cache", *args, code=USAGE).err)

    def test_stats_and_flush(self):
        control = self.ctl(has_cache=True)
        control.load("@one.test alice\n@two.test alice\n@nowhere.test alice\n")
        for name in ("one", "two", "nowhere"):
            control.run("check", "alice", f"a@{name}.test", code=YES)
        stats = control.run("cache", "stats", "--json", code=YES).json
        self.assertEqual([stats[key] for key in ("names", "found", "absent", "failed", "stale")], [3, 2, 1, 0, 0])
        self.assertGreater(stats["used_bytes"], 0)
        self.assertIn("3: 2 with TXT records, 1 without", control.run("cache", "stats", code=YES).out)
        kept = control.run("lockdown", "--json", "one.test", code=YES).json["cached"]
        self.assertEqual((kept["freshness"], kept["same"], kept["records"]),
                         ("fresh", True, [f"v=mc1 auth={OURS}"]))
        self.assertGreater(kept["ttl_left"], nsd_zone.TTL - 60)
        done = control.run("cache", "flush", "ONE.test.", code=YES)
        self.assertEqual(done.out, f"{LABEL}.one.test is forgotten, by every worker\n")
        self.assertIn("was not in the cache", control.run("cache", "flush", "one.test", code=YES).out)
        self.assertIsNone(control.run("lockdown", "--json", "one.test", code=YES).json["cached"])
        self.assertEqual(control.run("cache", "flush", "--json", code=YES).json, {"name": None, "removed": 2})
        self.assertEqual(control.run("cache", "flush", code=YES).out, "0 names forgotten, by every worker\n")

    @unittest.skipUnless(IS_ROOT, "needs root to become somebody else")
    def test_no_permission(self):
        control = self.ctl(has_cache=True)
        control.load("@one.test alice\n")
        control.run("check", "alice", "a@one.test", code=YES)
        control.ini.chmod(0o644)
        for args, code, stream in ((("cache", "stats"), UNKNOWN, "err"), (("cache", "flush"), UNKNOWN, "err"),
                                   (("lockdown", "one.test"), YES, "out")):
            done = ctl.Result(subprocess.run(control.command(*args), capture_output=True, check=False,
                                             user="nobody", group="nogroup", extra_groups=[]))
            self.assertEqual(done.code, code, done.out + done.err)
            self.assertIn("belongs to user root: run this as root", getattr(done, stream))

    def test_flush_reaches_every_worker(self):
        name = f"{LABEL}.changes.test"
        NSD.set_record(name, f'"v=mc1 auth={OURS}"')
        self.addCleanup(NSD.records.pop, name.removesuffix(".test"), None)
        daemon = helper.Daemon(self, table="@changes.test alice\n", workers="2",
                               lockdown={"enabled": "yes", "account": OURS})
        daemon.configure(dns={"nameserver": NSD.server, "cache_dir": str(daemon.folder / "cache")})
        daemon.start()

        def answers():
            return {daemon.ask("a@changes.test", "alice") for _ in range(24)}

        def control(*args):
            return ctl.Result(subprocess.run([ctl.POLICYCTL, "-c", str(daemon.ini), *args],
                                             capture_output=True, check=False))
        refusal = (b"action=REJECT 5.7.1 Sender address rejected: not owned by user alice "
                   b"(changes.test is locked down)\n\n")
        self.assertEqual(answers(), {helper.DUNNO})
        NSD.set_record(name, '"v=mc1 auth=other"')
        self.assertEqual(answers(), {helper.DUNNO})
        now = control("lockdown", "changes.test", "alice")
        self.assertEqual(now.code, NO, now.err)
        self.assertIn("another answer", now.out)
        self.assertIn(f"  kept    v=mc1 auth={OURS}", now.out)
        self.assertIn("policyctl cache flush changes.test", now.out)
        self.assertEqual(control("cache", "flush", "changes.test").code, YES)
        self.assertEqual(answers(), {refusal})


class Questions(Case):
    """check, explain and replay end as the daemon does."""

    TABLE = "@one.test alice\n@former.test alice\n@nowhere.test alice\n@three-hundred.test alice\n@other.test !alice\n"
    REFUSED = "action=REJECT 5.7.1 Sender address rejected: not owned by user alice (former.test is locked down)"
    DEFERRED = ("action=DEFER 4.7.1 Sender address rejected: lockdown record of three-hundred.test could not be "
                "looked up, try again later")

    def setUp(self):
        self.control = self.ctl(has_cache=True)
        self.control.load(self.TABLE)

    def test_check(self):
        for name, code, line in (("one", YES, "action=DUNNO"), ("nowhere", YES, "action=DUNNO"),
                                 ("former", NO, self.REFUSED), ("three-hundred", UNKNOWN, self.DEFERRED)):
            for _ in range(2):  # asked, then from the cache
                self.assertEqual(self.control.run("check", "alice", f"a@{name}.test", code=code).out, line + "\n")

    def test_check_in_monitor_mode(self):
        control = self.ctl("policyd.mode=monitor")
        control.load(self.TABLE)
        found = control.run("check", "--json", "alice", "a@former.test", code=YES).json
        self.assertEqual((found["answer"], found["monitored"], found["reason"]), ("action=DUNNO", True, "locked-down"))

    def test_silent_server(self):
        with hostile_dns.HostileDns() as dns:
            dns.is_silent = True
            for options, code, word in (((), UNKNOWN, "DEFER 4.7.1"), (("lockdown.on_failure=permit",), YES, "DUNNO"),
                                        (("lockdown.on_failure=reject",), NO, "REJECT 5.7.1")):
                control = self.ctl(*options, server=dns.server)
                control.load(self.TABLE)
                begun = time.monotonic()
                self.assertIn(word, control.run("check", "alice", "a@one.test", code=code).out)
                self.assertLess(time.monotonic() - begun, 3)
                self.assertGreater(dns.asked[f"{LABEL}.one.test"], 0)

    def test_explain_golden(self):
        for name, code in (("one", YES), ("former", NO), ("three-hundred", UNKNOWN)):
            with self.subTest(name):
                self.golden(self.control, f"explain-lockdown-{name}", "explain", "alice", f"a@{name}.test", code=code)

    def test_explain_says_where_it_came_from(self):
        def steps():
            return [step for step in self.control.run("explain", "--json", "alice", "a@one.test", code=YES).json["steps"]]
        first, second = steps(), steps()
        self.assertEqual([step["step"] for step in first],
                         ["login", "sender", "row", "register", "dns", "lockdown", "verdict"])
        self.assertEqual([step["step"] for step in first], [step["step"] for step in second])
        asked, kept = first[4]["text"], second[4]["text"]
        for word in (f"{LABEL}.one.test TXT", "NOERROR", "AD no", f"TTL {nsd_zone.TTL} s"):
            self.assertIn(word, asked)
        self.assertIn(f"not cached, server {NSD.server}", asked)
        self.assertIn("from the cache", kept)

    def test_explain_says_stale(self):
        with hostile_dns.HostileDns() as dns:
            # Kept for five seconds at least: the least there is.
            control = self.ctl("lockdown.label=good", "dns.cache_max_ttl_s=1", server=dns.server, account="good", has_cache=True)
            control.load("@x.example alice\n")
            control.run("check", "alice", "a@x.example", code=YES)
            kept = control.run("lockdown", "--json", "x.example", code=YES).json["cached"]
            dns.is_silent = True
            time.sleep(kept["ttl_left"] + 0.2)
            done = control.run("explain", "alice", "a@x.example", code=YES)
            self.assertRegex(done.out, "dns .*from the cache, stale")
            found = control.run("lockdown", "--json", "x.example", code=UNKNOWN).json
            self.assertEqual((found["verdict"], found["cached"]["freshness"]), ("unknown", "stale"))

    def test_explain_fix_runs(self):
        fix = self.control.run("explain", "--json", "alice", "a@FORMER.test", code=NO).json
        words = shlex.split(fix["fix_command"])
        self.assertEqual(words[-3:], ["lockdown", "former.test", "alice"])
        done = subprocess.run(words, capture_output=True, check=False)
        self.assertEqual(done.returncode, NO)
        self.assertIn(b"senderid=examplesender|x-authuser|alice", done.stdout)

    def test_denied_by_the_table_asks_nothing(self):
        with hostile_dns.HostileDns() as dns:
            control = self.ctl(server=dns.server)
            control.load(self.TABLE)
            control.run("check", "alice", "a@other.test", code=NO)
            self.assertEqual(sum(dns.asked.values()), 0)

    def test_replay_is_the_daemon(self):
        requests = b"".join(helper.request(f"a@{name}.test", "alice")
                            for name in ("one", "former", "nowhere", "three-hundred", "other", "one"))
        replayed = self.control.run("replay", "-", stdin=requests).out
        daemon = helper.Daemon(self, table=self.TABLE, lockdown={"enabled": "yes", "account": OURS})
        daemon.configure(dns={"nameserver": NSD.server, "cache_dir": str(daemon.folder / "cache"),
                              "timeout_ms": "300", "deadline_ms": "900"})
        daemon.start()
        with daemon.connect() as sock:
            sock.sendall(requests)
            answers = b"".join(helper.receive_answer(sock) for _ in range(6))
        self.assertEqual(replayed.encode(), answers)
        self.assertEqual(answers.count(b"action="), 6)
        self.assertIn(self.REFUSED.encode(), answers)
        self.assertIn(self.DEFERRED.encode(), answers)


if __name__ == "__main__":
    unittest.main()

"""A domain from its claim to its first mail, as an SMTP client meets it: a real DNS server, policyd, a real Postfix.

Three policyd answer three smtpd services: one refuses what is not verified, one lets it leave by another host
(FILTER), one puts it on hold. Days pass by libfaketime, for policyd and policyctl alone.
"""

import contextlib
import json
import os
import pathlib
import re
import sys
import unittest

from policyproc import PolicyProcess, missing_programs
from postfixlab import Lab, Sink, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fake"))

from nsd_zone import NsdZone  # noqa: E402

JOE, MARY = "joe@example.com", "mary@example.com"
LOCAL = "somebody@lab.test"
PASSWORD = "secret"
LABEL = "domauthvalidation"
TABLE = "".join(f"@{name}.test  {JOE}, {MARY}\n" for name in ("one", "two", "free"))
TENANTS = f"{JOE} acme\n{MARY} beta\n"
MAIL_OK, RCPT_OK = "250 2.1.0 Ok", "250 2.1.5 Ok"
QUEUED = re.compile(r"^250 2\.0\.0 Ok: queued as (\w+)")
FAKETIME = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
HOUR = 3600


def refused(sender, login, why=""):
    return f"554 5.7.1 <{sender}>: Sender address rejected: Sender address rejected: not owned by user {login}{why}"


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if missing_programs():
            raise RuntimeError(f"not built: {' '.join(missing_programs())}; run make first")
        if not FAKETIME:
            raise RuntimeError("libfaketime is not installed: package libfaketime")
        cls.nsd = NsdZone()
        cls.addClassCleanup(cls.nsd.close)
        cls.nsd.start()
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.folder = os.path.join(cls.lab.queue_dir, "policyd")
        os.mkdir(cls.folder, 0o755)
        cls.policyd = {}
        cls.clock = os.path.join(cls.lab.root, "clock")
        cls.ahead_s = 0
        cls.set_clock()
        cls.start_policyd("refuse", None)
        cls.start_policyd("filter", f"FILTER smtp:[127.0.0.1]:{cls.sink.port}")
        cls.start_policyd("hold", "HOLD the domain is not verified yet")
        for login in (JOE, MARY):
            cls.lab.add_user(login, PASSWORD)
        cls.lab.start()

    @classmethod
    def set_clock(cls):
        with open(cls.clock + ".new", "w", encoding="ascii") as file:
            file.write(f"+{cls.ahead_s}\n")
        os.rename(cls.clock + ".new", cls.clock)

    @classmethod
    def start_policyd(cls, name, answer):
        """And the smtpd service that asks it."""
        folder = os.path.join(cls.lab.root, name)
        policyd = PolicyProcess(
            folder, f"unix:{cls.folder}/{name}.sock", "postfix",
            sections={
                "dns": {"nameserver": cls.nsd.server, "timeout_ms": 300, "attempts": 2, "deadline_ms": 800},
                "control": {"socket": f"unix:{folder}/run/control.sock"},
                "replies": {"domain_unverified": answer} if answer else {}},
            env={"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": cls.clock, "FAKETIME_NO_CACHE": "1",
                 "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})
        cls.policyd[name] = policyd
        cls.addClassCleanup(cls.end_policyd, policyd)
        policyd.load(TABLE)
        policyd.ctl("load", "--tenants", "-", stdin=TENANTS)
        policyd.start()
        cls.lab.add_smtpd(name, smtpd_sender_restrictions=(
            f"check_policy_service {{ unix:policyd/{name}.sock, timeout=10s, "
            "{ default_action = DEFER_IF_PERMIT 4.3.5 policyd is down } }"))

    @classmethod
    def end_policyd(cls, policyd):
        policyd.kill()
        # What libfaketime leaves behind of processes that were killed or became another user.
        for path in pathlib.Path("/dev/shm").glob("*faketime_s*_*"):
            if not os.path.exists(f"/proc/{path.name.rpartition('_')[2]}"):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

    def setUp(self):
        for policyd in self.policyd.values():
            policyd.ctl("domain", "forget", "one.test", "--tenant", "acme", "--yes", codes=(0, 1))
        self.sink.mails.clear()

    def hears(self, sender, login, service="refuse"):
        """What RCPT is answered; MAIL is always accepted, since Postfix delays the refusal."""
        with self.lab.session(service) as session:
            session.auth(login, PASSWORD)
            mail, rcpt = session.offer(sender, LOCAL)
        self.assertEqual(mail, MAIL_OK)
        return rcpt

    def sends(self, sender, login, service):
        """A whole mail; the id that it is queued as."""
        with self.lab.session(service) as session:
            session.auth(login, PASSWORD)
            reply = session.send(sender, LOCAL)
        self.assertRegex(reply, QUEUED)
        return QUEUED.match(reply)[1]

    def claim(self, service):
        done = self.policyd[service].ctl("domain", "add", "one.test", "--tenant", "acme", "--json")
        return json.loads(done)["record"]["value"]

    def publish(self, *values):
        self.nsd.set_record(f"{LABEL}.one", *(f'"{value}"' for value in values))

    def state(self, service="refuse"):
        return json.loads(self.policyd[service].ctl("domain", "show", "one.test", "--json"))["claims"][0]["state"]

    def passes(self, hours, state):
        type(self).ahead_s += hours * HOUR
        self.set_clock()
        wait_until(lambda: self.state() == state, 15, f"the claim to be {state}")

    def test_from_claim_to_revocation_and_back(self):
        policyd, sender = self.policyd["refuse"], "Info@one.test"
        self.assertEqual(self.hears(sender, JOE), RCPT_OK)
        value = self.claim("refuse")
        self.assertEqual(self.hears(sender, JOE), refused(sender, JOE, " (one.test is not verified)"))
        self.publish(value)
        policyd.ctl("domain", "check", "one.test")
        self.assertEqual(self.hears(sender, JOE), RCPT_OK)
        self.assertEqual(self.hears(sender, MARY), refused(sender, MARY))
        with self.lab.session("refuse") as session:
            session.auth(JOE, PASSWORD)
            self.assertRegex(session.send(sender, LOCAL), QUEUED)
        self.publish()
        self.passes(27, "grace")
        self.assertEqual(self.hears(sender, JOE), RCPT_OK)
        self.assertEqual(self.hears(sender, MARY), refused(sender, MARY))
        self.passes(75, "revoked")
        for login in (JOE, MARY):
            self.assertEqual(self.hears(sender, login), refused(sender, login, " (one.test is not verified any more)"))
        self.publish(value)
        policyd.ctl("domain", "check", "one.test")
        self.assertEqual(self.hears(sender, JOE), RCPT_OK)

    def test_others_are_left_alone(self):
        self.claim("refuse")
        self.assertEqual(self.hears("s@free.test", JOE), RCPT_OK)
        self.assertEqual(self.hears("s@free.test", MARY), RCPT_OK)
        self.assertEqual(self.hears("s@nobody.test", JOE), refused("s@nobody.test", JOE))

    def test_removed(self):
        self.claim("refuse")
        self.policyd["refuse"].ctl("domain", "remove", "one.test", "--yes")
        for login in (JOE, MARY):
            self.assertEqual(self.hears("s@one.test", login), refused("s@one.test", login, " (one.test was removed)"))

    def test_leaves_by_another_host(self):
        value = self.claim("filter")
        queued = self.sends("s@one.test", JOE, "filter")
        wait_until(lambda: f"{queued}: removed" in self.lab.log(), 20, "the mail to leave")
        self.assertRegex(self.lab.log(), rf"{queued}: to=<{LOCAL}>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:{self.sink.port}, .*"
                                         r"status=sent \(250 fine\)")
        (sender, recipients, text), = self.sink.mails
        self.assertEqual((sender, recipients), ("s@one.test", [LOCAL]))
        self.assertIn("hello", text)
        # Nobody else's mail goes that way: not the other tenant's, not that of another domain, not when it is verified.
        self.assertEqual(self.hears("s@one.test", MARY, "filter"), RCPT_OK)
        self.publish(value)
        self.policyd["filter"].ctl("domain", "check", "one.test")
        self.assertEqual(self.hears("s@one.test", MARY, "filter"), refused("s@one.test", MARY))
        for sender in ("s@one.test", "s@free.test"):
            queued = self.sends(sender, JOE, "filter")
            wait_until(lambda: f"{queued}: removed" in self.lab.log(), 20, "the mail to leave")
            self.assertRegex(self.lab.log(), rf"{queued}: to=<{LOCAL}>, relay=none, .*status=sent \(lab\)")
        self.assertEqual(len(self.sink.mails), 1)

    def held(self):
        return {path.name for path in pathlib.Path(self.lab.queue_dir, "hold").rglob("*") if path.is_file()}

    def test_hold(self):
        value = self.claim("hold")
        queued = self.sends("s@one.test", JOE, "hold")
        wait_until(lambda: queued in self.held(), 20, "the mail on hold")
        self.assertRegex(self.lab.log(), r"hold: RCPT from .*: <s@one\.test>: Sender address the domain is not verified "
                                         rf"yet; from=<s@one\.test> to=<{LOCAL}>")
        self.publish(value)
        self.policyd["hold"].ctl("domain", "check", "one.test")
        queued = self.sends("s@one.test", JOE, "hold")
        wait_until(lambda: f"{queued}: removed" in self.lab.log(), 20, "the mail to leave")
        self.assertNotIn(queued, self.held())


if __name__ == "__main__":
    unittest.main()

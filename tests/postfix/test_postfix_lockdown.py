"""Lockdown from the domain owner's zone to the SMTP client: a real DNS server, policyd, a real Postfix."""

import os
import pathlib
import sys
import time
import unittest

from policyproc import PolicyProcess, missing_programs
from postfixlab import Lab

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fake"))

from nsd_zone import LABEL, NsdZone  # noqa: E402

JOE, MARY = "joe@example.com", "mary@example.com"
LOCAL = "somebody@lab.test"
PASSWORD = "secret"
# Rows give both of them every domain: what refuses here is the record.
DOMAINS = ("one", "two", "senderid", "bare", "strings", "records", "alias", "nodata", "changing", "short", "three-hundred")
RECORDS = {
    f"{LABEL}.senderid": [f'"v=mc1 senderid=examplesender|x-authuser|{JOE}"'],
    f"{LABEL}.changing": ['"v=mc1 auth=examplesender"'],
    f"{LABEL}.short": ['"v=mc1 auth=somebody-else"'],
}
SHORTEST_S = 5  # of whatever TTL
STALE_S = 6
CHECK = ("check_policy_service { unix:policyd/lockdown.sock, timeout=10s, "
         "{ default_action = DEFER_IF_PERMIT 4.3.5 policyd is down } }")
RCPT_OK = "250 2.1.5 Ok"


def locked(sender, login, domain=None):
    domain = domain or sender.partition("@")[2]
    return (f"554 5.7.1 <{sender}>: Sender address rejected: Sender address rejected: "
            f"not owned by user {login} ({domain} is locked down)")


def unknown(sender):
    domain = sender.partition("@")[2]
    return (f"450 4.7.1 <{sender}>: Sender address rejected: Sender address rejected: "
            f"lockdown record of {domain} could not be looked up, try again later")


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if missing_programs():
            raise RuntimeError(f"not built: {' '.join(missing_programs())}; run make first")
        cls.nsd = NsdZone(records=RECORDS)
        cls.addClassCleanup(cls.nsd.close)
        cls.nsd.start()
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls._start_policyd()
        cls.lab.main["smtpd_sender_restrictions"] = CHECK
        cls.lab.add_smtpd("lockdown")
        for login in (JOE, MARY):
            cls.lab.add_user(login, PASSWORD)
        cls.lab.start()

    @classmethod
    def _start_policyd(cls):
        folder = os.path.join(cls.lab.queue_dir, "policyd")
        os.mkdir(folder, 0o755)
        cls.policyd = PolicyProcess(
            os.path.join(cls.lab.root, "lockdown"), f"unix:{folder}/lockdown.sock", "postfix",
            sections={
                "lockdown": {"enabled": "yes", "account": "examplesender"},
                "dns": {"nameserver": cls.nsd.server, "timeout_ms": 300, "attempts": 2, "deadline_ms": 800,
                        "cache_dir": os.path.join(cls.lab.root, "run", "cache"), "cache_max_ttl_s": SHORTEST_S,
                        "cache_stale_s": STALE_S, "cache_max_mb": 16}})
        cls.addClassCleanup(cls.policyd.kill)
        cls.policyd.load("".join(f"@{name}.test  {JOE}, {MARY}\n" for name in DOMAINS))
        cls.policyd.start()

    def hears(self, sender, login):
        """What RCPT is answered; MAIL is always accepted, since Postfix delays the refusal."""
        with self.lab.session("lockdown") as session:
            session.auth(login, PASSWORD)
            mail, rcpt = session.offer(sender, LOCAL)
        self.assertEqual(mail, "250 2.1.0 Ok")
        return rcpt

    def test_accepted(self):
        for name in ("one", "two", "strings", "records", "nodata"):
            with self.subTest(name):
                self.assertEqual(self.hears(f"s@{name}.test", JOE), RCPT_OK)
        with self.lab.session("lockdown") as session:
            session.auth(JOE, PASSWORD)
            self.assertRegex(session.send("s@one.test", LOCAL), r"^250 2\.0\.0 Ok: queued as ")

    def test_refused(self):
        for name in ("bare", "alias"):
            with self.subTest(name):
                self.assertEqual(self.hears(f"s@{name}.test", JOE), locked(f"s@{name}.test", JOE))

    def test_senderid(self):
        self.assertEqual(self.hears("s@senderid.test", JOE), RCPT_OK)
        self.assertEqual(self.hears("s@senderid.test", MARY), locked("s@senderid.test", MARY))

    def test_sender_as_typed(self):
        self.assertEqual(self.hears("S@Bare.Test", JOE), locked("S@Bare.Test", JOE, "bare.test"))

    def test_what_the_dns_cannot_say_is_deferred(self):
        self.assertEqual(self.hears("s@three-hundred.test", JOE), unknown("s@three-hundred.test"))

    def test_record_changed(self):
        """An owner's new record counts at once for who flushes, else when the old one's time is over."""
        self.assertEqual(self.hears("s@changing.test", JOE), RCPT_OK)
        self.nsd.set_record(f"{LABEL}.changing", '"v=mc1 auth=somebody-else"')
        self.policyd.ctl("cache", "flush", "changing.test")
        self.assertEqual(self.hears("s@changing.test", JOE), locked("s@changing.test", JOE))
        self.nsd.set_record(f"{LABEL}.changing", '"v=mc1 auth=somebody-else"', '"v=mc1 auth=examplesender"')
        time.sleep(SHORTEST_S + 0.1)
        self.assertEqual(self.hears("s@changing.test", JOE), RCPT_OK)

    def test_server_stopped(self):
        """Its last word is obeyed for a while; then nobody knows, and the mail has to wait."""
        self.assertEqual(self.hears("s@short.test", JOE), locked("s@short.test", JOE))
        began = time.monotonic()
        self.nsd.stop()
        self.addCleanup(self.nsd.start)
        time.sleep(SHORTEST_S + 0.2)
        self.assertEqual(self.hears("s@short.test", JOE), locked("s@short.test", JOE))
        time.sleep(max(0, began + SHORTEST_S + STALE_S + 0.2 - time.monotonic()))
        self.assertEqual(self.hears("s@short.test", JOE), unknown("s@short.test"))


if __name__ == "__main__":
    unittest.main()

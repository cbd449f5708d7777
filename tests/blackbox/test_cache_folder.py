"""The folder of the DNS cache under a running daemon: removed, replaced, not there yet.

Knows: cache_dir as an administrator does, and the hostile server's count of questions.
Must not know: how the cache is stored.
Fails: AssertionError with what was answered, or the end of policyd's log.
"""
import json
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import helper  # noqa: E402
import test_lockdown  # noqa: E402
from test_lockdown import locked  # noqa: E402

NOTICED = "was removed or replaced"
NO_CACHE = "going on without a DNS cache"
OPENED = "is open now"


class Folder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = test_lockdown.start_hostile(cls)

    def daemon(self, lockdown=None, **more):
        return test_lockdown.Lockdown(self, self.dns.server, lockdown={"account": "forged", **(lockdown or {})}, **more)

    def asked(self, domain):
        return self.dns.asked[f"_mailchannels.{domain}"]

    def ask(self, daemon, domain, times=1):
        for _ in range(times):
            self.assertEqual(daemon.ask_domain(domain), locked("alice", domain))

    def names(self, daemon):
        return json.loads(daemon.ctl("cache", "stats", "--json").stdout)["names"]

    def ask_all(self, daemon, domain, queries):
        """So often that each worker was asked, once the first answer is in the cache, a moment after it was given."""
        self.ask(daemon, domain)
        helper.wait_until(lambda: self.names(daemon) > 0, f"{domain} in the cache")
        self.ask(daemon, domain, 20)
        self.assertEqual(self.asked(domain), queries)

    def wait_logged(self, daemon, text, times):
        helper.wait_until(lambda: daemon.log().count(text) >= times, f"{times} times {text!r} in the log")
        self.assertEqual(daemon.log().count(text), times, daemon.log())

    def check_shared(self, daemon, domain):
        """The workers have one cache in common, and policyctl has it, too."""
        daemon.ctl("cache", "flush")
        self.ask_all(daemon, domain, 1)
        self.assertIn("is forgotten", daemon.ctl("cache", "flush", domain).stdout)
        self.ask_all(daemon, domain, 2)

    def test_removed(self):
        """What was in it is forgotten; what comes is kept again, where policyctl looks."""
        daemon = self.daemon(workers=2).start()
        cache = daemon.folder / "cache"
        self.ask_all(daemon, "good.removed.example", 1)
        shutil.rmtree(cache)
        self.wait_logged(daemon, NOTICED, 2)
        helper.wait_until((cache / "data.mdb").exists, "a new cache")
        self.ask_all(daemon, "good.removed.example", 2)
        self.check_shared(daemon, "good.again.removed.example")
        self.assertNotIn(NO_CACHE, daemon.log())
        self.assertEqual(daemon.stop(), 0)

    def test_replaced(self):
        """Another daemon's cache in its place is what counts from then on."""
        daemon, other = self.daemon(workers=2).start(), self.daemon().start()
        self.ask_all(daemon, "good.replaced.example", 1)
        self.ask_all(other, "good.known.example", 1)
        self.assertEqual(other.stop(), 0)
        cache = daemon.folder / "cache"
        cache.rename(daemon.folder / "away")
        shutil.move(other.folder / "cache", cache)
        self.wait_logged(daemon, NOTICED, 2)
        self.ask(daemon, "good.known.example", 20)
        self.assertEqual(self.asked("good.known.example"), 1)
        self.check_shared(daemon, "good.after.replaced.example")

    def test_removed_while_a_question_waits(self):
        daemon = self.daemon(dns={"deadline_ms": 9000, "timeout_ms": 9000}).start()
        crowd = test_lockdown.Crowd(daemon, [("x@late-5000.waits.example", "alice")])
        helper.wait_until(lambda: self.asked("late-5000.waits.example"), "the query")
        shutil.rmtree(daemon.folder / "cache")
        self.wait_logged(daemon, NOTICED, 1)
        (answer, _), = crowd.collect(8).answers.values()
        self.assertEqual(answer, locked("alice", "late-5000.waits.example"))
        self.ask(daemon, "late-5000.waits.example", 5)
        self.assertEqual(self.asked("late-5000.waits.example"), 1)

    @unittest.skipUnless(helper.IS_ROOT, "only root can take the folder from the daemon's user")
    def test_switched_on_where_no_folder_can_be_made(self):
        """The warning says how to help, and helping so is enough."""
        daemon = self.daemon({"enabled": "no"})
        parent = daemon.folder / "of-root"
        parent.mkdir(0o755)
        cache = parent / "run" / "cache"
        daemon.change("dns", cache_dir=str(cache))
        daemon.start()
        daemon.change("lockdown", enabled="yes")
        daemon.reload()
        self.assertRegex(daemon.log(), rf"warning: {cache}: cannot be made: No such file or directory; make it and give "
                                       rf"it to policyd's user \(mkdir -p, chown\), or restart policyd as root; {NO_CACHE}")
        self.ask(daemon, "good.unmade.example", 2)
        self.assertEqual(self.asked("good.unmade.example"), 2)
        cache.mkdir(parents=True)
        shutil.chown(cache, helper.USER, helper.GROUP)
        self.wait_logged(daemon, OPENED, 1)
        self.check_shared(daemon, "good.made.example")
        self.assertEqual(daemon.log().count(NO_CACHE), 1 + daemon.log().count("belongs to another user"))

    @unittest.skipUnless(helper.IS_ROOT, "only root can take the folder from the daemon's user")
    def test_removed_where_no_folder_can_be_made(self):
        """Done without, said once, until there is one."""
        daemon = self.daemon()
        cache = daemon.folder / "of-root" / "cache"
        cache.parent.mkdir(0o755)
        daemon.change("dns", cache_dir=str(cache))
        daemon.start()
        self.ask(daemon, "good.gone.example", 5)
        shutil.rmtree(cache)
        self.wait_logged(daemon, NO_CACHE, 1)
        self.ask(daemon, "good.gone.example", 2)
        self.assertEqual(self.asked("good.gone.example"), 3)
        shutil.chown(cache.parent, helper.USER, helper.GROUP)
        self.wait_logged(daemon, OPENED, 1)
        self.check_shared(daemon, "good.made.again.example")
        self.assertEqual(daemon.log().count(NO_CACHE), 1)


if __name__ == "__main__":
    unittest.main()

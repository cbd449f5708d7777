"""Lockdown in the daemon: what the record says is what Postfix hears, what the DNS does wrong ends as the design says, in time,
and nobody waits for another's question.

Real daemon, NSD for the documented records, a hostile server for everything else."""
import json
import os
import pathlib
import re
import resource
import select
import signal
import socket
import stat
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fake"))

import helper  # noqa: E402
import hostile_dns  # noqa: E402
import nsd_zone  # noqa: E402
from helper import DUNNO, reject  # noqa: E402

TABLE = "bob@table.test  bob\n"  # a sender that no DNS is needed for
TIMEOUT_MS, DEADLINE_MS = 400, 1000
SLACK_S = 1.0  # two processors, other tests beside this one
PROMPT_S = 0.6
LIMITED = b"action=DEFER 4.7.1 Sender address rejected: too many new sender domains, try again later\n\n"
COULD_NOT = "Sender address rejected: lockdown record of {} could not be looked up"


def locked(login, domain):
    return (f"action=REJECT 5.7.1 Sender address rejected: not owned by user {login} "
            f"({domain} is locked down)\n\n").encode()


def unknown(domain):
    return f"action=DEFER 4.7.1 {COULD_NOT.format(domain)}, try again later\n\n".encode()


def unknown_reject(domain):
    return f"action=REJECT 5.7.1 {COULD_NOT.format(domain)}\n\n".encode()


class Lockdown(helper.Daemon):
    """A daemon that asks `server`. Options are keys of [lockdown] and [dns]; others are given as for Daemon."""

    def __init__(self, test, server, lockdown=None, dns=None, match=None, **options):
        super().__init__(test, TABLE, workers=options.pop("workers", 1), **options)
        test.addCleanup(self.check_no_crash)
        self.configure(
            match={"unlisted_sender": "permit", **(match or {})},
            lockdown={"enabled": "yes", "account": "examplesender", "new_domains_burst": 5000, "new_domains_per_min": 5000,
                      **(lockdown or {})},
            dns={"nameserver": server, "timeout_ms": TIMEOUT_MS, "attempts": 2, "deadline_ms": DEADLINE_MS,
                 "cache_dir": str(self.folder / "cache"), "cache_max_mb": 16, **(dns or {})})

    def check_no_crash(self):
        """Whatever happened: no process ended of itself, and no sanitizer complained."""
        self.test.assertNotRegex(self.log(), r"killed by signal (?!9\b)|ended with exit code|Sanitizer|runtime error")

    def change(self, section, **keys):
        self.configure(**{section: {**self.options[section], **keys}})

    def ask_domain(self, domain, login="alice", sock=None):
        return helper.ask(sock, f"x@{domain}", login) if sock else self.ask(f"x@{domain}", login)

    def decisions(self):
        """Of each decision in the log: its fields."""
        lines = [line for line in self.log().splitlines() if "sender=" in line and "reason=" in line]
        return [{**dict(re.findall(r"(\w+)=(\S*)", line)), "line": line} for line in lines]

    def decision_on(self, domain):
        return helper.wait_until(
            lambda: [one for one in self.decisions() if one["sender"].strip('"') == f"x@{domain}"], f"a line of {domain}")[-1]


class Crowd:
    """Questions that wait side by side, a connection each."""

    def __init__(self, daemon, questions):
        """questions: (sender, login) each."""
        self.began = time.monotonic()
        self.open = {}
        self.answers = {}
        for sender, login in questions:
            sock = daemon.connect()
            sock.sendall(helper.request(sender, login))
            self.open[sock] = (sender, login)

    def collect(self, seconds=0.0):
        """Takes what comes in that time."""
        end = time.monotonic() + seconds
        while self.open:
            left = max(0, end - time.monotonic())
            poll = select.poll()
            by_fd = {sock.fileno(): sock for sock in self.open}
            for descriptor in by_fd:
                poll.register(descriptor, select.POLLIN)
            ready = poll.poll(left * 1000)
            if not ready:
                return self
            for descriptor, _ in ready:
                sock = by_fd[descriptor]
                question = self.open.pop(sock)
                self.answers[question] = (helper.receive_answer(sock), time.monotonic() - self.began)
                sock.close()
        return self


def start_hostile(case):
    dns = hostile_dns.HostileDns().start()
    case.addClassCleanup(dns.stop)
    return dns


class Records(unittest.TestCase):
    """Every documented form, as a real server gives it."""

    ALICE = "alice@example.com"
    # By domain below `test`, for the accounts `examplesender` and for an account that nobody publishes.
    VERDICTS = {
        "one": (DUNNO, "locked"), "two": (DUNNO, "locked"), "strings": (DUNNO, "locked"), "records": (DUNNO, "locked"),
        "senderid": (DUNNO, "locked"), "bare": ("locked", "locked"), "forty": ("locked", "locked"),
        "alias": ("locked", "locked"), "wild": ("locked", "locked"), "any.wild": ("locked", "locked"),
        "chained8": ("locked", "locked"), nsd_zone.IDN: ("locked", "locked"),
        "foreign": (DUNNO, DUNNO), "nodata": (DUNNO, DUNNO), "nowhere-at-all": (DUNNO, DUNNO), "sub.bare": (DUNNO, DUNNO),
        "dangling": (DUNNO, DUNNO),
        "three-hundred": ("unknown", "unknown"), "chained9": ("unknown", "unknown"), "away": ("unknown", "unknown"),
    }
    OTHERS = [f"{nsd_zone.LABEL}.chained8 CNAME chain7", f"{nsd_zone.LABEL}.chained9 CNAME chain8"]

    @classmethod
    def setUpClass(cls):
        cls.nsd = nsd_zone.NsdZone(others=cls.OTHERS)
        cls.addClassCleanup(cls.nsd.close)
        cls.nsd.start()

    def daemon(self, **more):
        return Lockdown(self, self.nsd.server, **more).start()

    def expected(self, word, domain):
        return {"locked": locked(self.ALICE, domain), "unknown": unknown(domain)}.get(word, word)

    def test_forms(self):
        """With our account, and after a reload without it: a record that let pass before refuses then."""
        daemon = self.daemon()
        for turn, account in enumerate(("examplesender", "somebody-else")):
            if turn:
                daemon.change("lockdown", account=account)
                daemon.reload()
            for name, words in self.VERDICTS.items():
                with self.subTest(name, account=account):
                    domain = f"{name}.test"
                    self.assertEqual(daemon.ask_domain(domain, self.ALICE), self.expected(words[turn], domain))

    def test_senderid_is_of_one_login(self):
        daemon = self.daemon()
        self.assertEqual(daemon.ask_domain("senderid.test", "bob@example.com"),
                         locked("bob@example.com", "senderid.test"))
        self.assertEqual(daemon.ask_domain("senderid.test", "ALICE@example.com"), DUNNO)

    def test_idn_as_typed(self):
        daemon = self.daemon()
        self.assertEqual(daemon.ask_domain("bücher.test"), locked("alice", f"{nsd_zone.IDN}.test"))

    def test_grant(self):
        """A senderid authorizes a sender that no row names; auth does not, and no record does not."""
        daemon = self.daemon(match={"unlisted_sender": "reject"}, lockdown={"grant": "senderid"})
        self.assertEqual(daemon.ask_domain("senderid.test", self.ALICE), DUNNO)
        self.assertEqual(daemon.decision_on("senderid.test")["verdict"], "DUNNO")
        self.assertEqual(daemon.ask_domain("senderid.test", "bob@example.com"), reject("bob@example.com"))
        for name in ("one", "nodata", "bare"):
            self.assertEqual(daemon.ask_domain(f"{name}.test", self.ALICE), reject(self.ALICE))

    def test_stale_while_the_server_is_away(self):
        """A record as short-lived as any is (5 s) is obeyed past its end while the server is silent."""
        nsd = nsd_zone.NsdZone()
        self.addCleanup(nsd.close)
        nsd.start()
        daemon = Lockdown(self, nsd.server, dns={"cache_max_ttl_s": 5}).start()
        self.assertEqual(daemon.ask_domain("bare.test"), locked("alice", "bare.test"))
        nsd.stop()
        time.sleep(5.2)
        self.assertEqual(daemon.ask_domain("bare.test"), locked("alice", "bare.test"))
        self.assertEqual(daemon.ask_domain("one.test"), unknown("one.test"))

    def test_flush(self):
        """A record that changed counts at once after `policyctl cache flush`."""
        nsd = nsd_zone.NsdZone()
        self.addCleanup(nsd.close)
        nsd.start()
        daemon = Lockdown(self, nsd.server, workers=2).start()
        self.assertEqual(daemon.ask_domain("one.test"), DUNNO)
        nsd.set_record(f"{nsd_zone.LABEL}.one", '"v=mc1 auth=other"')
        self.assertEqual(daemon.ask_domain("one.test"), DUNNO)
        daemon.ctl("cache", "flush", "one.test")
        for _ in range(8):
            self.assertEqual(daemon.ask_domain("one.test"), locked("alice", "one.test"))


class Hostile(unittest.TestCase):
    """Everything a server can do wrong. The account is `forged`: only what was never to be believed lets pass."""

    REFUSED = ["good", "authentic", "strings", "wrong-id", "wrong-question", "wrong-port", "garbage", "flood", "query-itself",
               "twice", "late-150", "truncated", "tcp-slow", "formerr-edns", "notimp-edns", "tcp-many-40", "many-5", "tsig",
               "bare-formerr", "bare-notimp", "bare-others", "stragglers"]
    PERMITTED = ["nxdomain", "nodata", "no-soa"]
    UNKNOWN = ["only-wrong-id", "late-5000", "silence", "tcp-stall", "tcp-stall-length", "loop", "bad-counts", "cut",
               "tcp-wrong-id", "tcp-truncated", "tcp-tiny", "tcp-empty-strings", "tcp-many-300", "many-65", "tcp-close",
               "tcp-close-half", "cname-loop", "cname-away", "servfail", "tcp-servfail", "refused", "formerr",
               "bare-always"]

    @classmethod
    def setUpClass(cls):
        cls.dns = start_hostile(cls)

    def daemon(self, lockdown=None, **more):
        return Lockdown(self, self.dns.server, lockdown={"account": "forged", **(lockdown or {})}, **more).start()

    def questions(self, names, mark):
        return {name: (f"x@{name}.{mark}.example", "alice") for name in names}

    def test_every_behaviour(self):
        """All at once; a client that needs no DNS is served beside them as if nothing was."""
        self.assertEqual({name for name in (*self.REFUSED, *self.PERMITTED, *self.UNKNOWN)} & set(hostile_dns.BEHAVIOURS),
                         set(hostile_dns.BEHAVIOURS))
        daemon = self.daemon()
        asked = self.questions([*self.REFUSED, *self.PERMITTED, *self.UNKNOWN], "all")
        crowd = Crowd(daemon, asked.values())
        slowest = 0
        with daemon.connect() as other:
            while crowd.open and time.monotonic() < crowd.began + DEADLINE_MS / 1000 + SLACK_S:
                began = time.monotonic()
                self.assertEqual(helper.ask(other, "bob@table.test", "alice"), reject("alice"))
                slowest = max(slowest, time.monotonic() - began)
                crowd.collect(0.02)
        self.assertEqual(list(crowd.open.values()), [])
        self.assertLess(slowest, PROMPT_S)
        for name, question in asked.items():
            domain = question[0].partition("@")[2]
            expected = locked("alice", domain) if name in self.REFUSED else \
                DUNNO if name in self.PERMITTED else unknown(domain)
            with self.subTest(name):
                self.assertEqual(crowd.answers[question][0], expected)

    def test_on_failure(self):
        failing = ("servfail", "silence", "cut")
        for word, answer in (("defer", unknown), ("permit", lambda _: DUNNO), ("reject", unknown_reject)):
            daemon = self.daemon({"on_failure": word})
            asked = self.questions((*failing, "good"), word)
            answers = Crowd(daemon, asked.values()).collect(DEADLINE_MS / 1000 + SLACK_S).answers
            for name, question in asked.items():
                domain = question[0].partition("@")[2]
                with self.subTest(name, on_failure=word):
                    self.assertEqual(answers[question][0],
                                     locked("alice", domain) if name == "good" else answer(domain))

    def test_failure_never_grants(self):
        for word, answer in (("defer", unknown), ("permit", unknown), ("reject", unknown_reject)):
            daemon = self.daemon({"on_failure": word, "grant": "senderid"}, match={"unlisted_sender": "reject"})
            with self.subTest(on_failure=word):
                self.assertEqual(daemon.ask_domain("servfail.grant.example"), answer("servfail.grant.example"))

    def test_new_domains_are_limited(self):
        """Of one login; what is known already costs nothing; on_failure has no say."""
        daemon = self.daemon({"new_domains_burst": 3, "new_domains_per_min": 1, "on_failure": "permit"})
        answers = [daemon.ask_domain(f"good.n{i}.limit.example") for i in range(6)]
        self.assertEqual(answers, [locked("alice", f"good.n{i}.limit.example") for i in range(3)] + [LIMITED] * 3)
        self.assertEqual(daemon.decision_on("good.n5.limit.example")["reason"], "dns-limited")
        self.assertEqual(daemon.ask_domain("good.n0.limit.example"), locked("alice", "good.n0.limit.example"))
        self.assertEqual(daemon.ask_domain("good.n4.limit.example", "carol"), locked("carol", "good.n4.limit.example"))
        self.assertEqual(self.dns.asked["_mailchannels.good.n5.limit.example"], 0)

    def test_full_queue_defers(self):
        """Our own limit, whatever on_failure says."""
        daemon = self.daemon({"on_failure": "permit"}, dns={"max_in_flight": 1})
        asked = self.questions((f"silence.q{i}" for i in range(40)), "queue")
        answers = Crowd(daemon, asked.values()).collect(DEADLINE_MS / 1000 + SLACK_S).answers
        self.assertEqual(len(answers), 40)
        got = [answer for answer, _ in answers.values()]
        self.assertEqual(set(got), {LIMITED, DUNNO})
        self.assertEqual(got.count(DUNNO), 1)  # the one that was asked

    def test_several_names_share_the_deadline(self):
        """A sender of two readings; the slow first name leaves the second too little time, which is no failure of the DNS."""
        daemon = self.daemon({"account": "good", "on_failure": "permit"}, dns={"timeout_ms": DEADLINE_MS})
        began = time.monotonic()
        self.assertEqual(daemon.ask("x%silence.second.example@late-700.first.example"), LIMITED)
        self.assertLess(time.monotonic() - began, DEADLINE_MS / 1000 + 0.4)
        self.assertEqual(self.dns.asked["_mailchannels.silence.second.example"], 1)

    def test_second_name_is_asked_too(self):
        daemon = self.daemon({"account": "nobody"})
        self.assertEqual(daemon.ask("x%good.second.example@nodata.first.example"), reject("alice"))
        self.assertEqual(daemon.ask("x%nodata.second.example@nodata.first.example"), DUNNO)


class Waiting(unittest.TestCase):
    """What happens meanwhile."""

    @classmethod
    def setUpClass(cls):
        cls.dns = start_hostile(cls)

    def daemon(self, lockdown=None, dns=None, **more):
        return Lockdown(self, self.dns.server, lockdown={"account": "forged", **(lockdown or {})},
                        dns={"timeout_ms": DEADLINE_MS, **(dns or {})}, **more).start()

    def asked(self, domain):
        return self.dns.asked[f"_mailchannels.{domain}"]

    def wait_asked(self, domain):
        helper.wait_until(lambda: self.asked(domain), f"the query for {domain}")

    def test_pipelined_requests_keep_their_order(self):
        daemon = self.daemon()
        late, later = "late-200.pipe.example", "late-250.pipe.example"
        with daemon.connect() as sock:
            sock.sendall(b"".join([helper.request("bob@table.test"), helper.request(f"x@{late}"),
                                   helper.request("bob@table.test", "carol"), helper.request(f"x@{later}"),
                                   helper.request("bob@table.test", "bob")]) + helper.request("bob@table.test", "dan")[:20])
            self.assertEqual(helper.receive_answer(sock), reject("alice"))
            sock.sendall(helper.request("bob@table.test", "dan")[20:])  # while the second waits
            answers = [helper.receive_answer(sock) for _ in range(5)]
        self.assertEqual(answers, [locked("alice", late), reject("carol"), locked("alice", later), DUNNO, reject("dan")])

    def test_first_answer_does_not_wait(self):
        daemon = self.daemon()
        with daemon.connect() as sock:
            began = time.monotonic()
            sock.sendall(helper.request("bob@table.test") + helper.request("x@late-900.first.example"))
            self.assertEqual(helper.receive_answer(sock), reject("alice"))
            self.assertLess(time.monotonic() - began, PROMPT_S)
            self.assertEqual(helper.receive_answer(sock), locked("alice", "late-900.first.example"))

    def test_client_disconnects(self):
        """Its question ends with it; so does one that another connection shares, but for the other."""
        daemon = self.daemon()
        workers = daemon.workers()
        for i in range(60):
            sock = daemon.connect()
            sock.sendall(helper.request(f"x@late-400.n{i % 20}.gone.example"))
            if i % 3 == 0:
                sock.sendall(helper.request("bob@table.test"))
            sock.close()
        self.assertEqual(daemon.ask_domain("late-400.n1.gone.example"), locked("alice", "late-400.n1.gone.example"))
        self.assertEqual(daemon.ask("bob@table.test"), reject("alice"))
        self.assertEqual(daemon.workers(), workers)
        self.assertEqual(daemon.stop(), 0)

    def test_half_closed_client_gets_its_answer(self):
        daemon = self.daemon()
        with daemon.connect() as sock:
            sock.sendall(helper.request("x@late-200.half.example"))
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(helper.receive_all(sock), locked("alice", "late-200.half.example"))

    def test_sigterm_answers_what_waits(self):
        daemon = self.daemon()
        asked = [("x@late-500.term.example", "alice"), ("x@silence.term.example", "alice")]
        crowd = Crowd(daemon, asked)
        self.wait_asked("silence.term.example")
        began = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)
        answers = crowd.collect().answers
        self.assertEqual([answers[one][0] for one in asked],
                         [locked("alice", "late-500.term.example"), unknown("silence.term.example")])

    def test_sigterm_answers_what_is_behind_what_waits(self):
        """Whole requests that lie in the socket are answered, in their order."""
        daemon = self.daemon()
        name = "late-500.behind.term.example"
        many = 300
        with daemon.connect() as sock:
            sock.sendall(helper.request(f"x@{name}"))
            self.wait_asked(name)
            sock.sendall(b"".join(helper.request("bob@table.test", f"carol{i}") for i in range(many)) +
                         helper.request(f"x@{name}", "dave") + helper.request("bob@table.test", "bob"))
            self.assertEqual(daemon.stop(), 0)
            self.assertEqual(helper.receive_all(sock), locked("alice", name) + b"".join(
                reject(f"carol{i}") for i in range(many)) + locked("dave", name) + DUNNO)

    def test_sigterm_gives_up_after_five_seconds(self):
        daemon = self.daemon(dns={"deadline_ms": 30000, "timeout_ms": 10000})
        crowd = Crowd(daemon, [("x@silence.long.example", "alice")])
        self.wait_asked("silence.long.example")
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual([answer for answer, _ in crowd.collect().answers.values()], [b""])

    def test_reload_while_waiting(self):
        """What waits is decided by the new settings."""
        daemon = self.daemon()
        crowd = Crowd(daemon, [("x@late-600.reload.example", "alice")])
        self.wait_asked("late-600.reload.example")
        daemon.change("lockdown", account="good")
        daemon.reload()
        (answer, _), = crowd.collect(2).answers.values()
        self.assertEqual(answer, DUNNO)
        daemon.change("lockdown", account="forged")
        daemon.reload()
        self.assertEqual(daemon.ask_domain("late-600.reload.example"), locked("alice", "late-600.reload.example"))
        self.assertEqual(self.asked("late-600.reload.example"), 1)

    def test_reload_switches_lockdown(self):
        daemon = self.daemon({"enabled": "no"})
        self.assertEqual(daemon.ask_domain("good.switch.example"), DUNNO)
        self.assertEqual(self.asked("good.switch.example"), 0)
        for word, answer in (("yes", locked("alice", "good.switch.example")), ("no", DUNNO),
                             ("yes", locked("alice", "good.switch.example"))):
            daemon.change("lockdown", enabled=word)
            daemon.reload()
            self.assertEqual(daemon.ask_domain("good.switch.example"), answer)
        crowd = Crowd(daemon, [("x@late-600.switch.example", "alice")])
        self.wait_asked("late-600.switch.example")
        daemon.change("lockdown", enabled="no")
        daemon.reload()
        (answer, _), = crowd.collect(2).answers.values()
        self.assertEqual(answer, DUNNO)

    def test_reload_changes_the_server(self):
        """What waits goes on where it asked, what comes is asked elsewhere; the cache's place stays, with a warning."""
        other = hostile_dns.HostileDns().start()
        self.addCleanup(other.stop)
        daemon = self.daemon()
        crowd = Crowd(daemon, [("x@late-500.server.example", "alice")])
        self.wait_asked("late-500.server.example")
        daemon.change("dns", nameserver=other.server, cache_dir=str(daemon.folder / "elsewhere"))
        daemon.reload()
        self.assertEqual(daemon.ask_domain("good.server.example"), locked("alice", "good.server.example"))
        (answer, _), = crowd.collect(2).answers.values()
        self.assertEqual(answer, locked("alice", "late-500.server.example"))
        self.assertEqual((self.asked("good.server.example"), other.asked["_mailchannels.good.server.example"]), (0, 1))
        daemon.wait_log("[dns] cache_dir changes with a restart only")
        os.kill(daemon.workers()[0], signal.SIGKILL)
        helper.wait_until(lambda: daemon.ask_domain("good.server.example") == locked("alice", "good.server.example"),
                          "an answer of the next worker")
        self.assertEqual(other.asked["_mailchannels.good.server.example"], 1)
        self.assertFalse((daemon.folder / "elsewhere").exists())

    def test_a_thousand_wait_for_one_query(self):
        daemon = self.daemon()
        name = "late-800.thousand.example"
        crowd = Crowd(daemon, [(f"x@{name}", f"login{i}") for i in range(1000)]).collect(10)
        self.assertEqual({sender_login: answer for sender_login, (answer, _) in crowd.answers.items()},
                         {(f"x@{name}", f"login{i}"): locked(f"login{i}", name) for i in range(1000)})
        self.assertEqual(self.asked(name), 1)

    def test_few_descriptors(self):
        """Connections and queries are made to fit; what finds no place is a deferral, and the rest is served."""
        daemon = Lockdown(self, self.dns.server, lockdown={"on_failure": "permit"}, dns={"timeout_ms": DEADLINE_MS})
        daemon.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
        fit = [int(re.search(text + r".* (\d+)(?: at once)?; raise it", daemon.log()).group(1))
               for text in ("max_connections = 4096", "max_in_flight = 1024")]
        self.assertTrue(100 <= sum(fit) < 128, fit)
        crowd = Crowd(daemon, [(f"x@silence.f{i}.few.example", "alice") for i in range(fit[0] - 2)])
        with daemon.connect() as other:
            self.assertEqual(helper.ask(other, "bob@table.test", "alice"), reject("alice"))
        answers = [answer for answer, _ in crowd.collect(DEADLINE_MS / 1000 + SLACK_S).answers.values()]
        self.assertEqual((len(answers), set(answers)), (fit[0] - 2, {DUNNO, LIMITED}))
        self.assertEqual(answers.count(DUNNO), fit[1])
        self.assertNotIn("cannot accept", daemon.log())

    def test_log_line(self):
        daemon = self.daemon()
        for domain, reason, least_us in (("late-300.log.example", "locked-down", 300000),
                                         ("silence.log.example", "lockdown-unknown", DEADLINE_MS * 1000)):
            daemon.ask_domain(domain)
            line = daemon.decision_on(domain)
            self.assertEqual((line["reason"], line["login"]), (reason, "alice"))
            self.assertGreaterEqual(int(line["us"]), least_us - 10000)
            self.assertLess(int(line["us"]), least_us + SLACK_S * 1e6)


class Cache(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = start_hostile(cls)

    def daemon(self, **more):
        return Lockdown(self, self.dns.server, lockdown={"account": "forged"}, **more)

    def asked(self, domain):
        return self.dns.asked[f"_mailchannels.{domain}"]

    def worker_of(self, daemon, sock, domain):
        """Which worker answers this connection."""
        before = len(daemon.decisions())
        self.assertEqual(daemon.ask_domain(domain, sock=sock), locked("alice", domain))
        line = helper.wait_until(lambda: daemon.decisions()[before:], "the decision's line")[0]["line"]
        return re.search(r"worker \d+", line).group()

    def connections_to_both(self, daemon, domain):
        """By worker: one connection."""
        found = {}
        for _ in range(200):
            sock = daemon.connect()
            found.setdefault(self.worker_of(daemon, sock, domain), sock)
            helper.wait_until(lambda: self.names(daemon) > 0, "the name in the cache")
            if len(found) == 2:
                return found
        raise AssertionError(f"200 connections, all taken by {found}")

    def names(self, daemon):
        return json.loads(daemon.ctl("cache", "stats", "--json").stdout)["names"]

    def test_workers_share_it(self):
        daemon = self.daemon(workers=2).start()
        first, second = self.connections_to_both(daemon, "good.both.example").values()
        self.assertEqual(self.asked("good.both.example"), 1)
        before = self.names(daemon)
        for sock in (first, second):
            self.assertEqual(daemon.ask_domain("good.share.example", sock=sock), locked("alice", "good.share.example"))
            # An answer leaves before the write of its loop turn.
            helper.wait_until(lambda: self.names(daemon) > before, "the name in the cache")
        self.assertEqual(self.asked("good.share.example"), 1)

    def test_it_outlives_the_daemon(self):
        """The same boot: what is known stays known."""
        daemon = self.daemon().start()
        daemon.ask_domain("good.restart.example")
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertEqual(daemon.ask_domain("good.restart.example"), locked("alice", "good.restart.example"))
        self.assertEqual(self.asked("good.restart.example"), 1)

    def test_worker_killed_while_waiting(self):
        daemon = self.daemon(workers=2, dns={"timeout_ms": DEADLINE_MS}).start()
        socks = self.connections_to_both(daemon, "good.kill.example")
        victim_name, other_name = sorted(socks)
        for sock in socks.values():
            sock.sendall(helper.request("x@late-500.kill.example"))
        helper.wait_until(lambda: self.asked("late-500.kill.example") == 2, "a query of each worker")
        pids = daemon.workers()
        os.kill(pids[int(victim_name.split()[1]) - 1], signal.SIGKILL)
        self.assertEqual(helper.receive_all(socks[victim_name]), b"")
        self.assertEqual(helper.receive_answer(socks[other_name]), locked("alice", "late-500.kill.example"))
        helper.wait_until(lambda: len(daemon.workers()) == 2, "another worker")
        for _ in range(10):
            self.assertEqual(daemon.ask_domain("late-500.kill.example"), locked("alice", "late-500.kill.example"))
        self.assertEqual(self.asked("late-500.kill.example"), 2)

    def test_without_it(self):
        daemon = self.daemon()
        (daemon.folder / "file").write_text("")
        daemon.change("dns", cache_dir=str(daemon.folder / "file" / "cache"))
        daemon.start()
        daemon.wait_log("going on without a DNS cache")
        for _ in range(3):
            self.assertEqual(daemon.ask_domain("good.without.example"), locked("alice", "good.without.example"))
            self.assertEqual(daemon.ask_domain("nodata.without.example"), DUNNO)
        self.assertEqual((self.asked("good.without.example"), self.asked("nodata.without.example")), (3, 3))

    def test_failures_are_kept_briefly(self):
        daemon = self.daemon().start()
        for _ in range(3):
            self.assertEqual(daemon.ask_domain("servfail.brief.example"), unknown("servfail.brief.example"))
        self.assertEqual(self.asked("servfail.brief.example"), 1)

    @unittest.skipUnless(helper.IS_ROOT, "only root gives folders away")
    def test_root_makes_the_folders(self):
        daemon = self.daemon()
        parent = daemon.folder / "below"
        parent.mkdir(0o755)
        run, cache = parent / "run", parent / "run" / "cache"
        daemon.change("dns", cache_dir=str(cache))
        daemon.change("lockdown", enabled="no")
        daemon.start()
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(run.exists())
        daemon.change("lockdown", enabled="yes")
        daemon.start()
        for folder, mode in ((run, 0o755), (cache, 0o700)):
            info = folder.stat()
            self.assertEqual((stat.S_IMODE(info.st_mode), folder.owner(), folder.group()),
                             (mode, helper.USER, helper.GROUP))
        self.assertNotIn("without a DNS cache", daemon.log())
        self.assertEqual(daemon.ask_domain("good.made.example"), locked("alice", "good.made.example"))
        self.assertEqual(sorted(path.owner() for path in cache.iterdir()), [helper.USER] * 3)


if __name__ == "__main__":
    unittest.main()

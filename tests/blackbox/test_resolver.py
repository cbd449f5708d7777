"""The resolver against a real authoritative server and a hostile one: every answer is the right one, inside its deadline, and
nobody waits for another's.

Through build/tests/session/resolve, a program of a few lines around policy/engine/resolver.h."""
import os
import pathlib
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fake"))

import helper  # noqa: E402
import hostile_dns  # noqa: E402
import nsd_zone  # noqa: E402

RESOLVE = str(helper.BUILD / "tests" / "session" / "resolve")
TIMEOUT_MS, DEADLINE_MS = 300, 1000
SLACK_S = 0.7  # two processors, other tests beside this one
PROMPT_S = 0.5  # what answers at once, under the same load
GOOD = ["v=mc1 auth=good"]


class Answer:
    """One line of the driver."""

    def __init__(self, line, seconds):
        self.tag, self.status, *fields = line.split("\t")
        pairs = [field.split("=", 1) for field in fields]
        self.txt = [value for name, value in pairs if name == "txt"]
        self.fields = dict(pairs)
        self.seconds = seconds

    def __getattr__(self, name):
        return self.fields[name]

    def __repr__(self):
        return f"{self.tag} {self.status} {self.fields} after {self.seconds:.3f} s"


class Resolver:
    def __init__(self, *servers, timeout_ms=TIMEOUT_MS, deadline_ms=DEADLINE_MS, attempts=3, files=None, **more):
        arguments = [RESOLVE, "-t", str(timeout_ms), "-d", str(deadline_ms), "-a", str(attempts)]
        for server in servers:
            arguments += ["-n", server]
        for letter, value in more.items():
            arguments += [f"-{letter}", str(value)]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=limit)
        self.lines = queue.Queue()
        self.log = []
        self.readers = [threading.Thread(target=self._read, args=(self.process.stdout, self.lines.put), daemon=True),
                        threading.Thread(target=self._read, args=(self.process.stderr, self.log.append), daemon=True)]
        for reader in self.readers:
            reader.start()
        self.line("ready")

    @staticmethod
    def _read(stream, take):
        for line in stream:
            take(line.rstrip("\n"))

    def line(self, start=""):
        try:
            line = self.lines.get(timeout=20)
        except queue.Empty:
            raise AssertionError(f"no line {start!r}: {self.log}") from None
        if not line.startswith(start):
            raise AssertionError(f"{line!r} instead of {start!r}")
        return line

    def say(self, *commands):
        self.began = time.monotonic()
        self.process.stdin.write("".join(command + "\n" for command in commands))
        self.process.stdin.flush()

    def answer(self):
        return Answer(self.line(), time.monotonic() - self.began)

    def ask(self, name):
        self.say(f"ask only {name}")
        return self.answer()

    def ask_all(self, names):
        """Answers by name; all are asked at once."""
        self.say(*(f"ask {name} {name}" for name in names))
        answers = [self.answer() for _ in names]
        return {answer.tag: answer for answer in answers}

    def stat(self):
        self.say("stat")
        answer = Answer(self.line("stat").replace("stat\t", "stat\t\t"), 0)
        return {name: int(value) for name, value in answer.fields.items()}

    def sockets(self):
        folder = f"/proc/{self.process.pid}/fd"
        return [fd for fd in os.listdir(folder) if os.readlink(f"{folder}/{fd}").startswith("socket:")]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        if kind is None and status != 0:
            raise AssertionError(f"resolve ended with {status}: {self.log}")


class Hostile(unittest.TestCase):
    """Every behaviour of the hostile server."""

    # By behaviour: status, why it failed, rcode.
    FOUND = ["good", "authentic", "strings", "wrong-id", "wrong-question", "wrong-port", "garbage", "flood", "query-itself",
             "twice", "late-150", "truncated", "tcp-slow", "formerr-edns", "notimp-edns", "tcp-many-40", "many-5", "tsig",
             "bare-formerr", "bare-notimp", "bare-others", "stragglers"]
    ABSENT = ["nxdomain", "nodata", "no-soa"]
    FAILED = {
        "only-wrong-id": "timeout", "late-5000": "timeout", "silence": "timeout", "bare-always": "timeout",
        "tcp-stall": "timeout", "tcp-stall-length": "timeout",
        "loop": "malformed", "bad-counts": "malformed", "cut": "malformed", "tcp-wrong-id": "malformed",
        "tcp-truncated": "malformed", "tcp-tiny": "malformed", "tcp-empty-strings": "malformed",
        "tcp-many-300": "malformed", "many-65": "malformed",
        "tcp-close": "network", "tcp-close-half": "network",
        "cname-loop": "chain", "cname-away": "chain",
        "servfail": "rcode", "tcp-servfail": "rcode", "refused": "rcode", "formerr": "rcode",
    }
    RCODES = {"servfail": "SERVFAIL", "tcp-servfail": "SERVFAIL", "refused": "REFUSED", "formerr": "FORMERR"}

    @classmethod
    def setUpClass(cls):
        cls.dns = hostile_dns.HostileDns().start()
        cls.addClassCleanup(cls.dns.stop)
        names = [f"{behaviour}.example" for behaviour in (*cls.FOUND, *cls.ABSENT, *cls.FAILED)]
        with Resolver(cls.dns.server) as resolver:
            cls.answers = resolver.ask_all(names)
            cls.stat = resolver.stat()

    def of(self, behaviour):
        return self.answers[f"{behaviour}.example"]

    def test_every_behaviour_is_asked_for(self):
        asked = {name for name in hostile_dns.BEHAVIOURS if f"{name}.example" in self.answers}
        self.assertEqual(asked, set(hostile_dns.BEHAVIOURS))

    def test_found(self):
        for behaviour in self.FOUND:
            with self.subTest(behaviour):
                answer = self.of(behaviour)
                self.assertEqual(answer.status, "found", answer)
                self.assertNotIn("forged", repr(answer))
                self.assertLess(answer.seconds, SLACK_S)
                self.assertEqual(answer.ttl, "300")
                self.assertEqual(answer.server, self.dns.server)
                if "many" not in behaviour:
                    self.assertEqual(answer.txt, GOOD)
        self.assertEqual(len(self.of("tcp-many-40").txt), 40)
        self.assertEqual(self.of("strings").strings, "3")

    def test_absent(self):
        for behaviour in self.ABSENT:
            with self.subTest(behaviour):
                answer = self.of(behaviour)
                self.assertEqual(answer.status, "absent", answer)
                self.assertEqual(answer.rcode, "NOERROR" if behaviour == "nodata" else "NXDOMAIN")
                self.assertEqual(answer.ttl, "60")

    def test_failed_and_why(self):
        for behaviour, why in self.FAILED.items():
            with self.subTest(behaviour):
                answer = self.of(behaviour)
                self.assertEqual((answer.status, answer.failure), ("failed", why), answer)
                if behaviour in self.RCODES:
                    self.assertEqual(answer.rcode, self.RCODES[behaviour])
                    self.assertEqual(answer.server, self.dns.server)
                self.assertEqual(answer.txt, [])

    def test_inside_the_deadline(self):
        for name, answer in self.answers.items():
            with self.subTest(name):
                self.assertLess(answer.seconds, DEADLINE_MS / 1000 + SLACK_S)

    def test_tries(self):
        """Silence is asked again, whoever answered is not; TCP belongs to the try."""
        for behaviour, asked in {"silence": 3, "only-wrong-id": 3, "servfail": 1, "refused": 1, "good": 1, "wrong-id": 1,
                                 "formerr-edns": 2, "truncated": 2, "tcp-close": 2, "formerr": 2,
                                 "bare-formerr": 2, "bare-notimp": 2, "bare-others": 1, "bare-always": 6}.items():
            with self.subTest(behaviour):
                self.assertEqual(self.dns.asked[f"{behaviour}.example"], asked)
        self.assertEqual(self.dns.tcp_asked["truncated.example"], 1)

    def test_counters(self):
        self.assertGreater(self.stat["mismatched"], 199)
        self.assertGreater(self.stat["dropped"], 3)
        self.assertGreater(self.stat["timeouts"], 6)
        self.assertEqual([self.stat[name] for name in ("in_flight", "queued", "names_waited_for", "refused_by_limit")],
                         [0, 0, 0, 0])

    def test_ad_counts_from_loopback(self):
        self.assertEqual(self.of("authentic").ad, "1")
        self.assertEqual(self.of("good").ad, "0")

    def test_ids_and_ports_are_fresh(self):
        with Resolver(self.dns.server) as resolver:
            del self.dns.ids[:], self.dns.ports[:]
            resolver.ask_all([f"good.n{i}.example" for i in range(1000)])
        self.assertGreater(len(set(self.dns.ids)), 950)
        self.assertGreater(len(set(self.dns.ports)), 900)
        steps = {b - a for a, b in zip(self.dns.ids, self.dns.ids[1:])}
        self.assertGreater(len(steps), 900)

    def test_a_socket_that_serves_again_has_a_fresh_port(self):
        with Resolver(self.dns.server, m=1) as resolver:
            del self.dns.ports[:]
            resolver.ask_all([f"good.again{i}.example" for i in range(300)])
            self.assertLessEqual(len(resolver.sockets()), 1)
        self.assertGreater(len(set(self.dns.ports)), 280)
        steps = {b - a for a, b in zip(self.dns.ports, self.dns.ports[1:])}
        self.assertGreater(len(steps), 270)

    def test_a_socket_that_serves_again_is_empty(self):
        with Resolver(self.dns.server, m=1, deadline_ms=9000) as resolver:
            answers = resolver.ask_all([f"{kind}.e{i}.example" for i in range(60) for kind in ("stragglers", "late-5")])
            self.assertEqual({answer.txt[0] for answer in answers.values()}, set(GOOD))
            # One that is being delivered just then may slip in.
            self.assertLess(resolver.stat()["mismatched"], 5)

    def test_sockets_that_wait(self):
        """Not more than may be in flight, nor than 256."""
        with Resolver(self.dns.server, m=20) as resolver:
            resolver.ask_all([f"truncated.w{i}.example" for i in range(200)])
            self.assertLessEqual(len(resolver.sockets()), 20)
        with Resolver(self.dns.server) as resolver:
            resolver.ask_all([f"good.w{i}.example" for i in range(1000)])
            self.assertLessEqual(len(resolver.sockets()), 256)

    def test_others_are_served_meanwhile(self):
        with Resolver(self.dns.server) as resolver:
            resolver.say(*(f"ask hang {kind}.m{i}.example" for i in range(100) for kind in ("silence", "tcp-stall")))
            for i in range(20):
                resolver.say(f"ask good good.m{i}.example")
                answer = resolver.answer()
                self.assertEqual((answer.tag, answer.status), ("good", "found"))
                self.assertLess(answer.seconds, PROMPT_S)
            resolver.say("cancel hang")
            resolver.line("hang\tcancelled")
            self.assertEqual(resolver.stat()["names_waited_for"], 0)


class Names(unittest.TestCase):
    """Who waits for which name."""

    @classmethod
    def setUpClass(cls):
        cls.dns = hostile_dns.HostileDns().start()
        cls.addClassCleanup(cls.dns.stop)

    def test_a_thousand_wait_for_one_query(self):
        with Resolver(self.dns.server) as resolver:
            resolver.say("ask all late-100.thousand.example 1000")
            answers = [resolver.answer() for _ in range(1000)]
            self.assertTrue(all(answer.txt == GOOD for answer in answers))
            stat = resolver.stat()
        self.assertEqual((stat["queries"], stat["coalesced"]), (1, 999))
        self.assertEqual(self.dns.asked["late-100.thousand.example"], 1)

    def test_names_have_no_case(self):
        with Resolver(self.dns.server) as resolver:
            resolver.say("ask a LATE-100.case.example", "ask b late-100.CASE.example")
            self.assertEqual([resolver.answer().status for _ in "ab"], ["found", "found"])
            self.assertEqual(resolver.stat()["coalesced"], 1)

    def test_ten_thousand_names(self):
        names = [f"good.n{i}.example" for i in range(10000)]
        with Resolver(self.dns.server, deadline_ms=20000, timeout_ms=4000, m=1024) as resolver:
            answers = resolver.ask_all(names)
            self.assertEqual({answer.status for answer in answers.values()}, {"found"})
            self.assertEqual(len(answers), 10000)
            self.assertEqual(resolver.stat()["names_waited_for"], 0)

    def test_places_and_queue_are_bounded(self):
        with Resolver(self.dns.server, m=4, q=6) as resolver:
            resolver.say(*(f"ask hang silence.q{i}.example" for i in range(15)))
            refused = [resolver.answer() for _ in range(5)]
            self.assertEqual({(answer.status, answer.failure) for answer in refused}, {("failed", "limit")})
            stat = resolver.stat()
            self.assertEqual((stat["in_flight"], stat["queued"], stat["names_waited_for"]), (4, 6, 10))
            rest = [resolver.answer() for _ in range(10)]
        self.assertEqual(sorted(answer.failure for answer in rest), ["limit"] * 6 + ["timeout"] * 4)
        self.assertLess(max(answer.seconds for answer in rest), DEADLINE_MS / 1000 + SLACK_S)

    def test_a_queue_gives_way(self):
        """Names that wait behind slow ones get the places as they come free."""
        with Resolver(self.dns.server, m=4, timeout_ms=900) as resolver:
            resolver.say(*(f"ask late late-200.w{i}.example" for i in range(4)),
                         *(f"ask good good.w{i}.example" for i in range(40)))
            answers = [resolver.answer() for _ in range(44)]
        self.assertEqual({answer.status for answer in answers}, {"found"})

    def test_cancel_ends_the_query(self):
        with Resolver(self.dns.server, m=1) as resolver:
            resolver.say("ask one silence.cancel.example", "ask two silence.cancel.example",
                         "ask three good.cancel.example", "cancel one")
            resolver.line("one\tcancelled")
            self.assertEqual(resolver.stat()["names_waited_for"], 2)
            resolver.say("cancel two")
            resolver.line("two\tcancelled")
            answer = resolver.answer()
            self.assertEqual((answer.tag, answer.status), ("three", "found"))
            self.assertLess(answer.seconds, PROMPT_S)
            stat = resolver.stat()
            self.assertEqual((stat["in_flight"], stat["queued"], stat["names_waited_for"]), (0, 0, 0))

    def test_cancel_while_queued(self):
        with Resolver(self.dns.server, m=1) as resolver:
            resolver.say("ask one silence.cancel.example", "ask two good.queued.example", "cancel two", "cancel one")
            resolver.line("two\tcancelled")
            resolver.line("one\tcancelled")
            self.assertEqual(resolver.stat()["names_waited_for"], 0)
        self.assertEqual(self.dns.asked["good.queued.example"], 0)

    def test_asking_in_a_callback(self):
        with Resolver(self.dns.server) as resolver:
            resolver.say("again tag good.again.example", "again bad " + "x" * 254)
            answers = [resolver.answer() for _ in range(4)]
        self.assertEqual(sorted((answer.tag, answer.status) for answer in answers),
                         [("bad", "failed")] * 2 + [("tag", "found")] * 2)
        self.assertEqual(self.dns.asked["good.again.example"], 2)

    def test_names_that_cannot_be(self):
        with Resolver(self.dns.server) as resolver:
            for name in ("x" * 64 + ".example", "x" * 254, "a..example", "." * 40):
                answer = resolver.ask(name)
                self.assertEqual((answer.status, answer.failure), ("failed", "malformed"), answer)

    def test_descriptors_run_out(self):
        """Our own limit is no verdict about the name."""
        with Resolver(self.dns.server, files=24) as resolver:
            answers = resolver.ask_all([f"late-150.f{i}.example" for i in range(60)])
            failures = [answer.failure for answer in answers.values() if answer.status == "failed"]
            self.assertEqual({answer.status for answer in answers.values()}, {"found", "failed"})
            self.assertEqual(set(failures), {"limit"})
            self.assertEqual(resolver.ask("good.f.example").status, "found")
            self.assertEqual(resolver.stat()["refused_by_limit"], len(failures))


class Servers(unittest.TestCase):
    """Which server is asked."""

    def hostile(self, *arguments, **options):
        dns = hostile_dns.HostileDns(*arguments, **options).start()
        self.addCleanup(dns.stop)
        return dns

    def test_ipv6(self):
        dns = self.hostile("::1")
        with Resolver(dns.server) as resolver:
            answers = resolver.ask_all(["good.example", "truncated.example", "authentic.example"])
        self.assertEqual({answer.status for answer in answers.values()}, {"found"})
        self.assertEqual(answers["good.example"].server, dns.server)
        self.assertEqual(answers["authentic.example"].ad, "1")

    def test_truncated_without_tcp(self):
        dns = self.hostile(tcp=False)
        with Resolver(dns.server) as resolver:
            answer = resolver.ask("truncated.example")
        self.assertEqual((answer.status, answer.failure), ("failed", "network"))
        self.assertLess(answer.seconds, PROMPT_S)

    def test_nobody_there(self):
        """Every try is refused: over with the last, long before the deadline."""
        for servers in (1, 2):
            with Resolver(*(f"127.0.0.1:{helper.free_port()}" for _ in range(servers)), deadline_ms=9000) as resolver:
                answer = resolver.ask("good.example")
                self.assertEqual(resolver.stat()["queries"], 3)
            self.assertEqual((answer.status, answer.failure), ("failed", "network"))
            self.assertLess(answer.seconds, 0.3 + SLACK_S)

    def test_a_refused_packet_is_not_the_last_word(self):
        """An ICMP message may be forged, or the server is starting just now."""
        port = helper.free_port()
        with Resolver(f"127.0.0.1:{port}", attempts=6, deadline_ms=9000) as resolver:
            resolver.say("ask only good.example")
            helper.wait_until(lambda: resolver.stat()["queries"], "the first question")
            self.hostile(port=port)
            answer = resolver.answer()
        self.assertEqual((answer.status, answer.txt), ("found", GOOD))
        self.assertGreater(answer.seconds, 0.09)

    def test_a_pause_ends_with_the_deadline(self):
        with Resolver(f"127.0.0.1:{helper.free_port()}", attempts=9, deadline_ms=500) as resolver:
            answer = resolver.ask("good.example")
            self.assertEqual(resolver.stat()["queries"], 3)
        self.assertEqual((answer.status, answer.failure), ("failed", "network"))
        self.assertTrue(0.45 < answer.seconds < 0.5 + SLACK_S, answer)

    def test_no_way_there(self):
        with Resolver("[fe80::1%999]:53") as resolver:
            answer = resolver.ask("good.example")
        self.assertEqual((answer.status, answer.failure), ("failed", "network"))

    def test_a_refused_packet_goes_to_the_next_at_once(self):
        dns = self.hostile()
        with Resolver(f"127.0.0.1:{helper.free_port()}", dns.server) as resolver:
            answer = resolver.ask("good.example")
        self.assertEqual((answer.status, answer.server), ("found", dns.server))
        self.assertLess(answer.seconds, TIMEOUT_MS / 1000)

    def test_a_bad_answer_goes_to_the_next_at_once(self):
        for behaviour in ("servfail", "refused", "loop", "tcp-close", "tcp-empty-strings"):
            with self.subTest(behaviour):
                first, second = self.hostile(), self.hostile()
                with Resolver(first.server, second.server) as resolver:
                    self.assertEqual(resolver.ask(f"{behaviour}.example").status, "failed")
                self.assertEqual([bool(dns.asked[f"{behaviour}.example"]) for dns in (first, second)], [True, True])

    def test_a_dead_first_server_is_avoided_and_tried_again(self):
        first, second = self.hostile(), self.hostile()
        first.is_silent = True
        with Resolver(first.server, second.server) as resolver:
            slow = resolver.ask("good.first.example")
            self.assertEqual((slow.status, slow.server), ("found", second.server))
            self.assertGreaterEqual(slow.seconds, TIMEOUT_MS / 1000)
            for i in range(20):
                answer = resolver.ask(f"good.n{i}.example")
                self.assertEqual(answer.server, second.server)
                self.assertLess(answer.seconds, TIMEOUT_MS / 1000)
            self.assertEqual(sum(first.asked.values()), 1)
            first.is_silent = False
            helper.wait_until(lambda: resolver.ask("good.back.example").server == first.server,
                              "the first server being tried again", 10)
            self.assertEqual(resolver.ask("good.last.example").server, first.server)

    def test_only_one_query_tries_a_failed_server(self):
        first, second = self.hostile(), self.hostile()
        first.is_silent = True
        with Resolver(first.server, second.server) as resolver:
            resolver.ask("good.first.example")
            asked = sum(first.asked.values())
            time_up = time.monotonic() + 2.2  # the back-off after one failure is 2 s
            helper.wait_until(lambda: time.monotonic() > time_up, "the back-off", 5)
            resolver.ask_all([f"good.n{i}.example" for i in range(50)])
            self.assertEqual(sum(first.asked.values()), asked + 1)

    def test_all_dead(self):
        first, second = self.hostile(), self.hostile()
        first.is_silent = second.is_silent = True
        with Resolver(first.server, second.server, timeout_ms=200) as resolver:
            for _ in range(4):
                answer = resolver.ask("good.example")
                self.assertEqual((answer.status, answer.failure), ("failed", "timeout"))
            self.assertEqual(sum(first.asked.values()) + sum(second.asked.values()), 12)
            first.is_silent = second.is_silent = False
            self.assertEqual(resolver.ask("good.example").status, "found")
        self.assertIn("does not answer", "\n".join(resolver.log))

    def test_silence_and_then_servfail(self):
        """What a server said is told, not the silence of another."""
        first, second = self.hostile(), self.hostile()
        second.is_silent = True
        with Resolver(first.server, second.server, timeout_ms=200) as resolver:
            answer = resolver.ask("servfail.example")
        self.assertEqual((answer.failure, answer.rcode, answer.server), ("rcode", "SERVFAIL", first.server))

    def test_new_servers(self):
        first, second = self.hostile(), self.hostile()
        with Resolver(first.server) as resolver:
            resolver.say("ask old late-200.example")
            helper.wait_until(lambda: first.asked["late-200.example"], "the question to the first server")
            resolver.say(f"servers {second.server}", "ask new good.example")
            resolver.line("configured")
            answers = {answer.tag: answer.server for answer in (resolver.answer(), resolver.answer())}
        self.assertEqual(answers, {"old": first.server, "new": second.server})


class ResolvConf(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name) / "resolv.conf"
        self.servers = [hostile_dns.HostileDns().start() for _ in range(2)]
        for dns in self.servers:
            self.addCleanup(dns.stop)

    def write(self, *lines):
        new = self.path.with_suffix(".new")
        new.write_text("".join(line + "\n" for line in lines))
        new.replace(self.path)

    def test_change_is_noticed(self):
        first, second = self.servers
        self.write(f"nameserver {first.server}")
        with Resolver(f=self.path) as resolver:
            self.assertEqual(resolver.ask("good.example").server, first.server)
            self.write(f"nameserver {second.server}")
            helper.wait_until(lambda: resolver.ask("good.example").server == second.server, "the change", 5)

    def test_a_file_that_cannot_be_read_changes_nothing(self):
        first, second = self.servers
        self.write(f"nameserver {first.server}")
        with Resolver(f=self.path) as resolver:
            self.assertEqual(resolver.ask("good.example").server, first.server)
            self.path.unlink()
            self.path.mkdir()
            helper.wait_until(lambda: resolver.ask("good.example") and resolver.log, "the complaint", 5)
            self.assertEqual(resolver.ask("good.example").server, first.server)
            self.path.rmdir()
            self.write(f"nameserver {second.server}")
            helper.wait_until(lambda: resolver.ask("good.example").server == second.server, "the change", 5)
        self.assertEqual(len(resolver.log), 1)
        self.assertIn(f"{self.path} changed and cannot be read", resolver.log[0])

    def test_a_file_caught_half_written_changes_nothing(self):
        first, second = self.servers
        for half in ("", "# by a program that is still at it\n", "nameserver\n"):
            with self.subTest(half):
                self.write(f"nameserver {first.server}")
                with Resolver(f=self.path) as resolver:
                    self.assertEqual(resolver.ask("good.example").server, first.server)
                    self.path.write_text(half)
                    helper.wait_until(lambda: resolver.ask("good.example") and resolver.log, "the complaint", 5)
                    self.assertEqual(resolver.ask("good.example").server, first.server)
                    self.write(f"nameserver {second.server}")
                    helper.wait_until(lambda: resolver.ask("good.example").server == second.server, "the change", 5)
                self.assertEqual(len(resolver.log), 1)
                self.assertIn(f"{self.path} changed and names no nameserver", resolver.log[0])

    def test_rotate(self):
        self.write("options rotate", *(f"nameserver {dns.server}" for dns in self.servers))
        with Resolver(f=self.path) as resolver:
            used = [resolver.ask(f"good.n{i}.example").server for i in range(4)]
        self.assertEqual([used.count(dns.server) for dns in self.servers], [2, 2])

    def test_timeout_and_attempts_where_we_say_none(self):
        self.servers[0].is_silent = True
        self.write(f"nameserver {self.servers[0].server}", "options timeout:1 attempts:2")
        with Resolver(f=self.path, timeout_ms=0, attempts=0, deadline_ms=9000) as resolver:
            answer = resolver.ask("good.example")
        self.assertEqual((answer.failure, self.servers[0].asked["good.example"]), ("timeout", 2))
        self.assertTrue(2 <= answer.seconds < 2 + SLACK_S, answer)


class RealServer(unittest.TestCase):
    """NSD, with every documented form."""

    @classmethod
    def setUpClass(cls):
        cls.nsd = nsd_zone.NsdZone()
        cls.addClassCleanup(cls.nsd.close)
        cls.nsd.start()

    def ask(self, *names):
        with Resolver(self.nsd.server) as resolver:
            answers = resolver.ask_all([f"{name}.test" for name in names])
        return [answers[f"{name}.test"] for name in names]

    def test_documented_forms(self):
        one, two, senderid, bare = self.ask(*(f"_mailchannels.{name}" for name in ("one", "two", "senderid", "bare")))
        self.assertEqual(one.txt, ["v=mc1 auth=examplesender"])
        self.assertEqual(two.txt, ["v=mc1 auth=examplesender auth=othersender"])
        self.assertEqual(senderid.txt, ["v=mc1 senderid=examplesender|x-authuser|alice@example.com"])
        self.assertEqual(bare.txt, ["v=mc1"])
        self.assertEqual({answer.ttl for answer in (one, two, senderid, bare)}, {"300"})

    def test_strings_and_records(self):
        strings, records, idn = self.ask("_mailchannels.strings", "_mailchannels.records", "_mailchannels.xn--bcher-kva")
        self.assertEqual((strings.txt, strings.strings), (["v=mc1 auth=examplesender auth=othersender"], "3"))
        self.assertEqual(sorted(records.txt), ["v=mc1 auth=examplesender", "v=mc1 auth=othersender", "v=spf1 -all"])
        self.assertEqual(idn.txt, ["v=mc1 auth=idn"])

    def test_aliases(self):
        alias, eight, nine, dangling, away = self.ask("_mailchannels.alias", "chain8", "chain9", "_mailchannels.dangling",
                                                      "_mailchannels.away")
        self.assertEqual(alias.txt, ["v=mc1 auth=target"])
        self.assertEqual(eight.txt, ["v=mc1 auth=chain"])
        self.assertEqual((nine.status, nine.failure), ("failed", "chain"))
        self.assertEqual((dangling.status, dangling.rcode), ("absent", "NXDOMAIN"))
        self.assertEqual((away.status, away.failure), ("failed", "chain"))

    def test_absent(self):
        nothing, nodata = self.ask("_mailchannels.nothing", "_mailchannels.nodata")
        self.assertEqual((nothing.status, nothing.rcode, nothing.ttl), ("absent", "NXDOMAIN", "60"))
        self.assertEqual((nodata.status, nodata.rcode, nodata.ttl), ("absent", "NOERROR", "60"))

    def test_wildcard(self):
        self.assertEqual(self.ask("_mailchannels.any.wild")[0].txt, ["v=mc1 auth=wild"])

    def test_large(self):
        with Resolver(self.nsd.server) as resolver:
            self.assertEqual(len(resolver.ask("_mailchannels.forty.test").txt), 40)
            self.assertEqual(resolver.stat()["tcp"], 1)
            answer = resolver.ask("_mailchannels.three-hundred.test")
            self.assertEqual((answer.status, answer.failure), ("failed", "malformed"))
            self.assertEqual(resolver.stat()["tcp"], 2)

    def test_refused(self):
        with Resolver(self.nsd.server) as resolver:
            answer = resolver.ask("_mailchannels.other.example")
        self.assertEqual((answer.status, answer.rcode), ("failed", "REFUSED"))

    def test_changes_and_stops(self):
        with nsd_zone.NsdZone() as nsd, Resolver(nsd.server) as resolver:
            for i in range(5):
                nsd.set_record("_mailchannels.new.test", f'"v=mc1 auth=change{i}"')
                self.assertEqual(resolver.ask("_mailchannels.new.test").txt, [f"v=mc1 auth=change{i}"])
            nsd.set_record("_mailchannels.new.test")
            self.assertEqual(resolver.ask("_mailchannels.new.test").status, "absent")
            nsd.stop()
            self.assertEqual(resolver.ask("_mailchannels.one.test").failure, "network")
            nsd.start()
            self.assertEqual(resolver.ask("_mailchannels.one.test").status, "found")

    @unittest.skipUnless(os.path.exists("/proc/net/if_inet6"), "no IPv6 here")
    def test_ipv6(self):
        with nsd_zone.NsdZone("::1") as nsd, Resolver(nsd.server) as resolver:
            self.assertEqual(resolver.ask("_mailchannels.one.test").status, "found")


if __name__ == "__main__":
    unittest.main()

"""Clients that err, stall or flood: they lose their own connection, nobody else's, and memory stays bounded."""

import contextlib
import resource
import socket
import time
import unittest

from helper import DUNNO, Daemon, ask, is_closed, receive_all, receive_answer, request, status_of, wait_until

REQUEST_MAX_S = 10  # policyd's bound from a request's first byte to its empty line, and for taking answers
RSS_MAX_KB = 64 * 1024


def worker_rss_kb(daemon):
    return max(int(status_of(pid, "VmRSS")[0]) for pid in daemon.workers())


class BadBytes(unittest.TestCase):
    CASES = {
        "a NUL": b"request=smtpd_access_policy\nsender=a\0b\n\n",
        "no equals sign": b"request=smtpd_access_policy\nsender\n\n",
        "an endless line": b"sender=" + b"a" * 200000,
        "a line over the bound": b"sender=" + b"a" * 16400 + b"\n\n",
        "10,000 attributes": b"".join(b"name%d=value\n" % i for i in range(10000)) + b"\n",
        "an endless request": b"".join(b"name%d=%s\n" % (i, b"x" * 15000) for i in range(100)),
        "an attribute twice": b"sender=a@example.com\nsender=b@example.com\n\n",
        "something else": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    }

    def test_closed_without_an_answer_and_logged_once(self):
        daemon = Daemon(self).start()
        good = daemon.connect()
        for name, sent in self.CASES.items():
            for where in (daemon.sock_path, daemon.port):
                with self.subTest(name, where=where):
                    before = daemon.log().count("closing its connection")
                    bad = daemon.connect(where)
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        bad.sendall(sent)
                    self.assertEqual(receive_all(bad), b"")
                    self.assertEqual(ask(good), DUNNO)
                    wait_until(lambda: daemon.log().count("closing its connection") > before, "a log line")
                    self.assertEqual(daemon.log().count("closing its connection"), before + 1)
        self.assertLess(worker_rss_kb(daemon), RSS_MAX_KB)

    def test_good_requests_before_the_bad_one_are_answered(self):
        daemon = Daemon(self).start()
        sock = daemon.connect()
        sock.sendall(request() * 2 + b"nonsense\n\n" + request())
        self.assertEqual(receive_all(sock), DUNNO * 2)

    def test_the_log_names_the_client(self):
        daemon = Daemon(self).start()
        sock = daemon.connect(daemon.port)
        sock.sendall(b"nonsense\n\n")
        receive_all(sock)
        daemon.wait_log(f"client 127.0.0.1:{sock.getsockname()[1]}")


class Stalling(unittest.TestCase):
    def test_half_a_request_and_answers_not_taken(self):
        """All that has to wait for the 10 seconds of policyd, side by side."""
        daemon = Daemon(self, log_decisions="none").start()
        good, idle = daemon.connect(), daemon.connect()
        self.assertEqual(ask(idle), DUNNO)
        begin = time.monotonic()
        silent = [daemon.connect(where) for where in (daemon.sock_path, daemon.port)]
        for sock in silent:
            sock.sendall(request()[:-1])
        dripping = daemon.connect()
        deaf = self.deaf_client(daemon)
        waiting = [*silent, dripping]
        younger = None
        while waiting:
            if not younger and time.monotonic() - begin > REQUEST_MAX_S / 2:
                younger = daemon.connect()
                younger.sendall(b"request=")
            self.assertLess(time.monotonic() - begin, REQUEST_MAX_S + 4, daemon.log()[-2000:])
            with contextlib.suppress(BrokenPipeError):
                dripping.send(b"x")
            self.assertEqual(ask(good), DUNNO)
            for sock in [sock for sock in waiting if is_closed(sock)]:
                self.assertGreater(time.monotonic() - begin, REQUEST_MAX_S - 0.5)
                waiting.remove(sock)
            time.sleep(0.05)
        self.assertFalse(is_closed(younger))
        daemon.wait_log("did not take its answers")
        self.assertEqual(daemon.log().count("no whole request"), 3)
        self.assertEqual(ask(idle), DUNNO)
        self.assertLess(worker_rss_kb(daemon), RSS_MAX_KB)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            deaf.settimeout(5)
            while deaf.recv(65536):
                pass

    def deaf_client(self, daemon):
        """Asks until nothing more is taken from it, never reads."""
        sock = daemon.connect()
        sock.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            while True:
                sock.sendall(request() * 100)
        return sock

    def test_slow_reader_gets_every_answer_in_order(self):
        daemon = Daemon(self, log_decisions="none").start()
        sock = daemon.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        count = 0
        sock.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for count in range(1, 20001):
                sock.sendall(request())
        sock.settimeout(20)
        # More than the socket takes, so answers had to wait; how many more is the kernel's to say.
        self.assertTrue(400 < count < 20000, count)
        for _ in range(count - 1):
            self.assertEqual(receive_fast(sock, len(DUNNO)), DUNNO)


def receive_fast(sock, length):
    return sock.recv(length, socket.MSG_WAITALL)


class Flooding(unittest.TestCase):
    def raise_own_limit(self, wanted):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def flood(self, daemon, count):
        """Connections that never ask."""
        socks = []
        for _ in range(count):
            sock = socket.socket(socket.AF_UNIX)
            self.addCleanup(sock.close)
            sock.setblocking(False)
            try:
                sock.connect(daemon.sock_path)
            except BlockingIOError:
                # The backlog is full: the daemon is behind, not gone.
                sock.settimeout(10)
                sock.connect(daemon.sock_path)
            socks.append(sock)
        return socks

    def test_2000_idle_connections(self):
        self.raise_own_limit(4096)
        daemon = Daemon(self, log_decisions="none").start()
        good = daemon.connect()
        before = worker_rss_kb(daemon)
        idle = self.flood(daemon, 2000)
        self.assertEqual(ask(good), DUNNO)
        self.assertEqual(daemon.ask(), DUNNO)
        self.assertLess(worker_rss_kb(daemon) - before, 2000)
        for sock in idle:
            sock.settimeout(10)
            self.assertEqual(ask_quick(sock), DUNNO)
        self.assertLess(worker_rss_kb(daemon) - before, 2000)

    def limited(self, **options):
        daemon = Daemon(self, log_decisions="none", **options)
        return daemon.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))

    def test_64_descriptors(self):
        self.raise_own_limit(4096)
        daemon = self.limited()
        good = daemon.connect()
        self.assertEqual(ask(good), DUNNO)
        flood = []
        for _ in range(10):
            flood += self.flood(daemon, 100)
            self.assertEqual(ask(good), DUNNO)
            self.assertEqual(daemon.ask(), DUNNO)
            self.assertEqual(daemon.ask(where=daemon.port), DUNNO)
        self.assertFalse(is_closed(good))
        self.assertIn("max_connections", daemon.log())
        self.check_no_spin(daemon)
        for sock in flood:
            sock.close()
        self.assertEqual(daemon.ask(), DUNNO)
        self.assertEqual(daemon.stop(), 0)

    def test_64_descriptors_and_a_reload(self):
        daemon = self.limited()
        flood = self.flood(daemon, 60)
        second = str(daemon.folder / "second.sock")
        daemon.configure(listen=[f"unix:{daemon.sock_path}", f"unix:{second}"])
        daemon.reload()
        self.assertEqual(daemon.ask(where=second), DUNNO)
        self.assertTrue(any(is_closed(sock) for sock in flood))

    def test_all_connections_busy(self):
        """Half a request on each of them: a new client waits, nothing spins; it is served once there is room."""
        daemon = self.limited(max_connections="4")
        stalled = [daemon.connect() for _ in range(4)]
        for sock in stalled:
            sock.sendall(b"request=")
        late = daemon.connect()
        late.sendall(request())
        self.check_no_spin(daemon)
        stalled[0].close()
        self.assertEqual(receive_answer(late), DUNNO)

    def check_no_spin(self, daemon):
        """Over half a second of nothing to do the workers use hardly any processor time."""
        def ticks():
            total = 0
            for pid in daemon.workers():
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    fields = file.read().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
            return total

        before = ticks()
        time.sleep(0.5)
        self.assertLessEqual(ticks() - before, 5)


def ask_quick(sock):
    sock.sendall(request())
    return sock.recv(4096)


if __name__ == "__main__":
    unittest.main()

"""The table under a running policyd: missing, loaded, changed, damaged, cured."""

import os
import socket
import threading
import time
import unittest

from helper import DEFER, DUNNO, Daemon, ask, reject, wait_until

CURE = "policyctl load"
OWNERS = "".join(f"user{i}@example.com owner{i}\n" for i in range(5000))


def data_file(daemon):
    return daemon.folder / "state" / "table" / "data.mdb"


def flip_owner(daemon, owner=b"owner7"):
    """Changes a byte in every copy of one owner; the file stays the same file."""
    with open(data_file(daemon), "r+b") as file:
        content = file.read()
        changed = content.replace(owner, owner[:-1] + b"8")
        assert changed != content
        file.seek(0)
        file.write(changed)


class Loading(unittest.TestCase):
    def test_no_table_then_the_first_one(self):
        daemon = Daemon(self, table=None).start()
        self.assertEqual(daemon.ask(), DEFER)
        self.assertEqual(daemon.ask(login=""), DUNNO)
        daemon.wait_log(CURE)
        sock = daemon.connect()
        self.assertEqual(ask(sock), DEFER)
        daemon.load("alice@example.com alice\n")
        self.assertEqual(ask(sock), DUNNO)
        self.assertEqual(ask(sock, login="bob"), reject("bob"))

    def test_change_counts_for_the_next_decision(self):
        daemon = Daemon(self, workers="2").start()
        socks = [daemon.connect() for _ in range(8)]
        for owner in ("bob", "alice", "carol", "alice"):
            daemon.load(f"alice@example.com {owner}\n")
            for sock in socks:
                self.assertEqual(ask(sock, login="bob"), DUNNO if owner == "bob" else reject("bob"))
        daemon.ctl("load", "--merge", "-", stdin="alice@example.com bob\n")
        for sock in socks:
            self.assertEqual(ask(sock, login="bob"), DUNNO)
        daemon.ctl("rollback")
        for sock in socks:
            self.assertEqual(ask(sock, login="bob"), reject("bob"))

    def test_load_while_100_connections_ask(self):
        """alice owns her address in every table; mallory's goes from the one to the other."""
        filler = "".join(f"user{i}@filler.example user{i}\n" for i in range(20000))
        tables = [filler + "alice@example.com alice\nm@example.com mallory\n",
                  filler + "alice@example.com alice\nm@example.com nobody\n"]
        daemon = Daemon(self, table=tables[0], log_decisions="none", workers="2").start()
        stop, wrong, slowest, asked = threading.Event(), [], [0.0], [0]

        def client(socks):
            while not stop.is_set():
                for sock in socks:
                    for sender, login, right in (("alice@example.com", "alice", [DUNNO]),
                                                 ("alice@example.com", "eve", [reject("eve")]),
                                                 ("m@example.com", "mallory", [DUNNO, reject("mallory")])):
                        begin = time.monotonic()
                        answer = ask_fast(sock, sender, login)
                        slowest[0] = max(slowest[0], time.monotonic() - begin)
                        asked[0] += 1
                        if answer not in right:
                            wrong.append((sender, login, answer))

        threads = [threading.Thread(target=client, args=([daemon.connect() for _ in range(25)],)) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(6):
                daemon.load(tables[(turn + 1) % 2])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertLess(slowest[0], 2.0)
        self.assertGreater(asked[0], 300)


def ask_fast(sock, sender, login):
    sock.sendall(f"request=smtpd_access_policy\nsender={sender}\nsasl_username={login}\n\n".encode())
    return sock.recv(4096)


class Damage(unittest.TestCase):
    def check_cure(self, daemon):
        """Everything is deferred, the log names file and cure; a load of the source (after moving the wreck
        away) is taken up without a restart."""
        self.assertEqual(daemon.ask(), DEFER)
        self.assertEqual(daemon.ask("anybody@example.net"), DEFER)
        daemon.wait_log("is damaged")
        line = next(line for line in daemon.log().splitlines() if "is damaged" in line)
        self.assertIn(str(daemon.folder / "state" / "table"), line)
        self.assertIn("policyctl rollback", line)
        self.assertIn("policyctl load", line)
        self.assertIn("reason=table-damaged", daemon.log())
        for name in ("data.mdb", "lock.mdb"):
            os.unlink(daemon.folder / "state" / "table" / name)
        daemon.load("alice@example.com alice\n")
        wait_until(lambda: daemon.ask() == DUNNO, "an answer from the new table")

    def test_flipped_bytes(self):
        daemon = Daemon(self, table=OWNERS)
        flip_owner(daemon)
        daemon.start()
        self.check_cure(daemon)

    def test_truncated_to_whole_pages(self):
        daemon = Daemon(self, table=OWNERS)
        size = os.path.getsize(data_file(daemon))
        os.truncate(data_file(daemon), size // 2 // 4096 * 4096)
        daemon.start()
        self.check_cure(daemon)

    def test_truncated_while_it_runs(self):
        """Every page but the first is lost under the workers: those that touch one die, the daemon lives on."""
        daemon = Daemon(self, table=OWNERS).start()
        self.assertEqual(daemon.ask("user7@example.com", "owner7"), DUNNO)
        os.truncate(data_file(daemon), 8192)

        def deferred():
            try:
                return daemon.ask("user7@example.com", "owner7") == DEFER
            except (ConnectionError, socket.timeout):
                return False

        wait_until(deferred, "a deferral", 15)
        daemon.wait_log("is damaged")
        self.assertIsNone(daemon.child.poll())

    def test_flipped_while_it_runs(self):
        daemon = Daemon(self, table=OWNERS).start()
        self.assertEqual(daemon.ask("user7@example.com", "owner7"), DUNNO)
        flip_owner(daemon)
        self.assertEqual(daemon.ask("user7@example.com", "owner7"), DEFER)
        daemon.wait_log("Every answer that needs it is deferred")
        self.assertEqual(daemon.ask("anybody@example.net"), DEFER)


if __name__ == "__main__":
    unittest.main()

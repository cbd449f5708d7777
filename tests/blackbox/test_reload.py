"""SIGHUP: the new configuration counts whole, or not at all, and no connection is lost."""

import os
import signal
import socket
import unittest

from helper import DUNNO, IS_ROOT, Daemon, ask, free_port, reject, wait_until


class Reload(unittest.TestCase):
    def test_settings_change_on_open_connections(self):
        daemon = Daemon(self, workers="2").start()
        socks = [daemon.connect(where) for where in (daemon.sock_path, daemon.port) for _ in range(4)]
        for sock in socks:
            self.assertEqual(ask(sock, login="bob"), reject("bob"))
        daemon.configure(mode="monitor")
        daemon.reload()
        for sock in socks:
            self.assertEqual(ask(sock, login="bob"), DUNNO)
        daemon.configure(mode="enforce", replies={"not_owned": "550 5.7.1 %s is not yours"})
        daemon.reload()
        for sock in socks:
            self.assertEqual(ask(sock, login="bob"), b"action=550 5.7.1 alice@example.com is not yours\n\n")

    def test_log_settings_change(self):
        daemon = Daemon(self, log_decisions="none").start()
        daemon.ask()
        daemon.configure(log_decisions="all", log_format="json")
        daemon.reload()
        daemon.ask()
        self.assertEqual(daemon.log().count('"decision"') + daemon.log().count(" decision "), 1, daemon.log())

    def test_listeners_come_and_go(self):
        daemon = Daemon(self, workers="2").start()
        kept, dropped = daemon.connect(), daemon.connect(daemon.port)
        self.assertEqual(ask(kept), DUNNO)
        self.assertEqual(ask(dropped), DUNNO)
        inode = os.stat(daemon.sock_path).st_ino
        second, port = str(daemon.folder / "second.sock"), free_port()
        daemon.configure(listen=[f"unix:{second}", f"unix:{daemon.sock_path}", f"inet:127.0.0.1:{port}"])
        daemon.reload()
        for where in (second, daemon.sock_path, port):
            for _ in range(8):
                self.assertEqual(daemon.ask(where=where), DUNNO)
        self.assertEqual(os.stat(daemon.sock_path).st_ino, inode)
        self.assertEqual(ask(kept), DUNNO)
        self.assertEqual(ask(dropped), DUNNO)
        with self.assertRaises(ConnectionRefusedError):
            daemon.connect(daemon.port)
        daemon.configure(listen=[f"unix:{second}"])
        daemon.reload()
        self.assertFalse(os.path.exists(daemon.sock_path))
        self.assertEqual(ask(kept), DUNNO)
        self.assertEqual(daemon.ask(where=second), DUNNO)

    def test_worker_started_after_a_reload_has_the_new_configuration(self):
        daemon = Daemon(self).start()
        daemon.configure(mode="monitor")
        daemon.reload()
        victim = daemon.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: daemon.workers() not in ([], [victim]), "a new worker")
        self.assertEqual(daemon.ask(login="bob"), DUNNO)

    def test_wrong_configuration_is_refused_whole(self):
        daemon = Daemon(self).start()
        sock = daemon.connect()
        daemon.configure(mode="monitor", workers="many", match={"semantics": "unoin"})
        daemon.reload()
        self.assertIn("unoin", daemon.log())
        self.assertIn("many", daemon.log())
        self.assertIn("keeping the old", daemon.log())
        self.assertEqual(ask(sock, login="bob"), reject("bob"))
        self.assertEqual(daemon.ask(login="bob", where=daemon.port), reject("bob"))

    def test_listener_that_cannot_be_bound_refuses_all_of_it(self):
        daemon = Daemon(self).start()
        good = str(daemon.folder / "good.sock")
        daemon.configure(mode="monitor", listen=[f"unix:{good}", f"unix:{daemon.folder}/no/such.sock"])
        daemon.reload()
        self.assertIn("mkdir -p", daemon.log())
        self.assertFalse(os.path.exists(good))
        self.assertEqual(daemon.ask(login="bob"), reject("bob"))
        self.assertEqual(daemon.ask(login="bob", where=daemon.port), reject("bob"))

    def test_what_only_a_restart_changes_is_named(self):
        daemon = Daemon(self).start()
        daemon.configure(state_dir=str(daemon.folder / "other"), workers="3", table_max_mb="128", mode="monitor",
                         **({"user": "daemon"} if IS_ROOT else {}))
        daemon.reload()
        for option in ["state_dir", "workers", "table_max_mb"] + (["user"] if IS_ROOT else []):
            self.assertIn(f"[policyd] {option} changes with a restart only", daemon.log())
        self.assertNotIn("[policyd] group changes", daemon.log())
        self.assertEqual(len(daemon.workers()), 1)
        self.assertEqual(daemon.ask(login="bob"), DUNNO)
        self.assertFalse((daemon.folder / "other").exists())

    def test_notifications(self):
        daemon = Daemon(self).start()
        daemon.notify.messages.clear()
        daemon.reload()
        self.assertEqual(daemon.notify.messages[0], "RELOADING=1")
        self.assertRegex(daemon.notify.messages[1], r"^MONOTONIC_USEC=\d+$")
        self.assertEqual(daemon.notify.messages[-1], "READY=1")

    def test_nobody_reads_notifications(self):
        """The daemon does not wait for ever for who started it."""
        with open("/proc/sys/net/unix/max_dgram_qlen", encoding="ascii") as file:
            room = int(file.read())
        daemon = Daemon(self).start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with self.assertRaises(BlockingIOError):
                for _ in range(room + 2):
                    other.sendto(b"X=1", daemon.notify.name)
        daemon.configure(mode="monitor")
        daemon.child.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.ask(login="bob") == DUNNO, "the new configuration")
        self.assertEqual(daemon.stop(), 0)
        self.assertIn("cannot tell it anything", daemon.log())

    def test_many_in_a_row(self):
        daemon = Daemon(self, workers="2").start()
        sock = daemon.connect()
        for turn in range(20):
            daemon.configure(mode="monitor" if turn % 2 else "enforce")
            daemon.child.send_signal(signal.SIGHUP)
            self.assertIn(ask(sock, login="bob"), (DUNNO, reject("bob")))
        daemon.configure(mode="monitor")
        daemon.reload()
        wait_until(lambda: ask(sock, login="bob") == DUNNO, "the last configuration")
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()

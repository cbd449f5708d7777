"""Processes that die: the others go on, what died is back within a second."""

import contextlib
import os
import signal
import threading
import time
import unittest

from helper import DUNNO, Daemon, ask, is_alive, reject, wait_until

BACK_WITHIN_S = 1.0


def keeps_asking(daemon, stop, failures, answers):
    """Asks without a pause; a connection that broke is made again at once, as Postfix does."""
    sock = None
    while not stop.is_set():
        try:
            sock = sock or daemon.connect()
            answer = ask(sock)
            answers.append(time.monotonic())
            if answer == b"":
                sock = None
            elif answer != DUNNO:
                failures.append(answer)
        except ConnectionError:
            sock = None


class Death(unittest.TestCase):
    def check_back(self, daemon, pid, of):
        """The one that replaces pid, within a second of its death."""
        os.kill(pid, signal.SIGKILL)
        return wait_until(lambda: (not is_alive(pid) and len(of()) == self.count and of()), "a new process",
                          BACK_WITHIN_S)

    def test_worker_killed_under_load(self):
        daemon = Daemon(self, workers="3", log_decisions="none").start()
        self.count = 3
        stop, failures, answers = threading.Event(), [], []
        threads = [threading.Thread(target=keeps_asking, args=(daemon, stop, failures, answers)) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                victim = daemon.workers()[0]
                others = set(daemon.workers()[1:])
                self.check_back(daemon, victim, daemon.workers)
                self.assertLessEqual(others, set(daemon.workers()))
                time.sleep(1.1)  # a death within a second of its start would count as a failed start
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        gaps = [after - before for before, after in zip(answers, answers[1:])]
        self.assertLess(max(gaps), BACK_WITHIN_S)
        self.assertIn("killed by signal 9", daemon.log())

    def test_only_worker_is_back_and_serves(self):
        daemon = Daemon(self).start()
        self.count = 1
        sock = daemon.connect()
        self.assertEqual(ask(sock), DUNNO)
        time.sleep(1.1)
        self.check_back(daemon, daemon.workers()[0], daemon.workers)
        self.assertEqual(sock.recv(1), b"")
        self.assertEqual(daemon.ask(), DUNNO)

    def test_keeper_is_back_and_still_watches(self):
        daemon = Daemon(self).start()
        self.count = 2
        time.sleep(1.1)
        keeper = daemon.keeper()
        self.check_back(daemon, keeper, daemon.processes)
        self.assertEqual(daemon.ask(), DUNNO)
        os.truncate(daemon.folder / "state" / "table" / "data.mdb", 8192)
        daemon.wait_log("is damaged")

    def test_table_exchanged_while_there_is_no_keeper(self):
        """Workers hold the old file open; the next keeper cannot know what there was before it."""
        daemon = Daemon(self).start()
        other = Daemon(self, table="alice@example.com  bob\n")
        self.assertEqual(daemon.ask(login="bob"), reject("bob"))
        os.kill(daemon.keeper(), signal.SIGKILL)
        os.rename(daemon.folder / "state" / "table", daemon.folder / "state" / "before")
        os.rename(other.folder / "state" / "table", daemon.folder / "state" / "table")
        wait_until(lambda: daemon.ask(login="bob") == DUNNO, "an answer from the other table")
        self.assertEqual(daemon.ask(), reject("alice"))

    def test_instant_deaths_are_no_fork_loop(self):
        daemon = Daemon(self).start()
        end = time.monotonic() + 2
        killed = 0
        while time.monotonic() < end:
            with contextlib.suppress(IndexError, ProcessLookupError):
                os.kill(daemon.workers()[0], signal.SIGKILL)
                killed += 1
            time.sleep(0.005)
        self.assertLess(daemon.log().count("killed by signal 9"), 10)
        wait_until(lambda: len(daemon.workers()) == 1, "a worker", 6)
        self.assertEqual(daemon.ask(), DUNNO)

    def test_no_process_outlives_the_supervisor(self):
        daemon = Daemon(self, workers="2").start()
        processes = daemon.processes()
        self.assertEqual(len(processes), 3)
        daemon.child.kill()
        daemon.child.wait()
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")

    def test_killed_and_started_again(self):
        """What a kill -9 of everything leaves behind does not hinder the next start."""
        daemon = Daemon(self).start()
        processes = daemon.processes()
        os.killpg(daemon.child.pid, signal.SIGKILL)
        daemon.child.wait()
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")
        daemon.start()
        self.assertEqual(daemon.ask(), DUNNO)


if __name__ == "__main__":
    unittest.main()

"""Start, answers, sockets, privileges and end of one policyd."""

import grp
import os
import pwd
import signal
import socket
import stat
import subprocess
import unittest

from helper import (DUNNO, GROUP, IS_ROOT, POLICYD, USER, Daemon, ask, is_alive, receive_all, receive_answer,
                    reject, request, status_of, wait_until)


class Answers(unittest.TestCase):
    def test_dunno_and_reject_on_every_listener(self):
        daemon = Daemon(self)
        second = str(daemon.folder / "second.sock")
        daemon.configure(listen=[f"unix:{daemon.sock_path}", f"unix:{second}", f"inet:127.0.0.1:{daemon.port}"])
        daemon.start()
        for where in (daemon.sock_path, second, daemon.port):
            with self.subTest(where=where):
                self.assertEqual(daemon.ask(where=where), DUNNO)
                self.assertEqual(daemon.ask("bob@example.com", where=where), reject("alice"))

    def test_persistent_connection(self):
        daemon = Daemon(self).start()
        for where in (daemon.sock_path, daemon.port):
            sock = daemon.connect(where)
            for _ in range(200):
                self.assertEqual(ask(sock), DUNNO)
                self.assertEqual(ask(sock, "alice@example.com", "bob"), reject("bob"))

    def test_pipelined_answers_come_in_order(self):
        daemon = Daemon(self, log_decisions="none").start()
        logins = [f"user{i}" for i in range(1000)]
        for where in (daemon.sock_path, daemon.port):
            sock = daemon.connect(where)
            sock.sendall(b"".join(request(login=login) for login in logins))
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(sock), b"".join(map(reject, logins)))

    def test_pipelining_client_leaves_others_their_turn(self):
        daemon = Daemon(self, log_decisions="none").start()
        greedy, modest = daemon.connect(), daemon.connect()
        sent = request() * 50
        greedy.sendall(sent)
        self.assertEqual(ask(modest, login="bob"), reject("bob"))
        self.assertEqual(b"".join(receive_answer(greedy) for _ in range(50)), DUNNO * 50)

    def test_end_of_file_in_the_middle_is_no_question(self):
        daemon = Daemon(self).start()
        sock = daemon.connect()
        sock.sendall(request()[:-1])
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(sock), b"")
        self.assertEqual(daemon.ask(), DUNNO)
        self.assertEqual(daemon.log().count(" decision "), 1, daemon.log())

    def test_large_request(self):
        daemon = Daemon(self).start()
        more = {f"filler{i}": "x" * 16000 for i in range(3)}
        self.assertEqual(daemon.ask(**more), DUNNO)
        self.assertEqual(daemon.ask(login="bob", where=daemon.port, **more), reject("bob"))


class Log(unittest.TestCase):
    def decisions(self, daemon):
        return [line for line in daemon.log().splitlines() if " decision " in line]

    def test_a_line_a_decision(self):
        daemon = Daemon(self).start()
        daemon.ask("bob@example.com", "alice\x7f", client_address="192.0.2.7", instance="1a.2b")
        daemon.ask(client_address="192.0.2.8", queue_id="4QxYz", instance="1a.2c")
        refused, allowed = self.decisions(daemon)
        for part in ("login=", "\\x7F", "sender=bob@example.com", "client=192.0.2.7", "instance=1a.2b",
                     "verdict=REJECT", " us="):
            self.assertIn(part.lower(), refused.lower())
        for part in ("login=alice", "queue_id=4QxYz", "verdict=DUNNO", "reason=row", "row=", "alice@example.com"):
            self.assertIn(part, allowed)
        self.assertNotEqual(*(line.partition("id=")[2].split()[0] for line in (refused, allowed)))

    def test_refused_only_and_none(self):
        for which, lines in (("refused", 1), ("none", 0)):
            with self.subTest(log_decisions=which):
                daemon = Daemon(self, log_decisions=which).start()
                daemon.ask()
                daemon.ask(login="bob")
                self.assertEqual(len(self.decisions(daemon)), lines, daemon.log())

    def test_log_that_nobody_reads_holds_up_no_answer(self):
        daemon = Daemon(self)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        command = [POLICYD, "-c", str(daemon.ini)]
        daemon.start(command=["sh", "-c", f'exec "$0" "$@" 2>&{writer}', *command], pass_fds=[writer])
        os.close(writer)
        with daemon.connect() as sock:
            for _ in range(2000):
                self.assertEqual(ask(sock), DUNNO)
            log = b""
            while b"could not be written" not in log:
                log += os.read(reader, 65536)
                self.assertEqual(ask(sock), DUNNO)

    def test_monitor_says_what_it_would_have_been(self):
        daemon = Daemon(self, mode="monitor").start()
        self.assertEqual(daemon.ask(login="bob"), DUNNO)
        self.assertIn("verdict=monitor:REJECT", daemon.log())


class CommandLine(unittest.TestCase):
    def run_it(self, *words):
        return subprocess.run([POLICYD, *words], capture_output=True, text=True, timeout=10, check=False)

    def test_version(self):
        done = self.run_it("-V")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^policyd \d+\.\d+\.\d+\n$")

    def test_usage(self):
        for words in (["-x"], ["-t", "word"], ["-c"]):
            done = self.run_it(*words)
            self.assertEqual(done.returncode, 2)
            self.assertIn("usage: policyd", done.stderr)

    def test_check_of_the_configuration(self):
        daemon = Daemon(self, table=None)
        self.assertEqual(self.run_it("-c", str(daemon.ini), "-t").returncode, 0)
        daemon.configure(workers="many")
        done = self.run_it("-c", str(daemon.ini), "-t")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"policyd\.ini:\d+: .*workers")
        self.assertEqual(self.run_it("-c", str(daemon.ini), "-o", "policyd.workers=1", "-t").returncode, 1)

    def test_override(self):
        daemon = Daemon(self)
        daemon.start(command=[POLICYD, "-c", str(daemon.ini), "-o", "match.unlisted_sender=permit"])
        self.assertEqual(daemon.ask("nobody.knows@example.net"), DUNNO)


class Start(unittest.TestCase):
    def test_ready_over_an_abstract_socket(self):
        daemon = Daemon(self)
        daemon.notify.close()
        daemon.notify = type(daemon.notify)(f"@policyd-test-{os.getpid()}")
        daemon.start()
        self.assertEqual(daemon.ask(), DUNNO)
        self.assertEqual(daemon.stop(), 0)
        self.assertTrue(daemon.notify.wait("STOPPING=1"))

    def test_missing_folder(self):
        daemon = Daemon(self, table=None)
        daemon.configure(listen=f"unix:{daemon.folder}/no/such/policy.sock")
        self.assertIn(f"mkdir -p {daemon.folder}/no/such\n", daemon.fail_to_start())

    def test_every_wrong_listener_is_named(self):
        daemon = Daemon(self, table=None)
        file = daemon.folder / "file"
        file.write_text("precious")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            daemon.configure(listen=[f"unix:{file}", f"inet:127.0.0.1:{taken.getsockname()[1]}",
                                     f"inet:192.0.2.1:{daemon.port}"])
            log = daemon.fail_to_start()
        self.assertIn("is no socket", log)
        self.assertIn("another process uses that port", log)
        self.assertIn("no such address", log)
        self.assertEqual(file.read_text(), "precious")

    def test_socket_in_use_and_socket_left_behind(self):
        daemon = Daemon(self)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(daemon.sock_path)
            other.listen()
            self.assertIn("another process listens on it", daemon.fail_to_start())
        daemon.start()
        self.assertEqual(daemon.ask(), DUNNO)

    def test_mode_of_the_socket(self):
        daemon = Daemon(self, socket_mode="0600").start()
        self.assertEqual(stat.S_IMODE(os.stat(daemon.sock_path).st_mode), 0o600)

    def test_state_dir_is_made(self):
        daemon = Daemon(self, table=None).start()
        made = os.stat(daemon.folder / "state")
        self.assertEqual(stat.S_IMODE(made.st_mode), 0o700)
        if IS_ROOT:
            self.assertEqual(made.st_uid, pwd.getpwnam(USER).pw_uid)

    def test_state_dir_that_others_may_write_to(self):
        daemon = Daemon(self)
        os.chmod(daemon.folder / "state", 0o770)
        self.assertIn("chmod 0700", daemon.fail_to_start())

    def test_state_dir_without_parent(self):
        daemon = Daemon(self, table=None)
        daemon.configure(state_dir=f"{daemon.folder}/no/such/state")
        self.assertIn("mkdir -p", daemon.fail_to_start())

    def test_max_connections_over_the_limit_is_a_warning(self):
        daemon = Daemon(self, max_connections="1000000").start()
        self.assertIn("max_connections = 1000000 does not fit", daemon.log())


class HandedOver(unittest.TestCase):
    """LISTEN_FDS, as systemd does it."""

    def listener(self, daemon):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.bind(daemon.sock_path)
        os.chmod(daemon.sock_path, 0o666)
        sock.listen(100)
        return sock

    def spawn(self, start, daemon, sock):
        fd = sock.fileno()
        start(command=["/bin/sh", "-c", f'exec 3<&{fd}; LISTEN_PID=$$ exec "$0" "$@"', POLICYD, "-c", str(daemon.ini)],
              env={"LISTEN_FDS": "1"}, pass_fds=[fd])

    def test_socket_is_used_and_stays(self):
        daemon = Daemon(self)
        sock = self.listener(daemon)
        inode = os.stat(daemon.sock_path).st_ino
        self.spawn(daemon.start, daemon, sock)
        self.assertEqual(daemon.ask(), DUNNO)
        self.assertEqual(daemon.ask(where=daemon.port), DUNNO)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(os.stat(daemon.sock_path).st_ino, inode)

    def test_request_that_waits_while_policyd_is_away(self):
        daemon = Daemon(self)
        sock = self.listener(daemon)
        client = daemon.connect()
        client.sendall(request())
        self.spawn(daemon.start, daemon, sock)
        self.assertEqual(receive_answer(client), DUNNO)

    def test_socket_that_no_listen_names(self):
        daemon = Daemon(self)
        sock = self.listener(daemon)
        daemon.configure(listen=f"inet:127.0.0.1:{daemon.port}")
        self.spawn(daemon.spawn, daemon, sock)
        self.assertEqual(daemon.child.wait(10), 1)
        self.assertIn(f"unix:{daemon.sock_path}, which no `listen`", daemon.log())


@unittest.skipUnless(IS_ROOT, "needs root")
class Privileges(unittest.TestCase):
    def test_all_processes_are_the_user(self):
        daemon = Daemon(self, workers="2").start()
        uid, gid = str(pwd.getpwnam(USER).pw_uid), str(grp.getgrnam(GROUP).gr_gid)
        processes = [daemon.child.pid, *daemon.processes()]
        self.assertEqual(len(processes), 4)
        for pid in processes:
            self.assertEqual(status_of(pid, "Uid"), [uid] * 4)
            self.assertEqual(status_of(pid, "Gid"), [gid] * 4)
            self.assertNotIn("0", status_of(pid, "Groups"))

    def test_root_without_user(self):
        daemon = Daemon(self, table=None, user="", group="")
        self.assertIn("started as root without a user", daemon.fail_to_start())

    def test_root_as_user(self):
        daemon = Daemon(self, table=None, user="root", group="")
        self.assertIn("root", daemon.fail_to_start())

    def test_unknown_user_and_group(self):
        daemon = Daemon(self, table=None, user="no-such-user")
        self.assertIn('no user "no-such-user"', daemon.fail_to_start())
        daemon = Daemon(self, table=None, socket_group="no-such-group")
        self.assertIn('no group "no-such-group"', daemon.fail_to_start())

    def test_socket_group(self):
        daemon = Daemon(self, socket_group="daemon").start()
        self.assertEqual(os.stat(daemon.sock_path).st_gid, grp.getgrnam("daemon").gr_gid)


class End(unittest.TestCase):
    def test_request_in_flight_is_answered(self):
        daemon = Daemon(self).start()
        idle, busy = daemon.connect(), daemon.connect(daemon.port)
        self.assertEqual(ask(idle), DUNNO)
        half = len(request()) // 2
        self.assertEqual(ask(busy), DUNNO)
        busy.sendall(request()[:half])
        supervisor, processes = daemon.child, daemon.processes()
        daemon_has_read = daemon.ask()
        self.assertEqual(daemon_has_read, DUNNO)
        supervisor.send_signal(signal.SIGTERM)
        self.assertEqual(idle.recv(1), b"")
        busy.sendall(request()[half:])
        self.assertEqual(receive_all(busy), DUNNO)
        self.assertEqual(supervisor.wait(5), 0)
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")
        self.assertFalse(os.path.exists(daemon.sock_path))

    def test_request_that_nobody_read_yet_is_answered(self):
        """It arrives while the worker is stopped, and the SIGTERM after it."""
        daemon = Daemon(self).start()
        socks = [daemon.connect() for _ in range(8)]
        for sock in socks:
            self.assertEqual(ask(sock), DUNNO)
        worker = daemon.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: status_of(worker, "State")[0] == "T", "the worker to stop")
        for sock in socks:
            sock.sendall(request())
        daemon.child.send_signal(signal.SIGTERM)
        daemon.wait_log("stopping")
        os.kill(worker, signal.SIGCONT)
        for sock in socks:
            self.assertEqual(receive_all(sock), DUNNO)
        self.assertEqual(daemon.child.wait(5), 0)

    def test_client_that_never_finishes_is_not_waited_for(self):
        daemon = Daemon(self).start()
        daemon.connect().sendall(request()[:-1])
        daemon.ask()
        self.assertEqual(daemon.stop(), 0)
        self.assertIn("did not finish within 5 seconds", daemon.log())

    def test_interrupt_from_the_terminal(self):
        daemon = Daemon(self).start()
        os.killpg(daemon.child.pid, signal.SIGINT)
        self.assertEqual(daemon.child.wait(10), 0)


if __name__ == "__main__":
    unittest.main()

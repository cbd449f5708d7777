"""policyctl of somebody who may not open policyd's files: what it sends to the control socket, what it makes of the answer.

Knows: the control protocol as the keeper sees it; a keeper of its own stands here in the daemon's place.
Must not know: which role a command needs.
"""

import array
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.parse

import ctl
from ctl import IS_ROOT, NO, UNKNOWN, USAGE, YES, Ctl, Result

STRANGER = "daemon"  # a user every Debian has, and not the owner of the state folder
TIMEOUT_S = 20


class Keeper(threading.Thread):
    """Takes one request with its descriptors; `act` does what it likes with them and returns the answer."""

    def __init__(self, path, act):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen()
        self.listener.settimeout(TIMEOUT_S)
        self.act = act
        self.words = self.attributes = None
        self.start()

    def run(self):
        with self.listener, self.listener.accept()[0] as client:
            client.settimeout(TIMEOUT_S)
            data, ancillary, _, _ = client.recvmsg(70000, socket.CMSG_SPACE(64))
            while not data.endswith(b"\n\n"):
                data += client.recv(70000)
            fds = array.array("i")
            for _, _, payload in ancillary:
                fds.frombytes(payload)
            pairs = [line.split("=", 1) for line in data.decode("ascii").splitlines() if line]
            self.attributes = [(name, urllib.parse.unquote(value)) for name, value in pairs]
            self.words = [value for name, value in self.attributes if name == "arg"]
            with contextlib.ExitStack() as files:
                streams = [files.enter_context(open(fd, mode, buffering=0)) for fd, mode in zip(fds, ("rb", "wb", "wb"))]
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(self.act(client, *streams))


@unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
class Case(unittest.TestCase):
    def setUp(self):
        self.ctl = Ctl()
        self.addCleanup(self.ctl.close)
        self.ctl.load("a@x.example joe\n")
        # The tree may be closed to others (/root).
        self.program = shutil.copy(ctl.POLICYCTL, self.ctl.dir)
        os.chmod(self.program, 0o755)
        self.socket = self.ctl.dir / "control.sock"

    def keeper(self, act):
        keeper = Keeper(self.socket, act)
        self.addCleanup(keeper.join, TIMEOUT_S)
        return keeper

    def command(self, *args):
        return [self.program, *self.ctl.command(*args)[1:]]

    def run_as_stranger(self, *args, stdin=b""):
        return Result(subprocess.run(self.command(*args), input=stdin, capture_output=True, check=False, cwd=self.ctl.dir,
                                     user=STRANGER, group=STRANGER, extra_groups=[], timeout=TIMEOUT_S))


class Requests(Case):
    def test_words_and_descriptors(self):
        def act(_client, stdin, stdout, stderr):
            stdout.write(b"out:" + stdin.read())
            stderr.write(b"err")
            return b"status=done\nexit=1\n\n"

        keeper = self.keeper(act)
        done = self.run_as_stranger("domain", "remove", "x.example", "--reason=100 % sure, \u00fc\u0001".rstrip("\1"),
                                    stdin=b"yes\n")
        self.assertEqual((done.code, done.out, done.err), (NO, "out:yes\n", "err"))
        self.assertEqual(keeper.attributes[:2], [("request", "policyd_control"), ("command", "run")])
        self.assertEqual(keeper.words, ["domain", "remove", "x.example", "--reason=100 % sure, \u00fc"])

    def test_file_is_opened_by_who_asks(self):
        (self.ctl.dir / "new.map").write_text("b@x.example joe\n")
        secret = self.ctl.dir / "secret.map"
        secret.write_text("secret")
        secret.chmod(0o600)
        self.assertIn("secret.map: Permission denied", self.run_as_stranger("load", "secret.map").err)

        def act(_client, stdin, stdout, _stderr):
            stdout.write(stdin.read())
            return b"status=done\nexit=0\n\n"

        keeper = self.keeper(act)
        done = self.run_as_stranger("load", "--format", "csv", "new.map", "--dry-run")
        self.assertEqual((done.code, done.out), (YES, "b@x.example joe\n"))
        self.assertEqual(keeper.words, ["load", "--format", "csv", "-", "--dry-run"])

    def test_operand_that_is_no_file_stays(self):
        keeper = self.keeper(lambda *_: b"status=done\nexit=0\n\n")
        self.assertEqual(self.run_as_stranger("who", "new.map").code, YES)
        self.assertEqual(keeper.words, ["who", "new.map"])

    def test_wrong_command_line_is_told_at_once(self):
        self.assertIn("there is no command", self.run_as_stranger("stat").err)
        self.assertIn("usage: policyctl who", self.run_as_stranger("who").err)

    def test_overrides_are_the_daemons(self):
        done = self.run_as_stranger("-o", "match.semantics=first-hit", "status")
        self.assertEqual(done.code, USAGE)
        self.assertIn("-o match.semantics=first-hit: policyd runs this for you, with its own configuration", done.err)

    def test_where_the_daemon_is_may_be_said(self):
        self.socket = self.ctl.dir / "elsewhere.sock"
        keeper = self.keeper(lambda *_: b"status=done\nexit=0\n\n")
        self.assertEqual(self.run_as_stranger("-o", f"control.socket=unix:{self.socket}", "status").code, YES)
        self.assertEqual(keeper.words, ["status"])

    def test_too_many_words(self):
        done = self.run_as_stranger("domain", "allow", "x.example", *[f"user{i:0200}@example.com" for i in range(600)])
        self.assertEqual(done.code, USAGE)
        self.assertIn("too many words for the control socket", done.err)

    def test_cache_too(self):
        keeper = self.keeper(lambda *_: b"status=done\nexit=0\n\n")
        self.assertEqual(self.run_as_stranger("cache", "stats").code, YES)
        self.assertEqual(keeper.words, ["cache", "stats"])

    def test_root_and_the_owner_go_straight(self):
        self.ctl.run("status", code=YES)  # no keeper is there to be asked
        other = Ctl(make_state=False)
        self.addCleanup(other.close)
        other.state.mkdir(mode=0o700)
        shutil.chown(other.state, STRANGER, STRANGER)
        done = subprocess.run([self.program, *other.command("load", "-")[1:]], input=b"a@x.example joe\n",
                              capture_output=True, check=False, user=STRANGER, group=STRANGER, extra_groups=[])
        self.assertEqual(done.returncode, YES, done.stderr)


class Answers(Case):
    def outcome(self, answer):
        keeper = self.keeper(lambda *_: answer)
        done = self.run_as_stranger("status")
        keeper.join(TIMEOUT_S)
        self.socket.unlink()
        return done.code, done.err

    def test_exit_codes(self):
        for number, code in (("0", YES), ("1", NO), ("2", USAGE), ("3", UNKNOWN), ("127", UNKNOWN), ("", UNKNOWN)):
            with self.subTest(number):
                self.assertEqual(self.outcome(f"status=done\nexit={number}\n\n".encode()), (code, ""))

    def test_refused(self):
        self.assertEqual(self.outcome(b"status=refused\nrole=read\ngroups=mailadmins\n"
                                      b"text=status needs the role read, which group mailadmins%1B has\n\n"),
                         (NO, "policyctl: status needs the role read, which group mailadmins\\x1b has\n"))

    def test_error(self):
        self.assertEqual(self.outcome(b"status=error\ntext=too many at a time\n\n"),
                         (UNKNOWN, "policyctl: too many at a time\n"))

    def test_no_answer(self):
        code, err = self.outcome(b"")
        self.assertEqual(code, UNKNOWN)
        self.assertIn("policyd ended before this was done", err)

    def test_no_message(self):
        code, err = self.outcome(b"hello\n\n")
        self.assertEqual(code, UNKNOWN)
        self.assertIn("its answer has another form", err)


class Trouble(Case):
    def test_no_daemon(self):
        for left_over in (False, True):
            with self.subTest(left_over):
                if left_over:
                    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                        sock.bind(str(self.socket))
                    os.chmod(self.socket, 0o666)
                done = self.run_as_stranger("status")
                self.assertEqual(done.code, UNKNOWN)
                self.assertRegex(done.err, r"belongs to user root: run this as root.*, or have policyd do it for you, "
                                           r"which cannot be reached at .*/control\.sock: it does not run")

    def test_lockdown_needs_no_daemon(self):
        done = self.run_as_stranger("-o", "dns.nameserver=127.0.0.1:9", "-o", "dns.deadline_ms=200", "-o",
                                    "dns.timeout_ms=100", "lockdown", "x.example")
        self.assertIn("x.example", done.out)

    def test_ctrl_c_ends_the_run(self):
        seen = threading.Event()
        gone = threading.Event()

        def act(client, *_):
            seen.set()
            if client.recv(1) == b"":
                gone.set()
            return b""

        self.keeper(act)
        child = subprocess.Popen(self.command("status"), user=STRANGER, group=STRANGER, extra_groups=[])
        self.addCleanup(child.wait)
        self.assertTrue(seen.wait(TIMEOUT_S))
        child.send_signal(signal.SIGINT)
        self.assertTrue(gone.wait(TIMEOUT_S))


class Telling(Case):
    """The daemon is told of a change, and of nothing else."""

    def test_follow_after_a_change(self):
        keeper = self.keeper(lambda *_: b"status=ok\n\n")
        self.ctl.load("b@x.example joe\n", "--merge")
        keeper.join(TIMEOUT_S)
        self.assertIn(("command", "follow"), keeper.attributes)

    def test_ping_of_status(self):
        keeper = self.keeper(lambda *_: b"status=ok\n\n")
        self.assertIn(f"daemon     answers at {self.socket}\n", self.ctl.run("status", code=YES).out)
        self.assertEqual(keeper.attributes, [("request", "policyd_control"), ("command", "ping")])

    def test_a_daemon_that_hangs_holds_nothing_up_for_long(self):
        hold = threading.Event()
        self.keeper(lambda *_: hold.wait(TIMEOUT_S) and b"")
        self.addCleanup(hold.set)
        self.ctl.load("b@x.example joe\n", "--merge")


if __name__ == "__main__":
    unittest.main()

"""One policyd under test: its folder, its configuration, its processes, and policyctl beside it.

Knows: the options and files of policyd and policyctl as an administrator does.
Must not know: Postfix.
Fails: PolicyError with the end of policyd's log.

The programs are taken from $BUILD (default build/) of this tree.
"""

import os
import shutil
import signal
import socket
import subprocess
import time

from postfixlab import LabError, group_alive, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
POLICYD = os.path.join(BUILD, "policyd")
POLICYCTL = os.path.join(BUILD, "policyctl")
READY_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
USER = "nobody"
GROUP = "nogroup"


class PolicyError(Exception):
    """policyd or policyctl did not do what a test needs before it can ask its question."""


def missing_programs():
    """Return the programs that are not built."""
    return [path for path in (POLICYD, POLICYCTL)
            if not (os.path.isfile(path) and os.access(path, os.X_OK))]


class PolicyProcess:
    """policyd with a state folder of its own; the socket may lie anywhere."""

    def __init__(self, folder, listen, socket_group, match=None, sections=None, env=None, **policyd):
        """match and policyd hold keys of those two sections of policyd.ini, sections more of them by name; env is what
        both programs have in their environment besides the test's own."""
        self.folder = folder
        self.env = {**os.environ, **(env or {})}
        self.ini = os.path.join(folder, "policyd.ini")
        self.log_file = os.path.join(folder, "policyd.log")
        self.child = None
        state_dir = os.path.join(folder, "state")
        os.mkdir(folder, 0o755)
        os.mkdir(state_dir, 0o700)
        shutil.chown(state_dir, USER, GROUP)
        keys = {"listen": listen, "socket_group": socket_group, "user": USER, "group": GROUP,
                "state_dir": state_dir, "table_max_mb": "64", **policyd}
        with open(self.ini, "w", encoding="utf-8") as file:
            for section, pairs in {"policyd": keys, "match": match or {}, **(sections or {})}.items():
                file.write(f"[{section}]\n")
                file.writelines(f"{name} = {value}\n" for name, value in pairs.items())

    def ctl(self, *words, stdin=None, codes=(0,)):
        """Run policyctl, which must exit with one of codes; return what it printed."""
        done = subprocess.run([POLICYCTL, "-c", self.ini, *words], input=stdin, capture_output=True,
                              text=True, env=self.env, check=False)
        if done.returncode not in codes:
            raise PolicyError(f"policyctl {words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def load(self, table):
        """Replace the table by this text in the postfix format."""
        self.ctl("load", "--force", "-", stdin=table)

    def start(self):
        """Start it and return once it has said READY=1."""
        path = os.path.join(self.folder, "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(self.log_file, "ab") as log:
            notify.bind(path)
            os.chmod(path, 0o666)
            notify.settimeout(0.1)
            try:
                self.child = subprocess.Popen(
                    [POLICYD, "-c", self.ini], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=dict(self.env, NOTIFY_SOCKET=path), start_new_session=True)
                self._wait_ready(notify)
            finally:
                os.unlink(path)

    def _wait_ready(self, notify):
        end = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end:
            try:
                if b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
            except socket.timeout:
                if self.child.poll() is not None:
                    break
        code = self.child.poll()
        self.kill()
        raise PolicyError(f"policyd never said READY=1 (exit {code})\n{self.log()[-4000:]}")

    def log(self):
        """Return what it wrote so far."""
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def kill(self):
        """kill -9 supervisor, keeper and workers at once."""
        if self.child is None:
            return
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()
        pgid, self.child = self.child.pid, None
        wait_until(lambda: not group_alive(pgid), STOP_TIMEOUT_S, "policyd's processes to die")

    def stop(self):
        """SIGTERM; return the exit code, after which none of its processes may be left."""
        if self.child is None:
            return None
        self.child.terminate()
        try:
            code = self.child.wait(STOP_TIMEOUT_S)
            pgid = self.child.pid
            wait_until(lambda: not group_alive(pgid), STOP_TIMEOUT_S, "policyd's processes to end")
        except (subprocess.TimeoutExpired, LabError):
            self.kill()
            raise
        self.child = None
        return code

"""One policyd under test: a temporary folder, its configuration, its processes, and clients that ask it.

Knows: the options, files, signals and sockets of policyd as an administrator does.
Must not know: how it works inside.
Fails: AssertionError with the end of policyd's log.

The programs are taken from $BUILD (default build/) of this tree.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
POLICYD = str(BUILD / "policyd")
POLICYCTL = str(BUILD / "policyctl")
IS_ROOT = os.geteuid() == 0
USER, GROUP = "nobody", "nogroup"
READY_TIMEOUT_S = 20
STOP_TIMEOUT_S = 12

TABLE = "alice@example.com  alice\nbob@example.com  bob\n@shared.example  alice, bob\n"
DUNNO = b"action=DUNNO\n\n"
DEFER = b"action=DEFER 4.3.0 Temporary lookup failure\n\n"


def reject(login):
    return f"action=REJECT 5.7.1 Sender address rejected: not owned by user {login}\n\n".encode()


def request(sender="alice@example.com", login="alice", **more):
    """The bytes of a small request; more holds further attributes."""
    attributes = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "sender": sender,
                  "sasl_username": login, **more}
    return "".join(f"{name}={value}\n" for name, value in attributes.items()).encode() + b"\n"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until(predicate, what, timeout_s=10.0):
    """Poll until predicate() is true and return what it returned."""
    end = time.monotonic() + timeout_s
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {timeout_s} s")
        time.sleep(0.01)


def receive_answer(sock):
    """One answer, or what came before the other side closed."""
    data = b""
    while not data.endswith(b"\n\n"):
        piece = sock.recv(1)
        if not piece:
            break
        data += piece
    return data


def receive_all(sock):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            data += piece
    return data


def ask(sock, sender="alice@example.com", login="alice", **more):
    sock.sendall(request(sender, login, **more))
    return receive_answer(sock)


def is_closed(sock):
    """Whether the daemon closed this connection; it must have sent nothing."""
    timeout_s = sock.gettimeout()
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        sock.settimeout(timeout_s)


def is_alive(pid):
    """A process that is there and no zombie."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def status_of(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return line.split()[1:]
    raise AssertionError(f"/proc/{pid}/status has no {key}")


class Notify:
    """The socket that NOTIFY_SOCKET names."""

    def __init__(self, name):
        self.name = name
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + name[1:] if name.startswith("@") else name)
        if not name.startswith("@"):
            os.chmod(name, 0o666)
        self.messages = []

    def wait(self, message, child=None, timeout_s=READY_TIMEOUT_S):
        """True once this message came; False when the time is up or the child ended."""
        end = time.monotonic() + timeout_s
        self.sock.settimeout(0.05)
        while time.monotonic() < end:
            try:
                lines = self.sock.recv(4096).decode().split("\n")
            except TimeoutError:
                if child and child.poll() is not None:
                    return False
                continue
            self.messages += lines
            if message in lines:
                return True
        return False

    def close(self):
        self.sock.close()


class Daemon:
    """policyd in a folder of its own. Options are keys of [policyd]; a list repeats one, a dictionary is another section."""

    def __init__(self, test, table=TABLE, **options):
        self.test = test
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="policyd-test-"))
        test.addCleanup(self.cleanup)
        self.folder.chmod(0o755)
        if IS_ROOT:
            shutil.chown(self.folder, USER, GROUP)
        self.sock_path = str(self.folder / "policy.sock")
        self.port = free_port()
        self.ini = self.folder / "policyd.ini"
        self.log_path = self.folder / "policyd.log"
        self.options = {"listen": [f"unix:{self.sock_path}", f"inet:127.0.0.1:{self.port}"],
                        "socket_group": "", "user": USER if IS_ROOT else "", "group": GROUP if IS_ROOT else "",
                        "state_dir": str(self.folder / "state"), "table_max_mb": "64",
                        "control": {"socket": f"unix:{self.folder}/control.sock"}, **options}
        self.child = None
        self.notify = Notify(str(self.folder / "notify.sock"))
        self.configure()
        if table is not None:
            self.load(table)

    def configure(self, **options):
        """Write policyd.ini anew with these options changed."""
        self.options.update(options)
        sections = {"policyd": {}}
        for key, value in self.options.items():
            if isinstance(value, dict):
                sections[key] = value
            else:
                sections["policyd"][key] = value
        lines = []
        for section, keys in sections.items():
            lines.append(f"[{section}]")
            for key, value in keys.items():
                lines += [f"{key} = {one}" for one in (value if isinstance(value, list) else [value])]
        self.ini.write_text("\n".join(lines) + "\n")

    def ctl(self, *words, stdin=None, check=True):
        done = subprocess.run([POLICYCTL, "-c", str(self.ini), *words], input=stdin, capture_output=True,
                              text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"policyctl {words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def load(self, table):
        return self.ctl("load", "--force", "-", stdin=table)

    def spawn(self, command=None, env=None, **popen):
        """Start it without waiting."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
        environment.update({"NOTIFY_SOCKET": self.notify.name, **(env or {})})
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(command or [POLICYD, "-c", str(self.ini)], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, env=environment, start_new_session=True, **popen)

    def start(self, **spawn):
        """Start it and return once it said READY=1."""
        self.spawn(**spawn)
        if not self.notify.wait("READY=1", self.child):
            raise AssertionError(f"policyd never said READY=1 (exit {self.child.poll()})\n{self.log()[-4000:]}")
        return self

    def fail_to_start(self):
        """Start it, which must fail with exit 1; return the log."""
        self.spawn()
        self.test.assertEqual(self.child.wait(STOP_TIMEOUT_S), 1, self.log())
        return self.log()

    def reload(self):
        """SIGHUP, and wait until it is through, for better or worse."""
        self.child.send_signal(signal.SIGHUP)
        self.test.assertTrue(self.notify.wait("READY=1", self.child), self.log()[-4000:])

    def stop(self):
        """SIGTERM; return the exit code. None of its processes may be left."""
        processes = self.processes()
        self.child.terminate()
        code = self.child.wait(STOP_TIMEOUT_S)
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")
        return code

    def cleanup(self):
        if self.child:
            processes = self.processes() if self.child.poll() is None else []
            for pid in [self.child.pid, *processes] if processes else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.child.wait()
        self.notify.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, text, timeout_s=10.0):
        try:
            wait_until(lambda: text in self.log(), f"the log line {text!r}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-4000:]}") from None

    def processes(self):
        """The pids of keeper and workers, the keeper (forked first) first."""
        listed = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        return sorted(int(pid) for pid in listed.read_text().split())

    def keeper(self):
        return self.processes()[0]

    def workers(self):
        return self.processes()[1:]

    def connect(self, where=None, timeout_s=20):
        """where: a path or a port; the daemon's unix socket without one."""
        where = where or self.sock_path
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        self.test.addCleanup(sock.close)
        sock.settimeout(timeout_s)
        sock.connect(where if isinstance(where, str) else ("127.0.0.1", where))
        return sock

    def ask(self, sender="alice@example.com", login="alice", where=None, **more):
        """One question on a connection of its own."""
        with self.connect(where) as sock:
            return ask(sock, sender, login, **more)

"""The control socket with frames made by hand: bytes, descriptors, limits, commands, roles; the register it is about.

Knows: the control protocol; files, log and processes of the daemon as an administrator sees them.
Must not know: how the keeper works inside. policyctl is a script here where its start and end matter.
"""

import array
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parent.parent / "fake")]
import nsd_zone  # noqa: E402
from helper import DEFER, DUNNO, IS_ROOT, POLICYD, USER, Daemon, is_alive, receive_all, receive_answer, status_of, wait_until  # noqa: E402

STRANGER = 54321  # a uid that nobody has
MAX = 65536
CLIENT_MAX_S = 10
PER_UID = 16


def frame(*pairs, request="policyd_control"):
    lines = ([("request", request)] if request else []) + list(pairs)
    return "".join(f"{name}={urllib.parse.quote(value, safe='/ :@=-.')}\n" for name, value in lines).encode() + b"\n"


def run_frame(*words, **attributes):
    return frame(("command", "run"), *attributes.items(), *(("arg", word) for word in words))


def parse(data):
    """An answer as a dictionary; of a name that repeats, the last."""
    if not data.endswith(b"\n\n"):
        raise AssertionError(f"no answer: {data!r}")
    return {name: urllib.parse.unquote(value)
            for name, value in (line.split("=", 1) for line in data.decode("ascii").splitlines() if line)}


@contextlib.contextmanager
def user(uid, gid=STRANGER, groups=()):
    """Connections made inside are that user's. Needs root."""
    before = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


class Client:
    def __init__(self, daemon, timeout_s=20):
        self.sock = daemon.connect(str(daemon.control), timeout_s)

    def send(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], rights)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def answer(self):
        data = b""
        while not data.endswith(b"\n\n"):
            piece = self.sock.recv(65536)
            if not piece:
                break
            data += piece
        return parse(data)

    def ask(self, *pairs):
        self.send(frame(*pairs))
        return self.answer()

    def is_cut(self):
        """Waits for the other side to close without an answer."""
        return receive_all(self.sock) == b""

    def close(self):
        self.sock.close()


class Case(unittest.TestCase):
    program = None  # a script in policyctl's place

    def start(self, begin=True, **options):
        daemon = Daemon(self, **options)
        daemon.control = daemon.folder / "run" / "control.sock"
        daemon.configure(control={"socket": f"unix:{daemon.control}"})
        self.command = None
        if self.program:
            folder = daemon.folder / "sbin"
            folder.mkdir()
            shutil.copy(POLICYD, folder / "policyd")
            (folder / "policyctl").write_text(self.program)
            (folder / "policyctl").chmod(0o755)
            self.command = [str(folder / "policyd"), "-c", str(daemon.ini), "-o", "policyd.idle_timeout_s=301"]
        return daemon.start(command=self.command) if begin else daemon

    def ping(self, daemon):
        client = Client(daemon)
        self.assertEqual(client.ask(("command", "ping"))["status"], "ok")
        client.close()

    def run_words(self, daemon, *words, stdin=b"", **attributes):
        """run by hand: the answer, and what came out of the two outputs."""
        client = Client(daemon)
        ends = [os.pipe() for _ in range(3)]
        os.write(ends[0][1], stdin)
        os.close(ends[0][1])
        client.send(run_frame(*words, **attributes), [ends[0][0], ends[1][1], ends[2][1]])
        for fd in (ends[0][0], ends[1][1], ends[2][1]):
            os.close(fd)
        texts = []
        for fd in (ends[1][0], ends[2][0]):
            with open(fd, "rb") as file:
                texts.append(file.read().decode())
        answer = client.answer()
        client.close()
        return answer, *texts


def descriptors(pid):
    """Counted before, there may be one more than rest: a client or walk that is about to end. A leak only adds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def listens(pid, path):
    """Whether a process holds the listening socket of that path."""
    inodes = {line.split()[6] for line in pathlib.Path("/proc/net/unix").read_text().splitlines()
              if line.endswith(" " + str(path)) and line.split()[3] == "00010000"}
    if not inodes:
        raise AssertionError(f"nobody listens on {path}")
    held = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return any(f"socket:[{inode}]" in held for inode in inodes)


class Socket(Case):
    def test_everybody_may_connect_whatever_the_umask(self):
        daemon = self.start(begin=False)
        daemon.start(umask=0o077)
        self.assertEqual(stat.S_IMODE(os.stat(daemon.control).st_mode), 0o666)
        self.assertEqual(stat.S_IMODE(os.stat(daemon.control.parent).st_mode), 0o755)
        if IS_ROOT:
            self.assertEqual(daemon.control.owner(), USER)
            self.assertEqual(daemon.control.parent.owner(), USER)
            with user(STRANGER):
                self.ping(daemon)
        self.ping(daemon)

    def test_only_the_keeper_holds_it(self):
        daemon = self.start(workers="2")
        self.assertTrue(listens(daemon.keeper(), daemon.control))
        for worker in daemon.workers():
            self.assertFalse(listens(worker, daemon.control))
        self.assertEqual(daemon.stop(), 0)
        self.assertFalse(daemon.control.exists())

    def test_survives_the_keeper(self):
        daemon = self.start()
        keeper = daemon.keeper()
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not is_alive(keeper), "the keeper's end")
        self.ping(daemon)

    def test_file_of_a_dead_process_is_replaced(self):
        daemon = self.start()
        processes = daemon.processes()
        os.killpg(daemon.child.pid, signal.SIGKILL)
        daemon.child.wait()
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")
        self.assertTrue(daemon.control.exists())
        daemon.start()
        self.ping(daemon)

    def check_goes_on_without(self, daemon, *words):
        daemon.start()
        self.assertEqual(daemon.ask(), DUNNO)
        for word in ("[control] socket", "going on without the control socket", *words):
            self.assertIn(word, daemon.log())
        self.assertNotIn("error:", daemon.log())

    def test_in_use_by_another(self):
        other = self.start()
        daemon = self.start(begin=False)
        daemon.control = other.control
        daemon.configure(control={"socket": f"unix:{other.control}"})
        self.check_goes_on_without(daemon, "another process listens")
        self.ping(other)
        self.assertEqual(daemon.stop(), 0)
        self.ping(other)

    def test_a_file_in_its_place(self):
        daemon = self.start(begin=False)
        daemon.control.parent.mkdir()
        daemon.control.write_text("mine")
        self.check_goes_on_without(daemon, "is no socket; move it away")
        daemon.stop()
        self.assertEqual(daemon.control.read_text(), "mine")

    def test_no_folder_to_make_it_in(self):
        daemon = self.start(begin=False)
        daemon.configure(control={"socket": f"unix:{daemon.folder}/no/such/control.sock"})
        self.check_goes_on_without(daemon, "mkdir -p")

    def test_never_over_inet(self):
        daemon = self.start(begin=False)
        daemon.configure(control={"socket": "inet:127.0.0.1:10099"})
        self.assertIn("[control] socket", daemon.fail_to_start())
        self.assertEqual(daemon.options["listen"][1][:5], "inet:")
        daemon.configure(control={"socket": f"unix:{daemon.control}"})
        daemon.start()
        with daemon.connect(daemon.port) as sock:
            sock.sendall(frame(("command", "ping")))
            self.assertEqual(receive_answer(sock), DUNNO)

    def test_changes_with_a_restart_only(self):
        daemon = self.start()
        daemon.configure(control={"socket": f"unix:{daemon.folder}/other.sock"})
        daemon.reload()
        self.assertIn("[control] socket changes with a restart only", daemon.log())
        self.ping(daemon)


class Bytes(Case):
    def test_ping(self):
        daemon = self.start()
        client = Client(daemon)
        for _ in range(3):
            answer = client.ask(("command", "ping"))
            self.assertEqual(answer["status"], "ok")
            self.assertRegex(answer["version"], r"^\d+\.\d+")

    def test_in_pieces(self):
        daemon = self.start()
        client = Client(daemon)
        for byte in frame(("command", "ping")):
            client.sock.sendall(bytes([byte]))
        self.assertEqual(client.answer()["status"], "ok")

    def test_what_is_no_message(self):
        daemon = self.start()
        keeper = daemon.keeper()
        for data in (b"\0\n\n", b"\xff\xfe\n\n", b"hello\n\n", b"=x\n\n", b"A=b\n\n", b"a=%4\n\n", b"a=b\r\n\r\n\n",
                     b"a=b\n\na=b\n\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\n", b"a=1\n" * 2000 + b"\n"):
            client = Client(daemon)
            client.send(data)
            self.assertTrue(client.is_cut(), data[:40])
            client.close()
        self.assertEqual(daemon.keeper(), keeper)
        self.assertIn("control: closing the connection of", daemon.log())
        self.ping(daemon)

    def test_what_is_another_message(self):
        daemon = self.start()
        for data in (b"\n", frame(("command", "ping"), request="smtpd_access_policy"), frame(("command", "ping"), request=None),
                     frame(), frame(("command", "PING")), frame(("command", "shutdown"))):
            client = Client(daemon)
            client.send(data)
            self.assertEqual(client.answer()["status"], "error", data)
            client.close()

    def test_too_long(self):
        daemon = self.start()
        client = Client(daemon)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(b"a=" + b"x" * (2 * MAX))
        self.assertTrue(client.is_cut())
        client = Client(daemon)
        longest = b"request=policyd_control\ncommand=ping\nx="
        client.send(longest + b"x" * (MAX - len(longest) - 2) + b"\n\n")
        self.assertEqual(client.answer()["status"], "ok")

    def test_more_before_the_answer(self):
        daemon = self.start()
        client = Client(daemon)
        client.send(frame(("command", "ping")) * 2)
        self.assertTrue(client.is_cut())

    def test_slow_and_silent_ones_are_cut(self):
        daemon = self.start()
        slow, silent = Client(daemon, 2 * CLIENT_MAX_S), Client(daemon, 2 * CLIENT_MAX_S)
        slow.send(b"request=policyd_control\n")
        self.ping(daemon)
        self.assertTrue(slow.is_cut())
        self.assertTrue(silent.is_cut())
        self.assertIn("its request does not end", daemon.log())
        self.ping(daemon)

    def test_gone_in_the_middle(self):
        daemon = self.start()
        before = descriptors(daemon.keeper())
        for data in (b"", b"request", frame(("command", "ping")), frame(("command", "ping"))[:-1]):
            client = Client(daemon)
            client.send(data)
            client.close()
        self.ping(daemon)
        wait_until(lambda: descriptors(daemon.keeper()) <= before, "the descriptors of clients that are gone")

    @unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
    def test_one_user_cannot_take_all_places(self):
        daemon = self.start()
        with user(STRANGER):
            clients = [Client(daemon) for _ in range(PER_UID)]
            for client in clients:
                self.assertEqual(client.ask(("command", "ping"))["status"], "ok")
            self.assertIn("or too many of yours", Client(daemon).answer()["text"])
        self.ping(daemon)
        with user(STRANGER + 1):
            self.ping(daemon)
        clients[0].close()
        with user(STRANGER):
            wait_until(lambda: Client(daemon).sock.send(frame(("command", "ping"))), "a place")
        self.assertIn("as many connections as one may have", daemon.log())

    @unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
    def test_strangers_leave_a_place_for_root(self):
        daemon = self.start()
        clients = []
        for number in range(64):
            with user(STRANGER + number // PER_UID):
                clients.append(Client(daemon))
        with user(STRANGER + 99):
            self.assertEqual(Client(daemon).answer()["status"], "error")
        self.ping(daemon)
        self.assertEqual(daemon.ctl("domain", "check", "x.example", check=False).returncode, 1)

    def test_all_places_taken(self):
        """Who comes later waits in the backlog."""
        daemon = self.start()
        clients = [Client(daemon) for _ in range(64 + 16)]
        late = Client(daemon)
        late.send(frame(("command", "ping")))
        late.sock.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            late.answer()
        clients[7].close()
        late.sock.settimeout(5)
        self.assertEqual(late.answer()["status"], "ok")


class Descriptors(Case):
    def test_none_stays_open(self):
        daemon = self.start()
        keeper = daemon.keeper()
        self.ping(daemon)
        before = descriptors(keeper)
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        bad = [frame(("command", "ping")), frame(("command", "shutdown")), run_frame(), run_frame("--help"),
               run_frame("-c", "/etc/passwd", "status"), run_frame("load", "/etc/passwd"), b"no message\n\n", b"cut"]
        for turn in range(200):
            client = Client(daemon)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(bad[turn % len(bad)], [null] * (1 + turn % 7))
            client.close()
        self.ping(daemon)
        wait_until(lambda: descriptors(keeper) <= before, "the end of all descriptors")
        for _ in range(20):
            answer, _, _ = self.run_words(daemon, "status")
            self.assertEqual(answer["status"], "done")
        wait_until(lambda: descriptors(keeper) <= before, "the end of the commands' descriptors")
        self.assertEqual(daemon.keeper(), keeper)

    def test_on_one_connection(self):
        daemon = self.start()
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        client = Client(daemon)
        client.ask(("command", "ping"))
        before = descriptors(daemon.keeper())
        for _ in range(50):
            client.send(frame(("command", "ping")), [null] * 3)
            self.assertEqual(client.answer()["status"], "ok")
        self.assertLessEqual(descriptors(daemon.keeper()), before)

    def test_too_many(self):
        daemon = self.start()
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        before = descriptors(daemon.keeper())
        for count in (4, 5, 100, 253):
            client = Client(daemon)
            with contextlib.suppress(BrokenPipeError):
                client.send(frame(("command", "ping")), [null] * count)
            self.assertTrue(client.is_cut())
            client.close()
        wait_until(lambda: descriptors(daemon.keeper()) <= before, "the end of all descriptors")

    def test_run_wants_three(self):
        daemon = self.start()
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        for count in (0, 1, 2):
            client = Client(daemon)
            client.send(run_frame("status"), [null] * count)
            self.assertEqual(client.answer()["status"], "error")


class Commands(Case):
    def test_real_policyctl(self):
        daemon = self.start()
        answer, out, err = self.run_words(daemon, "check", "alice", "alice@example.com")
        self.assertEqual((answer, out, err), ({"status": "done", "exit": "0"}, "action=DUNNO\n", ""))
        answer, out, _ = self.run_words(daemon, "check", "alice", "bob@example.com")
        self.assertEqual(answer["exit"], "1")
        self.assertIn("REJECT", out)
        answer, _, err = self.run_words(daemon, "check")
        self.assertEqual(answer["exit"], "2")
        self.assertIn("usage", err)
        self.assertIn("ran `check alice bob@example.com`: exit 1", daemon.log())

    def test_load_from_standard_input(self):
        daemon = self.start()
        answer, _, err = self.run_words(daemon, "load", "--force", "-", stdin=b"carol@example.com  carol\n")
        self.assertEqual(answer["exit"], "0", err)
        wait_until(lambda: daemon.ask("carol@example.com", "carol") == DUNNO, "the new table")

    def test_files_and_global_options_are_for_the_caller(self):
        """Not even for root: there is no need, and it could name what only policyd can read."""
        daemon = self.start()
        for words in (["load", "/etc/passwd"], ["-c", "/etc/passwd", "status"], ["-o", "policyd.user=root", "status"],
                      ["status", "--help"], ["/bin/sh"], [""], ["domain"], ["mode", "x"]):
            answer, out, err = self.run_words(daemon, *words)
            self.assertEqual((answer["status"], answer["role"], out, err), ("refused", "", "", ""), words)

    def test_a_word_with_nul(self):
        daemon = self.start()
        answer, _, _ = self.run_words(daemon, "who", "a\0b")
        self.assertEqual(answer["status"], "refused")

    def test_follow(self):
        daemon = self.start()
        client = Client(daemon)
        for _ in range(50):
            self.assertEqual(client.ask(("command", "follow"))["status"], "ok")

    def test_verify_of_what_nobody_claims(self):
        daemon = self.start()
        client = Client(daemon)
        self.assertEqual(client.ask(("command", "verify"), ("domain", "example.com"))["status"], "absent")
        for domain, tenant in (("", ""), ("x" * 300, ""), ("a\0b", ""), ("example.com", "a b"), ("example.com", "x" * 65)):
            answer = client.ask(("command", "verify"), ("domain", domain), ("tenant", tenant))
            self.assertEqual(answer["status"], "error", domain)


class Verify(Case):
    """A look with a DNS that does not answer: the answer's form, a change of the prover, the end meanwhile."""

    def start(self, begin=True, **options):
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.dns.close)
        self.dns.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{self.dns.getsockname()[1]}"
        daemon = super().start(begin, dns={"nameserver": where, "timeout_ms": "500", "attempts": "1"}, **options)
        daemon.ctl("domain", "add", "example.com", "--tenant", "acme")
        return daemon

    def begin(self, daemon, *pairs, label="example"):
        """A look at LABEL.com under way: its question was sent."""
        client = Client(daemon)
        client.send(frame(("command", "verify"), ("domain", f"{label}.com"), *pairs))
        self.dns.settimeout(10)
        while label.encode() not in self.dns.recv(4096):
            pass
        return client

    def test_unknown(self):
        daemon = self.start()
        answer = self.begin(daemon, ("tenant", "acme")).answer()
        self.assertEqual({name: answer[name] for name in ("status", "rcode", "tenant", "finding", "changed", "before", "after")},
                         {"status": "ok", "rcode": "timeout", "tenant": "acme", "finding": "unknown", "changed": "kept",
                          "before": "pending", "after": "pending"})
        self.assertTrue(answer["expected"].startswith("policyd-verification="))
        self.assertNotIn(answer["expected"].split("=")[1], daemon.log())

    def test_other_tenant(self):
        client = Client(self.start())
        self.assertEqual(client.ask(("command", "verify"), ("domain", "example.com"), ("tenant", "x"))["status"], "absent")

    def test_client_leaves(self):
        """The resolver keeps the sockets of the first looks for the next ones: as many as there were at a time, no more."""
        daemon = self.start()
        labels = [f"name{i}" for i in range(6)]
        for label in labels:
            daemon.ctl("domain", "add", f"{label}.com", "--tenant", "acme")
        keeper = daemon.keeper()
        before = descriptors(keeper)
        for _ in range(5):
            for client in [self.begin(daemon, label=label) for label in labels]:
                client.close()
            wait_until(lambda: descriptors(keeper) <= before + len(labels), "the end of all descriptors but the resolver's")
        self.ping(daemon)
        self.assertEqual(daemon.keeper(), keeper)

    def test_reload_and_end_meanwhile(self):
        daemon = self.start()
        client = self.begin(daemon)
        daemon.reload()
        self.assertEqual(client.answer()["status"], "ok")
        client = self.begin(daemon)
        self.assertEqual(daemon.stop(), 0)
        self.assertTrue(client.is_cut())

    def test_register_goes_meanwhile(self):
        daemon = self.start()
        keeper = daemon.keeper()
        client = self.begin(daemon)
        shutil.move(daemon.folder / "state" / "register", daemon.folder / "before")
        self.assertIn(client.answer()["status"], ("error", "ok"))
        wait_until(lambda: client.ask(("command", "verify"), ("domain", "example.com"))["status"] == "error", "an error")
        (daemon.folder / "state" / "register.made").unlink()
        wait_until(lambda: client.ask(("command", "verify"), ("domain", "example.com"))["status"] == "absent", "a new register")
        self.assertEqual(daemon.keeper(), keeper)


@unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
class Asker(Case):
    """Who looked, in the audit line of what the look changed."""

    def setUp(self):
        self.nsd = nsd_zone.NsdZone().start()
        self.addCleanup(self.nsd.close)
        self.daemon = self.start(dns={"nameserver": self.nsd.server}, roles={"add": "mail"})
        added = self.daemon.ctl("domain", "add", "claim.test", "--tenant", "acme", "--json")
        self.value = json.loads(added.stdout)["record"]["value"]
        self.is_there = False

    def turn(self):
        """The record comes, or goes: the next look changes the claim."""
        self.is_there = not self.is_there
        self.nsd.set_record("domauthvalidation.claim.test", *([json.dumps(self.value)] if self.is_there else []))

    def last(self):
        line = json.loads(self.daemon.ctl("audit", "--json", "--limit", "1").stdout)
        return line["what"], line["uid"], line["who"]

    def verify(self, client, *pairs):
        """A look by hand that changes something: who did it, as audited."""
        self.turn()
        answer = client.ask(("command", "verify"), ("domain", "claim.test"), *pairs)
        self.assertEqual((answer["status"], answer["changed"]), ("ok", "changed"), answer)
        return self.last()

    def test_root(self):
        self.turn()
        self.assertIn("by policyd", self.daemon.ctl("domain", "check", "claim.test").stdout)
        self.assertEqual(self.last(), ("check", 0, "root"))
        self.assertRegex(self.daemon.ctl("audit").stdout, r"Z  root +check +claim\.test +acme +pending -> verified  found the record")

    def test_somebody_with_sudo(self):
        self.turn()
        command = [str(POLICYD).replace("policyd", "policyctl"), "-c", str(self.daemon.ini), "domain", "check", "claim.test"]
        subprocess.run(command, env={"SUDO_UID": str(STRANGER)}, capture_output=True, check=True)
        self.assertEqual(self.last(), ("check", STRANGER, f"#{STRANGER}"))

    def test_somebody_with_the_role(self):
        self.turn()
        with user(STRANGER, groups=[8]):
            answer, out, _ = self.run_words(self.daemon, "domain", "check", "claim.test")
        self.assertEqual(answer["exit"], "0", out)
        self.assertEqual(self.last(), ("check", STRANGER, f"#{STRANGER}"))

    def test_a_faked_one(self):
        """Only root and policyd's user may say for whom they look."""
        with user(STRANGER, groups=[8]):
            client = Client(self.daemon)
        for pairs in ((), (("actor", "root"), ("actor_uid", "0")), (("actor", "policyd"), ("actor_uid", "4294967295"))):
            self.assertEqual(self.verify(client, *pairs), ("check", STRANGER, f"#{STRANGER}"), pairs)
        uid = int(status_of(self.daemon.keeper(), "Uid")[1])
        with user(uid):
            client = Client(self.daemon)
        self.assertEqual(self.verify(client, ("actor", "mary"), ("actor_uid", "4711")), ("check", 4711, "mary"))

    def test_said_once(self):
        """It counts for that look, and no half of it does."""
        client = Client(self.daemon)
        self.assertEqual(self.verify(client, ("actor", "mary"), ("actor_uid", "4711")), ("check", 4711, "mary"))
        for pairs in ((), (("actor", "mary"),), (("actor_uid", "4711"),), (("actor", "mary"), ("actor_uid", "4711x")),
                      (("actor", "mary"), ("actor_uid", "-1")), (("actor", "mary"), ("actor_uid", "4294967295")),
                      (("actor", "mary"), ("actor_uid", "99999999999"))):
            self.assertEqual(self.verify(client, *pairs), ("check", 0, "root"), pairs)
        self.assertEqual(self.verify(client, ("actor", "m\n\0y" + "x" * 500), ("actor_uid", "4711"))[:2], ("check", 4711))
        self.assertNotIn("\0", self.daemon.log())


SCRIPT = """#!/bin/sh
echo "args: $*"
env | sort | sed 's/^/env: /'
i=3
while [ $i -lt 30 ]; do
    target=$(readlink /proc/self/fd/$i) && echo "fd: $i $target"
    i=$((i + 1))
done
echo "sid: $(cut -d' ' -f6 /proc/$$/stat) $$"
echo "id: $(id -u) $(id -G)"
cat
echo problem >&2
case "$*" in *who\\ seven*) exit 7 ;; *who\\ killed*) kill -9 $$ ;; esac
exit 0
"""

SLOW = """#!/bin/sh
case "$*" in
*stubborn*) trap '' TERM ;;
esac
echo $$
exec 1>&- 2>&-
while :; do read -r line <&0 || sleep 0.1; done
"""


class Program(Case):
    program = SCRIPT

    def test_what_it_is_started_with(self):
        daemon = self.start()
        env = {"SECRET": "x", "LD_PRELOAD": "", "POLICYD_ACTOR_UID": "0", "LANG": "C.UTF-8", "NOTIFY_SOCKET": daemon.notify.name}
        daemon.stop()
        daemon.start(command=self.command, env=env)
        answer, out, err = self.run_words(daemon, "domain", "add", "example.com", "--tenant", "a b*c", "", stdin=b"hello\n",
                                          term="xterm-256color")
        self.assertEqual((answer, err), ({"status": "done", "exit": "0"}, "problem\n"))
        lines = out.splitlines()
        self.assertEqual(lines[0], f"args: -c {daemon.ini} -o policyd.idle_timeout_s=301 domain add example.com --tenant a b*c ")
        name = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        self.assertEqual({line[5:].split("=")[0]: line.partition("=")[2] for line in lines if line.startswith("env: ")} |
                         {"PWD": ""},
                         {"LANG": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "xterm-256color", "PWD": "",
                          "POLICYD_ACTOR_UID": str(os.geteuid()), "POLICYD_ACTOR_NAME": name})
        self.assertEqual([line for line in lines if line.startswith("fd: ")], [])
        sid = next(line for line in lines if line.startswith("sid: ")).split()
        self.assertEqual(sid[1], sid[2])
        uid = status_of(daemon.keeper(), "Uid")[1]
        self.assertEqual(next(line for line in lines if line.startswith("id: ")).split()[1], uid)
        self.assertIn("hello", lines)
        self.assertNotIn("SECRET", out)

    def test_terminal_name_is_checked(self):
        daemon = self.start()
        for term in ("a b", "x" * 65, "x\nLD_PRELOAD=y", "../x", "x\0"):
            _, out, _ = self.run_words(daemon, "who", "x", term=term)
            self.assertNotIn("env: TERM", out)
            self.assertNotIn("env: LD_", out)

    def test_its_end(self):
        daemon = self.start()
        answer, _, _ = self.run_words(daemon, "who", "seven")
        self.assertEqual(answer, {"status": "done", "exit": "7"})
        answer, _, _ = self.run_words(daemon, "who", "killed")
        self.assertEqual(answer["status"], "error")
        self.assertIn("killed by signal 9", daemon.log())

    def test_none_there(self):
        if os.path.exists("/usr/sbin/policyctl"):
            self.skipTest("a policyctl is installed")
        daemon = self.start()
        (daemon.folder / "sbin" / "policyctl").unlink()
        answer, _, _ = self.run_words(daemon, "status")
        self.assertEqual(answer["status"], "error")
        self.assertIn("policyctl", answer["text"])

    @unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
    def test_who_asked(self):
        daemon = self.start(roles={"read": "mail"})
        with user(STRANGER, groups=[8]):
            answer, out, _ = self.run_words(daemon, "status")
        self.assertEqual(answer["exit"], "0")
        self.assertIn(f"env: POLICYD_ACTOR_UID={STRANGER}\n", out)
        self.assertIn(f"env: POLICYD_ACTOR_NAME=#{STRANGER}\n", out)
        self.assertIn(f"control: #{STRANGER} (uid {STRANGER}) ran `status`: exit 0", daemon.log())


class Leaving(Case):
    program = SLOW

    def begin(self, daemon, *words):
        """A command that runs; its client and pid."""
        client = Client(daemon)
        read, write = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        client.send(run_frame(*words), [null, write, null])
        os.close(write)
        os.close(null)
        with open(read, encoding="ascii") as file:
            pid = int(file.readline())
        self.addCleanup(lambda: is_alive(pid) and os.kill(pid, signal.SIGKILL))
        return client, pid

    def test_client_leaves(self):
        daemon = self.start()
        before = descriptors(daemon.keeper())
        client, pid = self.begin(daemon, "who", "x")
        self.ping(daemon)
        client.close()
        wait_until(lambda: not is_alive(pid), "the command's end", 3)
        wait_until(lambda: descriptors(daemon.keeper()) <= before, "the end of all descriptors")
        daemon.wait_log("killed by signal 15")

    def test_client_leaves_a_stubborn_command(self):
        daemon = self.start()
        before = descriptors(daemon.keeper())
        client, pid = self.begin(daemon, "who", "stubborn")
        client.close()
        wait_until(lambda: not is_alive(pid), "the command's end", 8)
        wait_until(lambda: descriptors(daemon.keeper()) <= before, "the end of all descriptors")

    def test_more_while_it_runs(self):
        daemon = self.start()
        client, pid = self.begin(daemon, "who", "x")
        client.send(frame(("command", "ping")))
        self.assertTrue(client.is_cut())
        wait_until(lambda: not is_alive(pid), "the command's end", 3)

    def test_daemon_ends(self):
        daemon = self.start()
        client, pid = self.begin(daemon, "who", "x")
        self.assertEqual(daemon.stop(), 0)
        self.assertTrue(client.is_cut())
        wait_until(lambda: not is_alive(pid), "the command's end", 3)

    def test_mail_goes_on_meanwhile(self):
        daemon = self.start()
        self.begin(daemon, "who", "x")
        self.assertEqual(daemon.ask(), DUNNO)


@unittest.skipUnless(IS_ROOT, "needs root to be somebody else")
class Roles(Case):
    program = SCRIPT

    def test_refused_with_role_and_groups(self):
        daemon = self.start(roles={"verify": "mail, news", "add": "uucp"})
        with user(STRANGER):
            answer, out, _ = self.run_words(daemon, "domain", "pin", "example.com")
            self.assertEqual(out, "")
            self.assertEqual(answer, {"status": "refused", "role": "verify", "groups": "mail, news", "text":
                                      'domain pin needs the role "verify", which the groups "mail", "news" have '
                                      "([roles] verify in policyd.ini)"})
            answer, _, _ = self.run_words(daemon, "domain", "add", "example.com", "--tenant", "t")
            self.assertIn('which the group "uucp" has', answer["text"])
            answer, _, _ = self.run_words(daemon, "status")
            self.assertEqual(answer["text"], 'status needs the role "read", which no group has ([roles] read in policyd.ini)')
            answer, _, _ = self.run_words(daemon, "domain", "add", "example.com", "--tenant", "t", "--hosted")
            self.assertIn("domain add --hosted needs", answer["text"])
            client = Client(daemon)
            self.assertEqual(client.ask(("command", "verify"), ("domain", "example.com"))["role"], "add")
            self.assertEqual(client.ask(("command", "ping"))["status"], "ok")
            self.assertEqual(client.ask(("command", "follow"))["status"], "ok")
        self.assertIn(f"control: #{STRANGER} (uid {STRANGER}) was refused: domain pin needs", daemon.log())

    def test_allowed_by_primary_and_other_groups(self):
        daemon = self.start(roles={"verify": "mail, news"})
        for gid, groups, expected in ((8, [], "done"), (STRANGER, [9], "done"), (STRANGER, [7, 9], "done"), (7, [10], "refused")):
            with user(STRANGER, gid, groups):
                self.assertEqual(self.run_words(daemon, "domain", "pin", "example.com")[0]["status"], expected, (gid, groups))

    def test_a_reload_changes_them(self):
        daemon = self.start(roles={"read": "mail"})
        with user(STRANGER, 8):
            client = Client(daemon)
        daemon.configure(roles={"read": "no-such-group, news"})
        daemon.reload()
        wait_until(lambda: 'there is no group "no-such-group"' in daemon.log(), "the warning")
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        client.send(run_frame("status"), [null] * 3)
        self.assertEqual(client.answer()["status"], "refused")

    def test_policyds_own_user_may_do_everything(self):
        daemon = self.start()
        uid = int(status_of(daemon.keeper(), "Uid")[1])
        with user(uid):
            self.assertEqual(self.run_words(daemon, "rollback")[0]["status"], "done")

    def test_refusals_do_not_fill_the_disk(self):
        daemon = self.start()
        with user(STRANGER):
            for _ in range(300):
                self.run_words(daemon, "status")
        wait_until(lambda: "more lines of this kind left out" in daemon.log(), "the count")
        self.assertLess(daemon.log().count("was refused"), 200)


class Register(Case):
    """Made at the start, walked, condemned, put back."""

    def files(self, daemon):
        return daemon.folder / "state" / "register" / "data.mdb"

    def test_made_at_the_start(self):
        daemon = self.start()
        daemon.wait_log("the ownership register in")
        self.assertEqual(stat.S_IMODE(os.stat(self.files(daemon)).st_mode), 0o600)
        self.assertEqual(daemon.ask(), DUNNO)

    def test_damaged_and_put_back(self):
        daemon = self.start()
        daemon.stop()
        file = self.files(daemon)
        good = file.read_bytes()
        file.write_bytes(b"\xff" * len(good))
        daemon.start()
        self.assertEqual(daemon.ask(), DEFER)
        daemon.wait_log("register is damaged")
        self.assertIn("restore a backup", daemon.log())
        client = Client(daemon)
        answer = client.ask(("command", "verify"), ("domain", "example.com"))
        self.assertEqual(answer["status"], "error")
        self.assertIn("damaged", answer["text"])
        shutil.move(file.parent, daemon.folder / "bad")
        daemon.wait_log("is gone")
        self.assertEqual(daemon.ask(), DEFER)
        (daemon.folder / "state" / "register.made").unlink()
        wait_until(lambda: daemon.ask() == DUNNO, "an answer with a new register")
        self.assertEqual(client.ask(("command", "verify"), ("domain", "example.com"))["status"], "absent")

    def test_cut_short_while_it_runs(self):
        daemon = self.start(workers="2")
        self.assertEqual(daemon.ask(), DUNNO)
        os.truncate(self.files(daemon), 4096)
        daemon.wait_log("register is damaged")
        wait_until(lambda: daemon.ask() == DEFER, "a deferral")
        shutil.move(self.files(daemon).parent, daemon.folder / "bad")
        (daemon.folder / "state" / "register.made").unlink()
        wait_until(lambda: daemon.ask() == DUNNO, "an answer with a new register")

    def test_replaced_while_it_runs(self):
        daemon = self.start()
        other = self.start()
        self.assertEqual(other.stop(), 0)
        before = daemon.log().count("is open")
        shutil.move(self.files(daemon).parent, daemon.folder / "before")
        shutil.copytree(self.files(other).parent, self.files(daemon).parent)
        if IS_ROOT:
            for path in (self.files(daemon).parent, *self.files(daemon).parent.iterdir()):
                shutil.chown(path, USER)
        wait_until(lambda: daemon.log().count("is open") > before, "the new register open")
        self.assertEqual(daemon.ask(), DUNNO)

    def test_required_all_without_a_claim(self):
        daemon = self.start(ownership={"required": "all"})
        daemon.wait_log("every mail of authenticated logins will be refused")
        self.assertIn("policyctl domain add", daemon.log())
        daemon.configure(ownership={"required": "claimed"})
        daemon.reload()
        daemon.configure(ownership={"required": "all"})
        daemon.reload()
        wait_until(lambda: daemon.log().count("authenticated logins will be refused") == 2, "the warning once more")

    def test_the_last_claim_in_force_goes(self):
        daemon = self.start(begin=False, ownership={"required": "all"})
        daemon.ctl("domain", "add", "example.com", "--tenant", "t", "--hosted")
        daemon.start()
        daemon.wait_log("is open")
        self.assertNotIn("authenticated logins will be refused", daemon.log())
        daemon.ctl("domain", "remove", "example.com", "--yes")
        daemon.wait_log("every mail of authenticated logins will be refused")

    def test_hook_that_cannot_be_run(self):
        hook = "/nonexistent/hook"
        daemon = self.start(ownership={"hook": hook})
        said = f"[ownership] hook {hook} cannot be run: No such file or directory"
        daemon.wait_log(said)
        daemon.reload()
        wait_until(lambda: daemon.log().count(said) == 2, "the warning at the reload")
        test = subprocess.run([POLICYD, "-c", str(daemon.ini), "-t"], capture_output=True, text=True, check=False)
        self.assertEqual((test.returncode, test.stderr), (0, f"policyd: warning: {said}\n"))
        file = daemon.folder / "hook"
        file.write_text("#!/bin/sh\n")
        for mode, words in ((0o644, f"policyd: warning: [ownership] hook {file} cannot be run: Permission denied\n"), (0o755, "")):
            file.chmod(mode)
            daemon.configure(ownership={"hook": str(file)})
            test = subprocess.run([POLICYD, "-c", str(daemon.ini), "-t"], capture_output=True, text=True, check=False)
            self.assertEqual((test.returncode, test.stderr), (0, words))

    @unittest.skipUnless(IS_ROOT, "needs root to give files away")
    def test_of_another_user(self):
        """Not damaged: nothing is to be moved away."""
        daemon = self.start()
        daemon.stop()
        shutil.chown(self.files(daemon), "root")
        daemon.start()
        daemon.wait_log("cannot be read now")
        self.assertIn("Permission denied: give this folder and its files to policyd's user (chown -R)", daemon.log())
        self.assertEqual(daemon.ask(), DEFER)
        self.assertNotIn("is damaged", daemon.log())
        self.assertNotIn("move", daemon.log())
        shutil.chown(self.files(daemon), USER)
        wait_until(lambda: daemon.ask() == DUNNO, "an answer", 20)

    @unittest.skipUnless(IS_ROOT, "needs root to mount")
    def test_disk_full(self):
        """LMDB's lock file finds no room: nothing is damaged, and it heals once there is."""
        daemon = self.start()
        daemon.stop()
        state, kept = daemon.folder / "state", daemon.folder / "kept"
        state.rename(kept)
        state.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "policyd-test", state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", state], check=True)
        subprocess.run(["cp", "-a", f"{kept}/.", state], check=True)
        for name in ("table", "register"):
            (state / name / "lock.mdb").unlink()
        with contextlib.suppress(OSError), open(state / "ballast", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        daemon.start()
        for name in ("table", "register"):
            daemon.wait_log(f"{state}/{name} cannot be read now: {state}/{name}: the disk is full: make room and try again")
        self.assertEqual(daemon.ask(), DEFER)
        self.assertNotIn("is damaged", daemon.log())
        self.assertNotIn("signal", daemon.log())
        self.assertEqual(daemon.ctl("domain", "list", check=False).returncode, 3)
        (state / "ballast").unlink()
        wait_until(lambda: daemon.ask() == DUNNO, "an answer", 20)


class Two(Case):
    """Two daemons on one state_dir."""

    def test_the_second_waits(self):
        first = self.start(begin=False)
        told = first.folder / "told"
        hook = first.folder / "hook"
        hook.write_text(f"#!/bin/sh\necho $POLICYD_DOMAIN >>{told}\n")
        hook.chmod(0o755)
        first.configure(ownership={"hook": str(hook)})
        first.start()
        lock = first.folder / "state" / "keeper.lock"
        self.assertEqual(lock.stat().st_mode & 0o777, 0o600)
        second = self.start(begin=False, state_dir=str(first.folder / "state"), ownership={"hook": str(hook)})
        second.start()
        second.wait_log(f"keeper.lock is held by policyd's keeper, pid {first.keeper()}, since ")
        self.assertEqual(second.ask(), DUNNO)
        first.ctl("domain", "add", "example.com", "--tenant", "t", "--hosted")
        wait_until(told.exists, "the hook")
        wait_until(lambda: second.ask("s@example.com") != DUNNO, "an answer by the register")
        self.assertNotIn("domain=example.com", second.log())
        self.assertEqual(second.log().count("is held by"), 1)
        register = first.folder / "state" / "register" / "data.mdb"
        wait_until(lambda: time.time() - register.stat().st_mtime > 1.5, "the end of the hook, written down")
        self.assertEqual(first.stop(), 0)
        second.wait_log("keeper.lock is held now")
        second.wait_log("is open")
        self.ping(second)
        second.ctl("domain", "add", "two.example", "--tenant", "t", "--hosted")
        second.wait_log("domain=two.example")
        wait_until(lambda: "two.example" in told.read_text(), "the hook")
        self.assertEqual(told.read_text().split().count("example.com"), 1)


if __name__ == "__main__":
    unittest.main()

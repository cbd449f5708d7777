"""[roles] with real users and groups: every command by everybody who may and may not, and the ways around that people would try.

Knows: the users and groups that every Debian has (base-passwd), policyctl as they run it, the control protocol, files and
processes as the kernel shows them. Nothing is added to /etc.
Must not know: how the keeper decides.
Needs root, to become these users; without it all of this is skipped.
"""

import contextlib
import fcntl
import grp
import json
import os
import pathlib
import pty
import pwd
import shutil
import signal
import socket
import subprocess
import termios
import threading
import unittest

import helper
from ctl import NO, UNKNOWN, USAGE, YES, Result
from helper import DUNNO, IS_ROOT, POLICYCTL, POLICYD, USER, Daemon, is_alive, status_of, wait_until
from test_control import Client, descriptors, frame, run_frame, user

TIMEOUT_S = 30
ROLES = {"add": "mail, news", "verify": "mail", "load": "operator", "read": "uucp", "mode": "mail, staff"}
# Login name, primary group, other groups, roles. `news` and `uucp` have their role by their own primary group.
PEOPLE = {
    "games": ("games", ["mail"], {"add", "verify"}),
    "news": ("news", [], {"add"}),
    "lp": ("lp", ["operator"], {"load"}),
    "uucp": ("uucp", [], {"read"}),
    "irc": ("irc", ["news", "uucp"], {"add", "read"}),
    "backup": ("backup", ["staff"], set()),
    "www-data": ("www-data", [], set()),
}
TABLE = "alice@example.com  alice\nbob@example.com  bob\n"

# What it is called in a refusal, role, command line (@: a domain of its own), standard input, exit code, root's preparations.
ADD = ("domain", "add", "@", "--tenant", "t")
HOSTED = (*ADD, "--hosted")
ALLOW = ("domain", "allow", "@", "joe")
COMMANDS = [
    ("domain add", "add", ADD, "", YES, []),
    ("domain check", "add", ("domain", "check", "@"), "", UNKNOWN, [ADD]),
    ("domain instructions", "add", ("domain", "instructions", "@"), "", YES, [ADD]),
    ("domain allow --pending", "add", (*ALLOW, "--pending"), "", YES, [HOSTED]),
    ("domain disallow", "add", ("domain", "disallow", "@", "joe"), "", YES, [HOSTED, ALLOW]),
    ("domain add --hosted", "verify", HOSTED, "", YES, []),
    ("domain allow without --pending", "verify", ALLOW, "", YES, [HOSTED]),
    ("domain approve", "verify", ("domain", "approve", "@", "joe"), "", YES, [HOSTED, (*ALLOW, "--pending")]),
    ("domain pin", "verify", ("domain", "pin", "@"), "", YES, [ADD]),
    ("domain unpin", "verify", ("domain", "unpin", "@"), "", YES, [ADD, ("domain", "pin", "@")]),
    ("domain transfer", "verify", ("domain", "transfer", "@", "--tenant", "u", "--yes"), "", YES,
     [ADD, ("domain", "pin", "@"), ("domain", "add", "@", "--tenant", "u")]),
    ("domain remove", "verify", ("domain", "remove", "@", "--yes"), "", YES, [ADD]),
    ("domain forget", "verify", ("domain", "forget", "@", "--yes"), "", YES, [ADD]),
    ("load", "load", ("load", "--merge", "-"), "joe@@ joe\n", YES, []),
    ("load", "load", ("load", "--merge", "--tenants", "-"), "joe@@ t\n", YES, []),
    ("load", "load", ("load", "--delete", "--dry-run", "-"), "alice@example.com alice\n", YES, []),
    ("rollback", "load", ("rollback",), "", YES, [("load", "--merge", "-")]),
    ("cache flush", "load", ("cache", "flush"), "", YES, []),
    ("cache stats", "read", ("cache", "stats"), "", YES, []),
    ("check", "read", ("check", "alice", "alice@example.com"), "", YES, []),
    ("explain", "read", ("explain", "alice", "bob@example.com"), "", NO, []),
    ("who", "read", ("who", "alice@example.com"), "", YES, []),
    ("senders", "read", ("senders", "alice"), "", YES, []),
    ("status", "read", ("status",), "", YES, []),
    ("replay", "read", ("replay", "-"), "request=smtpd_access_policy\n\n", YES, []),
    ("dump", "read", ("dump",), "", YES, []),
    ("diff", "read", ("diff", "-"), "alice@example.com alice\n", NO, []),
    ("audit", "read", ("audit",), "", YES, []),
    ("domain list", "read", ("domain", "list"), "", YES, []),
    ("domain show", "read", ("domain", "show", "@"), "", YES, [ADD]),
]
CHANGES = {"domain check", "domain instructions"}  # of add, verify and load: those that leave no audit line of the caller's


def refusal(name, role):
    groups = ROLES[role].split(", ")
    which = (f'the group "{groups[0]}" has' if len(groups) == 1
             else "the groups " + ", ".join(f'"{group}"' for group in groups) + " have")
    return f'{name} needs the role "{role}", which {which} ([roles] {role} in policyd.ini)'


def identity(who):
    return {"user": who, "group": PEOPLE[who][0], "extra_groups": PEOPLE[who][1]}


@contextlib.contextmanager
def being(who):
    """Connections and files opened inside are that user's."""
    account = pwd.getpwnam(who)
    primary, *others = [grp.getgrnam(name).gr_gid for name in (PEOPLE[who][0], *PEOPLE[who][1])]
    with user(account.pw_uid, primary, others):
        yield


@unittest.skipUnless(IS_ROOT, "needs root, to run policyctl as the users and groups of base-passwd")
class Case(unittest.TestCase):
    def setUp(self):
        # Answers nothing, so that a look for a proof ends with a time-out.
        dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(dns.close)
        dns.bind(("127.0.0.1", 0))
        self.daemon = Daemon(self, table=None, roles=ROLES)
        self.daemon.control = self.daemon.folder / "run" / "control.sock"
        self.daemon.configure(
            control={"socket": f"unix:{self.daemon.control}"},
            dns={"cache_dir": str(self.daemon.folder / "run" / "cache"), "nameserver": f"127.0.0.1:{dns.getsockname()[1]}",
                 "timeout_ms": "100", "deadline_ms": "200", "attempts": "1"},
            lockdown={"enabled": "yes", "account": "x", "on_failure": "permit"})
        # The tree may be closed to others (/root).
        self.sbin = self.daemon.folder / "sbin"
        self.sbin.mkdir()
        for program in (POLICYD, POLICYCTL):
            shutil.copy(program, self.sbin)
        self.program = str(self.sbin / "policyctl")
        self.daemon.load("old@example.com  old\n")
        self.daemon.load(TABLE)
        self.daemon.ctl("load", "--tenants", "-", stdin="joe t\n")
        self.daemon.start(command=[str(self.sbin / "policyd"), "-c", str(self.daemon.ini)])
        self.daemon.wait_log("the ownership register in")

    def run_as(self, who, *words, stdin="", program=None, ini=None, **options):
        command = [program or self.program, "-c", str(ini or self.daemon.ini), *words]
        return Result(subprocess.run(command, input=stdin.encode(), capture_output=True, check=False, timeout=TIMEOUT_S,
                                     cwd="/", **{**identity(who), **options}))

    def snapshot(self):
        """Everything that a refused command could have changed, as root sees it."""
        return [self.daemon.ctl(*words, check=False).stdout
                for words in (("audit", "--json"), ("domain", "list", "--json"), ("dump",))]

    def audit(self):
        return [json.loads(line) for line in self.daemon.ctl("audit", "--json", "--limit", "1000").stdout.splitlines()]

    def raw(self, who, *words, **attributes):
        """command=run by hand with three null descriptors: the answer."""
        null = os.open("/dev/null", os.O_RDWR)
        try:
            with self.client(who) as client:
                client.send(run_frame(*words, **attributes), [null] * 3)
                return client.answer()
        finally:
            os.close(null)

    def client(self, who):
        """A connection of that user's, for `with`."""
        with being(who):
            return contextlib.closing(Client(self.daemon))

    def commands(self):
        """pids of policyctl processes that the keeper has started and that run."""
        found = []
        for pid in pathlib.Path(f"/proc/{self.daemon.keeper()}/task/{self.daemon.keeper()}/children").read_text().split():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe") == self.program:
                    found.append(int(pid))
        return found

    def begin(self, who, *words, **options):
        """A `load -` (or other words) that waits for its input: the client, and the pid of the command itself."""
        child = subprocess.Popen([self.program, "-c", str(self.daemon.ini), *(words or ("load", "-"))],
                                 **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                    **identity(who), **options})
        self.addCleanup(self.end, child)
        return child, wait_until(self.commands, "a start of policyctl")[0]

    @staticmethod
    def end(child):
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe:
                pipe.close()

    def ping(self):
        with contextlib.closing(Client(self.daemon)) as client:
            self.assertEqual(client.ask(("command", "ping"))["status"], "ok")

    def assert_well(self, keeper):
        self.assertEqual(self.daemon.keeper(), keeper)
        self.assertEqual(self.daemon.ask(), DUNNO)


class Matrix(Case):
    @staticmethod
    def words_of(words, domain):
        return [domain if word == "@" else word for word in words]

    def prepare(self, preparations, domain, stdin):
        for words in preparations:
            self.daemon.ctl(*self.words_of(words, domain), stdin=stdin.replace("@@", f"@{domain}") or f"x@{domain} x\n")

    def test_refused(self):
        keeper = self.daemon.keeper()
        before = self.snapshot()
        for who, (_, _, roles) in PEOPLE.items():
            for name, role, words, stdin, _, _ in COMMANDS:
                if role in roles:
                    continue
                with self.subTest(who=who, words=words):
                    done = self.run_as(who, *self.words_of(words, "example.com"), stdin=stdin.replace("@@", "@example.com"))
                    self.assertEqual((done.code, done.out, done.err), (NO, "", f"policyctl: {refusal(name, role)}\n"))
        self.assertEqual(self.snapshot(), before)
        self.assert_well(keeper)

    def test_allowed(self):
        for who, (_, _, roles) in PEOPLE.items():
            for at, (name, role, words, stdin, code, preparations) in enumerate(COMMANDS):
                if role not in roles:
                    continue
                domain = f"{who}-{at}.example"
                self.prepare(preparations, domain, stdin)
                before = len(self.audit())
                with self.subTest(who=who, words=words):
                    done = self.run_as(who, *self.words_of(words, domain), stdin=stdin.replace("@@", f"@{domain}"))
                    self.assertEqual(done.code, code, done.out + done.err)
                    lines = self.audit()[before:]
                    self.assertEqual({(line["who"], line["uid"]) for line in lines} - {("policyd", None)},
                                     {(who, pwd.getpwnam(who).pw_uid)} if self.leaves_line(name, role, words) else set(), lines)

    @staticmethod
    def leaves_line(name, role, words):
        return role != "read" and name not in CHANGES and "--dry-run" not in words

    def test_lockdown_needs_nobody(self):
        """It is a question to the DNS; through the daemon, which has no reason to ask for others, it wants a role."""
        done = self.run_as("www-data", "-o", "dns.nameserver=127.0.0.1:9", "-o", "dns.deadline_ms=100", "lockdown", "x.example")
        self.assertNotIn("role", done.err)
        self.assertEqual(self.raw("www-data", "lockdown", "x.example")["role"], "read")

    def test_verify_by_hand(self):
        for who, (_, _, roles) in PEOPLE.items():
            with self.client(who) as client:
                answer = client.ask(("command", "verify"), ("domain", "example.com"))
            self.assertEqual(answer["status"], "absent" if "add" in roles else "refused", who)

    def test_root_and_policyds_user(self):
        self.assertEqual(self.daemon.ctl("rollback").returncode, YES)
        done = subprocess.run([self.program, "-c", str(self.daemon.ini), "domain", "add", "x.example", "--tenant", "t"], check=True,
                              capture_output=True, user=USER, group=helper.GROUP, extra_groups=[])
        self.assertEqual(done.stderr, b"")
        self.assertEqual(self.audit()[-1]["who"], USER)


class Files(Case):
    def test_state_and_cache_are_closed(self):
        self.daemon.ctl("domain", "add", "x.example", "--tenant", "t")
        self.daemon.ask()
        closed = [self.daemon.folder / "state", self.daemon.folder / "run" / "cache"]
        inside = [path for folder in closed for path in folder.rglob("*")]
        self.assertIn("data.mdb", {path.name for path in inside})
        for who in ("www-data", "games", "uucp"):
            with being(who):
                for path in closed:
                    with self.assertRaises(PermissionError, msg=path):
                        os.listdir(path)
                for path in inside:
                    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
                        with self.assertRaises(PermissionError, msg=path):
                            os.close(os.open(path, flags))
                with self.assertRaises(PermissionError):
                    os.rename(self.daemon.control, str(self.daemon.control) + ".x")
                with self.assertRaises(PermissionError):
                    os.unlink(self.daemon.control)

    def test_each_file_is_closed_by_itself_too(self):
        for path in (self.daemon.folder / "state").rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_processes_are_closed(self):
        _, pid = self.begin("lp")
        for who in ("lp", "www-data"):
            with being(who):
                for target in (pid, self.daemon.keeper(), *self.daemon.workers()):
                    for name in ("environ", "mem", "maps"):
                        with self.assertRaises(PermissionError, msg=name), open(f"/proc/{target}/{name}", "rb") as file:
                            file.read(1)
                    with self.assertRaises(PermissionError):
                        os.listdir(f"/proc/{target}/fd")
                    with self.assertRaises(PermissionError):
                        os.kill(target, signal.SIGTERM)

    def test_operand_is_opened_with_the_callers_rights(self):
        before = self.snapshot()
        secret = self.daemon.folder / "secret.map"
        secret.write_text("secret@example.com root\n")
        secret.chmod(0o600)
        for path in (secret, "/etc/shadow", self.daemon.folder / "state" / "table" / "data.mdb",
                     f"/proc/{self.daemon.keeper()}/environ"):
            for words in (("load", "--merge"), ("load", "--tenants")):
                done = self.run_as("lp", *words, str(path))
                self.assertEqual((done.code, done.out), (UNKNOWN, ""), path)
                self.assertIn("Permission denied", done.err)
            for words in (("diff",), ("replay",)):
                done = self.run_as("uucp", *words, str(path))
                self.assertEqual((done.code, done.out), (UNKNOWN, ""), path)
                self.assertIn("Permission denied", done.err)
            for who, words in (("lp", ("load",)), ("uucp", ("diff",)), ("uucp", ("replay",))):
                for more in ((str(path),), ("--", str(path)), (str(path), "-"), ("-", str(path))):
                    self.assertEqual(self.raw(who, *words, *more)["status"], "refused", more)
        for path in ("/dev/stdin", "/proc/self/fd/0", "-"):
            done = self.run_as("uucp", "diff", path, stdin=TABLE)
            self.assertNotIn("role", done.err)
        self.assertEqual(self.snapshot(), before)


class Ways(Case):
    """Command lines, environments and names that ask for less than they do."""

    def assert_refused(self, done):
        self.assertEqual(done.code, NO, done.out + done.err)
        self.assertIn("needs the role", done.err)
        self.assertEqual(done.out, "")

    def test_own_configuration(self):
        """It says what is done with one's own files, and nothing of the daemon's."""
        mine = pathlib.Path(self.daemon.folder / "mine")
        mine.mkdir()
        shutil.chown(mine, "www-data", "www-data")
        ini = mine / "policyd.ini"
        text = self.daemon.ini.read_text()
        before = self.snapshot()
        ini.write_text(text.replace("verify = mail", "verify = www-data").replace("load = operator", "load = www-data"))
        self.assert_refused(self.run_as("www-data", "domain", "add", "x.example", "--tenant", "t", "--hosted", ini=ini))
        self.assert_refused(self.run_as("www-data", "load", "--force", "-", ini=ini, stdin="x@x.example x\n"))
        ini.write_text(text.replace(f"state_dir = {self.daemon.folder}/state", f"state_dir = {mine}/state"))
        done = self.run_as("www-data", "load", "-", ini=ini, stdin="x@x.example x\n")
        self.assertEqual((mine / "state").owner(), "www-data", done.err)
        (mine / "state" / "table").rename(mine / "table")
        (mine / "state" / "table").symlink_to(self.daemon.folder / "state" / "table")
        self.assertNotIn("alice", self.run_as("www-data", "dump", ini=ini).out)
        shutil.rmtree(mine / "state")
        (mine / "state").symlink_to(self.daemon.folder / "state")
        self.assert_refused(self.run_as("www-data", "dump", ini=ini))
        self.assertEqual(self.snapshot(), before)

    def test_overrides(self):
        for option in ("roles.verify=www-data", "policyd.user=www-data", f"policyd.state_dir={self.daemon.folder}/state/../state/.",
                       "control.socket=unix:/nonexistent"):
            done = self.run_as("www-data", "-o", option, "domain", "pin", "example.com")
            self.assertIn(done.code, (NO, USAGE, UNKNOWN), done.out)
            self.assertEqual(done.out, "", option)
        for option in ("roles.read=www-data", "control.socket=unix:/x"):
            self.assertEqual(self.raw("www-data", "-o", option, "status")["status"], "refused")
            self.assertEqual(self.raw("games", f"-o{option}", "status")["status"], "refused")

    def test_environment(self):
        hostile = {"POLICYD_ACTOR_UID": "0", "POLICYD_ACTOR_NAME": "root", "SUDO_UID": "0", "SUDO_USER": "root", "USER": "root",
                   "LOGNAME": "root", "PATH": str(self.daemon.folder), "MALLOC_PERTURB_": "1", "MALLOC_CHECK_": "3",
                   "GLIBC_TUNABLES": "glibc.malloc.check=3", "LD_LIBRARY_PATH": "/tmp", "LD_PRELOAD": "/nonexistent/x.so",
                   "TERM": "x\nLD_PRELOAD=/x", "LANG": "../../x", "TZ": "/etc/shadow", "IFS": "x", "BASH_ENV": "/x"}
        self.assertIn("needs the role", self.run_as("www-data", "domain", "add", "x.example", "--tenant", "t", env=hostile).err)
        done = self.run_as("news", "domain", "add", "x.example", "--tenant", "t", env=hostile)
        self.assertEqual(done.code, YES, done.err)
        self.assertEqual((self.audit()[-1]["who"], self.audit()[-1]["uid"]), ("news", pwd.getpwnam("news").pw_uid))
        _, pid = self.begin("lp", env=hostile)
        names = {pair.split(b"=")[0].decode() for pair in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if pair}
        self.assertLessEqual(names, {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "POLICYD_ACTOR_UID", "POLICYD_ACTOR_NAME", "TERM"})
        self.assertEqual(status_of(pid, "Uid")[1], str(pwd.getpwnam(USER).pw_uid))

    def test_another_name_for_policyctl(self):
        mine = self.daemon.folder / "bin"
        mine.mkdir()
        shutil.chown(mine, "www-data", "www-data")
        (mine / "root").symlink_to(self.program)
        shutil.copy(self.program, mine / "copy")
        for name in ("root", "copy"):
            self.assert_refused(self.run_as("www-data", "dump", program=str(mine / name)))

    def test_spellings(self):
        """What could be read as another command, or as an option that lowers the role. Not one is run."""
        pending = ["domain", "allow", "x.example", "joe"]
        for who, role, words in (
                ("news", "verify", [*pending, "--", "--pending"]),
                ("news", "verify", ["domain", "allow", "--", "x.example", "--pending"]),
                ("news", "verify", [*pending, "--sender=--pending"]),
                ("news", "verify", [*pending, "--tenant=--pending"]),
                ("news", "", [*pending, "--sender", "--pending"]),
                ("news", "", [*pending, "--pend"]),
                ("news", "", [*pending, "-pending"]),
                ("news", "", [*pending, "--pending="]),
                ("news", "", [*pending, "--pending=yes"]),
                ("news", "", [*pending, "--PENDING"]),
                ("news", "", [*pending, "--pending\n"]),
                ("news", "", [*pending, " --pending", "-x"]),
                ("news", "verify", [*pending, " --pending"]),
                ("news", "verify", [*pending, "\n--pending"]),
                ("news", "verify", ["domain", "add", "x.example", "--hosted", "--tenant", "t"]),
                ("news", "verify", ["domain", "add", "--hosted", "--", "x.example"]),
                ("news", "", ["domain", "add", "x.example", "--tenant", "--hosted"]),
                ("news", "", ["domain", "add", "x.example", "--host"]),
                ("news", "", ["domain", "add", "x.example", "--hosted=no"]),
                ("news", "", ["domain", "Add", "x.example"]),
                ("news", "", ["domain add", "x.example"]),
                ("news", "", ["domain", "add\n"]),
                ("news", "", ["domain", "--json", "add"]),
                ("news", "", ["--", "domain", "add", "x.example"]),
                ("news", "", ["", "domain", "add"]),
                ("news", "", ["-", "domain"]),
                ("news", "", ["domain", "", "add"]),
                ("news", "", ["domain"]),
                ("news", "", ["domain", "ad", "x.example"]),
                ("uucp", "load", ["cache", "flush"]),
                ("uucp", "", ["cache", "--json", "flush"]),
                ("uucp", "", ["cache", "--", "flush"]),
                ("uucp", "", ["cache"]),
                ("uucp", "", ["cache", "flush\0"]),
                ("uucp", "", ["status\0", "x"]),
                ("uucp", "", ["-c", "/etc/passwd", "status"]),
                ("uucp", "", ["-c/etc/passwd", "status"]),
                ("uucp", "", ["status", "-c", "x"]),
                ("uucp", "", ["-V"]),
                ("uucp", "", ["-h"]),
                ("uucp", "", ["--version"]),
                ("uucp", "", ["stat"]),
                ("uucp", "", ["/bin/sh", "-c", "id"]),
                ("lp", "", ["load", "/etc/passwd"]),
                ("lp", "", ["load", "--format", "csv", "/etc/passwd"]),
                ("lp", "", ["load", "--format", "-"])):
            with self.subTest(who=who, words=words):
                before = self.snapshot()
                answer = self.raw(who, *words)
                self.assertEqual((answer["status"], answer["role"]), ("refused", role), answer)
                self.assertEqual(self.snapshot(), before)

    def test_words_that_stay_words(self):
        """Allowed, and each operand and value arrives as it was given."""
        for words in (["domain", "add", "--tenant", "t", "--", "-x"], ["domain", "add", "a\nb.example", "--tenant", "t"],
                      ["domain", "add", "x.example", "--tenant", "t\nrole=verify"], ["domain", "add", "%0a.example", "--tenant", "t"],
                      ["domain", "add", "x.example", "--tenant", "t%0arole"], ["domain", "add", "x" * 60000, "--tenant", "t"]):
            answer = self.raw("news", *words)
            self.assertEqual(answer, {"status": "done", "exit": str(USAGE)}, words[:3])
        answer = self.raw("news", "domain", "allow", "x.example", "a\nb", "c\x1b[2J", "--pending")
        self.assertEqual(answer["status"], "done")
        self.assertEqual(json.loads(self.daemon.ctl("domain", "list", "--json").stdout), [])
        self.assertNotIn("\x1b", self.daemon.log())
        self.assertNotIn("\nb", self.daemon.log())
        self.assertIn(r"ran `domain allow x.example a\x0ab c\x1b[2J --pending`", self.daemon.log())

    def test_newlines_in_a_frame(self):
        """An attribute that is there twice or in the wrong place gives nobody another identity."""
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        for data in (frame(("command", "ping"), ("command", "run"), ("arg", "dump")),
                     frame(("command", "run"), ("uid", "0"), ("role", "read"), ("user", "root"), ("arg", "dump")),
                     frame(("command", "run"), ("arg", "status"), ("arg", "x")).replace(b"arg=x", b"arg=%0aarg=dump"),
                     frame(("command", "run"), ("arg", "dump"), ("term", "xterm\nuid=0"))):
            with self.client("news") as client:
                client.send(data, [null] * 3)
                answer = client.answer()
            self.assertTrue(answer["status"] == "refused" or "version" in answer, answer)

    def test_too_many_words(self):
        for count, size in ((1090, 1), (1090, 40), (300, 200)):
            answer = self.raw("news", "domain", "allow", "x.example", *["j" * size] * count, "--pending")
            self.assertEqual(answer["status"], "done")
        self.assertEqual(self.raw("news", "domain", "allow", "x.example", *["joe"] * 1080)["role"], "verify")
        done = self.run_as("news", "domain", "allow", "x.example", *["j" * 100] * 900, "--pending")
        self.assertEqual(done.code, USAGE)
        self.assertIn("too many words", done.err)
        self.assertEqual(json.loads(self.daemon.ctl("domain", "list", "--json").stdout), [])


class Tokens(Case):
    """Only who may add is told what to publish; no log, list, hook or audit line has it, whatever happens to the claim."""

    def test_nowhere_else(self):
        hook = self.daemon.folder / "hook"
        told = self.daemon.folder / "told"
        hook.write_text(f"#!/bin/sh\n{{ env; echo \"$@\"; }} >>{told}\n")
        hook.chmod(0o755)
        self.daemon.configure(log_level="debug", ownership={"hook": str(hook)})
        self.daemon.reload()
        tokens, seen = [], []
        for domain, tenant in (("x.example", "t"), ("x.example", "u"), ("y.example", "t"), ("x.example", "t")):
            done = self.run_as("news", "domain", "add", domain, "--tenant", tenant, "--json")
            tokens.append(done.json["record"]["value"].partition("=")[2])
            for words in (("check", domain), ("pin", domain, "--tenant", tenant), ("remove", domain, "--tenant", tenant, "--yes")):
                self.run_as("games", "domain", *words)
            for words in (("domain", "list"), ("domain", "show", "x.example"), ("audit",), ("status",), ("explain", "joe", "a@x.example")):
                for more in ((), ("--json",)):
                    done = self.run_as("uucp", *words, *more)
                    self.assertNotIn("role", done.err)
                    seen.append(done.out + done.err)
        self.daemon.ask("a@x.example", "joe")
        wait_until(lambda: told.exists() and told.read_text().count("POLICYD_AFTER=removed") >= 4, "the hook's last run")
        self.assertEqual(len(set(tokens)), 4)
        for token in tokens:
            self.assertEqual(len(token), 32)
            for text in (self.daemon.log(), told.read_text(), *seen):
                self.assertNotIn(token[:16], text.lower())


class Behaviour(Case):
    """Clients that are not policyctl, or that do not behave as it does."""

    def test_who_connected_counts(self):
        """Not who sends: neither more groups nor another process make a connection somebody else's."""
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        with being("www-data"):
            client = Client(self.daemon)
        for who in ("games", "uucp"):
            with being(who):
                client.send(run_frame("status"), [null] * 3)
                self.assertEqual(client.answer()["status"], "refused")
        client.send(run_frame("status"), [null] * 3)
        self.assertEqual(client.answer()["status"], "refused")

    def test_groups_are_dropped_meanwhile(self):
        """A connection keeps the groups it was made with; the next one has those of its time."""
        with being("uucp"):
            client = Client(self.daemon)
        with being("www-data"):
            null = os.open("/dev/null", os.O_RDWR)
            self.addCleanup(os.close, null)
            client.send(run_frame("status"), [null] * 3)
            self.assertEqual(client.answer()["status"], "done")
            fresh = Client(self.daemon)
        fresh.send(run_frame("status"), [null] * 3)
        self.assertEqual(fresh.answer()["status"], "refused")

    def test_terminal_stays_the_callers(self):
        """The command has no controlling terminal, so /dev/tty and what TIOCSTI needs are not there; the caller's ^C ends it."""
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        os.chmod(os.ttyname(follower), 0o666)
        child, pid = self.begin("lp", stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
                                preexec_fn=take_terminal)
        os.close(follower)
        self.assertNotEqual(self.terminal_of(child.pid), 0)
        self.assertEqual(self.terminal_of(pid), 0)
        self.assertEqual(os.getsid(pid), pid)
        os.write(leader, b"\x03")
        self.assertEqual(child.wait(TIMEOUT_S), -signal.SIGINT)
        wait_until(lambda: not is_alive(pid), "the command's end")

    @staticmethod
    def terminal_of(pid):
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4])

    def test_stdout_that_nobody_reads(self):
        """The command waits; nobody else does. With its client it goes."""
        keeper = self.daemon.keeper()
        self.ping()
        before = descriptors(keeper)
        for who, words in (("uucp", ("dump",)), ("uucp", ("status",)), ("games", ("domain", "add", "x.example", "--tenant", "t")),
                           ("games", ("domain", "pin", "y.example")), ("news", ("domain", "instructions", "y.example")),
                           ("lp", ("rollback",)), ("lp", ("cache", "flush"))):
            with self.subTest(words):
                self.daemon.ctl("domain", "add", "y.example", "--tenant", "t")
                read, write = self.full_pipe()
                child, pid = self.begin(who, *words, stdin=subprocess.DEVNULL, stdout=write, stderr=write)
                os.close(write)
                self.await_write(pid)
                for other in (("domain", "add", "z.example", "--tenant", "t"), ("load", "--merge", "-"), ("status",)):
                    done = subprocess.run([POLICYCTL, "-c", str(self.daemon.ini), *other], input=b"c@example.com c\n",
                                          capture_output=True, timeout=TIMEOUT_S, check=False)
                    self.assertEqual(done.returncode, YES, done.stderr)
                self.assert_well(keeper)
                self.end(child)
                wait_until(lambda: not is_alive(pid), "the command's end")
                os.close(read)
        wait_until(lambda: descriptors(keeper) <= before, "the end of all descriptors")

    @staticmethod
    def full_pipe():
        read, write = os.pipe()
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, b"x" * 4096)
        os.set_blocking(write, True)
        return read, write

    @staticmethod
    def await_write(pid):
        def state():
            with contextlib.suppress(OSError):
                return pathlib.Path(f"/proc/{pid}/wchan").read_text() in ("pipe_write", "anon_pipe_write")
            return True
        with contextlib.suppress(AssertionError):  # a kernel that does not say
            wait_until(state, "a write", 2)

    def test_descriptors_without_a_command(self):
        keeper = self.daemon.keeper()
        self.ping()
        before = descriptors(keeper)
        null = os.open("/dev/null", os.O_RDWR)
        self.addCleanup(os.close, null)
        clients = []
        with being("www-data"):
            for data in (b"r", b"request=policyd_control\n", b"\n", frame(("command", "nothing"))):
                clients.append(Client(self.daemon))
                clients[-1].send(data, [null] * 3)
        self.ping()
        for client in clients:
            client.close()
        wait_until(lambda: descriptors(keeper) <= before, "the end of all descriptors")

    def test_first_to_go_when_memory_is_short(self):
        _, pid = self.begin("lp")
        self.assertEqual(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text(), "1000\n")
        self.assertLess(int(pathlib.Path(f"/proc/{self.daemon.keeper()}/oom_score_adj").read_text()), 1000)

    def test_too_many_of_one_user(self):
        with being("uucp"):
            clients = [Client(self.daemon) for _ in range(16)]
        done = self.run_as("uucp", "status")
        self.assertEqual(done.code, UNKNOWN)
        self.assertIn("too many of yours: try again", done.err)
        clients[0].close()
        wait_until(lambda: self.run_as("uucp", "status").code == YES, "a place")

    def test_closed_and_strange_descriptors(self):
        keeper = self.daemon.keeper()
        self.ping()
        before = descriptors(keeper)
        left, right = socket.socketpair()
        path = os.open("/", os.O_PATH)
        folder = os.open("/", os.O_RDONLY)
        reading = os.open("/dev/null", os.O_RDONLY)
        for fd in (path, folder, reading):
            self.addCleanup(os.close, fd)
        for fds in ([path] * 3, [folder] * 3, [reading] * 3, [left.fileno(), right.fileno(), path]):
            with being("uucp"):
                client = Client(self.daemon)
            client.send(run_frame("status"), fds)
            self.assertIn(client.answer().get("exit"), ("0", "3"), fds)
            client.close()
        left.close()
        right.close()
        for stream in ("stdin", "stdout", "stderr"):
            def shut(which={"stdin": 0, "stdout": 1, "stderr": 2}[stream]):
                os.close(which)
            done = subprocess.run([self.program, "-c", str(self.daemon.ini), "status"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, preexec_fn=shut, check=False, timeout=TIMEOUT_S, **identity("uucp"))
            self.assertIn(done.returncode, (YES, UNKNOWN), stream)
        wait_until(lambda: descriptors(keeper) <= before, "the end of all descriptors")
        self.assert_well(keeper)

    def test_killed_at_any_moment(self):
        keeper = self.daemon.keeper()
        self.ping()
        before = descriptors(keeper)
        for turn in range(60):
            child = subprocess.Popen([self.program, "-c", str(self.daemon.ini), "domain", "add", f"k{turn}.example", "--tenant", "t"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **identity("news"))
            timer = threading.Event()
            timer.wait(turn / 4000)
            child.kill()
            child.wait()
        wait_until(lambda: not self.commands(), "the end of all commands")
        wait_until(lambda: descriptors(keeper) <= before, "the end of all descriptors")
        self.assert_well(keeper)
        known = {claim["domain"] for claim in json.loads(self.daemon.ctl("domain", "list", "--json").stdout)}
        told = {line["domain"] for line in self.audit() if line["what"] == "domain add"}
        self.assertEqual(known, told)


if __name__ == "__main__":
    unittest.main()

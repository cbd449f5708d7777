"""A private Postfix for tests: a real master, smtpd and queue that live in one temporary folder.

Knows: how to lay out, start and stop such a Postfix, make SASL users and speak SMTP to it.
Must not know: policyd. The caller says what main.cf and each smtpd service hold.
Fails: LabError with the end of the private mail log, so that a broken set-up tells what broke.

It needs root (master(8) does) and the packages postfix, postfix-lmdb, sasl2-bin and
libsasl2-modules. The system's own Postfix is left alone: its configuration is not read, its queue
not used, no service started.
"""

import base64
import grp
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time

PACKAGES = "postfix postfix-lmdb sasl2-bin libsasl2-modules"
PROGRAMS = ("postfix", "postconf", "postmap", "saslpasswd2")
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10

HELPERS = """\
rewrite   unix       - - n - - trivial-rewrite
cleanup   unix       n - n - 0 cleanup
qmgr      unix       n - n 300 1 qmgr
bounce    unix       - - n - 0 bounce
defer     unix       - - n - 0 bounce
trace     unix       - - n - 0 bounce
proxymap  unix       - - n - - proxymap
anvil     unix       - - n - 1 anvil
discard   unix       - - n - - discard
error     unix       - - n - - error
smtp      unix       - - n - - smtp
postlog   unix-dgram n - n - 1 postlogd
"""


class LabError(Exception):
    """The private Postfix could not be set up, started or stopped."""


def missing_programs():
    """Return the names of the needed programs that are not installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


def wait_until(check, timeout_s, what):
    """Poll check() until it is true; LabError naming what after timeout_s seconds."""
    end = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > end:
            raise LabError(f"gave up after {timeout_s} s waiting for {what}")
        time.sleep(0.01)


def group_alive(pgid):
    """Tell whether a process of the group still runs; a zombie that nobody reaped is none."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pgid and fields[0] != "Z":
            return True
    return False


GIVEN_PORTS = set()


def free_port():
    """Return a TCP port of 127.0.0.1 that nobody listens on now, another one each time: of two services with one port
    Postfix takes the last."""
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        if port not in GIVEN_PORTS:
            GIVEN_PORTS.add(port)
            return port


def write_config(path, text):
    """Write a Postfix file, dated back: Postfix waits 1 to 2 s for a fresh one to settle."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    past = time.time() - 60
    os.utime(path, (past, past))


def run(*args, **kwargs):
    """Run a program to its end; LabError with everything it printed unless it exits 0."""
    done = subprocess.run(args, capture_output=True, text=True, check=False, **kwargs)
    if done.returncode != 0:
        raise LabError(f"{' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Session:
    """One SMTP connection; every command returns the reply as the client saw it, '250 2.1.0 Ok'."""

    def __init__(self, port):
        self.smtp = smtplib.SMTP("127.0.0.1", port, local_hostname="client.lab.test", timeout=30)
        self.smtp.command_encoding = "utf-8"
        self.smtp.ehlo()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.smtp.close()

    def command(self, line):
        """Send one line, return code and text of the (first line of the) reply."""
        code, text = self.smtp.docmd(line)
        return f"{code} {text.decode('utf-8', 'replace').splitlines()[0]}"

    def auth(self, login, password):
        """AUTH PLAIN; LabError when it is refused."""
        token = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        reply = self.command(f"AUTH PLAIN {token}")
        if not reply.startswith("235"):
            raise LabError(f"AUTH as {login}: {reply}")

    def xclient_login(self, login):
        """Take a login without a password; the service must allow XCLIENT to this host."""
        reply = self.command(f"XCLIENT LOGIN={login}")
        if not reply.startswith("220"):
            raise LabError(f"XCLIENT LOGIN={login}: {reply}")
        self.smtp.ehlo()

    def offer(self, sender, *recipients):
        """MAIL and each RCPT, then RSET: return the replies of MAIL and RCPT, in order."""
        replies = [self.command(f"MAIL FROM:<{sender}>")]
        replies += [self.command(f"RCPT TO:<{rcpt}>") for rcpt in recipients]
        self.command("RSET")
        return replies

    def send(self, sender, recipient):
        """A whole mail; return the last reply: of DATA's end, or the one that refused it."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
            reply = self.command(line)
            if not reply.startswith("250"):
                self.command("RSET")
                return reply
        code, text = self.smtp.data("Subject: lab\r\n\r\nhello\r\n")
        return f"{code} {text.decode('utf-8', 'replace')}"


class Sink(threading.Thread):
    """Another mail host on a free port: takes every mail; mails holds (sender, recipients, text) of each."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mails = []
        self.start()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("rwb") as stream:
            def say(line):
                stream.write(line + b"\r\n")
                stream.flush()

            sender, recipients = None, []
            say(b"220 sink ESMTP")
            for line in stream:
                verb = line.split()[0].upper() if line.strip() else b""
                if verb == b"MAIL":
                    sender, recipients = line.split(b"<")[1].split(b">")[0].decode(), []
                elif verb == b"RCPT":
                    recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                elif verb == b"DATA":
                    say(b"354 go on")
                    text = b"".join(iter(stream.readline, b".\r\n"))
                    self.mails.append((sender, recipients, text.decode("utf-8", "replace")))
                say(b"221 bye" if verb == b"QUIT" else b"250 fine")
                if verb == b"QUIT":
                    return

    def close(self):
        # A thread in accept(2) holds a socket that close(2) alone does not end.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Lab:
    """The folder, configuration and processes of one private Postfix."""

    def __init__(self):
        if os.geteuid() != 0:
            raise LabError("a Postfix of one's own needs root")
        if missing_programs():
            raise LabError(f"not installed: {' '.join(missing_programs())} (packages: {PACKAGES})")
        self.root = tempfile.mkdtemp(prefix="postfixlab-")
        # mkdtemp makes it 0700, and the user postfix has to pass through.
        os.chmod(self.root, 0o755)
        self.config_dir = os.path.join(self.root, "etc")
        self.queue_dir = os.path.join(self.root, "queue")
        self.data_dir = os.path.join(self.root, "data")
        self.log_file = os.path.join(self.root, "mail.log")
        self.sasldb = os.path.join(self.root, "sasldb2")
        self.ports = {}
        self.services = {}
        self.owner = pwd.getpwnam("postfix")
        self.group = grp.getgrnam("postfix").gr_gid
        for path in (self.config_dir, self.queue_dir, self.data_dir):
            os.mkdir(path, 0o755)
        os.chown(self.data_dir, self.owner.pw_uid, self.group)
        self.main = self._base_main()
        self._write_sasl()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _base_main(self):
        return {
            "compatibility_level": "3.6",
            "queue_directory": self.queue_dir,
            "data_directory": self.data_dir,
            "maillog_file": self.log_file,
            "maillog_file_prefixes": self.root,
            "myhostname": "mx.lab.test",
            "mydestination": "lab.test",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "local_transport": "discard:lab",
            "default_transport": "discard:lab",
            "default_database_type": "lmdb",
            "smtpd_peername_lookup": "no",
            "smtpd_error_sleep_time": "0",
            "smtpd_soft_error_limit": "1000",
            "smtpd_hard_error_limit": "1000",
            "smtpd_sasl_auth_enable": "yes",
            "recipient_delimiter": "+",
            "smtpd_sasl_path": "smtpd",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
        }

    def _write_sasl(self):
        folder = os.path.join(self.config_dir, "sasl")
        os.mkdir(folder)
        with open(os.path.join(folder, "smtpd.conf"), "w", encoding="ascii") as file:
            file.write(
                "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
                f"sasldb_path: {self.sasldb}\n"
            )

    def add_user(self, login, password):
        """Make user@realm known to SASL; before or after start()."""
        user, _, realm = login.rpartition("@")
        run("saslpasswd2", "-f", self.sasldb, "-p", "-c", "-u", realm, user, input=password)
        os.chown(self.sasldb, 0, self.group)
        os.chmod(self.sasldb, 0o640)

    def add_smtpd(self, name, chroot=False, **overrides):
        """Add an smtpd service on a free port; overrides become its -o { name = value }."""
        self.ports[name] = free_port()
        options = "".join(f"\n    -o {{ {key} = {value} }}" for key, value in overrides.items())
        jail = "y" if chroot else "n"
        self.services[name] = f"127.0.0.1:{self.ports[name]} inet n - {jail} - - smtpd{options}\n"

    def write(self, folder=None, names=None):
        """Write main.cf and master.cf: here, or into that folder with those services alone."""
        folder = folder or self.config_dir
        services = [self.services[name] for name in names or self.services]
        write_config(os.path.join(folder, "main.cf"),
                     "".join(f"{name} = {value}\n" for name, value in self.main.items()))
        write_config(os.path.join(folder, "master.cf"), HELPERS + "".join(services))

    def start(self):
        """Write the configuration and start master; returns when every smtpd port answers."""
        self.write()
        try:
            run("postfix", "-c", self.config_dir, "start", stdin=subprocess.DEVNULL)
            wait_until(lambda: all(map(self._listens, self.ports.values())), START_TIMEOUT_S,
                       "the smtpd ports")
        except LabError as error:
            raise LabError(f"{error}\n{self.log()[-4000:]}") from None

    @staticmethod
    def _listens(port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return False
        return True

    def session(self, name):
        """Open an SMTP session to the smtpd service of that name."""
        return Session(self.ports[name])

    def log(self):
        """Return the mail log so far."""
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def master_pid(self):
        """Return the pid of the private master, None when it does not run."""
        try:
            with open(os.path.join(self.queue_dir, "pid/master.pid"), encoding="ascii") as file:
                pid = int(file.read())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def stop(self):
        """End master and everything it started; no harm when it does not run."""
        pid = self.master_pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        try:
            wait_until(lambda: not group_alive(pid), STOP_TIMEOUT_S, "Postfix to end")
        except LabError:
            os.killpg(pid, signal.SIGKILL)
            raise

    def close(self):
        """Stop and remove the folder."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

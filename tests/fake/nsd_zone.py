"""A real authoritative server: NSD on a free loopback port, in a folder of its own, with every form of record documented.

Knows: NSD's configuration and zone files. Every record stands below one zone, `test`.
Must not know: policyd.
Fails: AssertionError with the end of NSD's log.

    with NsdZone() as nsd:             # nsd.server is "127.0.0.1:PORT"
        nsd.set_record("_mailchannels.one.test", '"v=mc1 auth=other"')   # the zone as it is from then on
        nsd.stop(); nsd.start()        # the same port

The data is served under other privileges than root's where the tests run as root.
"""
import os
import pathlib
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

NSD = shutil.which("nsd") or "/usr/sbin/nsd"  # not in the PATH of users
READY_TIMEOUT_S = 20
USER, GROUP = "nobody", "nogroup"
LABEL = "_mailchannels"
IDN = "xn--bcher-kva"  # bücher
CHAIN = 8

# By name below `test`: what TXT records it has, as a zone file writes them.
RECORDS = {
    f"{LABEL}.one": ['"v=mc1 auth=examplesender"'],
    f"{LABEL}.two": ['"v=mc1 auth=examplesender auth=othersender"'],
    f"{LABEL}.senderid": ['"v=mc1 senderid=examplesender|x-authuser|alice@example.com"'],
    f"{LABEL}.bare": ['"v=mc1"'],
    f"{LABEL}.strings": ['"v=mc1 auth=exam" "plesender auth=" "othersender"'],
    f"{LABEL}.records": ['"v=mc1 auth=examplesender"', '"v=mc1 auth=othersender"', '"v=spf1 -all"'],
    f"{LABEL}.foreign": ['"v=spf1 -all"'],
    f"{LABEL}.{IDN}": ['"v=mc1 auth=idn"'],
    "*.wild": ['"v=mc1 auth=wild"'],
    "target": ['"v=mc1 auth=target"'],
    # Both need TCP; the second is more than policyd takes.
    f"{LABEL}.forty": [f'"v=mc1 auth=account{i} {"x" * 200}"' for i in range(40)],
    f"{LABEL}.three-hundred": [f'"v=mc1 auth=account{i}"' for i in range(300)],
}
OTHERS = [
    f"{LABEL}.nodata A 192.0.2.1",
    f"{LABEL}.alias CNAME target",
    f"{LABEL}.dangling CNAME nowhere",
    f"{LABEL}.away CNAME elsewhere.example.",
    *[f"chain{i} CNAME chain{i - 1}" for i in range(1, CHAIN + 2)],
]
RECORDS["chain0"] = ['"v=mc1 auth=chain"']
TTL, NEGATIVE_TTL = 300, 60

CONFIGURATION = """
server:
  ip-address: {host}@{port}
  username: ""
  chroot: ""
  server-count: 1
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  logfile: "{folder}/nsd.log"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: test
  zonefile: test.zone
"""


def query(server, name, timeout_s=1.0):
    """A TXT query by UDP; the bytes of the answer, None without one."""
    ident = secrets.token_bytes(2)
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\0"
    host, port = server.rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect((host.strip("[]"), int(port)))
            sock.send(ident + b"\x01\x00\0\x01\0\0\0\0\0\0" + labels + struct.pack(">HH", 16, 1))
            answer = sock.recv(65535)
        except OSError:
            return None
    return answer if answer[:2] == ident else None


class NsdZone:
    def __init__(self, host="127.0.0.1", records=None, others=()):
        """records, others: more of RECORDS and OTHERS."""
        self.host = host
        self.records = {**RECORDS, **(records or {})}
        self.others = [*OTHERS, *others]
        self.serial = 1
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nsd-"))
        self.process = None
        self.port = self._free_port()

    @property
    def server(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _free_port(self):
        """Free for UDP and TCP."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        while True:
            with socket.socket(family, socket.SOCK_DGRAM) as udp, socket.socket(family) as tcp:
                udp.bind((self.host, 0))
                port = udp.getsockname()[1]
                try:
                    tcp.bind((self.host, port))
                    return port
                except OSError:
                    continue

    def _write(self):
        lines = ["$ORIGIN test.", f"$TTL {TTL}",
                 f"@ SOA ns root {self.serial} 3600 600 86400 {NEGATIVE_TTL}", "@ NS ns", "ns A 127.0.0.1",
                 f'serial{self.serial} TXT "here"']
        for name, values in self.records.items():
            lines += [f"{name} TXT {value}" for value in values]
        new = self.folder / "test.zone.new"
        new.write_text("\n".join([*lines, *self.others]) + "\n", encoding="ascii")
        new.chmod(0o644)
        new.replace(self.folder / "test.zone")

    def _serves(self):
        """Whether the zone as written last is the one that is served."""
        answer = query(self.server, f"serial{self.serial}.test")
        return answer is not None and answer[3] & 15 == 0 and answer[6:8] == b"\0\x01"

    def _wait(self):
        end = time.monotonic() + READY_TIMEOUT_S
        while not self._serves():
            if self.process.poll() is not None or time.monotonic() > end:
                log = self.folder / "nsd.log"
                raise AssertionError("NSD does not serve the zone: " +
                                     (log.read_text()[-2000:] if log.exists() else "no log"))
            time.sleep(0.02)

    def start(self):
        self._write()
        conf = self.folder / "nsd.conf"
        conf.write_text(CONFIGURATION.format(host=self.host, port=self.port, folder=self.folder))
        rights = {"user": USER, "group": GROUP, "extra_groups": []} if os.geteuid() == 0 else {}
        if rights:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, USER)
        self.process = subprocess.Popen([NSD, "-d", "-c", str(conf)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, **rights)
        self._wait()
        return self

    def set_record(self, name, *values):
        """TXT records of NAME.test (as a zone file writes them; none: the name goes), served when this returns.

        By a new start: after SIGHUP old and new processes of NSD both answer for a moment."""
        self.records.pop(name.removesuffix(".test"), None)
        if values:
            self.records[name.removesuffix(".test")] = list(values)
        self.serial += 1
        self.stop()
        self.start()

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

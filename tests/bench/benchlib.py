"""What the parts of `make bench` share: servers, their data and configuration, runs, callgrind.

Knows the programs in BUILD. Must not know what is compared with what, nor how much is expected.
Fails: BenchFailure with a text for the person.
"""

import contextlib
import dataclasses
import grp
import os
import pathlib
import pwd
import signal
import socket
import statistics
import subprocess
import tempfile
import time

SERVICE_USER = "nobody"
CALLGRIND_CONNECTIONS = 50


class BenchFailure(Exception):
    """A wrong answer, or a program that did not do its part; the text is for the person."""


@dataclasses.dataclass
class Setup:
    """Where everything is; made once."""

    build: pathlib.Path
    folder: pathlib.Path
    server_cpu: set[int] | None
    client_cpu: set[int] | None

    def tool(self, name):
        return str(self.build / name)

    def path(self, name):
        return str(self.folder / name)


# ---- servers -------------------------------------------------------------------------------------


def pin_to(cpus):
    """For preexec_fn: the process and what it starts stay on these processors."""
    return None if cpus is None else lambda: os.sched_setaffinity(0, cpus)


def callgrind_command(folder):
    return ["valgrind", "--tool=callgrind", "--trace-children=yes", "--vgdb=no",
            f"--callgrind-out-file={folder}/callgrind.out.%p", f"--log-file={folder}/valgrind.%p"]


def stop_process(process, patience_s):
    """SIGTERM, then SIGKILL for one that does not obey; its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


@dataclasses.dataclass
class Server:
    name: str
    address: str
    answers: str
    process: subprocess.Popen

    def stop(self):
        status = stop_process(self.process, 60)
        if status != 0:
            raise BenchFailure(f"{self.name} did not stop cleanly (status {status})")


@contextlib.contextmanager
def start_echo(setup, wrapper=()):
    address = "unix:" + setup.path("echo.sock")
    process = subprocess.Popen([*wrapper, setup.tool("bench/echo"), address],
                               stdout=subprocess.PIPE, preexec_fn=pin_to(setup.server_cpu))
    try:
        if process.stdout.readline() != b"READY\n":
            raise BenchFailure("echo did not start")
        yield Server("echo", address, setup.path("dunno.txt"), process)
    finally:
        stop_process(process, 5)
        process.stdout.close()


@contextlib.contextmanager
def start_policyd(setup, wrapper=(), name="policyd"):
    """A policyd whose first answers from the table have come: it verifies the table after READY."""
    log_path = pathlib.Path(setup.path("policyd.log"))
    notify_path = setup.path("notify.sock")
    pathlib.Path(notify_path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(log_path, "wb") as log:
        notify.bind(notify_path)
        os.chmod(notify_path, 0o777)
        process = subprocess.Popen(
            [*wrapper, setup.tool("policyd"), "-c", setup.path("policyd.ini")],
            stderr=log, env={**os.environ, "NOTIFY_SOCKET": notify_path},
            preexec_fn=pin_to(setup.server_cpu))
        server = Server(name, "unix:" + setup.path("policy.sock"),
                        setup.path("answers.txt"), process)
        try:
            wait_for_ready(notify, process, 120)
            wait_for_table(setup, process, 300)
            yield server
        except BenchFailure as failure:
            tail = log_path.read_text(errors="replace")[-2000:]
            raise BenchFailure(f"{failure}\n--- end of policyd's log\n{tail}") from failure
        finally:
            stop_process(process, 15)


def wait_for_ready(notify, process, limit_s):
    notify.settimeout(0.2)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in notify.recv(4096).split(b"\n"):
                return
    raise BenchFailure("policyd did not say READY=1")


def wait_for_table(setup, process, limit_s):
    """Asks something that only the table can answer until it is answered."""
    request, expected = refused_request(setup)
    deadline = time.monotonic() + limit_s
    pause, answer = 0.05, b""
    while time.monotonic() < deadline and process.poll() is None:
        answer = ask_once(setup.path("policy.sock"), request)
        if answer == expected:
            return
        time.sleep(pause)
        pause = min(pause * 2, 1)
    raise BenchFailure(f"policyd does not answer from the table: {answer!r}, due was {expected!r}")


def refused_request(setup):
    """The first request that has a sender and a login, with a login that owns nothing."""
    for text in pathlib.Path(setup.path("requests.txt")).read_text("ascii").split("\n\n")[:-1]:
        request = dict(line.split("=", 1) for line in text.split("\n"))
        if request["sender"] and request["sasl_username"]:
            request["sasl_username"] = "stranger"
            lines = [f"{name}={value}\n" for name, value in request.items()]
            return ("".join(lines) + "\n").encode(), \
                b"action=REJECT 5.7.1 Sender address rejected: not owned by user stranger\n\n"
    raise BenchFailure("no request has sender and login: too few requests")


def ask_once(path, request):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        answer = b""
        try:
            client.connect(path)
            client.sendall(request)
            while not answer.endswith(b"\n\n"):
                part = client.recv(4096)
                if not part:
                    break
                answer += part
        except OSError as error:
            answer = str(error).encode()
    return answer


# ---- data ----------------------------------------------------------------------------------------


def generate(setup, rows, requests, *options):
    subprocess.run([setup.tool("bench/gen"), "-n", str(rows), "-q", str(requests),
                    "-o", str(setup.folder), *options], check=True)
    with open(setup.path("dunno.txt"), "w", encoding="ascii") as file:
        file.write("DUNNO\n" * requests)


def write_configuration(setup, more=()):
    """more: lines that follow those of [policyd]."""
    state = setup.folder / "state"
    state.mkdir(mode=0o700)
    group = grp.getgrgid(os.getgid()).gr_name
    lines = ["[policyd]", f"listen = unix:{setup.path('policy.sock')}", "socket_mode = 0666",
             f"state_dir = {state}", "table_max_mb = 4096", "workers = 1",
             "log = stderr", "log_decisions = none"]
    if os.geteuid() == 0:
        account = pwd.getpwnam(SERVICE_USER)
        group = grp.getgrgid(account.pw_gid).gr_name
        os.chown(state, account.pw_uid, account.pw_gid)
        os.chmod(setup.folder, 0o711)
        lines += [f"user = {SERVICE_USER}", f"group = {group}"]
    lines += [f"socket_group = {group}", "[control]",
              f"socket = unix:{setup.path('control.sock')}", *more]
    pathlib.Path(setup.path("policyd.ini")).write_text("\n".join(lines) + "\n", encoding="ascii")


def load_table(setup):
    """Seconds that `policyctl load` took."""
    start = time.monotonic()
    done = subprocess.run([setup.tool("policyctl"), "-c", setup.path("policyd.ini"), "load",
                           "--format", "csv", setup.path("table.csv")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        text = done.stdout.decode(errors="replace")[-2000:]
        raise BenchFailure(f"policyctl load: status {done.returncode}\n{text}")
    return seconds


# ---- measuring -----------------------------------------------------------------------------------


def run_load(setup, server, connections, amount):
    """One run of the load generator; its key=value line as a dict of numbers."""
    done = subprocess.run(
        [setup.tool("bench/load"), "-s", server.address, "-n", str(connections), *amount,
         "-f", setup.path("requests.txt"), "-e", server.answers, "-p", str(server.process.pid)],
        capture_output=True, text=True, preexec_fn=pin_to(setup.client_cpu), check=False)
    if done.returncode != 0:
        raise BenchFailure(f"load against {server.name}: status {done.returncode}\n"
                           f"{done.stdout}{done.stderr}")
    pairs = (word.split("=", 1) for word in done.stdout.split())
    return {key: float(value) for key, value in pairs if key != "server"}


def measure_pairs(setup, servers, connections, pairs, seconds):
    """Results of each server, in order; who begins changes from pair to pair."""
    results = {server.name: [] for server in servers}
    for server in servers:
        run_load(setup, server, connections, ["-d", str(min(seconds, 0.5))])
    for number in range(pairs):
        for server in servers if number % 2 == 0 else reversed(servers):
            results[server.name].append(
                run_load(setup, server, connections, ["-d", str(seconds)]))
    return results


def median_of(runs, key):
    return statistics.median(run[key] for run in runs)


def print_columns(options):
    print(f"medians of {options.pairs} runs of {options.seconds:g} s, in turn\n"
          "  conn server      requests/s    p50 us    p99 us  p99.9 us  CPU us/rq  busy %"
          "  client %")


def print_results(connections, results):
    for name, runs in results.items():
        busy = median_of(runs, "rps") * median_of(runs, "server_cpu_us") / 10_000
        print(f"{connections:>6} {name:<9} {median_of(runs, 'rps'):>12,.0f}"
              f" {median_of(runs, 'p50_us'):>9.1f} {median_of(runs, 'p99_us'):>9.1f}"
              f" {median_of(runs, 'p999_us'):>9.1f} {median_of(runs, 'server_cpu_us'):>10.2f}"
              f" {busy:>7.0f} {median_of(runs, 'client_busy_pct'):>7.0f}", flush=True)


def ratios(results):
    return [ours["rps"] / echo["rps"] for ours, echo in zip(results["policyd"], results["echo"])]


def tree_cpu(root):
    """CPU ticks of a process and all below it, by pid."""
    parents, ticks = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
            ticks[int(entry.name)] = int(fields[11]) + int(fields[12])
    tree, grown = {root}, True
    while grown:
        found = {pid for pid, parent in parents.items() if parent in tree}
        grown = not found <= tree
        tree |= found
    return {pid: ticks[pid] for pid in tree if pid in ticks}


def callgrind_total(path):
    text = path.read_text(errors="replace") if path.exists() else ""
    for line in text.splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise BenchFailure(f"{path.name}: no totals; was that process killed?")


def run_under_callgrind(setup, start, requests):
    """Instructions of the process that worked most during the run, from its start to its end."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=setup.folder))
    os.chmod(folder, 0o777)
    with start(setup, callgrind_command(folder)) as server:
        before = tree_cpu(server.process.pid)
        run_load(setup, server, CALLGRIND_CONNECTIONS, ["-r", str(requests)])
        after = tree_cpu(server.process.pid)
        worker = max(after, key=lambda pid: after[pid] - before.get(pid, 0))
        # no status asked for: a supervisor that left root cannot write its own callgrind file
        stop_process(server.process, 60)
    return callgrind_total(folder / f"callgrind.out.{worker}")


def instructions_per_request(setup, start, few, many):
    """What start, stop and connecting cost is in both runs and falls out of the difference."""
    first = run_under_callgrind(setup, start, few)
    second = run_under_callgrind(setup, start, many)
    return (second - first) / (many - few)


def verdict(met):
    return "met" if met else "MISSED"


def summarize(found, unit, expected, is_met):
    middle = statistics.median(found)
    return (f"{middle:.2f} {unit} ({min(found):.2f} to {max(found):.2f} over {len(found)} pairs);"
            f" expected {expected}: {verdict(is_met(middle))}")

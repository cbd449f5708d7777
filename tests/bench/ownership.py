"""The register part of `make bench`: a round of re-checks over all claims, what policyctl needs for one
domain among them, and what asking the register costs a request.

Knows: that `claims fill` registers d<2i>.ZONE for tenant t<i mod 1000>, and probe.ZONE for a tenant
of nobody's login; that the senders' domains of gen are d<i>.ZONE; NSD on loopback (tests/fake).
Must not know: how the register is stored, how policyd asks.
Fails: BenchFailure; never for speed.
"""

import contextlib
import dataclasses
import datetime
import functools
import json
import os
import pathlib
import pwd
import shutil
import statistics
import subprocess
import sys
import time

from benchlib import (SERVICE_USER, BenchFailure, Setup, ask_once, generate,
                      instructions_per_request, load_table, measure_pairs, pin_to, print_columns,
                      print_results, start_policyd, stop_process, summarize, tree_cpu, verdict,
                      write_configuration)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fake"))
from nsd_zone import NsdZone  # noqa: E402  pylint: disable=wrong-import-position

EXPECTED_RATIO = 0.8
EXPECTED_SECONDS = 0.1  # of one command about one domain
ZONE = "bench.test"
TENANTS = 1000  # as many as `claims fill` makes
LABEL, PREFIX = "domauthvalidation", "policyd-verification="  # the defaults
LONG_AGO_S = 2 * 86_400  # due, with the default recheck_s
ROUND_LIMIT_S = 1_800
COMMAND_RUNS = 11
SENDING_SHARE = 0.2
NO_SERVER = "127.0.0.1:9"
PROBE = "probe." + ZONE
PROBE_LOGIN = "acct0@d0." + ZONE


# ---- data ----------------------------------------------------------------------------------------


def fill_register(setup, count, age_s):
    """Names and tokens of all claims."""
    state = setup.path("state")
    done = subprocess.run([setup.tool("bench/claims"), state, "fill", str(count), ZONE, str(age_s)],
                          stdout=subprocess.PIPE, text=True, check=True)
    if os.geteuid() == 0:
        account = pwd.getpwnam(SERVICE_USER)
        for path in (pathlib.Path(state), *pathlib.Path(state).rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
    return [line.split() for line in done.stdout.splitlines()]


def load_tenants(setup, count):
    """Each tenant's claims are those of its own logins."""
    path = setup.path("tenants.txt")
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"@d{2 * i}.{ZONE} t{i % TENANTS}\n" for i in range(count))
    subprocess.run([setup.tool("policyctl"), "-c", setup.path("policyd.ini"), "load", "--tenants",
                    path], stdout=subprocess.DEVNULL, check=True)


def prepare(setup, name, rows, requests, domains, more):
    """A folder with table, requests and configuration; its Setup."""
    ours = dataclasses.replace(setup, folder=setup.folder / name)
    ours.folder.mkdir()
    if os.geteuid() == 0:
        os.chmod(setup.folder, 0o711)
    generate(ours, rows, requests, "-D", str(domains), "-z", ZONE)
    with open(ours.path("table.csv"), "a", encoding="ascii") as table:
        table.write(f"user@{PROBE},{PROBE_LOGIN},,\n")
    write_configuration(ours, more)
    load_table(ours)
    return ours


# ---- a round of re-checks ------------------------------------------------------------------------


@dataclasses.dataclass
class Round:
    claims: int
    seconds: float
    peak_kb: int          # of the keeper, with the pages of the register that it has mapped
    own_kb: int           # at the end, without those
    cpu_s: float
    commands: dict[str, list[float]]


def status_kb(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise BenchFailure(f"/proc/{pid}/status has no {name}")


def proofs(claims):
    end = "." + ZONE.partition(".")[2]
    return [f'{LABEL}.{domain.removesuffix(end)} TXT "{PREFIX}{token}"' for domain, token in claims]


def run_policyctl(setup, *arguments):
    """Seconds."""
    begun = time.perf_counter()
    done = subprocess.run([setup.tool("policyctl"), "-c", setup.path("policyd.ini"), *arguments],
                          capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode != 0 or "verified" not in done.stdout:
        raise BenchFailure(f"policyctl {' '.join(arguments)}: status {done.returncode}\n"
                           f"{done.stdout[-1000:]}{done.stderr}")
    return seconds


def time_commands(setup, count):
    commands = [("domain", "show", f"d{count}.{ZONE}"),
                ("domain", "list", "--limit", "20"),
                ("domain", "list", "--tenant", "t5"),
                ("domain", "list")]
    return {" ".join(command): [run_policyctl(setup, *command) for _ in range(COMMAND_RUNS)]
            for command in commands}


def check_proofs(setup, count, begun):
    """Every claim was proved anew: its proof was asked for and found."""
    done = subprocess.run([setup.tool("policyctl"), "-c", setup.path("policyd.ini"), "domain", "list",
                           "--state", "verified", "--json"],
                          stdout=subprocess.PIPE, text=True, check=True)
    proved = [datetime.datetime.fromisoformat(claim["proved_at"]).timestamp()
              for claim in json.loads(done.stdout)]
    fresh = sum(at >= int(begun) for at in proved)
    if fresh != count:
        raise BenchFailure(f"only {fresh} of {count} claims were proved in the round")


@contextlib.contextmanager
def watched_round(setup):
    process = subprocess.Popen([setup.tool("bench/claims"), setup.path("state"), "round",
                                str(ROUND_LIMIT_S)], stdout=subprocess.PIPE, text=True,
                               preexec_fn=pin_to(setup.client_cpu))
    try:
        if process.stdout.readline() != "READY\n":
            raise BenchFailure("the round cannot be watched")
        yield process
    finally:
        stop_process(process, 5)
        process.stdout.close()


def measure_round(setup, options):
    """One round over claims that are all due, by the keeper, which has a processor to itself."""
    count = options.claims
    ours = prepare(setup, "round", 1_000, 1_000, 1_000, [])
    claims = fill_register(ours, count, LONG_AGO_S)
    with NsdZone(others=proofs(claims)) as nsd:
        for pid in tree_cpu(nsd.process.pid) if setup.client_cpu else ():
            os.sched_setaffinity(pid, setup.client_cpu)
        with open(ours.path("policyd.ini"), "a", encoding="ascii") as file:
            file.write(f"[dns]\nnameserver = {nsd.server}\n")
        begun = time.time()
        with watched_round(ours) as watch, start_policyd(ours) as server:
            line = watch.stdout.readline()
            if watch.wait() != 0:
                raise BenchFailure("the round did not end")
            check_proofs(ours, len(claims), begun)
            ticks = tree_cpu(server.process.pid)
            keeper = max(ticks, key=ticks.get)
            found = Round(len(claims), float(line.strip().removeprefix("seconds=")),
                          status_kb(keeper, "VmHWM"), status_kb(keeper, "RssAnon"),
                          ticks[keeper] / os.sysconf("SC_CLK_TCK"), time_commands(ours, count))
            server.stop()
    return found


# ---- requests ------------------------------------------------------------------------------------


def wait_for_probe(setup, expected, limit_s=300):
    """Until what only the register refuses is answered as it should be."""
    request = (f"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=user@{PROBE}\n"
               f"sasl_username={PROBE_LOGIN}\n\n").encode()
    deadline = time.monotonic() + limit_s
    while (answer := ask_once(setup.path("policy.sock"), request)) != expected:
        if time.monotonic() > deadline:
            raise BenchFailure(f"policyd does not answer from the register: {answer!r}")
        time.sleep(0.05)


@contextlib.contextmanager
def start(setup, wrapper=(), name="policyd", expected=b""):
    with start_policyd(setup, wrapper, name) as server:
        wait_for_probe(setup, expected)
        yield server


REFUSED = (f"action=REJECT 5.7.1 Sender address rejected: not owned by user {PROBE_LOGIN}\n\n"
           ).encode()


def measure_requests(setup, options):
    """Requests/s with the register over those without, pair by pair; instructions of both.

    The senders are of SENDING_SHARE as many domains as are registered. Half of those are claimed by
    the login's tenant and verified, the others by nobody."""
    setups, starters = {}, {}
    domains = int(options.claims * SENDING_SHARE) + 1
    for name, required, expected in (("off", "no", b"action=DUNNO\n\n"),
                                     ("on", "claimed", REFUSED)):
        setups[name] = prepare(setup, name, 10 * domains, options.claims_requests, domains,
                               ["[ownership]", f"required = {required}", "[dns]",
                                f"nameserver = {NO_SERVER}"])
        fill_register(setups[name], options.claims, 0)
        load_tenants(setups[name], options.claims)
        starters[name] = functools.partial(start, name=name, expected=expected)
    results = {}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(starters[name](setups[name])) for name in starters]
        for connections in options.connections:
            results[connections] = measure_pairs(
                setups["off"], servers, connections, options.pairs, options.seconds)
            print_results(connections, results[connections])
        for server in servers:
            server.stop()
    instructions = {}
    if not options.no_callgrind and shutil.which("valgrind"):
        instructions = {name: instructions_per_request(
            setups[name], starters[name], options.callgrind // 5, options.callgrind)
                        for name in starters}
    return results, instructions


# ---- report --------------------------------------------------------------------------------------


def print_round(found):
    print(f"  a round of re-checks: {found.claims:,} claims in {found.seconds:.1f} s,"
          f" {found.claims / found.seconds:,.0f} claims/s; the keeper used {found.cpu_s:.1f} s of"
          f" CPU in all, {found.peak_kb / 1024:.1f} MiB of memory at most, of its own"
          f" {found.own_kb / 1024:.1f} MiB")
    for command, seconds in found.commands.items():
        middle = statistics.median(seconds)
        expected = ""
        if command.startswith("domain show"):
            expected = (f"; expected < {EXPECTED_SECONDS} s:"
                        f" {verdict(middle < EXPECTED_SECONDS)}")
        print(f"  policyctl {command}: {middle * 1000:.1f} ms ({min(seconds) * 1000:.1f} to"
              f" {max(seconds) * 1000:.1f} over {len(seconds)} runs){expected}")


def print_summary(found, results, instructions):
    print("\nSummary of the register")
    if found:
        print_round(found)
    for connections, by_name in results.items():
        pairs = [on["rps"] / off["rps"] for on, off in zip(by_name["on"], by_name["off"])]
        print(f"  register on/off at {connections} connections: " + summarize(
            pairs, "of its requests/s", f">= {EXPECTED_RATIO}", lambda m: m >= EXPECTED_RATIO))
    if instructions:
        print(f"  instructions a request: register on {instructions['on']:,.0f},"
              f" off {instructions['off']:,.0f}")
    print("  answers: every one compared, none wrong")


def measure(setup: Setup, options):
    """All of it. A part whose program is not installed is left out."""
    print(f"\nregister: {options.claims:,} domains claimed and verified")
    found = None
    if shutil.which("nsd") or os.access("/usr/sbin/nsd", os.X_OK):
        found = measure_round(setup, options)
    else:
        print("a round of re-checks: not measured (no nsd)")
    print_columns(options)
    print_summary(found, *measure_requests(setup, options))

"""The lockdown part of `make bench`: what a TXT record costs in the cache and in the DNS, and what
questions that nobody answers cost the others.

Knows: that with -z ZONE the senders' domains are d<i>.ZONE, and NSD on loopback (tests/fake).
Must not know: how policyd asks. A decision that the cache alone should settle is measured with NSD
stopped, so that one that asks the DNS is a wrong answer.
Fails: BenchFailure; never for speed.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import pwd
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from benchlib import (SERVICE_USER, BenchFailure, generate, instructions_per_request, load_table,
                      measure_pairs, median_of, pin_to, print_columns, print_results, run_load,
                      start_policyd, stop_process, summarize, tree_cpu, write_configuration)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fake"))
from nsd_zone import NsdZone  # noqa: E402  pylint: disable=wrong-import-position

EXPECTED_CACHED = 0.85
EXPECTED_UNCACHED = 1 / 3
EXPECTED_P99 = 2
ZONE = "bench.test"
RECORD = '*.bench 86400 TXT "v=mc1 auth=bench"'
CACHED_DOMAINS = 2_001
HANGING = 1_000
ASKING = 100  # outstanding at once: dnsperf's own default
CONNECTIONS = 50


@contextlib.contextmanager
def silent_server():
    """A DNS server that never answers; yields its address and a function: questions so far."""
    count = 0

    def swallow(udp):
        nonlocal count
        while udp.recv(4096):
            count += 1

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=swallow, args=(udp,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{udp.getsockname()[1]}", lambda: count
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", udp.getsockname())
            thread.join(10)


@contextlib.contextmanager
def nsd_on(cpus):
    with NsdZone(others=[RECORD]) as nsd:
        for pid in tree_cpu(nsd.process.pid) if cpus else ():
            os.sched_setaffinity(pid, cpus)
        yield nsd


@contextlib.contextmanager
def cache_folder():
    """In memory, as /run is."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(
            prefix="policyd-bench.", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(SERVICE_USER).pw_uid, -1)
        yield f"{folder}/cache"


def lockdown_options(server, cache):
    """All there is to ask may be asked: what is measured is the work, not the limits."""
    return ["[lockdown]", "enabled = yes", "account = bench", "new_domains_per_min = 60000",
            "new_domains_burst = 60000", "[dns]", f"nameserver = {server}",
            f"cache_dir = {cache}", "cache_max_ttl_s = 86400"]


def prepare(setup, name, rows, requests, domains, more=(), kind="own"):
    """A folder with table, requests and configuration; its Setup."""
    folder = setup.folder / name
    folder.mkdir()
    if os.geteuid() == 0:
        os.chmod(setup.folder, 0o711)
    ours = dataclasses.replace(setup, folder=folder)
    generate(ours, rows, requests, "-D", str(domains), "-k", kind, "-z", ZONE)
    write_configuration(ours, more)
    load_table(ours)
    return ours


# ---- answers in the cache ------------------------------------------------------------------------


def measure_cached(setup, options):
    """Requests/s with lockdown over those without, pair by pair; instructions of both."""
    requests = options.lockdown_requests
    with cache_folder() as cache:
        with nsd_on(None) as nsd:
            plain = prepare(setup, "plain", options.lockdown_rows, requests, CACHED_DOMAINS)
            locked = prepare(setup, "cached", options.lockdown_rows, requests, CACHED_DOMAINS,
                             lockdown_options(nsd.server, cache))
            with start_policyd(locked) as server:
                run_load(locked, server, CONNECTIONS, ["-r", str(requests)])
        starters = {"plain": functools.partial(start_policyd, name="plain"),
                    "lockdown": functools.partial(start_policyd, name="lockdown")}
        setups = {"plain": plain, "lockdown": locked}
        results = {}
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(start(setups[name]))
                       for name, start in starters.items()]
            for connections in options.connections:
                results[connections] = measure_pairs(
                    plain, servers, connections, options.pairs, options.seconds)
                print_results(connections, results[connections])
            for server in servers:
                server.stop()
        instructions = {}
        if not options.no_callgrind and shutil.which("valgrind"):
            instructions = {name: instructions_per_request(
                setups[name], start, options.callgrind // 5, options.callgrind)
                            for name, start in starters.items()}
    return results, instructions


# ---- answers of a server -------------------------------------------------------------------------


def run_dnsperf(setup, nsd, names):
    """Questions/s of dnsperf for the same names, once each."""
    port = nsd.server.rpartition(":")[2]
    done = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", port, "-d", names, "-n", "1",
                           "-q", str(ASKING)],
                          capture_output=True, text=True, check=False,
                          preexec_fn=pin_to(setup.server_cpu))
    rate = re.search(r"Queries per second:\s+([0-9.]+)", done.stdout)
    good = re.search(r"NOERROR \d+ \(100\.00%\)", done.stdout)
    if done.returncode != 0 or not rate or not good:
        raise BenchFailure(f"dnsperf: status {done.returncode}\n{done.stdout}{done.stderr}")
    return float(rate.group(1))


def run_asker(setup, nsd, count, *options):
    """Questions/s of a bare loop for the same names, each from a fresh port."""
    done = subprocess.run([setup.tool("bench/asker"), *options, "inet:" + nsd.server, ZONE,
                           str(count), str(ASKING)],
                          capture_output=True, text=True, check=False,
                          preexec_fn=pin_to(setup.server_cpu))
    if done.returncode != 0:
        raise BenchFailure(f"asker: status {done.returncode}\n{done.stderr}")
    return float(done.stdout.split()[0].removeprefix("rate="))


@dataclasses.dataclass
class Uncached:
    """What one round measured, one after the other."""

    run: dict[str, float]  # of the load generator
    dnsperf: float         # one socket, one port, for all questions
    bare: float            # asker: a fresh port each, the sockets used again
    fresh: float           # asker -f: a new socket each


def measure_uncached(setup, options):
    """Rounds of decisions/s and questions/s without decisions. Each begins with an empty cache.

    Who asks (policyd with one worker, dnsperf, asker) has one processor to itself; NSD has the
    other, which it shares with the load generator while policyd asks. ASKING questions are
    outstanding, of policyd those of as many connections."""
    count = options.uncached
    rounds = []
    with nsd_on(setup.client_cpu) as nsd, cache_folder() as cache:
        ours = prepare(setup, "uncached", count, count, count,
                       lockdown_options(nsd.server, cache))
        names = ours.path("names.txt")
        with open(names, "w", encoding="ascii") as file:
            file.writelines(f"_mailchannels.d{i}.{ZONE} TXT\n" for i in range(count))
        for _ in range(options.pairs):
            shutil.rmtree(cache, ignore_errors=True)
            with start_policyd(ours) as server:
                run = run_load(ours, server, ASKING, ["-r", str(count)])
                server.stop()
            rounds.append(Uncached(run, run_dnsperf(setup, nsd, names),
                                   run_asker(setup, nsd, count),
                                   run_asker(setup, nsd, count, "-f")))
            print(f"{ASKING:>6} uncached  {run['rps']:>12,.0f} {run['p50_us']:>9.1f}"
                  f" {run['p99_us']:>9.1f} {run['p999_us']:>9.1f} {run['server_cpu_us']:>10.2f}"
                  f"  dnsperf {rounds[-1].dnsperf:,.0f}, bare loop {rounds[-1].bare:,.0f},"
                  f" with new sockets {rounds[-1].fresh:,.0f}", flush=True)
    return rounds


# ---- nobody answers ------------------------------------------------------------------------------


@contextlib.contextmanager
def hanging_questions(setup, server, asked):
    """HANGING connections that all wait for the DNS as long as this lasts."""
    before = asked()
    command = [setup.tool("bench/load"), "-s", server.address, "-n", str(HANGING), "-d", "3600",
               "-f", setup.path("requests.txt")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=pin_to(setup.client_cpu))
    try:
        deadline = time.monotonic() + 10
        while asked() - before < HANGING:
            if time.monotonic() > deadline or process.poll() is not None:
                raise BenchFailure(f"only {asked() - before} of {HANGING} questions were asked")
            time.sleep(0.02)
        yield
        if process.poll() is not None:
            raise BenchFailure("the hanging questions ended early")
    finally:
        stop_process(process, 10)


def measure_hanging(setup, options):
    """p99 of requests that the table alone refuses: pairs (with hanging questions, without)."""
    pairs = []
    rows = max(options.lockdown_rows, 20 * HANGING)
    with silent_server() as (address, asked), cache_folder() as cache:
        ours = prepare(setup, "hanging", rows, rows, rows, lockdown_options(address, cache))
        table = dataclasses.replace(setup, folder=setup.folder / "refused")
        table.folder.mkdir()
        generate(table, rows, options.lockdown_requests, "-D", str(rows), "-k", "foreign",
                 "-z", ZONE)
        amount = ["-d", str(options.seconds)]
        with start_policyd(ours) as server:
            refused = dataclasses.replace(server, answers=table.path("answers.txt"))
            run_load(table, refused, CONNECTIONS, amount)
            for _ in range(options.pairs):
                alone = run_load(table, refused, CONNECTIONS, amount)
                with hanging_questions(ours, server, asked):
                    loaded = run_load(table, refused, CONNECTIONS, amount)
                pairs.append((loaded, alone))
            server.stop()
    print_results(CONNECTIONS, {"alone": [alone for _, alone in pairs],
                                "hanging": [loaded for loaded, _ in pairs]})
    return pairs


# ---- report --------------------------------------------------------------------------------------


def print_summary(cached, instructions, uncached, hanging):
    print("\nSummary of lockdown")
    for connections, results in cached.items():
        found = [ours["rps"] / plain["rps"]
                 for ours, plain in zip(results["lockdown"], results["plain"])]
        print(f"  cached/without lockdown at {connections} connections: " + summarize(
            found, "of its requests/s", f">= {EXPECTED_CACHED}", lambda m: m >= EXPECTED_CACHED))
    if instructions:
        print(f"  instructions a request: cached lockdown {instructions['lockdown']:,.0f},"
              f" without {instructions['plain']:,.0f}")
    if uncached:
        print(f"  uncached: {median_of([of.run for of in uncached], 'rps'):,.0f} decisions/s,"
              f" dnsperf {statistics.median(of.dnsperf for of in uncached):,.0f}: " + summarize(
                  [of.run["rps"] / of.dnsperf for of in uncached], "of its rate", ">= 1/3",
                  lambda m: m >= EXPECTED_UNCACHED))
        bare = statistics.median(of.bare / of.dnsperf for of in uncached)
        fresh = statistics.median(of.fresh / of.dnsperf for of in uncached)
        print(f"    a bare loop, a fresh port a question and no decision: {bare:.2f} of dnsperf's"
              f" rate; with a new socket a question: {fresh:.2f}")
    if hanging:
        print(f"  p99 of table-only requests while {HANGING:,} questions hang: " + summarize(
            [loaded["p99_us"] / alone["p99_us"] for loaded, alone in hanging],
            "times that without", f"< {EXPECTED_P99}", lambda m: m < EXPECTED_P99))
    print("  answers: every one compared, none wrong")


def measure(setup, options):
    """All of it. A part whose program is not installed is left out."""
    nsd = shutil.which("nsd") or os.access("/usr/sbin/nsd", os.X_OK)
    cached, instructions, uncached = {}, {}, []
    print(f"\nlockdown: {options.lockdown_rows:,} rows; in the cache {CACHED_DOMAINS:,} domains,"
          f" not in it {options.uncached:,}")
    print_columns(options)
    if nsd:
        cached, instructions = measure_cached(setup, options)
    else:
        print("cached and uncached answers: not measured (no nsd)")
    if nsd and shutil.which("dnsperf"):
        uncached = measure_uncached(setup, options)
    elif nsd:
        print("uncached answers: not measured (no dnsperf)")
    hanging = measure_hanging(setup, options)
    print_summary(cached, instructions, uncached, hanging)

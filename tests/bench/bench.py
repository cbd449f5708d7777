#!/usr/bin/env python3
"""`make bench`: policyd with a large table beside a libev server that answers DUNNO to everything.

Builds nothing: takes load, echo, gen, asker and claims from BUILD/bench, policyd and policyctl from
BUILD. Both servers run all the time and are measured in turn, pair by pair, so that a change of the machine's
speed meets both. Speed never makes it fail; a wrong answer, a lost connection or a program that
does not start does (status 1).
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import lockdown
import ownership
from benchlib import (BenchFailure, Setup, generate, instructions_per_request, load_table,
                      measure_pairs, print_columns, print_results, ratios, start_echo,
                      start_policyd, verdict, write_configuration)

EXPECTED_RATIO = 0.4
EXPECTED_INSTRUCTIONS = 10_000


# ---- report --------------------------------------------------------------------------------------


def print_summary(all_ratios, instructions, rows, load_s):
    print("\nSummary")
    for connections, found in all_ratios.items():
        middle = statistics.median(found)
        print(f"  policyd/echo at {connections} connections: {middle:.2f} of its requests/s"
              f" ({min(found):.2f} to {max(found):.2f} over {len(found)} pairs);"
              f" expected >= {EXPECTED_RATIO}: {verdict(middle >= EXPECTED_RATIO)}")
    if "policyd" in instructions:
        ours = instructions["policyd"]
        print(f"  instructions a request: policyd {ours:,.0f}, echo {instructions['echo']:,.0f};"
              f" expected <= {EXPECTED_INSTRUCTIONS:,}: {verdict(ours <= EXPECTED_INSTRUCTIONS)}")
    elif "echo" in instructions:
        print(f"  instructions a request: echo {instructions['echo']:,.0f}")
    if load_s is not None:
        print(f"  load: {rows:,} rows in {load_s:.2f} s, {rows / load_s:,.0f} rows/s,"
              f" {load_s / rows * 1e6:.2f} s per million")
    print("  answers: every one compared, none wrong")


def measure_table(setup, options):
    load_s = None
    starters = {"echo": start_echo}
    generate(setup, options.rows, options.requests)
    if not options.echo_only:
        starters["policyd"] = start_policyd
        write_configuration(setup)
        load_s = load_table(setup)
        print(f"policyctl load: {options.rows:,} rows in {load_s:.2f} s")
    print_columns(options)
    all_ratios = {}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(start(setup)) for start in starters.values()]
        for connections in options.connections:
            results = measure_pairs(setup, servers, connections, options.pairs, options.seconds)
            print_results(connections, results)
            if "policyd" in results:
                all_ratios[connections] = ratios(results)
        for server in servers:
            server.stop()
    instructions = {}
    if options.no_callgrind or shutil.which("valgrind") is None:
        print("instructions: not measured (no valgrind, or --no-callgrind)")
    else:
        for name, start in starters.items():
            instructions[name] = instructions_per_request(
                setup, start, options.callgrind // 5, options.callgrind)
    print_summary(all_ratios, instructions, options.rows, load_s)


def parse_options():
    here = pathlib.Path(__file__).resolve()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=here.parents[2] / "build")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100_000, help="different ones")
    parser.add_argument("--connections", type=lambda text: [int(n) for n in text.split(",")],
                        default=[1, 50, 300])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of one run")
    parser.add_argument("--callgrind", type=int, default=25_000, help="requests of the long run")
    parser.add_argument("--no-callgrind", action="store_true")
    parser.add_argument("--no-pin", action="store_true",
                        help="let servers and client move between processors")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--echo-only", action="store_true", help="without policyd")
    parts.add_argument("--table-only", action="store_true", help="without lockdown and register")
    parts.add_argument("--lockdown-only", action="store_true", help="only what lockdown costs")
    parts.add_argument("--ownership-only", action="store_true", help="only what the register costs")
    parser.add_argument("--lockdown-rows", type=int, default=200_100)
    parser.add_argument("--lockdown-requests", type=int, default=100_000, help="different ones")
    parser.add_argument("--uncached", type=int, default=100_000, help="different domains")
    parser.add_argument("--claims", type=int, default=100_000, help="domains in the register")
    parser.add_argument("--claims-requests", type=int, default=100_000, help="different ones")
    parser.add_argument("--quick", action="store_true",
                        help="20,000 rows, 3 short pairs: does it work at all")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.requests, options.callgrind = 20_000, 20_000, 5_000
        options.pairs, options.seconds = 3, 0.3
        options.lockdown_rows, options.lockdown_requests, options.uncached = 20_010, 20_010, 10_000
        options.claims, options.claims_requests = 2_000, 2_000
    return options


def choose_processors(no_pin):
    """One processor for the servers, another for the client; none where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    if no_pin or len(usable) < 2:
        return None, None
    return {usable[-1]}, {usable[0]}


def main():
    options = parse_options()
    needed = ["bench/load", "bench/echo", "bench/gen", "bench/asker", "bench/claims"]
    if not options.echo_only:
        needed += ["policyd", "policyctl"]
    missing = [name for name in needed if not (options.build / name).exists()]
    if missing:
        print(f"bench: not built in {options.build}: {', '.join(missing)}", file=sys.stderr)
        return 1
    # SIGTERM must end the servers too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load_now = os.getloadavg()[0]
    if load_now > 0.5:
        print(f"note: this machine is busy (load {load_now:.1f}); the figures will suffer")
    server_cpu, client_cpu = choose_processors(options.no_pin)
    with tempfile.TemporaryDirectory(prefix="policyd-bench.") as folder:
        setup = Setup(options.build, pathlib.Path(folder), server_cpu, client_cpu)
        try:
            if not options.lockdown_only and not options.ownership_only:
                measure_table(setup, options)
            if not options.echo_only and not options.table_only and not options.ownership_only:
                lockdown.measure(setup, options)
            if not options.echo_only and not options.table_only and not options.lockdown_only:
                ownership.measure(setup, options)
        except (AssertionError, BenchFailure, subprocess.CalledProcessError) as failure:
            print(f"bench: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

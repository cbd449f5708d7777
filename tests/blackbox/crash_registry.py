#!/usr/bin/env python3
"""kill -9 of a process that writes the ownership register, at random moments: what was acknowledged is there.

tests/unit/registry_writer makes random changes and tells each one before it and once it is done. After each kill the
register must walk whole, and every domain must be as its last acknowledged change left it; only the change that was under
way may have come about or not. Every NEW_EVERY-th run begins with no register, so that kills also meet its making.
REGISTRY_CRASH_RUNS (100) kills; CRASH_SEED repeats a run."""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
WRITER = str(BUILD / "tests" / "unit" / "registry_writer")
RUNS = int(os.environ.get("REGISTRY_CRASH_RUNS", "100"))
SEED = int(os.environ.get("CRASH_SEED", str(random.randrange(1 << 32))))
NEW_EVERY = 10
LONGEST_S, LONGEST_NEW_S = 0.08, 0.01
NO_REGISTER = "no register was made here yet"


class Register:
    """One folder, and what its register must hold."""

    def __init__(self, path):
        self.path = path
        self.acknowledged = {}  # domain: its line
        self.under_way = None
        self.last = 0

    def learn(self, output):
        """What a writer told before it was killed. A line that is cut off was not told."""
        self.under_way = None
        count = 0
        for line in output.splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            word, rest = line.rstrip("\n").split(" ", 1)
            domain = rest.split(" ")[0]
            if word == "try":
                self.under_way = domain
            else:
                self.acknowledged[domain] = rest
                self.under_way = None
                count += 1
        return count


class CrashRegistry(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="policyd-crash-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def killed_writer(self, register, longest_s):
        command = [WRITER, str(register.path), "write", str(self.random.randrange(1 << 31))]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as writer:
            try:
                output, errors = writer.communicate(timeout=self.random.uniform(0, longest_s))
            except subprocess.TimeoutExpired:
                writer.send_signal(signal.SIGKILL)
                output, errors = writer.communicate()
        self.assertEqual(writer.returncode, -signal.SIGKILL, errors)
        return output

    def check(self, register):
        done = subprocess.run([WRITER, str(register.path), "show"], capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode != 0 and not register.acknowledged:
            self.assertIn(NO_REGISTER, done.stderr)
            return False
        self.assertEqual(done.returncode, 0, done.stderr)
        *lines, last = done.stdout.splitlines()
        for line in lines:
            domain = line.split(" ")[0]
            if domain == register.under_way:
                register.acknowledged[domain] = line
            self.assertEqual(line, register.acknowledged.get(domain, domain))
        number = int(last.split(" ")[1])
        self.assertGreaterEqual(number, register.last)
        register.last = number
        return True

    def test_killed_writers(self):
        counts = {"changes": 0, "under way": 0, "unmade": 0}
        old = Register(self.dir / "old")
        for run in range(RUNS):
            is_new = run % NEW_EVERY == NEW_EVERY - 1
            register = Register(self.dir / f"new{run}") if is_new else old
            output = self.killed_writer(register, LONGEST_NEW_S if is_new else LONGEST_S)
            counts["changes"] += register.learn(output)
            counts["under way"] += register.under_way is not None
            counts["unmade"] += not self.check(register)
        print(f"{RUNS} kills, seed {SEED}: {counts['changes']} changes acknowledged, "
              f"{counts['under way']} kills amid one, {counts['unmade']} before there was a register, "
              f"{old.last} audit lines")
        self.assertGreater(counts["changes"], RUNS, "the writers hardly wrote")
        self.assertGreater(counts["under way"], RUNS // 10, "hardly any kill met a change")
        print(f"crash-registry: {RUNS} passed, 0 failed")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])

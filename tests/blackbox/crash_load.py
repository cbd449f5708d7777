#!/usr/bin/env python3
"""kill -9 of `policyctl load` at random moments: the table is always the old one or the new one, whole.

Two tables of ROWS rows take turns. After each kill `status --json` must tell the digest of one of them, and `dump`, which
reads and checks every row, must print that very table. A load that came to its end before the kill must have taken effect.
CRASH_RUNS (200) kills; CRASH_SEED repeats a run."""
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
import unittest

import ctl

ROWS = 50000
RUNS = int(os.environ.get("CRASH_RUNS", "200"))
SEED = int(os.environ.get("CRASH_SEED", str(random.randrange(1 << 32))))


def rows(name):
    """Half of the rows are in both tables; every hundredth sender has many owners, so that rows of all forms are written."""
    yield "sender,owner,expires,comment\n"
    for i in range(ROWS):
        owner = f"login{i}@x.example" if i % 2 else f"{name}{i}@x.example"
        sender = f"list{i // 5000}@many.example" if i % 100 < 10 else f"user{i}@domain{i // 20}.example"
        yield f"{sender},{owner},,\n"


class Table:
    """One of the two, as it looks once it is loaded."""

    def __init__(self, tool, name):
        self.name = name
        self.path = tool.dir / f"{name}.csv"
        self.path.write_text("".join(rows(name)))
        begin = time.monotonic()
        tool.run("load", "--format", "csv", str(self.path), code=ctl.YES)
        self.seconds = time.monotonic() - begin
        self.digest = tool.run("status", "--json", code=ctl.YES).json["digest"]
        self.dump = dump_hash(tool)


def dump_hash(tool):
    return hashlib.sha256(tool.dump("csv").out_bytes).hexdigest()


class CrashLoad(unittest.TestCase):
    def setUp(self):
        self.tool = ctl.Ctl()
        self.addCleanup(self.tool.close)
        self.random = random.Random(SEED)

    def interrupted_load(self, path, after_s):
        """Exit status of the load; negative when the kill came first."""
        with subprocess.Popen(self.tool.command("load", "--format", "csv", str(path)),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as load:
            try:
                output, _ = load.communicate(timeout=after_s)
            except subprocess.TimeoutExpired:
                load.send_signal(signal.SIGKILL)
                output, _ = load.communicate()
        self.assertIn(load.returncode, (0, -signal.SIGKILL), output)
        return load.returncode

    def table_in_force(self, tables):
        status = self.tool.run("status", "--json", code=ctl.YES).json
        found = [table for table in tables if table.digest == status["digest"]]
        self.assertEqual(len(found), 1, f"neither table: {status}")
        self.assertEqual(status["rows"], ROWS)
        self.assertEqual(dump_hash(self.tool), found[0].dump, f"not the whole of table {found[0].name}")
        return found[0]

    def test_killed_loads(self):
        tables = [Table(self.tool, "red"), Table(self.tool, "blue")]
        longest = 1.2 * max(table.seconds for table in tables)
        old = tables[1]
        counts = {"old": 0, "new": 0, "ended": 0}
        for _ in range(RUNS):
            new = tables[0] if old is tables[1] else tables[1]
            status = self.interrupted_load(new.path, self.random.uniform(0, longest))
            now = self.table_in_force(tables)
            if status == 0:
                self.assertIs(now, new, "the load ended well, the table is the old one")
            counts["ended" if status == 0 else "new" if now is new else "old"] += 1
            old = now
        print(f"{RUNS} loads, seed {SEED}: {counts['old']} killed before the flip, {counts['new']} after it, "
              f"{counts['ended']} came to their end first")
        self.assertGreater(counts["old"], RUNS // 10, "hardly any load was killed in time")
        self.assertGreater(counts["new"] + counts["ended"], 0, "no load ever took effect")
        print(f"crash-load: {RUNS} passed, 0 failed")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])

"""Runs contrib/postfix/check-postfix and reads its findings.

Knows: the script's command line and the form of its lines.
Must not know: any rule that the script checks.
Fails: AssertionError for a line that is not `error|warning|note: WHERE: WHAT: FIX`.
"""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "contrib/postfix/check-postfix")
LINE = re.compile(r"(error|warning|note): (main\.cf \S+|master\.cf.*?): .+: .+")


def check(*args, env=None):
    """Run the script; return (exit code, [lines of stdout], stderr)."""
    done = subprocess.run([SCRIPT, *args], capture_output=True, text=True, check=False,
                          env=dict(os.environ, **(env or {})))
    lines = done.stdout.splitlines()
    if "-h" not in args:
        for line in lines:
            assert LINE.fullmatch(line), f"not a finding: {line!r}"
    return done.returncode, lines, done.stderr

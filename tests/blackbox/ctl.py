"""One policyctl with a state folder of its own.

Knows: the command line, files and exit codes of policyctl.
Must not know: how the table is stored.
Fails: AssertionError with what policyctl printed.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
POLICYCTL = str(BUILD / "policyctl")
GOLDEN = ROOT / "tests" / "golden"
IS_ROOT = os.geteuid() == 0
CSV_HEADER = "sender,owner,expires,comment\n"

YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")
        self.out_bytes = done.stdout

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Ctl:
    """A folder with policyd.ini and state/; closed by close()."""

    def __init__(self, *options, user=None, make_state=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="policyctl-"))
        self.dir.chmod(0o755)
        self.state = self.dir / "state"
        if make_state:
            self.state.mkdir(mode=0o700)
        self.ini = self.dir / "policyd.ini"
        lines = ["[policyd]", f"state_dir = {self.state}", "table_max_mb = 256"]
        if user:
            lines.append(f"user = {user}")
        lines += ["[control]", f"socket = unix:{self.dir}/control.sock"]
        self.ini.write_text("\n".join(lines) + "\n")
        self.options = [word for option in options for word in ("-o", option)]

    def close(self):
        shutil.rmtree(self.dir)

    def command(self, *args):
        return [POLICYCTL, "-c", str(self.ini), *self.options, *args]

    def run(self, *args, stdin=b"", code=None):
        """policyctl with these arguments; with `code` anything else is a failure."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = Result(subprocess.run(self.command(*args), input=stdin, capture_output=True,
                                     cwd=self.dir, timeout=60, check=False))
        if code is not None and done.code != code:
            raise AssertionError(f"{args}: exit {done.code}, wanted {code}\n{done.out}\n{done.err}")
        return done

    def load(self, text, *args, code=YES):
        return self.run("load", *args, "-", stdin=text, code=code)

    def load_csv(self, rows, *args, code=YES):
        return self.load(CSV_HEADER + rows, "--format", "csv", *args, code=code)

    def dump(self, form="csv", code=YES):
        return self.run("dump", "--format", form, code=code)

    def rows(self):
        """The table as a sorted list of csv lines."""
        return sorted(self.dump().out.splitlines()[1:])

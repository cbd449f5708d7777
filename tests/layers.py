#!/usr/bin/env python3
"""Includes point down only (HACKING.md), and each foreign library has the files it is allowed in.

Prints every include that breaks the rule, then a closing line; exit 1 if there was any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A folder may include from itself and from what stands here.
BELOW = {
    "policy/core": [],
    "policy/data": ["policy/core"],
    "policy/engine": ["policy/core", "policy/data"],
    "policyd": ["policy/core", "policy/data", "policy/engine"],
    "policyctl/import": ["policy/core", "policy/data"],
    "policyctl": ["policy/core", "policy/data", "policy/engine", "policyctl/import"],
}
# Headers of foreign libraries: who may include them.
FOREIGN = {
    "lmdb.h": ["policy/data/store.c"],
    "ldns/": ["policy/data/dnswire.c"],
    "ini.h": ["policy/engine/config.c"],
    "libpsl.h": ["policyctl/suffix.c"],
    "idn2.h": ["policy/data/unicode.c"],
    "unicase.h": ["policy/data/unicode.c"],
    "uninorm.h": ["policy/data/unicode.c"],
    "unistr.h": ["policy/data/unicode.c"],
    "ev.h": ["policyd/", "policy/engine/session", "policy/engine/resolver"],
}
# The core is pure: of the C library only what computes.
CORE_MAY = {"stdbool.h", "stddef.h", "stdint.h", "string.h", "stdio.h", "stdarg.h", "stdlib.h", "limits.h",
            "assert.h", "inttypes.h"}
# ... and of those none that reads a clock, a file, the environment or takes memory.
CORE_MUST_NOT = re.compile(
    r"\b(malloc|calloc|realloc|strdup|fopen|printf|fprintf|getenv|time|open|read|write|exit)\s*\(")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def complaints(path):
    name = path.relative_to(ROOT).as_posix()
    folder = name.rsplit("/", 1)[0]
    allowed = BELOW[folder] + [folder]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            if folder == "policy/core" and CORE_MUST_NOT.search(line) and not line.lstrip().startswith(("*", "/*")):
                yield f"{name}:{number}: the core is pure, but calls {line.strip()}"
            continue
        mark, target = found.groups()
        if mark == '"' and target.rsplit("/", 1)[0] not in allowed:
            yield f"{name}:{number}: {folder} must not include {target}"
        if mark == "<" and folder == "policy/core" and target not in CORE_MAY:
            yield f"{name}:{number}: the core must not include <{target}>"
        for header, users in FOREIGN.items():
            if mark == "<" and target.startswith(header) and not name.startswith(tuple(users)):
                yield f"{name}:{number}: <{target}> belongs to {', '.join(users)} alone"


def main():
    files = [p for folder in BELOW for p in sorted((ROOT / folder).glob("*.[ch]"))]
    bad = [text for path in files for text in complaints(path)]
    for text in bad:
        print(text)
    bad_files = len({text.split(":")[0] for text in bad})
    print(f"layers: {len(files) - bad_files} passed, {bad_files} failed")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())

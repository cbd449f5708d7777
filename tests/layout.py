#!/usr/bin/env python3
"""The tables of HACKING.md, "Every file", name each source file, and none that is not there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def listed():
    """folder -> names in the first column of its table."""
    names, folder = {}, None
    for line in (ROOT / "HACKING.md").read_text().splitlines():
        if line.startswith("###"):
            found = re.match(r"### (policy\S*)$", line)
            folder = found.group(1) if found else None
        elif folder and line.startswith("| `"):
            names.setdefault(folder, []).extend(re.findall(r"`([^`]+)`", line.split("|")[1]))
    return names


def meant(name, files):
    if name == "cmd_NAME.c":
        return {file for file in files if file.startswith("cmd_")}
    return ({name} if "." in name else {name + ".c", name + ".h"}) & files


def complaints():
    for folder, names in listed().items():
        files = {path.name for path in (ROOT / folder).glob("*.[ch]")}
        rest = set(files)
        for name in names:
            if not meant(name, files):
                yield f"HACKING.md lists {folder}/{name}, which is not there"
            rest -= meant(name, files)
        for file in sorted(rest):
            yield f"HACKING.md does not list {folder}/{file}"


def main():
    bad = list(complaints())
    for text in bad:
        print(text)
    return 1 if bad or not listed() else 0


if __name__ == "__main__":
    sys.exit(main())

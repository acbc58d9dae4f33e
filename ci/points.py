#!/usr/bin/env python3
"""Fails where the tables of core/env/points.h and the product code do not name the same probes and rare branches.

A name in the code that is in no table does not compile; here it is the reverse: every name of a table is in the code, a
rare branch in one place only (each draws from a stream of its own), and tables are sorted. usage: points.py [TREE]
"""
import pathlib
import re
import sys

TABLE = "core/env/points.h"
NAME = re.compile(r"[a-z]+\.[a-z0-9-]+")


def table(text, array):
    body = re.search(rf"{array}\[\] = \{{(.*?)\n\}};", text, re.S).group(1)
    return re.findall(r'\{"([^"]+)",\s*"[^"]+"', body)


def uses(tree, suffix):
    found = {}
    for folder in ("core", "scenarios"):
        for path in sorted((tree / folder).rglob("*.cc")):
            if "contract" in path.parts or path.name.endswith("_test.cc"):
                continue
            for name in re.findall(rf'"([^"]+)"_{suffix}\b', path.read_text()):
                found.setdefault(name, []).append(str(path.relative_to(tree)))
    return found


def check(tree):
    text = (tree / TABLE).read_text()
    wrong = []
    for array, suffix in (("kProbes", "probe"), ("kRareBranches", "rare")):
        names, used = table(text, array), uses(tree, suffix)
        if len(names) < 10:
            wrong.append(f"{TABLE}: {array} cannot be read")
        wrong += [f"{TABLE}: {name} is in no place of the code" for name in names if name not in used]
        wrong += [f"{', '.join(places)}: {name} is not in {array}" for name, places in used.items() if name not in names]
        wrong += [f"{TABLE}: {name} is not PART.WHAT" for name in names if not NAME.fullmatch(name)]
        if names != sorted(set(names)):
            wrong.append(f"{TABLE}: {array} is not sorted, or names something twice")
        if suffix == "rare":
            wrong += [f"{', '.join(places)}: {name} is in {len(places)} places" for name, places in used.items()
                      if len(places) > 1]
    return wrong


def main():
    tree = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    wrong = check(tree)
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()

#!/usr/bin/env python3
"""Fails on any #include that crosses folders other than by the edges allowed here.

The table is the architecture: arrows point down. usage: include_edges.py [TREE]
"""
import pathlib
import re
import sys

# Folder -> the folders whose headers it may include (besides its own).
BASE = {"core/base"}
ENV = BASE | {"core/env"}
FIBER = ENV | {"core/fiber"}
WIRE = FIBER | {"core/wire"}
TLS = FIBER | {"core/tls"}
HTTP = WIRE | {"core/http"}
PG = WIRE | {"core/pg"}
OBJSTORE = WIRE | {"core/objstore", "core/http"}
S3 = OBJSTORE | {"core/tls"}
CONSENSUS = WIRE | {"core/consensus"}
DAEMON_BASE = PG | OBJSTORE | CONSENSUS | HTTP | {"core/rpc"}
CORE = DAEMON_BASE | {"core/redo_process", "core/broker", "core/safekeeper", "core/pageserver", "core/compute", "core/tls", "core/proxy"}
ALLOWED = {
    "core/base": set(),
    "core/env": BASE,
    "core/env/contract": FIBER,
    "core/fiber": ENV,
    "core/tls": FIBER,
    "core/tls/contract": TLS | {"core/env/contract"},
    "core/wire": FIBER,
    "core/rpc": WIRE,
    "core/http": WIRE,
    "core/pg": BASE,
    "core/pg/redo": BASE | {"core/pg"},
    "core/redo_process": PG,
    "core/objstore": S3,
    "core/consensus": BASE | {"core/wire"},
    "core/broker": DAEMON_BASE,
    "core/safekeeper": DAEMON_BASE | {"core/broker"},
    "core/pageserver": DAEMON_BASE | {"core/broker", "core/redo_process"},
    "core/compute": DAEMON_BASE | {"core/broker"},
    "core/proxy": HTTP | TLS,
    "sim": CORE | {"faults", "scenarios"},
    "faults": BASE,
    "scenarios": CORE | {"sim", "faults"},
    "daemons": CORE,
    "fuzz": CORE | {"sim", "faults", "scenarios"},
    "bench": CORE | {"sim", "faults", "scenarios", "daemons"},
}
PARENTS = {"core/pg/redo": {"core/pg"}}
# sim and daemons never see each other, tests included.
TOP = {"core", "sim", "daemons", "faults", "scenarios", "fuzz", "bench", "pgext"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def folder_of(path):
    """The longest folder of the table that holds this path, or its top folder."""
    parts = pathlib.PurePosixPath(path).parts[:-1]
    for n in range(len(parts), 0, -1):
        name = "/".join(parts[:n])
        if name in ALLOWED:
            return name
    return parts[0] if parts else ""


def covers(allowed, target):
    parts = target.split("/")
    return any("/".join(parts[:n]) in allowed for n in range(len(parts), 0, -1))


def violations(tree):
    for path in sorted(p for top in sorted(TOP) for p in (tree / top).rglob("*") if p.suffix in (".h", ".cc")):
        name = path.relative_to(tree).as_posix()
        source = folder_of(name)
        if source not in ALLOWED:
            continue
        # A test may use what its world gives it: the contract suites and the generated code beside it.
        for target in INCLUDE.findall(path.read_text(errors="replace")):
            if target.split("/")[0] not in TOP:
                continue
            folder = folder_of(target)
            if folder == source or folder.startswith(source + "/") or covers(ALLOWED[source], folder):
                continue
            if source.startswith(folder + "/"):
                continue
            yield f"{name}: includes {target}: {source} may not use {folder}"


def main():
    tree = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    if not (tree / "core/base").is_dir():
        sys.exit(f"include_edges: {tree} is not Argon's source tree")
    found = list(violations(tree))
    print("\n".join(found) if found else "include edges: as allowed")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

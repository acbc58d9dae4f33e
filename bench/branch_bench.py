"""How long a pageserver takes to make a branch of a timeline, by how much data that has.

In a process of its own, over an object store in a folder; layers are made by the engine from pages that are put into it. From the call to where the branch
is durable, here and in the object store. ARGON_BENCH_BRANCH_MB says the sizes.
"""
import os
import pathlib
import subprocess
import tempfile

from ingest_bench import Server

SIZES = sorted(map(int, os.environ.get("ARGON_BENCH_BRANCH_MB", "10 1024 10240").split()))
NAMES = [f"branch.{megabytes}_mb" for megabytes in SIZES]


def measure(build, wanted):
    """Yields (name, unit, value, peer, limit, ratio limit)."""
    with Server() as server, tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        done = subprocess.run([build / "bench" / "bench_branch", pathlib.Path(folder), server.data, *map(str, SIZES)], check=True,
                              capture_output=True, text=True)
    times = list(map(float, done.stdout.split()))
    for name, milliseconds in zip(NAMES, times):
        if name.startswith(wanted):
            yield name, "ms", milliseconds, times[0], 10, None

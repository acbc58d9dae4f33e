"""The pageserver's layered store beside RocksDB as one, on the same stream of keys, LSNs and values.

Each run is a process of its own in an empty folder. The clock ends when all is durable and each side has compacted as far as it does by itself. Both
have memtables of 3 x 64 MB and no compression (layer files have none); RocksDB's write-ahead log is on, the store has none, since safekeepers hold
the WAL. Random keys have four versions each. The sides take turns, medians; the first turn, which finds memory that the page cache never had, does not count.
"""
import os
import pathlib
import statistics
import subprocess
import tempfile

MEGABYTES = int(os.environ.get("ARGON_BENCH_STORE_MB", "1024"))  # of 8 KiB values; half of that of short ones
ROUNDS = 3
CASES = {f"{order}_{size}": (order, size, megabytes) for size, megabytes in ((8192, MEGABYTES), (100, max(1, MEGABYTES // 2)))
         for order in ("random", "sequential")}
FIGURES = [("ingest", "MB/s", "more", 2), ("ingest_to_durable", "MB/s", "more", None), ("written", "MB", "less", 1), ("space", "MB", "less", 1)]
NAMES = [f"store.{what}_{case}" for case in CASES for what, *_ in FIGURES]


def take_stream(program, order, size, megabytes):
    """MB a second to the end and to what is durable, MB written, MB left on the disk."""
    with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        subprocess.run(["sync"], check=True)
        done = subprocess.run([program, folder, order, str(size), str(megabytes)], check=True, capture_output=True, text=True)
        durable, settled, written = map(float, done.stdout.split())
        space = sum(file.stat().st_blocks * 512 for file in pathlib.Path(folder).rglob("*"))
        return megabytes / settled, megabytes / durable, written / (1 << 20), space / (1 << 20)


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    programs = [build / "bench" / "bench_store", build / "bench" / "bench_store_rocksdb"]
    for case, stream in CASES.items():
        if not any(f"store.{what}_{case}".startswith(wanted) for what, *_ in FIGURES):
            continue
        if not programs[1].exists():
            raise RuntimeError("bench_store_rocksdb is not built: run ci/deps bench, then cmake --preset release, and build again")
        rounds = [[take_stream(program, *stream) for program in programs] for _ in range(ROUNDS + 1)][1:]
        for i, (what, unit, better, ratio) in enumerate(FIGURES):
            if (name := f"store.{what}_{case}").startswith(wanted):
                yield name, unit, better, *(statistics.median(one[side][i] for one in rounds) for side in range(2)), ratio

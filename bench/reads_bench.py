"""What a read of a page costs in the pageserver's engine: it is to grow by what is applied, not by history, depth or size.

bench_reads makes layers in an empty folder and reads one page of them. Each figure is the median of runs that take turns with its peer's:
of `records_N`, N records since the last image over 10,000 older ones of it and of each of 63 other pages, the same without these; of `again_1000`,
a page of 1,000 records that no read has kept; of
`branches_N`, one level; of `layers_N`, ten layers; of `per_record_1000`, microseconds for each record from 1 to 1,000, those from 1 to 100.
"""
import os
import statistics
import subprocess
import tempfile

HISTORY = int(os.environ.get("ARGON_BENCH_READS_HISTORY", "10000"))
RECORDS, DEPTHS, LAYERS, ROUNDS = (1, 10, 100, 1000), (1, 10, 100), (100, 1000), 3
WITHIN = 1.5  # of the peer's: as good as the same
NAMES = [f"reads.records_{records}" for records in RECORDS] + ["reads.again_1000", "reads.per_record_1000"] + [f"reads.branches_{depth}" for depth in DEPTHS] \
    + [f"reads.layers_{layers}" for layers in LAYERS]


def read(build, *case):
    """Microseconds."""
    with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        return float(subprocess.run([build / "bench" / "bench_reads", folder, *map(str, case)], check=True, capture_output=True, text=True).stdout)


def in_turns(build, *cases):
    rounds = [[read(build, *case) for case in cases] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds)]


def measure(build, wanted):
    """Yields (name, unit, value, peer, limit, ratio limit)."""
    for records in RECORDS:
        if (name := f"reads.records_{records}").startswith(wanted):
            yield name, "us", *in_turns(build, ("records", records, HISTORY), ("records", records, 0)), None, WITHIN
    if (name := "reads.again_1000").startswith(wanted):
        yield name, "us", *in_turns(build, ("again", 1000), ("records", 1000, 0)), None, WITHIN
    if (name := "reads.per_record_1000").startswith(wanted):
        one, hundred, thousand = in_turns(build, *(("records", records, 0) for records in (1, 100, 1000)))
        yield name, "us", (thousand - one) / 999, (hundred - one) / 99, None, WITHIN
    for depth in DEPTHS:
        if (name := f"reads.branches_{depth}").startswith(wanted):
            yield name, "us", *in_turns(build, ("branches", depth), ("branches", 1)), None, WITHIN
    for layers in LAYERS:
        if (name := f"reads.layers_{layers}").startswith(wanted):
            yield name, "us", *in_turns(build, ("layers", layers), ("layers", 10)), None, WITHIN

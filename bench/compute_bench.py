"""A compute beside stock PostgreSQL on local disk: pgbench's transactions and selects, in cache and out of it, a cold scan, an index build.

Both sides have three synchronous copies (stock: any two of three pg_receivewal --synchronous), the same shared_buffers, and the same
memory, the kernel's page cache included (memory_group.py): on Argon's side for the endpoint and all the daemons together. They are measured in turns.

The large table is four times what shared_buffers and the endpoint's file cache hold. Cold means that the endpoint was started anew
(stock: the server) and that the kernel's page cache was dropped; the endpoint's file cache, which outlives a restart, is removed
first, but where it is what is measured (kept_cache). What prefetch and the file cache bring is measured by turning them off.
"""
import os
import pathlib
import statistics
import sys
import time

from cluster_bench import Cluster, wait_for_compaction
from memory_group import MemoryGroup
from servers import Endpoint, Stock

# name: unit, better, what is measured, its options, the ratio to stock that is wanted
FIGURES = {
    "compute.tpcb": ("/s", "more", "tpcb", {}, 1.0),
    "compute.tpcb_no_fpw": ("/s", "more", "tpcb", {"full_page_writes": False}, None),
    "compute.select_in_cache": ("/s", "more", "selects", {"database": "small"}, 0.98),
    "compute.select_out_of_cache": ("/s", "more", "selects", {}, 0.5),
    "compute.select_no_file_cache": ("/s", "more", "selects", {"file_cache": False}, None),
    "compute.seq_scan": ("MB/s", "more", "scan", {}, 0.5),
    "compute.seq_scan_kept_cache": ("MB/s", "more", "scan", {"keep_cache": True}, None),
    "compute.seq_scan_no_prefetch": ("MB/s", "more", "scan", {"prefetch": False}, None),
    "compute.index_build": ("s", "less", "index_build", {}, None),
    "compute.index_build_no_prefetch": ("s", "less", "index_build", {"prefetch": False}, None),
}
NAMES = list(FIGURES)
SCALE = int(os.environ.get("ARGON_BENCH_COMPUTE_SCALE", "160"))  # of pgbench: 13 MB of table each
SMALL_SCALE, CLIENTS, ROUNDS = 10, 8, 3
WARM_SECONDS, SECONDS = 5, 15
# In megabytes; of the table, an eighth each part of the caches, and half for all together.
TABLE = SCALE * 13
SHARED_BUFFERS, FILE_CACHE, MEMORY = TABLE // 16, TABLE * 3 // 16 // 16 * 16, max(TABLE // 2, 512)
SETTINGS = {"shared_buffers": f"{SHARED_BUFFERS}MB", "max_parallel_workers_per_gather": 0, "autovacuum": "off"}
ENDPOINT_SETTINGS = SETTINGS | {"argon.max_file_cache_size": f"{FILE_CACHE}MB"}
SCAN = "select sum(abalance) from pgbench_accounts"


def drop_page_cache():
    os.sync()
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        pass


class Measured:
    """Mixed into a server."""

    without_prefetch = ""

    def fill(self):
        self.sql("create database small")
        self.pgbench("-i", "-q", "-s", SMALL_SCALE, database="small")
        self.pgbench("-i", "-q", "-s", SCALE)
        self.settle()

    def tpcb(self, full_page_writes=True):
        self.full_page_writes(full_page_writes)
        self.pgbench("-n", "-c", CLIENTS, "-j", 2, "-T", WARM_SECONDS, database="small")
        tps = self.tps("-c", CLIENTS, "-j", 2, "-T", SECONDS, database="small")
        self.full_page_writes(True)
        return tps

    def selects(self, database="postgres", file_cache=True):
        """Of rows such as were asked for just before."""
        self.use_file_cache(file_cache)
        options = ["-S", "-c", CLIENTS, "-j", 2, "-T"]
        self.pgbench("-n", *options, WARM_SECONDS, database=database)
        return self.tps(*options, SECONDS, database=database)

    def timed(self, text, prefetch):
        options = "" if prefetch else self.without_prefetch
        begin = time.monotonic()
        self.sql(text, options)
        return time.monotonic() - begin

    def cold(self, keep_cache=False):
        self.stop()
        if not keep_cache:
            self.remove_cache()
        drop_page_cache()
        self.start()
        self.sql("select count(*) from pg_class")  # connected, catalogs read

    def scan(self, prefetch=True, keep_cache=False):
        """MB a second."""
        if keep_cache:
            self.timed(SCAN, prefetch)
        self.cold(keep_cache)
        megabytes = int(self.sql("select pg_relation_size('pgbench_accounts')")) / (1 << 20)
        return megabytes / self.timed(SCAN, prefetch)

    def index_build(self, prefetch=True):
        self.cold()
        seconds = self.timed("create index made on pgbench_accounts (abalance, aid)", prefetch)
        self.sql("drop index made")
        return seconds

    def full_page_writes(self, on):
        """Endpoints need none."""

    def use_file_cache(self, on):
        """A stock server has none."""

    def remove_cache(self):
        """A stock server has none."""


class MeasuredEndpoint(Measured, Endpoint):
    without_prefetch = "-c argon.prefetch_window=0"

    def use_file_cache(self, on):
        self.sql(f"alter system set argon.file_cache_size = '{FILE_CACHE if on else 0}MB'")
        self.sql("select pg_reload_conf()")
        time.sleep(0.5)

    def remove_cache(self):
        for file in (self.cluster.dir / "state" / "endpoints" / "main" / "file_cache").iterdir():
            file.unlink()


class MeasuredStock(Stock, Measured):
    pass


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    memory = [MemoryGroup(name, MEMORY) for name in ("ours", "stock")]
    print(f"# each side in {MEMORY} MB" if memory[0].bounded else "# memory is not bounded: no control group can be made here", file=sys.stderr)
    try:
        with Cluster(build, memory[0]) as cluster, MeasuredStock(cluster, SETTINGS, memory[1], receivers=True) as stock:
            ours = MeasuredEndpoint(cluster, ENDPOINT_SETTINGS, memory[0])
            for side in (ours, stock):
                side.fill()
            wait_for_compaction(cluster)  # it would be measured with the first figures
            for name, (unit, better, what, options, ratio) in FIGURES.items():
                if name.startswith(wanted):
                    rounds = [[getattr(side, what)(**options) for side in (ours, stock)] for _ in range(ROUNDS)]
                    yield name, unit, better, *(statistics.median(one[side] for one in rounds) for side in range(2)), ratio
    finally:
        for group in memory:
            group.remove()

"""The compute's read path: a cold sequential scan, an index build, select-only pgbench in and out of shared buffers; on Argon and on
stock PostgreSQL with its data on the same disk.

Both have the same shared_buffers, much smaller than the table, and are measured in turns. Cold means that the endpoint was started
anew (stock: the server) and that the kernel's page cache was dropped, where this user may do that; the endpoint's file cache, which outlives
a restart, is removed first, but where it is what is measured (kept_cache). Warm, a stock server reads what its
buffers lack from the kernel's page cache, whatever shared_buffers says; Argon's file cache, which is as large as the table needs, lies there,
too. What prefetch and the file cache bring is measured by turning them off.
"""
import os
import pathlib
import re
import statistics
import subprocess
import time

from cluster_bench import Cluster, settle
from quorum_bench import pgbench
from redo_bench import DEBIAN, as_server

# name: unit, better, what is measured, its options, the ratio to stock that is wanted
FIGURES = {
    "read.seq_scan": ("MB/s", "more", "scan", {}, 0.5),
    "read.seq_scan_kept_cache": ("MB/s", "more", "scan", {"keep_cache": True}, 0.5),
    "read.seq_scan_no_prefetch": ("MB/s", "more", "scan", {"prefetch": False}, None),
    "read.index_build": ("s", "less", "index_build", {}, None),
    "read.index_build_no_prefetch": ("s", "less", "index_build", {"prefetch": False}, None),
    "read.select_cached": ("/s", "more", "selects", {"cached": True}, 0.98),
    "read.select_uncached": ("/s", "more", "selects", {}, 0.5),
    "read.select_no_file_cache": ("/s", "more", "selects", {"file_cache": False}, None),
}
NAMES = list(FIGURES)
SCALE = int(os.environ.get("ARGON_BENCH_READ_SCALE", "20"))  # of pgbench: 13 MB of table each
SHARED_BUFFERS = "32MB"
WARM_SECONDS, SECONDS, ROUNDS, CLIENTS = 3, 5, 3, 4
# What fits into shared buffers: rows of one scale.
CACHED = "\\set aid random(1, 100000)\nselect abalance from pgbench_accounts where aid = :aid;\n"
SCAN = "select sum(abalance) from pgbench_accounts"
SETTINGS = {"shared_buffers": SHARED_BUFFERS, "max_parallel_workers_per_gather": 0, "autovacuum": "off"}
ENDPOINT_SETTINGS = SETTINGS | {"argon.max_file_cache_size": f"{SCALE * 20 + 64}MB"}


def drop_page_cache():
    subprocess.run(["sync"], check=True)
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        pass


class Side:
    """A server that can be started anew, and what is asked of it."""

    def sql(self, text, options=""):
        host, port = self.address.rsplit(":", 1)
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port, "-U", "cloud_admin",
                               "postgres", "-c", text], capture_output=True, text=True, env=os.environ | {"PGOPTIONS": options})
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

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

    def selects(self, cached=False, file_cache=True):
        """Transactions a second, of the same selects as were run just before."""
        self.use_file_cache(file_cache)
        options = ["-n", "-c", CLIENTS, "-j", 2, "-S"]
        if cached:
            script = pathlib.Path(self.folder) / "cached.sql"
            script.write_text(CACHED)
            options[-1:] = ["-f", script]
        pgbench(self.address, [*options, "-T", WARM_SECONDS])
        answer = pgbench(self.address, [*options, "-T", SECONDS]).stdout
        return float(re.search(r"tps = ([0-9.]+)", answer).group(1))

    without_prefetch = ""

    def use_file_cache(self, on):
        pass

    def remove_cache(self):
        pass


class Endpoint(Side):
    without_prefetch = "-c argon.prefetch_window=0"

    def __init__(self, cluster):
        self.cluster, self.folder = cluster, cluster.dir
        cluster.run("endpoint", "create", "main", *(word for pair in ENDPOINT_SETTINGS.items() for word in ("-c", "=".join(map(str, pair)))))
        self.start()

    def use_file_cache(self, on):
        self.sql(f"alter system set argon.file_cache_size = '{1 << 20 if on else 0}MB'")
        self.sql("select pg_reload_conf()")
        time.sleep(0.5)

    def remove_cache(self):
        for file in (self.folder / "state" / "endpoints" / "main" / "file_cache").iterdir():
            file.unlink()

    def start(self):
        self.cluster.run("endpoint", "start", "main")
        self.address = next(line.split()[1] for line in self.cluster.run("endpoint", "list").splitlines() if line.split()[0] == "main")

    def stop(self):
        self.cluster.run("endpoint", "stop", "main")


class Stock(Side):
    def __init__(self, cluster):
        self.folder = cluster.dir / "stock"
        port = cluster.first_port + 38  # the cluster's own are the first ones
        self.address = f"127.0.0.1:{port}"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        as_server([DEBIAN / "initdb", "-D", self.folder / "data", "-U", "cloud_admin", "-A", "trust"]).check_returncode()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", **SETTINGS}
        with open(self.folder / "data" / "postgresql.conf", "a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.start()

    def start(self):
        as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "start"]).check_returncode()

    def stop(self):
        as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-m", "fast", "-w", "stop"])


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    if not any(name.startswith(wanted) for name in NAMES):
        return
    with Cluster(build) as cluster:
        stock, ours = Stock(cluster), Endpoint(cluster)
        try:
            for side in (ours, stock):
                pgbench(side.address, ["-i", "-q", "-s", SCALE])
                side.sql("checkpoint")
            settle(cluster)
            for name, (unit, better, what, options, ratio) in FIGURES.items():
                if name.startswith(wanted):
                    rounds = [[getattr(side, what)(**options) for side in (ours, stock)] for _ in range(ROUNDS)]
                    yield name, unit, better, *(statistics.median(one[side] for one in rounds) for side in range(2)), ratio
        finally:
            stock.stop()

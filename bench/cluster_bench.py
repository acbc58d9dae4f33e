"""Figures of a whole cluster: how long an endpoint takes to start, how long a branch takes to make.

A private cluster in a temporary folder on free ports; everything it started is stopped at the end.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemons" / "test"))
from cluster import take_ports

NAMES = ["cluster.endpoint_start", "cluster.branch", "cluster.branch_of_much_data"]
SMALL_MB, LARGE_MB = 10, int(os.environ.get("ARGON_BENCH_LARGE_MB", "1024"))
STARTS = 5


class Cluster:
    """`memory` (memory_group.py) bounds its daemons."""

    def __init__(self, build, memory=contextlib.nullcontext()):
        self.memory = memory
        self.argon = build / "bin" / "argon"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="argon-bench-"))
        self.first_port, self.ports_lock = take_ports()
        # The user that servers run as must be able to enter.
        self.dir.chmod(0o711)

    def run(self, *args):
        result = subprocess.run([self.argon, "--dir", self.dir / "state", *args], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"argon {' '.join(args)}: {result.stderr}")
        return result.stdout

    def pageserver_http(self):
        config = (self.dir / "state" / "argon.toml").read_text()
        return re.search(r'\[pageserver\].*?listen_http = "([^"]+)"', config, re.S).group(1)

    def timed_ms(self, *args):
        begin = time.monotonic()
        self.run(*args)
        return (time.monotonic() - begin) * 1000

    def address(self, endpoint):
        return next(line.split()[1] for line in self.run("endpoint", "list").splitlines() if line.split()[0] == endpoint)

    def sql(self, endpoint, text):
        host, port = self.address(endpoint).rsplit(":", 1)
        return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port, "-U",
                               "cloud_admin", "postgres", "-c", text], check=True, capture_output=True, text=True).stdout

    def __enter__(self):
        self.run("init", "--first-port", str(self.first_port))
        with self.memory:
            self.run("start")
        self.run("tenant", "create", "--set-default")
        return self

    def __exit__(self, *unused):
        subprocess.run([self.argon, "--dir", self.dir / "state", "stop"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.ports_lock.close()


def fill(cluster, endpoint, megabytes):
    # Each row about 1 KiB, not compressible by TOAST since it is below its threshold.
    cluster.sql(endpoint, "create table if not exists filler (n bigint, t text)")
    cluster.sql(endpoint, f"insert into filler select g, repeat(md5(g::text), 31) from generate_series(1, {megabytes} * 1000) g")


def settle(cluster):
    """Until the pageserver has all WAL and has it in the object store: what is measured is the branch alone."""
    http = cluster.pageserver_http()
    endpoint = next(e for e in json.loads(cluster.run("--json", "endpoint", "list")) if e["endpoint"] == "main")
    timeline = f"http://{http}/v1/tenant/{endpoint['tenant_id']}/timeline/{endpoint['timeline_id']}"
    wanted = lsn(cluster.sql("main", "select pg_current_wal_flush_lsn()").strip())
    while lsn(json.load(urllib.request.urlopen(timeline))["last_record_lsn"]) < wanted:
        time.sleep(0.1)
    urllib.request.urlopen(urllib.request.Request(timeline + "/checkpoint", method="PUT")).read()


def wait_for_compaction(cluster):
    """Until the set of layers has been the same for some time."""
    folder = cluster.dir / "state" / "pageserver_1" / "data"
    seen, since = None, time.monotonic()
    while time.monotonic() - since < 15:
        layers = sorted(file.name for file in folder.rglob("*__*"))
        if layers != seen:
            seen, since = layers, time.monotonic()
        time.sleep(0.5)


def lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def branches_ms(cluster, tag):
    settle(cluster)
    return statistics.median(
        cluster.timed_ms("timeline", "branch", "--branch-name", f"{tag}_{i}") for i in range(STARTS))


def measure(build, wanted):
    """Yields (name, unit, value, peer, limit, ratio limit)."""
    with Cluster(build) as cluster:
        cluster.run("endpoint", "create", "main")
        cluster.run("endpoint", "start", "main")
        fill(cluster, "main", SMALL_MB)
        if NAMES[0].startswith(wanted):
            starts = []
            for _ in range(STARTS):
                cluster.run("endpoint", "stop", "main")
                starts.append(cluster.timed_ms("endpoint", "start", "main"))
            yield NAMES[0], "ms", statistics.median(starts), None, 1000, None
        small = branches_ms(cluster, "small")
        if NAMES[1].startswith(wanted):
            yield NAMES[1], "ms", small, None, 50, None
        if NAMES[2].startswith(wanted):
            fill(cluster, "main", LARGE_MB)
            yield NAMES[2], "ms", branches_ms(cluster, "large"), small, None, 1.5

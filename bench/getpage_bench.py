"""Random GetPage of a database of 2 GB over loopback, warm, beside a plain `pread` server of the same protocol.

The database is pgbench's, ingested from an endpoint, its L0 layers compacted. The other server serves the same pages, copied out of the pageserver
into one file. Client, pageserver and peer are processes of their own; both sides answer the same client, in turns. `loopback` is what
is left without reading any page: the same server sends one page from memory.
"""
import os
import re
import statistics
import subprocess

from cluster_bench import Cluster, settle, wait_for_compaction
from servers import Endpoint

MEGABYTES = int(os.environ.get("ARGON_BENCH_GETPAGE_MB", "2048"))
SECONDS, ROUNDS = float(os.environ.get("ARGON_BENCH_GETPAGE_SECONDS", "5")), 5
DEPTHS = (1, 16, 128)
# of what bench_getpage prints: name, unit, better, and the ratio that is wanted by depth
PRINTED = [("pages", "/s", "more", {128: 0.7}), ("p50", "us", "less", {1: 1.5}), ("p99", "us", "less", {})]
NAMES = [f"getpage.{what}_{depth}" for depth in DEPTHS for what, *_ in PRINTED] + [f"getpage.loopback_pages_{depth}" for depth in DEPTHS]


class Data:
    """The largest relation of a database in a pageserver, and the same pages in a file."""

    def __init__(self, build, cluster):
        self.program = build / "bench" / "bench_getpage"
        self.file = cluster.dir / "pages"
        Endpoint(cluster, {}).pgbench("-i", "-q", "-s", max(1, MEGABYTES // 15))
        settle(cluster)
        path, size = cluster.sql("main", "select pg_relation_filepath('pgbench_accounts'), pg_relation_size('pgbench_accounts')").split("|")
        _, database, relation = path.split("/")
        self.blocks = int(size) // 8192
        ids = re.search(r'"tenant_id": *"(\w+)"', listed := cluster.run("--json", "endpoint", "list")).group(1), \
            re.search(r'"timeline_id": *"(\w+)"', listed).group(1)
        self.what = [*ids, f"1663/{database}/{relation}", str(self.blocks)]
        cluster.run("endpoint", "stop", "main")
        wait_for_compaction(cluster)
        config = (cluster.dir / "state" / "argon.toml").read_text()
        self.port = re.search(r'\[pageserver\].*?listen_pg = "[^"]+:(\d+)"', config, re.S).group(1)
        subprocess.run([self.program, "copy", self.port, *self.what, self.file], check=True)

    def read(self, port, depth):
        """Pages a second, median and 99th percentile in microseconds."""
        done = subprocess.run([self.program, "client", port, *self.what, str(depth), str(SECONDS)], check=True, capture_output=True, text=True)
        return list(map(float, done.stdout.split()))


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    with Cluster(build) as cluster:
        data = Data(build, cluster)
        servers = [subprocess.Popen([data.program, "serve", what], stdout=subprocess.PIPE, text=True) for what in (data.file, "-")]
        try:
            ports = [data.port] + [server.stdout.readline().strip() for server in servers]
            for depth in DEPTHS:
                rounds = [[data.read(port, depth) for port in ports] for _ in range(ROUNDS)]
                sides = [[statistics.median(one[side][i] for one in rounds) for i in range(len(PRINTED))] for side in range(len(ports))]
                for i, (what, unit, better, ratio) in enumerate(PRINTED):
                    if (name := f"getpage.{what}_{depth}").startswith(wanted):
                        yield name, unit, better, sides[0][i], sides[1][i], ratio.get(depth)
                if (name := f"getpage.loopback_pages_{depth}").startswith(wanted):
                    yield name, "/s", "more", sides[2][0], None, None
        finally:
            for server in servers:
                server.kill()
                server.wait()

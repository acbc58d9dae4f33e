"""Commits acknowledged by a quorum of three: pgbench's simple updates on Argon and on stock PostgreSQL, which waits for any
two of three pg_receivewal --synchronous.

Both are up all the time, on one disk, and are measured in turns by the same client. The stock server has its defaults
(fsync and full_page_writes on), and once full_page_writes off, which Argon's endpoints do without; shared_buffers is the
same. Everything is in a private folder, on free ports, and ended by pid.
"""
import pathlib
import statistics
import tempfile

from cluster_bench import Cluster
from servers import Endpoint, Stock

CLIENTS = [1, 8, 64]
NAMES = [f"quorum.{what}_{clients}{mode}" for clients in CLIENTS for mode in ("", "_no_fpw") for what in ("tps", "p99")]
TPS_RATIO, P99_RATIO = 1.2, 1.1
SCALE, SECONDS, ROUNDS = 10, 10, 3
SETTINGS = {"shared_buffers": "128MB", "max_connections": 200}


def load(server, clients):
    """Transactions a second, and the 99th percentile of their latency in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        log = pathlib.Path(folder) / "log"
        server.pgbench("-N", "-n", "-c", clients, "-j", min(clients, 2), "-T", SECONDS, "--log", f"--log-prefix={log}")
        latencies = sorted(int(line.split()[2]) for file in pathlib.Path(folder).iterdir()
                           for line in file.read_text().splitlines())
    return len(latencies) / SECONDS, latencies[len(latencies) * 99 // 100] / 1000


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    with Cluster(build) as cluster, Stock(cluster, SETTINGS, receivers=True) as stock:
        ours = Endpoint(cluster, SETTINGS)
        for server in (ours, stock):
            server.pgbench("-i", "-q", "-s", SCALE)
        for mode, full_page_writes in (("", True), ("_no_fpw", False)):
            stock.full_page_writes(full_page_writes)
            for clients in CLIENTS:
                names = [f"quorum.{what}_{clients}{mode}" for what in ("tps", "p99")]
                if not any(name.startswith(wanted) for name in names):
                    continue
                rounds = [(load(ours, clients), load(stock, clients)) for _ in range(ROUNDS)]
                values, peers = ([statistics.median(one[side][i] for one in rounds) for i in range(2)] for side in range(2))
                # What is wanted is of the stock server as it comes.
                yield names[0], "/s", "more", values[0], peers[0], TPS_RATIO if full_page_writes else None
                yield names[1], "ms", "less", values[1], peers[1], P99_RATIO if full_page_writes else None

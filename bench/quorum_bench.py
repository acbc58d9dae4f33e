"""Commits acknowledged by a quorum of three: pgbench's simple updates on Argon and on stock PostgreSQL, which waits for any
two of three pg_receivewal --synchronous.

Both are up all the time, on one disk, and are measured in turns by the same client. The stock server has its defaults
(fsync and full_page_writes on), and once full_page_writes off, which Argon's endpoints do without; shared_buffers is the
same. Everything is in a private folder, on free ports, and ended by pid.
"""
import pathlib
import statistics
import subprocess
import tempfile
import time

from cluster_bench import Cluster
from redo_bench import DEBIAN, as_server

CLIENTS = [1, 8, 64]
NAMES = [f"quorum.{what}_{clients}{mode}" for clients in CLIENTS for mode in ("", "_no_fpw") for what in ("tps", "p99")]
TPS_RATIO, P99_RATIO = 1.2, 1.1
SCALE, SECONDS, ROUNDS = 10, 10, 3
SHARED_BUFFERS = "128MB"


def pgbench(address, options, check=True):
    host, port = address.rsplit(":", 1)
    command = ["pgbench", "-h", host, "-p", port, "-U", "cloud_admin", *map(str, options), "postgres"]
    return subprocess.run(command, check=check, capture_output=True, text=True)


def load(address, clients):
    """Transactions a second, and the 99th percentile of their latency in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        log = pathlib.Path(folder) / "log"
        pgbench(address, ["-N", "-n", "-c", clients, "-j", min(clients, 2), "-T", SECONDS, "--log", f"--log-prefix={log}"])
        latencies = sorted(int(line.split()[2]) for file in pathlib.Path(folder).iterdir()
                           for line in file.read_text().splitlines())
    return len(latencies) / SECONDS, latencies[len(latencies) * 99 // 100] / 1000


class Stock:
    """A server and its three receivers, below the folder of the cluster it is compared with."""

    def __init__(self, cluster):
        self.folder = cluster.dir / "stock"
        self.port = cluster.first_port + 38  # the cluster's own are the first ones
        self.address = f"127.0.0.1:{self.port}"
        self.receivers = []

    def sql(self, text):
        done = as_server([DEBIAN / "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", self.port, "-U", "cloud_admin", "postgres",
                          "-c", text])
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def __enter__(self):
        self.folder.mkdir()
        self.folder.chmod(0o777)
        as_server([DEBIAN / "initdb", "-D", self.folder / "data", "-U", "cloud_admin", "-A", "trust"]).check_returncode()
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
                    "shared_buffers": SHARED_BUFFERS, "max_connections": 200}
        with open(self.folder / "data" / "postgresql.conf", "a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "start"]).check_returncode()
        for name in "abc":
            (self.folder / name).mkdir()
            self.receivers.append(subprocess.Popen(
                [DEBIAN / "pg_receivewal", "--synchronous", "-D", self.folder / name, "-d",
                 f"host=127.0.0.1 port={self.port} user=cloud_admin application_name={name}"], stderr=subprocess.DEVNULL))
        while self.sql("select count(*) from pg_stat_replication") != "3":
            time.sleep(0.1)
        self.sql("alter system set synchronous_standby_names = 'ANY 2 (a, b, c)'")
        self.sql("select pg_reload_conf()")
        return self

    def full_page_writes(self, on):
        self.sql(f"alter system set full_page_writes = {'on' if on else 'off'}")
        self.sql("select pg_reload_conf()")
        self.sql("checkpoint")

    def __exit__(self, *_):
        as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop"])
        for receiver in self.receivers:
            receiver.terminate()
            receiver.wait()


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    if not any(name.startswith(wanted) for name in NAMES):
        return
    with Cluster(build) as cluster, Stock(cluster) as stock:
        cluster.run("endpoint", "create", "main", "-c", f"shared_buffers={SHARED_BUFFERS}", "-c", "max_connections=200")
        cluster.run("endpoint", "start", "main")
        ours = next(line.split()[1] for line in cluster.run("endpoint", "list").splitlines() if line.split()[0] == "main")
        for address in (ours, stock.address):
            pgbench(address, ["-i", "-q", "-s", SCALE])
        for mode, full_page_writes in (("", True), ("_no_fpw", False)):
            stock.full_page_writes(full_page_writes)
            for clients in CLIENTS:
                names = [f"quorum.{what}_{clients}{mode}" for what in ("tps", "p99")]
                if not any(name.startswith(wanted) for name in names):
                    continue
                rounds = [(load(ours, clients), load(stock.address, clients)) for _ in range(ROUNDS)]
                values, peers = ([statistics.median(one[side][i] for one in rounds) for i in range(2)] for side in range(2))
                # What is wanted is of the stock server as it comes.
                yield names[0], "/s", "more", values[0], peers[0], TPS_RATIO if full_page_writes else None
                yield names[1], "ms", "less", values[1], peers[1], P99_RATIO if full_page_writes else None

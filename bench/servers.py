"""Two servers to be measured beside each other: an endpoint of a cluster, and a stock server, alone or with three receivers.

Everything lies in the cluster's private folder, on free ports, and is ended by pid.
"""
import contextlib
import os
import re
import subprocess
import time

from cluster_bench import settle
from redo_bench import DEBIAN, as_server


class Server:
    """What both have: `address`, HOST:PORT, and what is asked of it. `memory` is a MemoryGroup, or nothing that bounds."""

    def connection(self):
        host, port = self.address.rsplit(":", 1)
        return ["-h", host, "-p", port, "-U", "cloud_admin"]

    def sql(self, text, options="", database="postgres"):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *self.connection(), database, "-c", text],
                              capture_output=True, text=True, env=os.environ | {"PGOPTIONS": options})
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def pgbench(self, *options, database="postgres"):
        done = subprocess.run(["pgbench", *self.connection(), *map(str, options), database], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"pgbench {' '.join(map(str, options))}: {done.stderr}")
        return done.stdout

    def tps(self, *options, database="postgres"):
        return float(re.search(r"tps = ([0-9.]+)", self.pgbench("-n", *options, database=database)).group(1))


class Endpoint(Server):
    def __init__(self, cluster, settings, memory=contextlib.nullcontext()):
        self.cluster, self.memory = cluster, memory
        cluster.run("endpoint", "create", "main", *(word for pair in settings.items() for word in ("-c", "=".join(map(str, pair)))))
        self.start()

    def start(self):
        with self.memory:
            self.cluster.run("endpoint", "start", "main")
        self.address = self.cluster.address("main")

    def stop(self):
        self.cluster.run("endpoint", "stop", "main")

    def settle(self):
        self.sql("checkpoint")
        settle(self.cluster)


class Stock(Server):
    """With `receivers`, a commit waits for any two of three pg_receivewal --synchronous."""

    def __init__(self, cluster, settings, memory=contextlib.nullcontext(), receivers=False):
        self.folder, self.memory = cluster.dir / "stock", memory
        port = cluster.first_port + 38  # the cluster's own are the first ones
        self.address = f"127.0.0.1:{port}"
        self.with_receivers, self.receivers = receivers, []
        self.folder.mkdir()
        self.folder.chmod(0o777)
        as_server([DEBIAN / "initdb", "-D", self.folder / "data", "-U", "cloud_admin", "-A", "trust"]).check_returncode()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", **settings}
        with open(self.folder / "data" / "postgresql.conf", "a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def __enter__(self):
        self.start()
        if self.with_receivers:
            self.start_receivers()
        return self

    def __exit__(self, *_):
        as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop"])
        for receiver in self.receivers:
            receiver.terminate()
            receiver.wait()

    def start(self):
        with self.memory:
            as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "start"]).check_returncode()
        if self.receivers:
            self.wait_for_receivers()

    def stop(self):
        as_server([DEBIAN / "pg_ctl", "-D", self.folder / "data", "-m", "fast", "-w", "stop"]).check_returncode()

    def settle(self):
        self.sql("checkpoint")

    def start_receivers(self):
        """They come back by themselves after a start of the server."""
        for name in "abc":
            (self.folder / name).mkdir()
            with self.memory:
                self.receivers.append(subprocess.Popen(
                    [DEBIAN / "pg_receivewal", "--synchronous", "-D", self.folder / name, "-d",
                     f"host=127.0.0.1 port={self.address.rsplit(':', 1)[1]} user=cloud_admin application_name={name}"], stderr=subprocess.DEVNULL))
        self.wait_for_receivers()
        self.sql("alter system set synchronous_standby_names = 'ANY 2 (a, b, c)'")
        self.sql("select pg_reload_conf()")

    def wait_for_receivers(self):
        while self.sql("select count(*) from pg_stat_replication") != "3":
            time.sleep(0.1)

    def full_page_writes(self, on):
        self.sql(f"alter system set full_page_writes = {'on' if on else 'off'}")
        self.sql("select pg_reload_conf()")
        self.sql("checkpoint")

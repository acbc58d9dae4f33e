"""Ingest of a server's WAL by the pageserver's engine, in a process of its own, beside the server's own recovery of it.

The WAL is that of `pgbench -i` and some minutes of pgbench. Stock recovery starts from a copy of the cluster as it was before, and ends when
its checkpoint has made all durable (`ingest.to_l0`), or where redo is done, before anything need be durable (`…_beside_redo`). Both have fsync on; the server
has shared_buffers of as much as the pageserver may take.
"""
import datetime
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from redo_bench import DEBIAN, as_server

SCALE, SECONDS = int(os.environ.get("ARGON_BENCH_INGEST_SCALE", "100")), int(os.environ.get("ARGON_BENCH_INGEST_SECONDS", "600"))
ROUNDS, MEMORY_MB = 3, 512
# name: bench_ingest's mode, what of recovery is the peer, the ratio that is wanted
INGEST = {"ingest.to_l0": ("l0", "durable", 1.5), "ingest.to_l0_beside_redo": ("l0", "redo", None),
          "ingest.with_background": ("background", "durable", None)}
NAMES = list(INGEST)


class Server:
    """A stock cluster in a private folder, clean at first."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="argon-bench-"))
        self.folder.chmod(0o777)
        self.data, self.log = self.folder / "data", self.folder / "log"
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust")
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "shared_buffers": f"{MEMORY_MB}MB", "max_wal_size": "200GB",
                    "checkpoint_timeout": "1d", "wal_keep_size": "200GB", "wal_recycle": "off", "log_line_prefix": "%m ", "log_timezone": "UTC",
                    "log_checkpoints": "on"}
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def run(self, program, *words):
        done = as_server([DEBIAN / program, *words])
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}{self.log.read_text() if self.log.exists() else ''}")

    def start(self, data=None):
        self.run("pg_ctl", "-D", data or self.data, "-l", self.log, "-w", "-t", "3600", "start")

    def stop(self, mode="fast", data=None):
        self.run("pg_ctl", "-D", data or self.data, "-m", mode, "-w", "stop")

    def copy(self, name, source=None):
        subprocess.run(["cp", "-a", source or self.data, self.folder / name], check=True)
        return self.folder / name


class Wal(Server):
    """One cluster before (`base` clean, `crashed` for recovery) and all its WAL after."""

    def __init__(self):
        super().__init__()
        self.base = self.copy("base")
        self.start()
        self.stop("immediate")
        self.crashed = self.copy("crashed")
        shutil.rmtree(self.crashed / "pg_wal")
        self.start()
        self.run("pgbench", "-h", self.folder, "-U", "postgres", "-i", "-q", "-s", SCALE, "postgres")
        self.run("pgbench", "-h", self.folder, "-U", "postgres", "-n", "-c", "8", "-j", "2", "-T", SECONDS, "postgres")
        self.stop("immediate")

    def stock_recovery(self):
        """Seconds until redo was done, and until its checkpoint was."""
        recovered = self.copy("recovered", self.crashed)
        self.copy("recovered/pg_wal", self.data / "pg_wal")
        subprocess.run(["sync"], check=True)
        self.log.unlink(missing_ok=True)
        self.start(recovered)
        self.stop("immediate", recovered)
        shutil.rmtree(recovered)
        text = self.log.read_text()

        def at(what):
            stamp = re.search(rf"^(\S+ \S+) UTC LOG:  {what}", text, re.M).group(1)
            return datetime.datetime.fromisoformat(stamp).timestamp()
        begin = at("redo starts at")
        return {"redo": at("redo done at") - begin, "durable": at("checkpoint complete") - begin}

    def ingest(self, build, mode):
        """Bytes of WAL, seconds."""
        with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
            subprocess.run(["sync"], check=True)
            done = subprocess.run([build / "bench" / "bench_ingest", folder, self.base, self.data / "pg_wal", mode], check=True, capture_output=True,
                                  text=True)
        size, seconds, memory = map(float, done.stdout.split())
        if memory > MEMORY_MB:
            print(f"  bench_ingest {mode} had {memory:.0f} MB of memory, the server has shared_buffers of {MEMORY_MB}", file=sys.stderr)
        return size, seconds


def measure(build, wanted):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    with Wal() as wal:
        rounds = [{"stock": wal.stock_recovery()} | {mode: wal.ingest(build, mode) for mode in ("l0", "background")} for _ in range(ROUNDS)]
    for name, (mode, peer, ratio) in INGEST.items():
        if name.startswith(wanted):
            ours = statistics.median(one[mode][0] / one[mode][1] for one in rounds)
            stock = statistics.median(one[mode][0] / one["stock"][peer] for one in rounds)
            yield name, "MB/s", "more", ours / (1 << 20), stock / (1 << 20), ratio

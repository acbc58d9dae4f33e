"""Native redo beside the stock server's, over the same WAL: a page at a time, and the whole stream.

The WAL is pgbench's (scale 20), and the regression suite's where ci/pg-source has built its server. Made anew each
time, in a private folder, by core/pg/redo/proof/redo_corpus.sh.
"""
import os
import pathlib
import pwd
import re
import resource
import shutil
import statistics
import subprocess

TREE = pathlib.Path(__file__).resolve().parent.parent
DEBIAN = pathlib.Path("/usr/lib/postgresql/15/bin")
# Records a page: the unit, and how many times as quick as the redo process is wanted.
PAGES = {1: ("us", 10), 2: ("us", None), 32: ("us", None), 128: ("rec/s", 3)}
NAMES = [f"redo.page_{records}" for records in PAGES] + ["redo.stream_pgbench", "redo.stream_regression"]


def as_server(command, **more):
    """Servers refuse to run as root."""
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        more |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd="/", **more)


class Wal:
    """A cluster before its WAL and the WAL, while it is used."""

    def __init__(self, build, workload, server):
        self.server = server
        environment = dict(os.environ, KEEP="1", CONTROLS="0", CONSISTENCY="", DIFFERENTIAL="true", WORKLOAD=workload, PG_BIN=str(server))
        made = subprocess.run([TREE / "core/pg/redo/proof/redo_corpus.sh", build / "bin" / "redo_verify"], env=environment,
                              capture_output=True, text=True)
        kept = re.search(r"^kept: (\S+)$", made.stdout, re.M)
        if made.returncode != 0 or not kept:
            raise RuntimeError(f"making WAL failed:\n{made.stdout}{made.stderr}")
        self.folder = pathlib.Path(kept.group(1))
        self.seed, self.wal = self.folder / "seed", self.folder / "data" / "pg_wal"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def pages(self, build, records):
        """Microseconds a page: native, and the redo process."""
        library = build / "lib" / "argon_walredo.so"
        done = subprocess.run([build / "bench" / "bench_redo", "pages", self.seed, self.wal, str(records), "--library", library,
                               "--server", self.server / "postgres"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return map(float, done.stdout.split())

    def native_stream(self, build):
        """How many records there are, and seconds of user time."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run([build / "bench" / "bench_redo", "stream", self.seed, self.wal, "0"], capture_output=True, text=True, check=True)
        return int(done.stdout), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    def stock_recovery(self):
        """Seconds of user time of the server's own crash recovery over all of it."""
        recovered = self.folder / "recovered"
        for command in (["rm", "-rf", recovered], ["cp", "-a", self.seed, recovered], ["rm", "-rf", recovered / "pg_wal"],
                        ["cp", "-a", self.wal, recovered / "pg_wal"]):
            subprocess.run([str(word) for word in command], check=True)
        log = self.folder / "recovered.log"
        log.unlink(missing_ok=True)
        options = f"-c shared_buffers=512MB -c listen_addresses= -c unix_socket_directories={self.folder}"
        started = as_server([self.server / "pg_ctl", "-D", recovered, "-w", "-t", "120", "-l", log, "-o", options, "start"])
        as_server([self.server / "pg_ctl", "-D", recovered, "-m", "immediate", "-w", "stop"])
        done = re.search(r"redo done at .*CPU: user: ([\d.]+) s", log.read_text())
        if started.returncode != 0 or not done:
            raise RuntimeError(f"stock recovery failed:\n{log.read_text()[-2000:]}")
        return float(done.group(1))


def pgbench(build):
    commands = f"{DEBIAN}/pgbench -i -q -s 20 postgres && {DEBIAN}/pgbench -n -c 4 -j 2 -t 15000 postgres"
    return Wal(build, commands, DEBIAN)


def regression(build):
    """None where its server is not built."""
    prefix = TREE / "build" / "pg-source" / "prefix"
    tests = prefix.parent / "source" / "src" / "test" / "regress"
    if not (prefix / "bin" / "postgres").exists():
        return None
    command = (f"{tests}/pg_regress --inputdir={tests} --dlpath={tests} --outputdir=out --bindir={prefix}/bin --host=$PGHOST "
               f"--user=postgres --schedule={tests}/parallel_schedule")
    return Wal(build, command, prefix / "bin")


def page(build, wal, records, unit, times):
    native, process = wal.pages(build, records)
    if unit == "us":
        return f"redo.page_{records}", unit, "less", native, process, times and 1 / times
    return f"redo.page_{records}", unit, "more", records / native * 1e6, records / process * 1e6, times


def stream(build, wal, name, rounds):
    """Both sides in turns; of each its median."""
    turns = [(*wal.native_stream(build), wal.stock_recovery()) for _ in range(rounds)]
    records, native, stock = (statistics.median(column) for column in zip(*turns))
    return name, "rec/s", "more", records / native, records / stock, 1.5


def measure(build, name, rounds):
    """Of each figure that `name` begins: its name, unit, which is better, value, peer's value, wanted ratio."""
    wanted = [figure for figure in NAMES if figure.startswith(name)]
    if set(wanted) - {"redo.stream_regression"}:
        with pgbench(build) as wal:
            for records, (unit, times) in PAGES.items():
                if f"redo.page_{records}" in wanted:
                    yield page(build, wal, records, unit, times)
            if "redo.stream_pgbench" in wanted:
                yield stream(build, wal, "redo.stream_pgbench", rounds)
    if "redo.stream_regression" in wanted and (wal := regression(build)):
        with wal:
            yield stream(build, wal, "redo.stream_regression", rounds)

"""Figures of one safekeeper with 10,000 idle timelines that have WAL: until it serves after a start, its memory, its share of a core.

The timelines are made by bench_timelines. The safekeeper and a broker run alone, from a state folder of their own.
ARGON_BENCH_TIMELINES says how many there are; those of a safekeeper that lost power are looked at in the background.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemons" / "test"))
from cluster import take_ports

COUNT = int(os.environ.get("ARGON_BENCH_TIMELINES", "10000"))
SECONDS = 30
NAMES = ["timelines.start", "timelines.memory", "timelines.core", "timelines.start_after_power_loss",
         "timelines.all_known_after_power_loss"]


class Safekeeper:
    def __init__(self, build, kind):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="argon-bench-"))
        self.dir.chmod(0o711)  # the user that servers run as must be able to enter
        self.argon = build / "bin" / "argon"
        self.first_port, self.ports_lock = take_ports()
        subprocess.run([self.argon, "--dir", self.dir / "state", "init", "--first-port", str(self.first_port)], check=True,
                       capture_output=True)
        data = self.dir / "state" / "safekeepers" / "sk1" / "data"
        subprocess.run([build / "bench" / "bench_timelines", data, str(COUNT), kind], check=True)
        config = (self.dir / "state" / "argon.toml").read_text()
        self.http = re.search(r'\[\[safekeepers\]\].*?listen_http = "([^"]+)"', config, re.S).group(1)
        self.broker = self.spawn("broker")
        begin = time.monotonic()
        self.process = self.spawn("safekeeper", "--id", "1")
        self.wait()
        self.started_s = time.monotonic() - begin

    def spawn(self, *args):
        return subprocess.Popen([self.argon, "--dir", self.dir / "state", *args], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def get(self, path):
        return urllib.request.urlopen(f"http://{self.http}{path}", timeout=60).read().decode()

    def wait(self):
        while True:
            try:
                return self.get("/v1/status")
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"the safekeeper ended with {self.process.returncode}") from None
                time.sleep(0.01)

    def metric(self, name):
        return int(re.search(rf"^argon_safekeeper_{name} (\d+)", self.get("/metrics"), re.M).group(1))

    def seconds_used(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for process in (self.process, self.broker):
            process.terminate()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.ports_lock.close()


def measure(build, wanted):
    """(name, unit, value, peer, limit, ratio_limit) of each figure whose name begins with `wanted`."""
    figures = {}
    if any(name.startswith(wanted) for name in NAMES[:3]):
        with Safekeeper(build, "closed") as keeper:
            time.sleep(10)  # the broker has heard of all
            before = keeper.seconds_used()
            time.sleep(SECONDS)
            figures[NAMES[0]] = ("s", keeper.started_s, 5)
            figures[NAMES[1]] = ("MB", keeper.memory_mb(), 1024)
            figures[NAMES[2]] = ("%", 100 * (keeper.seconds_used() - before) / SECONDS, 2)
            assert keeper.metric("timelines") == COUNT and keeper.metric("timelines_unknown") == 0
    if any(name.startswith(wanted) for name in NAMES[3:]):
        with Safekeeper(build, "crashed") as keeper:
            figures[NAMES[3]] = ("s", keeper.started_s, 5)
            begin = time.monotonic()
            while keeper.metric("timelines_unknown") > 0:
                time.sleep(1)
            figures[NAMES[4]] = ("s", time.monotonic() - begin, None)
    for name, (unit, value, limit) in figures.items():
        if name.startswith(wanted):
            yield name, unit, value, None, limit, None

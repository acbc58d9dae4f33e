"""What history costs: bytes in the object store beside the live data, under steady pgbench with a PITR window.

ARGON_BENCH_SPACE_SCALE, _SECONDS and _PITR (seconds) are what it is asked for at (50, 3600, 300); one line of progress a minute.
"""
import json
import os
import subprocess
import sys
import time
import urllib.request

from cluster_bench import Cluster, lsn

SCALE = os.environ.get("ARGON_BENCH_SPACE_SCALE", "50")
SECONDS = int(os.environ.get("ARGON_BENCH_SPACE_SECONDS", "3600"))
PITR = int(os.environ.get("ARGON_BENCH_SPACE_PITR", "300"))
NAMES = ["space.object_store", "space.write_amplification"]


class Watched:
    def __init__(self, cluster):
        self.cluster = cluster
        self.http = cluster.pageserver_http()
        self.endpoint = next(e for e in json.loads(cluster.run("--json", "endpoint", "list")) if e["endpoint"] == "main")
        self.store = cluster.dir / "state" / "object_store"
        self.written = 0
        self.before = set()

    def timeline(self):
        e = self.endpoint
        return json.load(urllib.request.urlopen(
            f"http://{self.http}/v1/tenant/{e['tenant_id']}/timeline/{e['timeline_id']}?logical_size=1"))

    def look(self):
        """Adds what came to the object store since the last look; what came and went in between is not seen."""
        now = {}
        for path in self.store.glob("tenants/*/timelines/*/*"):
            try:
                now[path.name] = path.stat().st_size
            except FileNotFoundError:
                pass
        self.written += sum(size for name, size in now.items() if name not in self.before)
        self.before = set(now)
        return sum(now.values())


def pgbench(cluster, endpoint, *args):
    host, port = endpoint["address"].rsplit(":", 1)
    return subprocess.Popen(["pgbench", "-h", host, "-p", port, "-U", "cloud_admin", *args, "postgres"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def measure(build, wanted):
    """Yields (name, unit, value, peer, limit, ratio limit)."""
    with Cluster(build) as cluster:
        cluster.run("tenant", "config", "--pitr-interval", f"{PITR}s", "--gc-period", f"{max(PITR // 5, 1)}s")
        cluster.run("endpoint", "create", "main")
        cluster.run("endpoint", "start", "main")
        watched = Watched(cluster)
        begin = lsn(watched.timeline()["last_record_lsn"])
        if pgbench(cluster, watched.endpoint, "-i", "-q", "-s", SCALE).wait() != 0:
            raise RuntimeError("pgbench -i failed")
        load = pgbench(cluster, watched.endpoint, "-n", "-c", "4", "-j", "2", "-T", str(SECONDS))
        end, said = time.monotonic() + SECONDS, time.monotonic()
        while load.poll() is None:
            time.sleep(2)
            stored = watched.look()
            if time.monotonic() - said >= 60:
                said = time.monotonic()
                print(f"# {max(end - said, 0):.0f} s left, {stored / 2**20:.0f} MB in the object store", file=sys.stderr, flush=True)
        if load.returncode != 0:
            raise RuntimeError("pgbench failed")
        shown = watched.timeline()
        stored = watched.look()
        wal = lsn(shown["last_record_lsn"]) - begin
        if NAMES[0].startswith(wanted):
            yield NAMES[0], "MB", stored / 2**20, shown["current_logical_size"] / 2**20, None, 4
        if NAMES[1].startswith(wanted):
            yield NAMES[1], "MB", watched.written / 2**20, wal / 2**20, None, None

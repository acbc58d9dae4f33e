"""WAL as fast as a quorum of three safekeepers takes it, beside one writer of the same bytes into files.

The safekeepers are those of a private cluster; bench_append is the proposer. The writer syncs after as many bytes as the
safekeepers did on average, on the same disk, and counts for a third, since they write everything three times.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import urllib.request

from cluster_bench import Cluster

NAMES = ["quorum.append"]
MB, ROUNDS = int(os.environ.get("ARGON_BENCH_APPEND_MB", "512")), 3
TIMELINE = "000102030405060708090a0b0c0d0e0f"  # and its tenant, as bench_append has it
RATIO = 0.6


def safekeepers(cluster):
    """(WAL's address, HTTP's address) of each."""
    config = (cluster.dir / "state" / "argon.toml").read_text()
    return re.findall(r'\[\[safekeepers\]\].*?listen_pg = "([^"]+)".*?listen_http = "([^"]+)"', config, re.S)


def create(keepers):
    members = [{"id": i, "host": wal.rsplit(":", 1)[0], "pg_port": int(wal.rsplit(":", 1)[1])} for i, (wal, _) in enumerate(keepers, 1)]
    body = {"tenant_id": TIMELINE, "timeline_id": TIMELINE, "mconf": {"generation": 1, "members": members}, "pg_version": 150013,
            "system_id": 4711, "start_lsn": "0/1000028"}
    for _, http in keepers:
        urllib.request.urlopen(urllib.request.Request(f"http://{http}/v1/tenant/timeline", json.dumps(body).encode(), method="POST"))


def flushes(keepers):
    pattern = re.compile(rf'^argon_safekeeper_flushes{{[^}}]*timeline_id="{TIMELINE}"[^}}]*}} (\d+)', re.M)
    return sum(int(pattern.search(urllib.request.urlopen(f"http://{http}/metrics").read().decode()).group(1)) for _, http in keepers)


def measure(build, _):
    """Yields (name, unit, better, value, peer, ratio limit)."""
    program = build / "bench" / "bench_append"

    def seconds(*args):
        return float(subprocess.run([program, *map(str, args)], check=True, capture_output=True, text=True).stdout)

    rounds = []
    for _ in range(ROUNDS):
        with Cluster(build) as cluster:
            keepers = safekeepers(cluster)
            create(keepers)
            ours = seconds("quorum", MB, *(wal for wal, _ in keepers))
            bytes_a_sync = MB * 2**20 * len(keepers) // flushes(keepers)
        with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
            rounds.append((MB / ours, MB / seconds("files", MB, pathlib.Path(folder), bytes_a_sync) / len(keepers)))
    value, peer = (statistics.median(side) for side in zip(*rounds))
    yield NAMES[0], "MB/s", "more", value, peer, RATIO

"""Figures of a pageserver with 5,000 attached timelines: until it serves all of them after a start, and its memory.

The timelines are branches of one that has data, spread over many branch points. The pageserver and a broker run alone, from a
state folder of their own. ARGON_BENCH_ATTACHED says how many timelines there are.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import secrets
import subprocess
import time
import urllib.request

from cluster_bench import Cluster, fill, lsn, settle

COUNT = int(os.environ.get("ARGON_BENCH_ATTACHED", "5000"))
NAMES = ["attach.start", "attach.memory"]


class Pageserver:
    def __init__(self, cluster):
        self.cluster = cluster
        self.http = cluster.pageserver_http()
        self.pid_file = cluster.dir / "state" / "pageserver_1" / "pageserver.pid"

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://{self.http}{path}", data=data, method=method)
        return json.load(urllib.request.urlopen(request, timeout=600))

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{int(self.pid_file.read_text().split()[0])}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def make_branches(server, tenant, ancestor, begin, end):
    def make(i):
        at = begin + (end - begin) * i // COUNT
        server.ask("POST", f"/v1/tenant/{tenant}/timeline",
                   {"new_timeline_id": secrets.token_hex(16), "ancestor_timeline_id": ancestor,
                    "ancestor_start_lsn": f"{at >> 32:X}/{at & 0xFFFFFFFF:X}"})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(COUNT)))


def measure(build, wanted):
    """Yields (name, unit, value, peer, limit, ratio limit)."""
    with Cluster(build) as cluster:
        cluster.run("endpoint", "create", "main")
        cluster.run("endpoint", "start", "main")
        server = Pageserver(cluster)
        endpoint = json.loads(cluster.run("--json", "endpoint", "list"))[0]
        tenant, main = endpoint["tenant_id"], endpoint["timeline_id"]
        path = f"/v1/tenant/{tenant}/timeline"
        begin = lsn(server.ask("GET", f"{path}/{main}")["last_record_lsn"])
        fill(cluster, "main", 50)
        settle(cluster)
        make_branches(server, tenant, main, begin, lsn(server.ask("GET", f"{path}/{main}")["last_record_lsn"]))
        cluster.run("endpoint", "stop", "main")
        cluster.run("stop")
        daemons = [subprocess.Popen([cluster.argon, "--dir", cluster.dir / "state", "broker"], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)]
        began = time.monotonic()
        daemons.append(subprocess.Popen([cluster.argon, "--dir", cluster.dir / "state", "pageserver"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        try:
            while True:
                try:
                    if len(server.ask("GET", path)) == COUNT + 1:
                        break
                except OSError:
                    pass
                time.sleep(0.02)
            started = time.monotonic() - began
            time.sleep(20)  # the first uploads are over
            memory = server.memory_mb()
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
                daemon.wait()
        if NAMES[0].startswith(wanted):
            yield NAMES[0], "s", started, None, 3, None
        if NAMES[1].startswith(wanted):
            yield NAMES[1], "MB", memory, None, 1024, None

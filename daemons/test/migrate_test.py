#!/usr/bin/env python3
"""A tenant with a warm copy on a second pageserver moves there and back under pgbench, is taken over from a pageserver that is
dead, and each start of a pageserver comes back as it was. Its endpoints go on meanwhile: no session ends, none fails.
"""
import json
import re
import subprocess
import time
import urllib.request

import cluster

SUMS = "select (select sum(delta) from pgbench_history) = (select sum(abalance) from pgbench_accounts)"


def modes(c):
    return [one["mode"] for one in c.argon_json("tenant", "locations")["locations"]]


def metric(c, pageserver, name):
    addresses = re.findall(r"^\[+pageservers?\]+.*?listen_http = \"([^\"]+)\"", (c.dir / "argon.toml").read_text(), re.S | re.M)
    page = urllib.request.urlopen(f"http://{addresses[pageserver - 1]}/metrics", timeout=30).read().decode()
    found = re.search(rf"^{name} (\d+)", page, re.M)
    return int(found.group(1)) if found else 0  # counters are there from the first use on


def load(c, seconds):
    return subprocess.run(["pgbench", "-n", "-c", "2", "-T", str(seconds), c.conninfo("main")],
                          capture_output=True, text=True, timeout=120)


class Background:
    """A program that runs while something else happens."""

    def __init__(self, *words):
        self.words = words
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def runs(self):
        return self.process.poll() is None

    def output(self):
        out, error = self.process.communicate(timeout=120)
        cluster.expect(self.process.returncode == 0, f"{self.words[0]}: {out}{error}")
        return out


def move_under_load(c, *words):
    """Sessions go on while the tenant moves; the servers of its endpoints are those that were."""
    started = {name: c.sql(name, "select pg_postmaster_start_time()") for name in ("main", "past")}
    bench = Background("pgbench", "-n", "-c", "4", "-j", "2", "-T", "8", c.conninfo("main"))
    reader = Background("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", c.conninfo("past"), "-c",
                        "select pg_sleep(2)", "-c", "select count(*) from pgbench_accounts", "-c", "select pg_sleep(5)",
                        "-c", "select count(*) from pgbench_accounts")
    time.sleep(1)
    c.argon("tenant", "migrate", *words)
    cluster.expect(bench.runs(), "pgbench had ended before the move")
    print([line for line in bench.output().splitlines() if "tps" in line or "failed" in line])
    cluster.expect(reader.output().split() == ["200000", "200000"], "the past is as it was")
    for name, since in started.items():
        cluster.expect(c.sql(name, "select pg_postmaster_start_time()") == since, f"endpoint {name} was started anew")


def wait_through_a_takeover(c):
    """Pageserver 2 is dead. A session that waits for a page of it goes on with pageserver 1."""
    waiting = Background("psql", "-X", "-q", "-A", "-t", "-d", c.conninfo("main"), "-c", SUMS)
    time.sleep(3)
    cluster.expect(waiting.runs(), "it does not need the pageserver")
    started = time.monotonic()
    c.argon("tenant", "migrate", "--to", "1", "--force")
    cluster.expect(waiting.output().strip() == "t", "the books do not balance")
    print(f"taken over in {time.monotonic() - started:.1f} s")


def check(c, what, at):
    cluster.expect(modes(c) == at, f"{what}: {modes(c)} instead of {at}")
    cluster.expect(c.sql("main", SUMS) == "t", f"{what}: the books do not balance")


def walk(c):
    c.start("--pageservers", "2")
    # So small a cache reads from the pageserver all the time.
    c.tenant_and_endpoint("main", "shared_buffers=1MB", "argon.max_file_cache_size=0")
    subprocess.run(["pgbench", "-i", "-q", "-s", "2", "-d", c.conninfo("main")], check=True, capture_output=True, timeout=120)
    load(c, 3)
    c.argon("endpoint", "create", "past", "--lsn", c.sql("main", "select pg_current_wal_flush_lsn()"), "-c", "shared_buffers=1MB")
    c.argon("endpoint", "start", "past")
    copy = c.argon_json("tenant", "secondary", "--to", "2")
    cluster.expect(copy["layers_downloaded"] == copy["layers_total"] > 0, f"the copy is not warm: {copy}")
    cluster.expect(metric(c, 2, "pageserver_secondary_resident_physical_size") == copy["bytes_total"], "bytes of the copy")
    before = metric(c, 2, "pageserver_layers_downloaded_total")
    move_under_load(c, "--to", "2")
    check(c, "moved", ["Secondary", "AttachedSingle"])
    print("layers fetched after a warm move:", metric(c, 2, "pageserver_layers_downloaded_total") - before)
    done = load(c, 3)
    cluster.expect(done.returncode == 0, f"pgbench after the move: {done.stderr}")

    c.argon("stop")
    c.argon("start")
    c.argon("endpoint", "start", "main")
    check(c, "after a restart", ["Secondary", "AttachedSingle"])

    c.kill("pageserver-2")
    refused = c.argon("tenant", "migrate", "--to", "1", check=False)
    cluster.expect("does not run" in refused.stderr, f"a dead pageserver: {refused.stderr}")
    wait_through_a_takeover(c)
    load(c, 2)
    c.argon("start")
    check(c, "taken over", ["AttachedSingle", "Detached"])
    c.argon("tenant", "secondary", "--to", "2")
    c.argon("tenant", "secondary", "--to", "2", "--remove")
    check(c, "without a copy", ["AttachedSingle", "Detached"])
    c.argon("endpoint", "start", "past")
    move_under_load(c, "--to", "2", "--detach")
    check(c, "moved for good", ["Detached", "AttachedSingle"])
    branch = c.argon_json("timeline", "branch", "--branch-name", "b")
    cluster.expect(branch["timeline_id"] in json.dumps(c.argon_json("timeline", "list")), "a branch at the second pageserver")
    c.argon("stop")
    c.argon("scrub")
    looked_at_on_the_second(c)


def looked_at_on_the_second(c):
    """The tools read the layers where the tenant is: on the second pageserver."""
    folders = list((c.dir / "pageserver_2" / "data" / "tenants").glob("*/timelines/*"))  # also of a branch, without any layer
    layers = c.argon_json("inspect", "layers")["layers"]
    path = next(path for layer in layers for path in (folder / layer["name"] for folder in folders) if path.exists())
    before = path.read_bytes()
    path.write_bytes(before[:-100] + bytes([before[-100] ^ 1]) + before[-99:])
    found = c.argon("scrub", check=False)
    cluster.expect(found.returncode != 0 and str(path) in found.stdout + found.stderr, f"a damaged layer of pageserver 2: {found}")
    path.write_bytes(before)
    c.argon("scrub")


cluster.run("migrate", walk)

#!/usr/bin/env python3
"""A tenant with a warm copy on a second pageserver moves there and back under pgbench, is taken over from a pageserver that is
dead, and each start of a pageserver comes back as it was.
"""
import json
import re
import subprocess
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
    return subprocess.run(["pgbench", "-n", "-c", "2", "-T", str(seconds), "-d", c.conninfo("main")],
                          capture_output=True, text=True, timeout=120)


def check(c, what, at):
    cluster.expect(modes(c) == at, f"{what}: {modes(c)} instead of {at}")
    cluster.expect(c.sql("main", SUMS) == "t", f"{what}: the books do not balance")


def walk(c):
    c.start("--pageservers", "2")
    c.tenant_and_endpoint()
    subprocess.run(["pgbench", "-i", "-q", "-s", "2", "-d", c.conninfo("main")], check=True, capture_output=True, timeout=120)
    load(c, 3)
    copy = c.argon_json("tenant", "secondary", "--to", "2")
    cluster.expect(copy["layers_downloaded"] == copy["layers_total"] > 0, f"the copy is not warm: {copy}")
    cluster.expect(metric(c, 2, "pageserver_secondary_resident_physical_size") == copy["bytes_total"], "bytes of the copy")
    before = metric(c, 2, "pageserver_layers_downloaded_total")
    c.argon("tenant", "migrate", "--to", "2")
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
    c.argon("tenant", "migrate", "--to", "1", "--force")
    load(c, 2)
    c.argon("start")
    check(c, "taken over", ["AttachedSingle", "Detached"])
    c.argon("tenant", "secondary", "--to", "2")
    c.argon("tenant", "secondary", "--to", "2", "--remove")
    check(c, "without a copy", ["AttachedSingle", "Detached"])
    c.argon("tenant", "migrate", "--to", "2", "--detach")
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

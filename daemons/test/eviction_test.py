#!/usr/bin/env python3
"""A timeline that nobody uses gives up its WAL on every safekeeper's disk, and has it again for the next endpoint; inspect
and scrub read what is there instead.
"""
import json
import re
import time
import urllib.request

import cluster

WAIT = 120
ROWS = "select count(*), sum(id) from t"


def evict_soon(c):
    config = c.dir / "argon.toml"
    text, keys = re.subn(r"evict_after_s = \d+", "evict_after_s = 3", config.read_text())
    cluster.expect(keys == 3, f"argon.toml has {keys} keys evict_after_s")
    config.write_text(text)


def states(c):
    """What each safekeeper says of the timeline."""
    path = "/v1/tenant/{tenant_id}/timeline/{timeline_id}".format(**c.argon_json("timeline", "list")[0])
    addresses = re.findall(r"\[\[safekeepers\]\].*?listen_http = \"([^\"]+)\"", (c.dir / "argon.toml").read_text(), re.S)
    return [json.load(urllib.request.urlopen(f"http://{address}{path}", timeout=30)) for address in addresses]


def segments(c):
    return [p for p in (c.dir / "safekeepers").rglob("00000001????????????????") if p.is_file()]


def wait_until_evicted(c):
    end = time.monotonic() + WAIT
    while not all(state["evicted"] for state in states(c)):
        cluster.expect(time.monotonic() < end, f"not evicted after {WAIT} s: {states(c)}")
        time.sleep(1)
    cluster.expect(not segments(c), f"segments are left: {segments(c)}")


def look(c):
    for control in sorted((c.dir / "safekeepers").rglob("safekeeper.control")):
        said = c.argon_json("inspect", control)
        thing = c.dir / "object_store" / "objects" / said["evicted"]["object"]
        cluster.expect(thing.stat().st_size == said["evicted"]["size"], f"{thing} is not as long as {control} says")
    c.argon("scrub")


def damage(c):
    """Of the first safekeeper's object. Scrub finds it."""
    control = next(iter(sorted((c.dir / "safekeepers").rglob("safekeeper.control"))))
    thing = c.dir / "object_store" / "objects" / c.argon_json("inspect", control)["evicted"]["object"]
    whole = thing.read_bytes()
    thing.write_bytes(whole[:-64] + bytes([whole[-64] ^ 1]) + whole[-63:])
    found = c.argon("scrub", check=False)
    cluster.expect(found.returncode != 0 and thing.name in found.stdout + found.stderr,
                   f"scrub does not find the damage: {found.stdout}{found.stderr}")


def eviction(c):
    c.argon("init", "--first-port", c.first_port)
    evict_soon(c)
    c.argon("start")
    c.tenant_and_endpoint()
    c.sql("main", "create table t (id int); insert into t select generate_series(1, 10000)")
    rows = c.sql("main", ROWS)
    c.argon("endpoint", "stop", "main")
    wait_until_evicted(c)
    look(c)
    c.argon("stop")
    c.argon("start")
    cluster.expect(all(state["evicted"] for state in states(c)), "it is not evicted any more after a restart")
    damage(c)
    c.argon("endpoint", "start", "main")
    cluster.expect(c.sql("main", ROWS) == rows, "other rows than before")
    c.sql("main", "insert into t select generate_series(10001, 11000)")
    # The first takes its WAL from the object of one of the others.
    end = time.monotonic() + WAIT
    while states(c)[0].get("flush_lsn") != states(c)[1]["flush_lsn"] or states(c)[0]["evicted"]:
        cluster.expect(time.monotonic() < end, f"the first does not come back: {states(c)[0]}")
        time.sleep(1)
    cluster.expect(c.sql("main", ROWS) == "11000|60505500", "rows at the end")


cluster.run("eviction", eviction)

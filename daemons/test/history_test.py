#!/usr/bin/env python3
"""Back in time and to a small disk: a branch at a timestamp, detached, its ancestor deleted; garbage collection and its
refusals; layers evicted from the pageserver's disk and read again; scrub at the end; a picture of the layers that are left.
All of it with WAL that safekeepers decode.
"""
import json
import os
import re
import signal
import threading
import time
import urllib.request
import xml.etree.ElementTree

import cluster


class Pageserver:
    def __init__(self, c):
        config = (c.dir / "argon.toml").read_text()
        self.http = re.search(r'\[pageserver\].*?listen_http = "([^"]+)"', config, re.S).group(1)
        self.layers = c.dir / "pageserver_1" / "data" / "tenants"

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.http}{path}", data=data, method=method)
        return urllib.request.urlopen(request, timeout=60).read().decode()

    def metric(self, name):
        return int(re.search(rf"^pageserver_{name} (\d+)", self.ask("GET", "/metrics"), re.M).group(1))

    def files(self):
        return [p for p in self.layers.rglob("*__*") if p.is_file()]


def start_with_interpreted_wal(c):
    c.argon("init", "--first-port", c.first_port)
    config = c.dir / "argon.toml"
    text, keys = re.subn(r"(interpreted|compressed)_wal = false", r"\1_wal = true", config.read_text())
    cluster.expect(keys == 2, f"argon.toml has {keys} keys interpreted_wal and compressed_wal")
    config.write_text(text)
    c.argon("start")


def decoded_bytes(c):
    """Of all safekeepers."""
    addresses = re.findall(r"\[\[safekeepers\]\].*?listen_http = \"([^\"]+)\"", (c.dir / "argon.toml").read_text(), re.S)
    texts = [urllib.request.urlopen(f"http://{address}/metrics", timeout=30).read().decode() for address in addresses]
    return sum(int(n) for text in texts for n in re.findall(r"^argon_safekeeper_wal_decoded_bytes\S* (\d+)", text, re.M))


def timeline_path(c, name):
    one = next(t for t in c.argon_json("timeline", "list") if t["branch_name"] == name)
    return f"/v1/tenant/{one['tenant_id']}/timeline/{one['timeline_id']}"


def back_in_time(c):
    c.sql("main", "create table orders as select g as id, repeat(md5(g::text), 8) as t from generate_series(1, 20000) g")
    # So that nothing has to be read when it is done in earnest.
    c.sql("main", "begin; delete from orders where id > 7; rollback")
    time.sleep(1.5)
    then = c.sql("main", "select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    time.sleep(1.5)
    # The pageserver has not heard of the deletion when it is asked, or not long before.
    pageserver = c.pid("pageserver")
    os.kill(pageserver, signal.SIGSTOP)
    c.sql("main", "delete from orders where id > 7")
    threading.Timer(0.5, os.kill, (pageserver, signal.SIGCONT)).start()
    c.argon("timeline", "branch", "--branch-name", "before", "--ancestor-start-timestamp", then)
    c.create_endpoint("before", branch="before")
    c.argon("endpoint", "start", "before")
    rows = c.sql("before", "select count(*) from orders")
    cluster.expect(rows == "20000", f"the branch is not as it was then: {rows} rows")
    c.sql("before", "insert into orders select -g, 'later' from generate_series(1, 100) g")

    c.argon("timeline", "detach-ancestor", "--branch-name", "before")
    c.argon("timeline", "delete", "--branch-name", "main", "--force")
    cluster.expect(c.sql("before", "select count(*), sum(id) from orders") == f"20100|{20000 * 20001 // 2 - 5050}",
                   "the detached branch has other rows without its ancestor")
    c.argon("endpoint", "stop", "before")
    c.argon("endpoint", "start", "before")
    cluster.expect(c.sql("before", "select count(*) from orders") == "20100", "rows after a restart")


def small_disk(c):
    server = Pageserver(c)
    server.ask("PUT", timeline_path(c, "before") + "/checkpoint")
    cluster.expect(server.files() and server.metric("resident_layer_bytes") > 0, "no layers on the disk")
    told = json.loads(server.ask("PUT", "/v1/disk_usage_eviction/run", {"evict_bytes": 1 << 40}))
    cluster.expect(told["evicted_layers"] > 0 and not server.files(), f"evicted: {told}, left: {server.files()}")
    cluster.expect(server.metric("resident_layer_bytes") == 0, "resident bytes after eviction")
    c.argon("endpoint", "stop", "before")
    c.argon("endpoint", "start", "before")
    cluster.expect(c.sql("before", "select count(*) from orders") == "20100", "rows after eviction")
    cluster.expect(server.metric("layers_downloaded_total") > 0, "nothing was downloaded")

    # The bound of the configuration does the same by itself.
    config = c.dir / "argon.toml"
    text = re.sub(r"layer_bytes_max = \d+", "layer_bytes_max = 1", config.read_text())
    config.write_text(re.sub(r"layer_in_use_s = \d+", "layer_in_use_s = 1", text))
    c.argon("stop")
    c.argon("start")
    c.argon("endpoint", "start", "before")
    cluster.expect(c.sql("before", "select count(*) from orders") == "20100", "rows with a small disk")
    c.argon("endpoint", "stop", "before")
    end = time.monotonic() + 60
    while server.metric("resident_layer_bytes") > 0:
        cluster.expect(time.monotonic() < end, f"not evicted: {server.files()}")
        time.sleep(0.5)


def garbage(c):
    done = c.argon("timeline", "gc", "--branch-name", "before", check=False)
    cluster.expect(done.returncode == 1 and "GC waits" in done.stderr, f"GC after a start: {done.stdout}{done.stderr}")
    c.argon("tenant", "config", "--lsn-lease-length", "1s", "--pitr-interval", "1s", "--gc-horizon", "0")
    time.sleep(2)
    collected = c.argon_json("timeline", "gc", "--branch-name", "before")
    cluster.expect(collected["gc_cutoff_lsn"] != "0/0", f"gc: {collected}")
    done = c.argon("timeline", "branch", "--branch-name", "late", "--ancestor-branch-name", "before", "--ancestor-start-lsn",
                   "0/1800000", check=False)
    cluster.expect(done.returncode == 1 and "GC cutoff" in done.stderr, f"a branch below the cutoff: {done.stdout}{done.stderr}")
    c.argon("endpoint", "start", "before")
    cluster.expect(c.sql("before", "select count(*) from orders") == "20100", "rows after GC")
    done = c.argon("scrub", check=False)
    cluster.expect(done.returncode == 0, f"scrub:\n{done.stdout}{done.stderr}")


def picture(c):
    """Every layer of the index is drawn once, in the picture."""
    file = c.root / "layers.svg"
    told = c.argon_json("inspect", "layers", "--branch-name", "before", "--svg", file)
    drawn = xml.etree.ElementTree.parse(file).getroot()
    width, height = float(drawn.get("width")), float(drawn.get("height"))
    titles = []
    for one in drawn.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, w, h = (float(one.get(key)) for key in ("x", "y", "width", "height"))
        cluster.expect(w > 0 and h > 0 and 0 <= x <= x + w <= width and 0 <= y <= y + h <= height, f"outside: {one.attrib}")
        titles.append(one[0].text)
    names = [layer["name"] for layer in told["layers"]]
    cluster.expect(names and sorted(title.split(", ")[-1] for title in titles) == sorted(names), f"{names} are drawn as {titles}")
    index = next(Pageserver(c).layers.rglob(f"{told['timeline_id']}/index"))
    cluster.expect(sorted(layer["name"] for layer in c.argon_json("inspect", index)["layers"]) == sorted(names), "another list of layers")
    table = c.argon("inspect", "layers", index).stdout
    cluster.expect(f"{len(names)} layers, " in table, table)


def walk(c):
    start_with_interpreted_wal(c)
    c.tenant_and_endpoint("main")
    back_in_time(c)
    cluster.expect(decoded_bytes(c) > 0, "no safekeeper has decoded WAL for the pageserver")
    small_disk(c)
    garbage(c)
    picture(c)


cluster.run("history", walk)

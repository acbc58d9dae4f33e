#!/usr/bin/env python3
"""`argon scrub`: finds nothing in a cluster that works, running or not; finds one flipped bit of every kind of file,
and names it; changes nothing."""
import hashlib
import json
import os
import random
import re
import subprocess
import threading
import time

import cluster


def scrub(c):
    done = subprocess.run([c.argon_program, "--json", "--dir", c.dir, "scrub"], capture_output=True, text=True, timeout=120)
    value = json.loads(done.stdout)
    cluster.expect(done.returncode == (1 if value["findings"] else 0), f"exit status {done.returncode}: {value}")
    return value


def clean(c, when):
    value = scrub(c)
    cluster.expect(not value["findings"], f"{when}: {json.dumps(value['findings'], indent=1)}")
    cluster.expect(value["files"] >= 10 and value["bytes"] > 10 << 20, f"{when}: hardly anything was read: {value}")


def content(c):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(c.dir.rglob("*")) if p.is_file()}


def flip(path, offset, count=1):
    """One bit in each of so many bytes."""
    with open(path, "r+b") as f:
        f.seek(offset)
        old = f.read(count)
        f.seek(offset)
        f.write(bytes(byte ^ 1 << random.randrange(8) for byte in old))


def finds(c, path, offset=None, says=""):
    """Exactly one file is found to be damaged, with its timeline and place."""
    findings = scrub(c)["findings"]
    cluster.expect(len(findings) == 1 and findings[0]["file"] == str(path), f"damaged: {path}; found: {findings}")
    one = findings[0]
    tenant, timeline = re.search(r"/([0-9a-f]{32})/(?:timelines/)?([0-9a-f]{32})(?:/|$)", str(path)).groups()
    cluster.expect((one["tenant_id"], one["timeline_id"]) == (tenant, timeline), f"not the file's timeline: {one}")
    cluster.expect(says in one["what"], f"'{says}' is not said: {one}")
    if offset is not None:
        cluster.expect(one["lsn"] and one["offset"] <= offset < one["offset"] + 256 * 1024, f"{offset} was flipped: {one}")
    return f"FINDING tenant {tenant}, timeline {timeline}"


def flipped(c, path, offset, says=""):
    before = path.read_bytes()
    # In WAL, the bytes that align records have no checksum: at most seven in a row, four in a page's header.
    wal = re.fullmatch("[0-9A-F]{24}(_.*)?", path.name)
    flip(path, min(offset, len(before) - 16), 16) if wal else flip(path, offset)
    finds(c, path, offset if "index" not in path.name and "control" not in path.name else None, says)
    path.write_bytes(before)


def committed(c, control):
    """Up to where a safekeeper's WAL is held to be right."""
    value = c.argon_json("inspect", control)
    lsn = lambda text: int(text.split("/")[0], 16) << 32 | int(text.split("/")[1], 16)
    return lsn(value["local_start_lsn"]), lsn(value["commit_lsn"])


def segments_of_one_timeline(stored):
    """In order; of the one that has most. A gap is only what lies between two of the same timeline."""
    timelines = {}
    for path in sorted(p for p in stored if re.fullmatch("[0-9A-F]{24}", p.name)):
        timelines.setdefault(path.parent, []).append(path)
    return max(timelines.values(), key=len, default=[])


def is_long_partial(path):
    """Longer than the rest of a record of the segment before, which nothing in a partial segment can check."""
    return path.name.endswith(".partial") and path.stat().st_size > 64 << 10


def damage(c):
    store = c.dir / "object_store" / "objects"
    stored = [p for p in store.rglob("*") if p.is_file()]
    local = [p for p in (c.dir / "pageserver_1").rglob("*") if p.is_file()]
    layers = lambda files: sorted(p for p in files if "__" in p.name)
    newest = max(p for p in stored if p.name.startswith("index-"))
    named = {one["name"] for p in stored if p.name.startswith("index-") for one in c.argon_json("inspect", p)["layers"]}
    for path in random.sample([p for p in layers(stored) if p.name in named], 2) + random.sample(layers(local), 2):
        flipped(c, path, random.randrange(path.stat().st_size), "wrong checksum" if path.stat().st_size > 1 << 20 else "")
    flipped(c, newest, random.randrange(20, newest.stat().st_size), "wrong checksum")
    index = random.choice([p for p in local if p.name == "index"])
    flipped(c, index, random.randrange(20, index.stat().st_size), "wrong checksum")
    control = random.choice(sorted(c.dir.glob("safekeepers/**/safekeeper.control")))
    flipped(c, control, random.randrange(12, control.stat().st_size))

    segments = segments_of_one_timeline(stored)
    cluster.expect(len(segments) >= 2, f"WAL in the object store: {segments}")
    # Where the WAL of the first segment begins, the node's control file says.
    last = segments[-1]
    flipped(c, last, random.randrange(last.stat().st_size))
    partial = random.choice([p for p in stored if is_long_partial(p)])
    flipped(c, partial, partial.stat().st_size - random.randrange(1, 4096))
    for control in sorted(c.dir.glob("safekeepers/sk2/**/safekeeper.control")):
        start, commit = committed(c, control)
        first = min(p.name for p in control.parent.iterdir() if re.fullmatch("[0-9A-F]{24}", p.name))
        start = max(start, int(first[8:16], 16) << 32 | int(first[16:], 16) << 24)
        at = random.randrange(max(start, commit - (1 << 20)), commit - 16)
        flipped(c, control.parent / f"00000001{at >> 32:08X}{at >> 24 & 255:08X}", at % (16 << 20))

    layer = random.choice([p for p in layers(stored) if p.name in named])
    kept = layer.read_bytes()
    layer.unlink()
    finds(c, layer, says="it is not there")
    layer.write_bytes(kept[: len(kept) // 2])
    said = finds(c, layer)
    text = c.argon("scrub", check=False)
    cluster.expect(text.returncode == 1 and text.stdout.count("FINDING") == 1 and said in text.stdout, text.stdout)
    layer.write_bytes(kept)
    # A layer that is not here is fetched when it is needed.
    only_here = random.choice([p for p in layers(local) if p.name in named])
    kept = only_here.read_bytes()
    only_here.unlink()
    clean(c, "a layer that only the object store has")
    only_here.write_bytes(kept)
    tenant_folder = next(store.glob("tenants/*"))
    kept = tenant_folder.rename(c.root / "kept")
    value = scrub(c)
    cluster.expect({f["file"] for f in value["findings"]} == {str(c.dir / "state.json")}, f"names of nothing: {value}")
    kept.rename(tenant_folder)
    if len(segments) >= 3:
        middle = segments[-2]
        kept = middle.read_bytes()
        middle.unlink()
        finds(c, middle.parent, says=f"{middle.name} is not")
        middle.write_bytes(kept)


def walk(c):
    seed = int(os.environ.get("ARGON_TEST_SEED", time.time_ns() % 1_000_000))
    random.seed(seed)
    print(f"seed {seed}")
    c.start()
    c.tenant_and_endpoint("main")
    c.sql("main", "create table t as select i, repeat(md5(i::text), 20) as filler from generate_series(1, 40000) i")
    c.argon("timeline", "branch", "--branch-name", "b")
    c.create_endpoint("b", branch="b")
    c.argon("endpoint", "start", "b")

    # While it is written to.
    writing = True
    failures = []

    def write(endpoint):
        try:
            while writing and not failures:
                c.sql(endpoint, "insert into t select i, repeat(md5(i::text), 20) from generate_series(1, 1000) i")
                time.sleep(0.05)
        except Exception as e:  # of a thread, which would go unseen
            failures.append(f"{endpoint}: {e!r}")

    writers = [threading.Thread(target=write, args=(e,)) for e in ("main", "b")]
    for one in writers:
        one.start()
    try:
        for i in range(5):
            clean(c, f"running, look {i}")
            time.sleep(0.5)
    finally:
        writing = False
        for one in writers:
            one.join()
    cluster.expect(not failures, f"could not be written to: {failures}")
    deadline = time.monotonic() + 60
    while not any(is_long_partial(p) for p in (c.dir / "object_store").rglob("*.partial")):
        cluster.expect(time.monotonic() < deadline, "no partial segment was uploaded")
        time.sleep(0.5)
    clean(c, "running, at rest")
    c.argon("stop")
    before = content(c)
    clean(c, "stopped")
    damage(c)
    clean(c, "with all damage taken back")
    cluster.expect(content(c) == before, "scrub changed something")
    c.argon("start")
    c.argon("endpoint", "start", "main")
    cluster.expect(int(c.sql("main", "select count(*) from t")) >= 40000, "rows are missing")


cluster.run("scrub", walk)

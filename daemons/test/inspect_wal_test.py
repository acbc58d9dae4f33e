#!/usr/bin/env python3
"""`argon inspect wal` says of a safekeeper's segments what pg_waldump says: the sums of every record type, and the
number of records of a relation and of a block; listings and JSON agree with the sums."""
import re
import subprocess

import cluster

PG_WALDUMP = "/usr/lib/postgresql/15/bin/pg_waldump"


def waldump(folder, start, end, *words):
    done = subprocess.run([PG_WALDUMP, "-p", folder, "-s", start, "-e", end, *words], capture_output=True, text=True, timeout=60)
    cluster.expect(done.returncode == 0, f"pg_waldump {words}: {done.stderr}")
    return done.stdout


def stock_sums(text):
    """Of `--stats=record`: (records, record bytes, image bytes) by name."""
    rows = re.findall(r"^(\S+/\S.*?)\s+(\d+) \([^)]*\)\s+(\d+) \([^)]*\)\s+(\d+) \(", text, re.M)
    return {name: (int(count), int(rest), int(images)) for name, count, rest, images in rows}


def our_sums(value):
    return {f"{t['rmgr']}/{t['type']}": (t["records"], t["record_bytes"], t["image_bytes"]) for t in value["types"]}


def walk(c):
    c.start()
    c.tenant_and_endpoint("main", "full_page_writes=on", "wal_level=logical")
    c.sql("main", """create table t (i int primary key, x text); create index on t using gist (point(i, i));
        create index on t using gin (string_to_array(x, ' ')); create index on t using hash (x); create index on t using brin (i);
        insert into t select i, repeat('a b ', i % 50) from generate_series(1, 20000) i; update t set x = x || 'c' where i % 7 = 0;
        delete from t where i % 5 = 0; vacuum t; checkpoint; update t set x = 'd' where i % 100 = 1; begin; delete from t; rollback;
        select pg_logical_emit_message(true, 'a', 'b'); create sequence s; select nextval('s');""")
    relation = c.sql("main", "select format('1663/%s/%s', (select oid from pg_database where datname = current_database()),"
                             " pg_relation_filenode('t'))")
    c.argon("stop")
    control = sorted(c.dir.glob("safekeepers/sk1/**/safekeeper.control"))[0]
    state = c.argon_json("inspect", control)
    # pg_waldump wants all records of the page where it begins, and the timeline begins within one.
    high, low = (int(part, 16) for part in state["timeline_start_lsn"].split("/"))
    start, end = f"{high:X}/{low // 8192 * 8192 + 8192:X}", state["commit_lsn"]
    segments = sorted(p for p in control.parent.iterdir() if re.fullmatch("[0-9A-F]{24}", p.name))

    all_of_it = c.argon_json("inspect", "wal", *segments, "--stats")
    cluster.expect(all_of_it["end_lsn"] == end, f"WAL ends at {end}, not at {all_of_it['end_lsn']}")
    value = c.argon_json("inspect", "wal", *segments, "--start", start, "--end", end, "--stats")
    cluster.expect(all_of_it["total"]["records"] > value["total"]["records"], "nothing before the first page's end")
    stock = stock_sums(waldump(control.parent, start, end, "--stats=record"))
    cluster.expect(our_sums(value) == stock, f"pg_waldump: {stock}\nargon: {our_sums(value)}")
    cluster.expect(len(stock) >= 30 and sum(images for _, _, images in stock.values()) > 0, f"hardly any WAL: {stock}")
    text = c.argon("inspect", "wal", *segments, "--start", start, "--end", end, "--stats").stdout
    cluster.expect(str(value["total"]["records"]) in text and relation in text, text)

    lines = c.argon("inspect", "wal", *segments, "--start", start, "--end", end).stdout.splitlines()
    cluster.expect(len(lines) == value["total"]["records"], f"{len(lines)} lines, {value['total']['records']} records")
    for more in ([], ["--block", "3"]):
        wanted = waldump(control.parent, start, end, "--relation", relation, "--fork", "main", *more).splitlines()
        listed = c.argon_json("inspect", "wal", *segments, "--start", start, "--end", end, "--relation", relation, *more)["records"]
        ours = [r["lsn"] for r in listed if any(b["fork"] == "main" and b["relation"] == relation and
                                                (not more or b["block"] == 3) for b in r["blocks"])]
        theirs = [found.group(1) for line in wanted if (found := re.search(r"lsn: (\S+),", line))]
        canonical = lambda lsn: tuple(int(part, 16) for part in lsn.split("/"))
        cluster.expect(list(map(canonical, ours)) == list(map(canonical, theirs)) and theirs, f"{more}: {len(ours)} {len(theirs)}")
    few = c.argon("inspect", "wal", *segments, "--rmgr", "Sequence", "-n", "1").stdout.splitlines()
    cluster.expect(len(few) == 1 and "Sequence LOG" in few[0], f"{few}")

    gone = c.argon("inspect", "wal", segments[0], segments[0], check=False)
    cluster.expect(gone.returncode == 1 and "does not follow" in gone.stderr, gone.stderr)
    cluster.expect(len(segments) > 1, f"hardly any WAL: {segments}")
    cut = c.root / segments[0].name
    cut.write_bytes(segments[0].read_bytes()[:12 << 20])
    found = c.argon("inspect", "wal", cut, segments[1], "--stats", check=False)
    cluster.expect(found.returncode == 1 and f"{cut}: the segment is cut short" in found.stderr, found.stderr)
    damaged = c.root / segments[0].name
    content = bytearray(segments[0].read_bytes())
    content[-9000:-8000] = b"\xff" * 1000
    damaged.write_bytes(content)
    found = c.argon("inspect", "wal", damaged, segments[1], "--stats", check=False)
    cluster.expect(found.returncode == 1 and str(damaged) in found.stderr, found.stderr)


cluster.run("inspect_wal", walk)

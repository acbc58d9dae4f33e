#!/usr/bin/env python3
"""A tenant with data checksums: a stock server checks every page that it reads back, and finds each one right."""
import pathlib
import re
import subprocess
import tarfile

import cluster

ROWS = 40_000

SCHEMA = f"""
create extension amcheck;
create table t (id int primary key, words text[], at point, filler text);
insert into t select i, array['w' || i % 97, 'v' || i % 31], point(i % 500, i / 500), repeat('x', 200)
  from generate_series(1, {ROWS}) i;
create index t_gin on t using gin (words);
create index t_gist on t using gist (at);
create index t_spgist on t using spgist (at);
create index t_brin on t using brin (id);
create index t_hash on t using hash (filler);
create sequence s;
select nextval('s');
create unlogged table u (a int primary key);
insert into u select generate_series(1, 1000);
"""
CHANGES = """
update t set filler = repeat('y', 150) where id % 3 = 0;
delete from t where id % 5 = 0;
vacuum t;
create database copied strategy file_copy;
"""
# Reads everything, by every index, with buffers that hold a fraction of it.
READS = """
select sum(length(filler)), count(*) from t;
set enable_seqscan = off;
select count(*) from t where id between 100 and 30000;
select count(*) from t where words @> '{w3}';
select count(*) from t where at <@ box '((0,0),(100,20))';
select bt_index_check('t_pkey', true) is null;
select count(*) from u where a > 0;
"""


def expect_clean_log(c, endpoint):
    log = (c.dir / "endpoints" / endpoint / "postgres.log").read_text(errors="replace")
    wrong = re.findall(r".*(?:invalid page|verification failed|PANIC|could not read block).*", log)
    cluster.expect(not wrong, f"{endpoint}: the log says: {wrong[:3]}")


def read_all(c, endpoint, expected=None):
    cluster.expect(c.sql(endpoint, "show data_checksums") == "on", f"{endpoint}: data checksums are off")
    answers = c.sql(endpoint, READS)
    if expected:
        cluster.expect(answers == expected, f"{endpoint}: got {answers}, wanted {expected}")
    expect_clean_log(c, endpoint)
    return answers


def pg_checksums(c, timeline):
    """Exports the timeline's end as a data directory, and checks every page in it."""
    tenant = c.argon_json("tenant", "list")[0]["tenant_id"]
    port = re.search(r'\[pageserver\].*?listen_pg = "[^"]*:(\d+)"', (c.dir / "argon.toml").read_text(), re.S).group(1)
    archive, data = c.root / "export.tar", c.root / "export"
    with archive.open("wb") as out:
        done = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", port, "-U", "x", "-d", "x",
                               "-c", f"fullbackup {tenant} {timeline}"], stdout=out, stderr=subprocess.PIPE, text=True)
    cluster.expect(done.returncode == 0, f"fullbackup: {done.stderr}")
    with tarfile.open(archive) as tar:
        tar.extractall(data)
    checked = subprocess.run([pathlib.Path("/usr/lib/postgresql/15/bin/pg_checksums"), "--check", "-D", data],
                             capture_output=True, text=True)
    cluster.expect(checked.returncode == 0, f"pg_checksums: {checked.stdout}{checked.stderr}")
    blocks = int(re.search(r"Blocks scanned: +(\d+)", checked.stdout).group(1))
    bad = int(re.search(r"Bad checksums: +(\d+)", checked.stdout).group(1))
    cluster.expect(blocks > 2000 and bad == 0, checked.stdout)
    print(f"pg_checksums: {blocks} blocks, {bad} bad")


def checksums(c):
    c.start()
    c.argon("tenant", "create", "--set-default", "--data-checksums")
    c.create_endpoint("main", "shared_buffers=16MB", "autovacuum=off")
    c.argon("endpoint", "start", "main")
    c.sql("main", SCHEMA)
    c.sql("main", CHANGES)
    lsn = c.sql("main", "select pg_current_wal_flush_lsn()")
    expected = read_all(c, "main")

    # A branch without WAL of its own, and a server that never writes.
    c.argon("timeline", "branch", "--branch-name", "b")
    c.argon("endpoint", "create", "old", "--branch-name", "main", "--lsn", lsn, "--mode", "static")
    c.argon("endpoint", "start", "old")
    c.sql("main", "update t set filler = 'z' where id % 7 = 0; drop database copied")
    without_unlogged = "\n".join(expected.split("\n")[:-1] + ["0"])
    answers = c.sql("old", READS.replace("select count(*) from u where a > 0", "select 0"))
    cluster.expect(answers == without_unlogged, f"static: got {answers}, wanted {without_unlogged}")
    expect_clean_log(c, "old")
    c.create_endpoint("b", "shared_buffers=16MB", branch="b")
    c.argon("endpoint", "start", "b")
    read_all(c, "b", without_unlogged)
    c.sql("b", "vacuum freeze t; update t set filler = 'b' where id < 3000")
    read_all(c, "b")

    # From layers in the object store alone.
    c.argon("stop")
    c.argon("start")
    c.argon("endpoint", "start", "main")
    read_all(c, "main")
    pg_checksums(c, next(e["timeline_id"] for e in c.argon_json("endpoint", "list") if e["endpoint"] == "main"))


cluster.run("checksums", checksums)

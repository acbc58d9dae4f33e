#!/usr/bin/env python3
"""A replica follows its branch: the same rows while the primary changes and defines all sorts of things, no transaction
half seen, over restarts of the primary, the loss of a safekeeper, the replacement of all, its own crash, and a move of the tenant; it refuses
writes; it becomes the primary, and the former one its replica.
"""
import os
import signal
import subprocess
import time

import cluster

BOOKS = """select (select sum(abalance) from pgbench_accounts) = (select coalesce(sum(delta), 0) from pgbench_history),
           (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches)"""
# Few buffers: pages leave and come back all the time.
SMALL = ("shared_buffers=1MB", "argon.readahead_window=16")

DEFINE = """
create extension amcheck;
create table words (id int primary key, word text, at point, tags int[]);
insert into words select i, md5(i::text), point(i % 100, i / 100), array[i % 7, i % 11] from generate_series(1, 20000) i;
create index on words using gin (tags);
create index on words using gist (at);
create index on words using hash (word);
create index on words using brin (id);
create index words_word on words (word);
create table gone as select * from words;
create unlogged table scratch as select 1 as one;
create sequence s;
"""
CHANGE = """
select nextval('s') from generate_series(1, 40);
update words set word = word || 'x', tags = tags || 12 where id % 3 = 0;
delete from words where id > 15000;
vacuum words;
insert into words select i, md5(i::text), point(i % 100, i / 100), array[i % 7, i % 11] from generate_series(15001, 16000) i;
truncate gone;
drop table gone;
create table gone (a int);
insert into gone values (1);
cluster words using words_pkey;
reindex table words;
alter table words add more text default 'more';
begin; insert into words (id, word) values (-1, 'in'); savepoint a; insert into words (id, word) values (-2, 'out'); rollback to a; commit;
create database other;
drop database other;
create database copied strategy file_copy;
checkpoint;
select pg_switch_wal();
vacuum freeze words;
"""
SAME = ["select md5(string_agg(t::text, ',' order by id)), count(*) from words t",
        "set enable_seqscan = off; select count(id) from words where id between 100 and 12000",
        "set enable_seqscan = off; select count(*) from words where tags @> array[3]",
        "set enable_seqscan = off; select count(*) from words where at <@ box '((10,10),(50,50))'",
        "set enable_seqscan = off; select count(*) from words where word = md5('77')",
        "select count(*) from gone", "select datname from pg_database order by 1",
        "select md5(string_agg(t::text, ',' order by aid)) from pgbench_accounts t"]
CHECK = """select count(bt_index_check(c.oid, true)) > 100 from pg_class c join pg_index i on c.oid = i.indexrelid
           join pg_am a on a.oid = c.relam where a.amname = 'btree' and c.relpersistence <> 't'"""


def followed(c, primary, replica):
    """Until the replica has replayed all that the primary has."""
    lsn = c.sql(primary, "select pg_current_wal_flush_lsn()")
    for _ in range(600):
        if c.sql(replica, f"select pg_last_wal_replay_lsn() >= '{lsn}'") == "t":
            return
        time.sleep(0.1)
    raise cluster.Failed(f"the replica does not follow to {lsn}: {c.sql(replica, 'select pg_last_wal_replay_lsn()')}")


def same(c, primary, replica, what):
    followed(c, primary, replica)
    for query in SAME:
        there, here = c.sql(primary, query), c.sql(replica, query)
        cluster.expect(there == here, f"{what}: {query}: {there} on the primary, {here} on the replica")
    cluster.expect(c.sql(replica, CHECK) == "t", f"{what}: amcheck")


def look_while_it_runs(c, replica, bench, what):
    looks = 0
    while bench.poll() is None:
        cluster.expect(c.sql(replica, BOOKS) == "t|t", f"{what}: half a transaction is seen")
        looks += 1
    cluster.expect(bench.returncode == 0, f"{what}: pgbench: {bench.communicate()}")
    print(what, looks, "looks", [line for line in bench.communicate()[0].splitlines() if "tps" in line])


def bench(c, primary, seconds):
    return subprocess.Popen(["pgbench", "-n", "-c", "4", "-j", "2", "-T", str(seconds), c.conninfo(primary)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def walk(c):
    c.start("--pageservers", "2")
    c.tenant_and_endpoint("main", "max_prepared_transactions=5")
    subprocess.run(["pgbench", "-i", "-q", "-s", "2", c.conninfo("main")], check=True, capture_output=True, timeout=120)
    c.argon("endpoint", "create", "copy", "--mode", "replica", *[w for s in SMALL for w in ("-c", s)])
    started = time.monotonic()
    c.argon("endpoint", "start", "copy")
    print(f"started in {time.monotonic() - started:.2f} s")
    refused = c.sql("copy", "create table mine ()", check=False)
    cluster.expect("read-only" in refused.stderr, f"a write on a replica: {refused.stderr}")

    c.sql("main", DEFINE)
    look_while_it_runs(c, "copy", bench(c, "main", 6), "under load")
    same(c, "main", "copy", "after the definitions")
    for line in CHANGE.strip().splitlines():
        c.sql("main", line)
    same(c, "main", "copy", "after the changes")

    # Transactions that run while the replica starts: it must not take them for aborted.
    running = subprocess.Popen(["psql", "-X", "-q", "-d", c.conninfo("main")], stdin=subprocess.PIPE, text=True)
    running.stdin.write("begin; update words set word = 'late' where id = 5; checkpoint; select pg_sleep(4); commit;\n")
    running.stdin.close()
    time.sleep(1)
    c.kill("endpoint copy")
    c.argon("endpoint", "start", "copy")
    cluster.expect(c.sql("copy", "select word from words where id = 5") != "late", "not committed, and seen")
    cluster.expect(c.sql("copy", "show max_prepared_transactions") == "5", "as much room as the primary has")
    running.wait(timeout=60)
    same(c, "main", "copy", "after its crash")

    c.kill("safekeeper-1")
    look_while_it_runs(c, "copy", bench(c, "main", 3), "with a safekeeper less")
    c.argon("start")
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")
    look_while_it_runs(c, "copy", bench(c, "main", 2), "after a restart of the primary")
    c.kill("endpoint main")
    c.argon("endpoint", "start", "main")
    same(c, "main", "copy", "after a crash of the primary")

    # All of them, before the proposer has heard of one.
    proposer = c.pid("endpoint main")
    os.kill(proposer, signal.SIGSTOP)
    try:
        for node in (1, 2, 3):
            c.argon("safekeeper", "replace", node)
    finally:
        os.kill(proposer, signal.SIGCONT)
    look_while_it_runs(c, "copy", bench(c, "main", 2), "with other safekeepers")
    same(c, "main", "copy", "with other safekeepers")

    moved = bench(c, "main", 6)
    c.argon("tenant", "migrate", "--to", "2")
    look_while_it_runs(c, "copy", moved, "while the tenant moves")
    same(c, "main", "copy", "after the move")
    promote(c)


def promote(c):
    rows = c.sql("main", SAME[0])
    c.sql("main", "begin; insert into gone values (2); prepare transaction 'kept'")
    refused = c.argon("endpoint", "promote", "main", check=False)
    cluster.expect("is no replica, but primary" in refused.stderr, f"promotion of a primary: {refused.stderr}")
    c.argon("endpoint", "promote", "copy", "--swap")
    cluster.expect(c.sql("copy", "select pg_is_in_recovery()") == "f" and c.sql("main", "select pg_is_in_recovery()") == "t",
                   "they have changed places")
    cluster.expect(c.sql("copy", SAME[0]) == rows, "the rows are those of the former primary")
    c.sql("copy", "commit prepared 'kept'")
    followed(c, "copy", "main")
    cluster.expect(c.sql("main", "select count(*) from gone") == "2", "a transaction that was prepared before")
    look_while_it_runs(c, "main", bench(c, "copy", 3), "the other way round")
    c.kill("endpoint copy")  # the primary is lost
    c.argon("endpoint", "promote", "main")
    c.sql("main", "insert into words (id, word) values (-7, 'again')")
    cluster.expect(c.sql("main", BOOKS) == "t|t" and c.sql("main", CHECK) == "t", "after the loss of the primary")
    branch = c.argon_json("timeline", "branch", "--branch-name", "b")
    cluster.expect(branch["timeline_id"], "a branch")
    c.argon("endpoint", "create", "early", "--mode", "replica", "--branch-name", "b")
    refused = c.argon("endpoint", "start", "early", check=False)
    cluster.expect("no checkpoint of its own yet" in refused.stderr, f"a replica of a branch that was never written: {refused.stderr}")


cluster.run("replica", walk)

#!/usr/bin/env python3
"""Prepared transactions over restarts of the endpoint, on branches, and DROP DATABASE, also with a user tablespace."""
import os
import shutil

import cluster

PREPARED = "select string_agg(gid, ',' order by gid) from pg_prepared_xacts"


def expect_sql(c, endpoint, query, wanted, database=None):
    text = f"\\c {database}\n{query}" if database else query
    got = c.sql(endpoint, text)
    cluster.expect(got == wanted, f"{endpoint}: {query}: got '{got}', wanted '{wanted}'")


def branch(c, name, lsn):
    c.argon("timeline", "branch", "--branch-name", name, "--ancestor-start-lsn", lsn)
    c.create_endpoint(name, "max_prepared_transactions=5", branch=name)
    c.argon("endpoint", "start", name)


def prepared_transactions(c):
    c.sql("main", "create table t (a int primary key, b text); insert into t values (1, 'before')")
    c.sql("main", "begin; insert into t values (2, 'one'); savepoint s; insert into t values (3, 'one, below'); "
                  "prepare transaction 'one'")
    c.sql("main", "begin; update t set b = 'two' where a = 1; create table made (x int); prepare transaction 'two'")
    both = c.sql("main", "select pg_current_wal_flush_lsn()")

    # An orderly restart, and a killed endpoint: both are still prepared, invisible, and hold their locks.
    for kill in (False, True):
        if kill:
            c.kill("endpoint main")
        else:
            c.argon("endpoint", "stop", "main")
        c.argon("endpoint", "start", "main")
        expect_sql(c, "main", PREPARED, "one,two")
        expect_sql(c, "main", "select a, b from t", "1|before")
        locked = c.sql("main", "set lock_timeout = '200ms'; update t set b = 'x' where a = 1", check=False)
        cluster.expect("lock timeout" in locked.stderr, f"the row is not locked: {locked.stderr}")

    c.sql("main", "commit prepared 'one'")
    c.sql("main", "rollback prepared 'two'")
    after = c.sql("main", "select pg_current_wal_flush_lsn()")
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")
    expect_sql(c, "main", f"select coalesce(({PREPARED}), 'none')", "none")
    expect_sql(c, "main", "select count(*), max(b) filter (where a = 1) from t", "3|before")
    expect_sql(c, "main", "select to_regclass('made') is null", "t")

    # On a branch at the position where they were prepared they can end otherwise.
    branch(c, "both", both)
    expect_sql(c, "both", PREPARED, "one,two")
    expect_sql(c, "both", "select a, b from t", "1|before")
    c.sql("both", "rollback prepared 'one'")
    c.sql("both", "commit prepared 'two'")
    expect_sql(c, "both", "select a, b from t", "1|two")
    expect_sql(c, "both", "select count(*) from made", "0")
    expect_sql(c, "main", "select count(*) from t", "3")
    branch(c, "after", after)
    expect_sql(c, "after", f"select coalesce(({PREPARED}), 'none')", "none")
    expect_sql(c, "after", "select count(*) from t", "3")


def databases(c):
    location = c.root / "space"
    location.mkdir(mode=0o700)
    if os.geteuid() == 0:  # servers then run as another user, who must own it
        shutil.chown(location, "postgres", "postgres")
    c.sql("main", f"create tablespace ts location '{location}'")
    for name, how in (("d_wal", "strategy wal_log"), ("d_copy", "strategy file_copy"), ("d_ts", "tablespace ts")):
        c.sql("main", f"create database {name} {how}")
        c.sql("main", f"\\c {name}\ncreate table x as select generate_series(1, 5000) i; create index on x (i); vacuum x")
    c.sql("main", "create table in_ts (i int) tablespace ts; insert into in_ts select generate_series(1, 1000)")
    there = c.sql("main", "select pg_current_wal_flush_lsn()")
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")
    for name in ("d_wal", "d_copy", "d_ts"):
        expect_sql(c, "main", "select count(*), sum(i) from x", "5000|12502500", name)
        c.sql("main", f"drop database {name}")
    expect_sql(c, "main", "select sum(i) from in_ts", "500500")
    c.sql("main", "drop table in_ts; drop tablespace ts")
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")
    expect_sql(c, "main", "select count(*) from pg_database where datname like 'd\\_%'", "0")
    expect_sql(c, "main", "select count(*) from pg_tablespace where spcname = 'ts'", "0")
    gone = c.sql("main", "\\c d_wal", check=False)
    cluster.expect("does not exist" in gone.stderr, f"a dropped database can be connected to: {gone.stderr}")
    # A name can be used again, and has nothing of what was there.
    c.sql("main", "create database d_wal")
    expect_sql(c, "main", "select to_regclass('x') is null", "t", "d_wal")

    branch(c, "there", there)
    for name in ("d_wal", "d_copy", "d_ts"):
        expect_sql(c, "there", "select count(*), sum(i) from x", "5000|12502500", name)
    expect_sql(c, "there", "select sum(i) from in_ts", "500500")


def prepared(c):
    c.start()
    c.tenant_and_endpoint("main", "max_prepared_transactions=5")
    prepared_transactions(c)
    databases(c)


cluster.run("prepared", prepared)

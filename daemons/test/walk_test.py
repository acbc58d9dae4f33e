#!/usr/bin/env python3
"""The walk of the README, as typed, with the shapes of its output.

usage: walk_test.py [BUILD_DIR]     With a build tree: installs it into a prefix, and walks from there.
"""
import pathlib
import re
import subprocess
import sys

import cluster

HEX = "[0-9a-f]{32}"


def check_shape(text, pattern, what):
    cluster.expect(re.search(pattern, text, re.M), f"{what}: expected {pattern} in:\n{text}")


def connections_to(socket):
    """Of Unix sockets: what the kernel lists under that path, apart from the one that listens."""
    lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {socket}") and line.split()[5] == "03" for line in lines)


def walk(c):
    if len(sys.argv) > 1:
        prefix = c.root / "prefix"
        subprocess.run(["cmake", "--install", sys.argv[1], "--prefix", prefix], check=True, capture_output=True)
        c.argon_program = prefix / "bin" / "argon"
    c.start()
    created = c.argon("tenant", "create", "--set-default").stdout
    check_shape(created, rf"^tenant {HEX} successfully created", "tenant create")
    check_shape(created, rf"'main' \[{HEX}\]", "tenant create")
    c.argon("endpoint", "create", "main")
    c.argon("endpoint", "start", "main")
    listing = c.argon("endpoint", "list").stdout
    check_shape(listing, r"^ ?ENDPOINT +ADDRESS +TIMELINE +BRANCH NAME +LSN +STATUS *$", "endpoint list")
    check_shape(listing, rf"^ ?main +127\.0\.0\.1:\d+ +{HEX} +main +[0-9A-F]+/[0-9A-F]+ +running *$", "endpoint list")

    c.sql("main", "create table t(key int primary key, value text); insert into t values (1, 'one');")
    for number in (1, 2, 3):
        socket = c.dir / "safekeepers" / f"sk{number}" / "wal.socket"
        cluster.expect(connections_to(socket) > 0, f"the endpoint does not reach safekeeper {number} by {socket}")
    c.argon("timeline", "branch", "--branch-name", "migration_check")
    tree = c.argon("timeline", "list").stdout
    check_shape(tree, rf"^\(L\) main \[{HEX}\]$", "timeline list")
    check_shape(tree, rf"^\(L\) ┗━ @[0-9A-F]+/[0-9A-F]+: migration_check \[{HEX}\]$", "timeline list")
    c.argon("endpoint", "create", "migration_check", "--branch-name", "migration_check")
    c.argon("endpoint", "start", "migration_check")
    cluster.expect(c.sql("migration_check", "select * from t") == "1|one", "the branch does not see its ancestor's row")
    c.sql("migration_check", "insert into t values (2, 'two')")
    cluster.expect(c.sql("migration_check", "select count(*) from t") == "2", "the branch lost its own row")
    cluster.expect(c.sql("main", "select count(*) from t") == "1", "main sees the branch's row")

    last = c.sql("main", "insert into t values (3, 'last'); select pg_current_wal_insert_lsn()")
    cluster.expect("/" in last, f"no LSN: {last}")
    c.argon("stop")
    status = c.argon("status", check=False).stdout
    cluster.expect("running" not in status, f"something runs after stop:\n{status}")

    # Everything comes back from the storage alone.
    c.argon("start")
    c.argon("endpoint", "start", "main")
    rows = c.sql("main", "select value from t order by key")
    cluster.expect(rows == "one\nlast", f"main lost a row over a restart: {rows}")
    c.argon("stop")


cluster.run("walk", walk)

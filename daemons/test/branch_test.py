#!/usr/bin/env python3
"""A branch has every commit that was acknowledged before it was asked for: the pageserver, to which that WAL may still
be on its way, waits for it."""
import os
import signal
import sys
import threading
import time

import cluster


def at(lsn):
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def branch(c, name):
    return at(c.argon_json("timeline", "branch", "--branch-name", name)["ancestor_lsn"])


def commit(c, rows):
    """Commits in one transaction; returns the end of its WAL."""
    return at(c.sql("main", f"insert into t select generate_series(1, {rows}); select pg_current_wal_flush_lsn()"))


def branches(c):
    c.start()
    c.tenant_and_endpoint()
    c.sql("main", "create table t (n int)")
    for i in range(5):
        committed = commit(c, 300)
        cluster.expect(branch(c, f"b{i}") >= committed & ~7, f"branch b{i} lacks an acknowledged commit")

    # The pageserver stands still for a while, so that it has much to take in when it is asked.
    pageserver = c.pid("pageserver")
    os.kill(pageserver, signal.SIGSTOP)
    committed = commit(c, 100_000)
    threading.Timer(0.5, os.kill, (pageserver, signal.SIGCONT)).start()
    began = time.monotonic()
    cluster.expect(branch(c, "behind") >= committed & ~7, "the branch lacks a commit that the pageserver had not seen")
    cluster.expect(time.monotonic() - began < 5, "the branch took far longer than the pageserver stood still")

    # Without a primary the safekeepers say it.
    committed = commit(c, 1)
    c.argon("endpoint", "stop", "main")
    cluster.expect(branch(c, "stopped") >= committed & ~7, "the branch lacks a commit from before the stop")
    c.argon("endpoint", "start", "main")
    commit(c, 1)
    c.kill("endpoint main")
    cluster.expect(branch(c, "killed") > committed, "the branch begins before the one made earlier")

    c.create_endpoint("b", branch="stopped")
    c.argon("endpoint", "start", "b")
    cluster.expect(c.sql("b", "select count(*) from t") == str(5 * 300 + 100_001), "a row is missing on the branch")


if __name__ == "__main__":
    sys.exit(cluster.run("branch", branches))

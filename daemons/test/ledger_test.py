#!/usr/bin/env python3
"""The ledger: clients commit numbered rows while every process is killed in turn.

usage: ledger_test.py [SECONDS [KILLS]]     (60 and 10 unless given)
Afterwards every acknowledged row is there, and nothing that was not at least sent: on main, on a branch taken
in the middle, and again after the pageserver's folder was deleted and rebuilt.
"""
import subprocess
import sys
import time

import cluster
from ledger_rows import TABLE, check, read_log

CLIENTS = 8


def revive(c, name):
    if name.startswith("endpoint "):
        c.argon("endpoint", "start", name.split()[1])
    else:
        c.argon("start")


def ledger(c):
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    c.start()
    c.tenant_and_endpoint("main", "shared_buffers=16MB")
    c.sql("main", TABLE)
    client = subprocess.Popen([cluster.TOOLS / "ledger_client", c.conninfo("main"), str(CLIENTS), str(seconds),
                               str(c.root / "log")], stdout=subprocess.PIPE, text=True)
    victims = ["safekeeper-1", "pageserver", "safekeeper-2", "endpoint main", "safekeeper-3"]
    began = time.monotonic()
    before_branch = None
    for i in range(kills):
        time.sleep(max(0, began + seconds * (i + 0.5) / kills - time.monotonic()))
        victim = victims[i % len(victims)]
        print(f"{time.monotonic() - began:5.1f} s: SIGKILL {victim}", flush=True)
        c.kill(victim)
        time.sleep(0.5)
        revive(c, victim)
        if i == kills // 2:
            before_branch = [read_log(c, n)[1] for n in range(CLIENTS)]
            # The branch begins where the pageserver is; wait until that covers what was acknowledged.
            lsn = c.sql("main", "select pg_current_wal_flush_lsn()")
            wait_for_lsn(c, "main", lsn)
            c.argon("timeline", "branch", "--branch-name", "middle")
            print(f"{time.monotonic() - began:5.1f} s: branch 'middle'", flush=True)
    output, _ = client.communicate(timeout=seconds + 120)
    print(output.splitlines()[-1])
    logs = [read_log(c, n) for n in range(CLIENTS)]
    total = sum(len(acknowledged) for _, acknowledged in logs)
    cluster.expect(total >= 10 * seconds, f"only {total} rows were acknowledged: too little for a test")

    sent = [log[0] for log in logs]
    acknowledged = [log[1] for log in logs]
    check(c, "main", acknowledged, sent)
    c.create_endpoint("middle", branch="middle")
    c.argon("endpoint", "start", "middle")
    check(c, "middle", before_branch, sent)
    print(f"{total} acknowledged rows are there, on main and (of before) on the branch")

    c.argon("stop")
    subprocess.run(["rm", "-rf", str(c.dir / "pageserver_1" / "data")], check=True)
    c.argon("start")
    c.argon("endpoint", "start", "main")
    c.argon("endpoint", "start", "middle")
    check(c, "main", acknowledged, sent)
    check(c, "middle", before_branch, sent)
    print("and again with a pageserver rebuilt from object store and safekeepers")


def wait_for_lsn(c, endpoint, lsn):
    def value(text):
        high, low = text.split("/")
        return int(high, 16) << 32 | int(low, 16)

    for _ in range(600):
        if value(c.endpoint(endpoint)["lsn"]) >= value(lsn):
            return
        time.sleep(0.1)
    raise cluster.Failed(f"the pageserver does not reach {lsn}")


cluster.run("ledger", ledger)

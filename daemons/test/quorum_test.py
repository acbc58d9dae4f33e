#!/usr/bin/env python3
"""Safekeepers that can be lost: commits go on while each is killed at random, one has a full disk for 20 seconds, and one
is replaced by a new, empty one.

usage: quorum_test.py [SECONDS [SEED]]     (60, and a seed of the clock, which is printed, unless given)
At no time is more than one of the three out of order. Nothing that was acknowledged is lost, no client of pgbench sees an
error, and no commit waits longer than five seconds. The full disk needs root, for a small file system of its own.
"""
import errno
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request

import cluster
from ledger_rows import TABLE, check, read_log

LEDGER_CLIENTS = 4
FULL_FOR = 20
LONGEST_WAIT_MS = 5000
SMALL_DISK = "256m"


class Clock:
    def __init__(self, seconds):
        self.began = time.monotonic()
        self.seconds = seconds

    def now(self):
        return time.monotonic() - self.began

    def say(self, what):
        print(f"{self.now():5.1f} s: {what}", flush=True)


class SmallDisk:
    """A file system in memory below a safekeeper's folder; without root there is none."""

    def __init__(self, folder):
        self.folder = folder
        self.there = os.geteuid() == 0
        if self.there:
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", folder], check=True)

    def fill(self):
        with open(self.folder / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise

    def empty(self):
        (self.folder / "filler").unlink()

    def close(self):
        if self.there:
            subprocess.run(["umount", "-l", self.folder], check=False)


def nodes(c):
    return {node["id"]: node for node in c.argon_json("safekeeper", "list")}


def flush_lsn(c, node, timeline):
    """None where it does not serve the timeline."""
    url = f"http://{nodes(c)[node]['listen_http']}/v1/tenant/{timeline.parent.name}/timeline/{timeline.name}"
    try:
        high, low = json.load(urllib.request.urlopen(url, timeout=5))["flush_lsn"].split("/")
        return int(high, 16) << 32 | int(low, 16)
    except (OSError, KeyError):
        return None


def wait_caught_up(c, clock, node, timeline):
    """Until it has what another has now."""
    others = [flush_lsn(c, other, timeline) for other in nodes(c) if other != node]
    wanted = max(lsn for lsn in others if lsn is not None)
    for _ in range(300):
        if (flush_lsn(c, node, timeline) or 0) >= wanted:
            clock.say(f"safekeeper {node} has what the others had")
            return
        time.sleep(0.1)
    raise cluster.Failed(f"safekeeper {node} does not catch up within 30 s")


def kill_one(c, clock, chance, timeline):
    victim = chance.choice(sorted(nodes(c)))
    clock.say(f"SIGKILL safekeeper {victim}")
    c.kill(f"safekeeper-{victim}")
    time.sleep(chance.uniform(0.2, 2))
    c.argon("start")
    wait_caught_up(c, clock, victim, timeline)


def kill_until(c, clock, chance, timeline, end):
    while clock.now() < end:
        kill_one(c, clock, chance, timeline)
        time.sleep(chance.uniform(0.5, 3))


def disturb(c, clock, chance, timeline, disk):
    kill_until(c, clock, chance, timeline, clock.seconds * 0.25)
    if disk.there:
        clock.say("the disk of safekeeper 2 is full")
        disk.fill()
        time.sleep(FULL_FOR)
        disk.empty()
        clock.say("there is room on it again")
        wait_caught_up(c, clock, 2, timeline)
    kill_until(c, clock, chance, timeline, clock.seconds * 0.8)
    clock.say("safekeeper 3 is replaced by a new one")
    c.argon("safekeeper", "replace", "3")
    cluster.expect(sorted(nodes(c)) == [1, 2, 4], f"safekeepers are {sorted(nodes(c))}")
    kill_until(c, clock, chance, timeline, clock.seconds * 0.95)


def quorum(c):
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 1_000_000
    print(f"seed {seed}")
    c.argon("init", "--first-port", c.first_port)
    disk = SmallDisk(c.dir / "safekeepers" / "sk2" / "data")
    try:
        c.argon("start")
        c.tenant_and_endpoint("main", "shared_buffers=64MB")
        run(c, seconds, random.Random(seed), disk)
    finally:
        c.argon("stop", "--mode", "immediate", check=False)
        disk.close()


def run(c, seconds, chance, disk):
    timeline = next((c.dir / "safekeepers" / "sk1" / "data").glob("*/*"))
    c.sql("main", TABLE)
    subprocess.run(["pgbench", "-i", "-q", "-s", "4", c.conninfo("main")], check=True, capture_output=True)
    clock = Clock(seconds)
    bench = subprocess.Popen(["pgbench", "-c", "16", "-j", "2", "-n", "-T", str(seconds), c.conninfo("main")],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ledger = subprocess.Popen([cluster.TOOLS / "ledger_client", c.conninfo("main"), str(LEDGER_CLIENTS), str(seconds),
                               str(c.root / "log")], stdout=subprocess.PIPE, text=True)
    disturb(c, clock, chance, timeline, disk)
    bench_said, _ = bench.communicate(timeout=seconds + 60)
    ledger_said, _ = ledger.communicate(timeout=60)
    cluster.expect(bench.returncode == 0, f"pgbench: {bench_said}")
    done = int(re.search(r"number of transactions actually processed: (\d+)", bench_said).group(1))
    pause = int(re.search(r"longest pause (\d+) ms", ledger_said).group(1))
    cluster.expect(done >= 10 * seconds, f"only {done} transactions: too little for a test")
    cluster.expect(pause <= LONGEST_WAIT_MS, f"no commit was acknowledged for {pause} ms")
    there = int(c.sql("main", "select count(*) from pgbench_history"))
    cluster.expect(there == done, f"pgbench had {done} transactions acknowledged, {there} are there")
    logs = [read_log(c, n) for n in range(LEDGER_CLIENTS)]
    check(c, "main", [acknowledged for _, acknowledged in logs], [sent for sent, _ in logs])
    print(f"{done} transactions of pgbench and {sum(len(log[1]) for log in logs)} rows are there; the longest pause was {pause} ms")


cluster.run("quorum", quorum)

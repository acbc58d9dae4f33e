#!/usr/bin/env python3
"""What an endpoint's user sees when parts are missing: the pageserver unreachable (reads wait, can be cancelled, and fail in the end
by an error that names what is missing), the quorum lost (commits wait, reads go on), the disk of the compute full (an error, or a
server that begins anew; nothing acknowledged is lost). Needs root for a small file system of its own.
"""
import os
import subprocess
import sys
import time

import cluster

SMALL_DISK = "160m"
READ = "select sum(length(filler)) from big"
SUM = str(30000 * 900)


def psql(c, *commands):
    words = [word for command in commands for word in ("-c", command)]
    return subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", c.conninfo("main"), *words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def no_pageserver(c):
    c.sql("main", READ)
    waiting = psql(c, READ)
    waiting.wait(timeout=60)
    cluster.expect(waiting.communicate()[0].strip() == SUM, "the rows of before")
    c.kill("pageserver")
    cancelled = c.sql("main", f"set statement_timeout = 1000; {READ}", check=False)
    cluster.expect("canceling statement due to statement timeout" in cancelled.stderr, f"a cancelled read: {cancelled.stderr}")
    failed = c.sql("main", f"set argon.pageserver_timeout = 2; {READ}", check=False)
    timeline = c.endpoint("main")
    for name in ("the pageserver did not give the page of", "block", "at LSN", timeline["tenant_id"], timeline["timeline_id"],
                 "argon.pageserver_timeout (2 s)", "port="):
        cluster.expect(name in failed.stderr, f"the error does not say '{name}': {failed.stderr}")
    waiting = psql(c, READ)
    time.sleep(1)
    cluster.expect(waiting.poll() is None, "a read without the pageserver has ended")
    c.argon("start")
    out, error = waiting.communicate(timeout=60)
    cluster.expect(out.strip() == SUM, f"the read that waited: {out}{error}")


def no_quorum(c):
    c.sql("main", "create table t (i int); insert into t values (1)")
    for node in (1, 2):
        c.kill(f"safekeeper-{node}")
    writer = psql(c, "insert into t values (2)")
    time.sleep(2)
    cluster.expect(writer.poll() is None, "a commit without a quorum has ended")
    cluster.expect(c.sql("main", "select count(*) from t") == "1", "a read without a quorum")
    c.argon("start")
    out, error = writer.communicate(timeout=60)
    cluster.expect(writer.returncode == 0, f"the commit that waited: {out}{error}")
    cluster.expect(c.sql("main", "select count(*) from t") == "2", "what was committed with the quorum back")


def full_disk(c):
    folder = c.dir / "endpoints/main"
    c.argon("endpoint", "stop", "main")
    kept = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    owner = folder.stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=755,uid={owner.st_uid},gid={owner.st_gid}", "tmpfs", folder],
                   check=True)
    try:
        for name, text in kept.items():
            (folder / name).write_bytes(text)
        c.argon("endpoint", "start", "main")
        spilled = c.sql("main", "set work_mem = '64kB'; select count(*) from (select a.i from big a, big b where b.i <= 500 order by a.filler, b.i) s",
                        check=False)
        cluster.expect("No space left on device" in spilled.stderr, f"a sort that does not fit: {spilled.stderr}")
        cluster.expect(c.sql("main", READ) == SUM, "the server goes on after it")
        fill_wal(c)
    finally:
        c.argon("endpoint", "stop", "main", check=False)
        subprocess.run(["umount", folder], check=True)
    for name, text in kept.items():
        (folder / name).write_bytes(text)
    c.argon("endpoint", "start", "main")


def fill_wal(c):
    """Local WAL is removed by checkpoints only, so it takes the whole disk."""
    server = c.postgres_pid("main")
    acknowledged = 0
    for _ in range(200):
        done = c.sql("main", f"insert into t select {acknowledged + 1} from generate_series(1, 20000)", check=False)
        if done.returncode != 0:
            break
        acknowledged += 1
    cluster.expect(acknowledged > 5 and done.returncode != 0, f"the disk is not full after {acknowledged} commits: {done.stderr}")
    print(f"full after {acknowledged} commits:", done.stderr.strip().splitlines()[0])
    for _ in range(300):
        now = c.sql("main", f"select count(distinct i) >= {acknowledged} and count(*) >= 2 + {acknowledged} * 20000 from t", check=False)
        if now.returncode == 0:
            break
        time.sleep(0.2)
    cluster.expect(now.stdout.strip() == "t", f"after the disk was full: {now.stdout}{now.stderr}")
    cluster.expect(c.postgres_pid("main") != server, "a server without room for WAL has begun anew")


def walk(c):
    c.start()
    # Nearly nothing is cached.
    c.tenant_and_endpoint("main", "shared_buffers=1MB", "max_parallel_workers_per_gather=0")
    c.sql("main", "create table big as select i, repeat('x', 900) as filler from generate_series(1, 30000) i")
    no_pageserver(c)
    no_quorum(c)
    if os.geteuid() == 0:
        full_disk(c)
        cluster.expect(c.sql("main", READ) == SUM, "the rows in the end")


if __name__ == "__main__":
    sys.exit(cluster.run("bad_luck", walk))

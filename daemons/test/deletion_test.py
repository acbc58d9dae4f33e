#!/usr/bin/env python3
"""Timelines, endpoints and tenants are created and deleted: what is refused, what is left in the folders (nothing but
marks and tombstones), what goes on (parent and sibling), a deletion that was ended in the middle, and scrub all along.
"""
import os
import signal
import subprocess
import time

import cluster


def files_of(c, *ids):
    """All files whose path names one of the ids, but for marks and tombstones; state.json is not looked into."""
    found = [p for p in c.dir.rglob("*") if p.is_file() and any(i in str(p) for i in ids)]
    return [p for p in found if not p.name.startswith("deleted")]


def refused(c, *words, says):
    done = c.argon(*words, check=False)
    cluster.expect(done.returncode == 1 and says in done.stderr, f"{words}: '{says}' was to be said:\n{done.stdout}{done.stderr}")


def clean(c, when):
    done = c.argon("scrub", check=False)
    cluster.expect(done.returncode == 0, f"scrub {when}:\n{done.stdout}{done.stderr}")


def branch(c, name, of="main"):
    made = c.argon_json("timeline", "branch", "--branch-name", name, "--ancestor-branch-name", of)
    return made["timeline_id"]


def timelines(c):
    c.start()
    c.tenant_and_endpoint("main")
    tenant = c.argon_json("tenant", "list")[0]["tenant_id"]
    c.sql("main", "create table t as select i, repeat(md5(i::text), 20) as filler from generate_series(1, 20000) i")
    doomed, kept = branch(c, "doomed"), branch(c, "kept")
    child = branch(c, "child", of="doomed")
    for name in ("doomed", "kept"):
        c.create_endpoint(name, branch=name)
        c.argon("endpoint", "start", name)
        c.sql(name, f"insert into t select -i, '{name}' from generate_series(1, 20000) i")
    cluster.expect(files_of(c, doomed), "a timeline without files")

    refused(c, "timeline", "delete", "--branch-name", "doomed", says="has endpoints: 'doomed' (running)")
    refused(c, "timeline", "delete", "--branch-name", "doomed", "--force", says="has branches: 'child'")
    refused(c, "timeline", "delete", "--branch-name", "main", "--force", says="has branches: ")
    refused(c, "timeline", "delete", "--branch-name", "none", says="none")
    cluster.expect(c.sql("doomed", "select count(*) from t") == "40000", "a deletion that was refused changed something")
    c.argon("timeline", "delete", "--branch-name", "child")
    done = c.argon_json("timeline", "delete", "--branch-name", "doomed", "--force")
    cluster.expect(done["timeline_id"] == doomed and done["deleted"], f"timeline delete: {done}")
    left = files_of(c, doomed, child)
    cluster.expect(not left, f"left of what was deleted: {left}")
    names = {t["branch_name"] for t in c.argon_json("timeline", "list")}
    cluster.expect(names == {"main", "kept"}, f"timelines: {names}")
    cluster.expect({e["endpoint"] for e in c.argon_json("endpoint", "list")} == {"main", "kept"}, "endpoints")
    refused(c, "timeline", "branch", "--branch-name", "again", "--timeline-id", doomed, says="was deleted")
    clean(c, "after a deletion")

    # The others never noticed, and the name is free.
    for name, rows in (("main", "20000"), ("kept", "40000")):
        cluster.expect(c.sql(name, "select count(*) from t") == rows, f"{name} has other rows")
    c.argon("stop")
    c.argon("start")
    for name, rows in (("main", "20000"), ("kept", "40000")):
        c.argon("endpoint", "start", name)
        cluster.expect(c.sql(name, "select count(*) from t") == rows, f"{name} has other rows after a restart")
    branch(c, "doomed")
    return tenant, doomed


def ended_in_the_middle(c):
    """A safekeeper is away; then the command is killed; then all is there again."""
    id = branch(c, "halfway")
    c.create_endpoint("halfway", branch="halfway")
    c.argon("endpoint", "start", "halfway")
    c.sql("halfway", "create table u as select 1")
    refused(c, "endpoint", "delete", "halfway", says="runs: stop it first")
    c.argon("endpoint", "stop", "halfway")
    c.argon("endpoint", "delete", "halfway")
    c.kill("safekeeper-2")
    refused(c, "timeline", "delete", "--branch-name", "halfway", "-t", "3s", says="safekeeper 2")
    running = subprocess.Popen([c.argon_program, "timeline", "delete", "--branch-name", "halfway", "--dir", c.dir],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = c.argon("scrub", check=False)
    cluster.expect(done.returncode == 1 and "this safekeeper has not heard of it" in done.stdout
                   and "run `argon timeline delete`" in done.stdout, f"scrub of a deletion halfway:\n{done.stdout}{done.stderr}")
    c.argon("start")
    c.argon("timeline", "delete", "--branch-name", "halfway")
    cluster.expect(not files_of(c, id), f"left: {files_of(c, id)}")
    clean(c, "after a deletion that was ended and run again")


def whole_tenant(c, tenant):
    other = c.argon_json("tenant", "create")["tenant_id"]
    refused(c, "tenant", "delete", tenant, says="has endpoints")
    done = c.argon_json("tenant", "delete", tenant, "--force")
    cluster.expect(done["deleted"], f"tenant delete: {done}")
    left = [p for p in files_of(c, tenant) if "postgres.log" not in p.name]
    cluster.expect(not left, f"left of the tenant: {left}")
    cluster.expect([t["tenant_id"] for t in c.argon_json("tenant", "list")] == [other], "tenants")
    cluster.expect(c.argon_json("endpoint", "list") == [], "endpoints of the tenant are there")
    refused(c, "timeline", "list", says="no default tenant")
    refused(c, "tenant", "create", "--tenant-id", tenant, says="was deleted")
    clean(c, "after a tenant was deleted")
    c.argon("stop")
    c.argon("start")
    clean(c, "after a restart")
    cluster.expect(c.argon("timeline", "list", "--tenant-id", other).stdout.startswith("(L) main"), "the other tenant")


def walk(c):
    tenant, _ = timelines(c)
    ended_in_the_middle(c)
    whole_tenant(c, tenant)


cluster.run("deletion", walk)

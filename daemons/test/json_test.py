#!/usr/bin/env python3
"""Every verb of `argon` with --json: standard output is exactly one JSON document, of a success and of an error.

The verbs are those that the help lists: one that this test does not know fails it.
"""
import json
import os
import re
import subprocess

import cluster

NO_TENANT = "0123456789abcdef0123456789abcdef"


def listed(c, *group):
    """The names that the help lists as subcommands; daemons stand below another heading."""
    text = c.argon(*group, "--help").stdout
    section = re.search(r"^Subcommands:\n((?:  .*\n?)+)", text, re.M)
    return re.findall(r"^  (\S+)", section.group(1), re.M) if section else []


def verbs(c):
    return {" ".join([name, sub]) for name in listed(c) for sub in listed(c, name)} | {
        name for name in listed(c) if not listed(c, name)} | {f"safekeeper {sub}" for sub in listed(c, "safekeeper")}


class Walk:
    def __init__(self, c):
        self.c = c
        self.seen = set()

    def run(self, verb, words, status):
        """The one document of a command."""
        done = subprocess.run([self.c.argon_program, "--json", *verb.split(), *words, "--dir", self.c.dir],
                              capture_output=True, timeout=180)
        what = f"argon --json {verb} {' '.join(map(str, words))}"
        cluster.expect(done.returncode == status, f"{what}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
        try:
            value = json.loads(done.stdout.decode("utf-8"))
        except ValueError as e:
            raise cluster.Failed(f"{what}: not one JSON document ({e}):\n{done.stdout}\n{done.stderr}")
        return value, done.stderr.decode("utf-8", "replace")

    def good(self, verb, *words):
        self.seen.add((verb, "good"))
        value, _ = self.run(verb, words, 0)
        cluster.expect(isinstance(value, list) or "error" not in value, f"{verb} succeeded with an error: {value}")
        return value

    def refused(self, verb, *words, says, status=1):
        self.seen.add((verb, "refused"))
        value, told = self.run(verb, words, status)
        cluster.expect(isinstance(value, dict) and says in value.get("error", ""), f"{verb}: no error '{says}' in {value}")
        cluster.expect(f"argon: {value['error']}" in told or "\ufffd" in value["error"],
                       f"{verb}: standard error does not say it:\n{told}")
        return value


def without_a_cluster(w, all_verbs):
    needs_name = {"timeline create": ["--branch-name", "b"], "timeline branch": ["--branch-name", "b"],
                  "tenant set-default": ["--tenant-id", NO_TENANT], "endpoint create": ["e"], "endpoint start": ["e"],
                  "endpoint stop": ["e"], "endpoint reconfigure": ["e"], "endpoint promote": ["e"], "timeline migrate-safekeepers": ["--branch-name", "b", "--to", "1"],
                  "timeline delete": ["--branch-name", "b"], "tenant delete": [NO_TENANT], "endpoint delete": ["e"],
                  "timeline lsn-by-timestamp": ["2026-11-29"], "timeline timestamp-of-lsn": ["0/16F9A00"],
                  "safekeeper replace": ["1"], "safekeeper remove": ["1"],
                  "tenant secondary": ["--to", "2"], "tenant migrate": ["--to", "2"], "inspect page": ["--relation", "1663/5/1259"]}
    for verb in sorted(all_verbs - {"init", "inspect wal"}):
        w.refused(verb, *needs_name.get(verb, []), says="there is no cluster in")
    w.refused("inspect", w.c.root / "none", says="none")
    w.refused("inspect wal", w.c.root / "none", says="not a WAL segment's")
    w.refused("inspect wal", w.c.root / "000000010000000000000001", says="000000010000000000000001")
    for daemon in (["broker"], ["pageserver"], ["safekeeper", "--id", "1"], ["compute", "--endpoint", "e"]):
        w.refused(daemon[0], *daemon[1:], says="there is no cluster in")


def wrong_words(w):
    w.refused("frobnicate", says="frobnicate", status=2)
    w.refused("endpoint create", says="NAME is required", status=2)
    w.refused("stop", "--mode", "gently", says="--mode", status=2)
    w.refused("tenant", says="a command is missing", status=2)


def cluster_verbs(w):
    c = w.c
    made = w.good("init", "--first-port", str(c.first_port), "--pageservers", "2")
    cluster.expect(made["dir"] == str(c.dir), f"init: {made}")
    w.refused("init", says="exists already")
    stopped = w.refused("status", says="not every part of the cluster runs")
    cluster.expect(len(stopped["nodes"]) == 7 and not stopped["running"], f"status: {stopped}")
    w.good("start")
    w.good("status")
    tenant = w.good("tenant create", "--set-default")
    w.refused("tenant create", "--tenant-id", tenant["tenant_id"], says="exists already")
    w.good("tenant set-default", "--tenant-id", tenant["tenant_id"])
    w.refused("tenant set-default", "--tenant-id", NO_TENANT, says="there is no tenant")
    w.refused("tenant config", "--redo-extensions", "two words", says="'two words' is no library")
    w.refused("tenant config", "--tenant-id", NO_TENANT, says="there is no tenant")
    cluster.expect(w.good("tenant config") == {"tenant_id": tenant["tenant_id"], "config": {}}, "tenant config")
    cluster.expect([t["tenant_id"] for t in w.good("tenant list")] == [tenant["tenant_id"]], "tenant list")
    w.good("timeline create", "--branch-name", "root")
    branch = w.good("timeline branch", "--branch-name", "b")
    w.refused("timeline branch", "--branch-name", "b", says="already")
    names = {t["branch_name"]: t for t in w.good("timeline list")}
    cluster.expect(set(names) == {"main", "root", "b"} and names["b"]["timeline_id"] == branch["timeline_id"], "timeline list")
    deletion_verbs(w, tenant["tenant_id"])
    # JSON cannot hold what is no UTF-8.
    w.refused("timeline branch", b"--branch-name", b"\xff", says="is not UTF-8")
    w.refused("endpoint create", b"\xff", says="not an endpoint name")
    w.refused("endpoint create", "x", b"-c", b"a=\xff", says="is not UTF-8")


def deletion_verbs(w, tenant):
    w.refused("timeline delete", "--branch-name", "main", says="has branches: 'b'")
    gone = w.good("timeline branch", "--branch-name", "gone")
    w.good("endpoint create", "gone", "--branch-name", "gone")
    w.refused("timeline delete", "--branch-name", "gone", says="has endpoints: 'gone' (stopped)")
    w.good("endpoint delete", "gone")
    w.refused("endpoint delete", "gone", says="there is no endpoint 'gone'")
    deleted = w.good("timeline delete", "--branch-name", "gone")
    cluster.expect(deleted["timeline_id"] == gone["timeline_id"] and deleted["tenant_id"] == tenant, f"timeline delete: {deleted}")
    other = w.good("tenant create")
    w.good("tenant delete", other["tenant_id"])
    w.refused("tenant delete", other["tenant_id"], says="there is no tenant")


def safekeeper_verbs(w):
    c = w.c
    c.sql("main", "create table t as select 1 as i")
    added = w.good("safekeeper add")
    cluster.expect(added["id"] == 4, f"safekeeper add: {added}")
    w.refused("safekeeper replace", "3", "--by", "3", says="by itself")
    w.good("safekeeper replace", "3", "--by", "4")
    c.sql("main", "insert into t values (2)")
    moved = w.good("timeline migrate-safekeepers", "--branch-name", "main", "--to", "1,2")
    cluster.expect(moved["safekeepers"] == [1, 2], f"migrate-safekeepers: {moved}")
    w.refused("timeline migrate-safekeepers", "--branch-name", "main", "--to", "9", says="there is no safekeeper 9")
    w.refused("safekeeper remove", "9", says="there is no safekeeper 9")
    w.good("safekeeper remove", "4")
    cluster.expect([n["id"] for n in w.good("safekeeper list")] == [1, 2], "safekeeper list")
    cluster.expect(c.sql("main", "select sum(i) from t") == "3", "rows after safekeepers changed")


def move_verbs(w):
    w.refused("tenant locations", "--tenant-id", NO_TENANT, says="there is no tenant")
    tenant = ["--tenant-id", w.good("tenant create")["tenant_id"]]
    w.refused("tenant secondary", *tenant, "--to", "1", says="pageserver 1 serves the tenant")
    copy = w.good("tenant secondary", *tenant, "--to", "2")
    cluster.expect(copy["layers_downloaded"] == copy["layers_total"] > 0, f"tenant secondary: {copy}")
    w.refused("tenant migrate", *tenant, "--to", "9", says="there is no pageserver 9")
    for to, modes in (("2", ["Secondary", "AttachedSingle"]), ("1", ["AttachedSingle", "Secondary"])):
        cluster.expect(w.good("tenant migrate", *tenant, "--to", to)["pageserver"] == int(to), "tenant migrate")
        at = w.good("tenant locations", *tenant)["locations"]
        cluster.expect([one["mode"] for one in at] == modes, f"tenant locations: {at}")


def history_verbs(w):
    at = w.good("timeline lsn-by-timestamp", "2099-01-01T00:00:00Z")
    cluster.expect(at["kind"] == "future", f"lsn-by-timestamp: {at}")
    w.refused("timeline lsn-by-timestamp", "yesterday", says="yesterday")
    time = w.good("timeline timestamp-of-lsn", at["lsn"])["timestamp"]
    again = w.good("timeline lsn-by-timestamp", time)
    cluster.expect(again["kind"] in ("present", "future"), f"lsn-by-timestamp {time}: {again}")
    w.refused("timeline timestamp-of-lsn", "FFFFFFFF/0", says="FFFFFFFF/0")
    cluster.expect("gc_cutoff_lsn" in w.good("timeline gc"), "timeline gc")
    w.refused("timeline gc", "--branch-name", "none", says="none")
    w.good("timeline detach-ancestor", "--branch-name", "b")
    cluster.expect("ancestor_timeline_id" not in w.good("timeline detach-ancestor", "--branch-name", "b"), "detach-ancestor")
    w.refused("timeline detach-ancestor", "--branch-name", "none", says="none")
    cluster.expect(w.good("timeline archive", "--branch-name", "b")["is_archived"], "timeline archive")
    cluster.expect({t["branch_name"]: t["is_archived"] for t in w.good("timeline list")}["b"], "list of archived timelines")
    cluster.expect(not w.good("timeline unarchive", "--branch-name", "b")["is_archived"], "timeline unarchive")
    w.refused("timeline archive", "--branch-name", "none", says="none")
    w.refused("timeline unarchive", "--branch-name", "none", says="none")


def endpoint_verbs(w):
    c = w.c
    w.good("endpoint create", "main")
    w.refused("endpoint create", "main", says="there is an endpoint 'main' already")
    w.refused("endpoint start", "none", says="there is no endpoint 'none'")
    started = w.good("endpoint start", "main")
    cluster.expect(c.sql("main", "select 1") == "1" and started["address"] in started["connection"], f"start: {started}")
    cluster.expect([e["status"] for e in w.good("endpoint list")] == ["running"], "endpoint list")
    changed = w.good("endpoint reconfigure", "main", "-c", "work_mem=5MB")
    cluster.expect(changed["running"] and changed["pending_restart"] == [], f"reconfigure: {changed}")
    w.refused("endpoint reconfigure", "main", "-c", "work_mem=much", says="nothing was changed")
    w.refused("endpoint promote", "main", says="is no replica, but primary")
    w.good("endpoint create", "copy", "--mode", "replica")
    w.good("endpoint start", "copy")
    promoted = w.good("endpoint promote", "copy")
    cluster.expect(promoted["former_primary"] == "main", f"promote: {promoted}")
    w.good("endpoint stop", "copy")
    w.good("endpoint start", "main")
    safekeeper_verbs(w)
    history_verbs(w)
    move_verbs(w)
    w.good("endpoint stop", "main")
    w.good("endpoint stop", "main")  # does not run: said on standard error


def files_and_end(w):
    c = w.c
    control = next(iter(sorted(c.dir.rglob("safekeeper.control"))))
    cluster.expect(w.good("inspect", control)["format"] == "safekeeper control file", "inspect")
    w.refused("inspect", c.dir / "argon.toml", says="not a format that argon knows")
    segment = sorted((c.dir / "safekeepers").rglob("00000001????????????????"))[0]
    cluster.expect(w.good("inspect page", "--relation", "1663/5/1259")["kind"] == "heap", "inspect page")
    w.refused("inspect page", says="a page is of a FILE, or of a --relation")
    cluster.expect(w.good("inspect wal", segment, "--stats")["total"]["records"] > 0, "inspect wal")
    cluster.expect(w.good("inspect layers")["layers"], "inspect layers")
    w.refused("inspect layers", c.dir / "argon.toml", says="argon.toml")
    # A document that nobody could read is no success.
    with open("/dev/full", "w") as full:
        done = subprocess.run([c.argon_program, "--json", "--dir", c.dir, "tenant", "list"], stdout=full)
    cluster.expect(done.returncode == 1, "a full standard output went unnoticed")
    w.good("stop")
    cluster.expect(w.good("scrub")["findings"] == [], "scrub")
    os.truncate(control, 3)
    cluster.expect(w.refused("scrub", says="1 findings")["findings"][0]["file"] == str(control), "scrub")
    os.truncate(c.dir / "state.json", 3)
    w.refused("tenant list", says="state.json")


def walk(c):
    w = Walk(c)
    all_verbs = verbs(c)
    cluster.expect({"init", "tenant create", "endpoint list", "inspect wal", "inspect page"} <= all_verbs, f"the help lists: {all_verbs}")
    without_a_cluster(w, all_verbs)
    wrong_words(w)
    cluster_verbs(w)
    endpoint_verbs(w)
    files_and_end(w)
    missing = {(verb, how) for verb in all_verbs for how in ("good", "refused")} - w.seen
    cluster.expect(not missing, f"verbs of the help that this test did not run: {sorted(missing)}")


cluster.run("json", walk)

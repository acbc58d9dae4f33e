#!/usr/bin/env python3
"""Stock pg_basebackup against the pageserver, at an LSN and at the end: stock's own tools find the directory right, and a stock server
starts on it by itself. What cannot be asked for is refused with the reason."""
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import cluster

STOCK = pathlib.Path("/usr/lib/postgresql/15/bin")
SCHEMA = """
create extension amcheck;
create table t (id int primary key, filler text);
insert into t select i, repeat('x', 100) from generate_series(1, 50000) i;
create table other (id int) tablespace apart;
insert into other select generate_series(1, 1000);
create unlogged table u (a int primary key);
insert into u select generate_series(1, 1000);
"""
CHECK = "select count(*) from t; select count(*) from other; select count(*) from u; select bt_index_check('t_pkey', true)"


def as_server(words, **options):
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, **options)


class Backups:
    def __init__(self, c):
        self.c = c
        self.folder = c.root / "backups"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        listed = next(e for e in c.argon_json("endpoint", "list") if e["endpoint"] == "main")
        self.options = f"-c tenant_id={listed['tenant_id']} -c timeline_id={listed['timeline_id']}"
        self.port = re.search(r'\[pageserver\].*?listen_pg = "[^"]*:(\d+)"', (c.dir / "argon.toml").read_text(), re.S).group(1)

    def take(self, name, *words, lsn=None):
        options = self.options + (f" -c lsn={lsn}" if lsn else "")
        return as_server([STOCK / "pg_basebackup", "-h", "127.0.0.1", "-p", self.port, "-U", "x", "-D", self.folder / name, *words],
                         env=os.environ | {"PGOPTIONS": options})

    def good(self, name, *words, lsn=None):
        done = self.take(name, *words, lsn=lsn)
        cluster.expect(done.returncode == 0, f"pg_basebackup {name}: {done.stderr}")
        return self.folder / name

    def refused(self, name, reason, *words):
        done = self.take(name, *words)
        cluster.expect(done.returncode != 0 and reason in done.stderr, f"{name}: wanted '{reason}', got: {done.stderr}")

    def check(self, data, rows):
        """What stock's tools say of it, and what a stock server shows that starts on it."""
        verified = as_server([STOCK / "pg_verifybackup", data])
        cluster.expect(verified.returncode == 0, f"pg_verifybackup {data}: {verified.stdout}{verified.stderr}")
        sums = as_server([STOCK / "pg_checksums", "--check", "-D", data])
        cluster.expect(sums.returncode == 0 and re.search(r"Bad checksums: +0", sums.stdout), f"pg_checksums: {sums.stdout}{sums.stderr}")
        options = f"-c listen_addresses= -c unix_socket_directories={data} -p {self.c.first_port + 39}"
        started = as_server([STOCK / "pg_ctl", "-D", data, "-l", data / "log", "-w", "-o", options, "start"])
        cluster.expect(started.returncode == 0, f"start on {data}: {started.stdout}{started.stderr}")
        try:
            shown = as_server(["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", data, "-p", str(self.c.first_port + 39),
                               "-U", "cloud_admin", "postgres", "-c", CHECK])
            cluster.expect(shown.returncode == 0 and shown.stdout.split() == [str(rows), "1000", "0"], f"{data}: got {shown.stdout}{shown.stderr}")
        finally:
            as_server([STOCK / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop"])


def basebackup(c):
    c.start()
    c.argon("tenant", "create", "--set-default", "--data-checksums")
    c.create_endpoint("main", "shared_buffers=16MB", "autovacuum=off")
    c.argon("endpoint", "start", "main")
    location = c.root / "apart"
    location.mkdir()
    if os.geteuid() == 0:
        shutil.chown(location, "postgres", "postgres")
    c.sql("main", f"create tablespace apart location '{location}'")
    c.sql("main", SCHEMA)
    lsn = c.sql("main", "select pg_current_wal_flush_lsn()")
    c.sql("main", "delete from t where id > 40000")
    backups = Backups(c)

    backups.check(backups.good("plain", "-X", "fetch", "-P"), 40000)
    backups.check(backups.good("past", "-X", "fetch", "-c", "fast", lsn=lsn), 50000)
    packed = backups.good("packed", "-X", "fetch", "-F", "t", "-z")
    with tarfile.open(packed / "base.tar.gz") as tar:
        names = tar.getnames()
        cluster.expect("global/pg_control" in names and any(n.startswith("pg_wal/0000") for n in names), f"tar: {names[:20]}")
    bare = backups.good("bare", "-X", "none", "--no-manifest")
    cluster.expect(not (bare / "backup_manifest").exists(), "a manifest that was not asked for")

    backups.refused("stream", "-X fetch")
    backups.refused("squeezed", "does not compress", "-X", "fetch", "--compress=server-gzip")
    backups.refused("sha", "CRC32C", "-X", "fetch", "--manifest-checksums=SHA256")
    backups.options = backups.options.replace("timeline_id=", "timeline_id=0")
    backups.refused("nowhere", "timeline", "-X", "fetch")
    backups.options = ""
    backups.refused("nameless", "tenant_id", "-X", "fetch")


cluster.run("basebackup", basebackup)

#!/usr/bin/env python3
"""A stock hot standby that reads from safekeepers: it follows what is committed on an endpoint, answers the same rows, and
goes on at another safekeeper when the one that it reads from is killed.

Its data directory is a full backup at the LSN that an endpoint started from: the checkpoint there is part of the
timeline's WAL, and no transaction runs. That lies in the timeline's first segment, which the standby's walreceiver asks
for from its start, where there is no WAL.
"""
import os
import re
import shutil
import subprocess
import tarfile
import time

import cluster

BIN = "/usr/lib/postgresql/15/bin"
PAGE = 8192
WAIT = 60
ROWS = "select count(*), sum(id), md5(string_agg(word, ',' order by id)) from t"


def settings(c, timeline, tenant, port):
    """postgresql.conf of the standby. libpq takes the first safekeeper that answers."""
    ports = [port_of(c, number) for number in (1, 2, 3)]
    conninfo = (f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={','.join(ports)} user=standby connect_timeout=3 "
                f"options=''-c tenant_id={tenant} -c timeline_id={timeline}''")
    return f"""listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
primary_conninfo = '{conninfo}'
hot_standby = on
hot_standby_feedback = on
wal_receiver_status_interval = 1s
wal_receiver_timeout = 5s
wal_retrieve_retry_interval = 200ms
logging_collector = off
"""


def port_of(c, safekeeper):
    section = re.search(rf"\[\[safekeepers\]\][^\[]*?\nid = {safekeeper}\n.*?listen_pg = \"[^\"]*:(\d+)\"",
                        (c.dir / "argon.toml").read_text(), re.S)
    return section.group(1)


class Standby:
    def __init__(self, c, lsn):
        self.c = c
        self.port = c.first_port + 39
        self.data = c.root / "standby"
        self.log = c.dir / "standby.log"
        self.process = None
        tenant = c.argon_json("tenant", "list")[0]["tenant_id"]
        timeline = next(e["timeline_id"] for e in c.argon_json("endpoint", "list") if e["endpoint"] == "main")
        self.unpack(tenant, timeline, lsn)
        (self.data / "postgresql.conf").write_text(settings(c, timeline, tenant, self.port))
        (self.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        self.data.chmod(0o700)
        if os.geteuid() == 0:
            for path in [self.data, *self.data.rglob("*")]:
                shutil.chown(path, "postgres", "postgres")

    def unpack(self, tenant, timeline, lsn):
        port = re.search(r'\[pageserver\].*?listen_pg = "[^"]*:(\d+)"', (self.c.dir / "argon.toml").read_text(), re.S)
        archive = self.c.root / "standby.tar"
        with archive.open("wb") as out:
            done = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", port.group(1), "-U", "x", "-d", "x", "-c",
                                   f"fullbackup {tenant} {timeline} {lsn} --replica"],
                                  stdout=out, stderr=subprocess.PIPE, text=True)
        cluster.expect(done.returncode == 0, f"fullbackup: {done.stderr}")
        with tarfile.open(archive) as tar:
            tar.extractall(self.data)
        cluster.expect((self.data / "standby.signal").exists(), "the backup of a replica has no standby.signal")

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([f"{BIN}/postgres", "-D", self.data], stdout=log, stderr=log, cwd="/",
                                            user="postgres" if os.geteuid() == 0 else None,
                                            group="postgres" if os.geteuid() == 0 else None)

    def stop(self):
        self.process.terminate()  # a smart stop would wait for sessions; there are none
        self.process.wait(timeout=60)

    def kill(self):
        """Its processes end when the first one has."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def sql(self, text):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.port),
                               "-U", "cloud_admin", "-d", "postgres", "-c", text],
                              capture_output=True, text=True, timeout=30)
        return done.stdout.strip() if done.returncode == 0 else f"error: {done.stderr.strip()}"

    def wait_for(self, text, wanted, what):
        end = time.monotonic() + WAIT
        got = None
        while time.monotonic() < end:
            cluster.expect(self.process.poll() is None, f"the standby has ended\n{self.c.tail('standby.log')}")
            got = self.sql(text)
            if wanted(got) if callable(wanted) else got == wanted:
                return got
            time.sleep(0.2)
        raise cluster.Failed(f"{what}: after {WAIT} s the standby says {got}")

    def follows(self, what):
        """It comes to answer what the endpoint does."""
        self.wait_for(ROWS, self.c.sql("main", ROWS), what)

    def safekeeper(self):
        """Which one it reads from."""
        ports = {port_of(self.c, number): number for number in (1, 2, 3)}
        port = self.wait_for("select sender_port from pg_stat_wal_receiver where status = 'streaming'",
                             lambda got: got in ports, "no safekeeper that it reads from")
        return ports[port]


def start_lsn(c):
    """Where the endpoint's WAL begins; its first record is the checkpoint that it started from."""
    high, low = c.sql("main", "select checkpoint_lsn from pg_control_checkpoint()").split("/")
    lsn = int(high, 16) << 32 | int(low, 16)
    if lsn % PAGE < 48:  # behind a page header
        lsn -= lsn % PAGE
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def insert(c, rows):
    c.sql("main", f"insert into t (word) select md5(g::text) from generate_series(1, {rows}) g")


def follow(c, standby):
    standby.start()
    standby.wait_for("select pg_is_in_recovery()", "t", "the standby does not start")
    standby.follows("the first rows")
    c.sql("main", "create index on t (word); alter table t add column more int default 7; vacuum t")
    insert(c, 20_000)
    c.sql("main", "select pg_switch_wal(); update t set word = word || '!' where id % 3 = 0; delete from t where id % 7 = 0")
    standby.follows("changes over a segment's end")
    cluster.expect(standby.sql("select count(*) from t where more = 7") == c.sql("main", "select count(*) from t"),
                   "a column that was added")


def lose_safekeepers(c, standby):
    for round in (1, 2):
        lost = standby.safekeeper()
        c.kill(f"safekeeper-{lost}")
        insert(c, 1000)
        standby.follows(f"after safekeeper {lost} was killed")
        other = standby.safekeeper()
        cluster.expect(other != lost, f"it still reads from safekeeper {lost}")
        print(f"round {round}: from safekeeper {lost} to {other}")
        if round == 1:
            c.argon("start")
            insert(c, 1000)
            standby.follows("with all safekeepers")
            # The one that it reads from now is the next to go.
            continue
    c.argon("start")


def hot_standby(c):
    c.start()
    c.tenant_and_endpoint()
    c.sql("main", "create table t (id serial primary key, word text)")
    insert(c, 1000)
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")
    lsn = start_lsn(c)
    cluster.expect(lsn < "0/2", f"the endpoint starts at {lsn}, behind the timeline's first segment")
    insert(c, 500)
    standby = Standby(c, lsn)
    try:
        follow(c, standby)
        lose_safekeepers(c, standby)
        standby.stop()
        insert(c, 1000)
        standby.start()
        standby.follows("after its own restart")
        # The endpoint's next server begins with a checkpoint of its own, in the middle of the stream.
        c.argon("endpoint", "stop", "main")
        c.argon("endpoint", "start", "main")
        insert(c, 1000)
        standby.follows("after the endpoint's restart")
    finally:
        standby.kill()


cluster.run("hot_standby", hot_standby)

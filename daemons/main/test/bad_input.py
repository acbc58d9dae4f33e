#!/usr/bin/env python3
"""Wrong input to `argon` and to what it runs: the error's text, the exit status, and that nothing else broke.

usage: bad_input.py CASE (see CASES at the end). Each case has a private folder and free ports, and ends only what
it started. Needs ARGON_BIN, the folder of the programs (ctest sets it).
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test"))
from cluster import take_ports

BIN = pathlib.Path(os.environ.get("ARGON_BIN", "build/release/bin")).resolve()
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


class Cluster:
    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="argon-bad-"))
        self.root.chmod(0o755)  # servers run as another user when we are root
        self.dir = self.root / "state"
        self.first_port, self.ports_lock = take_ports()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if (self.dir / "argon.toml").exists():
            self.argon("stop", "--mode", "immediate")
        shutil.rmtree(self.root, ignore_errors=True)
        self.ports_lock.close()

    def argon(self, *words):
        return subprocess.run([BIN / "argon", "--dir", self.dir, *words], capture_output=True, text=True, timeout=200)

    def init(self, *words):
        """Never at the usual ports: another cluster of this machine may have them, or get them meanwhile."""
        return self.good("init", "--first-port", str(self.first_port), *words)

    def ports(self):
        return [int(port) for port in re.findall(r'"127\.0\.0\.1:(\d+)"', (self.dir / "argon.toml").read_text())]

    def good(self, *words):
        done = self.argon(*words)
        assert done.returncode == 0, f"argon {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *words, says, status=1):
        """The command fails with that exit status, and says all of that."""
        done = self.argon(*words)
        text = done.stdout + done.stderr
        assert done.returncode == status, f"argon {' '.join(words)}: exit status {done.returncode}\n{text}"
        for part in [says] if isinstance(says, str) else says:
            assert part in text, f"argon {' '.join(words)} does not say '{part}':\n{text}"
        return text

    def start(self, tenant=True, endpoint=False):
        self.init()
        self.good("start")
        if tenant:
            self.good("tenant", "create", "--set-default")
        if endpoint:
            self.good("endpoint", "create", "main")
            self.good("endpoint", "start", "main")
        return self

    def port(self, endpoint="main"):
        for one in json.loads(self.good("--json", "endpoint", "list")):
            if one["endpoint"] == endpoint:
                return one["address"].rsplit(":", 1)[1]
        raise AssertionError(f"no endpoint {endpoint}")

    def sql(self, text, endpoint="main"):
        return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port(endpoint), "-U",
                               "cloud_admin", "postgres", "-c", text], capture_output=True, text=True, timeout=60)

    def still_works(self):
        """Storage runs and a new branch can be made; where there is an endpoint, it answers."""
        self.good("status")
        self.good("timeline", "branch", "--branch-name", f"still_works_{time.monotonic_ns()}")
        if (self.dir / "endpoints" / "main").exists():
            done = self.sql("select 1 + 1")
            assert done.stdout.strip() == "2", done.stderr


def as_server_user(words):
    if os.geteuid() != 0:
        return words
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", *words]


def no_cluster():
    with Cluster() as c:
        for words in (["start"], ["stop"], ["status"], ["tenant", "list"], ["endpoint", "list"], ["pageserver"]):
            c.refused(*words, says=["there is no cluster in", "run `argon init` first"])
        assert not c.dir.exists()


def usage():
    with Cluster() as c:
        c.refused("frobnicate", says="frobnicate", status=2)
        c.refused("tenant", says="a command is missing", status=2)
        c.refused("endpoint", "create", says="NAME is required", status=2)
        c.refused("init", "--safekeepers", "0", says="--safekeepers", status=2)
        c.refused("stop", "--mode", "gently", says="--mode", status=2)


def init_twice():
    with Cluster() as c:
        c.init()
        before = (c.dir / "argon.toml").read_text()
        c.refused("init", says=["exists already", "--force remove-all-contents"])
        assert (c.dir / "argon.toml").read_text() == before
        c.init("--force", "remove-all-contents")


def own_ports():
    """Tests run side by side: two clusters that do not run yet share no port, and have none of the usual ones."""
    with Cluster() as a, Cluster() as b:
        a.init()
        b.init()
        assert a.ports() and not set(a.ports()) & set(b.ports()), (a.ports(), b.ports())
        usual = {50051, 50052, 64000, 9898, *range(5454, 5460), *range(7676, 7682)}
        assert not set(a.ports() + b.ports()) & usual, (a.ports(), b.ports())


def unknown_tenant():
    with Cluster().start() as c:
        c.refused("timeline", "list", "--tenant-id", "0123456789abcdef0123456789abcdef", says="there is no tenant 0123456789")
        c.refused("timeline", "list", "--tenant-id", "not-a-tenant", says="not-a-tenant")
        c.refused("tenant", "set-default", "--tenant-id", "00", says="00")
        c.still_works()


def no_default_tenant():
    with Cluster().start(tenant=False) as c:
        c.refused("timeline", "list", says=["no default tenant", "--set-default"])
        c.good("tenant", "create", "--set-default")
        c.still_works()


def unknown_timeline():
    with Cluster().start() as c:
        c.refused("endpoint", "create", "e", "--branch-name", "none", says=["branch name 'none'", "there are: main"])
        c.refused("timeline", "branch", "--branch-name", "b", "--ancestor-branch-name", "none", says="branch name 'none'")
        c.refused("timeline", "branch", "--branch-name", "main", says="already")
        c.still_works()


def unknown_endpoint():
    with Cluster().start() as c:
        c.refused("endpoint", "start", "none", says="there is no endpoint 'none'")
        c.refused("endpoint", "stop", "none", says="there is no endpoint 'none'")
        c.refused("endpoint", "start", "../main", says="there is no endpoint")
        c.refused("endpoint", "create", "a/b", says="not an endpoint name")
        c.still_works()


def malformed_lsn():
    with Cluster().start() as c:
        for lsn in ("xyz", "0", "0/", "0/G", "1/123456789"):
            c.refused("timeline", "branch", "--branch-name", "b", "--ancestor-start-lsn", lsn, says=lsn)
            c.refused("endpoint", "create", "e", "--lsn", lsn, says=lsn)
        c.refused("timeline", "branch", "--branch-name", "b", "--ancestor-start-lsn", "0/10", says="its history begins at")
        c.still_works()


def port_taken():
    with Cluster() as c:
        c.init()
        text = (c.dir / "argon.toml").read_text()
        port = int(re.search(r'\[pageserver\].*?listen_pg = "127.0.0.1:(\d+)"', text, re.S).group(1))
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            c.refused("start", says=[f"port {port}", "taken by another program"])
        c.good("start")
        c.good("tenant", "create", "--set-default")
        c.good("endpoint", "create", "main")
        port = int(c.port())
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            c.refused("endpoint", "start", "main", says=f"port {port}")
        c.refused("endpoint", "create", "other", "--pg-port", str(port), says=f"port {port} belongs to endpoint 'main'")
        c.good("endpoint", "start", "main")
        c.still_works()


def second_primary():
    with Cluster().start(endpoint=True) as c:
        c.refused("endpoint", "create", "second", says=["a second primary", "'main'"])
        c.good("endpoint", "create", "second", "--allow-multiple")
        c.refused("endpoint", "start", "second", says=["a second primary", "'main'"])
        c.still_works()


def other_server_version():
    with Cluster() as c:
        fake = c.root / "pg" / "bin"
        fake.mkdir(parents=True)
        for version in ("14.9", "16.2", "15.12"):
            (fake / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
            (fake / "postgres").chmod(0o755)
            c.refused("init", "--pg-distrib-dir", str(fake.parent), says=[version, "15.13 or later"])
        c.refused("init", "--pg-distrib-dir", str(c.root / "none"), says="there is no PostgreSQL in")
        assert not c.dir.exists()
        c.init()
        c.refused("tenant", "create", "--pg-version", "99", says="PostgreSQL 99 is not supported")


def damaged_configuration():
    with Cluster() as c:
        c.init()
        path = c.dir / "argon.toml"
        good = path.read_text()
        for bad, says in ((good + "[pageserv]\n", "pageserv is not a known section"),
                          (good.replace("version = 1", "version = 7"), "version is not 1"),
                          (good + "colour = 'red'\n", "endpoints.colour is not a known key"),
                          (good.replace("id = 1", "id = 'one'", 1), "is not a number"),
                          (good + "= 1\n", "argon.toml:")):
            path.write_text(bad)
            c.refused("start", says=["argon.toml", says])
        path.write_text(good)
        c.good("start")


def damaged_state():
    with Cluster().start() as c:
        path = c.dir / "state.json"
        good = path.read_text()
        for bad in (good[: len(good) // 2], "[]", good.replace('"version": 1', '"version": 2')):
            path.write_text(bad)
            c.refused("tenant", "list", says="state.json")
        path.write_text(good)
        c.still_works()


def daemon_started_twice():
    with Cluster().start() as c:
        for words in (["pageserver"], ["broker"], ["safekeeper", "--id", "1"]):
            c.refused(*words, says="it runs already as process", status=2)
        c.refused("safekeeper", "--id", "9", says="there is no safekeeper 9")
        c.still_works()


def stale_pid_file():
    """One that was left over, even with the number of a process that lives, stops no start."""
    with Cluster().start(endpoint=True) as c:
        c.good("stop")
        for name in ("broker/broker.pid", "pageserver_1/pageserver.pid", "endpoints/main/compute.pid"):
            (c.dir / name).write_text(f"{os.getpid()}\n")
        c.good("start")
        c.good("endpoint", "start", "main")
        c.still_works()


def crashed_endpoint():
    """Its sidecar killed: listed as crashed, and started anew with what was committed."""
    with Cluster().start(endpoint=True) as c:
        assert c.sql("create table t as select 7 as n").returncode == 0
        os.kill(int((c.dir / "endpoints/main/compute.pid").read_text()), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while "crashed" not in c.good("endpoint", "list"):
            assert time.monotonic() < deadline, "the endpoint is not listed as crashed"
            time.sleep(0.1)
        c.good("endpoint", "start", "main")
        assert c.sql("select n from t").stdout.strip() == "7"
        c.still_works()


def crashed_daemon():
    """`status` tells which daemon died, and what it said last."""
    with Cluster().start() as c:
        node = lambda name: next(n for n in json.loads(c.argon("--json", "status").stdout)["nodes"] if n["node"] == name)
        os.kill(int((c.dir / "safekeepers/sk2/safekeeper.pid").read_text()), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while node("safekeeper 2")["status"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert node("safekeeper 2")["status"] == "crashed"
        assert "safekeeper 2 ended by itself" in c.refused("status", says="not every part of the cluster runs")
        c.good("stop")
        assert node("safekeeper 2")["status"] == "stopped"
        # One that ends itself says why.
        store = c.dir / "object_store"
        store.rename(c.root / "away")
        store.write_text("no folder")
        c.refused("start", says="did not start")
        died = node("pageserver 1")
        assert died["status"] == "crashed" and "object_store" in died["last_error"], died
        assert died["last_error"] in c.refused("status", says="pageserver 1 ended by itself")
        store.unlink()
        (c.root / "away").rename(store)
        c.good("start")
        c.still_works()


def server_by_hand():
    """A data directory that a killed endpoint left, started without its sidecar, refuses."""
    with Cluster().start(endpoint=True) as c:
        data = c.dir / "endpoints/main/pgdata"
        server = int((data / "postmaster.pid").read_text().split()[0])
        os.kill(int((c.dir / "endpoints/main/compute.pid").read_text()), signal.SIGKILL)
        while pathlib.Path(f"/proc/{server}").exists():
            time.sleep(0.05)
        done = subprocess.run(as_server_user([PG_BIN / "postgres", "-D", data]),
                              capture_output=True, text=True, timeout=60, cwd="/")
        assert done.returncode != 0, done.stderr
        assert "argon endpoint start" in done.stderr, done.stderr
        c.good("endpoint", "start", "main")
        c.still_works()
        c.good("endpoint", "stop", "main")
        assert not data.exists(), "an orderly stop leaves the data directory"


def basebackup_of_an_endpoint():
    with Cluster().start(endpoint=True) as c:
        target = c.root / "backup"
        done = subprocess.run([PG_BIN / "pg_basebackup", "-h", "127.0.0.1", "-p", c.port(), "-U", "cloud_admin", "-D",
                               target], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0, done.stderr
        assert "pageserver" in done.stderr, done.stderr
        c.still_works()


def other_system():
    """A sidecar that is told of another tenant's system identifier neither writes nor reads this one's WAL."""
    with Cluster().start(endpoint=True) as c:
        assert c.sql("create table t as select 7 as n").returncode == 0
        c.good("endpoint", "create", "static", "--lsn", c.sql("select pg_current_wal_flush_lsn()").stdout.strip())
        c.good("endpoint", "start", "static")
        for endpoint, says in (("main", "system identifier 4711, but the timeline's is"),
                               ("static", "but the timeline is of 4711")):
            c.good("endpoint", "stop", endpoint)
            path = c.dir / "endpoints" / endpoint / "endpoint.json"
            right = path.read_text()
            path.write_text(re.sub('"system_id": "[0-9]+"', '"system_id": "4711"', right))
            sidecar = subprocess.Popen([BIN / "argon", "--dir", c.dir, "compute", "--endpoint", endpoint], stderr=subprocess.PIPE,
                                       text=True)
            ends_by_itself = endpoint == "static"
            seen = ""
            for line in sidecar.stderr:
                seen += line
                assert "ready for connections" not in line, seen
                if says in line and not ends_by_itself:
                    break
            if not ends_by_itself:
                sidecar.terminate()
            sidecar.stderr.close()
            assert sidecar.wait(60) != 0 or not ends_by_itself, seen
            assert says in seen, seen
            path.write_text(right)
        c.good("endpoint", "start", "main")
        assert c.sql("select n from t").stdout.strip() == "7"
        c.still_works()


def unknown_object_over_http():
    with Cluster().start() as c:
        text = (c.dir / "argon.toml").read_text()
        http = re.search(r'\[pageserver\].*?listen_http = "127.0.0.1:(\d+)"', text, re.S).group(1)
        done = subprocess.run(["python3", "-c", "import sys, urllib.request, urllib.error\n"
                               "try:\n  urllib.request.urlopen(sys.argv[1])\n"
                               "except urllib.error.HTTPError as e:\n  print(e.code, e.read().decode())\n",
                               f"http://127.0.0.1:{http}/v1/tenant/{'0' * 32}/timeline"], capture_output=True, text=True)
        assert done.stdout.startswith("404"), done.stdout + done.stderr
        assert "0" * 32 in done.stdout, done.stdout
        c.still_works()


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))


def flipped_bits():
    """`inspect` tells a damaged file from a good one; a safekeeper with a damaged control file harms no commit."""
    with Cluster().start(endpoint=True) as c:
        assert c.sql("create table t as select 7 as n").returncode == 0
        c.good("stop")
        controls = sorted(c.dir.glob("safekeepers/sk1/**/safekeeper.control"))
        indexes_and_layers = [p for p in c.dir.glob("object_store/**/*")
                              if p.is_file() and re.search(b"ARGINDEX|ARGLAYER", p.read_bytes()[:12])]
        assert controls and indexes_and_layers
        for path in controls + indexes_and_layers:
            c.good("inspect", str(path))
            flip(path, 40)
            c.refused("inspect", str(path), says=str(path))
            if path not in controls:
                flip(path, 40)
                c.good("inspect", str(path))
        c.refused("inspect", str(c.dir / "argon.toml"), says="not a format that argon knows")
        c.argon("start")
        c.good("endpoint", "start", "main")
        assert c.sql("select n from t").stdout.strip() == "7"
        assert c.sql("insert into t values (8)").returncode == 0


def damaged_wal():
    """A bit flips in WAL of a running safekeeper: its readers are told, others give it, the cluster goes on."""
    with Cluster().start(endpoint=True) as c:
        assert c.sql("create table t as select generate_series(1, 100) as n").returncode == 0
        at = c.sql("select pg_current_wal_flush_lsn()").stdout.strip()
        assert c.sql("insert into t select generate_series(1, 2000)").returncode == 0
        end = c.sql("select pg_current_wal_flush_lsn()").stdout.strip()
        segment = sorted(c.dir.glob("safekeepers/sk1/**/0000000100000000000000*"))[0]
        flip(segment, int(at.split("/")[1], 16) % (16 << 20) + 5000)
        timeline, tenant = segment.parent.name, segment.parent.parent.name
        text = (c.dir / "argon.toml").read_text()
        ports = re.findall(r'\[\[safekeepers\]\].*?listen_pg = "[^"]*:(\d+)"', text, re.S)

        def receive(port):
            target = c.root / f"received-{port}"
            target.mkdir()
            env = dict(os.environ, PGOPTIONS=f"-c tenant_id={tenant} -c timeline_id={timeline}")
            return subprocess.run([PG_BIN / "pg_receivewal", "-n", "-D", target, "-h", "127.0.0.1", "-p", port, "-U", "x",
                                   "--endpos", end], capture_output=True, text=True, timeout=60, env=env)
        told = receive(ports[0])
        for part in ("safekeeper 1", segment.name, "was changed after it was written"):
            assert part in told.stderr, told.stderr
        assert told.returncode != 0
        other = receive(ports[1])
        assert other.returncode == 0, other.stderr
        assert c.sql("insert into t values (0)").returncode == 0
        assert c.sql("select count(*) from t").stdout.strip() == "2101"
        c.still_works()


def truncated_index():
    """A pageserver's index cut short is repaired from the object store; cut there too, that timeline alone is refused."""
    with Cluster().start(endpoint=True) as c:
        assert c.sql("create table t as select 7 as n").returncode == 0
        c.good("timeline", "create", "--branch-name", "other")
        c.good("endpoint", "create", "other", "--branch-name", "other")
        timeline = next(e["timeline_id"] for e in json.loads(c.good("--json", "endpoint", "list")) if e["endpoint"] == "main")
        c.good("stop")

        def cut(pattern):
            found = [p for p in c.dir.glob(pattern) if p.is_file()]
            assert found, pattern
            for path in found:
                os.truncate(path, path.stat().st_size // 2)
        cut(f"pageserver_1/**/timelines/{timeline}/index")
        c.good("start")
        c.good("endpoint", "start", "main")
        assert c.sql("select n from t").stdout.strip() == "7"
        c.good("stop")
        cut(f"pageserver_1/**/timelines/{timeline}/index")
        cut(f"object_store/**/timelines/{timeline}/index-*")
        c.good("start")
        log = (c.dir / "pageserver_1" / "pageserver.log").read_text()
        assert re.search(f"{timeline}.*cannot be loaded: corrupt: index ", log), log[-2000:]
        assert c.argon("timeline", "branch", "--branch-name", "b").returncode != 0
        c.good("endpoint", "start", "other")
        assert c.sql("select 1 + 1", "other").stdout.strip() == "2"
        c.good("timeline", "branch", "--branch-name", "b2", "--ancestor-branch-name", "other")


CASES = [no_cluster, usage, init_twice, own_ports, unknown_tenant, no_default_tenant, unknown_timeline, unknown_endpoint,
         malformed_lsn, port_taken, second_primary, other_server_version, damaged_configuration, damaged_state,
         daemon_started_twice, stale_pid_file, crashed_endpoint, crashed_daemon, server_by_hand, basebackup_of_an_endpoint,
         other_system, unknown_object_over_http, flipped_bits, damaged_wal, truncated_index]

if __name__ == "__main__":
    chosen = [case for case in CASES if case.__name__ in sys.argv[1:]]
    if len(chosen) != len(sys.argv) - 1 or not chosen:
        sys.exit("usage: bad_input.py CASE, of: " + " ".join(case.__name__ for case in CASES))
    for case in chosen:
        case()

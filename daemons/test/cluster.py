"""A private cluster of real processes, for tests: `argon` in a folder of its own, on free ports.

Every process that a test ends was started by it, and is ended by pid. Needs ARGON_BIN, the folder of the
programs (ctest sets it).
"""
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path(os.environ.get("ARGON_BIN", "build/release/bin")).resolve()
TOOLS = pathlib.Path(os.environ.get("ARGON_TOOLS", BIN.parent / "tests")).resolve()


class Failed(Exception):
    """What a test expected did not happen."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


def take_ports():
    """The first of 40 ports that no other test of this machine uses now, and the lock that says so: a port whose
    daemon was just killed looks free to another cluster's init."""
    folder = pathlib.Path("/tmp/argon-test-ports")
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)  # for other users' tests too
    for first in range(10000, 10960, 40):
        try:
            lock = open(folder / str(first), "r", opener=lambda path, flags: os.open(path, flags | os.O_CREAT, 0o644))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return first, lock
        except OSError:
            continue
    raise Failed(f"all ports for tests are in use (locks in {folder})")


class Cluster:
    def __init__(self, name):
        self.first_port, self.ports_lock = take_ports()
        base = os.environ.get("ARGON_TEST_TMP", "/tmp")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"argon-{name}-", dir=base))
        self.root.chmod(0o755)
        self.dir = self.root / "state"
        self.argon_program = BIN / "argon"

    # ---- the command

    def argon(self, *words, check=True, timeout=180):
        """Runs argon; returns the finished process, with its output as text."""
        done = subprocess.run([str(self.argon_program), *map(str, words), "--dir", str(self.dir)],
                              capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise Failed(f"argon {' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def argon_json(self, *words):
        return json.loads(self.argon(*words, "--json").stdout)

    def start(self, *init_words):
        self.argon("init", "--first-port", self.first_port, *init_words)
        self.argon("start")

    def tenant_and_endpoint(self, name="main", *settings):
        self.argon("tenant", "create", "--set-default")
        self.create_endpoint(name, *settings)
        self.argon("endpoint", "start", name)

    def create_endpoint(self, name, *settings, branch="main"):
        words = [word for setting in settings for word in ("-c", setting)]
        self.argon("endpoint", "create", name, "--branch-name", branch, *words)

    # ---- SQL

    def endpoint(self, name):
        for endpoint in self.argon_json("endpoint", "list"):
            if endpoint["endpoint"] == name:
                return endpoint
        raise Failed(f"there is no endpoint {name}")

    def conninfo(self, name):
        host, port = self.endpoint(name)["address"].split(":")
        return f"host={host} port={port} user=cloud_admin dbname=postgres connect_timeout=10"

    def sql(self, name, text, check=True, timeout=120):
        """The answer's rows as psql prints them, unaligned."""
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(name)],
                              input=text, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise Failed(f"SQL on {name}: {done.stderr}\n{self.tail(f'endpoints/{name}/postgres.log')}")
        return done.stdout.strip() if check else done

    # ---- processes

    def pid_file(self, name):
        if name.startswith("endpoint "):
            return self.dir / "endpoints" / name.split()[1] / "compute.pid"
        if name.startswith("safekeeper-"):
            return self.dir / "safekeepers" / f"sk{name.split('-')[1]}" / "safekeeper.pid"
        if name.startswith("pageserver-"):
            return self.dir / f"pageserver_{name.split('-')[1]}" / "pageserver.pid"
        folder = "pageserver_1" if name == "pageserver" else name
        return self.dir / folder / f"{name}.pid"

    def pid(self, name):
        """The pid of a daemon ("pageserver", "safekeeper-1", "endpoint main"), or None."""
        try:
            pid = int(self.pid_file(name).read_text())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def postgres_pid(self, name):
        try:
            return int((self.dir / "endpoints" / name / "pgdata" / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return None

    def kill(self, name):
        """SIGKILL, and until it is gone. An endpoint's server goes with its sidecar."""
        pids = [self.pid(name)]
        if name.startswith("endpoint "):
            pids.append(self.postgres_pid(name.split()[1]))
        for pid in pids:
            if pid is not None:
                end_process(pid)

    def tail(self, log, lines=40):
        try:
            return f"--- {log}\n" + "\n".join((self.dir / log).read_text(errors="replace").splitlines()[-lines:])
        except OSError as e:
            return str(e)

    def expect_no_crash(self):
        """No server of an endpoint ended by a signal that is its own doing, which the quorum's WAL makes up for in silence."""
        for log in self.dir.glob("endpoints/*/compute.log"):
            crash = re.search(r".*ended by signal (4|6|7|8|11)\b.*", log.read_text(errors="replace"))
            expect(crash is None, f"a server crashed: {crash and crash.group(0)}")

    def close(self, keep=False):
        self.argon("stop", "--mode", "immediate", check=False)
        # What that did not reach: servers that are ending, and all where a failed test has damaged the configuration.
        for file in self.dir.rglob("*.pid"):
            pid = first_number(file)
            if pid and is_process_of(pid, self.dir):
                end_process(pid)
        if not keep:
            shutil.rmtree(self.root, ignore_errors=True)
        self.ports_lock.close()


def first_number(pid_file):
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def is_process_of(pid, folder):
    """Whether pid is a daemon or server of that folder, and not a stranger with a recycled pid."""
    try:
        return str(folder) in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def end_process(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    for _ in range(500):
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return
        # Sockets are closed by the last thread to end, and the first thread is shown as a zombie before that.
        if state == "Z" and len(threads) <= 1:
            return
        time.sleep(0.01)
    raise Failed(f"process {pid} does not end")


def run(name, test):
    """Runs test(cluster); prints what the logs say where it fails."""
    cluster = Cluster(name)
    try:
        test(cluster)
        cluster.expect_no_crash()
    except BaseException as e:
        print(f"FAILED: {e}", file=sys.stderr)
        for log in sorted(p.relative_to(cluster.dir) for p in cluster.dir.rglob("*.log")):
            print(cluster.tail(str(log)), file=sys.stderr)
        cluster.close(keep=os.environ.get("ARGON_TEST_KEEP") == "1")
        if not isinstance(e, Failed):
            raise
        sys.exit(1)
    cluster.close()
    print(f"{name}: ok")

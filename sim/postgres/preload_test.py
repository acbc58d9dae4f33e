#!/usr/bin/env python3
"""Every call that the preload replaces, tried with a stock server (and a small program for what no statement reaches).

The test is the simulator: it answers frames (protocol.h) with times of its own. Two runs in different folders must
say the same, byte for byte.

usage: preload_test.py BINDIR PRELOAD_SO TEMPLATE_TAR
"""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

OPEN, OUTPUT, LOG, WAIT, NEXT, ENDED, TIME, SPACE, STATEMENT, DATA, CLOSE, SIGNAL = range(1, 13)
CONTROL_FD = 900
SECOND = 10**9
WALL = 1_600_000_000 * SECOND


class Child:
    """One server; its clock is what this says."""

    def __init__(self, bindir, preload, template, seed):
        self.work = tempfile.mkdtemp(prefix="argon-preload-", dir="/tmp")
        data = os.path.join(self.work, "data")
        subprocess.run(["mkdir", data], check=True)
        subprocess.run(["tar", "xf", template, "-C", data], check=True)
        for folder in ("pg_wal/archive_status", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp"):
            os.makedirs(os.path.join(data, folder), exist_ok=True)
        os.chmod(data, 0o700)
        shutil.copy(preload, os.path.join(self.work, "preload.so"))
        os.chmod(self.work, 0o755)
        os.chmod(os.path.join(self.work, "preload.so"), 0o644)
        # The template comes without WAL.
        user = []
        if os.geteuid() == 0:
            user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            entry = pwd.getpwnam("postgres")
            for folder, _, files in os.walk(data):
                for name in [folder] + [os.path.join(folder, f) for f in files]:
                    os.chown(name, entry.pw_uid, entry.pw_gid)
        subprocess.run(user + [os.path.join(bindir, "pg_resetwal"), "-f", "-D", data], check=True,
                       stdout=subprocess.DEVNULL)
        ours, theirs = socket.socketpair()
        self.socket = ours
        self.out = [tempfile.TemporaryFile(buffering=0), tempfile.TemporaryFile(buffering=0)]
        env = {"LD_PRELOAD": os.path.join(self.work, "preload.so"), "ARGON_SIM_SEED": "%020d" % seed,
               "ARGON_SIM_CONTROL": "1", "LC_ALL": "C", "TZ": "UTC"}
        os.dup2(theirs.fileno(), CONTROL_FD)
        self.process = subprocess.Popen(
            ["setarch", "-R"] + user + [os.path.join(bindir, "postgres"), "--single", "-D", data, "-c",
                                        "dynamic_shared_memory_type=mmap", "-F", "template1"],
            env=env, stdin=subprocess.DEVNULL, stdout=self.out[0], stderr=self.out[1],
            pass_fds=(CONTROL_FD,))
        theirs.close()
        os.close(CONTROL_FD)
        self.monotonic = 5 * SECOND
        self.waits = []
        self.said = b""
        self.read_frame()
        self.until_next()

    def receive(self, n):
        got = b""
        while len(got) < n:
            more = self.socket.recv(n - len(got))
            if not more:
                raise EOFError(self.out[1].read())
            got += more
        return got

    def read_frame(self):
        (length,) = struct.unpack("=I", self.receive(4))
        body = self.receive(length)
        self.items = []
        while body:
            kind, connection, n = struct.unpack_from("=III", body)
            self.items.append((kind, connection, body[12:12 + n]))
            body = body[12 + n:]
        for kind, _, text in self.items:
            if kind in (OUTPUT, LOG):
                self.said += text

    def answer(self, *items):
        time = struct.pack("=qq", self.monotonic, WALL + self.monotonic)
        body = b"".join(struct.pack("=III", k, c, len(b)) + b for k, c, b in [(TIME, 0, time), *items])
        self.socket.sendall(struct.pack("=I", len(body)) + body)
        self.read_frame()

    def until_next(self):
        """Lets time pass where it waits, until it wants a statement."""
        while self.items[-1][0] == WAIT:
            (ns,) = struct.unpack("=q", self.items[-1][2])
            self.waits.append(ns)
            assert ns >= 0, "a wait without end"
            self.monotonic += ns
            self.answer()
        assert self.items[-1][0] == NEXT, self.items

    def run(self, line, *before):
        self.said = b""
        self.waits = []
        self.answer(*before, (STATEMENT, 0, line.encode() + b"\n"))
        self.until_next()
        return self.said.decode()

    def end(self):
        try:
            self.answer((STATEMENT, 0, b""))
        except EOFError:
            pass
        status = self.process.wait()
        shutil.rmtree(self.work)
        return status


def value(text):
    found = re.search(r'= "(.*)"\t', text)
    assert found, text
    return found.group(1)


def life(arguments, seed):
    child = Child(*arguments, seed)
    said = []

    def ask(line):
        text = child.run(line)
        assert "ERROR" not in text, text
        said.append(text)
        return value(text)

    before = ask("select extract(epoch from clock_timestamp())")
    assert float(before) == (WALL + child.monotonic) / SECOND, before
    child.monotonic += 3 * SECOND
    assert float(ask("select extract(epoch from clock_timestamp())")) == float(before) + 3
    assert ask("select pg_backend_pid()") == "4242"
    ask("select gen_random_uuid() || ' ' || random()")
    # epoll_wait, and SetLatch's kill of the process itself.
    begin = child.monotonic
    child.run("select pg_sleep(2)")
    assert child.monotonic - begin == 2 * SECOND, child.waits
    # setitimer: the time of the statement is over in the middle of a wait.
    child.run("set statement_timeout = '700ms'")
    begin = child.monotonic
    text = child.run("select pg_sleep(100)")
    assert "statement timeout" in text and child.monotonic - begin == SECOND * 7 // 10, (text, child.waits)
    child.run("set statement_timeout = 0")
    # kill of the process group: this test would end by it. The log names the folder.
    child.run("alter system set work_mem = '7MB'")
    ask("select pg_reload_conf()")
    assert value(child.run("show work_mem")) == "7MB"
    # The same from outside.
    child.run("alter system set work_mem = '9MB'")
    child.run("select 1", (SIGNAL, 0, struct.pack("=i", signal.SIGHUP)))
    assert value(child.run("show work_mem")) == "9MB"
    ask("select string_agg(name, ' ') from (select pg_ls_dir('global') as name) as files")
    listed = value(said[-1]).split()
    assert listed == sorted(listed) and len(listed) > 20, listed
    ask("select sum(i * i) from generate_series(1, 1000) i")
    assert child.end() == 0
    assert float(before) > 0
    return said


def main():
    arguments = [str(pathlib.Path(a).resolve()) for a in sys.argv[1:4]]
    first = life(arguments, 7)
    again = life(arguments, 7)
    assert first == again, "two runs of one seed differ"
    other = life(arguments, 8)
    assert first != other, "the seed decides nothing"
    print("as it should be")


if __name__ == "__main__":
    main()

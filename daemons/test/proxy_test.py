#!/usr/bin/env python3
"""Scale to zero: endpoints that suspend when nobody uses them, and clients that know only the proxy; with TLS (proxy_tls.py)."""
import concurrent.futures
import hashlib
import json
import signal
import subprocess
import time
import urllib.request

import cluster
import proxy_tls

SUSPEND_AFTER = 3  # seconds


class Proxied:
    def __init__(self, c):
        self.c = c
        node = next(one for one in c.argon_json("status")["nodes"] if one["node"] == "proxy")
        self.http = node["address"]
        host, port = self.http.split(":")
        self.place = f"host={host} port={int(port) - 1} user=cloud_admin connect_timeout=60"

    def psql(self, database, text, more="", check=True):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", f"{self.place} dbname={database} {more}"],
                              input=text, capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise cluster.Failed(f"through the proxy, {database}: {done.stderr}\n{self.c.tail('proxy/proxy.log')}")
        return done.stdout.strip() if check else done

    def refused(self, database, wanted, more=""):
        done = self.psql(database, "select 1", more, check=False)
        cluster.expect(done.returncode != 0 and wanted in done.stderr, f"expected a refusal with '{wanted}', got: {done.stdout}{done.stderr}")

    def status(self):
        return json.load(urllib.request.urlopen(f"http://{self.http}/v1/status", timeout=10))

    def wait_for(self, endpoint, status, seconds):
        end = time.monotonic() + seconds
        while (now := self.c.endpoint(endpoint)["status"]) != status:
            cluster.expect(time.monotonic() < end, f"endpoint {endpoint} is {now}, not {status}, after {seconds} s\n{self.c.tail(f'endpoints/{endpoint}/compute.log')}")
            time.sleep(0.2)


def many_wake_once(p):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: p.psql("main/postgres", f"select {i}"), range(20)))
    cluster.expect(answers == [str(i) for i in range(20)], f"answers: {answers}")
    cluster.expect(p.status()["wakes"] == 1, f"20 clients, and not one wake: {p.status()}")


def clients_get_their_own(p):
    p.psql("main/postgres", "create table t as select 'main' as whose")
    p.psql("dev/postgres", "create table t as select 'dev' as whose")
    cluster.expect(p.psql("main/postgres", "select whose from t") == "main", "main's client is elsewhere")
    cluster.expect(p.psql("postgres", "select whose from t", "options='endpoint=dev'") == "dev", "dev's client is elsewhere")
    cluster.expect(p.psql("dev/postgres", "show work_mem", "options='-c work_mem=7MB'") == "7MB", "other options are lost")
    p.refused("postgres", "name an endpoint before the database, as dev/postgres")
    p.refused("none/postgres", "there is no endpoint 'none' (there are: dev, main)")
    p.refused("../postgres", "is not an endpoint name")
    p.refused("main/none", 'database "none" does not exist')
    p.refused("main/postgres", "server does not support SSL", "sslmode=require")


def bytes_pass(p):
    text = "select string_agg(md5(i::text), '') from generate_series(1, 100000) i"
    expected = hashlib.md5(p.psql("main/postgres", text).encode()).hexdigest()
    cluster.expect(p.psql("main/postgres", f"select md5(({text}))") == expected, "a large answer came damaged")
    p.psql("main/postgres", "create table big(i int); copy big from stdin;\n" + "\n".join(map(str, range(200000))) + "\n\\.\n")
    cluster.expect(p.psql("main/postgres", "select count(*), sum(i) from big") == "200000|19999900000", "COPY came damaged")


def a_cancel_arrives(p):
    waiting = subprocess.Popen(["psql", "-X", "-d", f"{p.place} dbname=main/postgres", "-c", "select pg_sleep(100)"], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while p.psql("main/postgres", "select count(*) from pg_stat_activity where query like '%pg_sleep(100)%' and pid <> pg_backend_pid()") != "1":
        cluster.expect(time.monotonic() < end, "the query to cancel does not run")
    waiting.send_signal(signal.SIGINT)
    said = waiting.communicate(timeout=30)[1]
    cluster.expect("canceling statement due to user request" in said, f"the cancelled query said: {said}")


def it_sleeps_and_wakes(p):
    # Connections that come and go are activity, though none is there for long.
    for _ in range(4 * SUSPEND_AFTER):
        p.psql("main/postgres", "select 1")
        time.sleep(0.5)
    cluster.expect(p.c.endpoint("main")["status"] == "running", "it was suspended while it was used")
    # An idle connection is none, an open transaction is.
    psql = subprocess.Popen(["psql", "-X", "-q", "-d", f"{p.place} dbname=main/postgres"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    psql.stdin.write("begin; select 1;\n")
    psql.stdin.flush()
    time.sleep(3 * SUSPEND_AFTER)
    cluster.expect(p.c.endpoint("main")["status"] == "running", "it was suspended in a transaction")
    psql.stdin.write("commit;\n")
    psql.stdin.flush()
    p.wait_for("main", "suspended", 60)
    psql.kill()
    psql.wait()
    wakes = p.status()["wakes"]
    cluster.expect(p.psql("main/postgres", "select count(*) from big") == "200000", "rows were lost over a suspension")
    cluster.expect(p.status()["wakes"] == wakes + 1, "it did not wake once")
    cluster.expect(p.c.endpoint("main")["status"] == "running", "it is not shown as running")


def it_comes_back_but_not_from_a_stop(p):
    p.c.kill("endpoint dev")
    cluster.expect(p.psql("dev/postgres", "select whose from t") == "dev", "a crashed endpoint was not started")
    p.c.argon("endpoint", "stop", "dev")
    p.refused("dev/postgres", "it was stopped by its operator")
    p.c.argon("endpoint", "start", "dev")
    cluster.expect(p.psql("dev/postgres", "select whose from t") == "dev", "it is not back")


def proxy(c):
    c.start()
    c.argon("tenant", "create", "--set-default")
    c.argon("timeline", "branch", "--branch-name", "dev")
    c.argon("endpoint", "create", "main", "--suspend-after", f"{SUSPEND_AFTER}s")
    p = Proxied(c)
    cluster.expect(p.psql("postgres", "select 1") == "1", "the only endpoint needs no name")
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")
    p.wait_for("main", "suspended", 60)
    c.argon("stop")
    c.argon("start")
    c.argon("endpoint", "create", "dev", "--branch-name", "dev")
    p = Proxied(c)
    many_wake_once(p)
    clients_get_their_own(p)
    bytes_pass(p)
    a_cancel_arrives(p)
    it_sleeps_and_wakes(p)
    it_comes_back_but_not_from_a_stop(p)
    end = time.monotonic() + 10  # servers take a moment to end theirs
    while p.status()["connections"] != 0:
        cluster.expect(time.monotonic() < end, f"connections are left: {p.status()}")
        time.sleep(0.1)
    c.argon("stop")
    proxy_tls.check(c, Proxied)


cluster.run("proxy", proxy)

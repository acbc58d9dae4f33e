#!/usr/bin/env python3
"""SIGHUP: the log level is read anew, the log is opened anew, and a mistake in the configuration changes nothing. `endpoint
reconfigure`: the same for an endpoint's settings, while its server goes on.
"""
import os
import re
import signal
import sys
import time
import urllib.request

import cluster

DAEMONS = ["broker", "pageserver", "safekeeper-1", "endpoint main"]


def log_of(c, name):
    return c.pid_file(name).with_suffix(".log")


def wait_for(what, condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise cluster.Failed(f"in vain: {what}")


def said(path, text):
    return path.exists() and text in path.read_text()


def reload_all(c):
    for name in DAEMONS:
        os.kill(c.pid(name), signal.SIGHUP)


def set_level(c, old, new):
    file = c.dir / "argon.toml"
    text = file.read_text()
    cluster.expect(f'level = "{old}"' in text, f"argon.toml has level {old}")
    file.write_text(text.replace(f'level = "{old}"', f'level = "{new}"'))


def checkpoint(c):
    """Of the timeline, by the pageserver."""
    http = re.search(r'\[pageserver\].*?listen_http = "([^"]+)"', (c.dir / "argon.toml").read_text(), re.S).group(1)
    path = "/v1/tenant/{tenant_id}/timeline/{timeline_id}/checkpoint".format(**c.argon_json("timeline", "list")[0])
    urllib.request.urlopen(urllib.request.Request(f"http://{http}{path}", method="PUT"), timeout=30)


def reload(c):
    c.start()
    c.tenant_and_endpoint()
    pids = {name: c.pid(name) for name in DAEMONS}
    cluster.expect(not said(log_of(c, "pageserver"), " debug "), "the level is info")

    # The logs are moved away, as logrotate does it, and a more talkative level is asked for.
    for name in DAEMONS:
        log_of(c, name).rename(f"{log_of(c, name)}.1")
    set_level(c, "info", "debug")
    reload_all(c)
    for name in DAEMONS:
        wait_for(f"a new log of {name}", lambda: said(log_of(c, name), "told to reload"))
    c.sql("main", "create table t as select generate_series(1, 1000)")
    # What was flushed is said at this level only.
    checkpoint(c)
    wait_for("debug lines of the pageserver", lambda: said(log_of(c, "pageserver"), " debug "))

    set_level(c, "debug", "talkative")
    reload_all(c)
    for name in DAEMONS:
        wait_for(f"{name} names the mistake", lambda: said(log_of(c, name), "the configuration stays as it was"))
        cluster.expect(said(log_of(c, name), "talkative"), f"{name} says what is wrong")
    set_level(c, "talkative", "info")
    cluster.expect(c.sql("main", "select count(*) from t") == "1000", "the rows are there")
    cluster.expect(pids == {name: c.pid(name) for name in DAEMONS}, "no daemon was started anew")
    reconfigure(c)


def reconfigure(c):
    show = "select current_setting('work_mem') || ' ' || current_setting('shared_buffers')"
    before = c.sql("main", "select pg_postmaster_start_time()")
    cluster.expect(c.sql("main", show) == "4MB 128MB", "the defaults")
    said = c.argon_json("endpoint", "reconfigure", "main", "-c", "work_mem=7MB", "-c", "shared_buffers=64MB")
    cluster.expect(said["running"] and said["pending_restart"] == ["shared_buffers"], f"what it says of a change: {said}")
    cluster.expect(c.sql("main", show) == "7MB 128MB", "only a start takes up shared_buffers")
    for wrong, names in ("work_mem=much", "work_mem"), ("no_such_setting=1", "no_such_setting"):
        refused = c.argon("endpoint", "reconfigure", "main", "-c", wrong, check=False)
        cluster.expect(refused.returncode != 0 and names in refused.stderr and "nothing was changed" in refused.stderr,
                       f"{wrong}: {refused.stderr}")
    refused = c.argon("endpoint", "reconfigure", "main", "--reset", "max_connections", check=False)
    cluster.expect("no setting 'max_connections'" in refused.stderr, f"a setting that is not its own: {refused.stderr}")
    c.argon("endpoint", "reconfigure", "main", "--reset", "work_mem")
    cluster.expect(c.sql("main", show) == "4MB 128MB", "work_mem is what it was")
    cluster.expect(c.sql("main", "select pg_postmaster_start_time()") == before, "the server was started anew")

    pid = c.pid("endpoint main")
    c.argon("endpoint", "stop", "main")
    said = c.argon("endpoint", "reconfigure", "main", "-c", "work_mem=9MB").stdout
    cluster.expect("takes effect when it starts" in said, f"of one that is stopped: {said}")
    c.argon("endpoint", "start", "main")
    cluster.expect(c.sql("main", show) == "9MB 64MB" and c.pid("endpoint main") != pid, "what waited for a start")
    c.argon("endpoint", "reconfigure", "main", "--suspend-after", "1s")
    wait_for("it falls asleep", lambda: c.endpoint("main")["status"] == "suspended")


if __name__ == "__main__":
    sys.exit(cluster.run("reload", reload))

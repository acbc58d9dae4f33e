#!/usr/bin/env python3
"""SIGHUP: the log level is read anew, the log is opened anew, and a mistake in the configuration changes nothing."""
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


if __name__ == "__main__":
    sys.exit(cluster.run("reload", reload))

#!/usr/bin/env python3
"""Records of an extension's resource manager (pgext/test/test_rmgr.c): without the tenant's word for it a page that
needs one is an error that says so, with it a stock server redoes it; all else goes on meanwhile."""
import json
import os
import pathlib
import re
import sys
import urllib.request

import cluster

LIBRARY = pathlib.Path(os.environ["ARGON_TOOLS"]) / "argon_test_rmgr.so"
OFFSET = 4000
SCHEMA = f"""
create extension pageinspect;
create function stamp(regclass, bigint, int, text) returns pg_lsn as '{LIBRARY}', 'argon_test_stamp' language c;
create table good (i int) with (autovacuum_enabled = off);
create table bad (i int) with (autovacuum_enabled = off);
create table other as select generate_series(1, 10000) i;
insert into good values (1);
insert into bad values (1);
checkpoint;
select stamp('good', 0, {OFFSET}, 'first'), stamp('good', 0, {OFFSET + 100}, 'second');
select stamp('bad', 0, {OFFSET}, 'bad record');
"""


def pageserver(c, path):
    text = (c.dir / "argon.toml").read_text()
    address = re.search(r'\[pageserver\].*?listen_http = "([^"]*)"', text, re.S).group(1)
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.read().decode()


def metric(c, name):
    return int(re.search(rf"^{name} (\d+)$", pageserver(c, "/metrics"), re.M).group(1))


def unreadable(c):
    return json.loads(pageserver(c, "/status"))["unreadable_pages"]


def stamped(table, offset, length):
    """What is read of the page, from the pageserver where the server has started anew."""
    return f"select convert_from(substr(get_raw_page('{table}', 0), {offset + 1}, {length}), 'SQL_ASCII')"


def expect_error(c, table, *words):
    done = c.sql("main", f"select length(get_raw_page('{table}', 0))", check=False)
    cluster.expect(done.returncode != 0, f"{table} was read")
    for word in words:
        cluster.expect(word in done.stderr, f"'{word}' is not in: {done.stderr}")


def start_anew(c):
    c.argon("endpoint", "stop", "main")
    c.argon("endpoint", "start", "main")


def extension_redo(c):
    c.start()
    c.tenant_and_endpoint("main", f"shared_preload_libraries = 'argon,{LIBRARY}'")
    c.sql("main", SCHEMA)
    start_anew(c)

    expect_error(c, "good", "record", "resource manager 128", "argon tenant config --redo-extensions")
    cluster.expect(c.sql("main", "select count(*) from other") == "10000", "other tables are read")
    cluster.expect(len(unreadable(c)) == 1 and "resource manager 128" in unreadable(c)[0]["error"],
                   f"the status page shows it: {unreadable(c)}")
    cluster.expect(metric(c, "pageserver_unreadable_pages") == 1, "a metric shows it")
    cluster.expect(metric(c, "pageserver_redo_process_starts_total") == 0, "nothing was started")

    refused = c.argon("tenant", "config", "--redo-extensions", "two words", check=False)
    cluster.expect(refused.returncode != 0 and "'two words' is no library" in refused.stderr, refused.stderr)
    said = c.argon("tenant", "config", "--redo-extensions", LIBRARY).stdout
    cluster.expect(str(LIBRARY) in said, said)
    cluster.expect(c.sql("main", stamped("good", OFFSET, 5)) == "first", "the first stamp is there")
    cluster.expect(c.sql("main", stamped("good", OFFSET + 100, 6)) == "second", "the second stamp is there")
    cluster.expect(metric(c, "pageserver_unreadable_pages") == 0, "the page can be read now")
    cluster.expect(metric(c, "pageserver_redo_process_starts_total") == 1, "one process for both")

    # A record that the extension refuses ends the process; the next one is started for the next page.
    expect_error(c, "bad", "this stamp cannot be redone", "resource manager 128")
    cluster.expect([page["error"] for page in unreadable(c) if "this stamp cannot be redone" in page["error"]],
                   f"the status page shows it: {unreadable(c)}")
    start_anew(c)
    cluster.expect(c.sql("main", stamped("good", OFFSET, 5)) == "first", "the good page is read again")

    # The configuration is the object store's, not this life's.
    c.kill("pageserver")
    c.argon("start")
    start_anew(c)
    cluster.expect(c.argon_json("tenant", "config")["config"] == {"redo_extensions": [str(LIBRARY)]}, "it is kept")
    cluster.expect(c.sql("main", stamped("good", OFFSET, 5)) == "first", "and in force")
    c.argon("tenant", "config", "--redo-extensions", "")
    start_anew(c)
    expect_error(c, "good", "names no library")


if __name__ == "__main__":
    sys.exit(cluster.run("extension-redo", extension_redo))

"""How long an endpoint takes from `argon endpoint start` to its first answered query, on a large timeline that has been worked on for years:
10,000 relations, 200 million transaction ids used and none frozen, 1 GB and 10 GB of rows.
"""
import os
import pathlib
import statistics
import time

from cluster_bench import Cluster, fill, settle, wait_for_compaction

RELATIONS = int(os.environ.get("ARGON_BENCH_START_RELATIONS", "10000"))
XIDS = int(os.environ.get("ARGON_BENCH_START_XIDS", "200000000"))
STARTS, LIMIT_MS = 7, 300
PARTS, FIRST_MB = 20, 1000
MEGABYTES = {"start.first_query_1gb": FIRST_MB, "start.first_query_10gb": 10_000}
NAMES = list(MEGABYTES)
# Autovacuum would freeze what is meant to be old.
SETTINGS = {"autovacuum_freeze_max_age": 2_000_000_000, "autovacuum": "off"}


def age(cluster, library):
    """Many relations, many transaction ids, with rows in between: history that compaction has gone over, but for its end."""
    cluster.sql("main", f"create function consume(bigint) returns void language c strict as '{library}', 'argon_consume_xids'")
    for part in range(PARTS):
        cluster.sql("main", f"do $$ begin for i in 1..{RELATIONS // PARTS} loop execute format('create table relation_{part}_%s (n int)', i); "
                            "end loop; end $$")
        cluster.sql("main", f"select consume({XIDS // PARTS})")
        fill(cluster, "main", FIRST_MB // PARTS)
        settle(cluster)


def first_query_ms(cluster):
    """From the command's start to the answer."""
    cluster.run("endpoint", "stop", "main")
    begin = time.monotonic()
    cluster.run("endpoint", "start", "main")
    cluster.sql("main", "select 1")
    return (time.monotonic() - begin) * 1000


def measure(build, wanted):
    """Yields (name, unit, value, peer, limit, ratio limit)."""
    with Cluster(build) as cluster:
        cluster.run("endpoint", "create", "main", *(word for pair in SETTINGS.items() for word in ("-c", "=".join(map(str, pair)))))
        cluster.run("endpoint", "start", "main")
        age(cluster, pathlib.Path(build) / "tests" / "argon_consume_xids.so")
        have = FIRST_MB
        for name, megabytes in MEGABYTES.items():
            if name.startswith(wanted):
                fill(cluster, "main", megabytes - have)
                have = megabytes
                settle(cluster)
                wait_for_compaction(cluster)
                yield name, "ms", statistics.median(first_query_ms(cluster) for _ in range(STARTS)), None, LIMIT_MS, None

#!/usr/bin/env python3
"""What the pageserver made of a timeline's WAL is, page by page, what a stock server's recovery makes of it (ci/end-state);
the regression suite's is compared by ci/pg-regress --end-state."""
import pathlib
import subprocess
import sys

import cluster

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
WORKLOAD = """
create table t as select i, md5(i::text) m, point(i % 90, i / 90) p, array['a' || i % 7] w from generate_series(1, 20000) i;
alter table t add primary key (i);
create index on t using hash (m);
create index on t using gin (w);
create index on t using gist (p);
create index on t using spgist (p);
create index on t using brin (i);
delete from t where i % 5 = 0;
update t set m = m || 'x' where i % 11 = 0;
vacuum t;
create unlogged table u as select 1;
create sequence s;
select nextval('s');
create database copied strategy file_copy;
create database logged strategy wal_log;
begin; select * from t where i < 10 for share; savepoint a; select * from t where i < 5 for update; commit;
truncate table u;
drop database copied;
"""


def end_state(c):
    c.start()
    c.tenant_and_endpoint("main", "shared_buffers = 16MB")
    c.sql("main", WORKLOAD)
    done = subprocess.run([TREE / "ci/end-state", c.dir, "/usr/lib/postgresql/15"], capture_output=True, text=True)
    cluster.expect(done.returncode == 0, done.stdout + done.stderr)
    print(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(cluster.run("end-state", end_state))

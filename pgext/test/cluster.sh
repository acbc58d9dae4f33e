#!/usr/bin/env bash
# usage: cluster.sh CASE ARGON PG_BINDIR     CASE: setup, one of the cases below, or cleanup
#
# One claim of README.md's table on a real cluster: broker, pageserver, three safekeepers. `setup`
# makes it, with a table on main; every case takes a branch of main and an endpoint of its own with
# 16 MB of shared buffers in shadow mode, so that pages are evicted, read back from the pageserver, and
# compared. The state folder lies in /tmp, since the user postgres must be able to enter it.
set -eu
case_name=$1 argon_program=$2 bindir=$3

number=$(cksum <<<"$argon_program" | cut -d' ' -f1)
work=/tmp/argon_pgext.$(id -u).$number
state=$work/state
endpoint=${ARGON_LABEL:-$case_name}  # and its branch

argon() { "$argon_program" --dir "$state" "$@"; }

stopped=''
finish() {
  local code=$?
  for pid in $stopped; do kill -CONT "$pid" 2>/dev/null || true; done
  if [ $code != 0 ]; then
    echo "case $case_name failed ($code); the endpoint's log ends with:"
    tail -n 40 "$state/endpoints/$endpoint/postgres.log" 2>/dev/null || true
  fi
  [ "$case_name" = cleanup ] || [ -n "${ARGON_KEEP:-}" ] || argon endpoint stop "$endpoint" >/dev/null 2>&1 || true
  exit $code
}
trap finish EXIT

fail() {
  echo "$@"
  exit 1
}

equal() { [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"; }

sql() { "$bindir/psql" -h 127.0.0.1 -p "$port" -U cloud_admin -d "${database:-postgres}" -XAtq -v ON_ERROR_STOP=1 "$@"; }
ask() { sql -c "$1"; }
counter() { ask "select value from argon_counters() where name = '$1'"; }

start_endpoint() {
  argon endpoint start "$endpoint" >/dev/null 2>&1
  port=$(argon endpoint list | awk -v name="$endpoint" '$1 == name { split($2, part, ":"); print part[2] }')
}

restart_endpoint() {
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  start_endpoint
}

case_cleanup() {
  argon stop >/dev/null 2>&1 || true
  # The quorum's WAL makes up for a server that crashes, in silence.
  local crashes
  crashes=$(grep -hE 'ended by signal (4|6|7|8|11)([^0-9]|$)' "$state"/endpoints/*/compute.log || true)
  rm -rf "$work"
  [ -z "$crashes" ] || fail "servers crashed: $crashes"
}

case_setup() {
  if [ -e "$state" ]; then case_cleanup; fi
  mkdir -m 755 "$work"
  argon init --first-port $((20000 + number % 100 * 40)) >/dev/null
  argon start >/dev/null 2>&1
  argon tenant create --set-default >/dev/null 2>&1
  endpoint=main
  argon endpoint create main >/dev/null
  start_endpoint
  sql <<'END'
create function argon_counters(out name text, out value bigint) returns setof record
  as 'argon', 'argon_counters' language c volatile strict;
create function argon_prewarm() returns boolean as 'argon', 'argon_prewarm' language c volatile strict;
create function argon_prewarm_state(out state text, out kept bigint, out listed bigint, out present bigint, out fetched bigint,
  out left_out bigint, out began timestamptz, out ended timestamptz) returns setof record
  as 'argon', 'argon_prewarm_state' language c volatile strict;
create function argon_positions() returns setof record as 'argon', 'argon_positions' language c volatile strict;
create table big as select i, repeat('x', 900) as filler from generate_series(1, 30000) i;
create index big_i on big (i);
END
}

begin() {
  argon timeline branch --branch-name "$endpoint" >/dev/null
  argon endpoint create "$endpoint" --branch-name "$endpoint" -c shared_buffers=16MB -c argon.shadow=on \
    -c max_prepared_transactions=5 -c autovacuum=off "$@" >/dev/null
  start_endpoint
}

# Many times the buffers go through, so that nothing of before stays. (A sequential scan of a big table
# would use a small ring; an index scan takes any buffer.)
evict() {
  for _ in 1 2 3; do
    ask "set enable_seqscan = off; set enable_bitmapscan = off; select sum(length(filler)) from big where i > 0" >/dev/null
  done
}

until_true() {
  for _ in $(seq 400); do
    [ "$(ask "$1")" != t ] || return 0
    sleep 0.05
  done
  fail "did not come true: $1"
}

no_errors() {
  if grep -hE 'PANIC|argon shadow:|invalid page|could not read block' "$state/endpoints/$endpoint/postgres.log" | grep -v "${expected_panic:-^$}"; then
    fail "the log has errors"
  fi
}

case_command_ids() {
  begin
  ask "create table t (a int, b int)"
  equal 'cursor, snapshot of its command' "$(sql <<'END'
begin;
insert into t select i, 0 from generate_series(1, 20000) i;
declare c cursor for select count(*), sum(b) from t;
insert into t select a, 1 from t;
update t set b = b + 1 where a % 2 = 0;
set local enable_seqscan = off;
set local enable_bitmapscan = off;
select sum(length(filler)) > 0 from big where i > 0;
select sum(length(filler)) > 0 from big where i > 0;
select sum(length(filler)) > 0 from big where i > 0;
fetch all c;
select count(*), sum(b) from t;
savepoint s;
delete from t where b = 2;
rollback to s;
select count(*) from t;
commit;
END
)" 't
t
t
20000|0
40000|40000
40000'
  [ "$(counter local_pages_read)" -gt 0 ] || fail 'no page with command ids was read back from here'
}

cycle_pages() {
  ask "select string_agg(b::text, ' ' order by b) from generate_series(1, pg_relation_size('t_a') / 8192 - 1) b
       where substring(get_raw_page('t_a', b::int) from 8191) not in ('\\x0000', '\\x0000')
         and get_byte(get_raw_page('t_a', b::int), 8191) < 255"
}

case_cycle_id() {
  begin
  sql <<'END'
create extension pageinspect;
create extension amcheck;
create table t (a int, pad text);
insert into t select i * 10, repeat('p', 20) from generate_series(1, 60000) i;
create index t_a on t (a);
delete from t where a % 50 = 0;
END
  # An index-only scan keeps its leaf pinned, which the vacuum of the index waits for.
  (sql -c 'begin' -c 'set local enable_seqscan = off' -c 'set local enable_bitmapscan = off' -c 'set local enable_sort = off' \
    -c 'declare c cursor for select a from t order by a desc' -c 'fetch 1 from c' -c 'select pg_sleep(100)' || true) \
    >"$work/pin" 2>&1 &
  until_true "select count(*) = 1 from pg_stat_activity where query = 'select pg_sleep(100)'"
  (sql -c 'vacuum (index_cleanup on) t' || true) >"$work/vacuum" 2>&1 &
  until_true "select count(*) = 1 from pg_stat_activity where wait_event = 'BufferPin' and query like 'vacuum%'"
  ask "insert into t select i * 10 + 3, 'q' from generate_series(20000, 40000) i"
  local before after
  before=$(cycle_pages)
  [ -n "$before" ] || fail 'no page was split while the vacuum ran'
  evict
  after=$(cycle_pages)
  equal 'a vacuum runs' "$(ask 'select count(*) from pg_stat_progress_vacuum')" 1
  for page in $before; do
    [[ " $after " == *" $page "* ]] || fail "page $page lost its cycle id (before: $before; after: $after)"
  done
  ask "select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(100)'" >/dev/null
  wait
  ask 'vacuum (index_cleanup on) t'
  ask "select bt_index_check('t_a', true)" >/dev/null
}

case_unlogged() {
  begin -c argon.max_local_pages=16
  # Their pages are no kept pages of a permanent relation: not counted as such, and never logged.
  equal 'images logged of an unlogged table' "$(sql <<'END'
create unlogged table u_big as select i, repeat('u', 900) from generate_series(1, 20000) i;
select value from argon_counters() where name = 'images_logged';
END
)" 0
  sql <<'END'
create unlogged table u (a int primary key, words text[]);
create index u_gin on u using gin (words);
insert into u select i, array['w' || i % 10, 'v' || i % 7] from generate_series(1, 40000) i;
create index u_late on u using gist (point(a, a));
create index u_sorted on u (a);
create unlogged sequence us;
create table kept as select generate_series(1, 1000) a;
END
  # What a build kept is no more than the files of an unlogged relation.
  [ "$(counter local_pages_now)" -lt 16 ] || fail 'pages of builds that have ended count as kept'
  evict
  ask checkpoint
  evict
  equal 'unlogged rows' "$(ask "select count(*), sum(a) from u")" '40000|800020000'
  equal 'unlogged GIN' "$(ask "set enable_seqscan = off; select count(*) from u where words @> '{w3}'")" 4000
  restart_endpoint
  equal 'unlogged table after a restart' "$(ask 'select count(*) from u')" 0
  equal 'its indexes' "$(ask "insert into u values (7, '{w3}'); set enable_seqscan = off;
    select count(*) from u where a = 7 and words @> '{w3}'")" 1
  equal 'the late index' "$(ask "set enable_seqscan = off; select count(*) from u where point(a, a) <@ box '((6,6),(8,8))'")" 1
  equal 'a logged table' "$(ask 'select sum(a) from kept')" 500500
}

index_answers() {
  ask "set enable_seqscan = $1; set enable_indexscan = $2; set enable_bitmapscan = $2;
       select (select count(*) from g where words @> '{5,12}'), (select count(*) from g where at <@ box '((0,0),(3000,50))'),
              (select count(*) from g where txt like 'ab1%'), (select count(*) from g where id = 777),
              (select count(*) from g where id between 100 and 30000)"
}

case_index_builds() {
  begin -c maintenance_work_mem=1MB
  sql <<'END'
create table g as select i as id, array[i % 1000, i % 77, i % 13] as words, point(i, i % 100) as at,
  'ab' || i as txt, repeat('f', 60) as pad from generate_series(1, 100000) i;
create index on g using gin (words);
create index on g using gist (at);
create index on g using spgist (at);
create index on g using spgist (txt);
create index on g using hash (id);
create index on g using brin (id);
END
  evict
  local want
  want=$(index_answers on off)
  equal 'indexes' "$(index_answers off on)" "$want"
  restart_endpoint
  equal 'indexes after a restart' "$(index_answers off on)" "$want"
}

case_sequence() {
  begin
  ask 'create sequence s'
  for want in 1 2 3; do
    equal 'nextval under eviction' "$(ask "select nextval('s')")" $want
    evict
    ask checkpoint
  done
  restart_endpoint
  [ "$(ask "select nextval('s')")" -gt 3 ] || fail 'a sequence went backward over a restart'
}

case_dirty_fsm() {
  begin
  for round in 1 2; do
    sql -c "create table f$round as select i, repeat('z', 200) pad from generate_series(1, 20000) i" \
      -c "delete from f$round where i % 3 = 0" -c "vacuum f$round"
    ask "insert into f$round select i, 'k' from generate_series(1, 2000) i"
    # The sidecar would checkpoint first; told by somebody else to stop, the server does not.
    local before
    before=$(ask 'select pg_postmaster_start_time()')
    kill -INT "$(head -n 1 "$state/endpoints/$endpoint/pgdata/postmaster.pid")"
    for _ in $(seq 200); do
      [ "$(ask 'select pg_postmaster_start_time()' 2>/dev/null || echo "$before")" = "$before" ] || break
      sleep 0.1
    done
    [ "$(ask 'select pg_postmaster_start_time()')" != "$before" ] || fail 'the server was not started anew'
    equal "rows, round $round" "$(ask "select count(*) from f$round")" 15334
  done
  ask 'insert into f1 select i, repeat(chr(65), 200) from generate_series(1, 5000) i'
}

case_visibility_map() {
  begin
  sql -c 'create extension pg_visibility' -c 'create extension amcheck' \
    -c "create table v as select i as a, 0 as b, repeat('y', 300) as pad from generate_series(1, 20000) i" \
    -c 'create index v_a on v (a)' -c 'vacuum v'
  for round in 1 2; do
    evict
    ask "update v set b = b + 1 where a % 97 = $round; delete from v where a % 89 = $round"
    evict
    local by_index by_table
    by_index=$(ask 'set enable_seqscan = off; set enable_bitmapscan = off; select count(a) from v where a > 0')
    by_table=$(ask 'set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off; select count(a) from v')
    equal "index-only scan, round $round" "$by_index" "$by_table"
    equal 'pg_check_visible' "$(ask "select count(*) from pg_check_visible('v')")" 0
    ask 'vacuum v'
    evict
    equal 'pg_check_visible after vacuum' "$(ask "select count(*) from pg_check_visible('v')")" 0
  done
  equal 'verify_heapam' "$(ask "select count(*) from verify_heapam('v')")" 0
}

case_file_copy() {
  begin
  ask 'create database original'
  database=original sql -c "create table o as select i a from generate_series(1, 50000) i" -c 'create sequence os' \
    -c "select nextval('os')" >/dev/null
  ask 'create database copied template original strategy file_copy'
  equal 'rows of the copy' "$(database=copied ask 'select count(*), sum(a) from o')" '50000|1250025000'
  local folder=$work/space_$endpoint
  install -d -m 700 "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
  ask "create tablespace elsewhere location '$folder'"
  ask 'alter database copied set tablespace elsewhere'
  evict
  equal 'rows of the moved' "$(database=copied ask 'select count(*), sum(a) from o')" '50000|1250025000'
  ask 'drop database copied'
  ask 'create database copied template original strategy file_copy'
  equal 'rows of the second copy' "$(database=copied ask 'select count(*) from o')" 50000
}

# The words that stop and continue all safekeepers, to be used inside a session by \!. What the session
# writes meanwhile is flushed here, but cannot get to the pageserver, which serves what it has: a read
# asked at too old an LSN is answered at once, and wrong. Nothing can be acknowledged while they stand
# still, so the session commits asynchronously.
hold_back() {
  local n pids=''
  for n in 1 2 3; do pids="$pids $(cat "$state/safekeepers/sk$n/safekeeper.pid")"; done
  stopped=$pids
  held="kill -STOP$pids"
  # The last statement, which has to wait, starts while they stand still.
  freed="(sleep 2; kill -CONT$pids) >/dev/null 2>&1 &"
}

evict_in_session="set enable_seqscan = off; set enable_bitmapscan = off;
select sum(length(filler)) > 0 from big where i > 0;
select sum(length(filler)) > 0 from big where i > 0;
select sum(length(filler)) > 0 from big where i > 0;
reset enable_seqscan; reset enable_bitmapscan;"

caught_up() {
  ask checkpoint
  for _ in $(seq 100); do
    local lsn
    lsn=$(ask 'select pg_current_wal_flush_lsn()')
    sleep 0.1
    [ "$(ask "select lsn >= '$lsn' from argon_positions() as p(name text, lsn pg_lsn) where name = 'pageserver_received'")" = t ] && return
  done
  fail 'the pageserver does not catch up'
}

# Of the visibility map: bits are cleared without moving the page's LSN, and before the record is written.
case_vm_bits_cleared() {
  begin
  sql -c "create table v as select i as a, repeat('y', 300) as pad from generate_series(1, 5000) i" \
    -c 'create index v_a on v (a)' -c 'vacuum v'
  caught_up
  hold_back
  equal 'an index-only scan behind an evicted map page' "$(sql <<END
set synchronous_commit = off;
\! $held
delete from v where a <= 2000;
$evict_in_session
set enable_seqscan = off; set enable_bitmapscan = off;
\! $freed
select count(a) from v where a > 0;
END
)" 't
t
t
3000'
}

# Of a heap page: VACUUM sets PD_ALL_VISIBLE without moving its LSN; a DELETE that does not see the flag
# leaves the bit in the map.
case_vm_flag_set() {
  begin
  sql -c 'create extension pg_visibility' \
    -c "create table v as select i as a, repeat('y', 300) as pad from generate_series(1, 5000) i"
  caught_up
  hold_back
  sql >/dev/null <<END
set synchronous_commit = off;
select count(*) from v;
delete from v where a < 0;
\! $held
vacuum (truncate off) v;
delete from v where a < 0;
$evict_in_session
\! $freed
delete from v where a <= 2000;
END
  until_true 'select true'
  equal 'pages marked visible that are not' "$(ask "select count(*) from pg_check_visible('v')")" 0
  equal 'rows' "$(ask 'select count(*) from v')" 3000
}

# CREATE DATABASE by file copy and ALTER DATABASE SET TABLESPACE give pages new names by WAL records that
# name no page: what is then read under the new name must be asked at an LSN behind them.
case_file_copy_behind() {
  begin
  local folder=$work/space_$endpoint
  install -d -m 700 "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
  ask 'create database original'
  database=original sql -c "create table o as select i a from generate_series(1, 50000) i"
  ask "create tablespace behind location '$folder'"
  database=original ask 'select count(*) from o' >/dev/null
  caught_up
  hold_back
  equal 'rows of the copy' "$(PGOPTIONS='-c synchronous_commit=off' sql <<END
\! $held
create database copied template original strategy file_copy;
\! $freed
\c copied
select count(*), sum(a) from o;
END
)" '50000|1250025000'
  caught_up
  equal 'rows of the moved' "$(PGOPTIONS='-c synchronous_commit=off' sql <<END
\! $held
alter database copied set tablespace behind;
\! $freed
\c copied
select count(*), sum(a) from o;
END
)" '50000|1250025000'
  # There and back: what is remembered of the first time there is older than the second move.
  database=copied sql -c 'update o set a = a + 1'
  ask 'alter database copied set tablespace pg_default'
  database=copied ask 'select count(*) from o' >/dev/null
  caught_up
  equal 'rows of the moved back' "$(PGOPTIONS='-c synchronous_commit=off' sql <<END
\! $held
alter database copied set tablespace behind;
\! $freed
\c copied
select count(*), sum(a) from o;
END
)" '50000|1250075000'
}

case_set_tablespace() {
  begin
  local folder=$work/space_$endpoint
  install -d -m 700 "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
  sql -c "create table m as select i as a, repeat('m', 200) as pad from generate_series(1, 20000) i" \
    -c 'create index m_a on m (a)' -c "create tablespace tables location '$folder'"
  caught_up
  hold_back
  equal 'rows of the moved table' "$(sql <<END
set synchronous_commit = off;
\! $held
alter table m set tablespace tables;
alter index m_a set tablespace tables;
$evict_in_session
\! $freed
select count(*), sum(a) from m;
END
)" 't
t
t
20000|200010000'
  equal 'by its index' "$(ask 'set enable_seqscan = off; select count(*) from m where a > 5000')" 15000
  restart_endpoint
  equal 'rows after a restart' "$(ask 'select count(*), sum(a) from m')" '20000|200010000'
  ask 'alter table m set tablespace pg_default'
  evict
  equal 'rows of the table moved back' "$(ask 'select count(*), sum(a) from m')" '20000|200010000'
}

case_truncate() {
  begin
  sql -c "create table c as select i as a, repeat('c', 400) as pad from generate_series(1, 30000) i" -c 'create index c_a on c (a)'
  evict
  sql -c 'delete from c where a > 1000' -c 'vacuum c'
  [ "$(ask "select pg_relation_size('c') < 1000000")" = t ] || fail 'vacuum did not truncate'
  evict
  ask "insert into c select i, repeat('d', 400) from generate_series(1001, 20000) i"
  evict
  equal 'rows after truncation' "$(ask 'select count(*), sum(a) from c')" '20000|200010000'
  sql -c 'truncate c' -c "insert into c values (1, 'x')"
  restart_endpoint
  equal 'rows after TRUNCATE and restart' "$(ask 'select count(*) from c')" 1
  # In the critical section of a truncation nobody may wait for the network: it ends while the
  # pageserver stands still.
  local pid
  pid=$(cat "$state"/pageserver_*/*.pid)
  stopped=$pid
  ask 'begin; create table warm (a int); insert into warm values (1); truncate warm; rollback'
  local seconds
  seconds=$(sql <<END
begin;
create table warm as select i a from generate_series(1, 10) i;
truncate warm;
rollback;
select extract(epoch from clock_timestamp())::int as t0 \gset
select extract(epoch from clock_timestamp())::int - :t0 > 1000;
begin;
create table d as select i as a from generate_series(1, 50000) i;
\! kill -STOP $pid; (sleep 15; kill -CONT $pid) >/dev/null 2>&1 & echo \$! >"$state/rescuer"
select extract(epoch from clock_timestamp())::int as t0 \gset
truncate d;
select extract(epoch from clock_timestamp())::int - :t0;
\! kill -CONT $pid; kill \$(cat "$state/rescuer")
insert into d values (7);
commit;
END
)
  seconds=${seconds#f?}
  [ "$seconds" -le 5 ] || fail "a truncation waited $seconds s for the pageserver"
  equal 'rows after a truncation without the pageserver' "$(ask 'select count(*), sum(a) from d')" '1|7'
}

# Nobody confirms that this is the primary still: statements wait for as long as that lasts, and can be cancelled.
case_read_lease() {
  begin -c argon.read_lease=2s
  ask 'create table t as select i from generate_series(1, 100) i'
  sleep 3
  equal 'idle for longer than a lease' "$(ask 'select count(*) from t')" 100
  equal 'waits so far' "$(ask "select value <= 1 from argon_counters() where name = 'read_lease_waits'")" t
  local what='' said
  for what in quorum sidecar; do
    if [ $what = quorum ]; then
      freeze_quorum
    else
      stopped=$(cat "$state/endpoints/$endpoint/compute.pid")
      kill -STOP "$stopped"
    fi
    equal "within the lease, without the $what" "$(ask 'select count(*) from t')" 100
    sleep 2.5
    said=$(PGOPTIONS='-c statement_timeout=500' ask 'select count(*) from t' 2>&1 || true)
    [[ $said == *'canceling statement due to statement timeout'* ]] || fail "beyond it, without the $what: $said"
    said=$(PGOPTIONS='-c statement_timeout=500' ask 'copy t to stdout' 2>&1 || true)
    [[ $said == *'canceling statement due to statement timeout'* ]] || fail "COPY beyond it, without the $what: $said"
    equal 'what reads nothing goes on' "$(sql -c begin -c "set application_name = 'there'" -c 'show application_name' -c rollback)" there
    (sleep 1; kill -CONT $stopped) &
    equal "the $what is back" "$(ask 'select count(*) from t')" 100
    wait
    stopped=''
  done
}

# Another endpoint has taken the timeline over, and this one has not heard of it.
case_cut_off() {
  begin -c argon.shadow=off
  ask 'create table t as select i, 0 as by from generate_series(1, 5000) i'
  ask 'select count(*) from t' >/dev/null
  evict
  local own=$endpoint own_port=$port pid_file=$state/endpoints/$endpoint/compute.pid
  stopped=$(cat "$pid_file")
  kill -STOP "$stopped"
  mv "$pid_file" "$pid_file.hidden"  # a second primary is refused on the same machine
  argon endpoint create "${own}_other" --branch-name "$own" -c shared_buffers=16MB >/dev/null
  endpoint=${own}_other
  start_endpoint
  ask 'update t set by = 1'
  ask 'checkpoint'
  local said
  said=$(port=$own_port ask 'select count(*), sum(by) from t' 2>&1 || true)
  [[ $said == *'this server is cut off: block '*' was changed at LSN '*' by another endpoint'* ]] ||
    fail "the former primary says: $said"
  equal 'rows at the one that writes' "$(ask 'select count(*), sum(by) from t')" '5000|5000'
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  endpoint=$own
  mv "$pid_file.hidden" "$pid_file"
  # It is told at last, and ends.
  local sidecar=$stopped
  thaw
  for _ in $(seq 200); do
    kill -0 "$sidecar" 2>/dev/null || break
    sleep 0.1
  done
  start_endpoint
  equal 'rows once it is the primary again' "$(ask 'select count(*), sum(by) from t')" '5000|5000'
}

# Stops two of three safekeepers, so that no quorum is left.
freeze_quorum() {
  local n
  for n in 1 2; do
    local pid
    pid=$(cat "$state/safekeepers/sk$n/safekeeper.pid")
    kill -STOP "$pid"
    stopped="$stopped $pid"
  done
}

thaw() {
  for pid in $stopped; do kill -CONT "$pid"; done
  stopped=''
}

waiting_pid() {
  for _ in $(seq 100); do
    local pid
    pid=$(ask "select pid from pg_stat_activity where wait_event = 'SyncRep' and query like '%values ($1)%' limit 1")
    if [ -n "$pid" ]; then
      echo "$pid"
      return
    fi
    sleep 0.05
  done
  fail "the commit of $1 does not wait for the quorum"
}

case_commit_hold() {
  begin
  ask 'create table h (a int)'
  ask 'insert into h values (0)'
  ask 'select count(*) from h' >/dev/null
  freeze_quorum
  (sql -c 'insert into h values (1)' || true) >"$work/canceled" 2>&1 &
  ask "select pg_cancel_backend($(waiting_pid 1))" >/dev/null
  (sql -c 'insert into h values (2)' || true) >"$work/terminated" 2>&1 &
  ask "select pg_terminate_backend($(waiting_pid 2))" >/dev/null
  (PGOPTIONS='-c statement_timeout=1500' sql -c 'insert into h values (3)' || true) >"$work/timed" 2>&1 &
  waiting_pid 3 >/dev/null
  (PGOPTIONS='-c synchronous_commit=local' sql -c 'insert into h values (4)' || true) >"$work/local" 2>&1 &
  waiting_pid 4 >/dev/null
  (sql -c "begin; insert into h values (5); prepare transaction 'p'" || true) >"$work/prepared" 2>&1 &
  ask "select pg_cancel_backend($(waiting_pid 5))" >/dev/null
  sleep 2
  equal 'rows visible without a quorum' "$(ask 'select count(*) from h')" 1
  equal 'settings that a user cannot change' \
    "$(sql -c "alter system set synchronous_standby_names = ''" -c 'select pg_reload_conf()' -c 'show synchronous_standby_names')" \
    't
argon'
  thaw
  wait
  equal 'rows once the quorum is back' "$(ask 'select count(*) from h')" 5
  equal 'prepared' "$(ask 'select gid from pg_prepared_xacts')" p
  ask "commit prepared 'p'"
  equal 'rows at the end' "$(ask 'select count(*) from h')" 6
}

refused() {
  local want=$1 out
  shift
  if out=$("$@" 2>&1); then fail "was not refused: $*"; fi
  grep -qF -- "$want" <<<"$out" || fail "refused with other words: $out"
}

case_walsenders() {
  begin
  local to="host=127.0.0.1 port=$port user=cloud_admin"
  refused 'Run pg_basebackup against the pageserver' "$bindir/pg_basebackup" -d "$to" -D "$work/copy"
  refused 'an endpoint serves no physical replication' "$bindir/psql" "$to replication=true" -c IDENTIFY_SYSTEM
  refused "is the synchronous standby's name" "$bindir/psql" "$to replication=database dbname=postgres application_name=Argon" -c 'select 1'
  refused "is the synchronous standby's name" "$bindir/psql" "$to replication=database dbname=postgres" -v ON_ERROR_STOP=1 \
    -c "set application_name = 'argon'"
  local command logical="$to replication=database dbname=postgres"
  # Before anything of it is done: a backup begins with a checkpoint.
  local checkpoint='select checkpoint_lsn from pg_control_checkpoint()' before
  before=$(ask "$checkpoint")
  refused 'Run pg_basebackup against the pageserver' "$bindir/psql" "$logical" -v ON_ERROR_STOP=1 -c 'BASE_BACKUP'
  refused 'Run pg_basebackup against the pageserver' "$bindir/psql" "$logical options='-c log_replication_commands=off'" \
    -v ON_ERROR_STOP=1 -c "BASE_BACKUP (LABEL 'x', CHECKPOINT 'fast')"
  equal 'the last checkpoint' "$(ask "$checkpoint")" "$before"
  refused 'Run pg_basebackup against the pageserver' "$bindir/psql" "$logical options='-c log_min_messages=panic'" \
    -v ON_ERROR_STOP=1 -c 'BASE_BACKUP'
  for command in 'BASE_BACKUP' "BASE_BACKUP (LABEL 'x', CHECKPOINT 'fast')" 'START_REPLICATION 0/0' \
    'START_REPLICATION PHYSICAL 0/1000000 TIMELINE 1'; do
    refused 'Run pg_basebackup against the pageserver' "$bindir/psql" "$logical" -v ON_ERROR_STOP=1 -c "$command"
  done
  equal 'WAL behind a switch of segments' "$(sql -c 'select pg_switch_wal() is not null' -c 'create table s as select 7 a' -c 'select a from s')" 't
7'
  equal 'a logical walsender' "$("$bindir/psql" "$to replication=database dbname=postgres" -XAtqc 'select 7')" 7
}

# Two safekeepers stand still: what is committed here cannot be had by logical decoding, of either kind.
case_decode_hold() {
  begin -c wal_level=logical
  sql -c 'create table d (i int)' -c "select pg_create_logical_replication_slot(name, 'test_decoding') from unnest(array['by_sql', 'by_walsender']) name" >/dev/null
  local two n
  for n in 1 2; do two="${two:-} $(cat "$state/safekeepers/sk$n/safekeeper.pid")"; done
  stopped=$two
  kill -STOP $two
  sql -c 'insert into d values (42)' >/dev/null &
  local writer=$! receiver="$work/received" changes="select data from pg_logical_slot_peek_changes('by_sql', null, null)"
  until_true "select count(*) = 1 from pg_stat_activity where wait_event = 'SyncRep'"
  "$bindir/pg_recvlogical" -h 127.0.0.1 -p "$port" -U cloud_admin -d postgres -S by_walsender --start --no-loop -f - >"$receiver" &
  local reader=$!
  until_true "select active from pg_replication_slots where slot_name = 'by_walsender'"
  refused 'canceling statement due to statement timeout' sql -c 'set statement_timeout = 2000' -c "$changes"
  equal 'what a walsender sent' "$(grep -c 42 "$receiver")" 0
  kill -CONT $two
  wait $writer
  equal 'the change, by SQL' "$(ask "$changes" | grep -c 42)" 1
  for n in $(seq 100); do
    ! grep -q 'COMMIT' "$receiver" || break
    sleep 0.1
  done
  equal 'the change, by a walsender' "$(grep -c 42 "$receiver")" 1
  # What is left to decode does not keep the server from stopping, quorum or not.
  kill -STOP $two
  sql -c 'set synchronous_commit = off' -c 'insert into d values (43)'
  argon endpoint stop "$endpoint" >/dev/null 2>&1 &
  local stopper=$!
  wait $reader || true
  kill -CONT $two
  wait $stopper
  equal 'what no quorum had' "$(grep -c 43 "$receiver")" 0
  start_endpoint
  equal 'after a new start' "$(ask 'select * from d')" '42
43'
}

# The endpoint's own replication slot: the user has as many as were asked for, and sees no others.
case_own_slot() {
  begin -c max_replication_slots=2
  local slots='select slot_name, slot_type from pg_replication_slots order by 1'
  equal 'slots of the user, before' "$(ask "$slots")" ''
  equal 'the setting' "$(ask 'show max_replication_slots')" 2
  ask "select pg_create_physical_replication_slot('one'), pg_create_physical_replication_slot('two')" >/dev/null
  equal 'slots of the user' "$(ask "$slots")" 'one|physical
two|physical'
  refused 'all replication slots are in use' sql -c "select pg_create_physical_replication_slot('three')"
  equal 'by a cursor that goes back' "$(sql <<'END'
begin;
declare c scroll cursor for select slot_name from pg_replication_slots order by 1;
fetch last c;
fetch first c;
commit;
END
)" 'two
one'
  # A reload compares the setting with what was given, not with what it became.
  local loaded
  loaded=$(ask 'select pg_conf_load_time()')
  echo "max_replication_slots = 2" >>"$state/endpoints/$endpoint/pgdata/postgresql.conf"
  ask 'select pg_reload_conf()' >/dev/null
  until_true "select pg_conf_load_time() > '$loaded'"
  equal 'waits for a restart' "$(ask "select pending_restart, setting from pg_settings where name = 'max_replication_slots'")" 'f|2'
  if grep 'max_replication_slots.*cannot be changed' "$state/endpoints/$endpoint/postgres.log"; then fail 'the reload complains'; fi
  # It works all the same: commits are acknowledged, and it pins WAL.
  ask 'create table t as select 1 a' >/dev/null
  refused 'replication slot "argon" is active' sql -c "select pg_drop_replication_slot('argon')"
}

# The pageserver stands still: reads wait, can be cancelled, and are right afterwards.
case_held_back() {
  begin
  evict
  local pid
  pid=$(cat "$state"/pageserver_*/*.pid)
  stopped=$pid
  # What ships WAL must not wait for pages, which may wait for that very WAL: it is logged in nowhere.
  # (Whoever logs in is listed there.)
  equal 'the worker is logged in' "$(ask "select count(*) from pg_stat_activity where backend_type = 'argon WAL worker'")" 0
  local out
  out=$(sql -v ON_ERROR_STOP=0 <<END 2>&1
create table w as select i from generate_series(1, 1999) i;
insert into w values (1000);
select count(*) from big where i < 10;
\! kill -STOP $pid
insert into w values (1000);
set statement_timeout = 1000;
select count(*) from big where filler like 'x%';
set statement_timeout = 0;
\! kill -CONT $pid
select count(*) from big where filler like 'x%';
select sum(i) from w;
END
)
  equal 'a read that waits, is cancelled, and comes back' "$out" '9
ERROR:  canceling statement due to statement timeout
30000
2001000'
}

# More pages with command ids than may be kept here: full images of them are logged.
case_image_fallback() {
  begin -c argon.max_local_pages=16
  ask "create table t (a int, b int)"
  equal 'cursor, snapshot of its command' "$(sql <<END
begin;
insert into t select i, 0 from generate_series(1, 20000) i;
declare c cursor for select count(*), sum(b) from t;
insert into t select a, 1 from t;
update t set b = b + 1 where a % 2 = 0;
$evict_in_session
fetch all c;
select count(*), sum(b) from t;
create sequence taken;
select sum(nextval('taken')) from generate_series(1, 5);
$evict_in_session
select sum(nextval('taken')) from generate_series(1, 5);
create unlogged table small as select point(i, i) p from generate_series(1, 10) i;
create index small_p on small using spgist (p);
set local enable_seqscan = off;
select count(*) from small where p <@ box '((3,3),(5,5))';
reset enable_seqscan;
savepoint s;
delete from t where b = 2;
rollback to s;
select count(*) from t;
commit;
END
)" 't
t
t
20000|0
40000|40000
15
t
t
t
40
3
40000'
  local images
  images=$(counter images_logged)
  [ "$images" -gt 100 ] || fail "only $images full images were logged"
  [ "$(counter local_pages_now)" -le 20 ] || fail "$(counter local_pages_now) pages are kept here"
  restart_endpoint
  equal 'rows after a restart' "$(ask 'select count(*), sum(b) from t')" '40000|40000'
  [ "$(ask "select nextval('taken')")" -gt 10 ] || fail 'a sequence hands out again what was taken'
  # Pages of a build are written again and again before they are logged, or known to be unlogged.
  local kind
  for kind in '' unlogged; do
    sql <<END
create $kind table built as select i a, array['w' || i % 10, 'v' || i % 7, 'u' || i % 3000] words from generate_series(1, 30000) i;
create index built_hash on built using hash (a);
create index built_gin on built using gin (words);
create index built_gist on built using gist (point(a % 1000, a));
create index built_spgist on built using spgist (point(a % 1000, a));
END
    evict
    equal "hash index of a $kind table" "$(ask "set enable_seqscan = off;
      select count(*) from generate_series(1, 30000, 100) i where exists (select from built where a = i)")" 300
    equal "GIN index of a $kind table" "$(ask "set enable_seqscan = off; select count(*) from built where words @> '{u77}'")" 10
    local method
    for method in gist spgist; do
      equal "$method index of a $kind table" "$(sql <<END
begin;
drop index built_$([ $method = gist ] && echo spgist || echo gist);
set local enable_seqscan = off;
select count(*) from built where point(a % 1000, a) <@ box '((10,0),(19,30000))';
rollback;
END
)" 300
    done
    sql <<'END'
drop table built;
END
  done
}

# The pageserver takes no WAL: writers are slowed down before it is much more than the limit behind.
case_backpressure() {
  begin -c argon.max_write_lag=1MB -c argon.shadow=off
  ask "create table p (a int, pad text)"
  local pid
  pid=$(cat "$state"/pageserver_*/*.pid)
  stopped=$pid
  # Everything the session needs of the catalogs is read before the pageserver stands still.
  local lag="select (pg_current_wal_insert_lsn() - lsn) / 1048576 < 5
             from argon_positions() as p(name text, lsn pg_lsn) where name = 'pageserver_received';"
  local slowed="select value > 1000000 from argon_counters() where name = 'backpressure_us';"
  equal 'what a writer sees' "$(sql -v ON_ERROR_STOP=0 <<END 2>&1
insert into p select i, repeat('p', 500) from generate_series(1, 100) i;
$lag
$slowed
\! kill -STOP $pid
set statement_timeout = 4000;
insert into p select i, repeat('p', 500) from generate_series(1, 200000) i;
set statement_timeout = 0;
$lag
$slowed
\! kill -CONT $pid
insert into p select i, repeat('p', 500) from generate_series(1, 20000) i;
select count(*) from p;
END
)" 't
f
ERROR:  canceling statement due to statement timeout
t
t
20100'
}

# What the cluster has may not grow beyond argon.max_cluster_size, and space can be given back there.
case_quota() {
  begin
  ask "create function cluster_size() returns bigint as 'argon', 'argon_cluster_size' language c"
  ask "create table q as select i, repeat('q', 1000) as filler from generate_series(1, 3000) i"
  until_true "select cluster_size() / 1048576 >= (select sum(pg_database_size(oid)) from pg_database) / 1048576"
  argon endpoint reconfigure quota -c "argon.max_cluster_size=$(($(ask 'select cluster_size() / 1048576') + 3))MB" >/dev/null
  local said
  said=$(ask "insert into q select i, repeat('q', 1000) from generate_series(1, 20000) i" 2>&1 || true)
  case $said in *'argon.max_cluster_size is'*) ;; *) fail "what a writer beyond the limit is told: $said" ;; esac
  equal 'the rows of before' "$(ask 'select count(*) from q')" 3000
  equal 'no more than the limit and what came before a word of it' \
    "$(ask "select cluster_size() <= (regexp_replace(current_setting('argon.max_cluster_size'), 'MB', '')::bigint + 1) * 1048576")" t
  ask 'truncate q'
  until_true "select cluster_size() / 1048576 < regexp_replace(current_setting('argon.max_cluster_size'), 'MB', '')::bigint - 2"
  ask "insert into q select i, repeat('q', 1000) from generate_series(1, 1000) i"
  equal 'rows where room was made' "$(ask 'select count(*) from q')" 1000
  argon endpoint reconfigure quota --reset argon.max_cluster_size >/dev/null
  ask "insert into q select i, repeat('q', 1000) from generate_series(1, 20000) i"
  equal 'rows without a limit' "$(ask 'select count(*) from q')" 21000
}

# Where pages came from, behind the output of EXPLAIN (ANALYZE, BUFFERS), where it was asked for.
case_explain() {
  begin
  evict
  local plain text json
  plain=$(ask 'explain (analyze, buffers) select count(*) from big')
  case $plain in *Argon*) fail "nobody asked for it: $plain" ;; esac
  evict
  text=$(sql -c 'set argon.explain = on' -c 'set max_parallel_workers_per_gather = 0' -c 'explain (analyze, buffers) select count(*) from big')
  echo "$text" | grep -q 'Argon: Pages Read From Pageserver: [1-9]' || fail "no pages: $text"
  evict
  json=$(sql -c 'set argon.explain = on' -c 'set max_parallel_workers_per_gather = 0' -c 'explain (analyze, buffers, format json) select count(*) from big')
  equal 'JSON' "$(echo "$json" | python3 -c 'import json, sys; print(json.load(sys.stdin)[1]["Pages Read From Pageserver"] > 100)')" True
}

# A hot standby must not have less of these than the primary had: a static endpoint takes them over.
case_static_settings() {
  begin -c max_connections=150 -c max_locks_per_transaction=100 -c max_worker_processes=12
  ask 'create table r as select generate_series(1, 1000) a'
  local lsn
  lsn=$(ask 'select pg_current_wal_flush_lsn()')
  argon endpoint create "${endpoint}_ro" --branch-name "$endpoint" --lsn "$lsn" -c max_worker_processes=4 -c max_connections=200 >/dev/null
  argon endpoint start "${endpoint}_ro" >/dev/null 2>&1 || fail "the static endpoint does not start: $(tail -n 5 "$state/endpoints/${endpoint}_ro/postgres.log")"
  port=$(argon endpoint list | awk -v name="${endpoint}_ro" '$1 == name { split($2, part, ":"); print part[2] }')
  equal 'settings of the static endpoint' "$(sql -c 'show max_connections' -c 'show max_locks_per_transaction' -c 'show max_worker_processes' \
    -c 'show max_prepared_transactions' -c 'select count(*) from r')" '200
100
12
5
1000'
  argon endpoint stop "${endpoint}_ro" >/dev/null 2>&1
  port=$(argon endpoint list | awk -v name="$endpoint" '$1 == name { split($2, part, ":"); print part[2] }')
}

# Every root timeline has a system identifier of its own.
case_system_id() {
  begin
  local query='select system_identifier from pg_control_system()' mine other tenant
  mine=$(ask "$query")
  tenant=$(argon --json tenant create 2>/dev/null | sed -n 's/.*"tenant_id": "\([0-9a-f]*\)".*/\1/p')
  argon endpoint create "${endpoint}_other" --tenant-id "$tenant" >/dev/null
  argon endpoint start "${endpoint}_other" >/dev/null 2>&1
  local own_port=$port
  port=$(argon endpoint list | awk -v name="${endpoint}_other" '$1 == name { split($2, part, ":"); print part[2] }')
  other=$(ask "$query")
  [ "$mine" != "$other" ] || fail "two tenants have the system identifier $mine"
  "$bindir/psql" -h 127.0.0.1 -p "$port" -U cloud_admin -d postgres -XAtqc 'create table t as select 1 a' -c 'checkpoint'
  argon endpoint stop "${endpoint}_other" >/dev/null 2>&1
  argon endpoint start "${endpoint}_other" >/dev/null 2>&1
  equal 'it after a restart' "$(ask "$query")" "$other"
  argon endpoint stop "${endpoint}_other" >/dev/null 2>&1
  port=$own_port
}

# By the pageserver's Unix socket, and by TCP where that is not there.
case_page_socket() {
  begin
  local socket before
  socket=$(echo "$state"/pageserver_*/socket/.s.PGSQL.*)
  before=$(grep -c "$socket" /proc/net/unix)
  # The socket listens; each connection is one more line.
  equal 'rows read by the socket' "$(sql -c 'select count(*) from big' \
    -c "\\! [ \$(grep -c '$socket' /proc/net/unix) -gt $before ] && echo connected")" '30000
connected'
  mv "$socket" "$socket.away"
  evict
  equal 'rows read by TCP' "$(ask 'select count(*) from big')" 30000
  mv "$socket.away" "$socket"
}

# Reads ahead of a sequential scan, by the server's own prefetch calls, and neither where they are turned off.
case_prefetch() {
  begin
  local pages scan='select count(*), sum(i), sum(length(filler)) from s' answer='20000|200010000|18000000'
  sql -c "create table s as select i, repeat('s', 900) as filler from generate_series(1, 20000) i" -c 'create index on s (i)' -c 'analyze s'
  pages=$(ask "select pg_relation_size('s') / 8192")
  # What the statement added to the counters, as "hits misses", each in hundreds of pages of the table.
  counted() {
    sql <<END
set max_parallel_workers_per_gather = 0;
${2:-}
select sum(value) filter (where name = 'prefetch_hits') as h, sum(value) filter (where name = 'prefetch_misses') as m from argon_counters() \gset
$1;
select round((sum(value) filter (where name = 'prefetch_hits') - :h) * 10 / $pages),
       trunc((sum(value) filter (where name = 'prefetch_misses') - :m) * 10 / $pages) from argon_counters();
END
  }
  evict
  equal 'a sequential scan: hits and misses in tenths' "$(counted "$scan")" "$answer
10|0"
  evict
  equal 'the same, without' "$(counted "$scan" 'set argon.prefetch_window = 0;')" "$answer
0|10"
  evict
  equal 'the same, without read-ahead' "$(counted "$scan" 'set argon.readahead_window = 0;')" "$answer
0|10"
  evict
  equal 'a bitmap scan by prefetch calls' "$(counted "$scan where i > 0" 'set argon.readahead_window = 0; set effective_io_concurrency = 16;
set enable_seqscan = off; set enable_indexscan = off;')" "$answer
10|0"
  evict
  equal 'analyze by prefetch calls' "$(counted 'analyze s' 'set argon.readahead_window = 0; set maintenance_io_concurrency = 16;')" '10|0'
  evict
  equal 'a window of one' "$(counted "$scan" 'set argon.prefetch_window = 1;' | head -n 1)" "$answer"

  # Pages that were asked for, and changed and evicted before they were read: the cursor reads a few pages and asks for
  # those behind them.
  ask 'create table p as select i, 0 as n, repeat(chr(65), 900) as pad from generate_series(1, 2000) i'
  evict
  local other="\"$bindir/psql\" -h 127.0.0.1 -p $port -U cloud_admin -XAtqo /dev/null postgres"
  local push_out="set enable_seqscan = off; set enable_bitmapscan = off; select sum(length(filler)) from big where i > 0"
  equal 'rows changed behind a prefetch' "$(sql <<END
begin;
set local max_parallel_workers_per_gather = 0;
declare c cursor for select i from p;
move 100 c;
select value as w from argon_counters() where name = 'prefetch_wasted' \gset
\! $other -c 'update p set n = n + 1 where i > 8' -c '$push_out' -c '$push_out' -c '$push_out'
select count(*), sum(n), min(i), max(i) from p;
select value > :w from argon_counters() where name = 'prefetch_wasted';
commit;
END
)" '2000|1992|1|2000
t'
}

# The pageserver stands still while pages are under way: the wait can be cancelled, costs no connection, and what
# comes late is put where it belongs. Then it is killed: what was under way is asked for again.
case_prefetch_interrupted() {
  begin
  evict
  local pid scan='select count(*), sum(i), sum(length(filler)) from big' answer='30000|450015000|27000000'
  pid=$(cat "$state"/pageserver_*/*.pid)
  stopped=$pid
  equal 'scans around a cancelled one' "$(sql -v ON_ERROR_STOP=0 <<END 2>&1
set max_parallel_workers_per_gather = 0;
begin;
declare c cursor for select * from big;
move 500 c;
select value as c from argon_counters() where name = 'pageserver_connects' \gset
\! kill -STOP $pid
set local statement_timeout = 500;
move 20000 c;
rollback;
\! kill -CONT $pid
$scan;
$scan where i % 2 = 0;
select value - :c from argon_counters() where name = 'pageserver_connects';
END
)" "ERROR:  canceling statement due to statement timeout
$answer
15000|225015000|13500000
0"
  stopped=''
  ask "select sum(i) from generate_series(1, 10) i" >/dev/null
  local n
  for n in 1 2 3; do (for _ in 1 2 3 4 5 6; do sql -c "$scan"; done || true) >"$work/scan$n" 2>&1 & done
  for _ in 1 2; do
    sleep 0.7
    kill -KILL "$(cat "$state"/pageserver_*/*.pid)"
    sleep 0.3
    argon start >/dev/null 2>&1
  done
  wait
  for n in 1 2 3; do
    equal "scans over a killed pageserver" "$(sort "$work/scan$n" | uniq -c | sed 's/^ *//')" "6 $answer"
  done
}

# Without a quorum the pageserver waits for WAL that may never come: pages that need it are not asked for ahead, so that
# reads of others go on.
case_prefetch_held_back() {
  begin
  sql -c "create table h as select i as a, repeat('h', 900) as pad from generate_series(1, 4000) i" -c 'select count(*) from big where i = 1'
  caught_up
  hold_back
  equal 'reads of pages that the pageserver has' "$(PGOPTIONS='-c synchronous_commit=off' sql <<END
set max_parallel_workers_per_gather = 0;
\! $held
delete from h where a > 2000;
$evict_in_session
set statement_timeout = 10000;
select count(*) from (select a from h limit 1990) as old_ones;
select count(*) from big where i between 20000 and 20010;
\! $freed
set statement_timeout = 0;
select count(*), max(a) from h;
END
)" 't
t
t
1990
11
2000|2000'
}

# Many sessions, pages evicted and read back all the time, statements that change files as a whole, and the pageserver
# killed in between; every page that comes back is compared with what was evicted.
case_read_load() {
  begin -c autovacuum=on -c autovacuum_naptime=1 "$@"
  "$bindir/pgbench" -h 127.0.0.1 -p "$port" -U cloud_admin -i -q -s 3 postgres >"$work/load" 2>&1
  local end=$((SECONDS + ${ARGON_LOAD_SECONDS:-20}))
  "$bindir/pgbench" -h 127.0.0.1 -p "$port" -U cloud_admin -n -c 4 -j 2 -T ${ARGON_LOAD_SECONDS:-20} postgres >"$work/tpcb" 2>&1 &
  local tpcb=$!
  (while [ $SECONDS -lt $end ]; do
    sql -c 'select sum(abalance) - (select sum(bbalance) from pgbench_branches) from pgbench_accounts'
  done) >"$work/sums" 2>&1 &
  (while [ $SECONDS -lt $end ]; do
    sql -c "create table x as select i, repeat('x', 500) pad from generate_series(1, 6000) i" -c 'create index on x (i)' \
      -c 'delete from x where i > 2000' -c 'vacuum x' -c "insert into x select i, 'y' from generate_series(1, 3000) i" \
      -c 'select count(*) from x' -c 'truncate x' -c "insert into x select i, 'z' from generate_series(1, 3000) i" \
      -c 'select count(*), max(pad) from x' -c 'drop table x'
  done) >"$work/tables" 2>&1 &
  (while [ $SECONDS -lt $end ]; do
    ask 'create database made template postgres'
    database=made ask 'select count(*) from big'
    database=made ask 'update big set i = i + 1 where i % 100 = 0'
    database=made ask 'select count(*) from big'
    ask 'drop database made'
  done) >"$work/databases" 2>&1 &
  while [ $SECONDS -lt $((end - 8)) ]; do
    sleep 3
    kill -KILL "$(cat "$state"/pageserver_*/*.pid)"
    sleep 0.2
    argon start >/dev/null 2>&1
    "${load_step:-true}"
  done
  wait $tpcb || fail "pgbench: $(cat "$work/tpcb")"
  wait
  equal 'sums' "$(sort -u "$work/sums")" 0
  equal 'what was read of tables' "$(sort -u "$work/tables")" '3000|z
5000'
  # (A database cannot be copied while somebody is connected to it: then there is none, until it is tried again.)
  if grep -E 'argon|could not|invalid' "$work/databases"; then fail 'the databases'; fi
}

reads() { ask "select string_agg(value::text, ' ' order by name) from argon_counters() where name in ('pages_read', 'file_cache_hits')"; }

# "pages from the pageserver, pages from the file cache" that a statement read, in tenths of the pages of table big.
from_where() {
  local before after
  before=$(reads)
  ask "$1" >/dev/null
  after=$(reads)
  set -- $before $after
  echo "$((($4 - $2) * 10 / big_pages)) $((($3 - $1 + big_pages / 20) * 10 / big_pages))"
}

resize_cache() {
  ask "alter system set argon.file_cache_size = '$1MB'"
  ask 'select pg_reload_conf()' >/dev/null
  until_true "select value = $1 from argon_counters() where name = 'file_cache_size_mb'"
}

# Pages come from the file cache, whatever statements do to files in between, through changes of its size, and its
# errors end no statement.
case_file_cache() {
  begin -c argon.max_local_pages=16 -c argon.max_file_cache_size=128MB -c max_parallel_workers_per_gather=0
  local scan='select count(*), sum(i), sum(length(filler)) from big' answer='30000|450015000|27000000'
  big_pages=$(ask "select pg_relation_size('big') / 8192")
  sql -c "create table push as select i, repeat('u', 900) as filler from generate_series(1, 20000) i" -c 'create index on push (i)'
  ask "$scan" >/dev/null
  # By any buffer, not the small ring of a sequential scan.
  local out='set enable_seqscan = off; set enable_bitmapscan = off; select sum(length(filler)) from push where i > 0'
  push() { ask "$out" >/dev/null; ask "$out" >/dev/null; }
  push
  equal 'a scan of cached pages' "$(from_where "$scan")" '0 10'
  equal 'its answer' "$(ask "$scan")" "$answer"
  ask 'update push set i = i + 1'
  push
  equal 'changed pages' "$(ask 'select sum(i), count(*) from push')" '200030000|20000'
  sql -c "create table r as select i from generate_series(1, 100000) i" -c 'delete from r where i > 1000' -c 'vacuum r' \
    -c 'insert into r select i from generate_series(1001, 90000) i'
  push
  equal 'rows behind a truncation' "$(ask 'select count(*), sum(i) from r')" '90000|4050045000'
  sql -c 'truncate r' -c 'insert into r select i from generate_series(1, 70000) i' -c 'reindex database postgres' -c 'vacuum full r'
  push
  equal 'rows behind TRUNCATE and VACUUM FULL' "$(ask 'select count(*), sum(i) from r')" '70000|2450035000'

  # Pages in the cache whose next version is logged as an image, and not stored there.
  sql -c 'create table k as select i as a, 0 as b from generate_series(1, 20000) i'
  push
  ask 'select sum(b) from k' >/dev/null
  push
  equal 'rows changed by a second command' "$(sql <<END
begin;
insert into k values (0, 0);
update k set b = b + 1;
$out;
$out;
select count(*), sum(b) from k;
commit;
END
)" '18000000
18000000
20001|20001'

  resize_cache 16
  ask "$scan" >/dev/null
  [ "$(counter file_cache_pages_now)" -le 2048 ] || fail "$(counter file_cache_pages_now) pages are in 16 MB"
  equal 'a smaller cache' "$(ask "$scan")" "$answer"
  resize_cache 0
  push
  equal 'no cache' "$(from_where "$scan")" '10 0'
  resize_cache 128
  ask "$scan" >/dev/null
  push
  equal 'the cache is back' "$(from_where "$scan")" '0 10'

  # The file is lost under it.
  : >"$state/endpoints/$endpoint/file_cache/pages"
  push
  equal 'a scan over a lost file' "$(ask "$scan")" "$answer"
  equal 'the cache is off' "$(counter file_cache_size_mb)" 0
  resize_cache 48
  # It cannot grow: files of at most 30 MB for processes from here on.
  local as_server=()
  if [ "$(id -u)" = 0 ]; then as_server=(setpriv --reuid postgres --regid postgres --init-groups); fi
  "${as_server[@]}" prlimit --pid "$(head -n 1 "$state/endpoints/$endpoint/pgdata/postmaster.pid")" --fsize=31457280:31457280
  equal 'a scan on a full disk' "$(ask "$scan")" "$answer"
  equal 'the cache is off once more' "$(counter file_cache_size_mb)" 0
  equal 'lines in the log' "$(grep -c 'the local file cache is turned off' "$state/endpoints/$endpoint/postgres.log")" 2
}

# Pages under names that were in use before: databases of the same number, a database moved there and back.
case_file_cache_names() {
  begin -c argon.max_file_cache_size=64MB
  local folder=$work/space_$endpoint one two
  install -d -m 700 "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
  ask "create tablespace cached location '$folder'"
  for n in one two; do
    ask "create database $n"
    database=$n sql -c "create table t as select i, '$n' as word from generate_series(1, 20000) i" -c 'vacuum freeze t'
  done
  ask "create database $endpoint oid 70001 template one strategy file_copy"
  database=$endpoint ask "update t set word = 'changed' where i % 2 = 0"
  evict
  database=$endpoint ask 'select count(*) from t' >/dev/null
  ask "drop database $endpoint"
  ask "create database $endpoint oid 70001 template two strategy file_copy"
  equal 'a database of the same number' "$(database=$endpoint ask 'select word, count(*) from t group by 1')" 'two|20000'
  ask "alter database $endpoint set tablespace cached"
  database=$endpoint ask "update t set word = 'moved' where i % 2 = 0"
  evict
  ask "alter database $endpoint set tablespace pg_default"
  evict
  equal 'moved there and back' "$(database=$endpoint ask 'select word, count(*) from t group by 1 order by 1')" 'moved|10000
two|10000'
  # A static endpoint has a cache of its own.
  local lsn
  lsn=$(ask 'select pg_current_wal_flush_lsn()')
  ask 'update big set i = -i'
  argon endpoint create "${endpoint}_ro" --branch-name "$endpoint" --lsn "$lsn" -c shared_buffers=16MB -c argon.max_file_cache_size=64MB >/dev/null
  argon endpoint start "${endpoint}_ro" >/dev/null 2>&1
  local own_port=$port
  port=$(argon endpoint list | awk -v name="${endpoint}_ro" '$1 == name { split($2, part, ":"); print part[2] }')
  for _ in 1 2 3; do equal 'a static endpoint' "$(ask 'select sum(i), count(*) from big')" '450015000|30000'; done
  [ "$(counter file_cache_hits)" -gt 3000 ] || fail "$(counter file_cache_hits) pages of a static endpoint came from the cache"
  argon endpoint stop "${endpoint}_ro" >/dev/null 2>&1
  port=$own_port
}

# pg_prewarm reads behind the buffer manager's back: a page that is written meanwhile does not come into the cache as it was
# before. The reader's request waits in the pageserver, which cannot get the WAL of the write.
case_file_cache_fill() {
  # The reader itself gets the page as it was, which shadow mode would report.
  begin -c argon.shadow=off -c argon.max_file_cache_size=256MB
  sql -c 'create extension pg_prewarm' -c 'create table w as select 1 as a, 0 as b' -c "select pg_prewarm('w', 'read')" >/dev/null
  caught_up
  local pid reader
  pid=$(cat "$state"/pageserver_*/*.pid)
  reader="\"$bindir/psql\" -h 127.0.0.1 -p $port -U cloud_admin -XAtqo '$work/prewarm' postgres"
  hold_back
  stopped="$stopped $pid"
  # The reader knows the function before it waits for the lock; the cache is emptied meanwhile.
  equal 'the row after a prewarm that was overtaken' "$(PGOPTIONS='-c synchronous_commit=off -c statement_timeout=20s' sql <<END
update w set b = 0;
select from pg_advisory_lock(7);
\! $reader -c "select pg_prewarm('w', 'read')" -c 'select from pg_advisory_lock(7)' -c "select pg_prewarm('w', 'read')" -c "select pg_prewarm('big', 'read', 'main', 3, 3)" & sleep 1
alter system set argon.file_cache_size = '192MB';
select from pg_reload_conf();
select count(*) from w;
\! $held; kill -STOP $pid; sleep 1
select from pg_advisory_unlock(7);
\! sleep 1
update w set b = 7;
checkpoint;
\! kill -CONT $pid; sleep 1
$evict_in_session
\! $freed
select b from w;
END
)" '1
t
t
t
7'
  equal 'what the reader read' "$(tr '\n' ' ' <"$work/prewarm")" '1 1 1 '
}

# Of every 100 pages that the statement reads from beyond shared buffers, how many the file cache had.
hit_rate() {
  local hits misses
  hits=$(counter file_cache_hits) misses=$(counter file_cache_misses)
  ask "$1" >/dev/null
  hits=$(($(counter file_cache_hits) - hits)) misses=$(($(counter file_cache_misses) - misses))
  echo $((hits * 100 / (hits + misses)))
}

# What a full cache lets in: of twice as much as there is room for, read again and again, a part stays; and where the
# latest pages are read a few times and never again, it comes to let in all.
case_file_cache_insertion() {
  begin -c argon.shadow=off -c shared_buffers=1MB -c argon.max_file_cache_size=16MB -c max_parallel_workers_per_gather=0
  sql <<'END'
create table moving (i int, filler text);
alter table moving alter filler set storage plain;
insert into moving select i, repeat('m', 7000) from generate_series(1, 16000) i;
create function read_parts(first int, last int) returns void language plpgsql as $$
begin
  for part in first .. last loop
    for turn in 1 .. 3 loop
      perform sum(length(filler)) from moving
        where ctid >= format('(%s,0)', part * 160)::tid and ctid < format('(%s,0)', (part + 1) * 160)::tid;
    end loop;
  end loop;
end $$;
END
  local rate
  for _ in 1 2 3 4 5 6 7 8; do ask 'select count(*) from big' >/dev/null; done
  rate=$(hit_rate 'select count(*) from big')
  echo "read again and again: $rate of 100"
  [ "$rate" -ge 20 ] || fail "of twice the cache's size only $rate of 100 pages stayed"
  # How soon depends on which sets the pages fall into, so on the relation's number.
  for _ in 1 2; do ask 'select read_parts(0, 74)' >/dev/null; done
  rate=$(hit_rate 'select read_parts(75, 99)')
  echo "read a few times: $rate of 100"
  [ "$rate" -ge 60 ] || fail "of pages that are read three times in a row only $rate of 100 reads were answered"
}

postmaster() { head -n 1 "$state/endpoints/$endpoint/pgdata/postmaster.pid"; }
in_log() { grep -c "$1" "$state/endpoints/$endpoint/postgres.log" || true; }
prewarm_done() { until_true "select state not in ('waiting', 'running') from argon_prewarm_state()"; }

# Ends the server by this signal; the sidecar starts it anew.
end_server() {
  local pid
  pid=$(postmaster)
  kill -s "$1" "$pid"
  for _ in $(seq 400); do
    if [ "$(postmaster 2>/dev/null || echo "$pid")" != "$pid" ] && ask 'select 1' >/dev/null 2>&1; then return 0; fi
    sleep 0.05
  done
  fail "no server came after signal $1"
}

# What is still right after a restart is kept; what may not be is not.
case_file_cache_restart() {
  begin -c argon.max_file_cache_size=128MB -c argon.autoprewarm=off -c max_parallel_workers_per_gather=0
  local scan='select count(*), sum(i), sum(length(filler)) from big' folder=$state/endpoints/$endpoint/file_cache kept
  big_pages=$(ask "select pg_relation_size('big') / 8192")
  sql -c "create table push as select i, repeat('u', 900) as filler from generate_series(1, 20000) i" -c 'create index on push (i)' \
    -c 'update big set i = i + 1 where i % 100 = 0'
  ask "$scan" >/dev/null
  local out='set enable_seqscan = off; set enable_bitmapscan = off; select sum(length(filler)) from push where i > 0'
  ask "$out" >/dev/null
  restart_endpoint
  equal 'kept after an orderly stop' "$(in_log 'the local file cache has .* pages as of')" 1
  kept=$(ask 'select kept from argon_prewarm_state()')
  [ "$kept" -gt "$big_pages" ] || fail "only $kept pages were kept"
  equal 'a scan after a restart' "$(from_where "$scan")" '0 10'
  equal 'its answer' "$(ask "$scan")" '30000|450015300|27000000'

  # Stopped at once, with pages in shared buffers that are newer than those in the cache.
  ask 'update big set i = i + 1 where i % 100 = 10'
  end_server QUIT
  equal 'nothing is kept of a server that was stopped at once' "$(ask 'select kept from argon_prewarm_state()')" 0
  equal 'rows after it' "$(ask "$scan")" '30000|450015600|27000000'

  # Killed, while it writes. A backend whose commit waits then must not say that it is done.
  expected_panic='PANIC:  cannot abort transaction .*, it was already committed'
  (while ask 'update push set i = -i' >/dev/null 2>&1; do :; done) &
  for round in 1 2; do
    sleep 1
    end_server KILL
    equal 'nothing is kept of a server that was killed' "$(ask 'select kept from argon_prewarm_state()')" 0
    equal "rows after kill $round" "$(ask "$scan")" '30000|450015600|27000000'
    equal "rows that were written" "$(ask 'select count(distinct sign(i)), abs(sum(i)), count(*) from push')" '1|200010000|20000'
    equal "the same by index" "$(ask "set enable_seqscan = off; select abs(sum(i)), count(*) from push where i > -100000")" '200010000|20000'
    (while ask 'update push set i = -i' >/dev/null 2>&1; do :; done) &
  done
  end_server KILL
  wait

  # Another endpoint writes in between.
  ask "$scan" >/dev/null
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  local own=$endpoint
  argon endpoint create "${own}_other" --branch-name "$own" -c shared_buffers=16MB >/dev/null
  endpoint=${own}_other
  start_endpoint
  ask 'update big set i = i + 1 where i % 100 = 20'
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  endpoint=$own
  start_endpoint
  equal 'written by another' "$(in_log 'the local file cache begins empty: its pages are those at .*, but the server starts at')" 1
  equal 'rows that another wrote' "$(ask "$scan")" '30000|450015900|27000000'

  # A bit of a page is wrong.
  ask "$scan" >/dev/null
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  python3 - "$folder/pages" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    for at in range(5000, file.seek(0, 2), 8192):
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 64]))
END
  start_endpoint
  equal 'rows of a damaged file' "$(ask "$scan")" '30000|450015900|27000000'
  [ "$(in_log 'since a page in its file .* is damaged')" -ge 1 ] || fail 'the log does not tell of the damaged page'
  ask "$scan" >/dev/null
  equal 'a scan of the cache that was emptied' "$(from_where "$scan")" '0 10'

  # The map is damaged; then it is another timeline's.
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  printf x | dd of="$folder/pages.map" bs=1 seek=500 conv=notrunc status=none
  start_endpoint
  equal 'a damaged map' "$(in_log 'the local file cache begins empty: its map .* is damaged')" 1
  equal 'rows without a map' "$(ask "$scan")" '30000|450015900|27000000'
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  cp -a "$folder" "$folder.kept"
  argon timeline branch --branch-name "${own}_branch" --ancestor-branch-name "$own" >/dev/null
  argon endpoint create "${own}_branch" --branch-name "${own}_branch" -c argon.max_file_cache_size=128MB -c shared_buffers=16MB >/dev/null
  endpoint=${own}_branch
  mv "$folder.kept" "$state/endpoints/$endpoint/file_cache"
  start_endpoint
  equal "another timeline's" "$(in_log 'the local file cache begins empty: it is of tenant')" 1
  equal 'rows of a branch' "$(ask "$scan")" '30000|450015900|27000000'
  argon endpoint stop "$endpoint" >/dev/null 2>&1

  # A static endpoint's pages never change.
  argon endpoint create "${own}_ro" --branch-name "$own" --lsn "$(argon timeline list | sed -n "s/.*@\(.*\): ${own}_branch .*/\1/p")" \
    -c shared_buffers=16MB -c argon.max_file_cache_size=64MB >/dev/null
  endpoint=${own}_ro
  start_endpoint
  ask "$scan" >/dev/null
  restart_endpoint
  equal 'a scan of a static endpoint after a restart' "$(from_where "$scan")" '0 10'
  argon endpoint stop "$endpoint" >/dev/null 2>&1
  endpoint=$own
  start_endpoint
}

set_and_reload() { sql -c "alter system set $1" -c 'select pg_reload_conf()' >/dev/null; }

# What was in the cache is fetched after a crash, at most so fast, and not what is no more.
case_prewarm() {
  begin -c argon.max_file_cache_size=128MB -c argon.file_cache_list_interval=1s -c argon.prewarm_rate=1 -c max_parallel_workers_per_gather=0
  local scan='select count(*), sum(i), sum(length(filler)) from big' answer='30000|450015000|27000000' listed
  big_pages=$(ask "select pg_relation_size('big') / 8192")
  sql -c "create table gone as select i, repeat('u', 900) as filler from generate_series(1, 3000) i" \
    -c "create table cut as select i, repeat('u', 900) as filler from generate_series(1, 3000) i" -c checkpoint
  for table in big gone cut; do ask "select sum(length(filler)) from $table" >/dev/null; done
  sleep 2.5
  set_and_reload 'argon.file_cache_list_interval = 3600'
  sleep 1
  sql -c 'drop table gone' -c 'delete from cut where i > 100' -c 'vacuum cut'
  end_server KILL
  sleep 3
  equal 'at 1 MB a second' "$(ask "select state, fetched between 100 and 2000 from argon_prewarm_state()")" 'running|t'
  listed=$(ask 'select listed from argon_prewarm_state()')

  # Stopped before it is done, it goes on with the next server.
  restart_endpoint
  equal 'kept and still listed' "$(ask "select kept > 100, listed from argon_prewarm_state()")" "t|$listed"
  set_and_reload 'argon.prewarm_rate = 0'
  sleep 1
  equal 'at no rate' "$(ask 'select state from argon_prewarm_state()')" paused
  set_and_reload 'argon.prewarm_rate = 1000'
  prewarm_done
  equal 'state' "$(ask "select state, fetched > 1000, left_out > 300, present + fetched + left_out = listed, ended > began from argon_prewarm_state()")" 'done|t|t|t|t'
  equal 'a scan of what was fetched' "$(from_where "$scan")" '0 10'
  equal 'its answer' "$(ask "$scan")" "$answer"
  equal 'a table that was cut' "$(ask 'select count(*) from cut')" 100

  # It is asked for.
  set_and_reload 'argon.file_cache_list_interval = 3600'
  sleep 1
  resize_cache 16
  resize_cache 128
  equal 'asked for' "$(ask 'select argon_prewarm()')" t
  until_true "select state = 'done' and fetched > $big_pages from argon_prewarm_state()"
  equal 'a scan of what was asked for' "$(from_where "$scan")" '0 10'
  equal 'its answer, at last' "$(ask "$scan")" "$answer"
}

# While a database is made of files under a name that the pageserver knows as another's, a prewarm stores nothing of that.
case_prewarm_names() {
  begin -c argon.max_file_cache_size=64MB -c argon.file_cache_list_interval=1s -c argon.prewarm_rate=4
  ask 'create database one'
  database=one sql -c "create table t as select i, 'one' as word from generate_series(1, 200000) i" -c 'vacuum freeze t'
  ask 'create database two template one'
  database=two ask "update t set word = 'two'"
  ask "create database $endpoint oid 70001 template one strategy file_copy"
  database=$endpoint ask 'select count(*) from t' >/dev/null
  sleep 2.5
  set_and_reload 'argon.file_cache_list_interval = 3600'
  sleep 1
  resize_cache 16
  resize_cache 64
  caught_up
  hold_back
  equal 'rows of the database of the same number' "$(PGOPTIONS='-c synchronous_commit=off' sql <<END
\! $held
drop database $endpoint;
select argon_prewarm();
create database $endpoint oid 70001 template two strategy file_copy;
\! $freed
\c $endpoint
select word, count(*) from t group by 1;
END
)" 't
two|200000'
}

cache_sizes=(16 0 64 32 48)
change_cache_size() {
  cache_sizes=("${cache_sizes[@]:1}" "${cache_sizes[0]}")
  sql -c "alter system set argon.file_cache_size = '${cache_sizes[0]}MB'" -c 'select pg_reload_conf()' >/dev/null
}

case_file_cache_load() {
  load_step=change_cache_size
  case_read_load -c argon.max_file_cache_size=64MB
  [ "$(counter file_cache_hits)" -gt 1000 ] || fail "only $(counter file_cache_hits) pages came from the cache"
}

"case_$case_name"
if [ "$case_name" = cleanup ]; then exit 0; fi
no_errors
echo "pages read $(counter pages_read), $(counter prefetch_hits) of them asked for ahead, kept here $(counter local_pages_written), compared $(counter shadow_compares)"

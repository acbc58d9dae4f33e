#!/usr/bin/env bash
# usage: redo_corpus.sh REDO_VERIFY [SQL]
#
# Proves native redo on WAL that this script makes: a private stock server with
# wal_consistency_checking = all runs the SQL; redo_verify replays all of it from the data directory
# as it was before, comparing every page with the image in each record, and what is left over with
# the data files of the server's own crash recovery. Then three negative controls, which must find something. A server whose own
# recovery finds its WAL inconsistent is named with its words; images and controls are held to the same all the same.
# The server runs as the user postgres when started by root; it listens on no port.
# DIFFERENTIAL is a command, redo_differential and its library, that is given the same instead: the server's redo on
# other terms than recovery's; then CONSISTENCY= (empty) is in place, and spares the images.
# EDGES=1 instead makes what only ids at a segment's end, a broken record and a promotion bring (redo_edges.sql).
# KEEP=1 leaves the folder. WORKLOAD is a shell command to run instead of the SQL, with PGHOST and PGUSER set and
# an empty folder `out` to write to; PG_BIN the server's programs. For PostgreSQL's regression tests, built in SRC:
#   TYPES=60 MIN=1500000 PG_BIN=PREFIX/bin WORKLOAD='SRC/src/test/regress/pg_regress --inputdir=SRC/src/test/regress \
#     --dlpath=SRC/src/test/regress --outputdir=out --bindir=PREFIX/bin --host=$PGHOST --user=postgres \
#     --schedule=SRC/src/test/regress/parallel_schedule' redo_corpus.sh REDO_VERIFY
set -euo pipefail
verify=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
sql=$(realpath "${2:-$here/redo_corpus.sql}")
bin=${PG_BIN:-/usr/lib/postgresql/15/bin}
[ -x "$bin/initdb" ] || { echo "redo_corpus: no PostgreSQL 15 server in $bin: install postgresql-15"; exit 1; }

work=$(mktemp -d /tmp/redo_corpus.XXXXXX)
as_server=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$work"
  as_server=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
run() { (cd "$work" && "${as_server[@]}" env LC_ALL=C HOME="$work" "$@"); }
stop_server() { [ ! -f "$work/$1/postmaster.pid" ] || run "$bin/pg_ctl" -D "$1" -m "$2" -w stop >/dev/null; }
clean_up() {
  stop_server data immediate || true
  stop_server recovered immediate || true
  [ "${KEEP:-}" = 1 ] && echo "kept: $work" || rm -rf "$work"
}
trap clean_up EXIT
# control OPTION COMMAND …: with the option the command must find something, and say so itself: that it fails is not enough.
control() {
  local found
  [ "${CONTROLS:-1}" = 1 ] || return 0
  found=$("${@:2}" "$1" 2>/dev/null) || true
  grep -Eq 'compared, ([1-9][0-9]* (mismatches|differences)|0 mismatches, [1-9][0-9]* errors)' <<<"$found" && return 0
  echo "redo_corpus: negative control $1 found nothing: $(grep 'compared, ' <<<"$found" || echo 'it did not run')"
  return 1
}
step() { printf '%4ds %s\n' "$SECONDS" "$*"; }

cat > "$work/server.conf" <<CONF
wal_consistency_checking = '${CONSISTENCY-all}'
listen_addresses = ''
unix_socket_directories = '$work'
fsync = off
autovacuum = off
full_page_writes = ${FULL_PAGE_WRITES:-on}
wal_level = ${WAL_LEVEL:-replica}
wal_log_hints = ${WAL_LOG_HINTS:-off}
wal_compression = ${WAL_COMPRESSION:-off}
track_commit_timestamp = on
max_prepared_transactions = 5
shared_buffers = 64MB
max_wal_size = 20GB
wal_keep_size = 20GB
checkpoint_timeout = 1h
wal_recycle = off
max_logical_replication_workers = 0
CONF

run "$bin/initdb" -D data --no-sync -A trust -U postgres -E UTF8 --no-locale --no-instructions \
  ${CHECKSUMS:+--data-checksums} >"$work/initdb.log" || { cat "$work/initdb.log"; exit 1; }
run sh -c 'cat server.conf >> data/postgresql.conf'
if [ "${EDGES:-}" = 1 ]; then
  # The next ids are just below the end of a segment, whose pages are there.
  run "$bin/pg_resetwal" -D data -x 1048300 -m 65530,1 -O 52340 >/dev/null
  for pages in pg_xact pg_multixact/offsets pg_multixact/members; do
    run dd if=/dev/zero of=data/$pages/0000 bs=8192 seek=1 count=31 conv=notrunc status=none
  done
  sql=$here/redo_edges.sql
fi
# The source tree may be closed to the server's user.
cp "$sql" "$work/workload.sql"
chmod a+r "$work/workload.sql"
start() { run "$bin/pg_ctl" -D "$1" -w -t 60 -l "$1.log" start >/dev/null || { tail -20 "$work/$1.log"; exit 1; }; }
start data
stop_server data immediate
run cp -a data seed
rm -f "$work/seed/postmaster.pid"
start data
step "server is up"
if [ -n "${WORKLOAD:-}" ]; then
  run mkdir out
  run env PGHOST="$work" PGUSER=postgres sh -c "$WORKLOAD" >"$work/psql.out" 2>"$work/psql.err" || tail -3 "$work/psql.out"
  run "$bin/psql" -X -q -h "$work" -U postgres -d postgres -c 'checkpoint' -c 'select pg_switch_wal()' >/dev/null
else
  run "$bin/psql" -X -q -h "$work" -U postgres -d postgres -v copy_file="$work/copied" -f "$work/workload.sql" \
    >"$work/psql.out" 2>"$work/psql.err" || { tail -5 "$work/psql.err"; exit 1; }
fi
if grep -q 'ERROR' "$work/psql.err"; then grep 'ERROR' "$work/psql.err" | head -20; fi
stop_server data immediate
if [ "${EDGES:-}" = 1 ]; then
  # The record at the end of the last segment but one loses its rest: the server gives it up, and goes on behind it.
  run sh -c 'rm "$(ls data/pg_wal/0* | tail -n 1)"'
  start data
  run "$bin/psql" -X -q -h "$work" -U postgres -d postgres -c 'create table afterwards as select * from generate_series(1, 1000) i'
  stop_server data immediate
  # A promotion: END_OF_RECOVERY, and WAL of PostgreSQL's second timeline.
  run touch data/standby.signal
  start data
  run "$bin/pg_ctl" -D data -w -t 60 promote >/dev/null
  run "$bin/psql" -X -q -h "$work" -U postgres -d postgres -c 'create table promoted as select * from generate_series(1, 1000) i'
  stop_server data immediate
fi
step "WAL is made: $(du -sm "$work/data/pg_wal" | cut -f1) MB"

if [ -n "${DIFFERENTIAL:-}" ]; then
  status=0
  $DIFFERENTIAL "$work/seed" "$work/data/pg_wal" --server "$bin/postgres" || status=1
  step "differential is done"
  control --flip-bit $DIFFERENTIAL "$work/seed" "$work/data/pg_wal" --server "$bin/postgres" || status=1
  exit $status
fi

run cp -a seed recovered
run rm -rf recovered/pg_wal
run cp -a data/pg_wal recovered/pg_wal
if [ "${EDGES:-}" = 1 ]; then
  # Crash recovery would end with the first timeline.
  run sh -c "echo \"restore_command = 'false'\" >> recovered/postgresql.conf && touch recovered/recovery.signal"
fi
# Recovery holds each page to its image, too. A server that refuses its own WAL leaves no data files to compare with.
compare=(--data "$work/recovered")
server_failed=false
if run "$bin/pg_ctl" -D recovered -w -t 60 -l recovered.log start >/dev/null 2>&1; then
  stop_server recovered fast
  step "stock recovery is done"
elif grep -q 'FATAL:  inconsistent page found' "$work/recovered.log"; then
  server_failed=true
  compare=()
  step "the stock server's own recovery refuses the WAL that it wrote:"
  "$bin/postgres" --version
  grep -A 1 'FATAL:  inconsistent page found' "$work/recovered.log"
else
  tail -20 "$work/recovered.log"
  exit 1
fi

status=0
"$verify" "$work/seed" "$work/data/pg_wal" "${compare[@]}" --min "${MIN:-20000}" --types "${TYPES:-75}" || status=1
step "native redo is done"
for option in --flip-bit --without-vm-clears --skip-records; do
  control "$option" "$verify" "$work/seed" "$work/data/pg_wal" || status=1
done
step "controls are done"
if $server_failed; then
  echo "redo_corpus: every image was compared, the data files after recovery were not, since this server cannot recover:" \
    "Debian's 15.18 is known for it (plain bookworm), 15.20 of bookworm-security is not"
fi
exit $status

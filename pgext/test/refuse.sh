#!/usr/bin/env bash
# usage: refuse.sh CASE LIBRARY_FOLDER TEST_LIBRARY_FOLDER PG_BINDIR
#
# Starts a stock server with the extension in a data directory where it must refuse to start, and
# looks for the words that say why and what to do. Needs no other part of Argon. Started by root it
# goes on as the user postgres.
set -eu
case_name=$1 library=$2 test_library=$3 bindir=$4

if [ "$(id -u)" = 0 ]; then
  # The build tree may be closed to that user: what it needs of it is copied.
  stage=$(mktemp -d /tmp/argon_refuse_stage.XXXXXX)
  trap 'rm -rf "$stage"' EXIT
  chmod 755 "$stage"
  cp "$0" "$stage/refuse.sh"
  cp "$library"/*.so "$test_library"/*.so "$stage/"
  cd /
  setpriv --reuid postgres --regid postgres --clear-groups bash "$stage/refuse.sh" "$case_name" "$stage" "$stage" "$bindir"
  exit
fi

work=$(mktemp -d /tmp/argon_refuse.XXXXXX)
trap 'rm -rf "$work"' EXIT
data=$work/data
cd "$work"
"$bindir/initdb" -D "$data" -U cloud_admin --auth=trust --no-sync >"$work/initdb.log"

configure() {
  cat >>"$data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$work'
dynamic_library_path = '\$libdir:$library:$test_library'
shared_preload_libraries = 'argon'
synchronous_standby_names = 'argon'
argon.tenant_id = '00000000000000000000000000000001'
argon.timeline_id = '00000000000000000000000000000002'
argon.pageserver_connstring = 'host=127.0.0.1 port=1'
argon.sidecar_socket = '$work/argon.socket'
END
}

# expect TEXT...: the server must fail to start, and its log must hold every text.
expect() {
  local log=$work/log
  if timeout 30 "$bindir/postgres" -D "$data" >"$log" 2>&1; then
    echo "the server started and ended well; it had to refuse"
    exit 1
  fi
  for text in "$@"; do
    if ! grep -qF -- "$text" "$log"; then
      echo "not in the log: $text"
      cat "$log"
      exit 1
    fi
  done
  # Nothing was touched: the same directory is still a sound, stopped cluster.
  "$bindir/pg_controldata" -D "$data" | grep -q 'Database cluster state: *shut down$' || [ "${damaged:-}" = yes ]
  grep -F 'FATAL' "$log" | head -1
}

configure
case $case_name in
  no_sidecar)
    expect 'no live sidecar stands behind this data directory' "$work/argon.socket" 'argon endpoint start NAME'
    [ ! -e "$data/argon.started" ]
    ;;
  no_socket_set)
    echo "argon.sidecar_socket = ''" >>"$data/postgresql.conf"
    expect 'no live sidecar' 'argon.sidecar_socket is not set'
    ;;
  second_start)
    touch "$data/argon.started"
    expect 'this data directory was started before' 'argon endpoint start NAME'
    ;;
  control_file)
    damaged=yes
    printf '\377' | dd of="$data/global/pg_control" bs=1 seek=60 conv=notrunc status=none
    expect 'checksum'
    ;;
  table_not_found)
    echo "shared_preload_libraries = 'argon_test_other_smgr,argon'" >>"$data/postgresql.conf"
    expect 'storage manager table of this build of PostgreSQL was found 0 times, not once' '15.13'
    ;;
  bad_tenant)
    echo "argon.tenant_id = 'nonsense'" >>"$data/postgresql.conf"
    expect 'invalid value for parameter "argon.tenant_id": "nonsense"' '32 hexadecimal digits'
    ;;
  bad_lsn)
    echo "argon.static_lsn = '0-12'" >>"$data/postgresql.conf"
    expect 'invalid value for parameter "argon.static_lsn": "0-12"' 'as in 0/16F9A00'
    ;;
  version)
    sed -i "s/^shared_preload_libraries.*//; s/^synchronous_standby_names.*//; s/^argon.*//" "$data/postgresql.conf"
    answer=$("$bindir/postgres" --single -D "$data" postgres 2>&1 <<END
create function supported(int) returns bool as 'argon', 'argon_version_supported' language c strict;
select string_agg(v || '=' || supported(v), ' ' order by v) from unnest(array[140020,150012,150013,150020,160003]) v;
END
    )
    want='140020=false 150012=false 150013=true 150020=true 160003=false'
    grep -qF "$want" <<<"$answer" || { echo "$answer"; exit 1; }
    ;;
  *)
    echo "unknown case $case_name"
    exit 2
    ;;
esac

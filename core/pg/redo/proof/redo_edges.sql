-- For redo_corpus.sh with EDGES=1, on a cluster whose next ids are just below the end of a segment: commit status,
-- commit timestamps and multixacts go on in the next one, and the old ones are truncated.
create table t (i int);
insert into t values (1);
do $$ begin for i in 1..400 loop perform pg_current_xact_id(); commit; end loop; end $$;
do $$ begin for i in 1..12 loop
  perform * from t for key share;
  begin update t set i = i + 1; exception when others then null; end;
  commit;
end loop; end $$;
update pg_database set datallowconn = true;
\connect template0
vacuum freeze;
\connect template1
vacuum freeze;
\connect postgres
vacuum freeze;
-- A record that is to lie across the end of the segment; its commit flushes it.
do $$ begin
  while pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint % 16777216 < 16777216 - 20000 loop
    perform pg_logical_emit_message(false, 'fill', repeat('x', 8000));
  end loop;
end $$;
begin;
select pg_logical_emit_message(false, 'long', repeat('y', 120000));
select pg_current_xact_id();
commit;

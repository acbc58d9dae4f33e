-- Makes WAL of every kind that pages depend on, in a few seconds. autovacuum is off.
-- Not from SQL alone: XLOG FPI_FOR_HINT needs wal_log_hints (WAL_LOG_HINTS=on, see redo_corpus.sh).
\set ON_ERROR_STOP 0
\set QUIET 1
set synchronous_commit = off;

-- Heap: insert, update (same page, other page, HOT, shared prefix), delete, prune, vacuum, lock.
create table h(a int, b text, c text) with (fillfactor = 70);
insert into h select i, repeat('b', i % 60), md5(i::text) from generate_series(1, 3000) i;
update h set b = b || 'x' where a % 3 = 0;
update h set c = repeat(c, 20) where a % 17 = 0;
update h set b = b || 'y' where a % 3 = 0;
delete from h where a % 5 = 0;
vacuum h;
insert into h select i, 'again', 'c' from generate_series(1, 800) i;
select count(*) from (select * from h where a % 7 = 0 for update) x;
select count(*) from (select * from h where a % 11 = 0 for key share) x;
begin; savepoint s; delete from h where a < 100; rollback to s; update h set b = 'sub' where a < 50; commit;
begin; update h set b = 'gone'; rollback;
vacuum freeze h;
update h set b = 'thawed' where a % 50 = 0;
delete from h where a > 2500;
vacuum h;
create table part(a int, b int) partition by list (a);
create table part1 partition of part for values in (1);
create table part2 partition of part for values in (2);
insert into part select 1, i from generate_series(1, 50) i;
update part set a = 2 where b % 2 = 0;

-- COPY, multi-insert, FREEZE, speculative insertion, TOAST, in-place update.
create table cp(a int primary key, b text);
insert into cp select i, repeat('v', 80) from generate_series(1, 3000) i;
copy cp to :'copy_file';
begin; truncate cp; copy cp from :'copy_file' with (freeze); commit;
vacuum cp;
select count(*) from (select * from cp where a % 50 = 0 for update) x;
insert into cp values (1, 'dup') on conflict (a) do update set b = 'c';
insert into cp values (100001, 'new') on conflict (a) do nothing;
create table toasted(a int, b text);
alter table toasted alter b set storage external;
insert into toasted select i, repeat(md5(i::text), 400) from generate_series(1, 30) i;
delete from toasted where a % 2 = 0;
vacuum toasted;
analyze cp;
delete from cp where a > 1000; vacuum cp;
truncate cp;

-- Multixacts.
create table mx(a int primary key, b int);
insert into mx select i, 0 from generate_series(1, 700) i;
do $$ begin for i in 1..700 loop begin perform * from mx where a = i for key share; begin update mx set b = b + 1 where a = i; exception when others then null; end; end; end loop; end $$;
do $$ begin for r in 1..2 loop for i in 1..700 loop begin perform * from mx where a = i for key share; begin update mx set b = b + 1 where a = i; exception when others then null; end; end; end loop; commit; end loop; end $$;

-- A lock follows the update chain of a transaction that has not ended.
create table lk(a int primary key, b int); insert into lk select i, 0 from generate_series(1, 20) i;
begin; update lk set b = 1 where a < 10; prepare transaction 'lk';
select count(*) from (select * from lk where a < 10 for key share) x;
commit prepared 'lk';

-- Btree: leaf and inner splits, posting lists, deduplication, deletion of items and pages.
create table bt(a int, b text);
create index bta on bt(a);
create index btb on bt(b, a);
insert into bt select i % 200, repeat('k', 300) || (i * 7919 % 3001) from generate_series(1, 2200) i;
insert into bt select 77, repeat('m', 200) || i from generate_series(1, 1200) i;
delete from bt where a between 20 and 150;
vacuum bt; select pg_current_xact_id(); vacuum bt; select pg_current_xact_id(); vacuum bt;
insert into bt select i, 'y' || i from generate_series(1, 1800) i;
update bt set a = a + 1 where b like 'y1%';
set enable_seqscan = off; set enable_bitmapscan = off;
begin; delete from bt where a = 77; commit;
select count(*) from bt where a = 77; select count(*) from bt where a = 77;
insert into bt select 77, 'again' from generate_series(1, 1500) i;
reset enable_seqscan; reset enable_bitmapscan;
delete from bt; vacuum bt; insert into bt select i, 'z' from generate_series(1, 200) i;
create table fr(a int); create index fri on fr(a);  -- the only page of its level splits below the root
insert into fr select i from generate_series(1, 1800) i; delete from fr; vacuum fr; vacuum fr;
insert into fr select i from generate_series(1, 900) i;

-- Hash.
set wal_consistency_checking = 'hash';
create table ha(a int, b text); create index hai on ha using hash (a);
insert into ha select i % 50, 'x' from generate_series(1, 6000) i;
delete from ha where ctid in (select ctid from ha where (ctid::text::point)[1]::int % 3 <> 0); vacuum ha;
insert into ha select i, 'x' from generate_series(1, 2500) i;
create table ha2(a int); create index ha2i on ha2 using hash (a) with (fillfactor = 10);
insert into ha2 select 1 from generate_series(1, 3000); insert into ha2 select i from generate_series(1, 400) i;
delete from ha2 where ctid in (select ctid from ha2 where a = 1 order by ctid limit 1800); vacuum ha2;
delete from ha2 where a = 1 and (ctid::text::point)[1]::int % 10 <> 0; vacuum ha2;
create table ha3(a int); create index ha3i on ha3 using hash (a);
insert into ha3 select 5 from generate_series(1, 800); begin; delete from ha3; commit;
set enable_seqscan = off; set enable_bitmapscan = off;
select count(*) from ha3 where a = 5; select count(*) from ha3 where a = 5;
insert into ha3 select 5 from generate_series(1, 800);
reset enable_seqscan; reset enable_bitmapscan;

-- GIN: entry and data trees, pending list, vacuum, posting tree deletion.
set wal_consistency_checking = 'gin';
create table gi(a int[], i int); create index gii on gi using gin (a) with (fastupdate = off);
insert into gi select array[1, i % 100, i % 7], i from generate_series(1, 5000) i;
delete from gi where i between 700 and 4400; vacuum gi; vacuum gi;
insert into gi select array[1, 2], i from generate_series(1, 3000) i;
delete from gi; vacuum gi;
-- Pages of a posting tree are deleted; only the index is worth comparing.
create table gd(a int[]) with (autovacuum_enabled = off);
insert into gd select array[1] from generate_series(1, 45000) i;
create index gdi on gd using gin (a) with (fastupdate = off);
delete from gd where (ctid::text::point)[0] between 20 and 180; vacuum gd;
insert into gd select array[1] from generate_series(1, 300) i; vacuum gd;
create table gp(a int[], t tsvector); create index gpi on gp using gin (a); create index gpt on gp using gin (t);
insert into gp select array[i, i % 9], to_tsvector('simple', 'w' || i || ' x' || i % 13) from generate_series(1, 1500) i;
vacuum gp; insert into gp select array[i], to_tsvector('simple', 'v' || i) from generate_series(1, 500) i; vacuum gp;

-- GiST, with and without buffered build; deletion of items and pages.
set wal_consistency_checking = 'gist';
create table gs(p point, i int); create index gsi on gs using gist (p);
insert into gs select point(i % 100, i / 100), i from generate_series(1, 4000) i;
delete from gs where i < 3000;
set enable_seqscan = off; set enable_bitmapscan = off;
select count(*) from gs where p <@ box '((0,0),(200,500))'; select count(*) from gs where p <@ box '((0,0),(200,500))';
insert into gs select point(i % 100, i / 100), i from generate_series(1, 2000) i;
reset enable_seqscan; reset enable_bitmapscan;
delete from gs where i < 3500; vacuum gs; vacuum gs; select pg_current_xact_id(); vacuum gs;
insert into gs select point(i % 100, i / 100), i from generate_series(1, 1500) i; delete from gs; vacuum gs;

-- SP-GiST: points, text (split tuples), vacuum of leaf, root and redirects.
set wal_consistency_checking = 'spgist';
create table sp(p point); create index spi on sp using spgist (p);
insert into sp select point(i, i) from generate_series(1, 20) i; delete from sp where p[0] > 10; vacuum sp;
insert into sp select point(i % 100, i / 100 + (i % 7) / 10.0) from generate_series(1, 5000) i;
delete from sp where p[0]::int % 2 = 0; vacuum sp;
insert into sp select point(i % 100, i / 100) from generate_series(1, 2500) i; vacuum sp;
create table st(t text); create index sti on st using spgist (t);
insert into st select md5(i::text) from generate_series(1, 3000) i;
insert into st select repeat('a', i % 300) || i from generate_series(1, 1500) i;
delete from st where length(t) % 3 > 0; vacuum st; insert into st select md5((i * 3)::text) from generate_series(1, 1500) i;

create table sx(t text); create index sxi on sx using spgist (t);
insert into sx select 'a common prefix of all ' || md5(i::text) from generate_series(1, 900) i;
insert into sx values ('a common prefix'), ('a common preface'), ('a comma'), ('another'), ('z');
insert into sx select 'a comm' || i from generate_series(1, 300) i;

-- BRIN.
set wal_consistency_checking = 'brin,heap';
create table br(a int, b int); create index bri on br using brin (a) with (pages_per_range = 1);
create index brt on br using brin ((repeat('t', a % 400))) with (pages_per_range = 1);
insert into br select i, i from generate_series(1, 8000) i; vacuum br;
update br set a = a + 100000 where b % 100 = 0;
select brin_desummarize_range('bri', 0); select brin_summarize_new_values('bri'); vacuum br;

create table bg(t text, n int); alter table bg set (fillfactor = 50); create index bgi on bg using brin (t) with (pages_per_range = 1);
insert into bg select repeat('m', 20), i from generate_series(1, 6000) i; select brin_summarize_new_values('bgi');
update bg set t = repeat('z', 300 + n % 100) where n % 60 = 0; select brin_summarize_new_values('bgi');
update bg set t = repeat('a', 400 + n % 100) where n % 90 = 0;

-- Generic records, through an extension, where it is installed.
set wal_consistency_checking = 'generic,heap';
create extension if not exists bloom;
create table bl as select i, (i * 7919) % 1000 a, (i * 104729) % 777 b from generate_series(1, 3000) i;
create index bli on bl using bloom (a, b); insert into bl select i, i, i from generate_series(1, 1500) i;
delete from bl where a % 3 = 0; vacuum bl;

reset wal_consistency_checking;
-- Before any transaction is left prepared: a logical slot waits for all that run.
select current_setting('wal_level') = 'logical' as logical \gset
\if :logical
select pg_create_logical_replication_slot('slot', 'test_decoding');
create table uc(a int primary key, b text) with (user_catalog_table = true); insert into uc select i, 'x' from generate_series(1, 300) i;
update uc set b = 'y'; begin; update uc set b = 'z' where a < 100; commit; vacuum full uc; truncate uc;
select pg_drop_replication_slot('slot');
\endif

-- Sequences, relation maps, databases, two-phase, unlogged relations, truncation.
create sequence sq; select count(nextval('sq')) from generate_series(1, 200); select setval('sq', 77); select nextval('sq');
vacuum full pg_class; reindex table pg_class;
create database copied strategy file_copy; drop database copied;
create database logged strategy wal_log; drop database logged;
create database kept strategy file_copy;
begin; create table tp(a int); insert into tp values (1); prepare transaction 'p1'; commit prepared 'p1';
begin; drop table tp; prepare transaction 'p2'; rollback prepared 'p2';
begin; savepoint a; insert into tp values (3); savepoint b; insert into tp values (4); prepare transaction 'p3';
set allow_in_place_tablespaces = on; create tablespace ts location '';
create table ints(a int primary key) tablespace ts; insert into ints select i from generate_series(1, 500) i;
create table gone(a int) tablespace ts; insert into gone values (1); drop table gone;
create tablespace ts2 location ''; drop tablespace ts2;
select pg_create_restore_point('here'); select pg_logical_emit_message(true, 'prefix', 'hello'), pg_logical_emit_message(false, 'prefix', repeat('x', 40000));
select pg_replication_origin_create('origin'); select pg_replication_origin_session_setup('origin');
begin; insert into ints values (1000); select pg_replication_origin_xact_setup('0/AABBCC', '2026-01-01'); commit;
select pg_replication_origin_session_reset(); select pg_replication_origin_advance('origin', '0/1234567'); select pg_replication_origin_drop('origin');
select pg_backup_start('here', true) \gset
select count(*) from pg_backup_stop(false) \gset
select current_setting('full_page_writes') = 'on' as images \gset
\if :images
alter system set full_page_writes = off; select pg_reload_conf(); select pg_sleep(0.2); update ints set a = -a where a < 50;
alter system reset full_page_writes; select pg_reload_conf(); select pg_sleep(0.2);
\endif
do $$ begin for i in 1..33000 loop perform pg_current_xact_id(); commit; end loop; end $$;
create unlogged table ul(a int primary key); insert into ul values (1); alter table ul set logged; alter table ul set unlogged;
create table tr(a int, b text); insert into tr select i, repeat('t', 100) from generate_series(1, 4000) i; vacuum freeze tr;
delete from tr where a > 1500; vacuum tr; insert into tr select i, 'n' from generate_series(1, 200) i;
vacuum freeze;
insert into h select i, 'last', 'd' from generate_series(1, 300) i;
checkpoint;
update h set b = 'after' where a % 40 = 0;
delete from mx where a % 4 = 0;
set synchronous_commit = on;
insert into tp values (2);
select pg_switch_wal();

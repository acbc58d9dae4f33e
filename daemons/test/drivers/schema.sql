-- A bit of everything that pg_dump knows, for dump_driver and pg_upgrade.
create role drivers_owner nologin;
create schema shop authorization drivers_owner;
comment on schema shop is 'it''s a shop';
set search_path = shop;
create type mood as enum ('sad', 'ok', 'happy');
create type size as (width int, height int);
create domain percent as numeric(5, 2) check (value between 0 and 100);
create type span as range (subtype = float8);
create collation german (provider = libc, locale = 'C.UTF-8');
create sequence numbers start 100 increment 7 cache 5;
select nextval('numbers') from generate_series(1, 10);
create table customers (
  id int generated always as identity primary key,
  name text not null collate german,
  feels mood default 'ok',
  discount percent,
  box size,
  number int default nextval('numbers'),
  doubled int generated always as (number * 2) stored,
  doc jsonb,
  spans span,
  raw bytea,
  unique (name),
  exclude using gist (spans with &&)
);
insert into customers (name, feels, discount, box, doc, spans, raw)
  select 'customer ' || i, (array['sad', 'ok', 'happy']::mood[])[1 + i % 3], i % 100, row(i, -i)::size,
         jsonb_build_object('n', i, 'tags', array['a', 'b\c', E'tab\t']), span(i, i + 0.5), decode(md5(i::text), 'hex')
  from generate_series(1, 3000) i;
create index customers_doc on customers using gin (doc);
create index customers_part on customers (lower(name)) include (feels) where feels = 'happy';
create index customers_brin on customers using brin (id);
create index customers_hash on customers using hash (name);
create statistics customers_stat on feels, discount from customers;
alter table customers alter name set storage external, alter doc set statistics 500;
create table orders (id int, placed date not null, customer int references customers on delete cascade, amount numeric)
  partition by range (placed);
create table orders_2025 partition of orders for values from ('2025-01-01') to ('2026-01-01');
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01') partition by hash (id);
create table orders_2026_0 partition of orders_2026 for values with (modulus 2, remainder 0);
create table orders_2026_1 partition of orders_2026 for values with (modulus 2, remainder 1);
create table orders_other partition of orders default;
insert into orders select i, date '2025-06-01' + i % 600, 1 + i % 3000, i / 8.0 from generate_series(1, 20000) i;
create index on orders (customer);
create table parent (a int);
create table child (b text) inherits (parent);
insert into child select i, repeat('x', 5000) || i from generate_series(1, 50) i;
create unlogged table scratch (i int);
create view happy as select id, name from customers where feels = 'happy' with check option;
create materialized view totals as select customer, sum(amount) from orders group by customer;
create unique index on totals (customer);
create function touched() returns trigger language plpgsql as $$begin new.discount := coalesce(new.discount, 0); return new; end$$;
create trigger touch before insert or update on customers for each row execute function touched();
create procedure pay(who int) language sql begin atomic; update customers set discount = 0 where id = who; end;
create aggregate longest(text) (sfunc = textcat, stype = text, initcond = '');
create rule nothing as on delete to happy do instead nothing;
create operator === (leftarg = int, rightarg = int, function = int4eq);
alter table customers enable row level security;
create policy mine on customers for select to drivers_owner using (number % 2 = 0);
grant select (id, name) on customers to drivers_owner;
alter default privileges in schema shop grant select on tables to public;
create publication changes for table orders_2025 where (amount > 10);
create text search configuration words (copy = english);
create extension pg_trgm;
create extension hstore schema shop;
create index customers_trigrams on customers using gin (name gin_trgm_ops);
create table settings (s hstore);
insert into settings select hstore('k' || i, null) || hstore('it''s', i::text) from generate_series(1, 500) i;
select lo_from_bytea(40000 + i, convert_to(repeat('large ' || i, 2000), 'UTF8')) from generate_series(1, 20) i;
comment on large object 40001 is 'the first';
analyze;

// node-postgres. Connects as PGHOST and kin say.
// Exit status 0 and "ok", or the first thing that was not as it should be.

import fs from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from, to } from "pg-copy-streams";

const ROWS = 10000;
const AT = new Date("2026-02-03T04:05:06.789Z");
const RAW = Buffer.from([0, 1, 255]);

function check(holds, what) {
  if (!holds) throw new Error(what);
}

function client(database = process.env.PGDATABASE) {
  const root = process.env.PGSSLROOTCERT;
  return new pg.Client({ database, ssl: root ? { ca: fs.readFileSync(root), servername: process.env.PGHOST } : false });
}

async function connected(database) {
  const made = client(database);
  await made.connect();
  return made;
}

async function expectError(promise, code, wanted) {
  let said;
  try {
    await promise;
  } catch (error) {
    said = error;
  }
  check(said && said.code === code && wanted(said), `wanted error ${code}, got ${said && said.code} ${said && said.message}`);
}

async function preparesStatements(connection) {
  await connection.query("create table things (id int primary key, name text, amount numeric, raw bytea, at timestamptz, tags text[], doc jsonb)");
  const name = (i) => (i % 10 === 0 ? null : `Zoë's ☃ ${i}`);
  for (let i = 1; i <= 100; i++) {
    await connection.query({
      name: "add",
      text: "insert into things values ($1, $2, $3, $4, $5, $6, $7)",
      values: [i, name(i), `${i}.25`, RAW, AT, ["a", null], { n: i }],
    });
  }
  for (let i = 1; i <= 20; i++) {
    const { rows: [row] } = await connection.query({ name: "find", text: "select * from things where id = $1", values: [i] });
    check(row.id === i && row.name === name(i) && row.amount === `${i}.25` && row.raw.equals(RAW), `row ${JSON.stringify(row)}`);
    check(row.at.getTime() === AT.getTime() && row.tags[1] === null && row.doc.n === i, `row ${JSON.stringify(row)}`);
  }
  const { rows: [prepared] } = await connection.query("select count(*)::int as n from pg_prepared_statements");
  check(prepared.n === 2, `${prepared.n} statements are prepared`);
}

async function transactions(connection) {
  await connection.query("begin");
  await connection.query("savepoint s");
  await connection.query("delete from things");
  await connection.query("rollback to s");
  await connection.query("commit");
  const { rows } = await connection.query("select count(*)::int as n from things");
  check(rows[0].n === 100, "what was rolled back is gone");
}

async function copies(connection) {
  await connection.query("create table copied (i int, words text)");
  const lines = Array.from({ length: ROWS }, (_, i) => `${i}\tline ${i}\n`);
  await pipeline(Readable.from(lines), connection.query(from("copy copied from stdin")));
  const back = [];
  for await (const chunk of connection.query(to("copy (select * from copied order by i) to stdout"))) back.push(chunk);
  check(Buffer.concat(back).toString() === lines.join(""), "what was copied in and out differs");
}

async function listensAndNotifies(connection) {
  const came = new Promise((resolve) => connection.once("notification", resolve));
  await connection.query("listen news");
  const other = await connected();
  await other.query("notify news, 'hello'");
  await other.end();
  const { channel, payload } = await came;
  check(channel === "news" && payload === "hello", `notification ${channel} ${payload}`);
}

async function cancels(connection) {
  const query = new pg.Query("select pg_sleep(600)");
  const ended = new Promise((resolve, reject) => {
    query.on("error", reject);
    query.on("end", resolve);
  });
  connection.query(query);
  setTimeout(() => client().cancel(connection, query), 300);
  await expectError(ended, "57014", (error) => error.message === "canceling statement due to user request");
  const { rows } = await connection.query("select 1 as one");
  check(rows[0].one === 1, "the connection is of no use after a cancel");
}

async function errorsAreSensible(connection) {
  await expectError(connection.query("select nothing from things"), "42703", (error) => error.position === "8");
  await expectError(connection.query("insert into things values (1)"), "23505", (error) => error.constraint === "things_pkey");
  await expectError(connected(process.env.NO_DATABASE), "3D000", (error) => error.message.includes('database "no_such" does not exist'));
}

const connection = await connected();
await connection.query("drop schema if exists node cascade; create schema node; set search_path = node");
for (const part of [preparesStatements, transactions, copies, listensAndNotifies, cancels, errorsAreSensible]) await part(connection);
await connection.query("drop schema node cascade");
await connection.end();
console.log("ok");

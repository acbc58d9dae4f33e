#!/usr/bin/python3
"""psycopg2, Debian's for its own Python. Connects as PGHOST and kin say.
Exit status 0 and "ok", or the first thing that was not as it should be."""
import datetime
import decimal
import io
import os
import select
import threading
import time

import psycopg2
import psycopg2.errors
import psycopg2.extras

ROWS = 10000
AT = datetime.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=datetime.timezone.utc)


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def ask(connection, text, *values):
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchone()[0]


def prepares_statements(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("create table things (id int primary key, name text, amount numeric, raw bytea, at timestamptz, tags text[], doc jsonb)")
        psycopg2.extras.execute_values(cursor, "insert into things values %s", [
            (i, None if i % 10 == 0 else f"Zoë's ☃ {i}", decimal.Decimal(f"{i}.25"), b"\0\1\xff", AT, ["a", None], psycopg2.extras.Json({"n": i}))
            for i in range(1, 1001)])
        # The driver has no prepared statements of its own; SQL has.
        cursor.execute("prepare find(int) as select * from things where id = $1")
        for i in range(1, 21):
            cursor.execute("execute find(%s)", (i,))
            row = cursor.fetchone()
            check(row[:3] == (i, None if i % 10 == 0 else f"Zoë's ☃ {i}", decimal.Decimal(f"{i}.25")), f"row {row}")
            check(bytes(row[3]) == b"\0\1\xff" and row[4:] == (AT, ["a", None], {"n": i}), f"row {row}")


def transactions(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("savepoint s")
        cursor.execute("delete from things")
        cursor.execute("rollback to s")
    with connection, connection.cursor("by_cursor") as cursor:  # at the server
        cursor.itersize = 7
        cursor.execute("select id from things order by id")
        check([row[0] for row in cursor] == list(range(1, 1001)), "rows of the cursor")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("delete from things")
            raise KeyError
    except KeyError:
        pass
    check(ask(connection, "select count(*) from things") == 1000, "what was rolled back is there")
    connection.commit()


def copies(connection):
    text = "".join(f"{i}\tline {i}\n" for i in range(ROWS))
    with connection, connection.cursor() as cursor:
        cursor.execute("create table copied (i int, words text)")
        cursor.copy_expert("copy copied from stdin", io.StringIO(text))
        back = io.StringIO()
        cursor.copy_expert("copy (select * from copied order by i) to stdout", back)
    check(back.getvalue() == text, "what was copied in and out differs")


def listens_and_notifies(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("listen news")
    other = psycopg2.connect("")
    with other, other.cursor() as cursor:
        cursor.execute("notify news, 'hello'")
    other.close()
    end = time.monotonic() + 30
    while not connection.notifies and time.monotonic() < end:
        if select.select([connection], [], [], 1)[0]:
            connection.poll()
    check([(n.channel, n.payload) for n in connection.notifies] == [("news", "hello")], f"notifications {connection.notifies}")


def cancels(connection):
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    try:
        ask(connection, "select pg_sleep(600)")
        check(False, "the query was not cancelled")
    except psycopg2.errors.QueryCanceled as error:
        check("canceling statement due to user request" in str(error), str(error))
    timer.join()
    connection.rollback()
    check(ask(connection, "select 1") == 1, "the connection is of no use after a cancel")
    connection.commit()


def two_phase(connection):
    """Prepared transactions, where the server has room for them."""
    if ask(connection, "show max_prepared_transactions") == "0":
        connection.rollback()
        return
    connection.rollback()
    connection.tpc_begin(connection.xid(1, "psycopg2", "branch"))
    with connection.cursor() as cursor:
        cursor.execute("update things set amount = 0 where id = 1")
    connection.tpc_prepare()
    connection.reset()
    xid = connection.tpc_recover()[0]
    check(xid.gtrid == "psycopg2", f"prepared: {xid}")
    connection.tpc_commit(xid)
    with connection, connection.cursor() as cursor:
        cursor.execute("set search_path = psycopg2")
    check(ask(connection, "select amount from things where id = 1") == 0, "the prepared transaction is lost")
    connection.commit()


def errors_are_sensible(connection):
    for text, kind, field, value in (
            ("select nothing from things", psycopg2.errors.UndefinedColumn, "statement_position", "8"),
            ("insert into things values (1)", psycopg2.errors.UniqueViolation, "constraint_name", "things_pkey")):
        try:
            ask(connection, text)
            check(False, f"{text}: no error")
        except kind as error:
            check(getattr(error.diag, field) == value, f"{text}: {error}")
        connection.rollback()
    try:
        psycopg2.connect(dbname=os.environ["NO_DATABASE"])
        check(False, "a database that is not there")
    except psycopg2.OperationalError as error:
        check('database "no_such" does not exist' in str(error), str(error))


def main():
    connection = psycopg2.connect("")
    check(connection.server_version // 10000 == 15, f"version {connection.server_version}")
    with connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists psycopg2 cascade; create schema psycopg2; set search_path = psycopg2")
    for part in prepares_statements, transactions, copies, listens_and_notifies, cancels, two_phase, errors_are_sensible:
        part(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("drop schema psycopg2 cascade")
    connection.close()
    print("ok")


main()

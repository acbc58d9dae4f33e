#!/usr/bin/python3
"""psycopg 3, Debian's for its own Python. Connects as PGHOST and kin say.
Exit status 0 and "ok", or the first thing that was not as it should be."""
import datetime
import decimal
import os
import threading

import psycopg
from psycopg.types.json import Jsonb

ROWS = 10000
AT = datetime.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=datetime.timezone.utc)


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def prepares_statements(connection):
    connection.execute("create table things (id int primary key, name text, amount numeric, raw bytea, at timestamptz, tags text[], doc jsonb)")
    for i in range(1, 101):
        connection.execute("insert into things values (%s, %s, %s, %s, %s, %s, %s)",
                           (i, None if i % 10 == 0 else f"Zoë's ☃ {i}", decimal.Decimal(f"{i}.25"), b"\0\1\xff", AT, ["a", None], Jsonb({"n": i})),
                           prepare=True)
    for binary in False, True:
        for i in range(1, 21):
            row = connection.execute("select * from things where id = %b", (i,), prepare=True, binary=binary).fetchone()
            check(row == (i, None if i % 10 == 0 else f"Zoë's ☃ {i}", decimal.Decimal(f"{i}.25"), b"\0\1\xff", AT, ["a", None], {"n": i}), f"row {row}")
    check(connection.execute("select count(*) from pg_prepared_statements").fetchone()[0] >= 2, "nothing is prepared")


def transactions(connection):
    with connection.transaction():
        try:
            with connection.transaction():  # a savepoint
                connection.execute("delete from things")
                raise KeyError
        except KeyError:
            pass
        with connection.cursor(name="by_cursor") as cursor:
            cursor.itersize = 7
            check([row[0] for row in cursor.execute("select id from things order by id")] == list(range(1, 101)), "rows of the cursor")
    if psycopg.Pipeline.is_supported():
        with connection.pipeline():
            answers = [connection.execute("select %s::int", (i,)) for i in range(500)]
        check([answer.fetchone()[0] for answer in answers] == list(range(500)), "answers of a pipeline")


def copies(connection):
    connection.execute("create table copied (i int, words text)")
    with connection.cursor() as cursor:
        with cursor.copy("copy copied from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for i in range(ROWS):
                copy.write_row((i, f"line {i}"))
        with cursor.copy("copy (select * from copied order by i) to stdout") as copy:
            copy.set_types(["int4", "text"])
            check(list(copy.rows()) == [(i, f"line {i}") for i in range(ROWS)], "what was copied in and out differs")


def listens_and_notifies(connection):
    connection.execute("listen news")
    with psycopg.connect(autocommit=True) as other:
        other.execute("notify news, 'hello'")
    for notification in connection.notifies():
        check((notification.channel, notification.payload) == ("news", "hello"), f"{notification}")
        break


def cancels(connection):
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    try:
        connection.execute("select pg_sleep(600)")
        check(False, "the query was not cancelled")
    except psycopg.errors.QueryCanceled as error:
        check("canceling statement due to user request" in str(error), str(error))
    timer.join()
    check(connection.execute("select 1").fetchone() == (1,), "the connection is of no use after a cancel")


def errors_are_sensible(connection):
    for text, kind, field, value in (
            ("select nothing from things", psycopg.errors.UndefinedColumn, "statement_position", "8"),
            ("insert into things values (1)", psycopg.errors.UniqueViolation, "constraint_name", "things_pkey")):
        try:
            connection.execute(text)
            check(False, f"{text}: no error")
        except kind as error:
            check(getattr(error.diag, field) == value, f"{text}: {error}")
    try:
        psycopg.connect(dbname=os.environ["NO_DATABASE"])
        check(False, "a database that is not there")
    except psycopg.OperationalError as error:
        check('database "no_such" does not exist' in str(error), str(error))


def main():
    with psycopg.connect(autocommit=True) as connection:
        check(connection.info.server_version // 10000 == 15, f"version {connection.info.server_version}")
        connection.execute("drop schema if exists psycopg cascade")
        connection.execute("create schema psycopg")
        connection.execute("set search_path = psycopg")
        for part in prepares_statements, transactions, copies, listens_and_notifies, cancels, errors_are_sensible:
            part(connection)
        connection.execute("drop schema psycopg cascade")
    print("ok")


main()

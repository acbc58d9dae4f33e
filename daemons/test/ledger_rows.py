"""What ledger_client wrote down, and whether a table has it."""
import cluster

TABLE = "create table ledger (client int, number bigint, primary key (client, number))"


def read_log(c, client):
    """The numbers that were sent, and those whose commit was acknowledged."""
    sent, acknowledged = set(), set()
    for line in (c.root / f"log.{client}").read_text().splitlines():
        kind, number = line.split()
        (sent if kind == "s" else acknowledged).add(int(number))
    return sent, acknowledged


def rows(c, endpoint):
    result = {}
    for line in c.sql(endpoint, "select client, number from ledger").splitlines():
        client, number = map(int, line.split("|"))
        result.setdefault(client, []).append(number)
    return result


def check(c, endpoint, must_have, may_have):
    """Both are lists by client, of sets of numbers."""
    found = rows(c, endpoint)
    for client, must in enumerate(must_have):
        numbers = found.get(client, [])
        cluster.expect(len(numbers) == len(set(numbers)), f"{endpoint}: client {client} has a row twice")
        lost = must - set(numbers)
        cluster.expect(not lost, f"{endpoint}: {len(lost)} acknowledged rows of client {client} are lost: {sorted(lost)[:5]}")
        strange = set(numbers) - may_have[client]
        cluster.expect(not strange, f"{endpoint}: rows of client {client} that were never sent: {sorted(strange)[:5]}")

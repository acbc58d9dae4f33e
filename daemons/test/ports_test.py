#!/usr/bin/env python3
"""Ports that are taken while a daemon is down: by an outgoing connection, by a process that is ending, by another cluster."""
import pathlib
import re
import socket
import subprocess
import threading
import time

import cluster


def outgoing_connection_from(port):
    """A connection whose own port is that one, as the system gives them to clients from 32768 on."""
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.socket()
    client.bind(("127.0.0.1", port))
    client.connect(server.getsockname())
    # It is closed by a reset, so that the port is free at once and does not wait for late packets.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    return server, client


def unused_ports(c):
    """Where nobody has listened lately: the system keeps a daemon's port for a minute for its last connections, and a
    client cannot be given it meanwhile."""
    for first in range(c.first_port + 12, c.first_port + 30):
        try:
            for port in range(first, first + 5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise cluster.Failed("no port is unused")


def port_of(c, key):
    text = (c.dir / "argon.toml").read_text()
    return int(re.search(rf'{key} = "127.0.0.1:(\d+)"', text, re.S).group(1))


def close_after(seconds, *sockets):
    def close():
        time.sleep(seconds)
        for one in sockets:
            one.close()

    threading.Thread(target=close).start()


def ports(c):
    c.argon("init", "--first-port", unused_ports(c))
    broker = port_of(c, r"\[broker\].*?listen")
    safekeeper = port_of(c, r"\[\[safekeepers\]\].*?listen_pg")

    # A daemon under other supervision than `start`'s waits by itself.
    server, client = outgoing_connection_from(broker)
    by_hand = subprocess.Popen([c.argon_program, "broker", "--dir", c.dir], stderr=subprocess.PIPE, text=True)
    line = ""
    while "is taken by an outgoing connection: waiting" not in line:
        line = by_hand.stderr.readline()
        cluster.expect(line, "the broker ended instead of waiting for its port")
    client.close()
    server.close()
    while "listens" not in line and "serves" not in line:
        line = by_hand.stderr.readline()
        cluster.expect(line, "the broker ended when its port came back")
    by_hand.terminate()
    cluster.expect(by_hand.wait() == 0, "the broker did not stop in order")

    server, client = outgoing_connection_from(safekeeper)
    close_after(3, client, server)
    began = time.monotonic()
    said = c.argon("start").stdout
    cluster.expect(f"port {safekeeper} is in use by an outgoing connection" in said, f"start did not say what it waits for:\n{said}")
    cluster.expect(2 < time.monotonic() - began < 20, "start did not wait for the end of the connection")

    c.kill("safekeeper-1")
    ending = socket.create_server(("127.0.0.1", safekeeper))
    close_after(0.3, ending)
    c.argon("start")

    # Who listens for good is named at once.
    c.kill("safekeeper-1")
    with socket.create_server(("127.0.0.1", safekeeper)):
        refused = c.argon("start", check=False)
        cluster.expect(refused.returncode == 1 and f"port {safekeeper}" in refused.stderr and "another program" in refused.stderr,
                       f"the port's owner is not named:\n{refused.stdout}{refused.stderr}")

    # While a daemon is down, another cluster's init would be given its port; a first port keeps them apart.
    other = pathlib.Path(c.root) / "other"
    subprocess.run([c.argon_program, "--dir", other, "init", "--first-port", str(broker)], check=True, capture_output=True)
    taken = (other / "argon.toml").read_text()
    cluster.expect(f":{safekeeper}\"" in taken, "init no longer takes the port of a daemon that is down: mend this test")
    subprocess.run(["rm", "-rf", other], check=True)
    subprocess.run([c.argon_program, "--dir", other, "init", "--first-port", str(broker + 500)], check=True, capture_output=True)
    taken = (other / "argon.toml").read_text()
    cluster.expect(f":{safekeeper}\"" not in taken, f"clusters with first ports of their own share a port:\n{taken}")
    c.argon("start")
    c.tenant_and_endpoint("main")
    cluster.expect(c.sql("main", "select 1") == "1", "the cluster does not work")


cluster.run("ports", ports)
